"""Which media libraries are at work, and whether they can do what the project asks of them."""

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
"""Codecs that are read (r) and written (w): videos come as H.264 with AAC, voiceovers as MP3, films are written."""


def library_versions() -> dict[str, str]:
    """Names and versions, FFmpeg's own libraries among them."""
    parts = {name: ".".join(map(str, version)) for name, version in sorted(av.library_versions.items())}
    return {"PyAV": av.__version__, "Pillow": PIL.__version__, "OpenCV": cv2.__version__, **parts}


def missing_codecs() -> tuple[str, ...]:
    """What is needed and not there."""
    missing = []
    for name, mode in NEEDED:
        try:
            av.Codec(name, "r" if mode == "r" else "w")
        except ValueError:
            missing.append(f"{name} ({'decoder' if mode == 'r' else 'encoder'})")
    return tuple(missing)
