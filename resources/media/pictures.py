"""Opens still images by their content, within limits, and says how they are shown.

Metadata never decides whether a picture can be opened: text and profiles that are too large are left out, and an
orientation is read, never written.
"""

import io
import struct
import warnings
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import ExifTags, Image

from resources.media.containers import head, is_text
from resources.media.errors import Unreadable
from resources.media.facts import ImageFacts
from resources.media.limits import MAX_PIXELS, MAX_REDUCED_PIXELS

_IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF", "JPEG2000", "ICO", "PPM")
# Pillow's other readers are excluded on purpose: some (EPS) start other programs.

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What shows a picture upright, by its EXIF orientation."""
_SIDEWAYS = {5, 6, 7, 8}

_ANIMATES = {"GIF", "PNG", "WEBP", "AVIF"}
"""Formats whose further pictures are an animation. In the others they are pages, sizes, depth maps or previews."""

_DAMAGED = (Exception,)
"""Whatever Pillow's readers raise on a file of a stranger: beside their own errors these were KeyError, TypeError,
AttributeError and RuntimeError. Memory that ran out is not damage."""

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_TEXT = {b"tEXt", b"zTXt", b"iTXt", b"iCCP"}

Image.MAX_IMAGE_PIXELS = None  # `open_image` compares the header with limits of its own
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
pillow_heif.register_heif_opener(thumbnails=False)
pillow_heif.options.DECODE_THREADS = 1

HEAVY_METADATA = "text or a colour profile of more than 1 MB"
BROKEN_EXIF = "EXIF data that cannot be read"
TOO_MANY_PIXELS = f"more than {MAX_PIXELS // 1_000_000} megapixels"


def still_type(start: bytes) -> str | None:
    """Return the content type of a still image by its first bytes; None if it is none."""
    if start[4:8] == b"ftyp":
        brand = start[8:12]
        if brand in {b"avif", b"avis"}:
            return "image/avif"
        return "image/heic" if brand in {b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"} else None
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    for magic, content_type in (
        (b"\xff\xd8\xff", "image/jpeg"),
        (_PNG, "image/png"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"II*\x00", "image/tiff"),
        (b"MM\x00*", "image/tiff"),
        (b"II+\x00", "image/tiff"),
        (b"MM\x00+", "image/tiff"),
        (b"\x00\x00\x00\x0cjP  ", "image/jp2"),
        (b"\xff\x4f\xff\x51", "image/jp2"),
    ):
        if start.startswith(magic):
            return content_type
    # Two letters alone would also be text; a bitmap's header continues with its own size and four zero bytes.
    return "image/bmp" if start[:2] == b"BM" and start[6:10] == bytes(4) else None


_EXPORTS = (
    (b"8BPS", "a Photoshop document", "Export it as PNG or JPEG (File, Export As)"),
    (b"%PDF", "a PDF", "Export the page as PNG, for example in the preview of your system"),
    (b"%!PS", "a PostScript drawing", "Export it as PNG"),
    (b"FUJIFILMCCD-RAW", "a camera's RAW file", "Export it as JPEG from your photo program"),
    (b"IIRO", "a camera's RAW file", "Export it as JPEG from your photo program"),
    (b"IIU\x00", "a camera's RAW file", "Export it as JPEG from your photo program"),
    (b"\xff\x0a", "a JPEG XL image", "Export it as JPEG or PNG"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL image", "Export it as JPEG or PNG"),
    (b"\xd7\xcd\xc6\x9a", "a drawing", "Export it as PNG"),
)


def what_to_export(start: bytes) -> tuple[str, str] | None:
    """Return what a file is that stays refused, and what to export from it; None if its first bytes do not tell."""
    for magic, what, remedy in _EXPORTS:
        if start.startswith(magic):
            return what, f"{remedy} and upload that."
    if start[4:12] == b"ftypcrx ":
        return "a camera's RAW file", "Export it as JPEG from your photo program and upload that."
    if b"<svg" in start[:2048].lower():
        return "an SVG drawing", "Export it as PNG, 2000 pixels wide, and upload that."
    return None


def open_image(path: Path, name: str = "", *, reduced: int = 0) -> Image.Image:
    """Return an image decoded, still as stored (not rotated).

    Args:
        path: the local file.
        name: the file's name for people; the path's own name if empty.
        reduced: a JPEG may be decoded at a part of its size whose longer side has at least so many pixels; 0 decodes it
            whole. Its ``stored_size`` in `image.info` is that of the file.

    Raises:
        Unreadable: not an image, cut short, damaged, or larger than ``MAX_PIXELS``.
        MemoryError: there is not enough of it.
    """
    name = name or path.name
    image = _opened(path, name)
    pixels = image.width * image.height
    image.info["stored_size"] = image.size
    if pixels > (MAX_REDUCED_PIXELS if _shrinks(image) else MAX_PIXELS):
        image.close()
        raise Unreadable(
            f"{name} has more than {MAX_PIXELS // 1_000_000} megapixels ({pixels / 1e6:.0f}), so it was not opened.",
            remedy="Scale the image down (4096 px on its longer side is plenty) and upload it again.",
        )
    if image.format in {"JPEG", "MPO"} and image.info.get("progressive"):
        _check_scans(path, name)
    if _shrinks(image) and (reduced or pixels > MAX_PIXELS):
        side = reduced or 4096
        image.draft(None, (side, side))
    try:
        image.load()
    except MemoryError:
        raise
    except _DAMAGED as error:
        raise Unreadable(
            f"{name} is damaged or cut short: its {image.format} data ends early or is broken.",
            remedy="Export or upload the image again; the copy is incomplete.",
        ) from error
    return image


MAX_SCANS = 100
"""Most scans of a progressive JPEG: encoders write about ten, and a decoder goes over the whole picture for each."""


def _check_scans(path: Path, name: str) -> None:
    """Refuse a picture of very many scans, which takes minutes to open.

    Raises:
        Unreadable: it has more than `MAX_SCANS`.
    """
    scans = path.read_bytes().count(b"\xff\xda")  # within a scan, 0xff is followed by 0 or a restart marker
    if scans > MAX_SCANS:
        raise Unreadable(
            f"{name} is drawn in {scans:,} scans; at most {MAX_SCANS} are read, since each costs a whole picture.",
            remedy="Export it again as an ordinary JPEG.",
        )


def _opened(path: Path, name: str) -> Image.Image:
    try:
        return Image.open(path, formats=_IMAGE_FORMATS)
    except MemoryError:
        raise
    except _DAMAGED as error:
        if (light := _without_text(path)) is not None:
            image = _light_png(light, name)
            image.info["rewrite"] = HEAVY_METADATA
            return image
        raise _no_image(path, name) from (error if isinstance(error, Exception) else None)


def _light_png(data: bytes, name: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=("PNG",))
    except MemoryError:
        raise
    except _DAMAGED as error:
        raise Unreadable(
            f"{name} is damaged: its PNG header is broken.", remedy="Export or upload the image again."
        ) from error


def _without_text(path: Path) -> bytes | None:
    """Return a PNG without its text and colour profile, which Pillow does not open if they are large; None if not a PNG."""
    data = path.read_bytes() if head(path, 8) == _PNG else b""
    if not data:
        return None
    kept, at = [_PNG], len(_PNG)
    while at + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        if kind not in _PNG_TEXT:
            kept.append(data[at : at + 12 + length])
        at += 12 + length
    return b"".join(kept)


def _no_image(path: Path, name: str) -> Unreadable:
    start = head(path)
    if not start:
        return Unreadable(f"{name} is empty.", remedy="Upload the image again.")
    if (known := what_to_export(start)) is not None:
        return Unreadable(f"{name} is {known[0]}, which is not an image for a model.", remedy=known[1])
    if (brand := still_type(start)) in {"image/heic", "image/avif"}:
        what = "a HEIC" if brand == "image/heic" else "an AVIF"
        return Unreadable(f"{name} is {what} photo that is damaged or cut short.", remedy="Upload the image again.")
    if is_text(start):
        return Unreadable(f"{name} is text, not an image.", remedy="Upload a JPEG, PNG or WebP image.")
    return Unreadable(f"{name} is not an image that can be read.", remedy="Upload a JPEG, PNG or WebP image.")


def _shrinks(image: Image.Image) -> bool:
    return image.format in {"JPEG", "MPO"} and image.mode in {"L", "RGB", "YCbCr"}


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; a broken EXIF block counts as upright."""
    try:
        found = int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except MemoryError:
        raise
    except _DAMAGED:
        return 1
    return found if found in _TURNS else 1


