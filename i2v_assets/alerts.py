"""What people are told by the webhook: one message for all that is new, with what to do about it. Pure."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import quote

from i2v_assets.answers import dollars
from i2v_assets.manifest import scrubbed

MOST_LINES = 10
"""Clips that are told one by one; more are told as a number: a message is read on a telephone."""

OVERLAP = timedelta(minutes=5)
"""Answers are looked for so far back again: their times come from several machines, whose clocks differ."""

MOST_WORDS = 300
"""Characters of one reason or remedy."""

MOST_MEMORY = 5_000
"""Answers and requests that a memory holds; the newest ones, should more be told within the overlap."""

FOR_PEOPLE: Mapping[str, str] = {
    "budget": "Today's budget is reached. Raise I2V_BUDGET_USD_PER_DAY or I2V_BUDGET_REQUESTS_PER_DAY, or wait for tomorrow. "
    "Where it is a run's, WAITING.txt names the setting.",
    "account": "The service refuses the account. Check the token and the balance: `i2v doctor`, `i2v whoami`.",
    "approval": "They wait for a person. Look at `i2v plan`, then `i2v approve HASH`.",
    "price": "Their price cannot be learned. Look at `i2v models`.",
    "catalogue": "The service's catalogue does not have their model, or has changed it. Look at `i2v models`.",
    "storage": "The bucket or the ledger's database does not answer. Run `i2v doctor`.",
}
"""What clips may wait for that a person can do something about; told when it begins, not for each clip."""


@dataclass(frozen=True)
class FailedClip:
    """A clip whose answer is that it failed."""

    clip: str
    at: datetime
    reason: str
    remedy: str

    @property
    def mark(self) -> str:
        """Tells this answer apart from the clip's others."""
        return hashlib.sha256(f"{self.clip}|{self.at.isoformat()}".encode()).hexdigest()[:10]


@dataclass(frozen=True)
class UnknownRequest:
    """A request whose outcome nobody knows."""

    fingerprint: str
    attempt: int
    clip: str
    price_microdollars: int | None

    @property
    def mark(self) -> str:
        """Tells this attempt apart from the request's others."""
        return f"{self.fingerprint[:12]}.{self.attempt}"


@dataclass(frozen=True)
class Situation:
    """What there is to tell of.

    Attributes:
        now: the time.
        failed: clips that failed lately, oldest first.
        unknown: all requests of unknown outcome.
        waiting: how many clips wait, by what they wait for.
        spent: today's spend in micro-dollars.
        cap: today's cap in micro-dollars.
    """

    now: datetime
    failed: Sequence[FailedClip] = ()
    unknown: Sequence[UnknownRequest] = ()
    waiting: Mapping[str, int] = field(default_factory=dict)
    spent: int = 0
    cap: int = 0


@dataclass(frozen=True)
class Memory:
    """What was told already; travels as the sensor's cursor.

    Attributes:
        since: answers before this were told, or are older than the first message.
        failed: marks of the answers since then that were told.
        unknown: marks of the unknown requests that were told.
        waiting: what clips waited for when it was told last.
    """

    since: datetime
    failed: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()

    @classmethod
    def read(cls, text: str | None, now: datetime) -> "Memory":
        """From a cursor; without one, what happened in the last hour is new."""
        if not text:
            return cls(now - timedelta(hours=1))
        found = json.loads(text)
        parts = {name: frozenset(found[name]) for name in ("failed", "unknown", "waiting")}
        return cls(datetime.fromisoformat(found["since"]), **parts)

    @property
    def text(self) -> str:
        """As a cursor."""
        parts = {name: sorted(getattr(self, name)) for name in ("failed", "unknown", "waiting")}
        return json.dumps({"since": self.since.isoformat(), **parts})


