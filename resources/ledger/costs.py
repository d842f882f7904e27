"""Whether a cost that the service reports is believed. Pure."""

from typing import NamedTuple

from resources.money import dollars

MOST_TIMES_PLANNED = 5
"""A reported cost above this many times the reservation is doubted: the base price is not the bill, since resolution and
sound may raise it (docs/runcomfy-api.md, section 6), but no known surcharge comes near to five times the price."""


class Belief(NamedTuple):
    """What counts as the cost (None: it is not known), and why the report is doubted; empty if it is believed.

    What was reported beyond it still counts against the caps, as what may be charged, until a person has agreed to it.
    """

    microdollars: int | None
    doubt: str


def believe(reported: int, planned: int | None, *, succeeded: bool) -> Belief:
    """Return what a reported cost counts as.

    A success for nothing, or more than `MOST_TIMES_PLANNED` times the most that was planned, counts as that most. A run
    that failed or was cancelled may rightly cost nothing.

    Args:
        reported: what the service says, in micro-dollars.
        planned: what the claim reserved; None or 0 if the price was unknown.
        succeeded: the service made the video.
    """
    if reported == 0 and succeeded:
        return Belief(planned or None, f"the service reports a cost of {dollars(0)} for a video that it made")
    if planned and reported > MOST_TIMES_PLANNED * planned:
        return Belief(planned, f"the service reports a cost of {dollars(reported)}, planned were {dollars(planned)}")
    return Belief(reported, "")
