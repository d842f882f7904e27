"""The outcomes of planning: a plan, a refusal, or a wait. All are plain data that round-trip through JSON."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from i2v_assets.planning.asking import Ask
from i2v_assets.planning.prompt_advice import Advice
from i2v_assets.planning.prompts import SHIPPED_PRESETS
from resources.prices.billed import Billed, PriceTerms, base_words
from resources.prices.quote import PastCost, Quote, make_quote
from resources.problem import Problem
from resources.runcomfy.wire import CatalogueEntry
from resources.schemas.endpoints import ENDPOINTS, Dialect, LiveEndpoint
from resources.schemas.inputs import Family, GenerationInputs, Medium, Route, Service, Sha256

PLAN_VERSION: Final = 1
"""Increment when a plan's fields change their meaning."""


@dataclass(frozen=True, slots=True)
class PlanOffer:
    """The live catalogue's entry of one endpoint family.

    Attributes:
        model_id: The id that is available.
        price_microdollars_per_unit: Base price; None if it cannot be read.
        price_unit: ``second``, ``output``, ``image``, or an unknown word.
        terms: What the entry says about its price.
        trouble: How the entry differs from the accepted one; planning waits until a person accepts the change.
        live: The endpoint with its live schema, if the code does not know its body.
        unusable: Why the model cannot be used at all; empty if it can.
        remedy: What to do about that.
    """

    model_id: str
    price_microdollars_per_unit: int | None
    price_unit: str
    trouble: str = ""
    live: LiveEndpoint | None = None
    unusable: str = ""
    remedy: str = ""
    terms: PriceTerms = field(default_factory=PriceTerms)

    @property
    def entry(self) -> CatalogueEntry:
        """The entry's price, for what reckons with it."""
        return CatalogueEntry(self.model_id, "", self.price_microdollars_per_unit, self.price_unit, None, {})

    @property
    def dialect(self) -> Dialect | None:
        """The dialect of the model id; None for an unknown id."""
        if self.live is not None:
            return self.live.dialect
        endpoint = ENDPOINTS.get(self.model_id)
        return endpoint.dialect if endpoint else None


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """Settings that apply to every key that a brief leaves out.

    Attributes:
        service: Part of every fingerprint.
        watermark: The service's watermark; sent if the endpoint has the switch.
        keep_face: Whether a lip-sync clip with an image must show that person.
        presets: The motion presets, by name.
        presets_are_shipped: They are the project's own, whose wording needs no advice.
        price_headroom: At most this many times the base price, while few costs are known.
        allow_unknown_price: Plan even if the price cannot be read.
        measured: Videos are measured; there are no rerolls without a score.
        prepare: Files that an endpoint does not take are prepared for it; otherwise they are refused.
        version: The project's version, for manifests.
        routes: Families by route, best first, where the settings name them.
    """

    service: Service
    watermark: bool = False
    keep_face: Literal["auto", "always", "never"] = "auto"
    presets: Mapping[str, str] = field(default_factory=lambda: SHIPPED_PRESETS)
    presets_are_shipped: bool = False
    price_headroom: float = 2.0
    allow_unknown_price: bool = False
    measured: bool = True
    prepare: bool = True
    version: str = ""
    routes: Mapping[Route, tuple[Family, ...]] = field(default_factory=lambda: MappingProxyType({}))


