"""Plan one take of a clip for one family: exactly what would be sent, and what it costs. Pure."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from i2v_assets.briefs.brief import Brief, MediaRef
from i2v_assets.briefs.brief_reader import BriefError, suggestion
from i2v_assets.planning.media import MeasuredMedium, image_facts, video_facts
from i2v_assets.planning.names import subject_in
from i2v_assets.planning.plan import (
    UNDER_ROLES,
    Plan,
    PlanOffer,
    PlanOptions,
    Refusal,
    UnderSound,
    first_quote,
)
from i2v_assets.planning.prompt_advice import Advice, PromptFacts, advise, still_due
from i2v_assets.planning.prompts import (
    NEUTRAL,
    SHIPPED_PRESETS,
    SPEAKER,
    SPEAKER_WITHOUT_IMAGE,
    has_roles,
    reference_line,
)
from i2v_assets.planning.request_fields import RequestFields
from i2v_assets.planning.routing import Routing, references
from resources.prices.billed import billed_of, price_microdollars
from resources.problem import Problem
from resources.runcomfy.errors import UnknownPriceUnit
from resources.schemas.inputs import (
    MAX_SEED,
    FirstFrame,
    GenerationInputs,
    Medium,
    MediumKind,
    Route,
    fingerprint,
)
from resources.schemas.limits import prompt_excess
from resources.schemas.live_body import Wishes, write_body


@dataclass(frozen=True, slots=True)
class Faces:
    """What was seen of faces in the first image."""

    portrait: bool | None
    share: float | None
    large: int


def derived_seed(media_hashes: Sequence[str], prompt: str, take: int, base: int | None = None) -> int:
    """Return a seed from 1 to `MAX_SEED` that is the same for the same work; 0 would mean random at the service.

    Args:
        media_hashes: The hashes of the media that the seed depends on.
        prompt: The prompt.
        take: Number of the take.
        base: The brief's own seed; if given, further takes are derived from it alone.
    """
    plain = [base, take] if base is not None else [list(media_hashes), prompt, take]
    digest = hashlib.sha256(json.dumps(plain, ensure_ascii=True).encode()).digest()
    return int.from_bytes(digest[:8], "big") % MAX_SEED + 1


class TakePlanner:
    """Plans one take of one clip for a chosen family and collects every problem."""

    def __init__(
        self,
        clip: str,
        fields: RequestFields,
        options: PlanOptions,
        take: int,
        faces: Faces,
        name: str,
        singles: Mapping[str, MeasuredMedium],
        first_frame: FirstFrame | None,
    ) -> None:
        self.clip = clip
        self.fields = fields
        self.options = options
        self.take = take
        self.faces = faces
        self.name = name
        self.singles = singles
        self.first_frame = first_frame
        self.preset: str | None = None
        self.preset_reason: str | None = None
        fields.check_last_image(singles.get("end_image"))

    def plan(self, routing: Routing) -> Plan | Refusal:
        """Return the plan, or a refusal with every problem."""
        offer = self.fields.offer
        prompt = self._prompt(routing.route)
        duration = self.fields.duration(routing.route)
        resolution = self.fields.resolution()
        aspect_ratio = self.fields.aspect_ratio()
        switches = self.fields.switches()
        if self.fields.problems:
            return self._refusal(routing)
        inputs = GenerationInputs(
            family=self.fields.family,
            prompt=prompt,
            negative_prompt=self.fields.brief.negative_prompt,
            images=tuple(each.medium for each in self.fields.kind(MediumKind.IMAGE)),
            audios=tuple(each.medium for each in self.fields.kind(MediumKind.AUDIO)),
            videos=tuple(each.medium for each in self.fields.kind(MediumKind.VIDEO)),
            end_image=self._end_image(),
            duration=duration,
            resolution=resolution,
            aspect_ratio=aspect_ratio,
            seed=self._seed(prompt),
            first_frame=self.first_frame,
            **switches,
        )
        if self.fields.live is not None:
            priced = max(duration, self.fields.other_seconds)
            inputs = inputs.model_copy(update={"body": self._body(inputs), "duration": priced})
        base = self._base(offer, inputs)
        billed = billed_of(inputs, [video_facts(each).seconds for each in self.fields.kind(MediumKind.VIDEO)])
        quote = None
        if base is not None and offer is not None:
            quote = first_quote(base, inputs, billed, offer, self.options.price_headroom)
        if self.fields.problems:
            return self._refusal(routing)
        numbered = self._numbered()
        self._advise_graphics()
        reasons = (*routing.reasons, *self.fields.cut_sounds(routing.route, duration))
        which = f"{', '.join(numbered)}." if numbered else ""
        return Plan(
            clip=self.clip,
            take=self.take,
            route=routing.route,
            reasons=(*reasons, which[0].upper() + which[1:]) if which else reasons,
            numbered=numbered,
            family=self.fields.family,
            schema_sha256=self.fields.live.schema.sha256 if self.fields.live is not None else None,
            inputs=inputs,
            fingerprint=fingerprint(self.options.service, inputs, self.take),
            price_microdollars=quote.expected if quote is not None else None,
            quote=quote,
            billed=billed,
            price_unit=offer.price_unit if offer else None,
            model_id=offer.model_id if offer else None,
            preset=self.preset,
            preset_reason=self.preset_reason,
            may_be_silent=bool(self.fields.brief.may_be_silent),
            asks=routing.asks,
            under=self._under(),
            advice=(*self.fields.advice, *self._advice_on(prompt, routing, duration, resolution)),
        )

    def _refusal(self, routing: Routing) -> Refusal:
        return Refusal(
            clip=self.clip, problems=tuple(self.fields.problems), route=routing.route, reasons=routing.reasons
        )

    def _numbered(self) -> tuple[str, ...]:
        """Return which file each number means, for the kinds of which there are several."""
        kinds = ((MediumKind.IMAGE, "image"), (MediumKind.VIDEO, "video"), (MediumKind.AUDIO, "audio"))
        return tuple(
            f"{word} {number} is {each.name}"
            for kind, word in kinds
            if len(self.fields.kind(kind)) > 1
            for number, each in enumerate(self.fields.kind(kind), start=1)
        )

    def _advise_graphics(self) -> None:
        """Say which pictures are screenshots or pages of text, while nothing is paid for."""
        names = [each.name for each in self.fields.kind(MediumKind.IMAGE) if image_facts(each).graphic]
        if names:
            looks = "looks like a screenshot or a page" if len(names) == 1 else "look like screenshots or pages"
            self.fields.advise(
                "looks_like_text",
                f"{', '.join(names)} {looks} of text. Models redraw letters, and small ones become unreadable. Use a picture "
                'without small text, or ask for a light move only: "Very slow push in, all lettering unchanged".',
            )

    # The prompt

    def _prompt(self, route: Route) -> str:
        prompt = self.fields.brief.prompt
        if prompt is None:
            prompt = self._preset(route)
        if (
            route is Route.MULTI_MODAL
            and not references(prompt)
            and (self.fields.brief.prompt is None or has_roles(self.fields.brief))
        ):
            line = reference_line(
                *(self._refs(kind) for kind in (MediumKind.IMAGE, MediumKind.VIDEO, MediumKind.AUDIO))
            )
            prompt = f"{prompt} {line}".strip()
        if prompt and (problem := prompt_excess(self.fields.family, self.fields.limits.prompt, prompt)) is not None:
            if self.fields.limits.prompt.kind == "hard" or not prompt.strip():
                self.fields.refuse(problem, "", "Shorten the prompt.")
            else:
                self.fields.advise("prompt_long", problem)
        return prompt

    def _preset(self, route: Route) -> str:
        try:
            self.preset, self.preset_reason = pick_preset(
                self.fields.brief,
                self.faces.portrait,
                (self.name, *(each.name for each in self.fields.media)),
                route=route,
                with_image=bool(self.fields.kind(MediumKind.IMAGE)),
                large_faces=self.faces.large,
                graphic=any(image_facts(each).graphic for each in self.fields.kind(MediumKind.IMAGE)[:1]),
                presets=self.options.presets,
            )
        except BriefError as error:
            self.fields.refuse(error.message, "", error.remedy)
            return ""
        return self.options.presets[self.preset]

    def _refs(self, kind: MediumKind) -> tuple[MediaRef | None, ...]:
        refs_by_file = {
            ref.file: ref
            for refs in (self.fields.brief.images, self.fields.brief.videos, self.fields.brief.audio)
            for ref in refs or ()
        }
        return tuple(refs_by_file.get(each.name) for each in self.fields.kind(kind))

    def _advice_on(self, prompt: str, routing: Routing, duration: int, resolution: str) -> tuple[Advice, ...]:
        """Return the advice on a prompt; a shipped one that moves a picture follows it all, unless a face is small."""
        moves = routing.route is Route.ANIMATE and self.preset not in (None, SPEAKER, SPEAKER_WITHOUT_IMAGE)
        if moves and self.options.presets_are_shipped and not self.faces.share:
            return ()
        return still_due(advise(prompt, routing.route, self._prompt_facts(duration, resolution)), routing.asks)

    def _prompt_facts(self, duration: int, resolution: str) -> PromptFacts:
        images = self.fields.kind(MediumKind.IMAGE)
        return PromptFacts(
            family=self.fields.family,
            images=len(images),
            videos=len(self.fields.kind(MediumKind.VIDEO)),
            audios=len(self.fields.kind(MediumKind.AUDIO)),
            face_share=self.faces.share,
            portrait=bool(self.faces.portrait),
            large_faces=self.faces.large,
            subject=subject_in([each.name for each in images], face=self.faces.portrait)[0],
            written=self.fields.brief.prompt is not None,
            duration=duration,
            resolution=resolution,
            resolutions=self.fields.limits.resolutions,
            aspect_ratio=self.fields.brief.aspect_ratio,
            image_aspect=(facts := image_facts(images[0])).width / facts.height if images else None,
            takes_aspect=bool(self.fields.limits.aspect_ratios),
            loops=self.fields.brief.loop is True,
            silent=self.fields.brief.generate_audio is False or bool(self.singles.keys() & set(UNDER_ROLES)),
            switches_sound=self.fields.limits.generate_audio,
        )

    def _end_image(self) -> Medium | None:
        if "end_image" in self.singles:
            return self.singles["end_image"].medium
        images = self.fields.kind(MediumKind.IMAGE)
        return images[0].medium if self.fields.brief.loop and images else None

    def _under(self) -> tuple[UnderSound, ...]:
        return tuple(
            UnderSound(role=role, name=each.name, medium=each.medium)
            for role in UNDER_ROLES
            if (each := self.singles.get(role)) is not None
        )

    # The body of a model that is used by its live schema

    def _body(self, inputs: GenerationInputs) -> dict[str, Any]:
        if self.fields.live is None:
            raise AssertionError("the code knows the body")
        names = {kind: [each.name for each in self.fields.kind(kind)] for kind in MediumKind}
        words = ("negative_prompt", "duration", "resolution", "aspect_ratio", "seed", "watermark", "generate_audio",
                 "prompt_expansion")  # fmt: skip
        values = {
            word: getattr(inputs, word) or None if word == "resolution" else getattr(inputs, word) for word in words
        }
        written = write_body(
            self.fields.live,
            Wishes(inputs.prompt, names, values, self.fields.inputs, ends=inputs.end_image is not None),
        )
        for problem in written.problems:
            self.fields.refuse(
                f"{problem[0].upper()}{problem[1:]}.", "", f"Compare with `i2v models {self.fields.family}`."
            )
        return written.body

    # Seed and price

    def _seed(self, prompt: str) -> int:
        base = self.fields.brief.seed
        if base is not None:
            return base if self.take == 1 else self._within(derived_seed((), "", self.take, base))
        # All languages of a dub share one seed, so their voices are not part of it.
        media = [each for each in self.fields.media if not (self.fields.brief.dub and each.kind is MediumKind.AUDIO)]
        return self._within(derived_seed([self._source_of(each) for each in media], prompt, self.take))

    def _source_of(self, medium: MeasuredMedium) -> str:
        """Return what stands for a medium in a seed: its bytes, or the shot whose frame it is."""
        if self.first_frame is not None and medium.kind is MediumKind.IMAGE:
            return self.first_frame.of
        return medium.medium.uploaded_sha256

    def _within(self, seed: int) -> int:
        """Return a derived seed that is not above what a live schema takes."""
        largest = self.fields.live.schema.field("seed").get("maximum") if self.fields.live is not None else None
        return seed if not largest or largest < 1 else (seed - 1) % int(largest) + 1

    def _base(self, offer: PlanOffer | None, inputs: GenerationInputs) -> int | None:
        if offer is None:
            return None
        try:
            return price_microdollars(offer.entry, inputs)
        except UnknownPriceUnit as error:
            if not self.options.allow_unknown_price:
                self.fields.problems.append(Problem(file="catalogue", what=error.message, remedy=error.remedy))
            return None


def pick_preset(
    brief: Brief,
    face_is_portrait: bool | None,
    names: Sequence[str],
    *,
    route: Route = Route.ANIMATE,
    with_image: bool = True,
    large_faces: int = 0,
    graphic: bool = False,
    presets: Mapping[str, str] | None = None,
) -> tuple[str, str]:
    """Return the motion preset of a clip without a prompt, and why it was chosen.

    Args:
        brief: The brief; its ``motion`` wins.
        face_is_portrait: The face detector's result; None if it did not run.
        names: File and folder names, which often name the subject.
        route: The clip's route.
        with_image: Whether the endpoint gets an image; without one the prompt has to describe the speaker.
        large_faces: The number of large faces in the image.
        graphic: The image looks like a screenshot or a page of text.
        presets: The available presets; the shipped ones if omitted.

    Raises:
        BriefError: the brief names a preset that does not exist.
    """
    available = SHIPPED_PRESETS if presets is None else presets
    if brief.motion is not None:
        if brief.motion not in available:
            raise BriefError(
                f"`motion: {brief.motion[:40]}` is not a motion preset.", remedy=suggestion(brief.motion, available)
            )
        return brief.motion, "The brief names it."
    if route is Route.LIP_SYNC:
        return SPEAKER if with_image else SPEAKER_WITHOUT_IMAGE, "A voiceover is spoken."
    if large_faces > 1:
        return "group", f"The image shows {large_faces} large faces."
    if face_is_portrait:
        return "portrait", "The image is a portrait."
    if graphic:
        return "graphic", "The picture looks like a page of text."
    preset, word = subject_in(names, face=face_is_portrait)
    if preset:
        return preset, f"The name says “{word}”."
    return NEUTRAL, "Nothing says what is shown, and this one names nothing."
