"""Faults that an operator queues: which calls they hit, what they do, and how long they last."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Where(StrEnum):
    """The calls that a fault can hit."""

    SUBMIT = "submit"
    STATUS = "status"
    RESULT = "result"
    CANCEL = "cancel"
    DOWNLOAD = "download"
    FETCH_INPUT = "fetch_input"
    MODELS = "models"
    BALANCE = "balance"
    LOGIN = "login"


class Kind(StrEnum):
    """What a fault does; docs/sandbox.md has the table."""

    HTTP_400 = "http_400"
    HTTP_401 = "http_401"
    HTTP_402 = "http_402"
    HTTP_404 = "http_404"
    HTTP_409 = "http_409"
    HTTP_422 = "http_422"
    HTTP_429 = "http_429"
    HTTP_500 = "http_500"
    HTTP_503 = "http_503"
    TIMEOUT = "timeout"
    DISCONNECT_BEFORE = "disconnect_before"
    DISCONNECT_AFTER = "disconnect_after"
    GARBAGE = "garbage"
    ERROR_200 = "error_200"
    UNKNOWN_WORD = "unknown_word"
    FAILED_RESULT = "failed_result"
    STUCK = "stuck"
    STUCK_IN_QUEUE = "stuck_in_queue"
    HOSTILE_URL = "hostile_url"
    TRUNCATED = "truncated"
    TOO_LARGE = "too_large"
    WRONG_SIZE = "wrong_size"
    SILENT = "silent"
    NO_SOUND = "no_sound"
    CLIPPED = "clipped"
    WRONG_VOICE = "wrong_voice"
    LATE_VOICE = "late_voice"
    BLACK = "black"
    FROZEN = "frozen"
    SLIDESHOW = "slideshow"
    JUMP = "jump"
    UNSTEADY = "unsteady"
    WRONG_DURATION = "wrong_duration"
    WRONG_FIRST_FRAME = "wrong_first_frame"
    BROKEN_FILE = "broken_file"
    PICTURE = "picture"
    SOUND_ONLY = "sound_only"
    DOCUMENT = "document"
    HALF_FILE = "half_file"
    SLOW = "slow"
    SAME_ID = "same_id"
    WRONG_COST = "wrong_cost"
    ODD_NUMBERS = "odd_numbers"


HTTP_KINDS = {
    Kind.HTTP_400: 400,
    Kind.HTTP_401: 401,
    Kind.HTTP_402: 402,
    Kind.HTTP_404: 404,
    Kind.HTTP_409: 409,
    Kind.HTTP_422: 422,
    Kind.HTTP_429: 429,
    Kind.HTTP_500: 500,
    Kind.HTTP_503: 503,
}

VIDEO_KINDS = frozenset(
    {
        Kind.WRONG_SIZE,
        Kind.SILENT,
        Kind.NO_SOUND,
        Kind.CLIPPED,
        Kind.WRONG_VOICE,
        Kind.LATE_VOICE,
        Kind.BLACK,
        Kind.FROZEN,
        Kind.SLIDESHOW,
        Kind.JUMP,
        Kind.UNSTEADY,
        Kind.WRONG_DURATION,
        Kind.WRONG_FIRST_FRAME,
        Kind.BROKEN_FILE,
    }
)
"""Defects of the video itself: they stay with the request that they hit."""

FILE_KINDS = frozenset({Kind.PICTURE, Kind.SOUND_ONLY, Kind.DOCUMENT, Kind.HALF_FILE})
"""What is served as the video is none; it stays with the request that it hits."""

MARKING_KINDS = (
    VIDEO_KINDS | FILE_KINDS | {Kind.FAILED_RESULT, Kind.STUCK, Kind.STUCK_IN_QUEUE, Kind.HOSTILE_URL, Kind.WRONG_COST}
)
"""Kinds that change the result of a request; the call itself is answered normally."""

_CONNECTION = {Kind.TIMEOUT, Kind.DISCONNECT_BEFORE, Kind.DISCONNECT_AFTER, Kind.GARBAGE}
_ANSWERS = set(HTTP_KINDS) | _CONNECTION | {Kind.ERROR_200}

ALLOWED: dict[Where, frozenset[Kind]] = {
    Where.SUBMIT: frozenset(_ANSWERS | MARKING_KINDS | {Kind.SAME_ID}),
    Where.STATUS: frozenset(_ANSWERS | MARKING_KINDS | {Kind.UNKNOWN_WORD, Kind.ODD_NUMBERS}),
    Where.RESULT: frozenset(_ANSWERS | MARKING_KINDS | {Kind.UNKNOWN_WORD, Kind.ODD_NUMBERS}),
    Where.CANCEL: frozenset(_ANSWERS),
    Where.MODELS: frozenset(_ANSWERS),
    Where.BALANCE: frozenset(_ANSWERS),
    Where.LOGIN: frozenset(_ANSWERS),
    Where.DOWNLOAD: frozenset(
        set(HTTP_KINDS)
        | _CONNECTION
        | VIDEO_KINDS
        | FILE_KINDS
        | {Kind.TRUNCATED, Kind.TOO_LARGE, Kind.HOSTILE_URL, Kind.SLOW}
    ),
    Where.FETCH_INPUT: frozenset(
        set(HTTP_KINDS) | {Kind.TIMEOUT, Kind.DISCONNECT_BEFORE, Kind.GARBAGE, Kind.FAILED_RESULT}
    ),
}
"""The kinds that are possible for each call; another pair is rejected with 422."""

_ACCEPTS = frozenset({Kind.DISCONNECT_AFTER, Kind.TIMEOUT, Kind.GARBAGE, Kind.SAME_ID})


class Fault(BaseModel):
    """One fault as an operator queues it.

    Attributes:
        where: The call that it hits.
        kind: Its effect.
        times: How many calls it hits before it is used up.
        model_id: Only requests of this model; None hits all.
        request_id: Only this request.
        retry_after: Seconds in a ``Retry-After`` header, or the whole header as text, with the http errors.
        names_id: The answer of a submit that is not an acceptance names a request: the one that was accepted, else one that
            does not exist.
        id_field: Where that id stands: a dotted path into the body.
        cost_usd: The cost that wrong_cost reports.
        bytes_per_second: The pace of slow.
        probability: Chance that a matching call is hit; drawn from the sandbox's seed.
        accepted: For submits: whether the request is accepted and charged behind the bad answer. None: yes for
            disconnect_after, timeout, garbage and same_id, no otherwise.
        message: The text of failed_result and of the http errors.
        url: The address of hostile_url.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    where: Where
    kind: Kind
    times: int = Field(1, ge=1)
    model_id: str | None = None
    request_id: str | None = None
    retry_after: float | str | None = None
    names_id: bool = False
    id_field: str = "request_id"
    cost_usd: float = 0.0
    bytes_per_second: int = Field(1, ge=1)
    probability: float = Field(1.0, gt=0, le=1)
    accepted: bool | None = None
    message: str | None = None
    url: str | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.kind not in ALLOWED[self.where]:
            allowed = ", ".join(sorted(ALLOWED[self.where]))
            raise ValueError(f"{self.kind} does nothing at {self.where}; there are: {allowed}")
        return self

    @property
    def accepts(self) -> bool:
        """Return True if a submit that it hits is accepted and charged all the same."""
        return self.kind in _ACCEPTS if self.accepted is None else self.accepted


