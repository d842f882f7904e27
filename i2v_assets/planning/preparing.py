"""Decide which files of a clip have to be prepared for its endpoint, and plan with the prepared ones. Pure.

A file that the endpoint takes as it is stays as it is, and so does the fingerprint of its clip.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from i2v_assets.briefs.brief import Brief
from i2v_assets.planning.media import BAD_MODES, MeasuredMedium, audio_facts, check_media, image_facts, video_facts
from resources.media.facts import UNKNOWN_CODEC, ImageFacts, MediaFacts
from resources.media.preparation import Preparation
from resources.schemas.endpoints import LIMITS
from resources.schemas.inputs import Family, MediumKind
from resources.schemas.limits import Limits, MediaLimits

MAX_PREPARED_BYTES = 10_000_000
"""Largest prepared image where the endpoint names no limit: that of the strictest one."""

Prepared = Mapping[tuple[str, str], MeasuredMedium]
"""Prepared files by their original's hash and the preparation's `result_key`."""

_NAMES = {"HEIF": "HEIC", "MPO": "JPEG", "WEBP": "WebP", "JPEG2000": "JPEG 2000"}
_SOUNDS = {"mp4": "MP4 or M4A", "mov": "QuickTime", "matroska": "WebM or Matroska", "wav": "WAV"}


@dataclass(frozen=True)
class Wanted:
    """A file that has to be prepared before the clip can be planned."""

    medium: MeasuredMedium
    preparation: Preparation


@dataclass(frozen=True)
class Unprepared:
    """The decision waits for prepared files; ``optional`` if the endpoint takes every one of them as it is."""

    clip: str
    wanted: tuple[Wanted, ...]

    @property
    def optional(self) -> bool:
        """True if the clip could be made without them, as it was before there were preparations."""
        return all(each.preparation.optional for each in self.wanted)


def with_prepared(
    clip: str,
    family: Family,
    media: Sequence[MeasuredMedium],
    brief: Brief,
    prepared: Prepared,
    limits: Limits | None = None,
    *,
    alone: bool = True,
) -> tuple[tuple[MeasuredMedium, ...], tuple[str, ...]] | Unprepared:
    """Return the media to plan with and sentences about what was prepared, or what has to be prepared first.

    If the clip is refused whatever is prepared, nothing is: the media then have the facts that they would have. Other media
    may be sent beside them if ``alone`` is False, so that none of these is missed.
    """
    needed = {each.name: found for each in media if (found := preparation_of(each, family, brief, limits)) is not None}
    if not needed:
        return tuple(media), ()
    expected = tuple(expected_after(each, needed[each.name]) if each.name in needed else each for each in media)
    if any(alone or problem.file != "brief" for problem in check_media(family, expected, limits)):
        return expected, ()
    wanted = [Wanted(each, needed[each.name]) for each in media if each.name in needed]
    missing = tuple(each for each in wanted if _key(each) not in prepared)
    if missing:
        return Unprepared(clip, missing)
    done = {each.medium.name: prepared[_key(each)] for each in wanted}
    sentences = tuple(_sentence(each, done[each.medium.name]) for each in wanted)
    return tuple(done.get(each.name, each) for each in media), sentences


def _key(wanted: Wanted) -> tuple[str, str]:
    return wanted.medium.medium.sha256, wanted.preparation.result_key


def preparation_of(
    medium: MeasuredMedium, family: Family, brief: Brief, limits_of_family: Limits | None = None
) -> Preparation | None:
    """Return what has to be done to a file for an endpoint; None if it is taken as it is, or if nothing helps."""
    limits = (limits_of_family or LIMITS[family]).media(medium.kind)
    if not limits.max_count:
        return None
    found = _FOR[medium.kind](medium, limits, brief)
    if found is None:
        return None
    alone = [each for each in check_media(family, [medium], limits_of_family) if each.file == medium.name]
    return found.model_copy(update={"optional": not alone})


def _image(medium: MeasuredMedium, limits: MediaLimits, brief: Brief) -> Preparation | None:
    facts = image_facts(medium)
    if facts.animated:
        return None
    reasons = list(_image_reasons(facts, limits))
    max_bytes = limits.max_bytes or MAX_PREPARED_BYTES
    shrink = facts.rewrite.startswith("more than") or (limits.max_bytes is not None and facts.size_bytes > max_bytes)
    if limits.max_bytes is not None and facts.size_bytes > max_bytes:
        reasons.append(f"has {facts.size_bytes / 1e6:.1f} MB")
    fit = brief.fit if _outside(facts, limits) else None
    if fit is not None:
        reasons.append(f"is {facts.width} x {facts.height}, and the brief says `fit: {fit}`")
    if not reasons:
        return None
    shows = facts.transparent or fit == "pad"
    return Preparation(
        kind=MediumKind.IMAGE,
        reasons=tuple(reasons),
        background=(brief.background or "white") if shows else None,
        fit=fit,
        min_aspect=limits.min_aspect if fit else None,
        max_aspect=limits.max_aspect if fit else None,
        max_bytes=max_bytes,
        shrink=shrink,
    )


def _image_reasons(facts: ImageFacts, limits: MediaLimits) -> "list[str]":
    reasons = []
    if facts.format.upper() not in limits.formats:
        reasons.append(f"is a {_NAMES.get(facts.format, facts.format)} image")
    if facts.mode in BAD_MODES:
        reasons.append(f"is in {facts.mode}, for print")
    if facts.mode.startswith(("I", "F")):
        reasons.append("has greys of more than 8 bits")
    if facts.mode in {"P", "PA"}:
        reasons.append("has a palette")
    if facts.transparent:
        reasons.append("has transparent pixels")
    if facts.rewrite:
        reasons.append(f"has {facts.rewrite}")
    return reasons


def _outside(facts: ImageFacts, limits: MediaLimits) -> bool:
    aspect = facts.width / facts.height
    return (limits.max_aspect is not None and aspect > limits.max_aspect) or (
        limits.min_aspect is not None and aspect < limits.min_aspect
    )


def _audio(medium: MeasuredMedium, limits: MediaLimits, _: Brief) -> Preparation | None:
    facts = audio_facts(medium)
    reasons = []
    container = facts.container.upper()
    if container not in limits.formats:
        reasons.append(f"is {_SOUNDS.get(facts.container, container)} sound ({facts.codec})")
    elif container == "WAV" and not facts.codec.startswith("pcm_"):
        reasons.append(f"is WAV holding {facts.codec}")
    if facts.rewrite:
        reasons.append(f"has {facts.rewrite}")
    if not reasons:
        return None
    max_bytes = limits.max_bytes or 15_000_000
    return Preparation(kind=MediumKind.AUDIO, reasons=tuple(reasons), max_bytes=max_bytes)


def _video(medium: MeasuredMedium, limits: MediaLimits, _: Brief) -> Preparation | None:
    facts = video_facts(medium)
    reasons = []
    if facts.container.upper() not in limits.formats:
        reasons.append(f"is a {_SOUNDS.get(facts.container, facts.container.upper())} file")
    if facts.video_codec != "h264":
        reasons.append(f"has its picture in {facts.video_codec}")
    if facts.rotation:
        reasons.append(f"is turned by {facts.rotation} degrees")
    if facts.variable:
        reasons.append("has unevenly spaced frames")
    picture_stays = not reasons
    if facts.audio_codec == UNKNOWN_CODEC:
        reasons.append("has sound that can't be decoded, which is left out")
    if not reasons:
        return None
    return Preparation(
        kind=MediumKind.VIDEO, reasons=tuple(reasons), max_bytes=limits.max_bytes or 0, copy_picture=picture_stays
    )


_FOR = {MediumKind.IMAGE: _image, MediumKind.AUDIO: _audio, MediumKind.VIDEO: _video}


def expected_after(medium: MeasuredMedium, preparation: Preparation) -> MeasuredMedium:
    """Return a file with the facts that it has once it is prepared; what no preparation changes is refused by them."""
    return replace(medium, facts=_expected(medium, preparation))


def _expected(medium: MeasuredMedium, preparation: Preparation) -> MediaFacts:
    if medium.kind is MediumKind.IMAGE:
        facts = image_facts(medium)
        width, height = _fitted(facts, preparation)
        size = min(facts.size_bytes, preparation.max_bytes)
        changed = {"format": "JPEG", "mode": "RGB", "transparent": False, "rewrite": "", "size_bytes": size}
        return facts.model_copy(update=changed | {"width": width, "height": height, "rotated": False})
    if medium.kind is MediumKind.AUDIO:
        sound = audio_facts(medium)
        if preparation.span_ms is not None:
            start, end = preparation.span_ms
            sound = sound.model_copy(update={"seconds": (end - start) / 1000})
        size = round(sound.seconds * min(sound.sample_rate, 48_000) * min(sound.channels, 2) * 2)
        return sound.model_copy(update={"container": "wav", "codec": "pcm_s16le", "size_bytes": size, "rewrite": ""})
    changed = {"container": "mp4", "video_codec": "h264", "rotation": 0, "variable": False}
    return video_facts(medium).model_copy(update=changed)


def _fitted(facts: ImageFacts, preparation: Preparation) -> tuple[int, int]:
    width, height = facts.width, facts.height
    low, high = preparation.min_aspect, preparation.max_aspect
    pad = preparation.fit == "pad"
    if high is not None and width / height > high:
        return (width, -int(-width // high)) if pad else (int(height * high), height)
    if low is not None and width / height < low:
        return (-int(-height * low // 1), height) if pad else (width, int(width / low))
    return width, height


def _sentence(wanted: Wanted, done: MeasuredMedium) -> str:
    reasons = " and ".join(wanted.preparation.reasons)
    background = wanted.preparation.background
    on = f" on {background}" if background is not None else ""
    return f"{wanted.medium.name} {reasons}. It was prepared: it is sent as {_described(done)}{on}."


def _described(done: MeasuredMedium) -> str:
    if done.kind is MediumKind.IMAGE:
        facts = image_facts(done)
        return f"a {facts.format} of {facts.width} x {facts.height} pixels"
    if done.kind is MediumKind.AUDIO:
        return f"a WAV of {audio_facts(done).seconds:.1f} s"
    video = video_facts(done)
    return f"an MP4 of {video.width} x {video.height} pixels, {'with' if video.audio_codec else 'without'} sound"
