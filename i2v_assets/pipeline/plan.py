"""From a clip's registered upload to the plans of its takes: what it would make, before any money.

Nothing is written. Free of Dagster, so that the command line plans with the same steps as a run.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Self

from i2v_assets.briefs.brief import Brief
from i2v_assets.pipeline.context import PipelineContext
from i2v_assets.pipeline.read_media import MediaReader, ReadFile
from i2v_assets.pipeline.takes import asked_takes, reroll_takes, take_order, with_seed
from i2v_assets.planning.media import MeasuredMedium
from i2v_assets.planning.plan import (
    PastCosts,
    Plan,
    PlanOffer,
    PlanOptions,
    Refusal,
    Waiting,
    plan_hash,
    with_past,
)
from i2v_assets.planning.planner import Decision, check_names, expand, make_plan, wanted_families
from i2v_assets.planning.preparing import Prepared, Unprepared, Wanted, expected_after
from i2v_assets.planning.prompts import SHIPPED_PRESETS, load_presets
from i2v_assets.planning.voice_film import Unheard, from_piece, with_pieces
from i2v_assets.uploads.types import Candidate, UploadFile, UploadKind
from resources.errors import SettingsError
from resources.ledger.approvals import ApprovalWay
from resources.ledger.ledger import Ledger
from resources.media.errors import OverLimit, Unreadable
from resources.media.facts import VideoFacts, VoicePauses
from resources.media.limits import WorkLimits
from resources.media.pool import shared_pool
from resources.redact import redact_line
from resources.registry.registry import ClipRow
from resources.runcomfy.offers import LiveOffer, Offers
from resources.schemas.endpoints import LiveEndpoint
from resources.schemas.inputs import Family, FirstFrame, MediumKind, Route
from resources.schemas.live_check import violations
from resources.settings import Settings

READS = 4
"""Files fetched and opened at once, which bounds what lies in the scratch folder. A file that turns out slow to open no longer
counts, so that it delays no other."""


@dataclass(frozen=True)
class Planned:
    """A clip with the decision about it.

    ``plans`` holds one per take, and is empty where there is none; ``rerolls`` those that a low quality score may add.
    """

    row: ClipRow
    candidate: Candidate
    files: tuple[ReadFile, ...]
    plans: tuple[Plan, ...] = ()
    stopped: Refusal | Waiting | None = None
    rerolls: tuple[Plan, ...] = ()

    @property
    def hash(self) -> str | None:
        """What an approval of this clip approves; the same as in its `WAITING.txt`."""
        return plan_hash(self.plans, self.rerolls) if self.plans else None

    @property
    def doubt(self) -> str:
        """What is in doubt about the upload, as a record of an approval keeps it; empty if nothing is."""
        return self.candidate.hold.mark if self.candidate.hold is not None else ""


def approve_planned(ledger: Ledger, planned: Planned, *, by: str, way: ApprovalWay) -> None:
    """Record that a person agreed to a clip's plan, with every reroll, at its prices."""
    takes = (*planned.plans, *planned.rerolls)
    ledger.approve(
        planned.hash or "",
        {plan.fingerprint: plan.at_most_microdollars for plan in takes},
        by,
        clip=planned.row.clip,
        way=way,
        doubt=planned.doubt,
        model_ids={plan.fingerprint: plan.model_id for plan in takes},
    )


