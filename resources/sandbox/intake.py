"""From a submitted body to a request: validation, media, hash, and the rendering job."""

import asyncio
import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from resources.sandbox import wire_errors
from resources.sandbox.drawing.job import MediaFolder, RenderJob, aspect_of, frame_size, is_tier
from resources.sandbox.faults import Fault, Kind
from resources.sandbox.fetching import Fetched, Fetcher, FetchFailed
from resources.sandbox.media_rules import Measured, measure, problems
from resources.sandbox.wire_errors import WireError
from resources.schemas.endpoints import LIMITS, Endpoint, LiveEndpoint
from resources.schemas.inputs import MAX_SEED, MediumKind
from resources.schemas.limits import MediaLimits
from resources.schemas.live_check import violations
from resources.schemas.live_limits import usual_duration
from resources.schemas.live_schema import switch_of
from resources.schemas.live_seconds import seconds_of

_FORMATS = {
    "image_uri": MediumKind.IMAGE,
    "image_uris": MediumKind.IMAGE,
    "audio_uri": MediumKind.AUDIO,
    "audio_uris": MediumKind.AUDIO,
    "video_uri": MediumKind.VIDEO,
    "video_uris": MediumKind.VIDEO,
}

Detail = dict[str, Any]
Location = tuple[str | int, ...]

_DEFAULT_ASPECT = 16 / 9
"""Aspect of a video with neither a requested aspect nor a picture."""


@dataclass(frozen=True, slots=True)
class Intake:
    """A body that may be accepted.

    Attributes:
        body: The body for the record, with data: URIs shortened.
        input_sha256: Hash of the canonical body with each medium as the hash of its bytes.
        job: The rendering job.
        input_seconds: Length of the input videos together.
        late_failure: Why the request will fail although it is accepted, or None.
    """

    body: dict[str, Any]
    input_sha256: str
    job: RenderJob
    late_failure: str | None
    input_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Slot:
    """One media field of a body."""

    location: Location
    kind: MediumKind
    url: str


def _invalid(detail: list[Detail]) -> WireError:
    text = "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in detail)
    return WireError(422, wire_errors.INVALID_INPUT, f"The input does not match the schema: {text}", detail=detail)


def _kinds(endpoint: Endpoint | LiveEndpoint) -> "dict[str, MediumKind]":
    """Return the media fields in the schema's order: the subject's picture first."""
    if isinstance(endpoint, LiveEndpoint):
        return {media.name: media.kind for media in endpoint.schema.media}
    extras = {name: field.json_schema_extra for name, field in endpoint.body.model_fields.items()}
    formats = {name: str(extra.get("format")) for name, extra in extras.items() if isinstance(extra, dict)}
    return {name: _FORMATS[format_] for name, format_ in formats.items() if format_ in _FORMATS}


def _slots(endpoint: Endpoint | LiveEndpoint, body: dict[str, Any]) -> list[_Slot]:
    slots: list[_Slot] = []
    for name, kind in _kinds(endpoint).items():
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, list):
            slots += [_Slot((name, place), kind, url) for place, url in enumerate(value)]
        else:
            slots.append(_Slot((name,), kind, value))
    return slots


def _replace(body: dict[str, Any], replacements: dict[Location, str]) -> dict[str, Any]:
    """Return the body with other values in its media fields."""
    changed = json.loads(json.dumps(body))
    for location, value in replacements.items():
        if len(location) == 1:
            changed[location[0]] = value
        else:
            changed[location[0]][location[1]] = value
    return dict(changed)


async def take_in(
    endpoint: Endpoint | LiveEndpoint,
    raw: object,
    *,
    fetcher: Fetcher,
    folder: MediaFolder,
    next_fault: Callable[[], Fault | None],
) -> Intake:
    """Validate a body, fetch its media and plan the rendering. Nothing is charged here.

    Args:
        endpoint: The model.
        raw: The parsed JSON.
        fetcher: Fetches the media.
        folder: The folder for the media.
        next_fault: Returns the fault that hits the next fetch, if any.

    Raises:
        WireError: 422 with a ``detail`` list: a field, or a medium that cannot be fetched or that the model rejects.
    """
    body, values = _by_schema(endpoint, raw) if isinstance(endpoint, LiveEndpoint) else _by_model(endpoint, raw)
    slots = _slots(endpoint, body)
    faults = [next_fault() for _ in slots]
    outcomes = await asyncio.gather(
        *(_medium(slot, endpoint, fetcher, folder, fault) for slot, fault in zip(slots, faults, strict=True))
    )
    detail = [part for outcome in outcomes if not isinstance(outcome, tuple) for part in outcome]
    if detail:
        raise _invalid(detail)
    arrived = [outcome for outcome in outcomes if isinstance(outcome, tuple)]
    late = next((fault for fault in faults if fault is not None and fault.kind is Kind.FAILED_RESULT), None)
    hashes = {slot.location: fetched.sha256 for slot, (fetched, _) in zip(slots, arrived, strict=True)}
    inline = {slot.location: f"data:sha256={hashes[slot.location]}" for slot in slots if slot.url.startswith("data:")}
    canonical = json.dumps(_replace(body, hashes), sort_keys=True, separators=(",", ":"))
    return Intake(
        body=_replace(body, inline),
        input_sha256=hashlib.sha256(canonical.encode()).hexdigest(),
        job=_job(endpoint, values, slots, hashes, arrived),
        late_failure=None if late is None else late.message or "An input could not be fetched.",
        input_seconds=sum(
            found.seconds or 0.0
            for slot, (_, found) in zip(slots, arrived, strict=True)
            if slot.kind is MediumKind.VIDEO
        ),
    )


