"""The service's endpoints: which ids serve a family, and how inputs become the body of the id that answered.

A family has up to two ids of two generations, and which of them an account resolves is unknown beforehand. The body is
written in the dialect of the id that answers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ValidationError

from resources.errors import I2VError
from resources.schemas.bodies import (
    HappyHorseCatalogue,
    HappyHorseDocumented,
    SeedanceCatalogue,
    SeedanceDocumented,
    WanImageToVideo,
    WanTextToVideo,
)
from resources.schemas.inputs import Family, GenerationInputs, Medium, MediumKind
from resources.schemas.limits import LIMITS, Dialect, Limits, MediaLimits, PromptLimits, family_route
from resources.schemas.prompt_length import prompt_problem, prompt_units

__all__ = [
    "ENDPOINTS",
    "LIMITS",
    "BodyInvalid",
    "Dialect",
    "Endpoint",
    "Limits",
    "MediaLimits",
    "PromptLimits",
    "family_route",
    "ids_for",
    "input_schema",
    "prompt_problem",
    "prompt_units",
    "to_body",
]


class BodyInvalid(I2VError):
    """The inputs do not fit the endpoint. The error names each field with its limit, never its value."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One model id.

    Attributes:
        model_id: The id on the wire, with slashes.
        family: The family, whichever the generation of its id.
        dialect: The generation: field names and defaults.
        body: The request body.
    """

    model_id: str
    family: Family
    dialect: Dialect
    body: type[BaseModel]


_ALL = (
    Endpoint("happyhorse/happyhorse-1-0/image-to-video", Family.HAPPYHORSE_I2V, "documented", HappyHorseDocumented),
    Endpoint("happyhorse/happyhorse-1.0/image-to-video", Family.HAPPYHORSE_I2V, "catalogue", HappyHorseCatalogue),
    Endpoint("wan-ai/wan-2-7/text-to-video", Family.WAN_T2V, "documented", WanTextToVideo),
    Endpoint("wan-ai/wan-2.7/text-to-video", Family.WAN_T2V, "catalogue", WanTextToVideo),
    Endpoint("wan-ai/wan-2.7/image-to-video", Family.WAN_I2V, "catalogue", WanImageToVideo),
    Endpoint("bytedance/seedance-v2/pro", Family.SEEDANCE_PRO, "documented", SeedanceDocumented),
    Endpoint("bytedance/seedance-2.0/pro", Family.SEEDANCE_PRO, "catalogue", SeedanceCatalogue),
)

ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType({endpoint.model_id: endpoint for endpoint in _ALL})
"""Every endpoint by its model id."""


def ids_for(family: Family) -> tuple[str, ...]:
    """Return the family's model ids, the documented one first."""
    return tuple(endpoint.model_id for endpoint in _ALL if endpoint.family is family)


def to_body(endpoint: Endpoint, inputs: GenerationInputs, url_of: Callable[[Medium], str]) -> dict[str, object]:
    """Return the request body in the endpoint's dialect.

    Every input is sent explicitly, so no default of the service applies.

    Args:
        endpoint: The id that answered.
        inputs: The generation, under the project's names.
        url_of: Returns the URL from which the service downloads a medium, or a ``data:`` URI.

    Raises:
        BodyInvalid: the inputs do not fit the endpoint.
    """
    problems = _misfits(endpoint, inputs)
    if problems:
        raise BodyInvalid(f"{endpoint.model_id}: {'; '.join(problems)}.")
    raw: dict[str, Any] = {
        "prompt": inputs.prompt,
        "duration": inputs.duration,
        "resolution": _resolution(endpoint.family, inputs.resolution),
        "seed": inputs.seed,
        "aspect_ratio": inputs.aspect_ratio,
        "negative_prompt": inputs.negative_prompt,
        "watermark": inputs.watermark,
        "generate_audio": inputs.generate_audio,
        "enable_prompt_expansion": inputs.prompt_expansion,
    }
    raw = {name: value for name, value in raw.items() if value is not None}
    raw |= _media_fields(endpoint, inputs, url_of)
    try:
        body = endpoint.body.model_validate(raw)
    except ValidationError as error:
        parts = "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors())
        raise BodyInvalid(f"{endpoint.model_id}: {parts}.") from None
    return body.model_dump(mode="json", exclude_unset=True)


