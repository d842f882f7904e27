"""Checks of what was measured against what an endpoint takes, before anything is paid.

Nothing is changed silently: what does not fit is refused with its limit, and with a command that mends it where one line
can.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath

from i2v_assets.planning.media import FoundMedium, Problem, audio_facts, image_facts, of_kind, video_facts
from i2v_assets.uploads.types import shown_name
from resources.schemas.endpoints import LIMITS, MediaLimits
from resources.schemas.inputs import Family, MediumKind

_BAD_MODES = frozenset({"CMYK", "LAB", "YCbCr", "HSV"})
"""Colour modes that are not for screens; JPEG and PNG in the others are shown alike everywhere."""


_FINEST = 6
"""Most digits of a figure: one byte in megabytes, one microsecond in seconds."""


def check_media(family: Family, found: Sequence[FoundMedium]) -> tuple[Problem, ...]:
    """Everything about the media that the family would refuse, or silently cut.

    Args:
        family: The endpoint.
        found: The media that would be sent, in order.
    """
    problems: list[Problem] = []
    for kind in MediumKind:
        limits = LIMITS[family].media(kind)
        media = of_kind(found, kind)
        problems.extend(_count(family, kind, limits, media))
        check = _CHECKS[kind]
        problems.extend(problem for each in media if limits.max_count for problem in check(each, limits))
    return tuple(problems)


def _count(family: Family, kind: MediumKind, limits: MediaLimits, media: Sequence[FoundMedium]) -> Iterator[Problem]:
    if len(media) > limits.max_count:
        over = media[limits.max_count]
        most = f"at most {limits.max_count}" if limits.max_count else "no"
        allowed = f"{family} takes {most} {kind} file{'' if limits.max_count == 1 else 's'}."
        yield Problem(
            file=over.name,
            what=f"There {'is' if len(media) == 1 else 'are'} {len(media)} {kind} file{'' if len(media) == 1 else 's'}.",
            limit=allowed,
            remedy="Name fewer in the brief.",
        )
    elif len(media) < limits.min_count:
        limit = f"{family} needs at least {limits.min_count}."
        yield Problem(file="brief", what=f"There is no {kind} file.", limit=limit, remedy="Upload one.")


def _image(found: FoundMedium, limits: MediaLimits) -> Iterator[Problem]:
    facts, say = image_facts(found), _Say(found)
    if facts.format.upper() not in limits.formats:
        yield say(
            f"is a {facts.format} image by its content.",
            f"Allowed are {', '.join(limits.formats)}.",
            'magick "{file}[0]" "{stem}.png"',
        )
    if facts.mode in _BAD_MODES:
        yield say(
            f"is in the colour mode {facts.mode}, for print and not for screens.",
            "Allowed are RGB and grey.",
            'magick "{file}" -colorspace sRGB "{stem}-rgb{ending}"',
        )
    if facts.animated:
        yield say("is animated.", "Only still images are animated here.", 'magick "{file}[0]" "{stem}-still{ending}"')
    if limits.max_bytes is not None and facts.size_bytes > limits.max_bytes:
        yield say(
            f"has {_megabytes(facts.size_bytes, limits.max_bytes)}.",
            f"At most {_megabytes(limits.max_bytes, facts.size_bytes)} are allowed.",
            'magick "{file}" -resize "3840x3840>" -quality 90 "{stem}-small.jpg"',
        )
    if limits.min_side is not None and min(facts.width, facts.height) < limits.min_side:
        yield say(
            f"has {facts.width} x {facts.height} pixels.",
            f"Each side needs at least {limits.min_side} pixels.",
            f'magick "{{file}}" -resize "{limits.min_side}x{limits.min_side}^" "{{stem}}-large{{ending}}"',
            "Better upload a larger original; this only enlarges it:",
        )
    aspect = facts.width / facts.height
    if limits.max_aspect is not None and aspect > limits.max_aspect:
        yield say(
            f"is {facts.width} x {facts.height}, {_apart(aspect, limits.max_aspect, 3)} times as wide as high.",
            f"At most {limits.max_aspect:g} to 1 is allowed.",
            f'magick "{{file}}" -gravity center -crop {limits.max_aspect:g}:1 +repage "{{stem}}-cut{{ending}}"',
        )
    if limits.min_aspect is not None and aspect < limits.min_aspect:
        yield say(
            f"is {facts.width} x {facts.height}, {_apart(1 / aspect, 1 / limits.min_aspect, 3)} times as high as wide.",
            f"At most 1 to {1 / limits.min_aspect:g} is allowed.",
            f'magick "{{file}}" -gravity center -crop 1:{1 / limits.min_aspect:g} +repage "{{stem}}-cut{{ending}}"',
        )


def _audio(found: FoundMedium, limits: MediaLimits) -> Iterator[Problem]:
    facts, say = audio_facts(found), _Say(found)
    container = facts.container.upper()
    if container not in limits.formats or (container == "WAV" and not facts.codec.startswith("pcm_")):
        inside = f"{facts.container} holding {facts.codec}"
        yield say(
            f"is {inside} by its content.",
            f"Allowed are {', '.join(limits.formats)} (WAV with PCM).",
            'ffmpeg -i "{file}" -vn "{stem}-ok.mp3"',
        )
    if limits.max_bytes is not None and facts.size_bytes > limits.max_bytes:
        yield say(
            f"has {_megabytes(facts.size_bytes, limits.max_bytes)}.",
            f"At most {_megabytes(limits.max_bytes, facts.size_bytes)} are allowed.",
            'ffmpeg -i "{file}" -b:a 128k "{stem}-small.mp3"',
        )
    yield from _seconds(say, facts.seconds, facts.longer, limits, 'ffmpeg -i "{file}" -af apad -t {seconds} "{stem}-padded{ending}"',
                        'ffmpeg -i "{file}" -t {seconds} "{stem}-cut{ending}"')  # fmt: skip


def _video(found: FoundMedium, limits: MediaLimits) -> Iterator[Problem]:
    facts, say = video_facts(found), _Say(found)
    if facts.container.upper() not in limits.formats:
        yield say(
            f"is a {facts.container} file by its content.",
            f"Allowed are {', '.join(limits.formats)}.",
            'ffmpeg -i "{file}" -c:v libx264 -pix_fmt yuv420p "{stem}-ok.mp4"',
        )
    if limits.max_bytes is not None and facts.size_bytes > limits.max_bytes:
        yield say(
            f"has {_megabytes(facts.size_bytes, limits.max_bytes)}.",
            f"At most {_megabytes(limits.max_bytes, facts.size_bytes)} are allowed.",
            'ffmpeg -i "{file}" -crf 28 "{stem}-small.mp4"',
        )
    yield from _seconds(say, facts.seconds, False, limits, "", 'ffmpeg -i "{file}" -t {seconds} "{stem}-cut{ending}"')


def _seconds(say: "_Say", seconds: float, longer: bool, limits: MediaLimits, pad: str, cut: str) -> Iterator[Problem]:
    allowed = f"It must have {limits.min_seconds:g} to {limits.max_seconds:g} s." if limits.max_seconds else ""
    if limits.min_seconds is not None and seconds < limits.min_seconds:
        yield say(f"has {_apart(seconds, limits.min_seconds, 2)} s.", allowed, pad.replace("{seconds}", f"{limits.min_seconds:g}"),
                  "Upload a longer one" + (", or pad it with silence:" if pad else "."))  # fmt: skip
    if limits.max_seconds is not None and seconds > limits.max_seconds:
        measured = f"has more than {seconds:.0f} s." if longer else f"has {_apart(seconds, limits.max_seconds, 2)} s."
        yield say(measured, allowed, cut.replace("{seconds}", f"{limits.max_seconds:g}"), "Cut it:")


_CONVERT = "Convert it. Then delete the old file, and correct the brief or list that names it:"
"""Leads to a command whose result has another ending, so that the corrected file cannot take the old one's place."""


