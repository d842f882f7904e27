"""Decide from a brief, its media and the catalogue: a plan, a refusal or a wait. Nothing is paid here.

The inputs of a plan state everything that decides the price or the picture, including defaults, so that a changed
default at the service has no effect.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence

from i2v_assets.briefs.brief import Brief, BriefError, MediaRef
from i2v_assets.planning.media import MeasuredMedium, audio_facts, image_facts, of_kind
from i2v_assets.planning.media_checks import check_media
from i2v_assets.planning.plan import Plan, PlanOffer, PlanOptions, Refusal, Waiting, plan_hash
from i2v_assets.planning.preparing import Prepared, Unprepared, with_prepared
from i2v_assets.planning.prompt_advice import Advice, PromptFacts, advise
from i2v_assets.planning.prompts import has_roles, pick_preset, reference_line
from i2v_assets.planning.routing import RouteImpossible, Routing, choose_route, references
from resources.problem import Problem
from resources.runcomfy.errors import UnknownPriceUnit
from resources.runcomfy.pricing import price_microdollars
from resources.runcomfy.wire import CatalogueEntry
from resources.schemas.endpoints import LIMITS, Limits, prompt_problem
from resources.schemas.inputs import MAX_SEED, Family, GenerationInputs, MediumKind, Route, fingerprint
from resources.schemas.limits import DEFAULT_DURATION

__all__ = [
    "MeasuredMedium",
    "Plan",
    "PlanOffer",
    "PlanOptions",
    "Refusal",
    "Unprepared",
    "Waiting",
    "derived_seed",
    "make_plan",
    "plan_hash",
]

ENCODER_PADDING = 0.06
"""Seconds of sound beyond a whole second that are ignored: MP3 encoders pad by up to 2,257 samples (0.051 s at 44.1 kHz), and
a further paid second would hold only that silence."""

NOTICEABLE = 0.5
"""Seconds of silence or of cut voice from which the plan gives advice."""


def make_plan(
    clip: str,
    brief: Brief,
    media: Sequence[MeasuredMedium],
    offers: Mapping[Family, PlanOffer | None],
    options: PlanOptions,
    *,
    take: int = 1,
    face: bool | None = None,
    face_share: float | None = None,
    name: str = "",
    prepared: Prepared | None = None,
) -> Plan | Refusal | Waiting | Unprepared:
    """Plan one take of a clip.

    Args:
        clip: The partition key.
        brief: The brief, merged with the folders' defaults.
        media: The readable media in the brief's order.
        offers: The catalogue's entry by family: None if no id is available, absent if it was not queried.
        options: Settings for every key that the brief leaves out.
        take: Number of the take, from 1.
        face: Whether the image is a portrait; None if it was not checked.
        face_share: Share of the frame that the largest face fills, from 0 to 1.
        name: The upload's name, for choosing a preset; defaults to the clip's name.
        prepared: The files that were prepared so far. None plans with the files as they are, whatever the options say.
    """
    if brief.shots is not None:
        words = "The brief lists `shots`, which make a film and not a single clip."
        return Refusal.of(
            clip, [(words, f"Write them into sequences/{clip}.yaml instead, or keep one `prompt`.")], "brief"
        )
    media = _ordered(brief, media)
    try:
        routing = choose_route(brief, media, face)
    except RouteImpossible as error:
        return Refusal.of(clip, [(error.message, error.remedy)], "brief")
    family = _family(clip, brief, media, routing, offers, options)
    if isinstance(family, Waiting):
        return family
    reasons = routing.reasons
    if family is Family.WAN_T2V and of_kind(media, MediumKind.IMAGE):
        media = of_kind(media, MediumKind.AUDIO)
        reasons += ("The face is not kept: the image is not sent, and the person on it does not appear.",)
    if options.prepare and prepared is not None:
        ready = with_prepared(clip, family, media, brief, prepared)
        if isinstance(ready, Unprepared):
            return ready
        media, sentences = ready
        reasons += sentences
    return _Planner(clip, brief, media, family, options, take, face, face_share, name or clip).plan(
        Routing(routing.route, (family,), reasons), offers
    )


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


def _ordered(brief: Brief, media: Sequence[MeasuredMedium]) -> tuple[MeasuredMedium, ...]:
    """Return images, videos and sounds, each in the order of the brief; a dub's voiceover is its sound."""
    place = {ref.file: at for refs in (brief.images, brief.videos, brief.audio) for at, ref in enumerate(refs or ())}
    kinds = (MediumKind.IMAGE, MediumKind.VIDEO, MediumKind.AUDIO)
    return tuple(
        each for kind in kinds for each in sorted(of_kind(media, kind), key=lambda medium: place.get(medium.name, 0))
    )


