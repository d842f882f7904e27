"""Measures all figures of a local video, and draws its pictures, in one decode."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray
from PIL import Image

from resources.media.clip_pictures import ClipPictures, PictureKeeper, draw_pictures
from resources.media.containers import decodable_sound, has_decoder, header_is_enough, moving_streams, open_media
from resources.media.errors import MediaError, Unreadable
from resources.media.frames import to_picture
from resources.media.pictures import open_image
from resources.media.probe import displayed_size
from resources.media.quality.likeness import first_frame_match
from resources.media.quality.model import Expectation, Measures
from resources.media.quality.motion import SMALL_SIDE, MotionMeter
from resources.media.quality.sound import SoundMeter, load_voice, match_voice
from resources.schemas.limits import SHORT_SIDES

_FIRST_FRAME_SIDE = 384
_SOURCE_SIDE = 1024
"""Minimum pixels of the longer side at which a source image is decoded: ten times that at which it is compared."""
_GREYS_AT_ONCE = 24
"""Small frames that are compared in one go: after each decoded frame the processor's caches hold nothing of the comparison, and it
takes twice as long."""
_CUT_SHORT_SECONDS = 0.2
_MAX_WORDS = 3
_FRAMES_OF_A_RATE = 6
"""A quarter of a second at 24 frames a second: the median of fewer gaps is not a reliable rate."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of a video and its pictures; ``pictures`` is None if they were not wanted, or for the reason in ``why_none``."""

    measures: Measures
    pictures: ClipPictures | None = None
    why_none: str = ""


def measure(video: Path, expectation: Expectation) -> Measures:
    """Return all figures of a video; a damaged one is measured as far as possible, with the reason in ``damage``.

    Args:
        video: the local file.
        expectation: what was requested.

    Raises:
        Unreadable: the expectation's voice or source image cannot be read (the video itself never raises).
    """
    return _measured(video, expectation, _Watcher(keep_voice=expectation.voice is not None))


def measure_and_draw(video: Path, expectation: Expectation) -> Measured:
    """Do the same, and draw the pictures from the same decode; what goes wrong with those costs no figure.

    Raises:
        Unreadable: the expectation's voice or source image cannot be read.
    """
    watcher = _Watcher(keep_voice=expectation.voice is not None, draws=True)
    measures = _measured(video, expectation, watcher)
    try:
        return Measured(measures, watcher.pictures(video))
    except Exception as error:  # noqa: BLE001 - a video is paid for: no picture of it is in its way
        return Measured(measures, None, _in_words(error))


def _in_words(error: Exception) -> str:
    return error.message if isinstance(error, MediaError) else f"a bug in i2v-assets: {type(error).__name__}"


def _measured(video: Path, expectation: Expectation, watcher: "_Watcher") -> Measures:
    began = time.process_time()
    voice = load_voice(expectation.voice) if expectation.voice is not None else None
    try:
        with open_media(video, header_only=header_is_enough(video)) as container:
            watcher.watch(container)
    except Unreadable as error:
        watcher.damage.append(error.message)
    figures = watcher.figures()
    source = None
    if expectation.source_image is not None and watcher.first is not None:
        source = open_image(expectation.source_image, reduced=_SOURCE_SIDE)
    figures |= _asked(figures, expectation, source)
    figures["sound_asked"] = (expectation.sound or expectation.voice is not None) and not expectation.silence_allowed
    if voice is not None and watcher.sound is not None:
        match = match_voice(watcher.sound.voice, voice)
        figures |= {
            "voice_match": round(max(match.waveform, match.envelope), 4),
            "voice_waveform": round(match.waveform, 4),
            "voice_envelope": round(match.envelope, 4),
            "voice_offset": round(match.offset, 4),
        }
    if source is not None and watcher.first is not None:
        figures["first_frame_match"] = round(first_frame_match(watcher.first, source), 4)
    return Measures(**figures, cpu_seconds=round(time.process_time() - began, 3))


