"""Make failed or cancelled clips again."""

import json
from dataclasses import dataclass

from i2v_assets.operations.clips import NotPossible, find_clip, way_on
from i2v_assets.session import Session
from resources.ledger.records import State
from resources.registry.registry import ClipRow, ClipState
from resources.storage import keys
from resources.storage.errors import ObjectMissing
from resources.wait_reason import WaitReason


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
        session.ledger.retry(request.fingerprint, by=by, attempt=request.attempt)
    session.registry.enqueue([clip])
    return Retry(clip, tuple(request.fingerprint for request in again))


def _planned_fingerprints(session: Session, row: ClipRow) -> set[str]:
    """Return the fingerprints of the clip's latest plan: requests of an older brief stay as they ended."""
    found = {row.planned_fingerprint} if row.planned_fingerprint else set()
    try:
        stored = json.loads(session.bucket.read(keys.clip_key(row.clip, keys.PLAN)))
    except (ObjectMissing, ValueError):
        return found
    return found | {take["fingerprint"] for take in stored.get("takes", ()) if "fingerprint" in take}
