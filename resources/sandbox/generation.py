"""One accepted request: its facts, and its state at a moment."""

import math
import random
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from resources.sandbox.config import SandboxConfig
from resources.sandbox.drawing.job import RenderJob
from resources.sandbox.faults import Kind


class State(StrEnum):
    """The state of a request at a moment."""

    IN_QUEUE = "in_queue"
    IN_PROGRESS = "in_progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})


class Generation(BaseModel):
    """A request that was accepted and charged. All times are seconds since 1970.

    Attributes:
        request_id: Its id on the wire.
        number: Its place in the order of acceptance, from 1.
        account: The account that may read it.
        model_id: The id in the call.
        body: The request body; data: URIs are shortened.
        input_sha256: Hash of the canonical body with each medium as the hash of its bytes.
        price_microdollars: The amount charged.
        created_at: When it was accepted.
        start_at: When it leaves the queue.
        ready_at: When its generation time is over.
        job: The rendering job.
        cancelled_at: When it was cancelled, or None.
        rendered_at: When its video was ready, or None.
        failure: Why it fails, or None.
        mark: The fault that it carries, or None.
        cost_delay_seconds: How long after its end the price is reported; None: never.
        told_cost_usd: The cost that /result reports instead of the price, with the fault wrong_cost.
        hostile_url: The URL that it returns as its output, with the fault of that name.
    """

    model_config = ConfigDict(validate_assignment=False)

    request_id: str
    number: int
    account: str
    model_id: str
    body: dict[str, Any]
    input_sha256: str
    price_microdollars: int
    created_at: float
    start_at: float
    ready_at: float
    job: RenderJob
    cancelled_at: float | None = None
    rendered_at: float | None = None
    failure: str | None = None
    mark: Kind | None = None
    hostile_url: str | None = None
    told_cost_usd: float | None = None
    cost_delay_seconds: float | None = 0.0

    def state(self, now: float) -> State:
        """Return the state at ``now``. It depends only on the clock, so nothing is written while the request waits."""
        if self.cancelled_at is not None:
            return State.CANCELLED
        if now < self.start_at or self.mark is Kind.STUCK_IN_QUEUE:
            return State.IN_QUEUE
        if now < self.ready_at or self.mark is Kind.STUCK:
            return State.IN_PROGRESS
        if self.failure is not None:
            return State.FAILED
        return State.IN_PROGRESS if self.rendered_at is None else State.SUCCEEDED

    def finished_at(self, now: float) -> float | None:
        """Return when the request ended, or None."""
        match self.state(now):
            case State.CANCELLED:
                return self.cancelled_at
            case State.FAILED:
                return self.ready_at
            case State.SUCCEEDED:
                return max(self.ready_at, self.rendered_at or 0)
            case _:
                return None

    @property
    def needs_video(self) -> bool:
        """Return True while its video has to be rendered."""
        return self.rendered_at is None and self.cancelled_at is None and self.failure is None


def generation_seconds(config: SandboxConfig, input_sha256: str, repetition: int) -> float:
    """Return a log-normal time with the configured median; the same input takes the same time in every sandbox.

    Args:
        config: Median, spread and seed.
        input_sha256: The request's inputs.
        repetition: How many times the same inputs were accepted before.
    """
    dice = random.Random(f"time/{config.seed}/{input_sha256}/{repetition}")  # noqa: S311 - no secret
    return config.generation_seconds * math.exp(config.generation_spread * dice.gauss(0, 1))
