"""Clips by their name, the number of their takes, and the errors of every operation on them."""

import difflib

from i2v_assets.clip_folder.notes import next_step
from i2v_assets.uploads.types import Candidate
from resources.errors import ErrorCode, I2VError, Verdict
from resources.ledger.records import State
from resources.registry.registry import ClipRow, ClipState, Registry

MOVING = (State.SUBMITTING, State.SUBMITTED, State.UNKNOWN)
"""Requests that may have been sent and have not ended."""


class NoSuchClip(I2VError):
    """No clip has this name."""

    code = ErrorCode.NO_SUCH_CLIP


class NotPossible(I2VError):
    """The clip's state or a limit rules out what was asked; asking again changes nothing."""

    code = ErrorCode.USAGE


class ClipBusy(I2VError):
    """A run has the clip, or it is due for one; ask again when it is done."""

    verdict = Verdict.RETRYABLE
    code = ErrorCode.CLIP_BUSY


class TakeNotFound(I2VError):
    """The clip has no take of this number that succeeded."""

    code = ErrorCode.INPUT


class PlanChanged(I2VError):
    """No plan of now has the hash that was to be approved."""

    code = ErrorCode.INPUT


def find_clip(registry: Registry, clip: str) -> ClipRow:
    """Return the clip of this name.

    Raises:
        NoSuchClip: there is none; names those that look like it, or why its upload was refused.
    """
    row = registry.get(clip) if clip else None
    if row is not None:
        return row
    if not clip:
        raise NoSuchClip(
            "No clip was given.",
            remedy="Give its partition key as `clip`, such as `clip: hero` in the launchpad's config; `i2v status` lists the clips.",
        )
    for refused in registry.refusals.now(clip):
        raise NoSuchClip(f"{clip} is not a clip yet, its upload is refused: {refused.words}", remedy=refused.remedy)
    near = difflib.get_close_matches(clip, [found.clip for found in registry.list()], 3)
    remedy = f"Did you mean {', '.join(near)}?" if near else "`i2v status` lists them."
    raise NoSuchClip(f"There is no clip {clip!r}.", remedy=remedy)


def takes_of(row: ClipRow) -> int:
    """Return how many takes a clip has, including those that were asked for and are not made yet."""
    return (Candidate.from_content(row.content).brief.takes or 1) + row.extra_takes


def way_on(row: ClipRow) -> str:
    """Return what lets a clip go on if the operation that was asked for cannot."""
    if row.state is ClipState.WAITING:
        return row.remedy or f"Next: {next_step(row.clip, row.wait)}"
    return f"`i2v retake {row.clip}` makes another take." if row.delivered_at else f"See: i2v status {row.clip}"
