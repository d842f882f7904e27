"""The pictures of a clip come from the decode that measures it."""

import asyncio
import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image

from i2v_assets.pipeline import postprocess
from i2v_assets.pipeline.postprocess import Postprocessor
from resources.media import clip_pictures
from resources.media.clip_pictures import ClipPictures, draw_pictures
from resources.media.limits import WorkLimits
from resources.media.pool import MediaPool
from resources.media.quality import measuring
from resources.media.quality.measuring import measure, measure_and_draw
from resources.media.quality.model import Expectation

Make = Callable[..., Path]


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def numbered(count: int, size: tuple[int, int] = (320, 180)) -> list[np.ndarray]:
    """Frames whose grey value tells their number."""
    return [np.full((size[1], size[0], 3), 20 + number * 4, np.uint8) for number in range(count)]


def tiles(sheet: bytes) -> list[float]:
    """The grey values of a contact sheet's tiles."""
    shown = np.asarray(opened(sheet).convert("L"), dtype=float)
    height, width = shown.shape
    return [
        shown[int(height * (row + 0.75) / 3), int(width * (column + 0.5) / 3)]
        for row in range(3)
        for column in range(3)
    ]


@pytest.fixture
def asked() -> Expectation:
    return Expectation(duration=2, sound=True)


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second decode for the pictures is an error."""

    def again(_: Path) -> ClipPictures:
        raise AssertionError("decoded again")

    monkeypatch.setattr(measuring, "draw_pictures", again)


@pytest.mark.usefixtures("once")
def test_one_decode_gives_all_pictures_and_the_same_figures(video: Make, asked: Expectation) -> None:
    path = video(frames=numbered(48, (640, 360)))
    found = measure_and_draw(path, asked)
    assert found.why_none == ""
    assert found.measures.model_copy(update={"cpu_seconds": 0}) == measure(path, asked).model_copy(
        update={"cpu_seconds": 0}
    )
    assert found.pictures is not None
    assert (opened(found.pictures.poster).format, opened(found.pictures.poster).size) == ("JPEG", (640, 360))
    assert (opened(found.pictures.inline_poster).format, opened(found.pictures.inline_poster).size) == (
        "WEBP",
        (320, 180),
    )
    assert len(found.pictures.inline_poster) <= clip_pictures.INLINE_POSTER_BYTES
    assert opened(found.pictures.glimpse).format == "WEBP"
    greys = tiles(found.pictures.contact_sheet)
    assert greys == sorted(greys)
    assert greys[8] - greys[0] == pytest.approx(8 * 48 / 9 * 4, abs=20)
    animation = opened(found.pictures.animation)
    assert (animation.format, animation.n_frames, animation.info["loop"]) == ("WEBP", 16, 0)
    animation.seek(15)
    assert np.asarray(animation.convert("L")).mean() == pytest.approx(20 + 46 * 4, abs=6)


@pytest.mark.usefixtures("once")
def test_the_poster_is_the_frame_with_the_most_contrast(video: Make, samples: Path, asked: Expectation) -> None:
    with Image.open(samples / "environment.jpg") as picture:
        lit = np.asarray(picture.convert("RGB").resize((320, 180)))
    path = video(frames=[np.zeros_like(lit)] * 20 + [lit] * 8 + [np.full_like(lit, 255)] * 20)
    pictures = measure_and_draw(path, asked).pictures
    assert pictures is not None
    for data in (pictures.poster, pictures.inline_poster):
        assert np.abs(np.asarray(opened(data).resize((320, 180)), dtype=float) - lit).mean() < 12


@pytest.mark.usefixtures("once")
def test_colours_are_those_of_the_video_whatever_its_colour_space(tmp_path: Path, asked: Expectation) -> None:
    path = tmp_path / "bt709.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"colorspace": "bt709", "crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for number in range(48):
            pixels = np.full((180, 320, 3), (200, 60, 20), np.uint8)
            pixels[:, : number * 2] = (20, 160, 90)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    pictures = measure_and_draw(path, asked).pictures
    assert pictures is not None
    for data in (pictures.poster, pictures.inline_poster, pictures.animation):
        assert opened(data).convert("RGB").getpixel((310, 90)) == pytest.approx((200, 60, 20), abs=12)


def test_a_turned_video_is_shown_upright(video: Make, asked: Expectation, tmp_path: Path) -> None:
    lit = np.zeros((180, 320, 3), np.uint8)
    lit[:90] = 255  # the upper half as stored
    stored, turned = video(frames=[lit] * 48), tmp_path / "turned.mp4"
    _turn(stored, turned)
    pictures = measure_and_draw(turned, asked).pictures
    assert pictures is not None
    for data in (pictures.poster, pictures.inline_poster, pictures.animation):
        shown = np.asarray(opened(data).convert("L"), dtype=float)
        assert shown.shape[0] > shown.shape[1]
        left, right = shown[:, : shown.shape[1] // 3].mean(), shown[:, -(shown.shape[1] // 3) :].mean()
        assert (left, right) == pytest.approx((0, 255), abs=40)


def _turn(source: Path, target: Path) -> None:
    """Write a quarter turn clockwise into the matrix of the first track (the picture's)."""
    raw = bytearray(source.read_bytes())
    straight = b"".join(value.to_bytes(4, "big") for value in (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000))
    at = raw.index(straight, raw.index(b"tkhd"))
    turned = (0, 0x10000, 0, 0xFFFF0000, 0, 0, 180 << 16, 0, 0x40000000)
    raw[at : at + 36] = b"".join(value.to_bytes(4, "big") for value in turned)
    target.write_bytes(bytes(raw))


def test_a_header_that_lies_about_the_length_moves_no_picture(video: Make, asked: Expectation) -> None:
    path = video(frames=numbered(48), sound=None)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"mdhd") + 4 + 16
    raw[at : at + 4] = (int.from_bytes(raw[at : at + 4], "big") * 3).to_bytes(4, "big")
    path.write_bytes(bytes(raw))
    pictures = measure_and_draw(path, asked).pictures
    assert pictures is not None
    greys = tiles(pictures.contact_sheet)
    assert greys[8] - greys[0] == pytest.approx(8 * 48 / 9 * 4, abs=20)