def _resolution(family: Family, tier: str) -> str:
    return tier.replace("p", "P") if family is Family.HAPPYHORSE_I2V else tier


def _media_fields(endpoint: Endpoint, inputs: GenerationInputs, url_of: Callable[[Medium], str]) -> dict[str, Any]:
    if endpoint.family is not Family.SEEDANCE_PRO:
        ends = (inputs.end_image,) if inputs.end_image is not None else ()
        singles = {"image_url": inputs.images, "end_image_url": ends, "audio_url": inputs.audios}
        return {name: url_of(media[0]) for name, media in singles.items() if media}
    plural = endpoint.dialect == "catalogue"
    lists = {
        "images" if plural else "image_url": inputs.images,
        "videos" if plural else "video_url": inputs.videos,
        "audios" if plural else "audio_url": inputs.audios,
    }
    return {name: [url_of(medium) for medium in media] for name, media in lists.items() if media}


def _misfits(endpoint: Endpoint, inputs: GenerationInputs) -> list[str]:
    """Return inputs that the body cannot carry, so that none is dropped silently."""
    limits = LIMITS[endpoint.family]
    problems: list[str] = []
    if inputs.family is not endpoint.family:
        return [f"the inputs are for {inputs.family}, not for {endpoint.family}"]
    for kind, media in (
        (MediumKind.IMAGE, inputs.images),
        (MediumKind.AUDIO, inputs.audios),
        (MediumKind.VIDEO, inputs.videos),
    ):
        of_kind = limits.media(kind)
        if not of_kind.min_count <= len(media) <= of_kind.max_count:
            wanted = (
                str(of_kind.min_count)
                if of_kind.min_count == of_kind.max_count
                else f"{of_kind.min_count} to {of_kind.max_count}"
            )
            problems.append(f"takes {wanted} {kind} files, not {len(media)}")
        problems += [
            (f"one of the {kind} files is of the kind {medium.kind}") for medium in media if medium.kind is not kind
        ]
    if inputs.resolution not in limits.resolutions_in(endpoint.dialect):
        problems.append(f"resolution must be one of {', '.join(limits.resolutions_in(endpoint.dialect))}")
    if inputs.end_image is not None and not limits.end_image:
        problems.append("the endpoint has no end_image")
    if inputs.watermark is None and limits.watermark:
        problems.append("watermark must be set, because its default differs between the service's sources")
    for name, value, has in (
        ("aspect_ratio", inputs.aspect_ratio, bool(limits.aspect_ratios)),
        ("negative_prompt", inputs.negative_prompt, bool(limits.max_negative_prompt)),
        ("watermark", inputs.watermark, limits.watermark),
        ("generate_audio", inputs.generate_audio, limits.generate_audio),
        ("prompt_expansion", inputs.prompt_expansion, limits.prompt_expansion),
    ):
        if value is not None and not has:
            problems.append(f"the endpoint has no {name}")
    return problems


def input_schema(endpoint: Endpoint) -> dict[str, Any]:
    """Return the endpoint's inputs as the service's catalogue prints them: JSON-Schema-like, flat, with media formats."""
    schema = endpoint.body.model_json_schema()
    properties = {name: _flat(part) for name, part in schema["properties"].items()}
    return {"type": "object", "properties": properties, "required": schema.get("required", [])}


def _flat(part: dict[str, Any]) -> dict[str, Any]:
    """Return one field without pydantic's title, pattern, source and null branch."""
    branches = [branch for branch in part.get("anyOf", []) if branch.get("type") != "null"]
    flat = {**(branches[0] if branches else {}), **part}
    dropped = {"title", "pattern", "source", "anyOf"}
    if flat.get("default", ...) is None:
        dropped = dropped | {"default"}
    if flat.get("type") == "array":
        flat["items"] = {"type": "string"}
    return {name: value for name, value in flat.items() if name not in dropped}
