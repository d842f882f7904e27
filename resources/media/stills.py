"""All facts of one uploaded image from one decode: a photo of 12 megapixels takes 0.1 s to decode."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from resources.media.faces import Face, faces_in, is_portrait
from resources.media.facts import ImageFacts
from resources.media.graphic import looks_graphic
from resources.media.pictures import image_facts, opaque, open_image, orientation_of, upright
from resources.media.previews import glimpse, jpeg

_WORKING_SIDE = 960
"""Minimum pixels of the longer side of the copy that pictures and faces are taken from: twice what either needs."""

_REDUCIBLE = {"L", "LA", "RGB", "RGBA", "CMYK", "YCbCr"}
_PALETTES = {"P", "PA", "1", "I;16", "I;16L", "I;16B", "I", "F"}


@dataclass(frozen=True)
class StillScan:
    """An image's facts, a JPEG and a tiny WebP of it, and its faces (largest first; boxes in the working copy)."""

    facts: ImageFacts
    thumbnail: bytes
    glimpse: bytes
    faces: tuple[Face, ...]
    portrait: bool = False


def scan_image(path: Path, name: str, thumbnail_bytes: int, longer_side: int) -> StillScan:
    """Return the facts, thumbnails and faces of an image, decoding it once.

    Args:
        path: the local file.
        name: the file's name for people.
        thumbnail_bytes: the thumbnail's maximum size.
        longer_side: the thumbnail's longer side in pixels.

    Raises:
        Unreadable: not an image, cut short, damaged, or too large to open.
        MediaError: ``thumbnail_bytes`` is too small for any picture.
    """
    with open_image(path, name) as stored:
        facts = image_facts(stored, path)
        working = opaque(upright(_reduced(stored), orientation_of(stored)))
    small = jpeg(working, thumbnail_bytes, longer_side)
    faces = faces_in(working)
    facts = facts.model_copy(update={"graphic": looks_graphic(working)})
    return StillScan(facts, small, glimpse(small), faces, is_portrait(faces))


def _reduced(image: Image.Image) -> Image.Image:
    factor = max(image.size) // _WORKING_SIDE
    if factor <= 1:
        return image
    if image.mode in _REDUCIBLE:
        return image.reduce(factor)
    if image.mode in _PALETTES:  # every pixel is a name there, which cannot be averaged: the nearest is taken
        return image.resize((image.width // factor, image.height // factor), Image.Resampling.NEAREST)
    return image
