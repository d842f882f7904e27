"""Compare a manifest's statements with the ledger's rows. Pure; `verify` decides by the result.

The manifest is compared with the inputs in the ledger's row, and those inputs with the row's own fingerprint. To falsify a
prompt in both places, one must also falsify the fingerprint, and with it the video's key and the request.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, cast

from pydantic import ValidationError

from i2v_assets.clip_folder.manifest import Manifest
from resources.schemas.inputs import GenerationInputs, MediumKind, Service, fingerprint

SECONDS_APART = 0.001
"""Tolerance of durations: the ledger stores times to the microsecond, and float arithmetic may change the last digits."""

SHOWN = 60
"""Maximum characters of a text in a line: enough to tell two prompts apart."""


class PaidRow(Protocol):
    """The fields of a ledger row that verification reads."""

    @property
    def fingerprint(self) -> str: ...  # noqa: D102
    @property
    def service(self) -> str: ...  # noqa: D102
    @property
    def state(self) -> str: ...  # noqa: D102
    @property
    def clip(self) -> str: ...  # noqa: D102
    @property
    def take(self) -> int: ...  # noqa: D102
    @property
    def route(self) -> str: ...  # noqa: D102
    @property
    def seed(self) -> int: ...  # noqa: D102
    @property
    def request_id(self) -> str | None: ...  # noqa: D102
    @property
    def model_id(self) -> str | None: ...  # noqa: D102
    @property
    def price_microdollars(self) -> int | None: ...  # noqa: D102
    @property
    def cost_microdollars(self) -> int | None: ...  # noqa: D102
    @property
    def video_key(self) -> str | None: ...  # noqa: D102
    @property
    def video_sha256(self) -> str | None: ...  # noqa: D102
    @property
    def video_bytes(self) -> int | None: ...  # noqa: D102
    @property
    def inputs_json(self) -> str: ...  # noqa: D102
    @property
    def created_at(self) -> datetime: ...  # noqa: D102
    @property
    def submitted_at(self) -> datetime | None: ...  # noqa: D102
    @property
    def started_at(self) -> datetime | None: ...  # noqa: D102
    @property
    def finished_at(self) -> datetime | None: ...  # noqa: D102
    @property
    def delivered_at(self) -> datetime | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement of the manifest (``stated``) beside the ledger's value (``recorded``), as text for people."""

    what: str
    holds: bool
    stated: str
    recorded: str


def cost_agrees(stated: int | None, row: PaidRow, corrected: Collection[str] = ()) -> bool:
    """Return whether a manifest's cost is the ledger's, or was when the manifest was written.

    The service may report a cost later. A cost that could not be right counted as what was reserved until a person agreed to
    it, and a person may have corrected a cost by the bill.

    Args:
        stated: The manifest's cost.
        row: The request.
        corrected: Fingerprints of the requests of which a person corrected the cost.
    """
    cost, reserved = row.cost_microdollars, row.price_microdollars
    was_doubted = cost is not None and reserved is not None and cost > reserved and stated == reserved
    return stated in {None, cost} or was_doubted or row.fingerprint in corrected


def fingerprinted_inputs(
    row: PaidRow, prompt: str | None, negative_prompt: str | None = None
) -> GenerationInputs | None:
    """Return the inputs behind the row's fingerprint; None if the row's inputs do not match it or cannot be read.

    ``prompt`` and ``negative_prompt`` are what the manifest states; a prompt of None is not stated.
    """
    try:
        inputs = GenerationInputs.model_validate_json(row.inputs_json)
    except ValidationError:
        return None
    service = cast("Service", row.service)
    if fingerprint(service, inputs, row.take) == row.fingerprint:
        return inputs
    if prompt is None:
        return None
    # The ledger redacts signed addresses, even in a prompt. Then the fingerprint confirms the manifest's prompt instead.
    stated = inputs.model_copy(update={"prompt": prompt, "negative_prompt": negative_prompt})
    return stated if fingerprint(service, stated, row.take) == row.fingerprint else None