def _family(
    clip: str,
    brief: Brief,
    media: Sequence[MeasuredMedium],
    routing: Routing,
    offers: Mapping[Family, PlanOffer | None],
    options: PlanOptions,
) -> Family | Waiting:
    family = routing.family_preference[0]
    with_image = routing.route is Route.LIP_SYNC and bool(of_kind(media, MediumKind.IMAGE))
    if with_image and _drops_face(brief, options):
        family = Family.WAN_T2V
    offer = offers.get(family)
    if offer is not None and offer.trouble:
        return Waiting(
            clip=clip,
            kind="catalogue",
            words=f"The service's entry of {family} differs from the accepted one: {offer.trouble.rstrip('.')}.",
            remedy=f"Check it with `i2v models`, then accept it: i2v models --accept {family}",
            route=routing.route,
            reasons=routing.reasons,
        )
    if family not in offers or offer is not None:
        return family
    if family is Family.WAN_I2V:
        return Waiting(
            clip=clip,
            kind="keep_face",
            words=(
                "The service has no endpoint now that takes both an image and a voice. The documented one (Wan"
                " text-to-video with audio_url) takes no image, so the person in it would not appear."
            ),
            remedy="Wait until it has one, or write `keep_face: false` in the brief to make the clip without that person.",
            route=routing.route,
            reasons=routing.reasons,
        )
    return Waiting(
        clip=clip,
        kind="catalogue",
        words=f"The service's catalogue has no model id of {family}, so the route {routing.route} is not available.",
        remedy="`i2v models` shows the available ids. I2V_MODEL_IDS sets another id.",
        route=routing.route,
        reasons=routing.reasons,
    )


def _drops_face(brief: Brief, options: PlanOptions) -> bool:
    if brief.keep_face is None:
        return options.keep_face == "never"
    return brief.keep_face is False


