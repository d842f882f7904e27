"""All facts of one uploaded image from one decode: a photo of 12 megapixels takes 0.1 s to decode."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from resources.media.faces import Face, faces_in
from resources.media.facts import ImageFacts
from resources.media.previews import glimpse, jpeg, opaque
from resources.media.probe import image_facts, open_image

_WORKING_SIDE = 960
"""Minimum pixels of the longer side of the copy that pictures and faces are taken from: twice what either needs."""

_REDUCIBLE = {"L", "RGB", "RGBA", "CMYK", "YCbCr"}


@dataclass(frozen=True)
class StillScan:
    """An image's facts, a JPEG and a tiny WebP of it, and its faces (largest first; boxes in the working copy)."""

    facts: ImageFacts
    thumbnail: bytes
    glimpse: bytes
    faces: tuple[Face, ...]


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
        working = opaque(_turned(_reduced(stored), facts.rotated))
    small = jpeg(working, thumbnail_bytes, longer_side)
    return StillScan(facts, small, glimpse(small), faces_in(working))


def _reduced(image: Image.Image) -> Image.Image:
    factor = max(image.size) // _WORKING_SIDE
    return image.reduce(factor) if factor > 1 and image.mode in _REDUCIBLE else image


def _turned(image: Image.Image, rotated: bool) -> Image.Image:
    return ImageOps.exif_transpose(image) if rotated else image
