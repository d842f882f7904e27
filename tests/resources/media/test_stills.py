"""One scan of an image returns what the separate functions return."""

import io
from pathlib import Path

import pytest
from PIL import Image

from resources.media.errors import Unreadable
from resources.media.faces import faces_in
from resources.media.previews import GLIMPSE_BYTES
from resources.media.probe import probe_image
from resources.media.stills import scan_image


@pytest.mark.parametrize("file", ["portrait.png", "product.webp", "environment.jpg"])
def test_one_scan_returns_the_same_as_separate_scans(samples: Path, file: str) -> None:
    look = scan_image(samples / file, file, 5_000, 160)
    assert look.facts == probe_image(samples / file)
    with Image.open(samples / file) as opened:
        assert look.faces == faces_in(opened.convert("RGB"))
    assert len(look.thumbnail) <= 5_000
    assert len(look.glimpse) <= GLIMPSE_BYTES


def test_a_large_turned_photo_is_shown_and_measured_as_displayed(samples: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(samples / "portrait.png") as portrait:
        large = portrait.convert("RGB").crop((0, 0, 512, 400)).resize((4096, 3200))
        large.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "phone.jpg", exif=exif)
    look = scan_image(tmp_path / "phone.jpg", "phone.jpg", 5_000, 160)
    assert (look.facts.width, look.facts.height) == (4096, 3200)
    with Image.open(io.BytesIO(look.thumbnail)) as shown:
        assert shown.size == (160, 125)
    assert len(look.faces) == 1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16", "CMYK", "RGBA"])
def test_every_mode_can_be_scanned(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("picture.tiff" if mode in {"I;16", "CMYK"} else "picture.png")
    Image.new(mode, (2400, 1600)).save(path)
    assert scan_image(path, path.name, 5_000, 160).facts.width == 2400


def test_a_damaged_image_is_reported(samples: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes((samples / "portrait.png").read_bytes()[:9000])
    with pytest.raises(Unreadable, match=r"cut\.png is damaged or cut short"):
        scan_image(tmp_path / "cut.png", "cut.png", 5_000, 160)
