"""Inputs of planning: the media of a clip with their measured facts, and whether an endpoint takes them.

Nothing is changed silently: media outside a limit are refused with that limit before anything is paid, and with a command
that fixes them if one line is enough.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from i2v_assets.uploads.roles import shown_name
from resources.media.facts import AudioFacts, ImageFacts, MediaFacts, VideoFacts
from resources.problem import Problem
from resources.schemas.endpoints import LIMITS, Limits, MediaLimits
from resources.schemas.inputs import Family, Medium, MediumKind

ENCODER_PADDING = 0.06
"""Seconds of sound beyond a whole second that are ignored: MP3 encoders pad by up to 2,257 samples (0.051 s at 44.1 kHz), and
a further paid second would hold only that silence."""


@dataclass(frozen=True, slots=True)
class MeasuredMedium:
    """One readable file of a clip with its measured facts.

    Attributes:
        medium: Its hash, size and key.
        name: Its name in the brief.
        facts: The measured facts.
    """

    medium: Medium
    name: str
    facts: MediaFacts

    @property
    def kind(self) -> MediumKind:
        """Image, audio or video."""
        return self.medium.kind


def of_kind(media: Iterable[MeasuredMedium], kind: MediumKind) -> tuple[MeasuredMedium, ...]:
    """Return the media of one kind, in order."""
    return tuple(each for each in media if each.kind is kind)


def image_facts(medium: MeasuredMedium) -> ImageFacts:
    """Return the facts of an image."""
    if not isinstance(medium.facts, ImageFacts):
        raise TypeError(f"{medium.name} was not measured as an image")
    return medium.facts


def audio_facts(medium: MeasuredMedium) -> AudioFacts:
    """Return the facts of a sound file."""
    if not isinstance(medium.facts, AudioFacts):
        raise TypeError(f"{medium.name} was not measured as sound")
    return medium.facts


def video_facts(medium: MeasuredMedium) -> VideoFacts:
    """Return the facts of a video."""
    if not isinstance(medium.facts, VideoFacts):
        raise TypeError(f"{medium.name} was not measured as a video")
    return medium.facts


BAD_MODES = frozenset({"CMYK", "LAB", "YCbCr", "HSV"})
"""Colour modes that screens do not show reliably; JPEG and PNG in all other modes are shown alike everywhere."""

_FINEST = 6
"""Maximum decimal places of a figure: one byte in megabytes, one microsecond in seconds."""


def check_media(
    family: Family, media: Sequence[MeasuredMedium], limits_of_family: Limits | None = None
) -> tuple[Problem, ...]:
    """Return every problem with the media that the family would refuse or silently cut.

    Args:
        family: The endpoint.
        media: The media that would be sent, in order.
        limits_of_family: Its limits, if the code does not know them.
    """
    every = limits_of_family or LIMITS[family]
    problems: list[Problem] = []
    for kind in MediumKind:
        limits = every.media(kind)
        same_kind = of_kind(media, kind)
        problems.extend(_count(family, kind, limits, same_kind))
        check = _CHECKS[kind]
        problems.extend(problem for each in same_kind if limits.max_count for problem in check(each, limits))
    return tuple(problems)


def media_advice(media: Sequence[MeasuredMedium], limits: Limits) -> tuple[str, ...]:
    """Return in words which media are outside what is only recommended; the service decides about them."""
    found: list[str] = []
    for kind in MediumKind:
        advice = limits.media(kind).advice
        if advice is None:
            continue
        for each in of_kind(media, kind):
            size = each.medium.size_bytes
            if advice.max_bytes is not None and size > advice.max_bytes:
                most = f"at most {_megabytes(advice.max_bytes, size)} are recommended"
                found.append(f"{shown_name(each.name)} has {_megabytes(size, advice.max_bytes)}; {most}.")
            if kind is not MediumKind.IMAGE:
                continue
            facts = image_facts(each)
            sides = f"{shown_name(each.name)} has {facts.width} x {facts.height} pixels;"
            if advice.min_side is not None and min(facts.width, facts.height) < advice.min_side:
                found.append(f"{sides} at least {advice.min_side} on each side are recommended.")
            if advice.max_side is not None and max(facts.width, facts.height) > advice.max_side:
                found.append(f"{sides} at most {advice.max_side} on each side are recommended.")
    return tuple(found)


def _count(family: Family, kind: MediumKind, limits: MediaLimits, media: Sequence[MeasuredMedium]) -> Iterator[Problem]:
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
        yield Problem(file="brief", what=f"The clip has no {kind} file.", limit=limit, remedy="Upload one.")


def _image(medium: MeasuredMedium, limits: MediaLimits) -> Iterator[Problem]:
    facts, problem = image_facts(medium), _ProblemBuilder(medium)
    if facts.format.upper() not in limits.formats:
        yield problem(
            f"is a {facts.format} image by its content.",
            f"Allowed are {', '.join(limits.formats)}.",
            'magick "{file}[0]" "{stem}.png"',
        )
    if facts.mode in BAD_MODES:
        yield problem(
            f"is in the colour mode {facts.mode}, which is for print and not for screens.",
            "Allowed are RGB and grey.",
            'magick "{file}" -colorspace sRGB "{stem}-rgb{ending}"',
        )
    if facts.animated:
        yield problem("is animated.", "Only still images are allowed.", 'magick "{file}[0]" "{stem}-still{ending}"')
    if limits.max_bytes is not None and facts.size_bytes > limits.max_bytes:
        yield problem(
            f"has {_megabytes(facts.size_bytes, limits.max_bytes)}.",
            f"At most {_megabytes(limits.max_bytes, facts.size_bytes)} are allowed.",
            'magick "{file}" -resize "3840x3840>" -quality 90 "{stem}-small.jpg"',
        )
    if limits.min_side is not None and min(facts.width, facts.height) < limits.min_side:
        yield problem(
            f"has {facts.width} x {facts.height} pixels.",
            f"Each side needs at least {limits.min_side} pixels.",
            f'magick "{{file}}" -resize "{limits.min_side}x{limits.min_side}^" "{{stem}}-large{{ending}}"',
            "Upload a larger original. This command only enlarges it:",
        )
    aspect = facts.width / facts.height
    if limits.max_aspect is not None and aspect > limits.max_aspect:
        yield problem(
            f"is {facts.width} x {facts.height}, {_apart(aspect, limits.max_aspect, 3)} times as wide as high.",
            f"At most {limits.max_aspect:g} to 1 is allowed.",
            f'magick "{{file}}" -gravity center -crop {limits.max_aspect:g}:1 +repage "{{stem}}-cut{{ending}}"',
        )
    if limits.min_aspect is not None and aspect < limits.min_aspect:
        yield problem(
            f"is {facts.width} x {facts.height}, {_apart(1 / aspect, 1 / limits.min_aspect, 3)} times as high as wide.",
            f"At most 1 to {1 / limits.min_aspect:g} is allowed.",
            f'magick "{{file}}" -gravity center -crop 1:{1 / limits.min_aspect:g} +repage "{{stem}}-cut{{ending}}"',
        )


def _audio(medium: MeasuredMedium, limits: MediaLimits) -> Iterator[Problem]:
    facts, problem = audio_facts(medium), _ProblemBuilder(medium)
    container = facts.container.upper()
    if container not in limits.formats or (container == "WAV" and not facts.codec.startswith("pcm_")):
        inside = f"{facts.container} holding {facts.codec}"
        yield problem(
            f"is {inside} by its content.",
            f"Allowed are {', '.join(limits.formats)} (WAV with PCM).",
            'ffmpeg -i "{file}" -vn "{stem}-ok.mp3"',
        )
    if limits.max_bytes is not None and facts.size_bytes > limits.max_bytes:
        yield problem(
            f"has {_megabytes(facts.size_bytes, limits.max_bytes)}.",
            f"At most {_megabytes(limits.max_bytes, facts.size_bytes)} are allowed.",
            'ffmpeg -i "{file}" -b:a 128k "{stem}-small.mp3"',
        )
    yield from _seconds(problem, facts.seconds, facts.longer, limits, 'ffmpeg -i "{file}" -af apad -t {seconds} "{stem}-padded{ending}"',
                        'ffmpeg -i "{file}" -t {seconds} "{stem}-cut{ending}"')  # fmt: skip


def _video(medium: MeasuredMedium, limits: MediaLimits) -> Iterator[Problem]:
    facts, problem = video_facts(medium), _ProblemBuilder(medium)
    if facts.container.upper() not in limits.formats:
        yield problem(
            f"is a {facts.container} file by its content.",
            f"Allowed are {', '.join(limits.formats)}.",
            'ffmpeg -i "{file}" -c:v libx264 -pix_fmt yuv420p "{stem}-ok.mp4"',
        )
    if limits.max_bytes is not None and facts.size_bytes > limits.max_bytes:
        yield problem(
            f"has {_megabytes(facts.size_bytes, limits.max_bytes)}.",
            f"At most {_megabytes(limits.max_bytes, facts.size_bytes)} are allowed.",
            'ffmpeg -i "{file}" -crf 28 "{stem}-small.mp4"',
        )
    yield from _seconds(
        problem, facts.seconds, False, limits, "", 'ffmpeg -i "{file}" -t {seconds} "{stem}-cut{ending}"'
    )


def _seconds(
    problem: "_ProblemBuilder", seconds: float, longer: bool, limits: MediaLimits, pad: str, cut: str
) -> Iterator[Problem]:
    allowed = f"It must have {limits.min_seconds:g} to {limits.max_seconds:g} s." if limits.max_seconds else ""
    if limits.min_seconds is not None and seconds < limits.min_seconds:
        yield problem(f"has {_apart(seconds, limits.min_seconds, 2)} s.", allowed, pad.replace("{seconds}", f"{limits.min_seconds:g}"),
                  "Upload a longer one" + (", or pad it with silence:" if pad else "."))  # fmt: skip
    if limits.max_seconds is not None and seconds > limits.max_seconds:
        measured = f"has more than {seconds:.0f} s." if longer else f"has {_apart(seconds, limits.max_seconds, 2)} s."
        yield problem(measured, allowed, cut.replace("{seconds}", f"{limits.max_seconds:g}"), "Cut it:")


_CONVERT = "Convert it. Then delete the old file, and correct the brief or list that names it:"
"""Leads to a command whose result has another ending, so that the corrected file cannot replace the old one."""


class _ProblemBuilder:
    """Builds the problems of one file, with its name filled into commands."""

    def __init__(self, medium: MeasuredMedium) -> None:
        self._name = medium.name

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
    """Return a value with at least `digits` decimals, and as many as distinguish it from the limit beside it."""
    while digits < _FINEST and f"{value:.{digits}f}" == f"{other:.{digits}f}":
        digits += 1
    return f"{value:.{digits}f}"


_CHECKS: dict[MediumKind, Callable[[MeasuredMedium, MediaLimits], Iterator[Problem]]] = {
    MediumKind.IMAGE: _image,
    MediumKind.AUDIO: _audio,
    MediumKind.VIDEO: _video,
}
