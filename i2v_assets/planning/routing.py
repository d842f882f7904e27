"""Choose the kind of generation of a clip, and explain why: (brief, media) to a route with reasons.

An explicit ``route`` wins. Otherwise reference videos, several images, several sounds, or a prompt that numbers its media
select multi_modal; a voiceover selects lip_sync; a single image is animated.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from i2v_assets.briefs.brief import Brief
from i2v_assets.planning.media import MeasuredMedium, of_kind
from resources.errors import I2VError
from resources.schemas.families import FAMILIES, named, preferred
from resources.schemas.inputs import Family, MediumKind, Route

_WORDS = {
    MediumKind.IMAGE: r"image|picture|photo|图片|图像|图",
    MediumKind.VIDEO: r"video|视频",
    MediumKind.AUDIO: r"audio|音频",
}
_NUMBER = r"#?\s*[1-9](?![0-9A-Za-z]|[:.]\d)"
_BETWEEN = r"\s*(?:,|，|、|&|\+|\band\b|\bor\b|和|与|及|或)\s*"
_RANGE = r"\s*(?:-|–|~|\bto\b|到|至)\s*"
# The last number of "image 1 and 2" must not be followed by a noun: "image 1 and 2 people" names one image.
_NO_NOUN = r"(?!\s+(?!(?:and|or|as|at|by|for|from|in|into|is|are|of|on|onto|over|to|under|with|while|together|respectively)\b)[A-Za-z])"
# "image 2", "@image2", "video #1", "images 1 and 2", "image 1, 2 and 3", "images 1-3"; not "video 16:9", "audio 1.5" or
# "video 4k".
_REFERENCES = {
    kind: re.compile(
        rf"(?<![A-Za-z])(?:(?:{words})s\s*(?P<many>{_NUMBER}(?:(?:(?:{_BETWEEN})+|{_RANGE}){_NUMBER})*)"
        rf"|(?:{words})\s*(?P<one>{_NUMBER}(?:(?:{_BETWEEN})+{_NUMBER}{_NO_NOUN})*))",
        re.IGNORECASE,
    )
    for kind, words in _WORDS.items()
}
_DIGIT_OR_RANGE = re.compile(rf"([1-9])(?:{_RANGE}#?\s*([1-9]))?")
_TALKING = re.compile(
    r"\b(?:talk(?:s|ing)?|speak(?:s|ing)?|say(?:s|ing)?|sing(?:s|ing)?|narrat(?:es?|ing)|lip[- ]?sync(?:s|ed|ing)?"
    r"|presenter|host(?:s|ing)?|announc(?:es?|ing))\b|说话|讲话|唱歌|口型",
    re.IGNORECASE,
)


class RouteImpossible(I2VError):
    """The media do not fit the route, or the clip has no media."""


@dataclass(frozen=True, slots=True)
class Routing:
    """A route with the reasons for choosing it.

    Attributes:
        route: The kind of generation.
        family_preference: Endpoint families that support it, best first.
        reasons: Why this route, the deciding reason first.
    """

    route: Route
    family_preference: tuple[Family, ...]
    reasons: tuple[str, ...]


def references(prompt: str) -> tuple[tuple[MediumKind, int], ...]:
    """Return the media that a prompt names by number, such as ``image 2`` or ``images 1 and 2``, without duplicates."""
    numbered = (
        (kind, number)
        for kind, pattern in _REFERENCES.items()
        for match in pattern.finditer(prompt)
        for first, last in _DIGIT_OR_RANGE.findall(match["many"] or match["one"])
        for number in range(int(first), int(last or first) + 1)
    )
    return tuple(dict.fromkeys(numbered))


def mentions_speech(prompt: str) -> bool:
    """Return whether the prompt describes talking or singing."""
    return _TALKING.search(prompt) is not None


def choose_route(brief: Brief, media: Sequence[MeasuredMedium], face: bool | None = None) -> Routing:
    """Choose the route of a clip.

    Args:
        brief: The brief, merged with its defaults.
        media: The clip's media.
        face: Whether the first image is a portrait; None if it was not checked.

    Raises:
        RouteImpossible: the media do not fit the route; the remedy names what would fit.
    """
    return route_of_kinds(brief, {kind: len(of_kind(media, kind)) for kind in MediumKind}, face)


def route_of_kinds(brief: Brief, counts: dict[MediumKind, int], face: bool | None = None) -> Routing:
    """Choose the route of a clip by how many media of each kind it has; otherwise as `choose_route`."""
    if not any(counts.values()):
        raise RouteImpossible("The clip has no image, audio or video.", remedy="Upload an image beside the brief.")
    if brief.route is not None:
        _check_explicit(brief.route, counts)
        return _routing(brief.route, counts, (f"The brief says `route: {brief.route}`.",))
    if _is_for_references(brief.model):
        return _routing(Route.MULTI_MODAL, counts, (f"The brief says `model: {brief.model}`, which takes references.",))
    for decide in (_many_media, _numbered):
        if reasons := decide(brief, counts):
            return _routing(Route.MULTI_MODAL, counts, reasons)
    if counts[MediumKind.AUDIO]:
        reasons = ("There is one voiceover.",)
        if mentions_speech(brief.prompt or ""):
            reasons = ("The prompt lets somebody talk, and there is one voiceover.",)
        if face:
            reasons += ("The image is a portrait.",)
        return _routing(Route.LIP_SYNC, counts, reasons)
    return _routing(Route.ANIMATE, counts, ("There is one image and no voiceover.",))


def _many_media(_: Brief, counts: dict[MediumKind, int]) -> tuple[str, ...]:
    reasons = []
    if videos := counts[MediumKind.VIDEO]:
        reasons.append(f"There {'is a reference video' if videos == 1 else f'are {videos} reference videos'}.")
    if (images := counts[MediumKind.IMAGE]) > 1:
        reasons.append(f"There are {images} images.")
    if (sounds := counts[MediumKind.AUDIO]) > 1:
        reasons.append(f"There are {sounds} sounds.")
    return tuple(reasons)


def _numbered(brief: Brief, counts: dict[MediumKind, int]) -> tuple[str, ...]:
    """Return a reason if the prompt numbers media that the clip has; other numbers are slips, covered by the advice."""
    named = [f"{kind} {number}" for kind, number in references(brief.prompt or "") if number <= counts[kind]]
    return (f"The prompt names its media by number ({', '.join(named)}).",) if named else ()


def _routing(route: Route, counts: dict[MediumKind, int], reasons: tuple[str, ...]) -> Routing:
    families = preferred(route)
    if route is Route.LIP_SYNC and not counts[MediumKind.IMAGE]:
        families = tuple(family for family in families if not _needs_image(family))
    return Routing(route, families, reasons)


def _needs_image(family: Family) -> bool:
    limits = FAMILIES[family].limits
    return limits is not None and limits.images.min_count > 0


def _is_for_references(model: str | None) -> bool:
    """Return True if the brief names a model whose body the code knows to be for references; a schema speaks for itself."""
    records = [FAMILIES[name] for name in named(model or "") if name in FAMILIES]
    return bool(records) and records[0].route is Route.MULTI_MODAL


def _check_explicit(route: Route, counts: dict[MediumKind, int]) -> None:
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
