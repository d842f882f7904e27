"""The videos match the request, measured on the decoded files."""

import hashlib
import io
import struct
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from resources.sandbox.drawing.job import MediaFolder, RenderJob, frame_size
from resources.sandbox.drawing.render import RenderFailed, RenderStopped, render
from resources.sandbox.drawing.sound import ambience
from resources.sandbox.faults import Kind
from resources.schemas.families.happyhorse_1_0 import NAME as HAPPYHORSE_I2V
from resources.schemas.families.seedance_2_0 import NAME as SEEDANCE_PRO
from resources.schemas.families.wan_2_7_image import NAME as WAN_I2V
from resources.schemas.families.wan_2_7_text import NAME as WAN_T2V

SIZE = (320, 180)


class Studio:
    """Renders small jobs and decodes what came out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.media = MediaFolder(folder / "media")

    def keep(self, data: bytes) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        self.media.path(sha256).write_bytes(data)
        return sha256

    def job(self, prompt: str = "push in", size: tuple[int, int] = SIZE, **changes: object) -> RenderJob:
        values = {
            "model_id": "a/b",
            "family": HAPPYHORSE_I2V,
            "prompt": prompt,
            "seconds": 2,
            "width": size[0],
            "height": size[1],
            "resolution": "720p",
            "seed": 5,
            **changes,
        }
        return RenderJob.model_validate(values)

    def render(self, job: RenderJob, mark: Kind | None = None) -> "Video":
        path = self.folder / f"{time.monotonic_ns()}.mp4"
        render(job, self.media, path, mark=mark, stop=threading.Event())
        return Video(path)


class Video:
    def __init__(self, path: Path) -> None:
        self.path = path
        with av.open(str(path)) as container:
            video = container.streams.video[0]
            self.codec, self.pix_fmt = video.codec_context.name, video.codec_context.pix_fmt
            self.metadata = dict(container.metadata)
            self.seconds = (container.duration or 0) / 1e6
            frames = list(container.decode(video))
            self.frames = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
            self.times = [frame.pts * frame.time_base for frame in frames]
        self.sound: np.ndarray | None = None
        with av.open(str(path)) as container:
            self.sound_codec = None
            if container.streams.audio:
                self.sound_codec = container.streams.audio[0].codec_context.name
                self.sound = np.concatenate([part.to_ndarray() for part in container.decode(audio=0)], axis=1)

    @property
    def size(self) -> tuple[int, int]:
        return self.frames.shape[2], self.frames.shape[1]

    @property
    def changes(self) -> np.ndarray:
        return np.abs(np.diff(self.frames.astype(np.int16), axis=0)).mean(axis=(1, 2, 3))


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio(tmp_path_factory.mktemp("studio"))


@pytest.fixture(scope="module")
def photo(studio, samples) -> str:
    """A real photo of the demo."""
    return studio.keep((samples / "environment.jpg").read_bytes())


@pytest.fixture(scope="module")
def good(studio, photo) -> Video:
    return studio.render(studio.job(images=(photo,)))


def source(studio: Studio, photo: str) -> np.ndarray:
    with Image.open(studio.media.path(photo)) as image:
        return np.asarray(image.convert("RGB").resize(SIZE))


def test_codecs_length_and_marks(good):
    assert (good.codec, good.pix_fmt, good.sound_codec) == ("h264", "yuv420p", "aac")
    assert good.size == SIZE
    assert len(good.frames) == 48
    assert good.seconds == pytest.approx(2, abs=0.05)
    assert good.times == [Fraction(number, 24) for number in range(48)]
    assert good.metadata["title"] == "SANDBOX"
    assert "no model behind it" in good.metadata["comment"]


def test_the_index_comes_first(good):
    data, at, boxes = good.path.read_bytes(), 0, []
    while at < len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        boxes.append(name)
        at += size
    assert boxes.index(b"moov") < boxes.index(b"mdat")


def test_the_first_frame_is_the_picture_and_then_it_moves(good, studio, photo):
    assert good.size == SIZE
    difference = np.abs(good.frames[0].astype(int) - source(studio, photo)).mean()
    assert difference < 12
    assert good.changes.min() > 0
    assert np.abs(good.frames[-1].astype(int) - good.frames[0]).mean() > 8


def test_the_corner_says_sandbox(good):
    corner = good.frames[:, -16:, -62:].astype(int).mean(axis=-1)
    assert (corner.max(axis=(1, 2)) > 180).all()  # light letters
    assert (np.median(corner, axis=(1, 2)) < 110).all()  # on a dark box


def shift(video: Video) -> np.ndarray:
    """Where the middle of the first frame went by the last: (right, down) in pixels."""
    first, last = video.frames[0].mean(axis=-1), video.frames[-1].mean(axis=-1)
    patch = first[60:120, 120:200]
    patch = patch - patch.mean()
    best, where = -1.0, (0, 0)
    for top in range(30, 91, 2):
        for left in range(80, 161, 2):
            other = last[top : top + 60, left : left + 80]
            other = other - other.mean()
            score = float((patch * other).sum() / (np.linalg.norm(patch) * np.linalg.norm(other) + 1e-9))
            if score > best:
                best, where = score, (left - 120, top - 60)
    return np.array(where)


@pytest.mark.parametrize(
    ("prompt", "axis", "sign"),
    [("pan left", 0, 1), ("pan right", 0, -1), ("tilt up", 1, 1), ("tilt down", 1, -1)],
)
def test_the_picture_goes_against_the_camera(studio, prompt, axis, sign):
    noise = np.random.default_rng(1).integers(0, 255, (12, 20, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize((640, 360), Image.Resampling.BICUBIC).save(buffer, "PNG")
    moved = shift(studio.render(studio.job(prompt, images=(studio.keep(buffer.getvalue()),))))
    assert moved[axis] * sign > 8
    assert abs(moved[1 - axis]) <= 6


def test_the_seed_decides_the_details(studio, photo, good):
    again = studio.render(studio.job(images=(photo,)))
    other = studio.render(studio.job(images=(photo,), seed=6))
    assert np.array_equal(again.frames, good.frames)
    assert np.array_equal(again.sound, good.sound)
    assert not np.array_equal(other.frames, good.frames)
    assert not np.array_equal(other.sound, good.sound)


def test_ambience_is_audible_and_not_loud(good):
    assert 0.005 < np.sqrt(np.mean(good.sound**2)) < 0.2
    assert np.abs(good.sound).max() < 0.9
    assert ambience(1, 3).shape == (2, 144_000)


def loudness_of(sound: np.ndarray, frames: int) -> np.ndarray:
    return np.array([np.sqrt(np.mean(part**2)) for part in np.array_split(sound.mean(axis=0), frames)])


def burst(seconds: float, media) -> bytes:
    return bytes(media.voice(seconds))


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first, second)[0, 1])


@pytest.mark.parametrize("with_image", [True, False])
def test_the_picture_follows_the_voice(studio, photo, media, with_image):
    voice = studio.keep(burst(4, media))
    job = studio.job(
        "She speaks.",
        family=WAN_I2V if with_image else WAN_T2V,
        images=(photo,) if with_image else (),
        audios=(voice,),
        seconds=4,
    )
    video = studio.render(job)
    loud = loudness_of(video.sound, len(video.frames))
    luma = video.frames.astype(float).mean(axis=-1)
    if with_image:
        seen = (luma[:, 140:178, 110:210] > 215).mean(axis=(1, 2))  # the bars
    else:
        mouth = video.frames[:, 95:135, 135:185].astype(int)
        dark_red = (mouth[..., 0] - mouth[..., 1] > 40) & (mouth.mean(axis=-1) < 100)
        seen = dark_red.mean(axis=(1, 2))
    assert correlation(loud, seen) > 0.8


def test_a_short_voice_ends_in_silence_and_a_long_one_is_cut(studio, media):
    job = studio.job("She speaks.", family=WAN_T2V, audios=(studio.keep(burst(1, media)),), seconds=2)
    short = studio.render(job).sound.mean(axis=0)
    assert np.abs(short[:40_000]).max() > 0.1
    assert np.abs(short[52_000:]).max() < 0.001
    long = studio.render(job.model_copy(update={"audios": (studio.keep(burst(6, media)),)}))
    assert long.seconds == pytest.approx(2, abs=0.05)


def test_references_are_cut_in(studio, photo, media, good):
    red = io.BytesIO()
    Image.new("RGB", (400, 300), (250, 10, 10)).save(red, "JPEG")
    job = studio.job(
        family=SEEDANCE_PRO,
        images=(photo, studio.keep(red.getvalue())),
        videos=(studio.keep(good.path.read_bytes()),),
        seconds=4,
    )
    video = studio.render(job)
    reds = ((video.frames[..., 0] > 200) & (video.frames[..., 1] < 70)).mean(axis=(1, 2))
    assert reds[0] < 0.01
    assert reds.max() > 0.06  # for a part of the time it covers a part of the picture
    assert (reds > 0.06).mean() > 0.25
    inset = video.frames[20:50, 8:60, 8:100]
    assert np.abs(np.diff(inset.astype(int), axis=0)).mean() > 0.3  # the clip plays
    assert studio.render(job.model_copy(update={"sound": False})).sound is None


def test_a_request_of_words_alone_has_a_picture_too(studio):
    video = studio.render(studio.job("Pan over the hills", family=WAN_T2V))
    assert video.frames.std() > 20


def test_a_clip_alone_gives_its_first_picture(studio, good):
    video = studio.render(studio.job(family=SEEDANCE_PRO, videos=(studio.keep(good.path.read_bytes()),), seconds=4))
    assert np.abs(video.frames[0][80:140].astype(int) - good.frames[0][80:140]).mean() < 15


@pytest.mark.parametrize(
    ("tier", "aspect", "size"),
    [
        ("720P", 16 / 9, (1280, 720)),
        ("1080P", 9 / 16, (1080, 1920)),
        ("480p", 4 / 3, (640, 480)),
        ("720p", 1, (720, 720)),
        ("720p", 21 / 9, (1680, 720)),
        ("4k", 16 / 9, (3840, 2160)),
        ("720p", 1.3337, (960, 720)),
        ("720p", 10, (1800, 720)),
    ],
)
def test_frame_sizes(tier, aspect, size):
    assert frame_size(tier, aspect) == size


@pytest.mark.parametrize(
    ("size", "scale", "drawn"),
    [((320, 180), 1, (320, 180)), ((1280, 720), 1 / 3, (426, 240)), ((1800, 720), 0.01, (96, 96))],
)
def test_a_scale_draws_small_even_pictures(studio, size, scale, drawn):
    assert studio.render(studio.job(size=size).scaled(scale)).size == drawn


def test_awkward_sizes_and_sources_render(studio):
    tiny = io.BytesIO()
    Image.new("RGBA", (301, 700), (0, 200, 0, 120)).save(tiny, "PNG")
    image = studio.keep(tiny.getvalue())
    for size in ((182, 422), (422, 182)):
        assert studio.render(studio.job("orbit", size, images=(image,))).size == size


def test_a_last_image_ends_the_video(studio, photo):
    flat = io.BytesIO()
    Image.new("RGB", (640, 360), (20, 160, 60)).save(flat, "PNG")
    images = (photo, studio.keep(flat.getvalue()))
    frames = studio.render(studio.job(family=WAN_I2V, images=images)).frames.astype(int)
    spread = [np.percentile(np.abs(frame - np.median(frame, axis=(0, 1))), 80) for frame in (frames[0], frames[-1])]
    assert spread[1] < 8 < spread[0]


def test_a_rendering_can_be_stopped_and_can_fail(studio, photo):
    stop = threading.Event()
    stop.set()
    with pytest.raises(RenderStopped):
        render(studio.job(images=(photo,)), studio.media, studio.folder / "x.mp4", mark=None, stop=stop)
    with pytest.raises(RenderFailed):
        studio.render(studio.job(images=("0" * 64,)))


# Defects: each wrong in one way, right in the others


def voiced(studio: Studio, photo: str, media) -> RenderJob:
    return studio.job("push in", family=WAN_I2V, images=(photo,), audios=(studio.keep(burst(4, media)),), seconds=4)


def envelope(video: Video) -> np.ndarray:
    return loudness_of(video.sound, 96)


def test_defects_of_the_picture(studio, photo, good):
    def bad(kind: Kind) -> Video:
        return studio.render(studio.job(images=(photo,)), kind)

    assert bad(Kind.BLACK).frames[:, :150].max() < 20
    frozen = bad(Kind.FROZEN).changes
    assert frozen.mean() < good.changes.mean() / 4
    slides = bad(Kind.SLIDESHOW).changes
    assert slides[23] > 5 * np.median(slides)
    jump = bad(Kind.JUMP).changes
    assert jump[23] > 40 > jump[:22].max() * 2
    wrong = bad(Kind.WRONG_FIRST_FRAME)
    assert np.abs(wrong.frames[0].astype(int) - source(studio, photo)).mean() > 40
    steps = np.diff([float(time_) for time_ in bad(Kind.UNSTEADY).times])
    assert steps.max() > 2.5 * np.median(steps)


def test_defects_of_the_shape(studio, photo):
    job = studio.job(images=(photo,))
    small = studio.render(job, Kind.WRONG_SIZE)
    assert small.size == (160, 90)
    assert studio.render(job, Kind.WRONG_DURATION).seconds == pytest.approx(3, abs=0.05)
    assert studio.render(job, Kind.NO_SOUND).sound is None
    with pytest.raises((av.FFmpegError, ValueError, AssertionError)):
        assert len(studio.render(job, Kind.BROKEN_FILE).frames) == 48


def test_defects_of_the_sound(studio, photo, media):
    job = voiced(studio, photo, media)
    right = envelope(studio.render(job))
    assert studio.render(job, Kind.SILENT).sound.max() < 1e-4
    clipped = studio.render(job, Kind.CLIPPED).sound
    assert (np.abs(clipped) > 0.95).mean() > 0.15
    late = envelope(studio.render(job, Kind.LATE_VOICE))
    assert correlation(right[:-12], late[12:]) > 0.95 > correlation(right, late) + 0.1
    assert correlation(right, envelope(studio.render(job, Kind.WRONG_VOICE))) < 0.8