class _Planner:
    """Plans one take of one clip for a chosen family and collects every problem."""

    def __init__(
        self,
        clip: str,
        brief: Brief,
        media: Sequence[MeasuredMedium],
        family: Family,
        options: PlanOptions,
        take: int,
        face: bool | None,
        face_share: float | None,
        name: str,
    ) -> None:
        self.clip = clip
        self.brief = brief
        self.media = media
        self.family = family
        self.limits: Limits = LIMITS[family]
        self.options = options
        self.take = take
        self.face = face
        self.face_share = face_share
        self.name = name
        self.problems: list[Problem] = list(check_media(family, media))
        self.advice: list[Advice] = []
        self.preset: str | None = None
        self.preset_reason: str | None = None

    def plan(self, routing: Routing, offers: Mapping[Family, PlanOffer | None]) -> Plan | Refusal:
        offer = offers.get(self.family)
        prompt = self._prompt(routing.route)
        duration = self._duration(routing.route)
        resolution = self._resolution(offer)
        aspect_ratio = self._aspect_ratio()
        switches = self._switches()
        if self.problems:
            return self._refusal(routing)
        inputs = GenerationInputs(
            family=self.family,
            prompt=prompt,
            negative_prompt=self.brief.negative_prompt,
            images=tuple(each.medium for each in self._kind(MediumKind.IMAGE)),
            audios=tuple(each.medium for each in self._kind(MediumKind.AUDIO)),
            videos=tuple(each.medium for each in self._kind(MediumKind.VIDEO)),
            duration=duration,
            resolution=resolution,
            aspect_ratio=aspect_ratio,
            seed=self._seed(prompt),
            **switches,
        )
        price = self._price(offer, inputs)
        if self.problems:
            return self._refusal(routing)
        numbered = self._numbered()
        self._advise_graphics()
        which = f"{', '.join(numbered)}." if numbered else ""
        return Plan(
            clip=self.clip,
            take=self.take,
            route=routing.route,
            reasons=(*routing.reasons, which[0].upper() + which[1:]) if which else routing.reasons,
            numbered=numbered,
            family=self.family,
            inputs=inputs,
            fingerprint=fingerprint(self.options.service, inputs, self.take),
            price_microdollars=price,
            price_unit=offer.price_unit if offer else None,
            model_id=offer.model_id if offer else None,
            preset=self.preset,
            preset_reason=self.preset_reason,
            may_be_silent=bool(self.brief.may_be_silent),
            advice=(*self.advice, *advise(prompt, routing.route, self._prompt_facts())),
        )

    def _refusal(self, routing: Routing) -> Refusal:
        return Refusal(clip=self.clip, problems=tuple(self.problems), route=routing.route, reasons=routing.reasons)

    def _kind(self, kind: MediumKind) -> tuple[MeasuredMedium, ...]:
        return of_kind(self.media, kind)

    def _numbered(self) -> tuple[str, ...]:
        """Return which file each number means, for the kinds of which there are several."""
        kinds = ((MediumKind.IMAGE, "image"), (MediumKind.VIDEO, "video"), (MediumKind.AUDIO, "audio"))
        return tuple(
            f"{word} {number} is {each.name}"
            for kind, word in kinds
            if len(self._kind(kind)) > 1
            for number, each in enumerate(self._kind(kind), start=1)
        )

    def _refuse(self, what: str, limit: str, remedy: str) -> None:
        self.problems.append(Problem(file="brief", what=what, limit=limit, remedy=remedy))

    def _advise(self, code: str, words: str) -> None:
        self.advice.append(Advice(code=code, words=words))

    def _advise_graphics(self) -> None:
        """Say which pictures are screenshots or pages of text, while nothing is paid for."""
        names = [each.name for each in self._kind(MediumKind.IMAGE) if image_facts(each).graphic]
        if names:
            looks = "looks like a screenshot or a page" if len(names) == 1 else "look like screenshots or pages"
            self._advise(
                "looks_like_text",
                f"{', '.join(names)} {looks} of text. Models redraw letters, and small ones become unreadable. Use a picture "
                'without small text, or ask for a light move only: "Very slow push in, all lettering unchanged".',
            )

    # The prompt

    def _prompt(self, route: Route) -> str:
        prompt = self.brief.prompt
        if prompt is None:
            prompt = self._preset(route)
        if (
            route is Route.MULTI_MODAL
            and not references(prompt)
            and (self.brief.prompt is None or has_roles(self.brief))
        ):
            line = reference_line(
                *(self._refs(kind) for kind in (MediumKind.IMAGE, MediumKind.VIDEO, MediumKind.AUDIO))
            )
            prompt = f"{prompt} {line}".strip()
        if prompt and (problem := prompt_problem(self.family, prompt)) is not None:
            self._refuse(problem, "", "Shorten the prompt.")
        return prompt

    def _preset(self, route: Route) -> str:
        images = self._kind(MediumKind.IMAGE)
        aspect = (facts := image_facts(images[0])).width / facts.height if images else None
        try:
            self.preset, self.preset_reason = pick_preset(
                self.brief,
                self.face,
                (self.name, *(each.name for each in self.media)),
                route=route,
                aspect=aspect,
                presets=self.options.presets,
            )
        except BriefError as error:
            self._refuse(error.message, "", error.remedy)
            return ""
        return self.options.presets[self.preset]

    def _refs(self, kind: MediumKind) -> tuple[MediaRef | None, ...]:
        refs_by_file = {
            ref.file: ref for refs in (self.brief.images, self.brief.videos, self.brief.audio) for ref in refs or ()
        }
        return tuple(refs_by_file.get(each.name) for each in self._kind(kind))

    def _prompt_facts(self) -> PromptFacts:
        return PromptFacts(
            family=self.family,
            images=len(self._kind(MediumKind.IMAGE)),
            videos=len(self._kind(MediumKind.VIDEO)),
            audios=len(self._kind(MediumKind.AUDIO)),
            face_share=self.face_share,
        )

    # Sizes

    def _duration(self, route: Route) -> int:
        low, high = self.limits.min_duration, self.limits.max_duration
        duration = self.brief.duration
        voices = self._kind(MediumKind.AUDIO)
        if duration is None and route is Route.LIP_SYNC:
            duration = "match_audio"
        if duration is None:
            return DEFAULT_DURATION
        if duration == "match_audio":
            if not voices:
                self._refuse("`duration: match_audio` needs a voiceover, and the clip has none.", "",
                             f"Upload one, or write whole seconds from {low} to {high}.")  # fmt: skip
                return DEFAULT_DURATION
            seconds = audio_facts(voices[0]).seconds
            duration = min(max(math.ceil(seconds - ENCODER_PADDING), low), high)
        elif not low <= duration <= high:
            self._refuse(f"`duration` is {duration} s.", f"The route {route} makes {low} to {high} s.",
                         f"Write a number from {low} to {high}. For a longer film, join several clips.")  # fmt: skip
            return DEFAULT_DURATION
        if route is Route.LIP_SYNC:
            self._compare(duration, audio_facts(voices[0]).seconds, high)
        return duration

    def _compare(self, duration: int, seconds: float, high: int) -> None:
        """Advise if the clip ends in silence or cuts the voice."""
        if duration - seconds >= NOTICEABLE:
            self._advise("voice_shorter", f"The voice has {seconds:.1f} s and the clip {duration} s. The last"
                         f" {duration - seconds:.1f} s of the clip are silent.")  # fmt: skip
        elif seconds - duration >= NOTICEABLE:
            longest = " (the route's maximum)" if duration == high else ""
            self._advise("voice_cut", f"The voice has {seconds:.1f} s and the clip {duration} s{longest}. The last"
                         f" {seconds - duration:.1f} s of the voice are cut.")  # fmt: skip

    def _resolution(self, offer: PlanOffer | None) -> str:
        resolution = self.brief.resolution
        if resolution is None:
            return self.limits.default_resolution
        dialect = offer.dialect if offer else None
        allowed = self.limits.resolutions_in(dialect) if dialect else self.limits.resolutions
        if resolution not in allowed:
            who = offer.model_id if offer and resolution in self.limits.resolutions else str(self.family)
            self._refuse(f"`resolution` is {resolution}.", f"{who} makes {', '.join(allowed)}.", "Write one of these.")
        return resolution

    def _aspect_ratio(self) -> str | None:
        aspect_ratio, allowed = self.brief.aspect_ratio, self.limits.aspect_ratios
        if aspect_ratio is None:
            return self.limits.default_aspect_ratio
        if not allowed:
            self._refuse(f"`aspect_ratio` is {aspect_ratio}.", f"{self.family} takes the aspect of its image.",
                         "Remove `aspect_ratio` and crop the image instead.")  # fmt: skip
        elif aspect_ratio not in allowed:
            self._refuse(
                f"`aspect_ratio` is {aspect_ratio}.",
                f"{self.family} makes {', '.join(allowed)}.",
                "Write one of these.",
            )
        return aspect_ratio

    # Switches

    def _switches(self) -> dict[str, bool | None]:
        """Return an explicit value for each switch of the endpoint; refuse what the endpoint cannot do."""
        brief, limits = self.brief, self.limits
        negative = brief.negative_prompt
        if negative and not limits.max_negative_prompt:
            self._refuse("`negative_prompt` is set.", f"{self.family} has no such input.",
                         "Describe in `prompt` what must stay instead, such as “packaging unchanged”.")  # fmt: skip
        elif negative and len(negative) > limits.max_negative_prompt:
            self._refuse(f"`negative_prompt` has {len(negative)} characters.",
                         f"At most {limits.max_negative_prompt} are allowed.", "Shorten it.")  # fmt: skip
        if brief.generate_audio is False and not limits.generate_audio:
            self._refuse("`generate_audio` is false.", f"{self.family} always has sound.", "Remove `generate_audio`.")
        if brief.prompt_expansion is True and not limits.prompt_expansion:
            self._refuse(
                "`prompt_expansion` is true.", f"{self.family} has no such switch.", "Remove `prompt_expansion`."
            )
        if brief.watermark is True and not limits.watermark:
            self._advise("no_watermark_switch", f"{self.family} has no watermark to switch on.")
        watermark = self.options.watermark if brief.watermark is None else brief.watermark
        return {
            "watermark": watermark if limits.watermark else None,
            "generate_audio": brief.generate_audio is not False if limits.generate_audio else None,
            "prompt_expansion": brief.prompt_expansion is not False if limits.prompt_expansion else None,
        }

    # Seed and price

    def _seed(self, prompt: str) -> int:
        base = self.brief.seed
        if base is not None:
            return base if self.take == 1 else derived_seed((), "", self.take, base)
        # All languages of a dub share one seed, so their voices are not part of it.
        media = [each for each in self.media if not (self.brief.dub and each.kind is MediumKind.AUDIO)]
        return derived_seed([each.medium.uploaded_sha256 for each in media], prompt, self.take)

    def _price(self, offer: PlanOffer | None, inputs: GenerationInputs) -> int | None:
        if offer is None:
            return None
        entry = CatalogueEntry(offer.model_id, "", offer.price_microdollars_per_unit, offer.price_unit, None, {})
        try:
            return price_microdollars(entry, inputs)
        except UnknownPriceUnit as error:
            if not self.options.allow_unknown_price:
                self.problems.append(Problem(file="catalogue", what=error.message, remedy=error.remedy))
            return None
