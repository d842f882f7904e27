"""Decide from a brief, its media and the catalogue: a plan, a refusal or a wait. Nothing is paid here.

The inputs of a plan state everything that decides the price or the picture, including defaults, so that a changed
default at the service has no effect.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from i2v_assets.briefs.brief import Brief
from i2v_assets.planning.families import (
    UnknownFamily,
    check_names,
    choose_family,
    families_for,
    limits_of_offer,
    waiting_for,
)
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
from resources.schemas.inputs import (
    Family,
    FirstFrame,
    MediumKind,
    Route,
)

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
