"""Previews are small, show what they should, and never hold a whole video."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resources.media.errors import MediaError, Unreadable
from resources.media.frames import frame_before, pictures_at
from resources.media.previews import (
    INLINE_BYTES,
    animated_webp,
    contact_sheet,
    last_frame,
    poster,
    side_by_side,
    thumbnail,
)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def numbered(count: int, size: tuple[int, int] = (320, 180)) -> list[np.ndarray]:
    """Frames whose grey value tells their number."""
    return [np.full((size[1], size[0], 3), 20 + number * 4, np.uint8) for number in range(count)]


@pytest.mark.parametrize("file", ["portrait.png", "product.webp", "environment.jpg", "pet.jpg"])
def test_a_thumbnail_fits_inline(samples: Path, file: str) -> None:
    data = thumbnail(samples / file)
    assert len(data) <= INLINE_BYTES
    small = opened(data)
    with Image.open(samples / file) as large:
        assert small.format == "JPEG"
        assert small.width / small.height == pytest.approx(large.width / large.height, rel=0.02)
        assert max(small.size) >= 200


def test_the_hardest_picture_still_fits(tmp_path: Path) -> None:
    noise = np.random.default_rng(4).integers(0, 255, (1000, 1500, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    assert len(thumbnail(tmp_path / "noise.png")) <= INLINE_BYTES
    assert len(thumbnail(tmp_path / "noise.png", max_bytes=3000)) <= 3000
    with pytest.raises(MediaError, match="No picture fits into 10 bytes"):
        thumbnail(tmp_path / "noise.png", max_bytes=10)


def test_a_thumbnail_is_turned_and_transparency_becomes_white(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (400, 200), "red").save(tmp_path / "phone.jpg", exif=exif)
    assert opened(thumbnail(tmp_path / "phone.jpg")).size == (200, 400)
    Image.new("RGBA", (300, 300), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert opened(thumbnail(tmp_path / "clear.png")).convert("RGB").getpixel((10, 10)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["CMYK", "L", "P", "1", "I;16"])
def test_a_thumbnail_of_any_colour_mode(tmp_path: Path, samples: Path, mode: str) -> None:
    with Image.open(samples / "environment.jpg") as picture:
        picture.convert(mode if mode != "I;16" else "I").convert(mode).save(tmp_path / "picture.tiff")
    assert opened(thumbnail(tmp_path / "picture.tiff")).mode == "RGB"


def test_the_poster_of_a_video_that_fades_in_from_black(video: Callable[..., Path], samples: Path) -> None:
    with Image.open(samples / "environment.jpg") as picture:
        lit = np.asarray(picture.convert("RGB").resize((320, 180)))
    path = video(frames=[np.zeros_like(lit)] * 20 + [lit] * 8 + [np.full_like(lit, 255)] * 20)
    data = poster(path)
    assert len(data) <= INLINE_BYTES
    shown = np.asarray(opened(data).resize((320, 180)), dtype=float)
    assert np.abs(shown - lit).mean() < 12


def test_pictures_are_the_ones_shown_at_their_times(video: Callable[..., Path]) -> None:
    path = video(frames=numbered(48))
    for at, picture in pictures_at(path, [0, 0.5, 0.52, 1.0, 1.99, 99], 320):
        number = round((float(np.asarray(picture).mean()) - 20) / 4)
        assert number == round(at * 24), at
    assert [round(at * 24) for at, _ in pictures_at(path, [0, 0.5, 0.52, 1.0, 1.99, 99], 320)] == [
        0,
        12,
        12,
        24,
        47,
        47,
    ]


def test_pictures_far_apart_are_reached_by_seeking(video: Callable[..., Path]) -> None:
    path = video(frames=(np.full((90, 160, 3), 20 + number // 24 * 10, np.uint8) for number in range(24 * 20)))
    seen = [
        (at, round((float(np.asarray(picture).mean()) - 20) / 10))
        for at, picture in pictures_at(path, [0.5, 10.5, 19.5], 160)
    ]
    assert seen == [(0.5, 0), (10.5, 10), (19.5, 19)]


def test_a_contact_sheet_shows_nine_frames_in_order(video: Callable[..., Path]) -> None:
    sheet = np.asarray(opened(contact_sheet(video(frames=numbered(45)), tile=160)).convert("L"), dtype=float)
    height, width = sheet.shape
    greys = [
        sheet[int(height * (row + 0.75) / 3), int(width * (column + 0.5) / 3)]
        for row in range(3)
        for column in range(3)
    ]
    assert greys == sorted(greys)
    assert greys[8] - greys[0] == pytest.approx(8 * 5 * 4, abs=12)


def test_languages_side_by_side(video: Callable[..., Path]) -> None:
    sheet = opened(side_by_side([("en", video("en.mp4")), ("es", video("es.mp4"))], tile=160))
    assert sheet.width > 3 * 160
    assert sheet.height > 2 * 90


def test_the_animation_is_small_and_moves(video: Callable[..., Path]) -> None:
    data = animated_webp(video(frames=numbered(48)))
    animation = opened(data)
    assert (animation.format, animation.is_animated) == ("WEBP", True)
    assert animation.n_frames == 16
    assert animation.info["loop"] == 0
    assert len(data) < 100_000
    assert len(animated_webp(video(), max_bytes=30_000)) <= 30_000


def test_the_last_frame_is_exactly_the_last(video: Callable[..., Path], tmp_path: Path) -> None:
    path = last_frame(video(frames=numbered(48)), tmp_path / "last.png")
    with Image.open(path) as picture:
        assert (picture.format, picture.size) == ("PNG", (320, 180))
        assert float(np.asarray(picture).mean()) == pytest.approx(20 + 47 * 4, abs=1.5)


@pytest.mark.parametrize(("seconds", "number"), [(0.5, 11), (0.51, 12), (1.99, 47), (2.0, 47), (9.0, 47)])
def test_the_frame_before_a_moment(video: Callable[..., Path], tmp_path: Path, seconds: float, number: int) -> None:
    path = frame_before(video(frames=numbered(48)), tmp_path / "frame.png", seconds)
    with Image.open(path) as picture:
        assert (picture.format, picture.size) == ("PNG", (320, 180))
        assert float(np.asarray(picture).mean()) == pytest.approx(20 + number * 4, abs=1.5)


def test_a_file_that_is_not_a_video_is_refused(samples: Path, tmp_path: Path) -> None:
    for preview in (poster, contact_sheet, animated_webp):
        with pytest.raises(Unreadable, match="contains no video"):
            preview(samples / "voiceover-en.mp3")
    with pytest.raises(Unreadable, match="contains no video"):
        last_frame(samples / "voiceover-en.mp3", tmp_path / "last.png")