@dataclass(slots=True)
class QueuedFault:
    """A fault in the queue.

    Attributes:
        fault: The fault.
        left: Calls that it will still hit.
        hit: Calls that it has hit.
    """

    fault: Fault
    left: int
    hit: int = 0


class FaultQueue:
    """The queued faults in order; the first that matches a call hits it."""

    def __init__(self, seed: int, queued: Iterable[QueuedFault] = ()) -> None:
        self._random = random.Random(f"faults/{seed}")  # noqa: S311 - a test's dice, not a secret
        self._by_where: dict[Where, list[QueuedFault]] = {}
        for entry in queued:
            self._insert(entry)

    def _insert(self, entry: QueuedFault) -> None:
        self._by_where.setdefault(entry.fault.where, []).append(entry)

    def add(self, fault: Fault) -> None:
        """Queue one more fault."""
        self._insert(QueuedFault(fault, fault.times))

    def clear(self) -> int:
        """Remove all faults; return how many were queued."""
        waiting = len(self.queued)
        self._by_where.clear()
        return waiting

    @property
    def queued(self) -> list[QueuedFault]:
        """Return the queued faults, in order per call."""
        return [entry for entries in self._by_where.values() for entry in entries]

    def take(self, where: Where, *, model_id: str | None = None, request_id: str | None = None) -> Fault | None:
        """Return the fault that hits this call, counted down, or None."""
        entries = self._by_where.get(where)
        if not entries:  # an ordinary poll
            return None
        for entry in entries:
            fault = entry.fault
            if fault.model_id not in (None, model_id) or fault.request_id not in (None, request_id):
                continue
            if fault.probability < 1 and self._random.random() >= fault.probability:
                continue
            entry.left -= 1
            entry.hit += 1
            if entry.left == 0:
                entries.remove(entry)
            return fault
        return None
