"""Pause and resume all paid work of a service, in every process that works on this ledger."""

from dataclasses import dataclass

from i2v_assets.session import Session
from resources.ledger.holds import ServiceHold
from resources.registry.registry import ClipState
from resources.wait_reason import WaitReason


@dataclass(frozen=True)
class Resumed:
    """What a resume did: the hold that it ended, None if there was none, and the clips that it had held."""

    hold: ServiceHold | None
    clips: tuple[str, ...]


def pause_work(session: Session, *, by: str) -> ServiceHold:
    """Let nothing more be sent that costs money, and return the hold in force. What was sent is still fetched."""
    return session.ledger.hold_service(session.settings.service, by)


def resume_work(session: Session) -> Resumed:
    """End the pause. A run that waits with its clips goes on within seconds; clips without a run are due again."""
    hold = session.ledger.resume_service(session.settings.service)
    rows = [row for row in session.registry.list((ClipState.WAITING,)) if row.wait is WaitReason.PAUSED]
    alive = session.registry.runs.alive({row.run_id for row in rows if row.run_id})
    left = {row.clip: row for row in rows if row.run_id not in alive}
    session.registry.enqueue(sorted(left), seen=left)
    return Resumed(hold, tuple(sorted(row.clip for row in rows)))
