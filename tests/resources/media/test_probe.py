"""Facts come from the content: each way in which a file can lie is tried with a real file."""

import hashlib
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from resources.errors import Verdict
from resources.media.errors import MediaError, Unreadable
from resources.media.probe import MAX_PIXELS, probe_audio, probe_image, probe_video, sha256_file, sniff, video_size
from resources.schemas.inputs import MediumKind


def picture(mode: str = "RGB", size: tuple[int, int] = (640, 360)) -> Image.Image:
    noise = np.random.default_rng(1).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(noise).convert(mode)


@pytest.mark.parametrize(
    ("file", "width", "height", "format_"),
    [
        ("portrait.png", 512, 512, "PNG"),
        ("product.webp", 600, 400, "WEBP"),
        ("environment.jpg", 640, 427, "JPEG"),
        ("pet.jpg", 451, 300, "JPEG"),
    ],
)
def test_the_samples_images(samples: Path, file: str, width: int, height: int, format_: str) -> None:
    facts = probe_image(samples / file)
    assert (facts.width, facts.height, facts.format) == (width, height, format_)
    assert (facts.mode, facts.animated, facts.rotated) == ("RGB", False, False)
    assert facts.size_bytes == (samples / file).stat().st_size


@pytest.mark.parametrize(
    ("orientation", "size", "rotated"),
    [(1, (640, 360), False), (3, (640, 360), True), (6, (360, 640), True), (8, (360, 640), True)],
)
def test_a_phone_photo_is_measured_as_displayed(
    tmp_path: Path, orientation: int, size: tuple[int, int], rotated: bool
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture().save(tmp_path / "phone.jpg", exif=exif)
    facts = probe_image(tmp_path / "phone.jpg")
    assert (facts.width, facts.height) == size
    assert facts.rotated is rotated


def test_cmyk_is_reported(tmp_path: Path) -> None:
    picture("CMYK").save(tmp_path / "print.jpg")
    assert probe_image(tmp_path / "print.jpg").mode == "CMYK"


@pytest.mark.parametrize("format_", ["WEBP", "PNG", "GIF"])
def test_an_animation_is_reported(tmp_path: Path, format_: str) -> None:
    path = tmp_path / "moves.jpg"
    picture().save(path, format=format_, save_all=True, append_images=[picture().rotate(90), picture().rotate(180)])
    facts = probe_image(path)
    assert facts.animated
    assert facts.format == format_


def test_a_phone_picture_with_a_second_one_behind_it_is_a_still_jpeg(tmp_path: Path) -> None:
    picture().save(tmp_path / "depth.jpg", format="MPO", save_all=True, append_images=[picture()])
    facts = probe_image(tmp_path / "depth.jpg")
    assert (facts.format, facts.animated) == ("JPEG", False)


def test_the_format_is_the_contents(tmp_path: Path) -> None:
    picture().save(tmp_path / "named.jpg", format="PNG")
    assert probe_image(tmp_path / "named.jpg").format == "PNG"
    assert sniff(tmp_path / "named.jpg") == (MediumKind.IMAGE, "image/png")


def test_a_text_named_jpg(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_text("Grüße, this is no image")
    with pytest.raises(Unreadable, match=r"uploads/x\.jpg is text, not an image") as caught:
        probe_image(path, "uploads/x.jpg")
    assert "JPEG" in caught.value.remedy
    assert caught.value.verdict is Verdict.FINAL
    assert isinstance(caught.value, MediaError)
    assert sniff(path) is None


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.png"
    path.touch()
    for probe in (probe_image, probe_audio, probe_video):
        with pytest.raises(Unreadable, match="empty"):
            probe(path)
    assert sniff(path) is None


def test_a_heic_photo_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(500))
    assert sniff(path) == (MediumKind.IMAGE, "image/heic")
    with pytest.raises(Unreadable, match="HEIC"):
        probe_image(path)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kept", [0.5, 0.97])
def test_a_truncated_image(tmp_path: Path, format_: str, kept: float) -> None:
    whole = io.BytesIO()
    picture().save(whole, format=format_)
    path = tmp_path / "cut.jpg"
    path.write_bytes(whole.getvalue()[: int(len(whole.getvalue()) * kept)])
    with pytest.raises(Unreadable, match="cut"):
        probe_image(path)


@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    side = int(MAX_PIXELS**0.5) + 10
    for name, size in (("one.png", (side, side)), ("huge.png", (side * 4, side * 4))):
        path = tmp_path / name
        Image.new("1", (8, 8)).save(path)
        raw = bytearray(path.read_bytes())
        raw[16:24] = struct.pack(">II", *size)
        raw[29:33] = struct.pack(">I", zlib.crc32(bytes(raw[12:29])))
        path.write_bytes(bytes(raw))
        with pytest.raises(Unreadable, match="megapixels"):
            probe_image(path)


@pytest.mark.parametrize(
    ("file", "seconds", "codec", "container"),
    [
        ("voiceover-en.mp3", 8.312, "mp3", "mp3"),
        ("voiceover-de.wav", 8.984, "pcm_s16le", "wav"),
        ("ambience.mp3", 5.0, "mp3", "mp3"),
    ],
)
def test_the_samples_sounds(samples: Path, file: str, seconds: float, codec: str, container: str) -> None:
    facts = probe_audio(samples / file)
    assert facts.seconds == pytest.approx(seconds, abs=0.001)
    assert (facts.codec, facts.container, facts.channels, facts.longer) == (codec, container, 1, False)


def test_an_mp3_of_variable_rate_without_a_header_is_timed_by_decoding(tmp_path: Path) -> None:
    """Six seconds at a low bit rate, two at a high one: the first frames say nothing about the rest."""
    path = tmp_path / "vbr.mp3"
    for seconds, rate in ((6, 32_000), (2, 256_000)):
        with av.open(str(tmp_path / "part.mp3"), "w", options={"write_xing": "0", "id3v2_version": "0"}) as container:
            stream = container.add_stream("libmp3lame", rate=44_100, layout="mono", bit_rate=rate)
            noise = np.random.default_rng(2).integers(-9000, 9000, (1, 44_100 * seconds), dtype=np.int16)
            frame = av.AudioFrame.from_ndarray(noise, format="s16p", layout="mono")
            frame.sample_rate = 44_100
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        with path.open("ab") as file:
            file.write((tmp_path / "part.mp3").read_bytes())
    with av.open(str(path)) as container:
        header = float(container.duration or 0) / av.time_base
    facts = probe_audio(path)
    assert abs(header - 8) > 0.5, "the header tells the truth here: this test would show nothing"
    assert facts.seconds == pytest.approx(8, abs=0.1)


def test_a_wav_whose_header_lies_about_its_length(tmp_path: Path, samples: Path) -> None:
    raw = bytearray((samples / "voiceover-de.wav").read_bytes())
    at = raw.index(b"data") + 4
    raw[at : at + 4] = struct.pack("<I", 0x7FFFFFF0)
    path = tmp_path / "lies.wav"
    path.write_bytes(bytes(raw))
    assert probe_audio(path).seconds == pytest.approx(8.984, abs=0.01)


def test_decoding_for_a_length_is_bounded(monkeypatch: pytest.MonkeyPatch, samples: Path) -> None:
    monkeypatch.setattr("resources.media.probe.MAX_AUDIO_SECONDS", 2.0)
    facts = probe_audio(samples / "voiceover-en.mp3")
    assert facts.longer
    assert 2.0 <= facts.seconds < 2.5


def test_the_sample_video(samples: Path) -> None:
    facts = probe_video(samples / "scene.mp4")
    assert (facts.width, facts.height, facts.frames) == (640, 360, 96)
    assert (facts.seconds, facts.fps) == (pytest.approx(4), pytest.approx(24))
    assert (facts.video_codec, facts.audio_codec, facts.container) == ("h264", None, "mp4")
    assert sniff(samples / "scene.mp4") == (MediumKind.VIDEO, "video/mp4")


def test_a_video_with_sound(video: Callable[..., Path]) -> None:
    facts = probe_video(video())
    assert facts.audio_codec == "aac"
    assert facts.seconds == pytest.approx(2, abs=0.001)


def test_the_size_that_a_header_says(video: Callable[..., Path], samples: Path) -> None:
    for path in (video(), samples / "scene.mp4"):
        facts = probe_video(path)
        assert video_size(path) == (facts.width, facts.height, pytest.approx(facts.seconds, abs=0.05))
    with pytest.raises(Unreadable, match="contains no video"):
        video_size(samples / "voiceover-en.mp3")


def test_a_turned_phone_video_is_measured_as_displayed(video: Callable[..., Path], tmp_path: Path) -> None:
    raw = bytearray(video().read_bytes())
    upright = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    turned = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    at = raw.index(upright, raw.index(b"tkhd"))
    raw[at : at + len(turned)] = turned
    path = tmp_path / "phone.mp4"
    path.write_bytes(bytes(raw))
    facts = probe_video(path)
    assert (facts.width, facts.height) == (180, 320)
    assert facts.rotation in {90, 270}


def test_a_video_cut_short_and_a_sound_without_picture(
    video: Callable[..., Path], samples: Path, tmp_path: Path
) -> None:
    path = tmp_path / "cut.mp4"
    path.write_bytes(video().read_bytes()[:5000])
    with pytest.raises(Unreadable, match="cut short"):
        probe_video(path)
    with pytest.raises(Unreadable, match="contains no video"):
        probe_video(samples / "voiceover-en.mp3")
    with pytest.raises(Unreadable, match="contains no sound"):
        probe_audio(samples / "scene.mp4")


def test_a_playlist_is_refused_and_opens_nothing_else(tmp_path: Path, samples: Path) -> None:
    """FFmpeg would follow these; an upload must not make it read other files or addresses."""
    for text in (
        f"ffconcat version 1.0\nfile '{samples / 'voiceover-en.mp3'}'\n",
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:8,\n{samples / 'voiceover-en.mp3'}\n#EXT-X-ENDLIST\n",
    ):
        path = tmp_path / "voice.mp3"
        path.write_text(text)
        assert sniff(path) is None
        with pytest.raises(Unreadable, match="looks like text"):
            probe_audio(path)


def test_text_in_utf16_is_not_an_mp3(tmp_path: Path) -> None:
    path = tmp_path / "voice.mp3"
    path.write_bytes("a text saved by an old editor".encode("utf-16"))
    assert sniff(path) is None


def test_the_hash_of_a_file(samples: Path) -> None:
    path = samples / "pet.jpg"
    assert sha256_file(path) == hashlib.sha256(path.read_bytes()).hexdigest()