def _by_model(endpoint: Endpoint, raw: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the body, and its values with the model's defaults, as the code knows them."""
    try:
        checked = endpoint.body.model_validate(raw)
    except ValidationError as error:
        raise _invalid(
            [
                {"type": part["type"], "loc": ["body", *part["loc"]], "msg": part["msg"]}
                for part in error.errors(include_url=False, include_input=False)
            ]
        ) from None
    return checked.model_dump(mode="json", exclude_unset=True), checked.model_dump(mode="json")


def _by_schema(endpoint: LiveEndpoint, raw: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the body, and its values under the project's words with the schema's defaults."""
    schema = endpoint.schema
    found = violations(json.dumps(schema.plain), json.dumps(raw))
    if found or not isinstance(raw, dict):
        raise _invalid([{"type": "schema", "loc": ["body"], "msg": text} for text in found or ["not an object"]])
    values = {word: raw.get(name, schema.field(word).get("default")) for word, name in schema.by_word.items()}
    tier = str(values.get("resolution") or endpoint.tier).lower()
    values["resolution"] = tier if is_tier(tier) else "720p"
    values["duration"] = seconds_of(values.get("duration")) or usual_duration(endpoint)
    sound = switch_of(schema.by_word.get("generate_audio", ""), values.get("generate_audio"))
    values["generate_audio"] = sound is not False
    return dict(raw), values


async def _medium(
    slot: _Slot, endpoint: Endpoint | LiveEndpoint, fetcher: Fetcher, folder: MediaFolder, fault: Fault | None
) -> tuple[Fetched, Measured] | list[Detail]:
    location = ["body", *slot.location]
    try:
        fetched = await fetcher.fetch(slot.url, slot.kind, fault)
    except FetchFailed as error:
        return [{"type": "media_unreachable", "loc": location, "msg": str(error)}]
    found = await asyncio.to_thread(measure, folder.path(fetched.sha256), slot.kind)
    limits = LIMITS[endpoint.family].media(slot.kind) if endpoint.family in LIMITS else MediaLimits()
    broken = problems(found, fetched.size_bytes, limits)
    if broken:
        return [{"type": "media_refused", "loc": location, "msg": text} for text in broken]
    return fetched, found


def _job(
    endpoint: Endpoint | LiveEndpoint,
    values: dict[str, Any],
    slots: list[_Slot],
    hashes: dict[Location, str],
    arrived: list[tuple[Fetched, Measured]],
) -> RenderJob:
    """Return the rendering job; ``values`` is the body with the model's defaults."""

    def of(kind: MediumKind) -> tuple[str, ...]:
        return tuple(hashes[slot.location] for slot in slots if slot.kind is kind)

    pictures = [
        found.aspect
        for wanted in (MediumKind.IMAGE, MediumKind.VIDEO)
        for slot, (_, found) in zip(slots, arrived, strict=True)
        if slot.kind is wanted and found.aspect
    ]
    label = str(values.get("aspect_ratio") or "adaptive")
    aspect = aspect_of(label) or (pictures[0] if pictures else _DEFAULT_ASPECT)
    tier = str(values["resolution"]).lower()
    width, height = frame_size(tier, aspect)
    # 0 and none mean random at the service.
    seed = int(values.get("seed") or 0) or secrets.randbelow(MAX_SEED) + 1
    return RenderJob(
        model_id=endpoint.model_id,
        family=endpoint.family,
        prompt=str(values["prompt"]),
        images=of(MediumKind.IMAGE),
        audios=of(MediumKind.AUDIO),
        videos=of(MediumKind.VIDEO),
        seconds=int(values["duration"]),
        width=width,
        height=height,
        resolution=tier,
        seed=seed,
        sound=bool(values.get("generate_audio", True)),
    )