class _Watcher:
    """Reads every frame and every sample once."""

    def __init__(self, *, keep_voice: bool, draws: bool = False) -> None:
        self._keep_voice = keep_voice
        self._draws = draws
        self._keeper: PictureKeeper | None = None
        self._undrawn: Exception | None = None
        self.damage: list[str] = []
        self.first: Image.Image | None = None
        self.sound: SoundMeter | None = None
        self._scaler = VideoReformatter()
        self._motion = MotionMeter()
        self._greys: list[tuple[float, NDArray[np.uint8]]] = []
        self._times: list[float] = []
        self._size = (0, 0)
        self._small = (0, 0)
        self._frame_seconds = 0.0

    def watch(self, container: av.container.InputContainer) -> None:
        """Decode everything, continuing after damage."""
        videos = moving_streams(container)
        if not videos:
            self.damage.append("it contains no video")
            return
        picture = videos[0]
        if not has_decoder(picture):
            self.damage.append("its picture has a codec that can't be read")
            return
        picture.thread_type = "AUTO"
        sound = decodable_sound(container)
        sounds = () if sound is None else (sound,)
        if sounds:
            self.sound = SoundMeter(keep_voice=self._keep_voice)
        if self._draws:
            self._prepare_pictures(container, picture)
        try:
            for frame in self._frames(container, (picture, *sounds)):
                if isinstance(frame, av.AudioFrame):
                    if self.sound is not None:
                        self.sound.add(frame)
                else:
                    self._see(picture, frame)
        finally:
            self._look_at_greys()
            if self.sound is not None:
                self.sound.flush()
        self._completeness(picture)

    def _prepare_pictures(self, container: av.container.InputContainer, stream: av.VideoStream) -> None:
        seconds = float((stream.duration or 0) * (stream.time_base or 0)) or (container.duration or 0) / av.time_base
        try:
            self._keeper = PictureKeeper(container, stream, max(seconds, 0.0))
        except MediaError as error:
            self._undrawn = error

    def _keep_pictures(self, at: float, frame: av.VideoFrame) -> None:
        if self._keeper is not None:
            try:
                self._keeper.add(at, frame)
            except Exception as error:  # noqa: BLE001 - see `measure_and_draw`
                self._keeper, self._undrawn = None, error

    def pictures(self, video: Path) -> ClipPictures:
        """Return the pictures; a video that is longer or shorter than its header says is decoded once more for them.

        Raises:
            Unreadable: there is nothing to see, or it is too large or too long.
            MediaError: a picture does not fit into its bytes.
        """
        if self._undrawn is not None:
            raise self._undrawn
        if self._keeper is None:
            raise Unreadable("The video cannot be opened.", remedy="Fetch it again.")
        return self._keeper.draw() if self._keeper.fits(self._seconds) else draw_pictures(video)

    def _frames(self, container: av.container.InputContainer, streams: tuple[Any, ...]) -> Iterator[Any]:
        for packet in container.demux(streams):
            try:
                if packet.is_corrupt:
                    self.damage.append("a packet is corrupt")
                yield from packet.decode()
            except av.FFmpegError as error:
                self.damage.append(f"{packet.stream.type} cannot be decoded ({error.strerror})")

    def _see(self, stream: av.VideoStream, frame: av.VideoFrame) -> None:
        if frame.is_corrupt:
            self.damage.append("a frame is corrupt")
        if self.first is None:
            self.first = to_picture(stream, frame, _FIRST_FRAME_SIDE)
            width, height, _ = displayed_size(stream, frame)
            self._size = (width, height)
            scale = min(1.0, SMALL_SIDE / max(frame.width, frame.height))
            self._small = (max(2, round(frame.width * scale)), max(2, round(frame.height * scale)))
            rate = stream.average_rate or stream.guessed_rate
            self._frame_seconds = float(1 / rate) if rate else 0.0
        at = frame.time if frame.time is not None else len(self._times) * self._frame_seconds
        self._times.append(at)
        self._keep_pictures(at, frame)
        small = self._scaler.reformat(frame, *self._small, "gray8", interpolation=Interpolation.AREA, threads=1)
        self._greys.append((at, np.asarray(small.to_ndarray(), dtype=np.uint8)))
        if len(self._greys) >= _GREYS_AT_ONCE:
            self._look_at_greys()

    def _look_at_greys(self) -> None:
        greys, self._greys = self._greys, []
        for at, grey in greys:
            self._motion.add(at, grey)

    def _completeness(self, stream: av.VideoStream) -> None:
        """Compare what was decoded with what the header announces."""
        if not self._times:
            self.damage.append("no picture can be decoded")
            return
        if stream.frames and len(self._times) < stream.frames:
            self.damage.append(f"{len(self._times)} of {stream.frames} frames can be decoded")
        promised = float((stream.duration or 0) * (stream.time_base or Fraction(0)))
        if promised - self._seconds > _CUT_SHORT_SECONDS:
            self.damage.append(f"it ends after {self._seconds:.2f} of {promised:.2f} s")

    @property
    def _gaps(self) -> Any:
        return np.diff(np.array(self._times))

    @property
    def _seconds(self) -> float:
        if not self._times:
            return 0.0
        last = float(np.median(self._gaps)) if len(self._times) > 1 else self._frame_seconds
        return self._times[-1] - self._times[0] + last

    def figures(self) -> dict[str, Any]:
        """Return the figures that do not depend on the expectation."""
        seconds, frames = self._seconds, len(self._times)
        gaps = self._gaps
        usual = float(np.median(gaps)) if gaps.size else 0.0
        odd = float(np.mean((gaps > 1.5 * usual) | (gaps < 0.5 * usual))) if gaps.size else 0.0
        words = [re.sub(r"\s+", " ", word) for word in dict.fromkeys(self.damage)]
        found: dict[str, Any] = {
            "decodes": not words,
            "damage": "; ".join(words[:_MAX_WORDS]),
            "seconds": round(seconds, 4),
            "width": self._size[0],
            "height": self._size[1],
            "fps": round(1 / usual, 3) if usual else 0.0,
            "frames": frames,
            "unsteadiness": round(odd, 4),
            "rate_change": round(_rate_change(gaps), 4),
        }
        moved = self._motion.result(seconds)._asdict()
        found |= {name: round(value, 4) if isinstance(value, float) else value for name, value in moved.items()}
        sound_figures = self.sound.result() if self.sound is not None else None
        if sound_figures is not None:
            found |= {
                name: round(value, 6) if isinstance(value, float) else value
                for name, value in sound_figures._asdict().items()
            }
        return found


