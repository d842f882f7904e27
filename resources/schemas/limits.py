"""The shape of a family's limits; the numbers are in ``families/`` or in the live schema, each with its source.

If no source gives a number, the field is None, which means "not checked here, the service decides". Megabytes are read
as 10^6 bytes, the smaller reading, so that no file passes here that the service could reject.

A limit is ``hard`` if a source says that more is refused or cut: the clip is refused then. It is ``advice`` if a source
only recommends it, or says it of the model elsewhere: the plan says so, and the service decides.

The length of a prompt is measured in the service's own units, because the service cuts a longer one silently. The sources
give two numbers for each family, one for English and one, half as large, for Chinese. A mixed prompt is measured with one
rule that agrees with both: a Chinese character counts as two units, everything else as one.

If English words are counted, scripts without blanks between words would pass as one word, and no source gives them a
number. The pages that count characters count a Chinese one as two others; here it counts as two words. So a character
of another such script counts as one word.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from resources.schemas.inputs import Family, MediumKind

Dialect = Literal["documented", "catalogue", "live"]
"""Where the field names of a model id come from: one of the two generations that are known, or its live schema."""

LimitKind = Literal["hard", "advice"]
"""Whether a source says that more is refused or cut, or only recommends less."""

MEGABYTE = 1_000_000
"""The smaller reading of MB."""

DEFAULT_DURATION = 5
"""Default duration of every family in seconds (model pages)."""

SHORT_SIDES: Mapping[str, int] = MappingProxyType(
    {"480p": 480, "540p": 540, "720p": 720, "768p": 768, "1080p": 1080, "1440p": 1440, "2k": 1440, "4k": 2160}
)
"""Pixels of the shorter side of each tier."""


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """How many files of one kind a family takes, and the limits of each.

    Attributes:
        min_count: Fewest files.
        max_count: Most files.
        formats: Formats by content, in capitals: JPEG, PNG, WEBP, WAV, MP3, MP4, MOV.
        max_bytes: Largest size of each, in bytes.
        min_side: Shortest side in pixels, as displayed.
        min_aspect: Smallest displayed width over height.
        max_aspect: Largest displayed width over height.
        min_seconds: Shortest length of each.
        max_seconds: Longest length of each.
        max_side: Longest side in pixels, as displayed.
        source: Source of the numbers.
        kind: Whether a file outside them is refused, or the plan only says so. Counts and formats are always hard.
        advice: Further numbers that are only recommended.
    """

    min_count: int = 0
    max_count: int = 0
    formats: tuple[str, ...] = ()
    max_bytes: int | None = None
    min_side: int | None = None
    min_aspect: float | None = None
    max_aspect: float | None = None
    min_seconds: float | None = None
    max_seconds: float | None = None
    max_side: int | None = None
    source: str = "the endpoint has no such input"
    kind: LimitKind = "hard"
    advice: "MediaLimits | None" = None


@dataclass(frozen=True, slots=True)
class PromptLimits:
    """The length limit of a prompt; the service cuts a longer one silently if the limit is hard.

    Attributes:
        max_units: Most units.
        unit: The unit: a character, or an English word.
        chinese_weight: Units that one Chinese character counts for.
        source: Source of the numbers.
        max_characters: Most characters if words are counted: letters without a blank would pass as one word.
        kind: Whether a longer prompt is refused, or the plan only says so.
    """

    max_units: int
    unit: Literal["characters", "words"]
    chinese_weight: int
    source: str
    max_characters: int | None = None
    kind: LimitKind = "hard"


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits of a family's inputs that can be checked before any money moves.

    Attributes:
        prompt: Length limit of the prompt.
        min_duration: Shortest clip in whole seconds.
        max_duration: Longest clip in whole seconds.
        resolutions: Tiers under the project's names that any of the family's ids takes, smallest first.
        default_resolution: The service's own default.
        resolutions_by_dialect: Tiers of one generation of ids, if the two differ.
        aspect_ratios: Allowed values; empty if the endpoint has no such field.
        default_aspect_ratio: The service's own default, None if there is no such field.
        max_negative_prompt: Most characters; 0 if there is no such field.
        images: Still images.
        audios: Sound files.
        videos: Reference clips.
        watermark: True if the endpoint has the switch.
        generate_audio: True if the endpoint has the switch.
        prompt_expansion: True if the endpoint has the switch.
        end_image: True if the endpoint takes an image that the clip ends on.
        source: Source of the numbers outside the nested limits.
        durations: The only durations that the endpoint makes; empty if it makes all from the shortest to the longest.
    """

    prompt: PromptLimits
    min_duration: int
    max_duration: int
    resolutions: tuple[str, ...]
    default_resolution: str
    source: str
    resolutions_by_dialect: Mapping[Dialect, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    aspect_ratios: tuple[str, ...] = ()
    default_aspect_ratio: str | None = None
    max_negative_prompt: int = 0
    images: MediaLimits = MediaLimits()
    audios: MediaLimits = MediaLimits()
    videos: MediaLimits = MediaLimits()
    watermark: bool = False
    generate_audio: bool = False
    prompt_expansion: bool = False
    end_image: bool = False
    durations: tuple[int, ...] = ()

    def media(self, kind: MediumKind) -> MediaLimits:
        """Return the limits of one kind of media."""
        return {MediumKind.IMAGE: self.images, MediumKind.AUDIO: self.audios, MediumKind.VIDEO: self.videos}[kind]

    def resolutions_in(self, dialect: Dialect) -> tuple[str, ...]:
        """Return the tiers that an id of that generation takes."""
        return self.resolutions_by_dialect.get(dialect, self.resolutions)


_CHINESE = re.compile(
    "["
    "\u2e80-\u2fdf"  # radicals
    "\u3000-\u303f"  # CJK punctuation
    "\u3040-\u30ff\u31f0-\u31ff"  # kana: written without spaces too
    "\u3100-\u312f\u31a0-\u31bf"  # bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # ideographs
    "\uff00-\uff60\uffe0-\uffe6"  # full-width forms
    "\U00020000-\U0003ffff"  # further ideographs
    "]"
)

_NO_BLANKS = re.compile(
    "["
    "\u0e00-\u0eff"  # Thai, Lao
    "\u0f00-\u0fff"  # Tibetan
    "\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff"  # Burmese
    "\u1780-\u17ff\u19e0-\u19ff"  # Khmer
    "\u1950-\u19df\u1a20-\u1aaf"  # Tai scripts
    "\ua980-\ua9df"  # Javanese
    "]"
)


def prompt_units(limits: PromptLimits, prompt: str) -> int:
    """Return the length of a prompt in the units of ``limits``: characters (code points), or words between white space."""
    chinese, rest = len(_CHINESE.findall(prompt)), _CHINESE.sub(" " if limits.unit == "words" else "", prompt)
    plain = len(rest)
    if limits.unit == "words":
        plain = len(_NO_BLANKS.findall(rest)) + len(_NO_BLANKS.sub(" ", rest).split())
    return plain + limits.chinese_weight * chinese


def prompt_excess(family: Family, limits: PromptLimits, prompt: str) -> str | None:
    """Return why a prompt is too long for a family, or empty, in one line with the limit; None if it fits."""
    if not prompt.strip():
        return "The prompt is empty."
    units = prompt_units(limits, prompt)
    chinese = limits.max_units // limits.chinese_weight
    if units > limits.max_units:
        counted = f"{units} {limits.unit} long (a Chinese character counts as {limits.chinese_weight})"
        most = f"{limits.max_units} {limits.unit} or {chinese} Chinese characters"
    elif limits.max_characters is not None and len(prompt) > limits.max_characters:
        counted = f"{len(prompt)} characters long"
        most = f"{limits.max_units} {limits.unit}, or {limits.max_characters} characters,"
    else:
        return None
    if limits.kind == "advice":
        return f"The prompt is {counted}; for {family} at most {most} are recommended."
    return f"The prompt is {counted}; {family} takes at most {most} and would cut the rest silently."
