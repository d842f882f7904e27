"""The states of a request and the only ways from one to another."""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Where a request stands; `submitting`, `submitted` and `unknown` may cost money."""

    PLANNED = "planned"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


ALLOWED: Mapping[State, frozenset[State]] = {
    State.PLANNED: frozenset({State.SUBMITTING, State.CANCELLED}),
    State.SUBMITTING: frozenset({State.SUBMITTED, State.PLANNED, State.FAILED, State.UNKNOWN}),
    State.SUBMITTED: frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset({State.PLANNED}),
    State.CANCELLED: frozenset({State.PLANNED}),
    State.UNKNOWN: frozenset({State.SUBMITTED, State.PLANNED, State.FAILED}),
}
"""All transitions; the database refuses any other by a trigger, whoever writes."""
