"""All facts of one uploaded file, read in a process of the pool."""

from dataclasses import dataclass
from pathlib import Path

from resources.media.containers import head
from resources.media.errors import Unreadable
from resources.media.facts import MediaFacts
from resources.media.limits import LARGEST_BYTES
from resources.media.pictures import what_to_export
from resources.media.probe import probe_audio, probe_video, sniff
from resources.media.stills import StillScan, scan_image
from resources.media.voice import voice_share
from resources.schemas.inputs import MediumKind


@dataclass(frozen=True)
class MediaScan:
    """What a file is by its content; ``still`` has the pictures and faces of an image."""

    kind: MediumKind
    content_type: str
    facts: MediaFacts
    still: StillScan | None = None


def scan_media(path: Path, name: str, thumbnail_bytes: int, longer_side: int) -> MediaScan:
    """Return the facts of an image, sound or video; an image is decoded once.

    Args:
        path: the local file.
        name: the file's name for people.
        thumbnail_bytes: the maximum size of an image's thumbnail.
        longer_side: its longer side in pixels.

    Raises:
        Unreadable: none of the three, damaged, or larger than any route or preparation takes.
    """
    found = sniff(path)
    if found is None:
        raise _unknown(path, name)
    kind, content_type = found
    size = path.stat().st_size
    if size > LARGEST_BYTES[kind]:
        raise Unreadable(
            f"{name} has {size / 1e6:,.0f} MB; at most {LARGEST_BYTES[kind] / 1e6:,.0f} MB of {kind} are read.",
            remedy="Export a smaller file.",
        )
    if kind is MediumKind.IMAGE:
        still = scan_image(path, name, thumbnail_bytes, longer_side)
        return MediaScan(kind, content_type, still.facts, still)
    if kind is MediumKind.AUDIO:
        facts = probe_audio(path, name)
        return MediaScan(kind, content_type, facts.model_copy(update={"speech": voice_share(path, name)}))
    return MediaScan(kind, content_type, probe_video(path, name))


def _unknown(path: Path, name: str) -> Unreadable:
    known = what_to_export(head(path))
    if known is not None:
        return Unreadable(f"{name} is {known[0]}, which no model takes.", remedy=known[1])
    return Unreadable(
        f"{name} is not an image, audio or video that can be read.",
        remedy="Upload a JPEG, PNG or WebP image, a WAV or MP3 sound, or an MP4 or MOV video.",
    )