class _Outcome(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    clip: str


UNDER_ROLES: Final[tuple[Literal["music", "narration"], ...]] = ("music", "narration")
"""The keys of a brief that lay a sound under the finished video."""


class UnderSound(BaseModel):
    """A sound of the brief that is laid under the finished video.

    Attributes:
        role: ``music`` or ``narration``.
        name: Its name in the brief.
        medium: Its bytes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["music", "narration"]
    name: str
    medium: Medium


class Plan(_Outcome):
    """Decision to make one take of a clip; nothing is paid yet.

    Attributes:
        clip: The partition key.
        take: Its number, from 1.
        route: The kind of generation.
        reasons: Why this route, as text.
        family: The endpoint.
        inputs: Exactly what will be submitted.
        fingerprint: Hash over the service, the inputs and the take.
        price_microdollars: What this take is expected to cost; None if the price is unknown.
        quote: The price with its reasons; None if the price is unknown.
        billed: What decides the price.
        model_id: The id that is available now; None if the catalogue was not queried.
        preset: The motion preset of the prompt; None for a prompt from the brief.
        preset_reason: Why that preset was chosen.
        advice: Possible improvements.
        may_be_silent: The quality checks accept a video without sound.
        numbered: Which file each number of the prompt means, such as ``image 1 is start.jpg``; empty if no kind has several.
        asks: Why a person has to say more before it is paid for; empty if the request is clear.
        under: Sounds laid under or over the finished video; they are not part of the request.
        schema_sha256: Hash of the live schema that the inputs were written by; None if the code knows the body.
        pieces: The requests of a voice that is longer than the route's limit, in order; they are joined to this take. The
            plan itself is then no request: its inputs, price and fingerprint are those of the whole.
        span_ms: Of a piece: which part of the voice it speaks, in milliseconds.
        version: Version of this format.
    """

    decision: Literal["planned"] = "planned"
    take: int = Field(ge=1)
    route: Route
    reasons: tuple[str, ...]
    family: Family
    inputs: GenerationInputs
    fingerprint: Sha256
    price_microdollars: Annotated[int, Field(ge=0)] | None
    quote: Quote | None = None
    billed: Billed | None = None
    price_unit: str | None = None
    model_id: str | None = None
    preset: str | None = None
    preset_reason: str | None = None
    advice: tuple[Advice, ...] = ()
    may_be_silent: bool = False
    numbered: tuple[str, ...] = ()
    asks: tuple[Ask, ...] = ()
    under: tuple[UnderSound, ...] = ()
    schema_sha256: Sha256 | None = None
    pieces: tuple["Plan", ...] = ()
    span_ms: tuple[int, int] | None = None
    version: int = PLAN_VERSION

    @property
    def at_most_microdollars(self) -> int | None:
        """The most that this take may cost: what is reserved, and what an approval covers; None if that is unknown."""
        return self.quote.at_most if self.quote is not None else self.price_microdollars

    @property
    def requests(self) -> tuple["Plan", ...]:
        """What is sent for this take: its pieces, or the plan itself."""
        return self.pieces or (self,)

    @property
    def seconds(self) -> float:
        """The length that the video should have."""
        spans = [piece.span_ms for piece in self.pieces if piece.span_ms is not None]
        return spans[-1][1] / 1000 if spans else float(self.inputs.duration)


class Refusal(_Outcome):
    """Decision not to make the clip until its upload is corrected.

    Attributes:
        problems: Every reason why the clip cannot be made.
        route: The route; None if it was not decided.
        reasons: Why that route.
    """

    decision: Literal["refused"] = "refused"
    problems: tuple[Problem, ...]
    route: Route | None = None
    reasons: tuple[str, ...] = ()

    @classmethod
    def of(cls, clip: str, problems: Iterable[tuple[str, str]], file: str = "") -> Self:
        """Return a refusal from pairs of a problem and its remedy."""
        return cls(clip=clip, problems=tuple(Problem(file=file, what=what, remedy=remedy) for what, remedy in problems))


class Waiting(_Outcome):
    """Decision to wait: the upload is fine, but something else has to change first.

    Attributes:
        kind: What it waits for: ``keep_face`` or ``catalogue``.
        agreement: Whether it waits only for a person's agreement to a changed entry.
        words: What it waits for, as text.
        remedy: What a person can do.
        route: The route.
        reasons: Why that route.
    """

    decision: Literal["waiting"] = "waiting"
    kind: Literal["keep_face", "catalogue"]
    words: str
    remedy: str
    agreement: bool = False
    route: Route | None = None
    reasons: tuple[str, ...] = ()


def plan_hash(plans: Sequence[Plan], rerolls: Sequence[Plan] = ()) -> str:
    """Return the hash that an approval covers: fingerprints, prices and catalogue entries of the plans, in any order.

    Args:
        plans: The plans that will be made.
        rerolls: Extra takes that may be made if a quality score is low.
    """
    certain, possible = ([_approved(plan) for plan in each] for each in (plans, rerolls))
    lines = sorted(json.dumps(line) for line in [*certain, *([*line, "reroll"] for line in possible)])
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _approved(plan: Plan) -> list[str | int | None]:
    return [plan.clip, plan.take, plan.fingerprint, plan.at_most_microdollars, plan.price_unit, plan.model_id]


def total_price(plans: Iterable[Plan]) -> int:
    """Return the most that these plans may cost together as far as their prices are known, in micro-dollars."""
    return sum(plan.at_most_microdollars or 0 for plan in plans)


def expected_price(plans: Iterable[Plan]) -> int:
    """Return what these plans are expected to cost together as far as their prices are known, in micro-dollars."""
    return sum(plan.price_microdollars or 0 for plan in plans)


PastCosts = Callable[[Billed], Sequence[PastCost]]
"""Returns settled costs of requests like one, the last settled first; of the whole family if there are none."""


def first_quote(base: int, inputs: GenerationInputs, billed: Billed, offer: PlanOffer, headroom: float) -> Quote:
    """Return the quote of a request of which nothing was learned yet."""
    return make_quote(base, base_words(offer.entry, inputs), billed, offer.terms, (), headroom=headroom)


def with_past(plan: Plan, offer: PlanOffer | None, past: Sequence[PastCost], headroom: float) -> Plan:
    """Return a plan at the price that past costs teach; unchanged if its price is unknown."""
    if offer is None or plan.quote is None or plan.billed is None:
        return plan
    first = plan.quote
    quote = make_quote(first.base, first.base_reason, plan.billed, offer.terms, past, headroom=headroom)
    return plan.model_copy(update={"quote": quote, "price_microdollars": quote.expected})