def upright(image: Image.Image, orientation: int | None = None) -> Image.Image:
    """Return a picture as displayed; its metadata is not written anew."""
    turn = _TURNS.get(orientation_of(image) if orientation is None else orientation)
    return image if turn is None else image.transpose(turn)


def image_facts(image: Image.Image, path: Path) -> ImageFacts:
    """Return facts about an image that `open_image` decoded from the file at ``path``."""
    orientation = orientation_of(image)
    width, height = image.info.get("stored_size", image.size)
    kind = "JPEG" if image.format == "MPO" else str(image.format)
    return ImageFacts(
        width=height if orientation in _SIDEWAYS else width,
        height=width if orientation in _SIDEWAYS else height,
        format=kind,
        mode=image.mode,
        animated=kind in _ANIMATES and bool(getattr(image, "is_animated", False)),
        size_bytes=path.stat().st_size,
        rotated=orientation != 1,
        transparent=is_transparent(image),
        rewrite=_rewrite(image, width * height, orientation),
    )


def _rewrite(image: Image.Image, pixels: int, orientation: int) -> str:
    if pixels > MAX_PIXELS:
        return TOO_MANY_PIXELS
    if "rewrite" in image.info:
        return str(image.info["rewrite"])
    return BROKEN_EXIF if orientation != 1 and _exif_is_broken(image) else ""


