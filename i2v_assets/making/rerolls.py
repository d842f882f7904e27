"""Further takes that a low quality score asks for: which there may be, and whether one may be begun. Pure."""

import json

from i2v_assets.briefs import Brief
from resources.ledger.registry_rows import ClipRow


def rerolled(row: ClipRow) -> tuple[int, ...]:
    """The numbers of the takes that a low score asked for before."""
    return tuple(sorted(json.loads(row.rerolls or "[]")))


def asked_takes(brief: Brief, row: ClipRow) -> tuple[int, ...]:
    """The numbers of the takes that the brief or a person asks for."""
    return tuple(number for number in range(1, (brief.takes or 1) + row.extra_takes + 1) if number not in rerolled(row))


def reroll_takes(brief: Brief, row: ClipRow, *, measured: bool) -> tuple[int, ...]:
    """The numbers of the rerolls that there are and of those that there may still be, in the order in which they are made.

    Args:
        brief: what is asked for.
        row: the clip.
        measured: videos are measured; without a score no further one is made.
    """
    before = rerolled(row)
    if brief.reroll is None or not measured or row.chosen_take is not None:  # who has chosen wants no other
        return before
    following = (brief.takes or 1) + row.extra_takes + 1
    return (*before, *range(following, following + max(0, brief.reroll.at_most - len(before))))


def may_begin(brief: Brief, row: ClipRow, *, refused: bool, settled: bool) -> bool:
    """Whether a reroll may be paid for where the score is low; the gates are asked besides.

    Args:
        brief: what is asked for.
        row: the clip.
        refused: another take was refused for good: the same picture and prompt are not paid for again.
        settled: this very video was delivered before, and nobody runs the clip by hand: it was not asked to be better.
    """
    return brief.reroll is not None and row.chosen_take is None and not refused and not settled
