"""Decide from a brief, its media and the catalogue, with which family: a plan, a refusal or a wait. Nothing is paid here.

The inputs of a plan state everything that decides the price or the picture, including defaults, so that a changed
default at the service has no effect.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from i2v_assets.briefs.brief import Brief
from i2v_assets.planning.media import MeasuredMedium, of_kind
from i2v_assets.planning.plan import (
    Plan,
    PlanOffer,
    PlanOptions,
    Refusal,
    Waiting,
    plan_hash,
)
from i2v_assets.planning.preparing import Prepared, Unprepared, with_prepared
from i2v_assets.planning.request_fields import RequestFields
from i2v_assets.planning.routing import RouteImpossible, Routing, choose_route
from i2v_assets.planning.take_planner import Faces, TakePlanner, derived_seed
from i2v_assets.planning.voice_film import SPLIT_AND_DURATION, Pauses, Unheard, VoiceFilm, voice_to_split
from resources.errors import SettingsError
from resources.schemas.endpoints import LIMITS
from resources.schemas.families import FAMILIES, default_families, named
from resources.schemas.inputs import (
    Family,
    FirstFrame,
    MediumKind,
    Route,
)
from resources.schemas.limits import Limits
from resources.schemas.live_limits import limits_of

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


class UnknownFamily(SettingsError):
    """A name in a setting or a brief is neither a family nor a model id."""


Decision = Plan | Refusal | Waiting | Unprepared | Unheard


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
) -> Decision:
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
    faces = Faces(face, face_share, large_faces or 0)
    job = _Job(clip, brief, media, singles, offers, options, take, faces, name or clip, prepared, pauses, first_frame)
    return choose_family(
        families_for(brief, media, routing, offers, options), partial(_attempt, job, routing), was_sent
    )


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
    faces: "Faces"
    name: str
    prepared: Prepared | None
    pauses: Pauses | None
    first_frame: FirstFrame | None


def _attempt(job: _Job, routing: Routing, family: Family, take: int | None = None) -> Decision:
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
        fields = RequestFields(job.brief, sent, family, limits, offer, job.options.watermark)
        planner = TakePlanner(
            job.clip, fields, job.options, take or job.take, job.faces, job.name, singles, job.first_frame
        )
        return planner.plan(Routing(routing.route, (family,), reasons, routing.asks))

    if voice is None:
        return plan_of(others)
    film = VoiceFilm(job.clip, family, limits, job.brief, tuple(others), voice, job.options.service)
    return film.plan(job.pauses or {}, job.prepared or {}, plan_of)


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


# The family: the first preferred one that the catalogue has and that can express the brief


def expand(names: Sequence[str]) -> tuple[Family, ...]:
    """Return the families that names mean, in order; a name that the project does not know is a model id."""
    return tuple(dict.fromkeys(family for name in names for family in named(name) or (name,)))


def check_names(names: Sequence[str], where: str) -> None:
    """Check that each name is a family that the project knows, or can be a model id of the catalogue.

    Raises:
        UnknownFamily: a name is neither; names the nearest ones.
    """
    for name in names:
        if not named(name) and "/" not in name:
            known = sorted({each for record in FAMILIES.values() for each in (record.name, record.short_name)})
            near = difflib.get_close_matches(name.lower(), known, 1, 0.6)
            hint = f"Did you mean `{near[0]}`?" if near else f"Families: {', '.join(known)}."
            raise UnknownFamily(
                f"{where} names {name!r}, which is not a known family.",
                remedy=f"{hint} A model id of the catalogue has a / in it.",
            )


def wanted_families(brief: Brief, options: PlanOptions) -> tuple[Family, ...]:
    """Return every family that may be planned for a brief, so that the catalogue is asked for no other."""
    if brief.model and (named(brief.model) or "/" in brief.model):
        return expand([brief.model])
    named_by_settings = [family for families in options.routes.values() for family in families]
    return tuple(dict.fromkeys((*default_families(), *named_by_settings)))


def families_for(
    brief: Brief,
    media: Sequence[MeasuredMedium],
    routing: Routing,
    offers: Mapping[Family, PlanOffer | None],
    options: PlanOptions,
) -> tuple[Family, ...]:
    """Return the families that may make a clip, best first; at least one."""
    if brief.model:
        return expand([brief.model])
    if brief.holds_last_frame:
        return routing.family_preference  # a preference of the route may have no last image
    families = options.routes.get(routing.route) or routing.family_preference
    if routing.route is not Route.LIP_SYNC or not of_kind(media, MediumKind.IMAGE):
        return families
    faceless = tuple(each for each in families if not _takes_image(each, offers.get(each)))
    if _drops_face(brief, options):
        return faceless or families
    if options.routes.get(routing.route) is None:
        return families[:1]  # whoever is to be seen is not left out because a model is missing
    return tuple(each for each in families if each not in faceless) or families


def _takes_image(family: Family, offer: PlanOffer | None) -> bool:
    if family not in LIMITS and (offer is None or offer.live is None):
        return True
    return limits_of_offer(family, offer).images.max_count > 0


def _drops_face(brief: Brief, options: PlanOptions) -> bool:
    if brief.keep_face is None:
        return options.keep_face == "never"
    return brief.keep_face is False


def limits_of_offer(family: Family, offer: PlanOffer | None, *, ends: bool = False) -> Limits:
    """Return a family's limits: the project's own, or those that its live schema states.

    Args:
        family: The family.
        offer: What the catalogue has of it.
        ends: The brief names the image that the video ends on apart from the others.
    """
    if offer is not None and offer.live is not None:
        return limits_of(offer.live, ends=ends)
    return LIMITS[family]


def waiting_for(
    clip: str,
    routing: Routing,
    family: Family,
    offers: Mapping[Family, PlanOffer | None],
    media: Sequence[MeasuredMedium],
) -> Waiting | None:
    """Return what a family waits for at the service; None if it can be planned."""
    offer = offers.get(family)
    if offer is not None and offer.unusable:
        return None
    wait = partial(Waiting, clip=clip, route=routing.route, reasons=routing.reasons)
    if offer is not None and offer.trouble:
        return wait(
            kind="catalogue",
            words=f"The service's entry of {family} differs from the accepted one: {offer.trouble.rstrip('.')}.",
            remedy=f"Check it with `i2v models`, then accept it: i2v models --accept {family}",
            agreement=True,
        )
    if offer is not None or (family not in offers and family in LIMITS):
        return None
    shows_face = routing.route is Route.LIP_SYNC and of_kind(media, MediumKind.IMAGE) and _takes_image(family, None)
    if family in offers and shows_face:
        return wait(
            kind="keep_face",
            words=(
                "The service has no endpoint now that takes both an image and a voice. The documented one (Wan"
                " text-to-video with audio_url) takes no image, so the person in it would not appear."
            ),
            remedy="Wait until it has one, or write `keep_face: false` in the brief to make the clip without that person.",
        )
    words, remedy = _absence(family, routing.route, answered=family in offers)
    return wait(kind="catalogue", words=words, remedy=remedy)


def _absence(family: Family, route: Route, *, answered: bool) -> tuple[str, str]:
    """Return in words that the catalogue has no entry of a family now, and what to do."""
    if not answered:
        words = f"The service's catalogue does not answer now, and {family} is planned by its live entry."
        return words, "It is tried again later."
    if family not in LIMITS:
        words = f"The service's catalogue has no model {family} now."
        return words, "It is asked for again. Correct the id if it is misspelt: `i2v models` shows what there is."
    words = f"The service's catalogue has no model id of {family}, so the route {route} is not available."
    return words, "`i2v models` shows the available ids. I2V_MODEL_IDS sets another id."


def choose_family(
    families: Sequence[Family],
    attempt: Callable[..., Decision],
    was_sent: Callable[[str], bool],
) -> Decision:
    """Return the decision with the first family that can make the clip.

    A family whose request was sent before stays the clip's family, whatever is preferred now: another one would be paid
    for a second time. If none can make it, the first refusal is returned, or what the first family waits for.

    Args:
        families: The families, best first.
        attempt: Plans with a family, and with the number of a take.
        was_sent: Whether a request of this fingerprint was ever sent.
    """
    if len(families) == 1:
        return attempt(families[0])
    for family in families:
        first = attempt(family, 1)
        if isinstance(first, Unprepared | Unheard):
            return first  # what was sent with it is only known once its files are prepared
        if isinstance(first, Plan) and any(was_sent(each.fingerprint) for each in first.requests):
            return attempt(family)
    passed_over: list[tuple[Family, Refusal | Waiting]] = []
    for family in families:
        made = attempt(family)
        if isinstance(made, Refusal) or (isinstance(made, Waiting) and not _is_there(made)):
            passed_over.append((family, made))
            continue
        return _with_reasons(made, passed_over)
    refusals = [made for _, made in passed_over if isinstance(made, Refusal)]
    return refusals[0] if refusals else passed_over[0][1]


def _is_there(made: Waiting) -> bool:
    """Return True if the catalogue has the family, and only an agreement is missing."""
    return made.agreement


def _with_reasons(made: Decision, passed_over: Sequence[tuple[Family, Refusal | Waiting]]) -> Decision:
    if not isinstance(made, Plan) or not passed_over:
        return made
    words = tuple(f"{family} was preferred, but: {_why(other)}" for family, other in passed_over)
    return made.model_copy(update={"reasons": (*made.reasons, *words)})


def _why(made: Refusal | Waiting) -> str:
    return made.problems[0].text if isinstance(made, Refusal) else made.words
