"""The limits of each endpoint family as data, each number with its source.

The numbers are those of the service's model pages. If no source gives a number, the field is None, which means "not
checked here, the service decides". Megabytes are read as 10^6 bytes, the smaller reading, so that no file passes here
that the service could reject.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from resources.schemas.inputs import Family, MediumKind, Route

Dialect = Literal["documented", "catalogue"]
"""The two generations of model ids and field names that the service accepts."""

MEGABYTE = 1_000_000
"""The smaller reading of MB."""

DEFAULT_DURATION = 5
"""Default duration of every family in seconds (model pages)."""


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
        source: Source of the numbers.
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
    source: str = "the endpoint has no such input"


@dataclass(frozen=True, slots=True)
class PromptLimits:
    """The length limit of a prompt; the service cuts a longer one silently.

    Attributes:
        max_units: Most units.
        unit: The unit: a character, or an English word.
        chinese_weight: Units that one Chinese character counts for.
        source: Source of the numbers.
        max_characters: Most characters if words are counted: letters without a blank would pass as one word.
    """

    max_units: int
    unit: Literal["characters", "words"]
    chinese_weight: int
    source: str
    max_characters: int | None = None


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

    def media(self, kind: MediumKind) -> MediaLimits:
        """Return the limits of one kind of media."""
        return {MediumKind.IMAGE: self.images, MediumKind.AUDIO: self.audios, MediumKind.VIDEO: self.videos}[kind]

    def resolutions_in(self, dialect: Dialect) -> tuple[str, ...]:
        """Return the tiers that an id of that generation takes."""
        return self.resolutions_by_dialect.get(dialect, self.resolutions)


HAPPYHORSE_PAGE = "model page of HappyHorse 1.0 image-to-video"
WAN_T2V_PAGE = "model page of Wan 2.7 text-to-video"
WAN_I2V_PAGE = "catalogue entry of Wan 2.7 image-to-video"
SEEDANCE_PAGE = "model page of Seedance 2.0 Pro"

_CHARACTERS = PromptLimits(
    5000, "characters", 2, ("model pages: 5000 characters, or 2500 if Chinese; longer prompts are cut")
)
_WORDS = PromptLimits(
    1000,
    "words",
    2,
    f"{SEEDANCE_PAGE}: 1000 English words or 500 Chinese characters; longer prompts are cut",
    max_characters=6000,  # 1000 English words of five letters (what typists count as a word) and a blank each
)
_STILL_FORMATS = ("JPEG", "PNG", "WEBP")

LIMITS: Mapping[Family, Limits] = MappingProxyType(
    {
        Family.HAPPYHORSE_I2V: Limits(
            prompt=_CHARACTERS,
            min_duration=3,
            max_duration=15,
            resolutions=("720p", "1080p"),
            default_resolution="1080p",
            watermark=True,
            images=MediaLimits(
                min_count=1,
                max_count=1,
                formats=_STILL_FORMATS,
                max_bytes=10 * MEGABYTE,
                min_side=300,
                min_aspect=0.4,  # 1:2.5
                max_aspect=2.5,  # 2.5:1
                source=HAPPYHORSE_PAGE,
            ),
            source=HAPPYHORSE_PAGE,
        ),
        Family.WAN_T2V: Limits(
            prompt=_CHARACTERS,
            min_duration=2,
            max_duration=15,
            resolutions=("720p", "1080p"),
            default_resolution="1080p",
            aspect_ratios=("16:9", "9:16", "1:1", "4:3", "3:4"),
            default_aspect_ratio="16:9",
            max_negative_prompt=500,
            prompt_expansion=True,
            audios=MediaLimits(
                min_count=1,  # optional on the wire, but without a voiceover there is no lip-sync
                max_count=1,
                formats=("WAV", "MP3"),
                max_bytes=15 * MEGABYTE,
                min_seconds=3,
                max_seconds=30,
                source=WAN_T2V_PAGE,
            ),
            source=WAN_T2V_PAGE,
        ),
        Family.WAN_I2V: Limits(
            prompt=_CHARACTERS,
            min_duration=2,
            max_duration=15,
            resolutions=("720p", "1080p"),
            default_resolution="1080p",
            max_negative_prompt=500,
            prompt_expansion=True,
            end_image=True,
            images=MediaLimits(
                min_count=1,
                max_count=1,  # the last image has a field of its own
                formats=_STILL_FORMATS,
                source="no source gives limits of this image; the formats are those that the service accepts elsewhere",
            ),
            audios=MediaLimits(
                min_count=0,
                max_count=1,
                formats=("WAV", "MP3"),
                max_bytes=15 * MEGABYTE,
                min_seconds=2,
                max_seconds=30,
                source=f"{WAN_I2V_PAGE}: 2 to 30 s; formats and size as in text-to-video",
            ),
            source=WAN_I2V_PAGE,
        ),
        Family.SEEDANCE_PRO: Limits(
            prompt=_WORDS,
            min_duration=4,
            max_duration=15,
            resolutions=("480p", "720p", "1080p", "4k"),
            default_resolution="720p",
            resolutions_by_dialect=MappingProxyType({"documented": ("480p", "720p")}),
            aspect_ratios=("adaptive", "16:9", "9:16", "4:3", "3:4", "1:1", "21:9"),
            default_aspect_ratio="adaptive",
            generate_audio=True,
            images=MediaLimits(
                max_count=9,
                formats=_STILL_FORMATS,
                source=f"{SEEDANCE_PAGE}: 0 to 9; the formats are those that the service accepts elsewhere",
            ),
            audios=MediaLimits(
                max_count=3,
                formats=("WAV", "MP3"),
                max_bytes=15 * MEGABYTE - 1,  # "below 15 MB"
                min_seconds=2,
                max_seconds=15,
                source=SEEDANCE_PAGE,
            ),
            videos=MediaLimits(
                max_count=3,
                formats=("MP4", "MOV"),
                min_seconds=2,
                max_seconds=15,
                source=SEEDANCE_PAGE,
            ),
            source=SEEDANCE_PAGE,
        ),
    }
)

_ROUTES: Mapping[Family, Route] = MappingProxyType(
    {
        Family.HAPPYHORSE_I2V: Route.ANIMATE,
        Family.WAN_T2V: Route.LIP_SYNC,
        Family.WAN_I2V: Route.LIP_SYNC,
        Family.SEEDANCE_PRO: Route.MULTI_MODAL,
    }
)


def family_route(family: Family) -> Route:
    """Return the route that a family serves."""
    return _ROUTES[family]
