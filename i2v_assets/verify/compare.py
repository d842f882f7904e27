"""What a manifest says that the ledger knows as well, side by side. Pure; ``verification`` judges by it.

The inputs are compared with those of the ledger's row, and those with the row's own fingerprint: who falsifies a prompt in
both places has to falsify the fingerprint too, and with it the video's key and the request.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, cast

from pydantic import ValidationError

from i2v_assets.clip_folder.manifest import Manifest
from resources.schemas.inputs import GenerationInputs, MediumKind, Service, fingerprint

SECONDS_APART = 0.001
"""Durations are differences of times that the ledger keeps to the microsecond; a float's last digits may differ."""

SHOWN = 60
"""Characters of a text in a line: enough to see which of two prompts it is."""


class PaidRow(Protocol):
    """What is asked of the ledger's row of a fingerprint."""

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
    """One thing that the manifest says (``told``) and the ledger knows (``known``), as people read them."""

    what: str
    holds: bool
    told: str
    known: str


def asked_for(manifest: Manifest, row: PaidRow) -> GenerationInputs | None:
    """The inputs that the row's fingerprint is of; None where those in the row do not give it, or cannot be read."""
    try:
        inputs = GenerationInputs.model_validate_json(row.inputs_json)
    except ValidationError:
        return None
    service = cast("Service", row.service)
    if fingerprint(service, inputs, row.take) == row.fingerprint:
        return inputs
    # The ledger keeps no signed address, not even where a prompt holds one; then the fingerprint vouches for the manifest's words.
    told = inputs.model_copy(update={"prompt": manifest.prompt, "negative_prompt": manifest.negative_prompt})
    return told if fingerprint(service, told, row.take) == row.fingerprint else None


def claims_on_inputs(manifest: Manifest, inputs: GenerationInputs) -> Iterator[Claim]:
    """What was asked for: all of it is in the fingerprint."""
    yield _same("family", manifest.family, inputs.family.value)
    yield _same("prompt", manifest.prompt, inputs.prompt)
    yield _same("negative prompt", manifest.negative_prompt, inputs.negative_prompt)
    yield _same("seed", manifest.seed, inputs.seed)
    yield _same("duration", manifest.duration, inputs.duration)
    yield _same("resolution", manifest.resolution, inputs.resolution)
    yield _same("aspect ratio", manifest.aspect_ratio, inputs.aspect_ratio)
    told = [(medium.kind, medium.sha256, medium.size_bytes) for medium in manifest.media]
    known = [(medium.kind, medium.sha256, medium.size_bytes) for medium in inputs.media]
    yield Claim("media", Counter(told) == Counter(known), _media(told), _media(known))


def claims_on_course(manifest: Manifest, row: PaidRow) -> Iterator[Claim]:
    """What became of the request: what the manifest leaves open (None) was not known when it was written."""
    yield _same("take", manifest.take, row.take)
    yield _same("route", manifest.route.value, row.route)
    yield _known("price in micro-dollars", manifest.price_microdollars, row.price_microdollars)
    times = manifest.times
    yield _same("time of its making", times.created, row.created_at)
    yield _known("time of its submission", times.submitted, row.submitted_at)
    yield _known("time of its end", times.finished, row.finished_at)
    if row.delivered_at is not None:
        yield _same("time of its delivery", times.delivered, row.delivered_at)
    started = row.started_at or row.submitted_at
    yield _seconds("seconds in the queue", manifest.queue_seconds, row.submitted_at, started)
    yield _seconds("seconds of generation", manifest.generation_seconds, started, row.finished_at)
    yield _same("key of the video", manifest.video.key, row.video_key)
    yield _same("size of the video in bytes", manifest.video.size_bytes, row.video_bytes)


def claims_on_takes(manifest: Manifest, rows: Mapping[str, PaidRow]) -> Iterator[Claim]:
    """The other takes that the manifest lists; ``rows`` are the ledger's, by their fingerprints."""
    for other in manifest.other_takes:
        row = rows.get(other.fingerprint)
        told = (other.take, other.seed, other.video_key)
        known = (row.take, row.seed, row.video_key) if row is not None else None
        yield _same(f"take {other.take} beside it", told, known)


def _same(what: str, told: object, known: object) -> Claim:
    return Claim(what, told == known, _shown(told), _shown(known))


def _known(what: str, told: object, known: object) -> Claim:
    """As `_same`, but the manifest may say nothing."""
    return Claim(what, told in {None, known}, _shown(told), _shown(known))


def _seconds(what: str, told: float | None, begin: datetime | None, end: datetime | None) -> Claim:
    if begin is None or end is None:
        return Claim(what, told is None, _shown(told), "none")
    known = (end - begin).total_seconds()
    return Claim(what, told is None or abs(told - known) <= SECONDS_APART, _shown(told), _shown(known))


def _media(media: Iterable[tuple[MediumKind, str, int]]) -> str:
    return ", ".join(f"{kind.value} {sha256[:12]} ({size} bytes)" for kind, sha256, size in media) or "none"


def _shown(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, datetime):
        return value.isoformat()
    text = " ".join(str(value).split())
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