def _rate_change(gaps: Any) -> float:
    third = len(gaps) // 3
    if third < _FRAMES_OF_A_RATE:
        return 0.0
    first, last = float(np.median(gaps[:third])), float(np.median(gaps[-third:]))
    return first / last - 1 if first > 0 and last > 0 else 0.0


def _asked(figures: dict[str, Any], expectation: Expectation, source: Image.Image | None) -> dict[str, float]:
    """Return the differences between the expectation and the video."""
    found: dict[str, float] = {}
    width, height = figures["width"], figures["height"]
    if expectation.duration is not None:
        found["seconds_off"] = round(figures["seconds"] - expectation.duration, 4)
    if not width or not height:
        return found
    if (aspect := _aspect(expectation, source)) is not None:
        found["aspect_off"] = round(width / height / aspect - 1, 4)
    if expectation.resolution is not None:
        side = SHORT_SIDES.get(expectation.resolution.lower())
        if side is not None:
            # Some models keep the shorter side of a tier, others the area of its 16:9 picture.
            by_side = min(width, height) / side - 1
            by_area = (width * height / (side * side * 16 / 9)) ** 0.5 - 1
            found["tier_off"] = round(by_side if abs(by_side) < abs(by_area) else by_area, 4)
    return found


def _aspect(expectation: Expectation, source: Image.Image | None) -> float | None:
    asked = expectation.aspect
    if isinstance(asked, str) and re.fullmatch(r"\d+(\.\d+)?:\d+(\.\d+)?", asked):
        across, down = asked.split(":")
        return float(across) / float(down)
    if isinstance(asked, (int, float)):
        return float(asked)
    if source is None:
        return None
    width, height = source.info["stored_size"]
    turned = source.getexif().get(0x0112, 1) in {5, 6, 7, 8}
    return float(height / width if turned else width / height)
