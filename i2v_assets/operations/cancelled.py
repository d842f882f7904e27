"""Clips that a person stopped: no approval makes them."""

from collections.abc import Sequence

from i2v_assets.operations.clips import NotPossible
from i2v_assets.session import Session
from resources.registry.base import retry_remedy
from resources.registry.registry import ClipRow, ClipState
from resources.wait_reason import WaitReason


def cancelled_clips(session: Session, clips: Sequence[str]) -> tuple[ClipRow, ...]:
    """Return those of the clips that are stopped, as the registry knows them now."""
    return tuple(row for row in session.registry.many(list(clips)).values() if _is_cancelled(row))


def refuse_cancelled(session: Session, clips: Sequence[str]) -> tuple[str, ...]:
    """Return which of the clips are cancelled, so that an approval of them starts nothing.

    Raises:
        NotPossible: all of them are.
    """
    cancelled = cancelled_clips(session, clips)
    if not cancelled or len(cancelled) < len(set(clips)):
        return tuple(row.clip for row in cancelled)
    first = cancelled[0]
    others = f" So are {len(cancelled) - 1} others." if len(cancelled) > 1 else ""
    raise NotPossible(
        f"{first.clip} is cancelled: {first.reason or 'a person stopped it.'}{others} Nothing was approved.",
        remedy=f"{retry_remedy(first.clip)}, and approve it then.",
    )


def _is_cancelled(row: ClipRow) -> bool:
    return row.stopped_by is not None or (row.state is ClipState.WAITING and row.wait is WaitReason.PERSON)