class ClipPlanner:
    """Plans registered clips.

    Args:
        reader: Reads their files, or remembers them.
        offers: What the service offers now.
        options: What decides where a brief is silent.
        past_costs: What requests like one have cost.
        was_sent: Whether a request of this fingerprint was ever sent: one that was sent without a preparation that its
            endpoint does not need stays without it.
    """

    def __init__(
        self,
        reader: MediaReader,
        offers: Callable[[Collection[Family]], Awaitable[Mapping[Family, PlanOffer | None]]],
        options: PlanOptions,
        was_sent: Callable[[str], bool] = lambda _: False,
        past_costs: PastCosts = lambda _: (),
    ) -> None:
        self._reader = reader
        self._offers = offers
        self._options = options
        self._was_sent = was_sent
        self._past_costs = past_costs
        self._reads = asyncio.Semaphore(READS)

    @classmethod
    def of_run(cls, context: PipelineContext) -> Self:
        """Return the planner of a run's clips."""
        reader = MediaReader(context.bucket, context.registry, context.scratch, context.pool)
        offers = partial(plan_offers, context.offers)
        past = partial(context.ledger.past_costs, context.settings.service)
        return cls(reader, offers, context.options, context.ledger.was_sent, past)

    async def plan(self, row: ClipRow) -> Planned:
        """All takes of a clip.

        Raises:
            I2VError: the bucket or the catalogue does not answer, or the token is not accepted.
        """
        return await self.takes(row, *await self.read(row))

    async def takes(self, row: ClipRow, candidate: Candidate, files: tuple[ReadFile, ...]) -> Planned:
        """All takes of a clip whose files are read."""
        first = _video_as_voice(row, candidate, files) or await self.take(row, candidate, files, 1)
        if not isinstance(first, Plan):
            return Planned(row, candidate, files, stopped=first)
        brief = candidate.brief
        asked, possible = asked_takes(brief, row), reroll_takes(brief, row, measured=self._options.measured)
        further = [await self.take(row, candidate, files, number) for number in (*asked[1:], *possible)]
        plans = [first, *(plan for plan in further if isinstance(plan, Plan))]
        sure, rerolls = (tuple(plan for plan in plans if plan.take in numbers) for numbers in (asked, possible))
        return Planned(row, candidate, files, sure, rerolls=rerolls)

    async def read(self, row: ClipRow) -> tuple[Candidate, tuple[ReadFile, ...]]:
        """A clip's upload and its files, in its order; the moving part of a Live Photo does not belong to a loose image's."""
        candidate = Candidate.from_content(row.content)
        files = await self.read_files(candidate.files)
        if candidate.kind is not UploadKind.LOOSE:
            return candidate, files
        still = (file for file in files if not (isinstance(file.facts, VideoFacts) and file.facts.live_photo))
        return candidate, tuple(still)

    async def read_files(self, files: Sequence[UploadFile]) -> tuple[ReadFile, ...]:
        """Files as their bytes show them, in this order."""
        return tuple(await asyncio.gather(*(self._reader.read_async(file, self._reads) for file in files)))

    async def take(
        self, row: ClipRow, candidate: Candidate, files: tuple[ReadFile, ...], number: int
    ) -> Plan | Refusal | Waiting:
        """One take of a clip."""
        order = take_order(row, number)
        name, first_frame = candidate.source, candidate.first_frame
        made = await self.decide(
            row.clip, candidate.brief, files, take=number, name=name, seed=order.seed, first_frame=first_frame
        )
        if not isinstance(made, Plan) or order.from_piece is None:
            return made
        base = await self.take(row, candidate, files, order.base)
        if not isinstance(base, Plan) or len(base.pieces) != len(made.pieces):
            return made
        return from_piece(self._options.service, base, made, order.from_piece)

    async def decide(
        self,
        clip: str,
        brief: Brief,
        files: Sequence[ReadFile],
        *,
        take: int = 1,
        name: str,
        seed: int | None = None,
        first_frame: FirstFrame | None = None,
    ) -> Plan | Refusal | Waiting:
        """Return the decision on one take of a brief and the files it names, for a registered clip or for none.

        Args:
            clip: The clip's name.
            brief: What is asked for.
            files: Its files.
            take: The number of the take.
            name: The upload's name.
            seed: A seed that a person chose.
            first_frame: Whose frame its image is, if it is one.

        Raises:
            I2VError: the catalogue does not answer, or the token is not accepted.
        """
        unreadable = [found for found in files if found.medium is None]
        if unreadable:
            return Refusal.of(clip, [(found.problem, found.remedy) for found in unreadable])
        offers = await self._offers(wanted_families(brief, self._options))
        decided = await self._decide(
            clip, brief, files, offers, take=take, name=name, seed=seed, first_frame=first_frame
        )
        return await self._priced(decided, offers) if isinstance(decided, Plan) else decided

    async def _priced(self, plan: Plan, offers: Mapping[Family, PlanOffer | None]) -> Plan:
        """Return the plan at the price that past costs teach, a plan of pieces at the sum of theirs."""
        if plan.pieces:
            return with_pieces(plan, [await self._priced(piece, offers) for piece in plan.pieces])
        if plan.billed is None:
            return plan
        past = await asyncio.to_thread(self._past_costs, plan.billed)
        return with_past(plan, offers.get(plan.family), past, self._options.price_headroom)

    async def _decide(
        self,
        clip: str,
        brief: Brief,
        files: Sequence[ReadFile],
        offers: Mapping[Family, PlanOffer | None],
        *,
        take: int,
        name: str,
        seed: int | None,
        first_frame: FirstFrame | None,
    ) -> Plan | Refusal | Waiting:
        """Return the decision without what earlier requests have cost."""
        faces = next((file.faces for file in files if file.faces), None)

        pauses: dict[str, VoicePauses] = {}

        def make(prepared: Prepared | None, first_frame: FirstFrame | None = first_frame) -> Decision:
            made = make_plan(
                clip,
                brief,
                [MeasuredMedium(file.medium, file.name, file.facts) for file in files if file.medium and file.facts],
                offers,
                self._options,
                take=take,
                face=faces.portrait if faces else None,
                face_share=faces.share if faces else None,
                large_faces=faces.large if faces else None,
                name=name,
                prepared=prepared,
                was_sent=self._was_sent,
                pauses=pauses,
                first_frame=first_frame,
            )
            return with_seed(made, self._options.service, seed) if isinstance(made, Plan) and seed is not None else made

        prepared: dict[tuple[str, str], MeasuredMedium] = {}
        foreseen = {file.medium.sha256 for file in files if file.foreseen and file.medium}
        try:
            while isinstance(made := await self._made(brief, make, prepared), Unprepared | Unheard):
                if isinstance(made, Unheard):
                    pauses[made.medium.medium.sha256] = await self._reader.preparer.pauses(made.medium)
                    continue
                as_it_is = make(None) if made.optional else None
                if isinstance(as_it_is, Plan) and await self._sent(as_it_is):
                    return as_it_is
                prepared.update(await asyncio.gather(*(self._prepared(wanted, foreseen) for wanted in made.wanted)))
        except Unreadable as error:
            return Refusal.of(clip, [(error.message, error.remedy)])
        if (
            first_frame is not None
            and isinstance(by_bytes := make(prepared, None), Plan)
            and await self._sent(by_bytes)
        ):
            return by_bytes  # paid for when a frame still counted as its bytes
        return await _by_schema(made, offers) if isinstance(made, Plan) else made

    async def _prepared(self, wanted: Wanted, foreseen: Collection[str]) -> tuple[tuple[str, str], MeasuredMedium]:
        key = wanted.medium.medium.sha256, wanted.preparation.result_key
        if wanted.medium.medium.sha256 in foreseen:
            return key, expected_after(wanted.medium, wanted.preparation)
        return key, await self._reader.preparer.prepare(wanted.medium, wanted.preparation)

    async def _sent(self, plan: Plan) -> bool:
        sent = await asyncio.gather(*(asyncio.to_thread(self._was_sent, each.fingerprint) for each in plan.requests))
        return any(sent)

    async def _made(self, brief: Brief, make: Callable[[Prepared | None], Decision], prepared: Prepared) -> Decision:
        """Plan; in a thread if several families may be preferred, since the ledger is asked what was sent before."""
        if brief.model or self._options.routes:
            return await asyncio.to_thread(make, prepared)
        return make(prepared)


