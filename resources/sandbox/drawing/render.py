"""Renders one job: H.264 and AAC in an MP4 whose index comes first, so that it plays while it loads."""

import math
import random
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from PIL import Image

from resources.sandbox.drawing import defects
from resources.sandbox.drawing.job import FRAMES_PER_SECOND, MediaFolder, RenderJob
from resources.sandbox.drawing.marks import draw_level, draw_mark
from resources.sandbox.drawing.motion import Motion, Pose, motion_of
from resources.sandbox.drawing.picture import Camera, Planes, cover, load_rgb
from resources.sandbox.drawing.references import Cutaway, cutaways, first_frame
from resources.sandbox.drawing.scenes import Speaker, landscape
from resources.sandbox.drawing.sound import CHANNELS, SAMPLE_RATE, Samples, ambience, load_sound, loudness
from resources.sandbox.faults import Kind
from resources.schemas.families import record_of

_BT601 = 6
"""FFmpeg's number of SMPTE 170M: the result of OpenCV's RGB to YUV conversion."""

_LIMITED_RANGE = 1

_ENDING_FROM = 0.75
"""Part of the video after which it blends into the last image."""


class RenderFailed(Exception):
    """The media cannot be drawn; the text is the request's error."""


class RenderStopped(Exception):
    """The sandbox is stopping."""


class Stage:
    """The picture of each frame.

    Args:
        job: The job to show.
        media: The folder of the media.
        frames: The number of frames.
        voice: Loudness of each frame; None without a voice.
        mark: A defect of the picture.
    """

    def __init__(
        self, job: RenderJob, media: MediaFolder, frames: int, voice: "np.ndarray | None", mark: Kind | None
    ) -> None:
        self._frames = frames
        self._voice = voice
        self._mark = mark
        self._motion: Motion = motion_of(job.prompt, job.seed)
        self._light = random.Random(f"light/{job.seed}").uniform(0, 2 * math.pi)  # noqa: S311 - no secret
        self._speaker: Speaker | None = None
        self._cutaways: list[Cutaway] = []
        images = [media.path(sha256) for sha256 in job.images]
        videos = [media.path(sha256) for sha256 in job.videos]
        picture = None
        if mark is Kind.WRONG_FIRST_FRAME:
            picture = landscape(job.width, job.height, job.seed + 1)
        elif images:
            picture = load_rgb(images[0])
        elif videos:
            picture = first_frame(videos[0])
        elif voice is not None:
            self._speaker = Speaker(job.width, job.height, job.seed)
            picture = self._speaker.picture
        if picture is None:
            picture = landscape(job.width, job.height, job.seed)
        self._camera = Camera(picture, job.width, job.height)
        record = record_of(job.family)
        if record is None or record.traits is None or record.traits.cuts:
            self._cutaways = cutaways(images[1:], videos, job.width, job.height, frames)
        self._ending: Planes | None = None
        if record is not None and record.limits is not None and record.limits.end_image and len(images) > 1:
            self._ending = Planes.from_rgb(cover(load_rgb(images[1]), job.width, job.height))

    def draw(self, number: int, into: Planes) -> None:
        """Draw one frame into the planes."""
        shown = defects.frame_shown(number, self._mark)
        seconds = shown / FRAMES_PER_SECOND
        pose = self._motion.at(shown / max(self._frames - 1, 1), seconds)
        level = 0.0
        if self._voice is not None:
            level = float(self._voice[min(shown, self._frames - 1)])
            pose = Pose(pose.zoom * (1 + 0.02 * level), pose.right, pose.down, pose.yaw)
        self._camera.look(pose, into)
        # The light breathes, and a loud voice brightens the picture too. No gain on the first frame.
        gain = 1 + 0.02 * (math.sin(self._light + 0.8 * seconds) - math.sin(self._light)) + 0.06 * level
        if gain != 1:
            cv2.convertScaleAbs(into.y, into.y, gain, 16 * (1 - gain))
        if self._speaker is not None:
            self._speaker.speak(into, pose, level)
        for cutaway in self._cutaways:
            cutaway.draw(into, shown)
        if self._voice is not None and self._speaker is None:
            draw_level(into, level, shown)
        self._end(into, shown)
        defects.spoil_picture(into, number, self._frames, self._mark)
        draw_mark(into)

    def _end(self, into: Planes, frame: int) -> None:
        """Blend into the last image, which the last frame shows alone."""
        share = (frame / max(self._frames - 1, 1) - _ENDING_FROM) / (1 - _ENDING_FROM)
        if self._ending is not None and share > 0:
            for plane, end in zip(into.all, self._ending.all, strict=True):
                cv2.addWeighted(end, min(share, 1.0), plane, 1 - min(share, 1.0), 0, plane)


