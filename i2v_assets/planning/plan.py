"""What planning ends with: a plan, a refusal, or a wait. All are plain data that go to JSON and back."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from i2v_assets.planning.prompt_advice import Advice
from i2v_assets.planning.prompts import shipped_presets
from resources.problem import Problem
from resources.schemas.endpoints import ENDPOINTS, Dialect
from resources.schemas.inputs import Family, GenerationInputs, Route, Service, Sha256

PLAN_VERSION: Final = 1
"""Rises when a plan's fields change their meaning."""


@dataclass(frozen=True, slots=True)
class PlanOffer:
    """What the live catalogue says of one endpoint family.

    Attributes:
        model_id: The id that answered.
        price_microdollars_per_unit: Base price, None where it cannot be read.
        price_unit: ``second``, ``output``, ``image``, or a word that nobody knows.
        trouble: How the entry differs from what was agreed to, in words; it stops the family until a person agrees.
    """

    model_id: str
    price_microdollars_per_unit: int | None
    price_unit: str
    trouble: str = ""

    @property
    def dialect(self) -> Dialect | None:
        """The generation of the id, None for an id that the code does not know."""
        endpoint = ENDPOINTS.get(self.model_id)
        return endpoint.dialect if endpoint else None


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What decides where a brief is silent.

    Attributes:
        service: Part of every fingerprint.
        watermark: The service's watermark, sent wherever the endpoint has the switch.
        keep_face: What a lip-sync clip with an image does.
        presets: The motion presets in force.
        allow_unknown_price: Plan although the price cannot be read.
        measured: Videos are measured; without a score nothing is made again for it.
        version: The project's version, for manifests.
    """

    service: Service
    watermark: bool = False
    keep_face: Literal["auto", "always", "never"] = "auto"
    presets: Mapping[str, str] = field(default_factory=lambda: MappingProxyType(dict(shipped_presets())))
    allow_unknown_price: bool = False
    measured: bool = True
    version: str = ""


class _Outcome(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    clip: str


class Plan(_Outcome):
    """The decision before any money.

    Attributes:
        clip: The partition key.
        take: Its number, from 1.
        route: The kind of generation.
        reasons: Why, in words.
        family: The endpoint.
        inputs: Exactly what will be asked for.
        fingerprint: Over the service, the inputs and the take.
        price_microdollars: Of this take; None where the price cannot be learned.
        model_id: The id that answers now, None where the catalogue was not asked.
        preset: The motion preset that gave the prompt, None for a person's own words.
        preset_reason: Why it is that one.
        advice: What could be better.
        may_be_silent: The quality checks accept a video without sound.
        version: Of this form.
    """

    decision: Literal["planned"] = "planned"
    take: int = Field(ge=1)
    route: Route
    reasons: tuple[str, ...]
    family: Family
    inputs: GenerationInputs
    fingerprint: Sha256
    price_microdollars: Annotated[int, Field(ge=0)] | None
    price_unit: str | None = None
    model_id: str | None = None
    preset: str | None = None
    preset_reason: str | None = None
    advice: tuple[Advice, ...] = ()
    may_be_silent: bool = False
    version: int = PLAN_VERSION


class Refusal(_Outcome):
    """The clip cannot be made as it is.

    Attributes:
        problems: Everything that is in the way.
        route: The route, as far as it was decided.
        reasons: Why that route.
    """

    decision: Literal["refused"] = "refused"
    problems: tuple[Problem, ...]
    route: Route | None = None
    reasons: tuple[str, ...] = ()

    @classmethod
    def of(cls, clip: str, problems: Iterable[tuple[str, str]], file: str = "") -> Self:
        """A refusal from pairs of what is wrong and its remedy."""
        return cls(clip=clip, problems=tuple(Problem(file=file, what=what, remedy=remedy) for what, remedy in problems))


class Waiting(_Outcome):
    """Nothing is wrong with the clip, but something has to change before it can be made.

    Attributes:
        kind: What it waits for: ``keep_face`` or ``catalogue``.
        words: What it waits for, for people.
        remedy: What a person can do.
        to_agree: A person only has to agree to the catalogue's changed entry; False if no model id answers.
        route: The route.
        reasons: Why that route.
    """

    decision: Literal["waiting"] = "waiting"
    kind: Literal["keep_face", "catalogue"]
    words: str
    remedy: str
    to_agree: bool = False
    route: Route | None = None
    reasons: tuple[str, ...] = ()


def plan_hash(plans: Sequence[Plan], rerolls: Sequence[Plan] = ()) -> str:
    """What an approval approves: the fingerprints, prices and catalogue entries of some plans, in any order.

    Args:
        plans: What will be made.
        rerolls: What may be made besides, when a quality score is low.
    """
    certain, possible = ([_approved(plan) for plan in each] for each in (plans, rerolls))
    lines = sorted(json.dumps(line) for line in [*certain, *([*line, "reroll"] for line in possible)])
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _approved(plan: Plan) -> list[str | int | None]:
    return [plan.clip, plan.take, plan.fingerprint, plan.price_microdollars, plan.price_unit, plan.model_id]


def total_price(plans: Iterable[Plan]) -> int:
    """What they cost together, in micro-dollars, as far as the prices are known."""
    return sum(plan.price_microdollars or 0 for plan in plans)
