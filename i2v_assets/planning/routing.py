"""Choose the kind of generation of a clip, and explain why: (brief, media) to a route with reasons.

An explicit ``route`` wins. Otherwise reference videos, several images or several sounds select multi_modal; a voiceover
selects lip_sync; a single image is animated. Numbers in a prompt choose nothing: one image or one sound is clear without
them. Where the request contradicts that, the clip waits for a person's word (`asking`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from i2v_assets.briefs.brief import Brief
from i2v_assets.planning.asking import SPEECH_SHARE, Ask, Clues, asks_of
from i2v_assets.planning.media import MeasuredMedium, audio_facts, of_kind
from i2v_assets.planning.media_numbers import numbers_in, references
from i2v_assets.planning.speaking import words_of_speaking
from i2v_assets.planning.vocabulary import read_prompt
from i2v_assets.uploads.roles import shown_name
from resources.errors import I2VError
from resources.schemas.families import FAMILIES, default_families, named, preferred
from resources.schemas.inputs import Family, MediumKind, Route

__all__ = ["RouteImpossible", "Routing", "choose_route", "mentions_speech", "references", "route_of_names"]


_ONE_IMAGE = "There is one image and no voiceover."


class RouteImpossible(I2VError):
    """The media do not fit the route, or the clip has no media."""


@dataclass(frozen=True, slots=True)
class Routing:
    """A route with the reasons for choosing it.

    Attributes:
        route: The kind of generation.
        family_preference: Endpoint families that support it, best first.
        reasons: Why this route, the deciding reason first.
        asks: Why a person has to say more before it is paid for; empty if it is clear.
    """

    route: Route
    family_preference: tuple[Family, ...]
    reasons: tuple[str, ...]
    asks: tuple[Ask, ...] = ()


def mentions_speech(prompt: str) -> bool:
    """Return whether the prompt describes talking or singing."""
    return bool(words_of_speaking(read_prompt(prompt)))


def choose_route(brief: Brief, media: Sequence[MeasuredMedium], face: bool | None = None) -> Routing:
    """Choose the route of a clip.

    Args:
        brief: The brief, merged with its defaults.
        media: The clip's media, without those that the brief lays under the picture or ends on.
        face: Whether the first image shows a large face; None if it was not checked.

    Raises:
        RouteImpossible: the media do not fit the route; the remedy names what would fit.
    """
    names = {kind: tuple(each.name for each in of_kind(media, kind)) for kind in MediumKind}
    sounds = of_kind(media, MediumKind.AUDIO)
    speech = audio_facts(sounds[0]).speech if len(sounds) == 1 else None
    return route_of_names(brief, names, face, speech)


def route_of_names(
    brief: Brief, names: Mapping[MediumKind, Sequence[str]], face: bool | None = None, speech: float | None = None
) -> Routing:
    """Choose the route of a clip by the names of its media, as far as that tells it; otherwise as `choose_route`.

    Args:
        brief: The brief, merged with its defaults.
        names: The names of the media of each kind, in order.
        face: Whether the first image shows a large face; None if it was not checked.
        speech: Share of the one sound in which a voice is heard; None if it was not measured.

    Raises:
        RouteImpossible: as `choose_route`.
    """
    counts = {kind: len(names[kind]) for kind in MediumKind}
    if not any(counts.values()):
        raise RouteImpossible("The clip has no image, audio or video.", remedy="Upload an image beside the brief.")
    if brief.route is not None:
        _check_explicit(brief.route, counts)
        return _routing(brief, brief.route, counts, (f"The brief says `route: {brief.route}`.",))
    if _is_for_references(brief.model):
        named_model = (f"The brief says `model: {brief.model}`, which takes references.",)
        return _routing(brief, Route.MULTI_MODAL, counts, named_model)
    prompt = brief.prompt or ""
    if not prompt and counts[MediumKind.IMAGE] == sum(counts.values()) == 1:  # nothing there could contradict it
        return _routing(brief, Route.ANIMATE, counts, (_ONE_IMAGE,))
    clues = Clues(
        prompt=read_prompt(prompt),
        numbered=references(prompt),
        figures=numbers_in(prompt),
        images=tuple(names[MediumKind.IMAGE]),
        videos=tuple(names[MediumKind.VIDEO]),
        audios=tuple(names[MediumKind.AUDIO]),
        laid=tuple(brief.single_files.values()),
        speech=speech,
        face=face,
        dubbed=bool(brief.dub),
        image_left_out=brief.keep_face is False,
        preset_named=brief.motion is not None,
        model_named=brief.model is not None,
    )
    asks = asks_of(clues)
    if reasons := _many_media(counts):
        return _routing(brief, Route.MULTI_MODAL, counts, (*reasons, *_numbered(clues, counts)), asks)
    if counts[MediumKind.AUDIO]:
        return _routing(brief, Route.LIP_SYNC, counts, _why_spoken(clues), asks)
    return _routing(brief, Route.ANIMATE, counts, (_ONE_IMAGE,), asks)


def _why_spoken(clues: Clues) -> tuple[str, ...]:
    words = words_of_speaking(clues.prompt)
    reasons = ["There is one voiceover."]
    if words:
        reasons = [f"The prompt lets somebody talk (“{words}”), and there is one voiceover."]
    if clues.face:
        reasons.append("The image is a portrait.")
    if clues.speech is not None and clues.speech >= SPEECH_SHARE:
        reasons.append(f"A voice is heard in {clues.speech:.0%} of {shown_name(clues.audios[0])}.")
    return tuple(reasons)


def _many_media(counts: Mapping[MediumKind, int]) -> tuple[str, ...]:
    reasons = []
    if videos := counts[MediumKind.VIDEO]:
        reasons.append(f"There {'is a reference video' if videos == 1 else f'are {videos} reference videos'}.")
    if (images := counts[MediumKind.IMAGE]) > 1:
        reasons.append(f"There are {images} images.")
    if (sounds := counts[MediumKind.AUDIO]) > 1:
        reasons.append(f"There are {sounds} sounds.")
    return tuple(reasons)


def _numbered(clues: Clues, counts: Mapping[MediumKind, int]) -> tuple[str, ...]:
    """Return a reason if the prompt numbers media that the clip has; other numbers are slips, covered by the advice."""
    named = [f"{kind} {number}" for kind, number in clues.numbered if number <= counts[kind]]
    return (f"The prompt names its media by number ({', '.join(named)}).",) if named else ()


def _routing(
    brief: Brief,
    route: Route,
    counts: Mapping[MediumKind, int],
    reasons: tuple[str, ...],
    asks: tuple[Ask, ...] = (),
) -> Routing:
    if brief.holds_last_frame:
        if route is Route.MULTI_MODAL:
            key = "loop" if brief.end_image is None else "end_image"
            raise RouteImpossible(
                f"`{key}` needs one image and no reference video, and at most one voiceover.",
                remedy=f"Name one image under `images`, or remove `{key}`.",
            )
        if not counts[MediumKind.IMAGE]:
            raise RouteImpossible("`end_image` and `loop` need a first image.", remedy="Upload it beside the brief.")
        ends = "loops" if brief.end_image is None else "ends on an image"
        return Routing(route, _holding_frames(), (*reasons, f"The brief says that it {ends}."), asks)
    families = preferred(route)
    if route is Route.LIP_SYNC and not counts[MediumKind.IMAGE]:
        families = tuple(family for family in families if not _needs_image(family))
    return Routing(route, families, reasons, asks)


def _holding_frames() -> tuple[Family, ...]:
    """Return the families that take an image to end on, best first."""
    limits = ((name, FAMILIES[name].limits) for name in default_families())
    return tuple(name for name, found in limits if found is not None and found.end_image)


def _needs_image(family: Family) -> bool:
    limits = FAMILIES[family].limits
    return limits is not None and limits.images.min_count > 0


def _is_for_references(model: str | None) -> bool:
    """Return True if the brief names a model whose body the code knows to be for references; a schema speaks for itself."""
    records = [FAMILIES[name] for name in named(model or "") if name in FAMILIES]
    return bool(records) and records[0].route is Route.MULTI_MODAL


def _check_explicit(route: Route, counts: Mapping[MediumKind, int]) -> None:
    images, sounds, videos = (counts[kind] for kind in (MediumKind.IMAGE, MediumKind.AUDIO, MediumKind.VIDEO))
    if route is Route.ANIMATE:
        if images != 1:
            raise RouteImpossible(
                f"`route: animate` takes exactly one image, and the clip has {images}.",
                remedy="Name one under `images`, or use `route: multi_modal`." if images else "Upload an image.",
            )
        if sounds or videos:
            raise RouteImpossible(
                f"`route: animate` takes no {'voiceover' if sounds else 'reference video'}, and the clip has one.",
                remedy="Name only the image under `images`, or remove `route`.",
            )
    elif route is Route.LIP_SYNC:
        if sounds != 1:
            raise RouteImpossible(
                f"`route: lip_sync` takes exactly one voiceover, and the clip has {sounds}.",
                remedy="Name one under `audio`." if sounds else "Upload a WAV or MP3 beside the image.",
            )
        if images > 1 or videos:
            raise RouteImpossible(
                f"`route: lip_sync` takes at most one image and no video; the clip has {images} and {videos}.",
                remedy="Name one under `images`, or use `route: multi_modal`.",
            )
