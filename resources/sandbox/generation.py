"""One accepted request: everything that is known of it, and what a poll sees at a moment."""

import math
import random
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from resources.sandbox.config import SandboxConfig
from resources.sandbox.drawing.job import RenderJob
from resources.sandbox.faults import Kind


class State(StrEnum):
    """What a request is at a moment."""

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
        account: Who may read it.
        model_id: The id that was asked.
        body: The request body; data: URIs are shortened.
        input_sha256: Hash of the canonical body with each medium as the hash of its bytes.
        price_microdollars: What was charged.
        created_at: When it was accepted.
        start_at: When it leaves the queue.
        ready_at: When its generation time is over.
        job: What is rendered.
        cancelled_at: When it was cancelled, None if it was not.
        rendered_at: When its video was there, None before.
        failure: Why it fails, None when it does not.
        mark: The fault that it carries, None for an ordinary one.
        hostile_url: The address that it names as its output, with the fault of that name.
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

    def state(self, now: float) -> State:
        """What a poll at ``now`` sees; the clock decides, so that nothing has to be written while it waits."""
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
        """When it ended, None before."""
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
        """True while somebody has to render it."""
        return self.rendered_at is None and self.cancelled_at is None and self.failure is None


def generation_seconds(config: SandboxConfig, input_sha256: str, repetition: int) -> float:
    """Log-normal generation time with the configured median; the same input takes the same time in every sandbox.

    Args:
        config: Median, spread and seed.
        input_sha256: The request's inputs.
        repetition: How often the same inputs were accepted before.
    """
    dice = random.Random(f"time/{config.seed}/{input_sha256}/{repetition}")  # noqa: S311 - no secret
    return config.generation_seconds * math.exp(config.generation_spread * dice.gauss(0, 1))
