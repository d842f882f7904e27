"""Inputs of planning: the media of a clip with their measured facts, and the problems with them."""

from collections.abc import Iterable
from dataclasses import dataclass

from resources.media.facts import AudioFacts, ImageFacts, MediaFacts, VideoFacts
from resources.schemas.inputs import Medium, MediumKind

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