def claims_on_inputs(manifest: Manifest, inputs: GenerationInputs) -> Iterator[Claim]:
    """Yield the claims on the inputs; all of them are part of the fingerprint."""
    yield _same("family", manifest.family, inputs.family)
    yield _same("prompt", manifest.prompt, inputs.prompt)
    yield _same("negative prompt", manifest.negative_prompt, inputs.negative_prompt)
    yield _same("seed", manifest.seed, inputs.seed)
    yield _same("duration", manifest.duration, inputs.duration)
    yield _same("resolution", manifest.resolution, inputs.resolution)
    yield _same("aspect ratio", manifest.aspect_ratio, inputs.aspect_ratio)
    stated = [(medium.kind, medium.sha256, medium.size_bytes) for medium in manifest.media]
    recorded = [(medium.kind, medium.uploaded_sha256, medium.uploaded_size_bytes) for medium in inputs.media]
    yield Claim("media", Counter(stated) == Counter(recorded), _media(stated), _media(recorded))
    prepared = [
        (medium.kind, medium.prepared_sha256, medium.prepared_size_bytes or 0)
        for medium in manifest.media
        if medium.prepared_sha256 is not None
    ]
    sent = [(medium.kind, medium.sha256, medium.size_bytes) for medium in inputs.media if medium.preparation]
    if prepared or sent:
        yield Claim("prepared media", Counter(prepared) == Counter(sent), _media(prepared), _media(sent))


def claims_on_course(manifest: Manifest, row: PaidRow) -> Iterator[Claim]:
    """Yield the claims on the request's course; None in the manifest was unknown when it was written."""
    yield _same("take", manifest.take, row.take)
    yield _same("route", manifest.route.value, row.route)
    yield _same_if_stated("price in micro-dollars", manifest.price_microdollars, row.price_microdollars)
    times = manifest.times
    yield _same("time of its creation", times.created, row.created_at)
    yield _same_if_stated("time of its submission", times.submitted, row.submitted_at)
    yield _same_if_stated("time of its end", times.finished, row.finished_at)
    if row.delivered_at is not None:
        yield _same("time of its delivery", times.delivered, row.delivered_at)
    started = row.started_at or row.submitted_at
    yield _seconds("seconds in the queue", manifest.queue_seconds, row.submitted_at, started)
    yield _seconds("seconds of generation", manifest.generation_seconds, started, row.finished_at)
    yield _same("key of the video", manifest.video.key, row.video_key)
    yield _same("size of the video in bytes", manifest.video.size_bytes, row.video_bytes)


def claims_on_takes(manifest: Manifest, rows: Mapping[str, PaidRow]) -> Iterator[Claim]:
    """Yield the claims on the manifest's other takes; ``rows`` are the ledger's, by fingerprint."""
    for other in manifest.other_takes:
        row = rows.get(other.fingerprint)
        stated = (other.take, other.seed, other.video_key)
        recorded = (row.take, row.seed, row.video_key) if row is not None else None
        yield _same(f"other take {other.take}", stated, recorded)


def _same(what: str, stated: object, recorded: object) -> Claim:
    return Claim(what, stated == recorded, _shown(stated), _shown(recorded))


def _same_if_stated(what: str, stated: object, recorded: object) -> Claim:
    """Return a claim like `_same` that also holds if the manifest gives no value."""
    return Claim(what, stated in {None, recorded}, _shown(stated), _shown(recorded))


def _seconds(what: str, stated: float | None, begin: datetime | None, end: datetime | None) -> Claim:
    if begin is None or end is None:
        return Claim(what, stated is None, _shown(stated), "none")
    recorded = (end - begin).total_seconds()
    return Claim(what, stated is None or abs(stated - recorded) <= SECONDS_APART, _shown(stated), _shown(recorded))


def _media(media: Iterable[tuple[MediumKind, str, int]]) -> str:
    return ", ".join(f"{kind.value} {sha256[:12]} ({size} bytes)" for kind, sha256, size in media) or "none"


def _shown(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, datetime):
        return value.isoformat()
    text = " ".join(str(value).split())
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
