"""What the UI shows of a clip without a video: its state, the reason, the remedy, the price and where its note is."""

import hashlib
from dataclasses import dataclass

from i2v_assets.clip_folder.notes import Answer, AnswerKind
from i2v_assets.pipeline.metadata import Link, Metadata
from i2v_assets.pipeline.outcome import ClipFailed, ClipWaiting
from resources.ledger.records import Money
from resources.money import usd
from resources.registry.rows import ClipRow, ClipState
from resources.settings import Settings
from resources.storage import keys
from resources.wait_reason import WaitReason

STATES = {
    AnswerKind.REFUSED: ClipState.REFUSED,
    AnswerKind.FAILED: ClipState.FAILED,
    AnswerKind.WAITING: ClipState.WAITING,
}


@dataclass(frozen=True)
class StateReport:
    """A clip's state for the page of its partition.

    Attributes:
        metadata: what is shown.
        change: tells one state from the next. A clip that is looked at again and still waits for the same has the same one.
    """

    metadata: Metadata
    change: str


def state_report(
    row: ClipRow,
    answer: Answer,
    money: Money,
    settings: Settings,
    *,
    reason: WaitReason | None = None,
    price_microdollars: int | None = None,
    most_microdollars: int | None = None,
    outcome: ClipWaiting | ClipFailed | None = None,
) -> StateReport:
    """Return the state of a clip without a video, as its note says it.

    Args:
        row: the clip as it was before this state.
        answer: the note.
        money: what the ledger knows of the clip.
        settings: the link base.
        reason: what it waits for, or what follows its failure.
        price_microdollars: what the takes that are not sent yet are expected to cost.
        most_microdollars: what they may cost at most, with every reroll.
        outcome: what caused it, if a run did.
    """
    words = " ".join(problem.what for problem in answer.problems)
    note = keys.clip_key(row.clip, answer.kind.value)
    base = settings.video_link_base.rstrip("/")
    state, charged = STATES[answer.kind], money.microdollars
    first: Metadata = {
        "state": state.value,
        "waiting_for": reason.value if reason is not None and answer.kind is AnswerKind.WAITING else None,
        "reason": words,
    }
    metadata: Metadata = {
        **answer_metadata(answer, first, outcome),
        "price_usd": usd(price_microdollars) if price_microdollars else None,
        "at_most_usd": usd(most_microdollars)
        if most_microdollars and most_microdollars != price_microdollars
        else None,
        "charged_or_open_usd": usd(charged) if charged else None,
        "note": note,
        "link": Link(f"{base}/{note}") if base else None,
    }
    # The words of a wait count what is left of a budget or a time; only its kind and its price make it another wait.
    told = words if answer.kind is AnswerKind.REFUSED else str(reason)
    parts = (row.version, str(row.delivered_at), state.value, told, str(price_microdollars or 0), str(charged))
    return StateReport(metadata, hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16])


def answer_metadata(answer: Answer, first: Metadata, outcome: ClipWaiting | ClipFailed | None = None) -> Metadata:
    """Return an answer as the metadata of a check: what the note in the bucket says, and what caused it."""
    return {
        **first,
        "what to do": " ".join(problem.remedy for problem in answer.problems if problem.remedy),
        "answer": answer.title,
        "what happens next": answer.next,
        "code": outcome.code.value if outcome is not None and outcome.code is not None else None,
        "http_status": outcome.http_status if outcome is not None else None,
        "request_id": outcome.request_id if outcome is not None else None,
    }
