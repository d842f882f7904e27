"""One generation from its plan to its end, with what is told on the way; and which exit code its end is."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from i2v_assets.cli.console import err
from i2v_assets.cli.exit_codes import Exit
from i2v_assets.session import Session

if TYPE_CHECKING:
    from i2v_assets.planning.plan import Plan
    from resources.generation.types import Outcome
    from resources.storage.bucket import Bucket

LOOK_SECONDS = 0.25
"""Between two looks at the ledger for what to tell; the service is not asked for it."""

PACE_SECONDS = 300.0
"""How long "too many requests" (429) is waited out before the command ends as held: the pauses double from 1 s to the longest
of 120 s, so every pace that the engine has was tried by then, and a person at the shell can decide."""

SANDBOX_SECONDS = 2.0
"""Before it has been seen, the sandbox is expected to take so long, whichever model it plays (its default is 4 s)."""

TOO_MANY = "refused_for_now"
"""The ledger's event of a submit that the service answered with 429 (too many requests)."""

SERVER_ERRORS = 500
"""From this HTTP status on the service, and not the request, is to blame."""


@dataclass
class Course:
    """How a generation ended.

    Attributes:
        outcome: What the engine said last; None where it was stopped before anything was sent.
        interrupted: The signal that ended the wait, None where none did.
        submitted_only: The wait ended because only the submit was asked for.
        refused: The wait ended because the service refused for now for `PACE_SECONDS`: what it said.
    """

    outcome: "Outcome | None" = None
    interrupted: signal.Signals | None = None
    submitted_only: bool = False
    refused: str = ""


def follow(
    session: Session,
    bucket: "Bucket",
    plan: "Plan",
    scratch: Path,
    *,
    run_id: str,
    wait: bool,
) -> Course:
    """Take a plan through the engine; Ctrl-C cancels at the service, SIGTERM leaves the request running.

    Args:
        session: The ledger.
        bucket: Where inputs lie and the video goes.
        plan: What to make.
        scratch: Folder for the video on its way.
        run_id: Whose budget per run counts.
        wait: False ends the wait once the request is recorded as submitted.
    """
    from resources.generation.run_sync import run_sync

    course = Course()

    class _Stopped(Exception):
        pass

    def heard(number: signal.Signals) -> None:
        course.interrupted = number
        if number is signal.SIGINT:
            err.print("Stopping: asking the service to cancel ...")

    with contextlib.suppress(_Stopped):
        run_sync(
            lambda: _follow(session, bucket, plan, scratch, course, run_id=run_id, wait=wait),
            interrupted=_Stopped,
            heard=heard,
        )
    return course


async def _follow(
    session: Session,
    bucket: "Bucket",
    plan: "Plan",
    scratch: Path,
    course: Course,
    *,
    run_id: str,
    wait: bool,
) -> None:
    from resources.generation.factory import open_engine, options_of
    from resources.generation.types import GenerationRequest

    def stop_kind() -> Literal["person", "other"]:
        return "person" if course.interrupted is signal.SIGINT else "other"

    order = GenerationRequest(plan.clip, plan.take, plan.fingerprint, plan.inputs, plan.route, plan.price_microdollars)
    options = options_of(session.settings)
    if session.settings.service == "sandbox":
        options = replace(options, prior_seconds=SANDBOX_SECONDS)
    async with open_engine(
        session.settings, session.ledger, bucket, scratch=scratch, run_id=run_id, stop_kind=stop_kind, options=options
    ) as engine:

        async def consume() -> None:
            async with aclosing(engine.stream([order])) as outcomes:
                async for outcome in outcomes:
                    course.outcome = outcome

        consumer = asyncio.create_task(consume())
        teller = asyncio.create_task(
            _tell(
                session,
                plan.fingerprint,
                lambda: _submitted(course, consumer, wait),
                lambda why: _refused(course, consumer, why),
            )
        )
        try:
            await asyncio.wait({consumer})
        except asyncio.CancelledError:
            consumer.cancel()
            await asyncio.wait({consumer})
            raise
        finally:
            teller.cancel()
        if not consumer.cancelled() and (error := consumer.exception()) is not None:
            raise error


def _submitted(course: Course, consumer: "asyncio.Task[None]", wait: bool) -> None:
    if not wait:
        course.submitted_only = True
        consumer.cancel()


def _refused(course: Course, consumer: "asyncio.Task[None]", why: str) -> None:
    course.refused = why
    consumer.cancel()


async def _tell(
    session: Session, fingerprint: str, submitted: Callable[[], None], refused: Callable[[str], None]
) -> None:
    """Say what the ledger says, when it changes; on a terminal with the seconds that have passed."""
    from resources.ledger.records import State

    began, said = time.monotonic(), ""
    refused_since: float | None = None
    status = err.status("waiting") if err.is_terminal else None
    try:
        if status is not None:
            status.start()
        while True:
            row = await asyncio.to_thread(session.ledger.get, fingerprint)
            words = ""
            if row is not None and row.state is State.SUBMITTED:
                words = f"request {row.request_id}: {'running' if row.started_at else 'submitted'}"
                submitted()
            elif row is not None and row.state is State.SUCCEEDED:
                words = f"request {row.request_id}: done, fetching the video"
            elif row is not None and row.state is State.PLANNED:
                words = "planned; waiting for its turn"
                events = await asyncio.to_thread(session.ledger.events, fingerprint) if row.reason else ()
                if row.reason and events and events[-1].what == TOO_MANY:
                    words = f"not sent yet: {row.reason} It is tried again."
                    refused_since = refused_since or time.monotonic()
                    if time.monotonic() - refused_since > PACE_SECONDS:
                        refused(row.reason)
            if words and words != said:
                said = words
                if status is None:
                    err.print(words, markup=False, highlight=False)
            if status is not None:
                status.update(f"{said or 'submitting'}  {time.monotonic() - began:.0f} s")
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        if status is not None:
            status.stop()


def exit_of(course: Course) -> Exit:
    """The exit code of a generation's end, as the vendor's tool has them.

    An account that is refused, a service that does not answer, and a body that does not fit its schema come as held or
    failed requests; their codes and HTTP statuses tell them apart.
    """
    from resources.errors import ErrorCode
    from resources.generation.types import Cancelled, Delivered, Failed, Held
    from resources.wait_reason import WaitReason

    if course.interrupted is signal.SIGINT:
        return Exit.INTERRUPTED
    match course.outcome:
        case Delivered():
            return Exit.OK
        case Held(kind=WaitReason.ACCOUNT) as held:
            return Exit.TRY_LATER if held.code is ErrorCode.INSUFFICIENT_BALANCE else Exit.NO_TOKEN
        case Held(kind=WaitReason.SERVICE) as held:
            status = held.http_status
            return Exit.UNAVAILABLE if status is None or status >= SERVER_ERRORS else Exit.TRY_LATER
        case Held(kind=WaitReason.STORAGE):
            return Exit.UNAVAILABLE
        case Held(kind=WaitReason.STOPPED) if course.submitted_only:
            return Exit.OK
        case Held():
            return Exit.TRY_LATER
        case Failed(code=ErrorCode.INVALID_INPUT):
            return Exit.DATA
        case Failed(request_id=None, final=False, http_status=None):
            return Exit.UNAVAILABLE
        case Failed() | Cancelled():
            return Exit.FAILED
        case _:
            return Exit.TRY_LATER
