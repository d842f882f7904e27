"""What `i2v upload` says of a file before it is sent."""

import io
from pathlib import Path

import pytest
from PIL import Image

import resources.media.pictures  # noqa: F401 - registers HEIC
from resources.media.foresee import foresee


def encoded(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 64)).save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "outcome", "words"),
    [
        (encoded("JPEG"), "as_it_is", ""),
        (encoded("PNG") + bytes(10_000_001), "prepared", "MB"),
        (encoded("HEIF"), "prepared", "HEIC image: it will be sent as a JPEG or PNG"),
        (encoded("TIFF"), "prepared", "TIFF"),
        (b"#!AMR\n" + bytes(100), "prepared", "AMR sound: it will be sent as a WAV"),
        (b"\0\0\0\x20ftypM4A " + bytes(100), "prepared", "M4A sound"),
        (bytes(1024) + b"ID3\4" + bytes(100), "prepared", "zero bytes"),
        (b"8BPS\0\1" + bytes(100), "refused", "Photoshop document. Export it as PNG"),
        (b"<svg xmlns=''></svg>", "refused", "SVG"),
        (b"%PDF-1.7", "refused", "PDF"),
        (b"hello", "refused", "text"),
        (b"", "refused", "empty"),
    ],
)
def test_what_is_foreseen(content: bytes, outcome: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    found = foresee(path)
    assert found.outcome == outcome
    assert words in found.words
    if outcome == "prepared":
        assert foresee(path, prepare=False).outcome == "refused"