CHECK_LIMITS = WorkLimits("check", 3.0, quick=True)
"""Checking inputs takes milliseconds after a second of imports; a pattern that takes longer is made to."""


async def _by_schema(plan: Plan, offers: Mapping[Family, PlanOffer | None]) -> Plan | Refusal:
    """Return the plan, or a refusal in the words of the live schema that its body does not fit."""
    offer = offers.get(plan.family)
    bodies = {json.dumps(each.inputs.body): None for each in plan.requests if each.inputs.body is not None}
    if offer is None or offer.live is None or not bodies:
        return plan
    schema, found = json.dumps(offer.live.schema.plain), list[str]()
    try:
        for body in bodies:  # of a film, each of its requests
            found += await shared_pool().run_async(
                violations, schema, body, limits=CHECK_LIMITS, name="The model's schema"
            )
    except OverLimit as error:
        words = f"{plan.family} cannot be used: {error.message}"
        return Refusal.of(plan.clip, [(words, "Name another model in `model`.")], "brief")
    remedy = f"Correct `inputs` in the brief: `i2v models {plan.family}` shows the fields."
    return (
        Refusal.of(
            plan.clip,
            [(f"{plan.family}: {redact_line(each, limit=300)}.", remedy) for each in dict.fromkeys(found)],
            "brief",
        )
        if found
        else plan
    )