def test_a_video_without_an_index_in_its_header(tmp_path: Path, asked: Expectation, samples: Path) -> None:
    with Image.open(samples / "environment.jpg") as picture:
        shown = np.asarray(picture.convert("RGB").resize((320, 180)))
    path = tmp_path / "x.webm"
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for _ in range(48):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        container.mux(stream.encode(None))
    found = measure_and_draw(path, asked)
    assert found.pictures is not None
    assert opened(found.pictures.animation).n_frames == 16
    assert found.measures.seconds == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize("rate", [24, 30])
def test_opening_by_the_header_changes_no_figure(
    tmp_path: Path, rate: int, zooming: Callable[..., list[np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames that are stored in another order than shown come out in theirs."""
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"bf": "3", "b_strategy": "0"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for pixels in zooming("pet.jpg", 60):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    assert measuring.header_is_enough(path)
    asked = Expectation(duration=2)
    by_header = measure(path, asked)
    monkeypatch.setattr(measuring, "header_is_enough", lambda _: False)
    assert by_header.decodes
    assert by_header.model_copy(update={"cpu_seconds": 0}) == measure(path, asked).model_copy(update={"cpu_seconds": 0})


def test_what_goes_wrong_with_a_picture_costs_no_figure(
    video: Make, asked: Expectation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(clip_pictures, "animate", broken)
    found = measure_and_draw(video(), asked)
    assert found.measures.decodes
    assert (found.pictures, found.why_none) == (None, "a bug in i2v-assets: MemoryError")


@pytest.mark.parametrize("content", [b"", bytes(2000)])
def test_what_is_not_a_video_has_figures_and_no_pictures(tmp_path: Path, asked: Expectation, content: bytes) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(content)
    found = measure_and_draw(path, asked)
    assert (found.measures.decodes, found.pictures) == (False, None)
    assert found.why_none.endswith(".")


def test_pictures_alone(video: Make) -> None:
    assert opened(draw_pictures(video()).animation).n_frames == 16


def test_a_clip_whose_pictures_take_too_much_is_measured_without_them(
    video: Make, asked: Expectation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is paid for, so nothing about a picture holds it."""
    real = postprocess.measuring_limits

    def tiny(video: Path, expectation: Expectation, *, draws: bool = False) -> WorkLimits:
        return WorkLimits("measure", 20.0, memory_bytes=1) if draws else real(video, expectation)

    monkeypatch.setattr(postprocess, "measuring_limits", tiny)
    with MediaPool(workers=1, quick_workers=0) as pool:
        context: Any = SimpleNamespace(pool=pool, settings=SimpleNamespace(previews=True, quality={}))
        take: Any = SimpleNamespace(plan=SimpleNamespace(clip="pet"))
        found = asyncio.run(Postprocessor(context)._from_one_decode(take, video(), asked))
    assert found.measures.decodes
    assert found.pictures is None
