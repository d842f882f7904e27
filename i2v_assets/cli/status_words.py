"""Words, times and tables that the answers of `i2v status` and `i2v plan` share."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from i2v_assets.cli.console import err, print_table
from i2v_assets.cli.wait_words import wait_words
from resources.ledger.records import Spend
from resources.money import dollars
from resources.registry.registry import ClipRow, RefusedRow

_MONEY = ("settled_microdollars", "reserved_microdollars")


def local_time(value: datetime) -> str:
    """Return a time as the clock of this machine shows it, with its zone."""
    return value.astimezone().strftime("%Y-%m-%d %H:%M %Z")


def reason_words(row: ClipRow) -> str:
    """Return why a clip is in its state, for people."""
    if row.state in ("dispatched", "working"):
        # What it waited for is out of the way.
        return f"stopped by {row.stopped_by}; what was sent is fetched" if row.stopped_by else ""
    waits = f"{wait_words(row.waiting_for)}: " if row.state == "waiting" and row.waiting_for else ""
    return f"{waits}{row.reason or ''}"


def print_refused(refused: Sequence[RefusedRow], limit: int) -> None:
    """Print a table of refused uploads, by name."""
    if not refused:
        return
    print_table(
        ("refused upload", "clip", "reason", "what to do"),
        [(row.source, row.clip or "", row.words, row.remedy) for row in refused[:limit]],
    )
    if len(refused) > limit:
        err.print(f"The first {limit} of {len(refused)} refused uploads; --limit shows more.", highlight=False)


def plain_refused(refused: Sequence[RefusedRow]) -> list[dict[str, Any]]:
    """Return refused uploads for programs."""
    return [{"upload": row.source, "clip": row.clip, "reason": row.words, "remedy": row.remedy} for row in refused]


def plain_clip(row: ClipRow) -> dict[str, Any]:
    """Return a clip for programs; times are UTC."""
    names = ("clip", "state", "source", "priority", "waiting_for", "reason", "remedy", "run_id", "fingerprint", "planned_fingerprint",
             "price_microdollars", "chosen_take", "extra_takes", "retries", "stopped_by", "admitted_at", "updated_at", "delivered_at")  # fmt: skip
    return {name: getattr(row, name) for name in names}


def paid_words(*spent: Spend) -> str:
    """Return what the service charged, and what it has not settled yet, for people."""
    settled, still_open = (sum(getattr(each, name) for each in spent) for name in _MONEY)
    if not still_open:
        return dollars(settled) or "$0.00"
    said = f"{dollars(settled)} and " if settled else ""
    return f"{said}{dollars(still_open)} that the service has not settled yet"


def plain_paid(*spent: Spend) -> dict[str, int]:
    """Return the same for programs, in micro-dollars."""
    return {name: sum(getattr(each, name) for each in spent) for name in _MONEY}
