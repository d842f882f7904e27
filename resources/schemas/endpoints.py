"""The service's endpoints: which ids serve a family, and how inputs become the body of the id that answered.

A family has ids of up to two generations, and which of them an account resolves is unknown beforehand. The body is
written in the dialect of the id that answers. A family that is used by its live schema has its body in its inputs.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from resources.errors import I2VError
from resources.schemas.families import ENDPOINTS, FAMILIES, Endpoint, Traits, record_of
from resources.schemas.inputs import LAST, Family, GenerationInputs, Medium, MediumKind, Route, marked_medium
from resources.schemas.limits import Dialect, Limits, MediaLimits, PromptLimits, prompt_excess, prompt_units
from resources.schemas.live_body import traits_of_body
from resources.schemas.live_schema import LiveEndpoint

__all__ = [
    "ENDPOINTS",
    "LIMITS",
    "BodyInvalid",
    "Dialect",
    "Endpoint",
    "Limits",
    "LiveEndpoint",
    "MediaLimits",
    "PromptLimits",
    "family_route",
    "ids_for",
    "input_schema",
    "prompt_problem",
    "prompt_units",
    "to_body",
    "traits_of",
]


class BodyInvalid(I2VError):
    """The inputs do not fit the endpoint. The error names each field with its limit, never its value."""


LIMITS: Mapping[Family, Limits] = MappingProxyType(
    {name: record.limits for name, record in FAMILIES.items() if record.limits is not None}
)
"""The limits of each family whose body the code knows."""


def ids_for(family: Family) -> tuple[str, ...]:
    """Return the family's model ids, the documented one first; a family without a record is its own id."""
    record = FAMILIES.get(family)
    return record.ids if record else (family,)


def family_route(family: Family) -> Route:
    """Return the route that a family serves; one that the project does not know is for several media."""
    record = record_of(family)
    return record.route if record else Route.MULTI_MODAL


def traits_of(inputs: GenerationInputs) -> Traits:
    """Return what the family of these inputs makes of them: as its record says, otherwise as the fields of its body do."""
    record = record_of(inputs.family)
    if record is not None and record.traits is not None:
        return record.traits
    return Traits(*traits_of_body(inputs.body)) if inputs.body is not None else Traits()


def prompt_problem(family: Family, prompt: str) -> str | None:
    """Return why the family would refuse or cut the prompt, in one line with the limit; None if it fits."""
    return prompt_excess(family, LIMITS[family].prompt, prompt)


def to_body(
    endpoint: Endpoint | LiveEndpoint, inputs: GenerationInputs, url_of: Callable[[Medium], str]
) -> dict[str, object]:
    """Return the request body in the endpoint's dialect.

    Every input is sent explicitly, so no default of the service applies.

    Args:
        endpoint: The id that answered.
        inputs: The generation, under the project's names.
        url_of: Returns the URL from which the service downloads a medium, or a ``data:`` URI.

    Raises:
        BodyInvalid: the inputs do not fit the endpoint.
    """
    if isinstance(endpoint, LiveEndpoint):
        return _live_body(endpoint, inputs, url_of)
    problems = _misfits(endpoint, inputs)
    if problems:
        raise BodyInvalid(f"{endpoint.model_id}: {'; '.join(problems)}.")
    raw: dict[str, Any] = {
        "prompt": inputs.prompt,
        "duration": inputs.duration,
        "resolution": FAMILIES[endpoint.family].tiers.get(inputs.resolution, inputs.resolution),
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


def _media_fields(endpoint: Endpoint, inputs: GenerationInputs, url_of: Callable[[Medium], str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for kind, field in endpoint.media.items():
        urls = [url_of(medium) for medium in inputs.of(kind)]
        if urls:
            fields[field.name] = urls if field.many else urls[0]
    if inputs.end_image is not None:
        fields["end_image_url"] = url_of(inputs.end_image)
    return fields


def _live_body(endpoint: LiveEndpoint, inputs: GenerationInputs, url_of: Callable[[Medium], str]) -> dict[str, object]:
    """Return the planned body with the addresses of its media."""
    if inputs.family != endpoint.family or inputs.body is None:
        raise BodyInvalid(f"{endpoint.model_id}: the inputs are for {inputs.family}.")
    missing = [name for name in endpoint.schema.required if name not in inputs.body]
    unknown = [name for name in inputs.body if name not in endpoint.schema.properties]
    if missing or unknown:
        found = [
            *(f"{name} is required now" for name in missing),
            *(f"{name} is not known any more" for name in unknown),
        ]
        raise BodyInvalid(f"{endpoint.model_id}: its schema has changed: {'; '.join(found)}.")

    def filled(value: object) -> object:
        if (mark := marked_medium(value)) is not None:
            last = inputs.end_image if mark == (MediumKind.IMAGE, LAST) else None
            return url_of(last or inputs.of(mark[0])[mark[1] - 1])
        return [filled(each) for each in value] if isinstance(value, list) else value

    return {name: filled(value) for name, value in inputs.body.items()}


def _misfits(endpoint: Endpoint, inputs: GenerationInputs) -> list[str]:
    """Return inputs that the body cannot carry, so that none is dropped silently."""
    limits = LIMITS[endpoint.family]
    problems: list[str] = []
    if inputs.family != endpoint.family:
        return [f"the inputs are for {inputs.family}, not for {endpoint.family}"]
    if inputs.body is not None:
        problems.append("the endpoint takes no body of a live schema")
    for kind in MediumKind:
        media = inputs.of(kind)
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
