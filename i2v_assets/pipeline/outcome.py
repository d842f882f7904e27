"""What became of a clip: the one value that `process_clip` returns and `report` writes everywhere."""

from dataclasses import dataclass
from typing import Self, TypeAlias

from i2v_assets.clip_folder.manifest import Manifest
from i2v_assets.pipeline.plan import Planned
from i2v_assets.pipeline.postprocess import PostprocessResult
from i2v_assets.pipeline.takes import Take
from i2v_assets.planning.plan import Plan
from resources.errors import ErrorCode
from resources.generation.types import Held
from resources.problem import Problem
from resources.registry.base import cancelled_words, retry_remedy
from resources.registry.rows import ClipRow
from resources.wait_reason import WaitReason

HOLDS_NO_OTHER = {WaitReason.LOST, WaitReason.PERSON}
"""Waits of one take that end with a person: the clip shows another of its takes meanwhile."""

_STANDS_ANYWAY = {
    WaitReason.FINAL,
    WaitReason.UNKNOWN,
    WaitReason.LOST,
    WaitReason.DEADLINE,
    WaitReason.DOWNLOAD,
    WaitReason.STORAGE,
}
"""What a stopped clip says all the same: a person has to know it, or something that was sent is still to be fetched."""


@dataclass(frozen=True)
class ClipPlanned:
    """The run was asked for no video. ``planned`` is None if it was asked for the source files alone."""

    row: ClipRow
    planned: Planned | None = None


@dataclass(frozen=True)
class ClipRefused:
    """The upload or its brief cannot become a request; a person has to change it."""

    row: ClipRow
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class ClipWaiting:
    """Nothing is wrong with the clip, but something has to happen first.

    Attributes:
        row: the clip.
        reason: what it waits for.
        problem: the same in words, with the remedy.
        plan: the take that is held; None if there is no plan.
        plans: all takes that are asked for.
        rerolls: those that a low quality score may add.
        code: what caused it, None if no error did.
        http_status: the HTTP status of the answer that caused it.
        request_id: the service's id of the request that is held.
        held: its fingerprint: of a take that is made in pieces, that of the piece; None if no request is held.
    """

    row: ClipRow
    reason: WaitReason
    problem: Problem
    plan: Plan | None = None
    plans: tuple[Plan, ...] = ()
    rerolls: tuple[Plan, ...] = ()
    code: ErrorCode | None = None
    http_status: int | None = None
    request_id: str | None = None
    held: str | None = None

    @classmethod
    def for_take(cls, planned: Planned, plan: Plan, found: Held) -> Self:
        """Return the clip's wait for one of its takes; a reroll that it waits for counts among those that are asked for."""
        plans = tuple(planned.plans) if plan in planned.plans else (*planned.plans, plan)
        return cls(
            planned.row,
            found.kind,
            Problem(found.reason, remedy=found.remedy),
            plan,
            plans,
            tuple(reroll for reroll in planned.rerolls if reroll not in plans),
            found.code,
            found.http_status,
            found.request_id,
            found.order.fingerprint,
        )


@dataclass(frozen=True)
class ClipFailed:
    """Its requests brought no video, or the clip could not be processed.

    Attributes:
        row: the clip.
        reason: what follows: `WaitReason.RETRY`, `NEVER` or `FINAL`.
        problem: what failed, with the remedy.
        plan: the first take; None if there is no plan.
        code: what failed.
        http_status: the HTTP status of the answer that said so.
        request_id: the service's id of the failed request.
    """

    row: ClipRow
    reason: WaitReason
    problem: Problem
    plan: Plan | None = None
    code: ErrorCode = ErrorCode.ERROR
    http_status: int | None = None
    request_id: str | None = None


@dataclass(frozen=True)
class ClipDelivered:
    """The video is the clip's answer.

    Attributes:
        row: the clip.
        plan: the first take.
        chosen: the take that is the clip's video.
        finished: what was measured and drawn of it; None if the very same answer was there before.
        before: the manifest of that answer.
        provenance: whether the video is signed, in words.
        takes: all takes that are there.
    """

    row: ClipRow
    plan: Plan
    chosen: Take
    finished: PostprocessResult | None = None
    before: Manifest | None = None
    provenance: str = ""
    takes: tuple[Take, ...] = ()


ClipOutcome: TypeAlias = ClipPlanned | ClipRefused | ClipWaiting | ClipFailed | ClipDelivered


def as_stopped(outcome: ClipOutcome, now: ClipRow | None) -> ClipOutcome:
    """Return the outcome of a clip that a person stopped: it waits for them, whatever its requests came to."""
    by = now.stopped_by if now is not None else None
    if by is None or not isinstance(outcome, ClipWaiting | ClipFailed) or outcome.reason in _STANDS_ANYWAY:
        return outcome
    row = outcome.row
    problem = Problem(cancelled_words(by), remedy=retry_remedy(row.clip))
    return ClipWaiting(row, WaitReason.PERSON, problem, outcome.plan, request_id=outcome.request_id)