def _video_as_voice(row: ClipRow, candidate: Candidate, files: Sequence[ReadFile]) -> Refusal | None:
    """Return a refusal if the file beside a loose image turns out to be a video: what is meant by it is not known."""
    if candidate.kind is not UploadKind.LOOSE:
        return None
    videos = [file for file in files if file.medium is not None and file.medium.kind is MediumKind.VIDEO]
    if not videos:
        return None
    name = videos[0].name
    remedy = "Put a reference video in a folder of its own, with its image and a brief.yaml, or remove it."
    return Refusal.of(
        row.clip, [(f"{name} has the image's name and holds a picture, so it is not a voiceover.", remedy)]
    )


async def plan_offers(offers: Offers, families: Collection[Family] | None = None) -> dict[Family, PlanOffer | None]:
    """Return the id and price of these families, or of the routes' own ones; None if no id answers.

    A family is left out if the catalogue does not answer now (a passing fault): the planner goes on without a price, and
    nothing is paid at a price that no plan has shown.

    Raises:
        I2VError: the token is missing or rejected.
    """
    return {family: _plan_offer(live) for family, live in (await offers.all(families)).items()}


def _plan_offer(live: LiveOffer) -> PlanOffer | None:
    if live.unusable is not None:
        return PlanOffer(live.family, None, "", unusable=live.unusable.message, remedy=live.unusable.remedy)
    if live.offer is None:
        return None
    offer = live.offer
    return PlanOffer(
        offer.endpoint.model_id,
        offer.price_microdollars_per_unit,
        offer.price_unit,
        trouble="; ".join(live.unapproved_changes),
        terms=offer.terms,
        live=offer.endpoint if isinstance(offer.endpoint, LiveEndpoint) else None,
    )


def plan_options(settings: Settings) -> PlanOptions:
    """What the planner decides by where a brief is silent.

    Raises:
        SettingsError: the presets' file cannot be read, or I2V_ROUTES names no family; BriefError: it is malformed.
    """
    for route, names in settings.routes.items():
        check_names(names, f"I2V_ROUTES, {route},")
    return PlanOptions(
        service=settings.service,
        watermark=settings.watermark,
        keep_face=settings.keep_face,
        presets=_presets(settings),
        presets_are_shipped=not settings.presets_file,
        price_headroom=settings.price_headroom,
        allow_unknown_price=settings.allow_unknown_price,
        measured=settings.measure,
        prepare=settings.prepare,
        version=version("i2v-assets"),
        routes=MappingProxyType({Route(route): expand(names) for route, names in settings.routes.items()}),
    )


def _presets(settings: Settings) -> Mapping[str, str]:
    if not settings.presets_file:
        return SHIPPED_PRESETS
    try:
        text = Path(settings.presets_file).read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"I2V_PRESETS_FILE {settings.presets_file} cannot be read: {error.strerror}.",
            remedy="Name a YAML file of presets, or leave it empty for the shipped ones.",
        ) from None
    return load_presets(text, settings.presets_file)
