"""The prompt of a clip: a person's own words or a motion preset, with numbered references to its media."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from i2v_assets.briefs.brief import Brief, MediaRef
from i2v_assets.briefs.brief_reader import BriefError
from i2v_assets.briefs.yaml_reader import read_document
from i2v_assets.planning.prompt_advice import Advice, PromptFacts, advise

__all__ = [
    "NEUTRAL",
    "PRESETS_FILE",
    "SHIPPED_PRESETS",
    "SPEAKER",
    "SPEAKER_WITHOUT_IMAGE",
    "Advice",
    "PromptFacts",
    "advise",
    "has_roles",
    "load_presets",
    "reference_line",
]

PRESETS_FILE: Final = Path(__file__).with_name("presets.yaml")
SPEAKER: Final = "speaker"
"""The preset of lip-sync clips whose image is sent."""

SPEAKER_WITHOUT_IMAGE: Final = "speaker_without_image"
"""The preset of lip-sync clips without an image: it describes the shot itself."""

NEUTRAL: Final = "neutral"
"""The preset of a picture about which nothing is known."""

MAX_PRESET = 2000
"""Maximum characters of a preset; leaves room for numbered references within every route's limit."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


def _presets(text: str, name: str) -> Mapping[str, str]:
    found = read_document(text, name, "yaml").data
    for preset, prompt in found.items():
        if not _NAME.fullmatch(preset):
            raise BriefError(
                f"{name}: `{preset}` is not a valid preset name.", remedy="Use small letters, digits, - and _."
            )
        if not isinstance(prompt, str) or not 1 <= len(prompt.strip()) <= MAX_PRESET:
            raise BriefError(
                f"{name}: `{preset}` must be a prompt of up to {MAX_PRESET} characters.", remedy="Shorten it."
            )
    return MappingProxyType({key: " ".join(value.split()) for key, value in found.items()})


SHIPPED_PRESETS: Final[Mapping[str, str]] = _presets(PRESETS_FILE.read_text(encoding="utf-8"), PRESETS_FILE.name)
"""The presets that ship with the project."""


def load_presets(text: str, name: str = "presets") -> Mapping[str, str]:
    """Return the shipped presets, with a project's own presets added or replacing them.

    Args:
        text: The YAML text of the project's file.
        name: What to call that file in messages.

    Raises:
        DocumentError: the file cannot be read.
        BriefError: a preset's name or text cannot be used.
    """
    return MappingProxyType({**SHIPPED_PRESETS, **_presets(text, name)})


def reference_line(
    images: Sequence[MediaRef | None], videos: Sequence[MediaRef | None], audios: Sequence[MediaRef | None]
) -> str:
    """Return a line that numbers the media of a multi-modal clip (``Subject from image 1, voice from audio 1``).

    Args:
        images: The brief's entry of each image; None for an image that the brief does not list.
        videos: The same for the reference videos.
        audios: The same for the sounds.
    """
    parts = []
    for kind, refs, first, further in (
        ("image", images, "subject", "further details"),
        ("video", videos, "camera motion", "motion"),
        ("audio", audios, "voice", "sound"),
    ):
        for number, ref in enumerate(refs, start=1):
            role = ref.role if ref is not None and ref.role else first if number == 1 else further
            parts.append(f"{role} from {kind} {number}")
    line = ", ".join(parts)
    return f"{line[:1].upper()}{line[1:]}." if line else ""


def has_roles(brief: Brief) -> bool:
    """Return whether the brief gives a role to any medium."""
    return any(ref.role for refs in (brief.images, brief.videos, brief.audio) for ref in refs or ())
