"""What was measured of a media file: plain data, so that the pure rooms can reason about it without a decoder.

``probe.py`` beside this file fills these from the real bytes.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """A still image as a person sees it.

    Attributes:
        width: Displayed width in pixels, after the EXIF rotation.
        height: Displayed height in pixels, after the EXIF rotation.
        format: Format by content in Pillow's words: ``JPEG``, ``PNG``, ``WEBP``, ...
        mode: Colour mode in Pillow's words: ``RGB``, ``RGBA``, ``L``, ``CMYK``, ...
        animated: True when the file holds more than one frame.
        size_bytes: Size of the file.
        rotated: True when the stored pixels are turned by an EXIF orientation.
    """

    width: int
    height: int
    format: str
    mode: str
    animated: bool
    size_bytes: int
    rotated: bool = False

    @property
    def aspect(self) -> float:
        """Displayed width over height."""
        return self.width / self.height


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """A sound file, measured by decoding it.

    Attributes:
        seconds: Length of what really decodes, whatever the header says.
        codec: Codec in FFmpeg's words: ``mp3``, ``pcm_s16le``, ``aac``, ...
        container: Container in FFmpeg's words: ``mp3``, ``wav``, ``ogg``, ``mov,mp4,m4a,3gp,3g2,mj2``, ...
        sample_rate: Samples a second.
        channels: Number of channels.
        size_bytes: Size of the file.
    """

    seconds: float
    codec: str
    container: str
    sample_rate: int
    channels: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """A video file, measured by decoding it.

    Attributes:
        seconds: Length of the picture.
        width: Displayed width in pixels.
        height: Displayed height in pixels.
        fps: Average frames a second.
        frames: Number of frames that decode.
        video_codec: Codec in FFmpeg's words: ``h264``, ...
        audio_codec: Codec of the sound, None for a silent file.
        container: Container in FFmpeg's words: ``mov,mp4,m4a,3gp,3g2,mj2``, ``matroska,webm``, ...
        size_bytes: Size of the file.
    """

    seconds: float
    width: int
    height: int
    fps: float
    frames: int
    video_codec: str
    audio_codec: str | None
    container: str
    size_bytes: int

    @property
    def aspect(self) -> float:
        """Displayed width over height."""
        return self.width / self.height


MediaFacts = ImageFacts | AudioFacts | VideoFacts
