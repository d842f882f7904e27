"""The families that the project knows: one record with everything that is known of a model, and the endpoints that serve it.

Each file of this package holds one record, and a file that is added is a family, without any other change. Nothing outside
of them is keyed by family: the rest of the project asks a record. A family's body has the service's field names, values and
defaults, which may change; the project's own names are in ``inputs.py``. A media field holds an http(s) URL or a ``data:``
URI. Validation errors never print the input, because URLs are secrets.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from resources.schemas.inputs import Family, MediumKind, Route
from resources.schemas.limits import Dialect, Limits, PromptLimits, prompt_excess

PRIOR_SECONDS = 60.0
"""Seconds for 5 s of video from a model of which nothing is known: between the fastest known one (40 s) and the slowest."""

PRIOR_SPREAD = 0.6
"""Standard deviation of the logarithm of the time: the slowest twentieth takes 2.7 times the median."""


@dataclass(frozen=True, slots=True)
class MediaField:
    """One media field of a body.

    Attributes:
        name: Its name on the wire.
        many: True if it takes a list of addresses.
    """

    name: str
    many: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One model id whose body the code knows.

    Attributes:
        model_id: The id on the wire, with slashes.
        family: The family, whichever the generation of its id.
        dialect: The generation: field names and defaults.
        body: The request body.
        media: The media fields of the body, by the kind of their files.
    """

    model_id: str
    family: Family
    dialect: Dialect
    body: type[BaseModel]
    media: Mapping[MediumKind, MediaField]


@dataclass(frozen=True, slots=True)
class Traits:
    """What a family makes of its inputs.

    Attributes:
        keeps_image: The video starts from its image and has its aspect.
        speaks: The video says the voiceover that it is given.
        cuts: The video may have cuts, because it is made from several references.
    """

    keeps_image: bool = False
    speaks: bool = False
    cuts: bool = False


@dataclass(frozen=True, slots=True)
class FamilyRecord:
    """Everything that is known of one family.

    Attributes:
        name: Its name in the ledger, in fingerprints and in settings; never changes.
        title: Its name for people.
        description: What it does, in one sentence.
        category: The service's category.
        route: The kind of generation that it is for.
        rank: Its place among the families of its route if no setting names others; None: only used if named.
        sources: Where its facts are from.
        endpoints: The ids whose bodies the code knows, the documented one first.
        limits: The limits of its inputs; None if the live schema has them.
        live_ids: Ids that are used by their live schema, in the order in which they are tried.
        tiers: Resolutions that have another name on the wire.
        traits: What it makes of its inputs; None if the fields of its body say so.
        prior_seconds: Usual seconds for 5 s of video (second-hand figures).
        prior_spread: Standard deviation of the logarithm of that time.
    """

    name: Family
    title: str
    description: str
    category: str
    route: Route
    sources: tuple[str, ...]
    rank: int | None = None
    endpoints: tuple[Endpoint, ...] = ()
    limits: Limits | None = None
    live_ids: tuple[str, ...] = ()
    tiers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    traits: Traits | None = None
    prior_seconds: float = PRIOR_SECONDS
    prior_spread: float = PRIOR_SPREAD

    @property
    def ids(self) -> tuple[str, ...]:
        """Every model id of the family, in the order in which they are tried."""
        return (*(endpoint.model_id for endpoint in self.endpoints), *self.live_ids)

    @property
    def short_name(self) -> str:
        """The name without the kind of generation, such as ``wan-2.7``; several families may share it."""
        return self.name.partition("/")[0]


def prompt_of(family: str, limits: PromptLimits) -> AfterValidator:
    """Return the check of a prompt: not empty, and within the limit if it is a hard one."""

    def check(prompt: str) -> str:
        problem = prompt_excess(family, limits, prompt) if limits.kind == "hard" or not prompt.strip() else None
        if problem:
            raise ValueError(problem)
        return prompt

    return AfterValidator(check)


def says(source: str, **schema: Any) -> dict[str, Any]:
    """Return a field's source, and further words of its schema."""
    return {"source": source, **schema}


class Body(BaseModel):
    """The common base: exact types, no unknown fields, and no input in an error's text."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


_URL = r"^(https?://\S+|data:\S+)$"
ImageUrl = Annotated[str, Field(pattern=_URL, json_schema_extra={"format": "image_uri"})]
AudioUrl = Annotated[str, Field(pattern=_URL, json_schema_extra={"format": "audio_uri"})]
Url = Annotated[str, Field(pattern=_URL)]

SEED_PAGE = "model pages: 0 to 2147483647, 0 is random"


# The records, which import what is above


def _records() -> "list[FamilyRecord]":
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    return sorted((module.FAMILY for module in modules), key=lambda record: (record.rank or 99, record.name))


FAMILIES: Mapping[Family, FamilyRecord] = MappingProxyType({record.name: record for record in _records()})
"""Every record by its family's name, those that a route prefers first."""

ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType(
    {endpoint.model_id: endpoint for record in FAMILIES.values() for endpoint in record.endpoints}
)
"""Every endpoint whose body the code knows, by its model id."""

RECORD_BY_ID: Mapping[str, FamilyRecord] = MappingProxyType(
    {model_id: record for record in FAMILIES.values() for model_id in record.ids}
)
"""The record of every known model id."""


def record_of(family_or_id: str) -> FamilyRecord | None:
    """Return the record of a family's name or of a model id; None if the project knows neither."""
    return FAMILIES.get(family_or_id) or RECORD_BY_ID.get(family_or_id)


def default_families() -> tuple[Family, ...]:
    """Return the families that clips are made with if no setting and no brief names others."""
    return tuple(name for name, record in FAMILIES.items() if record.rank is not None)


def preferred(route: Route) -> tuple[Family, ...]:
    """Return a route's families if no setting names others, best first."""
    return tuple(name for name in default_families() if FAMILIES[name].route is route)


def named(name: str) -> tuple[Family, ...]:
    """Return the families that a name in a setting or a brief means, best first; empty if the project knows none.

    Args:
        name: A family's name, its short name (``happyhorse-1.0``), or one of its model ids. A family that is used by its
            live schema is planned under the model id, since each of its ids has limits of its own.
    """
    if name in ENDPOINTS:
        return (ENDPOINTS[name].family,)
    if name in RECORD_BY_ID:
        return (name,)
    found = [record for record in FAMILIES.values() if name in (record.name, record.short_name)]
    return tuple(each for record in found for each in (record.live_ids or (record.name,)))
