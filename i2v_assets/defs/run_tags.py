"""By what people find a run among hundreds: tags with its clips and with what became of them, and a log line per clip."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from resources.ledger.records import Spend
from resources.registry.rows import ClipState

if TYPE_CHECKING:
    from i2v_assets.pipeline.context import Result

NAMED = 5
"""Clips that a run's tag names. The list of runs shows a tag of about 100 characters in one line."""

CLIPS_TAG = "i2v/clips"
COUNT_TAG = "i2v/clip_count"

COUNTED = (ClipState.DELIVERED, ClipState.WAITING, ClipState.REFUSED, ClipState.FAILED)


def clip_tags(names: Sequence[str]) -> dict[str, str]:
    """Return the tags that name a run's clips: the first ones, and how many there are."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return {CLIPS_TAG: ", ".join(names[:NAMED]) + more, COUNT_TAG: str(len(names))}


def result_tags(results: "Sequence[Result]", spent: Spend, *, calls: int, polls: int) -> dict[str, str]:
    """Return the tags that say what became of a run's clips, and what it asked of the service.

    Args:
        results: what became of each clip.
        spent: what the run claimed, with its automatic retries.
        calls: requests to the service, polls too.
        polls: those that asked for the state of a request.
    """
    counts = {state: sum(result.state is state for result in results) for state in COUNTED}
    return {
        **{f"i2v/{state}": str(count) for state, count in counts.items()},
        "i2v/usd": f"{spent.microdollars / 1e6:.2f}",
        "i2v/requests": str(spent.requests),
        "i2v/calls": str(calls),
        "i2v/polls": str(polls),
    }


def ended_line(result: "Result") -> str:
    """Return the log line of a clip that has ended."""
    words = f"{result.clip}: {result.state}. {result.reason} {result.remedy}"
    return " ".join(words.split())
