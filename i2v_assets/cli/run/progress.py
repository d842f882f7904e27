"""Follow one generation from its plan to its end: show its progress, and give its end an exit code."""

import asyncio
import contextlib
import signal
import time
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from i2v_assets.cli.console import err
from i2v_assets.cli.exit_codes import Exit
from i2v_assets.planning.plan import Plan
from i2v_assets.session import Session
from resources.errors import ErrorCode
from resources.generation.engine import open_engine, options_of
from resources.generation.run_sync import run_sync
from resources.generation.types import Cancelled, Delivered, Failed, GenerationRequest, Held, Outcome
from resources.ledger.records import RequestRow, State
from resources.runcomfy.errors import RateLimited
from resources.wait_reason import WaitReason

PACE_SECONDS = 300.0
"""How long "too many requests" (429) is waited out before the command ends as held: the pauses double from 1 s to the longest
of 120 s, so every pace that the engine has was tried by then, and a person at the shell can decide."""

SANDBOX_SECONDS = 2.0
"""Generation time to expect of the sandbox before it has been seen, whichever model it plays (its default is 4 s)."""

SERVER_ERRORS = 500
"""From this HTTP status on the service, and not the request, is to blame."""


@dataclass
class Course:
    """How a generation ended.

    Attributes:
        outcome: The engine's last outcome; None if it was stopped before anything was sent.
        interrupted: The signal that ended the wait; None if none did.
        submitted_only: The wait ended because only the submit was asked for.
        refused: The wait ended because the service refused for `PACE_SECONDS`: its message.
    """

    outcome: Outcome | None = None
    interrupted: signal.Signals | None = None
    submitted_only: bool = False
    refused: str = ""


class _Stopped(Exception):
    """A signal ended the wait, and the engine has cleaned up."""


def follow(session: Session, plan: Plan, scratch: Path, *, run_id: str, wait: bool) -> Course:
    """Take a plan through the engine and return its end. Ctrl-C cancels at the service, SIGTERM leaves the request running.

    Args:
        session: The ledger, the bucket and the settings.
        plan: What to make.
        scratch: A folder for the video on its way.
        run_id: The run whose budget counts.
        wait: False ends the wait once the request is recorded as submitted.
    """
    course = Course()
    request = GenerationRequest(
        plan.clip, plan.take, plan.fingerprint, plan.inputs, plan.route, plan.at_most_microdollars,
        quote=plan.quote, billed=plan.billed,
    )  # fmt: skip
    options = options_of(session.settings)
    if session.settings.is_sandbox:
        options = replace(options, prior_seconds=SANDBOX_SECONDS)

    def on_signal(number: signal.Signals) -> None:
        course.interrupted = number
        if number is signal.SIGINT:
            err.print("Stopping: asking the service to cancel ...")

    def stop_kind() -> Literal["person", "other"]:
        return "person" if course.interrupted is signal.SIGINT else "other"

    async def stream() -> None:
        limit, refused = asyncio.timeout(None), ""

        def on_change(row: RequestRow, refusal: RateLimited | None) -> None:
            nonlocal refused
            line.show(_words(row, refusal))
            if limit.expired():  # the engine is winding down
                return
            now = asyncio.get_running_loop().time()
            if refusal is not None:
                limit.reschedule(limit.when() or now + PACE_SECONDS)
                refused = refusal.message
            elif row.state is State.SUBMITTED:
                limit.reschedule(None if wait else now)
                refused, course.submitted_only = "", not wait

        engine = open_engine(
            session.settings, session.ledger, session.bucket, scratch=scratch, run_id=run_id, options=options,
            stop_kind=stop_kind, on_change=on_change,
        )  # fmt: skip
        try:
            async with limit, engine as opened, aclosing(opened.stream([request])) as outcomes:
                async for outcome in outcomes:
                    course.outcome = outcome
        except TimeoutError:
            if not limit.expired():
                raise
            course.refused = refused

    with contextlib.suppress(_Stopped), _ProgressLine() as line:
        run_sync(stream, interrupted=_Stopped, heard=on_signal)
    return course


def _words(row: RequestRow, refusal: RateLimited | None) -> str:
    match row.state:
        case State.PLANNED:
            return f"not sent yet: {refusal.message} It is tried again." if refusal else "planned; waiting for its turn"
        case State.SUBMITTED:
            return f"request {row.request_id}: {'running' if row.started_at else 'submitted'}"
        case State.SUCCEEDED:
            return f"request {row.request_id}: done, fetching the video"
        case _:
            return ""


@dataclass
class _ProgressLine:
    """The latest progress: on a terminal one line with the seconds that have passed, elsewhere a line for each change."""

    words: str = "submitting"
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._status = err.status(self) if err.is_terminal else contextlib.nullcontext()

    def __rich__(self) -> str:
        return f"{self.words}  {time.monotonic() - self.began:.0f} s"

    def __enter__(self) -> "_ProgressLine":
        self._status.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.__exit__(None, None, None)

    def show(self, words: str) -> None:
        if words and words != self.words and not err.is_terminal:
            err.print(words, markup=False, highlight=False)
        self.words = words or self.words


def exit_of(course: Course) -> Exit:
    """Return the exit code of a generation's end, the same as the vendor's tool.

    An account that is refused, a service that does not answer, and a body that does not fit its schema come as held or
    failed outcomes; their codes and HTTP statuses tell them apart.
    """
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
