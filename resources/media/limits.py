"""What a file may cost to open, measure or prepare, and the largest that is opened at all. Pure.

A limit that a file hits is a fact about the file, so it refuses an upload by name. It never refuses a delivered video.
"""

from dataclasses import dataclass

from resources.schemas.inputs import MediumKind

GIGABYTE = 1024**3

MEMORY_BYTES = GIGABYTE
"""What a process may map for one file. A picture of 64 megapixels takes 256 MB as RGB, and preparing it a second copy."""

LONGEST_SECONDS = 600.0
"""CPU of the longest piece of work on one file."""

PIXELS_OF_4K = 8_300_000
"""Pixels of a picture at 4k, the largest tier that is made: 3840 x 2160."""


@dataclass(frozen=True, slots=True)
class WorkLimits:
    """What one piece of work may cost.

    Attributes:
        what: What the work does to the file, for messages: "open", "measure", "convert".
        cpu_seconds: CPU until the process is ended.
        memory_bytes: Memory of the process.
        wall_seconds: Time until the process is ended. It depends on the machine, so it refuses nothing.
            0: eight times the CPU seconds and 30 s.
        quick: Files of this kind take less than `QUICK_SECONDS`, so that a worker is kept for them.
    """

    what: str
    cpu_seconds: float
    memory_bytes: int = MEMORY_BYTES
    wall_seconds: float = 0.0
    quick: bool = False


QUICK_SECONDS = 2.0
"""CPU after which a file leaves the worker that is kept for quick ones, and begins again among the slow ones."""

HEADER_AND_STILL = WorkLimits("open", 5.0, quick=True)
"""A photo of 12 megapixels takes 0.2 s, one of 64 about a second; ten minutes of sound one."""

JOIN = WorkLimits("join", 3600.0, memory_bytes=4 * GIGABYTE, wall_seconds=7200.0)
"""A film of thirty 4k shots takes half an hour of encoding, and the encoder alone more than a gigabyte."""

LARGEST_BYTES = {
    MediumKind.IMAGE: 200_000_000,
    MediumKind.AUDIO: 500_000_000,
    MediumKind.VIDEO: 2 * GIGABYTE,
}
"""Largest file that any route or preparation takes: an uncompressed TIFF of 64 megapixels has 192 MB, ten minutes of WAV
with 8 channels 461 MB, and a video is at most the largest upload (I2V_MAX_UPLOAD_BYTES)."""

MAX_PIXELS = 64_000_000
"""Largest picture that is decoded whole (256 MB as RGB): 8K has 33 megapixels, the best phones 50."""

MAX_REDUCED_PIXELS = 256_000_000
"""Largest JPEG that is decoded at a part of its size, which takes a fraction of the memory: phones make 108 and 200."""

MAX_VIDEO_PIXELS = 36_000_000
"""Largest picture of a video: 8K (7680 x 4320) has 33 megapixels."""

MAX_VIDEO_SECONDS = 4 * 3600.0
"""Longest video that is counted: no route takes more than 15 s, and a longer header is a mistake or a trick."""
