"""The media libraries in use, and whether they have the needed codecs."""

import av
import cv2
import PIL

NEEDED: tuple[tuple[str, str], ...] = (
    ("h264", "r"),
    ("aac", "r"),
    ("mp3", "r"),
    ("libx264", "w"),
    ("aac", "w"),
)
"""Codecs to read (r) and write (w): videos are H.264 with AAC, voiceovers MP3, and films are written."""


def library_versions() -> dict[str, str]:
    """Return names and versions, including FFmpeg's own libraries."""
    parts = {name: ".".join(map(str, version)) for name, version in sorted(av.library_versions.items())}
    return {"PyAV": av.__version__, "Pillow": PIL.__version__, "OpenCV": cv2.__version__, **parts}


def missing_codecs() -> tuple[str, ...]:
    """Return the needed codecs that are missing."""
    missing = []
    for name, mode in NEEDED:
        try:
            av.Codec(name, "r" if mode == "r" else "w")
        except ValueError:
            missing.append(f"{name} ({'decoder' if mode == 'r' else 'encoder'})")
    return tuple(missing)
