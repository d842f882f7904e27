"""Parsing of the service's answers: pure, lenient, and claiming no more than an answer says.

An unknown word is neither an end nor a success. A number that cannot be a price is not a price. The service's texts may
quote the user's own presigned URLs, so every text passes ``redact.redact_line`` before a person or a log sees it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import Any

from pydantic import SecretStr

from resources.bounded_json import read_json
from resources.redact import redact_line
from resources.runcomfy.refusals import error_text

REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""The accepted form of a request id; it becomes part of a path, so nothing else is allowed."""

MODEL_ID = re.compile(r"(?!.*(^|/)\.{1,2}(/|$))[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
"""The accepted form of a model id; it becomes part of a path, so dot segments are excluded."""

MAX_MODEL_ID = 200
"""A longer text is not an id of a model."""

MAX_UNIT = 40
"""Characters of a price's unit that are kept; the known ones have up to 6."""

MAX_USD = 1_000_000
"""A cost or price above a million dollars is a parsing error, not money."""

MAX_OUTPUTS = 20
"""So many addresses of one answer are looked at; a clip is one video, and a model adds a picture or a sound to it."""

MAX_QUEUE = 1_000_000
"""A place in the queue beyond this one is a parsing error, not a queue."""

EARLIEST, LATEST = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""No request was made before the service existed; a moment outside is not a time (zero, milliseconds, an overflow)."""


class RequestState(StrEnum):
    """The state of a request, as far as an answer can be understood."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"
    """Only from /status: the request has ended, and the result says how."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNREADABLE_WORD = "unreadable_word"
    """An unknown word: not finished yet."""

    @property
    def over(self) -> bool:
        """Return True if the request has ended; after /status the result still has to be fetched."""
        return self in {RequestState.ENDED, RequestState.SUCCEEDED, RequestState.FAILED, RequestState.CANCELLED}


class CancelOutcome(StrEnum):
    """The outcome of a cancel."""

    CANCELLED = "cancelled"
    NOT_CANCELLABLE = "not_cancellable"
    REQUESTED = "requested"
    UNCONFIRMED = "unconfirmed"
    """The answer does not say; check the request's status."""


@dataclass(frozen=True, slots=True)
class Submission:
    """An accepted submit. Only the id of the answer is reliable."""

    request_id: str


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """An answer of /status; whether ``queue_position`` starts at 0 or 1 is unknown."""

    state: RequestState
    word: str
    queue_position: int | None = None


@dataclass(frozen=True, slots=True)
class ResultAnswer:
    """An answer of /result.

    Attributes:
        state: Never ENDED.
        word: The service's own word, cleaned.
        output_urls: Addresses under `output`, those below `video` and `videos` first; secret, because each grants access.
        named_videos: How many of them are below `video` or `videos`.
        error: The service's message for a failed request.
        cost_microdollars: The cost, None if the service does not (or not yet) report it.
        created_at: When the service accepted the request.
        finished_at: When it ended.
        model_id: The model that answered; None if it is not named, or not readably.
    """

    state: RequestState
    word: str
    output_urls: tuple[SecretStr, ...] = ()
    named_videos: int = 0
    error: str | None = None
    cost_microdollars: int | None = None
    created_at: datetime | None = None
    finished_at: datetime | None = None
    model_id: str | None = None


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One model of the live catalogue; an unreadable price is None."""

    model_id: str
    display_name: str
    base_price_microdollars: int | None
    price_unit: str
    input_schema: Mapping[str, Any] | None
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Balance:
    """The account's balance in micro-dollars; can be negative."""

    microdollars: int


@dataclass(frozen=True, slots=True)
class Account:
    """The account that the token belongs to."""

    user_id: str
    email: str | None


def parse_json(content: bytes) -> object:
    """Return the JSON value of a body, or None if it is not JSON (an HTML page, half an answer, absurd nesting)."""
    try:
        return read_json(content)
    except ValueError:
        return None


def parse_object(content: bytes) -> dict[str, Any] | None:
    """Return the JSON object of a body, or None."""
    value = parse_json(content)
    return value if isinstance(value, dict) else None


def microdollars(usd: object) -> int | None:
    """Return dollars as whole micro-dollars, rounded up; None if the value cannot be an amount of money."""
    if isinstance(usd, bool) or not isinstance(usd, int | float | str):
        return None
    try:
        amount = Decimal(str(usd).strip())
    except ArithmeticError:
        return None
    if not amount.is_finite() or abs(amount) > MAX_USD:
        return None
    return int((amount * 1_000_000).to_integral_value(ROUND_CEILING))


def cost(usd: object) -> int | None:
    """Return a cost or price in micro-dollars: like ``microdollars``, but never negative."""
    amount = microdollars(usd)
    return amount if amount is not None and amount >= 0 else None


def moment(value: object) -> datetime | None:
    """Return a time (ISO 8601 or seconds since 1970) in UTC; None if it is none, or outside `EARLIEST` to `LATEST`."""
    found = None
    try:
        if isinstance(value, str):
            parsed = datetime.fromisoformat(value.strip())
            found = parsed.replace(tzinfo=parsed.tzinfo or UTC).astimezone(UTC)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found = datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return found if found is not None and EARLIEST <= found <= LATEST else None


def _word(body: Mapping[str, Any]) -> tuple[str, str]:
    raw = body.get("status")
    return (raw.strip().lower(), redact_line(raw, limit=40)) if isinstance(raw, str) else ("", "")


_STATUS_WORDS = {
    "in_queue": RequestState.WAITING,
    "pending": RequestState.WAITING,
    "waiting": RequestState.WAITING,
    "starting": RequestState.WAITING,
    "in_progress": RequestState.RUNNING,
    "processing": RequestState.RUNNING,
    "completed": RequestState.ENDED,
    "succeeded": RequestState.ENDED,
    "failed": RequestState.FAILED,
    "cancelled": RequestState.CANCELLED,
    "canceled": RequestState.CANCELLED,
}
_RESULT_WORDS = _STATUS_WORDS | {"completed": RequestState.SUCCEEDED, "succeeded": RequestState.SUCCEEDED}


def read_status(body: Mapping[str, Any]) -> StatusAnswer:
    """Parse an answer of /status."""
    key, word = _word(body)
    position = body.get("queue_position")
    if isinstance(position, bool) or not isinstance(position, int) or not 0 <= position <= MAX_QUEUE:
        position = None
    return StatusAnswer(_STATUS_WORDS.get(key, RequestState.UNREADABLE_WORD), word, position)


def read_result(body: Mapping[str, Any]) -> ResultAnswer:
    """Parse an answer of /result.

    Outputs are read from `output` alone, because `input` may echo the user's own URLs.
    """
    key, word = _word(body)
    state = _RESULT_WORDS.get(key, RequestState.UNREADABLE_WORD)
    error = None
    if state in {RequestState.FAILED, RequestState.CANCELLED}:
        error = error_text({"error": body.get("error")} if body.get("error") else body) or None
    urls, named_videos = _output_urls(body.get("output"))
    return ResultAnswer(
        state=state,
        word=word,
        output_urls=urls,
        named_videos=named_videos,
        error=error,
        cost_microdollars=cost(body.get("cost")),
        created_at=moment(body.get("created_at")),
        finished_at=moment(body.get("finished_at")),
        model_id=_model_id(body.get("model_id")),
    )


def _model_id(value: object) -> str | None:
    """Return the id of a model as it is named, perhaps with a pinned version behind it; None if it cannot be one."""
    if not isinstance(value, str) or len(value) > MAX_MODEL_ID:
        return None
    parts = re.split(r"[@:]", value.strip(), maxsplit=1)
    return value.strip() if all(_is_id(part) for part in parts) else None


def _is_id(text: str) -> bool:
    return len(text) <= MAX_MODEL_ID and MODEL_ID.fullmatch(text) is not None


def _output_urls(output: object) -> tuple[tuple[SecretStr, ...], int]:
    """Return every address under `output`, and how many are below `video` or `videos`: a mapping of names to an address, a list of them, or an object with a `url`.

    Below `video` and `videos` come first, then names that contain the word, then the others, each in the service's order:
    an output may contain a picture of the video too, as `video_cover`.
    """
    found: list[tuple[int, str]] = []

    def walk(value: object, rank: int, depth: int) -> None:
        if isinstance(value, str) and "://" in value:
            found.append((rank, value.strip()))
        elif isinstance(value, list) and depth:
            for item in value:
                walk(item, rank, depth - 1)
        elif isinstance(value, dict) and depth:
            for name, item in value.items():
                key = str(name).strip().lower()
                of_key = 0 if key in {"video", "videos"} else 1 if "video" in key else 2
                walk(item, min(rank, of_key), depth - 1)

    walk(output, 2, 4)  # deeper than any output seen, and shallow enough for a hostile one
    ordered = list(dict.fromkeys(url for _, url in sorted(found, key=lambda pair: pair[0])))[:MAX_OUTPUTS]
    named = {url for rank, url in found if rank == 0}
    return tuple(SecretStr(url) for url in ordered), sum(url in named for url in ordered)


_ID_NAMES = frozenset({"request_id", "requestid", "id"})
_ID_PATH = re.compile(r"/requests/([A-Za-z0-9_-]{1,128})(?:[/?#]|$)")
_ID_TEXT = re.compile(rb'"request_?[iI]d"\s*:\s*"([A-Za-z0-9_-]{1,128})"')
MAX_IDS = 5
"""So many ids of one answer are looked at; each is asked for at the service."""


@dataclass(frozen=True, slots=True)
class NamedIds:
    """The request ids that an answer names, in order; ``unusable`` if it names one that cannot be an id."""

    ids: tuple[str, ...] = ()
    unusable: bool = False


def named_ids(content: bytes) -> NamedIds:
    """Return the request ids anywhere in an answer to a submit, whatever else it says.

    They stand under `request_id` or `id`, or in an address of the request; what repeats the input is not looked at. An
    answer that is not JSON, or was cut, is searched as text.
    """
    body = parse_json(content)
    if not isinstance(body, dict | list):
        found = [match.decode() for match in _ID_TEXT.findall(content)]
        return NamedIds(tuple(dict.fromkeys(found))[:MAX_IDS])
    ids: list[str] = []
    unusable = False

    def walk(value: object, depth: int) -> None:
        nonlocal unusable
        if isinstance(value, list) and depth:
            for item in value[:20]:
                walk(item, depth - 1)
        elif isinstance(value, dict) and depth:
            for name, item in value.items():
                key = str(name).strip().lower()
                if key == "input":
                    continue
                if key in _ID_NAMES and not isinstance(item, bool | dict | list) and item not in (None, ""):
                    text = str(item).strip()
                    if REQUEST_ID.fullmatch(text) and not isinstance(item, float):
                        ids.append(text)
                    elif key != "id":
                        unusable = True
                elif key.endswith("_url") and isinstance(item, str):
                    ids.extend(_ID_PATH.findall(item))
                else:
                    walk(item, depth - 1)

    walk(body, 4)
    return NamedIds(tuple(dict.fromkeys(ids))[:MAX_IDS], unusable)


def read_cancel(body: Mapping[str, Any] | None) -> CancelOutcome:
    """Parse an answer of /cancel: `outcome` is reliable, `status` is not."""
    word = (body or {}).get("outcome")
    return {
        "cancelled": CancelOutcome.CANCELLED,
        "canceled": CancelOutcome.CANCELLED,
        "not_cancellable": CancelOutcome.NOT_CANCELLABLE,
        "cancellation_requested": CancelOutcome.REQUESTED,
    }.get(word.strip().lower() if isinstance(word, str) else "", CancelOutcome.UNCONFIRMED)


def read_entry(body: Mapping[str, Any], asked: str = "") -> CatalogueEntry:
    """Parse one entry of the catalogue; its id is the one that was asked for if it names none that can be one."""
    schema, named = body.get("input_schema"), body.get("model_id")
    unit = body.get("price_unit")
    return CatalogueEntry(
        model_id=named if isinstance(named, str) and _is_id(named) else asked,
        display_name=redact_line(body.get("display_name") or body.get("model_id") or asked, limit=200),
        base_price_microdollars=cost(body.get("base_price_usd")) or None,  # free is not a price: it is not known
        price_unit=redact_line(unit.lower(), limit=MAX_UNIT) if isinstance(unit, str) else "",
        input_schema=schema if isinstance(schema, dict) else None,
        raw=dict(body),
    )


def read_balance(body: Mapping[str, Any]) -> Balance | None:
    """Parse the balance; None if the answer has none. The integer overrides the float."""
    exact = body.get("balance_microdollars")
    if isinstance(exact, int) and not isinstance(exact, bool) and abs(exact) <= MAX_USD * 1_000_000:
        return Balance(exact)
    amount = microdollars(body.get("balance_usd"))
    return None if amount is None else Balance(amount)


def is_error(body: Mapping[str, Any] | None, http_status: int) -> bool:
    """Return True for an HTTP error, and for HTTP 200 with a non-null top-level `error_code`."""
    return http_status >= 400 or (body is not None and body.get("error_code") is not None)
