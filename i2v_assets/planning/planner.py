"""Decide from a brief, its media and the catalogue: a plan, a refusal or a wait. Nothing is paid here.

The inputs of a plan state everything that decides the price or the picture, including defaults, so that a changed
default at the service has no effect.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from i2v_assets.briefs.brief import Brief, MediaRef
from i2v_assets.briefs.brief_reader import BriefError
from i2v_assets.planning.families import (
    UnknownFamily,
    check_names,
    choose_family,
    families_for,
    limits_of_offer,
    waiting_for,
)
from i2v_assets.planning.live_inputs import LiveInputs, live_inputs, not_by_schema
from i2v_assets.planning.media import ENCODER_PADDING, MeasuredMedium, audio_facts, image_facts, of_kind, video_facts
from i2v_assets.planning.media_checks import check_media, media_advice
from i2v_assets.planning.names import subject_in
from i2v_assets.planning.plan import (
    UNDER_ROLES,
    Plan,
    PlanOffer,
    PlanOptions,
    Refusal,
    UnderSound,
    Waiting,
    first_quote,
    plan_hash,
)
from i2v_assets.planning.preparing import Prepared, Unprepared, with_prepared
from i2v_assets.planning.prompt_advice import Advice, PromptFacts, advise
from i2v_assets.planning.prompts import SPEAKER, SPEAKER_WITHOUT_IMAGE, has_roles, pick_preset, reference_line
from i2v_assets.planning.routing import RouteImpossible, Routing, choose_route, references
from i2v_assets.planning.voice_film import SPLIT_AND_DURATION, Pauses, Unheard, VoiceFilm, voice_to_split
from resources.prices.billed import billed_of
from resources.problem import Problem
from resources.runcomfy.errors import UnknownPriceUnit
from resources.runcomfy.pricing import price_microdollars
from resources.schemas.inputs import (
    MAX_SEED,
    Family,
    FirstFrame,
    GenerationInputs,
    Medium,
    MediumKind,
    Route,
    fingerprint,
)
from resources.schemas.limits import DEFAULT_DURATION, Limits
from resources.schemas.live_body import Wishes, write_body
from resources.schemas.live_limits import usual_duration
from resources.schemas.prompt_length import prompt_excess

__all__ = [
    "MeasuredMedium",
    "Plan",
    "PlanOffer",
    "PlanOptions",
    "Refusal",
    "Unheard",
    "Unprepared",
    "Waiting",
    "derived_seed",
    "make_plan",
    "plan_hash",
]

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
    large_faces: int | None = None,
    name: str = "",
    prepared: Prepared | None = None,
    was_sent: Callable[[str], bool] = lambda _: False,
    pauses: Pauses | None = None,
    first_frame: FirstFrame | None = None,
) -> Plan | Refusal | Waiting | Unprepared | Unheard:
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
        large_faces: The number of large faces in the image; None if it was not checked.
        name: The upload's name, for choosing a preset; defaults to the clip's name.
        prepared: The files that were prepared so far. None plans with the files as they are, whatever the options say.
        was_sent: Whether a request of this fingerprint was ever sent; asked only where several families are preferred.
        pauses: The pauses of voices that are known so far. None never splits a voice: what is beyond the limit is cut.
        first_frame: Whose frame the clip's image is, if it is one of the shot before in a film.
    """
    if brief.shots is not None:
        words = "The brief lists `shots`, which make a film and not a single clip."
        return Refusal.of(
            clip, [(words, f"Write them into sequences/{clip}.yaml instead, or keep one `prompt`.")], "brief"
        )
    singles = _singles(brief, media)
    media = _ordered(brief, [each for each in media if each.name not in brief.single_files.values()])
    seen = None if face is None else face or bool(large_faces)
    try:
        check_names([brief.model] if brief.model else [], "The brief's `model`")
        routing = choose_route(brief, media, seen)
        _check_under(brief, routing.route)
    except (RouteImpossible, UnknownFamily) as error:
        return Refusal.of(clip, [(error.message, error.remedy)], "brief")
    faces = _Faces(face, face_share, large_faces or 0)
    job = _Job(clip, brief, media, singles, offers, options, take, faces, name or clip, prepared, pauses, first_frame)
    return choose_family(
        families_for(brief, media, routing, offers, options), partial(_attempt, job, routing), was_sent
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


@dataclass(frozen=True)
class _Job:
    """The arguments of `make_plan`, with the media in order."""

    clip: str
    brief: Brief
    media: tuple[MeasuredMedium, ...]
    singles: Mapping[str, MeasuredMedium]
    offers: Mapping[Family, PlanOffer | None]
    options: PlanOptions
    take: int
    faces: "_Faces"
    name: str
    prepared: Prepared | None
    pauses: Pauses | None
    first_frame: FirstFrame | None


def _attempt(
    job: _Job, routing: Routing, family: Family, take: int | None = None
) -> Plan | Refusal | Waiting | Unprepared | Unheard:
    """Plan with one family; ``take`` is that of the job if it is None."""
    if (waiting := waiting_for(job.clip, routing, family, job.offers, job.media)) is not None:
        return waiting
    offer = job.offers.get(family)
    if offer is not None and offer.unusable:
        return Refusal.of(job.clip, [(offer.unusable, offer.remedy)], "brief")
    reasons, media, singles = routing.reasons, job.media, dict(job.singles)
    limits = limits_of_offer(family, offer, ends=job.brief.holds_last_frame)
    if routing.route is Route.LIP_SYNC and not limits.images.max_count and of_kind(media, MediumKind.IMAGE):
        media = of_kind(media, MediumKind.AUDIO)
        reasons += ("The face is not kept: the image is not sent, and the person on it does not appear.",)
    splits = job.pauses is not None and routing.route is Route.LIP_SYNC
    voice = voice_to_split(limits, job.brief, media) if splits else None
    if voice is not None and isinstance(job.brief.duration, int):
        return Refusal.of(job.clip, [SPLIT_AND_DURATION], "brief")
    others = [each for each in media if each is not voice]
    if job.options.prepare and job.prepared is not None:
        ready = with_prepared(job.clip, family, others, job.brief, job.prepared, limits, alone=voice is None)
        if isinstance(ready, Unprepared):
            return ready
        others, sentences = list(ready[0]), ready[1]
        reasons += sentences
        if "end_image" in singles:
            last = with_prepared(job.clip, family, [singles["end_image"]], job.brief, job.prepared, limits)
            if isinstance(last, Unprepared):
                return last
            singles["end_image"], reasons = last[0][0], (*reasons, *last[1])

    def plan_of(sent: Sequence[MeasuredMedium]) -> Plan | Refusal:
        planner = _Planner(
            job.clip,
            job.brief,
            sent,
            family,
            limits,
            offer,
            job.options,
            take or job.take,
            job.faces,
            job.name,
            singles,
            job.first_frame,
        )
        return planner.plan(Routing(routing.route, (family,), reasons, routing.asks))

    if voice is None:
        return plan_of(others)
    film = VoiceFilm(job.clip, family, limits, job.brief, tuple(others), voice, job.options.service)
    return film.plan(job.pauses or {}, job.prepared or {}, plan_of)


@dataclass(frozen=True, slots=True)
class _Faces:
    """What was seen of faces in the first image."""

    portrait: bool | None
    share: float | None
    large: int


def _singles(brief: Brief, media: Sequence[MeasuredMedium]) -> dict[str, MeasuredMedium]:
    """Return the media that the brief names for one purpose each, by key."""
    by_name = {each.name: each for each in media}
    return {key: by_name[name] for key, name in brief.single_files.items() if name in by_name}


def _check_under(brief: Brief, route: Route) -> None:
    """Refuse sounds under a clip whose own sound is the matter.

    Raises:
        RouteImpossible: the route is not animate.
    """
    key = next((key for key in ("music", "narration") if getattr(brief, key) is not None), None)
    if key is not None and route is not Route.ANIMATE:
        raise RouteImpossible(
            f"`{key}` is laid under an animate clip, and this one is {route}.",
            remedy=f"Name one image and no voice under `audio`, or remove `{key}`.",
        )


class _Planner:
    """Plans one take of one clip for a chosen family and collects every problem."""

    def __init__(
        self,
        clip: str,
        brief: Brief,
        media: Sequence[MeasuredMedium],
        family: Family,
        limits: Limits,
        offer: PlanOffer | None,
        options: PlanOptions,
        take: int,
        faces: _Faces,
        name: str,
        singles: Mapping[str, MeasuredMedium],
        first_frame: FirstFrame | None,
    ) -> None:
        self.first_frame = first_frame
        self.clip = clip
        self.live = offer.live if offer is not None else None
        self.problems: list[Problem] = list(check_media(family, media, limits))
        given = LiveInputs(brief, {})
        if self.live is not None:
            given = live_inputs(brief, self.live)
        elif brief.inputs:
            given = not_by_schema(brief, family)
        self.brief, self.inputs, self.other_seconds = given.brief, given.rest, given.seconds
        self.problems += given.problems
        self.media = media
        self.family = family
        self.limits = limits
        self.offer = offer
        self.options = options
        self.take = take
        self.faces = faces
        self.name = name
        self.singles = singles
        self._check_end_image()
        self.advice = [Advice(code="recommended", words=words) for words in media_advice(media, limits)]
        self.preset: str | None = None
        self.preset_reason: str | None = None

    def plan(self, routing: Routing) -> Plan | Refusal:
        offer = self.offer
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
            end_image=self._end_image(),
            duration=duration,
            resolution=resolution,
            aspect_ratio=aspect_ratio,
            seed=self._seed(prompt),
            first_frame=self.first_frame,
            **switches,
        )
        if self.live is not None:
            priced = max(duration, self.other_seconds)
            inputs = inputs.model_copy(update={"body": self._body(inputs), "duration": priced})
        base = self._base(offer, inputs)
        billed = billed_of(inputs, [video_facts(each).seconds for each in self._kind(MediumKind.VIDEO)])
        quote = None
        if base is not None and offer is not None:
            quote = first_quote(base, inputs, billed, offer, self.options.price_headroom)
        if self.problems:
            return self._refusal(routing)
        numbered = self._numbered()
        self._advise_graphics()
        told = (*routing.reasons, *self._cut_sounds(routing.route, duration))
        which = f"{', '.join(numbered)}." if numbered else ""
        return Plan(
            clip=self.clip,
            take=self.take,
            route=routing.route,
            reasons=(*told, which[0].upper() + which[1:]) if which else told,
            numbered=numbered,
            family=self.family,
            schema_sha256=self.live.schema.sha256 if self.live is not None else None,
            inputs=inputs,
            fingerprint=fingerprint(self.options.service, inputs, self.take),
            price_microdollars=quote.expected if quote is not None else None,
            quote=quote,
            billed=billed,
            price_unit=offer.price_unit if offer else None,
            model_id=offer.model_id if offer else None,
            preset=self.preset,
            preset_reason=self.preset_reason,
            may_be_silent=bool(self.brief.may_be_silent),
            asks=routing.asks,
            under=self._under(),
            advice=(*self.advice, *self._advice_on(prompt, routing.route, duration, resolution)),
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
        if prompt and (problem := prompt_excess(self.family, self.limits.prompt, prompt)) is not None:
            if self.limits.prompt.kind == "hard" or not prompt.strip():
                self._refuse(problem, "", "Shorten the prompt.")
            else:
                self._advise("prompt_long", problem)
        return prompt

    def _preset(self, route: Route) -> str:
        try:
            self.preset, self.preset_reason = pick_preset(
                self.brief,
                self.faces.portrait,
                (self.name, *(each.name for each in self.media)),
                route=route,
                with_image=bool(self._kind(MediumKind.IMAGE)),
                large_faces=self.faces.large,
                graphic=any(image_facts(each).graphic for each in self._kind(MediumKind.IMAGE)[:1]),
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

    def _advice_on(self, prompt: str, route: Route, duration: int, resolution: str) -> tuple[Advice, ...]:
        """Return the advice on a prompt; a shipped one that moves a picture follows it all, unless a face is small."""
        moves = route is Route.ANIMATE and self.preset not in (None, SPEAKER, SPEAKER_WITHOUT_IMAGE)
        if moves and self.options.presets_are_shipped and not self.faces.share:
            return ()
        return advise(prompt, route, self._prompt_facts(duration, resolution))

    def _prompt_facts(self, duration: int, resolution: str) -> PromptFacts:
        images = self._kind(MediumKind.IMAGE)
        return PromptFacts(
            family=self.family,
            images=len(images),
            videos=len(self._kind(MediumKind.VIDEO)),
            audios=len(self._kind(MediumKind.AUDIO)),
            face_share=self.faces.share,
            portrait=bool(self.faces.portrait),
            large_faces=self.faces.large,
            subject=subject_in([each.name for each in images], face=self.faces.portrait)[0],
            written=self.brief.prompt is not None,
            duration=duration,
            resolution=resolution,
            resolutions=self.limits.resolutions,
            aspect_ratio=self.brief.aspect_ratio,
            image_aspect=(facts := image_facts(images[0])).width / facts.height if images else None,
            takes_aspect=bool(self.limits.aspect_ratios),
            loops=self.brief.loop is True,
            silent=self.brief.generate_audio is False or bool(self.singles.keys() & set(UNDER_ROLES)),
            switches_sound=self.limits.generate_audio,
        )

    def _check_end_image(self) -> None:
        if self.brief.holds_last_frame and not self.limits.end_image:
            key = "loop" if self.brief.end_image is None else "end_image"
            remedy = f"Remove `{key}`, or remove `model`."
            self._refuse(f"`{key}` is set.", f"{self.family} has no such input.", remedy)
        elif (last := self.singles.get("end_image")) is not None:
            found = check_media(self.family, [last], self.limits)
            self.problems += [each for each in found if each.file != "brief"]

    def _end_image(self) -> Medium | None:
        if "end_image" in self.singles:
            return self.singles["end_image"].medium
        images = self._kind(MediumKind.IMAGE)
        return images[0].medium if self.brief.loop and images else None

    def _under(self) -> tuple[UnderSound, ...]:
        return tuple(
            UnderSound(role=role, name=each.name, medium=each.medium)
            for role in UNDER_ROLES
            if (each := self.singles.get(role)) is not None
        )

    # Sizes

    def _duration(self, route: Route) -> int:
        low, high = self.limits.min_duration, self.limits.max_duration
        duration = self.brief.duration
        voices = self._kind(MediumKind.AUDIO)
        if duration is None and route is Route.LIP_SYNC:
            duration = "match_audio"
        if self.live is not None and "duration" not in self.live.schema.by_word:
            return self._duration_of_media()
        if duration is None:
            return DEFAULT_DURATION if self.live is None else usual_duration(self.live)
        if duration == "match_audio":
            if not voices:
                self._refuse("`duration: match_audio` needs a voiceover, and the clip has none.", "",
                             f"Upload one, or write whole seconds from {low} to {high}.")  # fmt: skip
                return DEFAULT_DURATION
            seconds = audio_facts(voices[0]).seconds
            duration = min(max(math.ceil(seconds - ENCODER_PADDING), low), high)
            longer = [each for each in self.limits.durations if each >= duration]
            duration = longer[0] if longer else duration
        elif self.limits.durations and duration not in self.limits.durations:
            listed = ", ".join(map(str, self.limits.durations))
            self._refuse(f"`duration` is {duration} s.", f"{self.family} makes {listed} s.", "Write one of these.")
            return DEFAULT_DURATION
        elif not low <= duration <= high:
            who = f"The route {route}" if self.live is None else self.family
            self._refuse(f"`duration` is {duration} s.", f"{who} makes {low} to {high} s.",
                         f"Write a number from {low} to {high}. For a longer film, join several clips.")  # fmt: skip
            return DEFAULT_DURATION
        if route is Route.LIP_SYNC and voices:
            self._compare(duration, audio_facts(voices[0]).seconds, high)
        return duration

    def _duration_of_media(self) -> int:
        """Return how many seconds are reckoned with where the model has no such input: those of its longest file."""
        if self.brief.duration is not None and self.brief.duration != "match_audio":
            self._refuse_unread("duration", self.brief.duration)
        lengths = [audio_facts(each).seconds for each in self._kind(MediumKind.AUDIO)]
        lengths += [video_facts(each).seconds for each in self._kind(MediumKind.VIDEO)]
        seconds = max(1, math.ceil(max(lengths) - ENCODER_PADDING)) if lengths else DEFAULT_DURATION
        if self.other_seconds:
            return max(self.other_seconds, seconds if lengths else 0)
        of_what = "its longest file" if lengths else "the usual clip"
        self._advise("no_duration", f"{self.family} has no input for the duration. The price is reckoned with the"
                     f" {seconds} s of {of_what}.")  # fmt: skip
        return seconds

    def _refuse_unread(self, word: str, value: object) -> None:
        """Refuse a word that the live schema has no field for, or only one whose form the project cannot read."""
        name = self.live.schema.unread(word) if self.live is not None else None
        if name is None:
            self._refuse(f"`{word}` is {value}.", f"{self.family} has no such input.", f"Remove `{word}`.")
        else:
            limit = f"The form of `{name}` in the schema of {self.family} cannot be read."
            remedy = f"Remove `{word}`, and write `inputs.{name}` as `i2v models {self.family}` shows it."
            self._refuse(f"`{word}` is {value}.", limit, remedy)

    def _compare(self, duration: int, seconds: float, high: int) -> None:
        """Advise if the clip ends in silence or cuts the voice."""
        if duration - seconds >= NOTICEABLE:
            self._advise("voice_shorter", f"The voice has {seconds:.1f} s and the clip {duration} s. The last"
                         f" {duration - seconds:.1f} s of the clip are silent.")  # fmt: skip
        elif seconds - duration >= NOTICEABLE:
            longest = " (the route's maximum)" if duration == high else ""
            self._advise("voice_cut", f"The voice has {seconds:.1f} s and the clip {duration} s{longest}. The last"
                         f" {seconds - duration:.1f} s of the voice are cut.")  # fmt: skip

    def _cut_sounds(self, route: Route, duration: int) -> tuple[str, ...]:
        """Return a sentence for each sound of a multi-modal clip that is longer than the clip."""
        if route is not Route.MULTI_MODAL:
            return ()
        return tuple(
            f"{each.name} has {seconds:.1f} s and the clip {duration} s, so only its beginning is used;"
            " `duration: match_audio` takes the length of the first sound."
            for each in self._kind(MediumKind.AUDIO)
            if (seconds := audio_facts(each).seconds) - duration >= NOTICEABLE
        )

    def _resolution(self, offer: PlanOffer | None) -> str:
        resolution = self.brief.resolution
        if resolution is None:
            return self.limits.default_resolution
        dialect = offer.dialect if offer else None
        allowed = self.limits.resolutions_in(dialect) if dialect else self.limits.resolutions
        if self.live is not None and not allowed and "resolution" in self.live.schema.by_word:
            return resolution
        if not allowed and self.live is not None:
            self._refuse_unread("resolution", resolution)
        elif resolution not in allowed:
            who = offer.model_id if offer and resolution in self.limits.resolutions else str(self.family)
            self._refuse(f"`resolution` is {resolution}.", f"{who} makes {', '.join(allowed)}.", "Write one of these.")
        return resolution

    def _aspect_ratio(self) -> str | None:
        aspect_ratio, allowed = self.brief.aspect_ratio, self.limits.aspect_ratios
        if aspect_ratio is None:
            return self.limits.default_aspect_ratio
        if self.live is not None and not allowed and "aspect_ratio" in self.live.schema.by_word:
            return aspect_ratio
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
            "generate_audio": self._switch("generate_audio") if limits.generate_audio else None,
            "prompt_expansion": self._switch("prompt_expansion") if limits.prompt_expansion else None,
        }

    def _switch(self, word: str) -> bool | None:
        """Return a switch as the brief says it; else on, or the default of a live schema, which may have none."""
        said: bool | None = getattr(self.brief, word)
        if said is not None or self.live is None:
            return said is not False
        return {True: True, "on": True, False: False, "off": False}.get(self.live.schema.field(word).get("default"))

    # The body of a model that is used by its live schema

    def _body(self, inputs: GenerationInputs) -> dict[str, Any]:
        if self.live is None:
            raise AssertionError("the code knows the body")
        names = {kind: [each.name for each in self._kind(kind)] for kind in MediumKind}
        words = ("negative_prompt", "duration", "resolution", "aspect_ratio", "seed", "watermark", "generate_audio",
                 "prompt_expansion")  # fmt: skip
        values = {
            word: getattr(inputs, word) or None if word == "resolution" else getattr(inputs, word) for word in words
        }
        written = write_body(
            self.live, Wishes(inputs.prompt, names, values, self.inputs, ends=inputs.end_image is not None)
        )
        for problem in written.problems:
            self._refuse(f"{problem[0].upper()}{problem[1:]}.", "", f"Compare with `i2v models {self.family}`.")
        return written.body

    # Seed and price

    def _seed(self, prompt: str) -> int:
        base = self.brief.seed
        if base is not None:
            return base if self.take == 1 else self._within(derived_seed((), "", self.take, base))
        # All languages of a dub share one seed, so their voices are not part of it.
        media = [each for each in self.media if not (self.brief.dub and each.kind is MediumKind.AUDIO)]
        return self._within(derived_seed([self._source_of(each) for each in media], prompt, self.take))

    def _source_of(self, medium: MeasuredMedium) -> str:
        """Return what stands for a medium in a seed: its bytes, or the shot whose frame it is."""
        if self.first_frame is not None and medium.kind is MediumKind.IMAGE:
            return self.first_frame.of
        return medium.medium.uploaded_sha256

    def _within(self, seed: int) -> int:
        """Return a derived seed that is not above what a live schema takes."""
        largest = self.live.schema.field("seed").get("maximum") if self.live is not None else None
        return seed if not largest or largest < 1 else (seed - 1) % int(largest) + 1

    def _base(self, offer: PlanOffer | None, inputs: GenerationInputs) -> int | None:
        if offer is None:
            return None
        try:
            return price_microdollars(offer.entry, inputs)
        except UnknownPriceUnit as error:
            if not self.options.allow_unknown_price:
                self.problems.append(Problem(file="catalogue", what=error.message, remedy=error.remedy))
            return None
