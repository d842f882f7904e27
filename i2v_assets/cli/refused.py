"""Uploads that could become no clip, as `i2v status` and `i2v plan` list them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from i2v_assets.cli.console import err, print_table

if TYPE_CHECKING:
    from resources.ledger.registry import RefusedRow


def print_refused(refused: "Sequence[RefusedRow]", limit: int) -> None:
    """A table of them, by name."""
    if not refused:
        return
    print_table(
        ("refused upload", "clip", "reason", "what to do"),
        [(row.source, row.clip or "", row.words, row.remedy) for row in refused[:limit]],
    )
    if len(refused) > limit:
        err.print(f"The first {limit} of {len(refused)} refused uploads; --limit shows more.", highlight=False)


def plain_refused(refused: "Sequence[RefusedRow]") -> list[dict[str, Any]]:
    """The same for programs."""
    return [{"upload": row.source, "clip": row.clip, "reason": row.words, "remedy": row.remedy} for row in refused]
