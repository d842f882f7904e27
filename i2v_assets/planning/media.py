"""What was found of a clip before it is planned: its media with their facts, and what is wrong with them."""

from collections.abc import Iterable
from dataclasses import dataclass

from resources.media.facts import AudioFacts, ImageFacts, MediaFacts, VideoFacts
from resources.schemas.inputs import Medium, MediumKind


@dataclass(frozen=True, slots=True)
class FoundMedium:
    """One readable file of a clip.

    Attributes:
        medium: Its bytes and where they lie.
        name: As the brief calls it.
        facts: What was measured.
    """

    medium: Medium
    name: str
    facts: MediaFacts

    @property
    def kind(self) -> MediumKind:
        """Image, audio or video."""
        return self.medium.kind


def of_kind(media: Iterable[FoundMedium], kind: MediumKind) -> tuple[FoundMedium, ...]:
    """The media of one kind, in order."""
    return tuple(each for each in media if each.kind is kind)


def image_facts(found: FoundMedium) -> ImageFacts:
    """The facts of an image."""
    if not isinstance(found.facts, ImageFacts):
        raise TypeError(f"{found.name} was not measured as an image")
    return found.facts


def audio_facts(found: FoundMedium) -> AudioFacts:
    """The facts of a sound file."""
    if not isinstance(found.facts, AudioFacts):
        raise TypeError(f"{found.name} was not measured as sound")
    return found.facts


def video_facts(found: FoundMedium) -> VideoFacts:
    """The facts of a video."""
    if not isinstance(found.facts, VideoFacts):
        raise TypeError(f"{found.name} was not measured as a video")
    return found.facts