def news(situation: Situation, memory: Memory) -> tuple[Situation, Memory]:
    """What of the situation was not told yet, and the memory once it is."""
    fresh = Situation(
        situation.now,
        [found for found in situation.failed if found.at > memory.since and found.mark not in memory.failed],
        [found for found in situation.unknown if found.mark not in memory.unknown],
        {
            kind: count
            for kind, count in situation.waiting.items()
            if kind in FOR_PEOPLE and count and kind not in memory.waiting
        },
        situation.spent,
        situation.cap,
    )
    since = max(memory.since, situation.now - OVERLAP)
    recent = sorted((found for found in situation.failed if found.at > since), key=lambda found: found.at)
    told = Memory(
        since,
        frozenset(found.mark for found in recent[-MOST_MEMORY:]),
        frozenset(found.mark for found in situation.unknown[-MOST_MEMORY:]),
        frozenset(kind for kind, count in situation.waiting.items() if kind in FOR_PEOPLE and count),
    )
    return fresh, told


def message(fresh: Situation, ui_url: str = "", *, sandbox: bool = False) -> str:
    """The message, empty where there is nothing new; in Slack's markup, free of addresses but the UI's own."""
    blocks = [block for block in (_unknown(fresh), _failed(fresh, ui_url), _waiting(fresh, sandbox)) if block]
    if not blocks:
        return ""
    if ui_url:
        blocks.append(f"<{ui_url.rstrip('/')}/runs|Runs> · <{ui_url.rstrip('/')}/assets/clip_video|Clips>")
    if sandbox:
        blocks.append("_Sandbox: play money._")
    return "\n\n".join(blocks)


def _failed(fresh: Situation, ui_url: str) -> str:
    if not fresh.failed:
        return ""
    lines = [f"*{_count(len(fresh.failed), 'clip')} failed*"]
    for found in fresh.failed[:MOST_LINES]:
        name = _plain(found.clip)
        if ui_url:
            name = f"<{ui_url.rstrip('/')}/assets/clip_video?view=partitions&partition={quote(found.clip, safe='')}|{name}>"
        remedy = f" _{_plain(found.remedy)}_" if found.remedy else ""
        lines.append(f"• {name}: {_plain(found.reason)}{remedy}")
    more = len(fresh.failed) - MOST_LINES
    return "\n".join([*lines, f"and {more} more: `i2v status --state failed`"] if more > 0 else lines)


def _unknown(fresh: Situation) -> str:
    if not fresh.unknown:
        return ""
    price = sum(found.price_microdollars or 0 for found in fresh.unknown)
    lines = [
        f"*{_count(len(fresh.unknown), 'request')} of unknown outcome* (up to {dollars(price)}): sent, and no answer came. "
        "Look each up at the service, then run `i2v ledger resolve` with `--request-id ID`, `--not-charged` or "
        "`--given-up`; until then it is not sent again."
    ]
    for found in fresh.unknown[:MOST_LINES]:
        lines.append(f"• {_plain(found.clip)}: `i2v ledger resolve {found.fingerprint[:12]} ...`")
    more = len(fresh.unknown) - MOST_LINES
    return "\n".join([*lines, f"and {more} more: `i2v ledger list --state unknown`"] if more > 0 else lines)


def _waiting(fresh: Situation, sandbox: bool) -> str:
    lines = []
    for kind, count in fresh.waiting.items():
        spent = f" ({dollars(fresh.spent)} of {dollars(fresh.cap)})" if kind == "budget" else ""
        wait = "wait" if count > 1 else "waits"
        words = FOR_PEOPLE[kind].replace("I2V_BUDGET", "I2V_SANDBOX_BUDGET") if sandbox else FOR_PEOPLE[kind]
        lines.append(f"*{_count(count, 'clip')} {wait} for: {kind}*{spent}. {words}")
    return "\n".join(lines)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _plain(text: str) -> str:
    """One line without secrets and without what Slack reads as its own."""
    line = scrubbed(" ".join(text.split()))[:MOST_WORDS]
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("`", "'")