class _Say:
    """Words about one file."""

    def __init__(self, found: FoundMedium) -> None:
        self._name = found.name

    def __call__(self, what: str, limit: str, command: str, lead: str = "Fix it:") -> Problem:
        path = PurePosixPath(self._name)
        if command.endswith('"') and not command.endswith(('{ending}"', f'{path.suffix}"')):
            lead = _CONVERT
        filled = command.replace("{file}", shown_name(path.name)).replace("{stem}", shown_name(path.stem))
        filled = filled.replace("{ending}", shown_name(path.suffix))
        return Problem(
            file=self._name, what=f"{shown_name(self._name)} {what}", limit=limit, remedy=f"{lead} {filled}".strip()
        )


def _megabytes(size: int, other: int) -> str:
    return f"{_apart(size / 1_000_000, other / 1_000_000, 1)} MB"


def _apart(value: float, other: float, digits: int) -> str:
    """A value with at least so many digits, and as many as it takes to tell it from the other one, told beside it."""
    while digits < _FINEST and f"{value:.{digits}f}" == f"{other:.{digits}f}":
        digits += 1
    return f"{value:.{digits}f}"


_CHECKS: dict[MediumKind, Callable[[FoundMedium, MediaLimits], Iterator[Problem]]] = {
    MediumKind.IMAGE: _image,
    MediumKind.AUDIO: _audio,
    MediumKind.VIDEO: _video,
}