def _sound(job: RenderJob, media: MediaFolder, seconds: float, mark: Kind | None) -> tuple[Samples, bool]:
    """Return the sound, and whether it is a voice."""
    if job.audios:
        samples = load_sound(media.path(job.audios[0]), seconds)
        for more in job.audios[1:]:
            samples = samples + np.float32(0.5) * load_sound(media.path(more), seconds)
        voice = True
    else:
        samples, voice = ambience(job.seed, seconds), False
    return defects.spoil_sound(samples, mark), voice


def render(job: RenderJob, media: MediaFolder, path: Path, *, mark: Kind | None, stop: threading.Event) -> None:
    """Render a job to a file.

    Args:
        job: The job to render.
        media: The folder of its media.
        path: The file to write; its folder exists.
        mark: A defect to put in, None for a good video.
        stop: Ends the rendering between two frames.

    Raises:
        RenderFailed: the media cannot be drawn.
        RenderStopped: ``stop`` was set.
    """
    job = defects.spoil_job(job, mark)
    try:
        _render(job, media, path, mark, stop)
    except (av.FFmpegError, OSError, ValueError, Image.DecompressionBombError, cv2.error) as error:
        raise RenderFailed(f"The video could not be rendered ({type(error).__name__}).") from error
    defects.spoil_file(path, mark)


def _render(job: RenderJob, media: MediaFolder, path: Path, mark: Kind | None, stop: threading.Event) -> None:
    frames = job.seconds * FRAMES_PER_SECOND
    samples, is_voice = _sound(job, media, job.seconds, mark)
    stage = Stage(job, media, frames, loudness(samples, frames) if is_voice else None, mark)
    with_sound = job.sound and mark is not Kind.NO_SOUND
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        container.metadata["title"] = "SANDBOX"
        container.metadata["comment"] = "SANDBOX: rendered locally by i2v-assets, no model behind it"
        video = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
        video.width, video.height, video.pix_fmt = job.width, job.height, "yuv420p"
        # One thread each, because two render at once on a small machine; veryfast fits the CPU budget.
        preset = "veryfast" if job.width * job.height <= 1920 * 1080 else "ultrafast"
        # x264's macroblock tree gives different bytes for the same frames from run to run; the seed must determine all.
        video.options = {"preset": preset, "crf": "24", "threads": "1", "mbtree": "0"}
        video.codec_context.time_base = Fraction(1, FRAMES_PER_SECOND)
        video.codec_context.colorspace = _BT601
        video.codec_context.color_range = _LIMITED_RANGE
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo") if with_sound else None
        buffer = np.empty((job.height * 3 // 2, job.width), dtype=np.uint8)
        planes = Planes.over(buffer.reshape(-1), job.width, job.height)
        encoded = 0
        for number in range(frames):
            if stop.is_set():
                raise RenderStopped
            if not defects.is_dropped(number, mark):
                stage.draw(number, planes)
                frame = av.VideoFrame.from_ndarray(buffer, format="yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, FRAMES_PER_SECOND)
                container.mux(video.encode(frame))
            if audio is not None:
                until = round((number + 1) * SAMPLE_RATE / FRAMES_PER_SECOND)
                container.mux(_encode_sound(audio, samples, encoded, until))
                encoded = until
        container.mux(video.encode(None))
        if audio is not None:
            container.mux(audio.encode(None))


def _encode_sound(
    stream: "av.audio.stream.AudioStream", samples: Samples, start: int, end: int
) -> "list[av.packet.Packet[Any]]":
    block = np.ascontiguousarray(samples[:, start:end])
    if block.shape[0] != CHANNELS or block.shape[1] == 0:
        return []
    frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
    return list(stream.encode(frame))
