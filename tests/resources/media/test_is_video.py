"""What counts as a video: two frames that can be decoded, however the file is called."""

import io
import math
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from resources.media.is_video import examine


def film(path: Path, frames: int, form: str = "mp4", codec: str = "libx264", flags: str = "faststart") -> Path:
    options = {"movflags": flags} if form == "mp4" else {}
    with av.open(str(path), "w", format=form, options=options) as opened:
        stream = opened.add_stream(codec, rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            picture = np.full((48, 64, 3), number * 5 % 255, np.uint8)
            opened.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        opened.mux(stream.encode(None))
    return path


def sound(path: Path, *, cover: bool) -> Path:
    with av.open(str(path), "w", format="mp4") as opened:
        stream = opened.add_stream("aac", rate=24_000, layout="mono")
        still = opened.add_stream("mjpeg", rate=1) if cover else None
        if still is not None:
            still.width, still.height, still.pix_fmt = 64, 48, "yuvj420p"
        wave = np.array([[math.sin(number / 20) for number in range(24_000)]], np.float32)
        frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        frame.rate = 24_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            opened.mux(packet)
        if still is not None:
            picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            for packet in [*still.encode(picture.reformat(format="yuvj420p")), *still.encode(None)]:
                opened.mux(packet)
    return path


def picture(form: str, **more: object) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (40, 30)).save(data, form, **more)
    return data.getvalue()


@pytest.mark.parametrize("frames", [2, 30])
@pytest.mark.parametrize(
    ("form", "codec"), [("mp4", "libx264"), ("matroska", "libx264"), ("mpegts", "libx264"), ("mp4", "mpeg4")]
)
def test_two_frames_are_a_video(tmp_path: Path, frames: int, form: str, codec: str) -> None:
    found = examine(film(tmp_path / "x.bin", frames, form, codec))
    assert found.is_video
    assert found.pixels == 64 * 48


def test_one_frame_is_a_picture(tmp_path: Path) -> None:
    assert not examine(film(tmp_path / "x.mp4", 1)).is_video


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF"])
def test_a_picture_is_none(tmp_path: Path, form: str) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(picture(form))
    found = examine(path)
    assert not found.is_video
    assert "picture" in found.what
    assert found.pixels == 1200


@pytest.mark.parametrize("cover", [False, True])
def test_sound_is_none(tmp_path: Path, cover: bool) -> None:
    assert not examine(sound(tmp_path / "x.mp4", cover=cover)).is_video


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x00", b"<html>no</html>", b'{"error": "no"}', b"#EXTM3U\n#EXTINF:1,\nhttps://example.org/a.ts\n",
        b"\x00\x00\x00\x18ftypisom<html>" + bytes(5000), b"ffconcat version 1.0\nfile /etc/passwd\n", bytes(100_000),
        b"\x1a\x45\xdf\xa3" + bytes(1000), b"PK\x03\x04" + bytes(1000), b"%PDF-1.7", b"\x00\x00\x00\x08moov",
    ],
)  # fmt: skip
def test_other_bytes_are_none(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(data)
    found = examine(path)
    assert not found.is_video
    assert found.what


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
def test_a_broken_tail_is_still_a_video_if_it_can_be_played(tmp_path: Path, share: float) -> None:
    whole = film(tmp_path / "x.mp4", 60).read_bytes()
    index = whole.find(b"mdat")
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: index + int((len(whole) - index) * share)])
    assert examine(path).is_video


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_half_a_file_whose_index_came_last_cannot_be_played(tmp_path: Path, share: float) -> None:
    whole = film(tmp_path / "x.mp4", 60, flags="use_metadata_tags").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: int(whole.find(b"moov") * share)])
    assert not examine(path).is_video


def test_an_animated_picture_moves(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    data = io.BytesIO()
    frames = [Image.new("RGB", (40, 30), (number * 80, 0, 0)) for number in range(3)]
    frames[0].save(data, "GIF", save_all=True, append_images=frames[1:])
    path.write_bytes(data.getvalue())
    assert examine(path).is_video
