"""What a family is: one record with everything that the project knows of a model, and the endpoints that serve it.

The records are in ``families/``, one file each. Nothing outside of them is keyed by family: the rest of the project asks
a record. A family's body has the service's field names, values and defaults, which may change; the project's own names are
in ``inputs.py``. A media field holds an http(s) URL or a ``data:`` URI. Validation errors never print the input, because
URLs are secrets.
"""

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
