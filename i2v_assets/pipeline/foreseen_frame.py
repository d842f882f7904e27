"""What is known of the last frame of a shot before the shot is made: it is a PNG of the size that the shot is planned in."""

import hashlib
from collections.abc import Sequence

from i2v_assets.pipeline.read_media import ReadFile
from i2v_assets.planning.plan import Plan
from resources.media.facts import ImageFacts
from resources.schemas.inputs import Medium, MediumKind
from resources.schemas.limits import SHORT_SIDES
from resources.storage import keys

Size = tuple[int, int]
"""Width and height in pixels."""

USUAL_SIZE: Size = 1280, 720
"""Of a shot of which nothing is known: what most endpoints make."""


def foreseen_frame(name: str, size: Size) -> ReadFile:
    """Return the last frame of a shot that is not made yet, as far as it is known."""
    width, height = size
    digest = hashlib.sha256(name.encode()).hexdigest()
    size_bytes = width * height  # a byte a pixel: a PNG of a photo has one to two
    key = keys.first_frame_key(digest, "end")
    facts = ImageFacts(width=width, height=height, format="PNG", mode="RGB", animated=False, size_bytes=size_bytes)
    medium = Medium(kind=MediumKind.IMAGE, sha256=digest, key=key, size_bytes=size_bytes, content_type="image/png")
    return ReadFile(key, name, medium, facts, foreseen=True)


def frame_size(plan: Plan, files: Sequence[ReadFile]) -> Size:
    """Return the size that the frames of a planned shot will have: of its tier, in its aspect ratio or that of its image."""
    short = SHORT_SIDES.get(plan.inputs.resolution, USUAL_SIZE[1])
    shape = _shape(plan.inputs.aspect_ratio)
    if shape is None:
        facts = next((file.facts for file in files if isinstance(file.facts, ImageFacts)), None)
        width, height = (facts.width, facts.height) if facts is not None else USUAL_SIZE
        shape = width / height
    return (round(short * shape), short) if shape >= 1 else (short, round(short / shape))


def _shape(aspect_ratio: str | None) -> float | None:
    width, _, height = (aspect_ratio or "").partition(":")
    try:
        return float(width) / float(height)
    except (ValueError, ZeroDivisionError):
        return None
