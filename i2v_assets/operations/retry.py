"""Make failed or cancelled clips again."""

from dataclasses import dataclass

from i2v_assets.operations.clips import ClipBusy, NotPossible, find_clip, way_on
from i2v_assets.session import Session
from resources.bounded_json import read_json
from resources.ledger.errors import IllegalTransition, StaleClaim
from resources.ledger.records import RequestRow, State
from resources.registry.registry import ClipRow, ClipState
from resources.storage import keys
from resources.storage.errors import ObjectMissing
from resources.wait_reason import WaitReason

_GOES_ON = (ClipState.DUE, ClipState.DISPATCHED, ClipState.WORKING)
"""A stopped clip in one of these states is only fetched; without its stop it is made."""


@dataclass(frozen=True)
class Retry:
    """A clip that is due again, and the fingerprints of the requests that may be sent again."""

    clip: str
    fingerprints: tuple[str, ...]


def retry_clip(session: Session, clip: str, *, by: str) -> Retry:
    """Make a failed or cancelled clip due again. What the service charged for the failure is not refunded.

    A clip whose paid video is lost is due again too: the video is looked for once more, which is free.

    Raises:
        NoSuchClip: there is no such clip.
        NotPossible: it has not failed, was not cancelled, and its video is not lost.
        FinalOutcome: the service's content rules refuse it for good.
    """
    row = find_clip(session.registry, clip)
    waits = row.state is ClipState.WAITING and row.wait in (WaitReason.PERSON, WaitReason.LOST)
    if row.stopped_by is not None and not waits and row.state in (*_GOES_ON, ClipState.WAITING):
        if not session.registry.stops.unstop(row):
            raise _changed(session, row)
        return Retry(clip, ())
    if row.state is not ClipState.FAILED and not waits:
        raise NotPossible(
            f"It is {row.state}; only failed and cancelled clips are made again.",
            remedy=way_on(row),
        )
    planned = _planned_fingerprints(session, row)
    ended = [
        request
        for request in session.ledger.list((State.FAILED, State.CANCELLED), clip=clip)
        if request.fingerprint in planned
    ]
    again = [request for request in ended if not request.final] or ended  # if all are final, the ledger raises
    for request in again:
        _plan_again(session, request, by)
    if not session.registry.enqueue([clip], seen={clip: row}, wanted=True):
        raise _changed(session, row)
    return Retry(clip, tuple(request.fingerprint for request in again))


def _plan_again(session: Session, request: RequestRow, by: str) -> None:
    try:
        session.ledger.retry(request.fingerprint, by=by, attempt=request.attempt)
    except (StaleClaim, IllegalTransition):
        now = session.ledger.get(request.fingerprint)
        if now is None or now.state is not State.PLANNED:  # another person's retry did the same
            raise


def _changed(session: Session, row: ClipRow) -> ClipBusy:
    """Return the error for a clip that somebody changed between the look at it and the write."""
    now = session.registry.get(row.clip) or row
    why = f" ({now.reason})" if now.state is ClipState.WAITING and now.reason else ""
    return ClipBusy(f"{row.clip} has changed meanwhile: it is {now.state}{why}.", remedy=f"See: i2v status {row.clip}")


def _planned_fingerprints(session: Session, row: ClipRow) -> set[str]:
    """Return the fingerprints of the clip's latest plan: requests of an older brief stay as they ended."""
    found = {row.planned_fingerprint} if row.planned_fingerprint else set()
    try:
        stored = read_json(session.bucket.read(keys.clip_key(row.clip, keys.PLAN)))
    except (ObjectMissing, ValueError):
        return found
    takes = [take for name in ("takes", "rerolls") for take in stored.get(name, ()) if isinstance(take, dict)]
    requests = [each for take in takes for each in (take, *take.get("pieces", ()))]
    return found | {each["fingerprint"] for each in requests if "fingerprint" in each}