def _exif_is_broken(image: Image.Image) -> bool:
    try:
        image.getexif().tobytes()
    except (*_DAMAGED,):
        return True
    return False


def is_transparent(image: Image.Image) -> bool:
    """Return True if a pixel lets the background through; an alpha channel alone is not transparency."""
    if not image.has_transparency_data:
        return False
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"}:
        return bool(np.asarray(image.getchannel("A").getextrema())[0] < 255)
    key = image.info.get("transparency")
    if image.mode == "P" and isinstance(key, bytes | int):
        used = np.bincount(np.asarray(image).ravel(), minlength=256) > 0
        clear = [key] if isinstance(key, int) else [place for place, alpha in enumerate(key) if alpha < 255]
        return any(bool(used[place]) for place in clear if place < 256)
    return True


def opaque(image: Image.Image, background: str = "white") -> Image.Image:
    """Return an image as RGB of 8 bits: transparency shows the background, deeper greys are scaled to 8 bits."""
    if image.mode.startswith(("I", "F")):
        return _grey(image).convert("RGB")
    if image.has_transparency_data:
        layered = image if image.mode == "RGBA" else image.convert("RGBA")
        flat = Image.new("RGB", image.size, background)
        flat.paste(layered, mask=layered.getchannel("A"))
        return flat
    return image.convert("RGB")


_TWELVE_BITS = 4096


def _grey(image: Image.Image) -> Image.Image:
    """Return deep greys in 8 bits: by the whole range of 16 bits, or by the brightest pixel if all use a small part of it."""
    values = np.asarray(image)
    brightest = float(values.max(initial=0))
    if image.mode == "F":
        scale = 255.0 if brightest <= 1 else 255 / brightest
    elif brightest <= 255 or brightest >= 65536:
        scale = min(1.0, 255 / max(1.0, brightest))
    else:
        scale = 255 / brightest if brightest < _TWELVE_BITS else 255 / 65535
    shown = np.empty(values.shape[:2], dtype=np.uint8)
    for row in range(0, values.shape[0], 256):  # in strips: a copy in floats would take eight times the picture
        strip = values[row : row + 256].astype(np.float32) * scale
        shown[row : row + 256] = np.clip(np.nan_to_num(strip), 0, 255).astype(np.uint8)
    return Image.fromarray(shown)
