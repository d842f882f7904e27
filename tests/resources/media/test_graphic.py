"""Screenshots and pages of text are told from photographs, also after JPEG has blurred them."""

import io
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from resources.media.graphic import looks_graphic
from resources.media.stills import scan_image

ROOT = Path(__file__).parents[3]
SCREENS = ("checks.png", "clip.png", "graph.png", "refused.png")
PHOTOS = ("portrait.png", "pet.jpg", "environment.jpg", "product.webp")


def page(width: int, height: int, letters: int, *, dark: bool = False) -> Image.Image:
    ground, ink = ((18, 18, 22), (225, 225, 225)) if dark else ((255, 255, 255), (25, 25, 25))
    image = Image.new("RGB", (width, height), ground)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(letters)
    for top in range(letters, height - 2 * letters, int(letters * 1.5)):
        draw.text((letters, top), "The total of this invoice is due in fourteen days. " * 4, font=font, fill=ink)
    return image


def as_jpeg(image: Image.Image) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=60)
    return Image.open(out)


@pytest.mark.parametrize(
    ("width", "height", "letters", "dark"),
    [(1240, 1754, 24, False), (1920, 1080, 20, True), (1170, 2532, 44, False), (600, 800, 14, False)],
)
def test_pages_and_screens_full_of_text(width: int, height: int, letters: int, dark: bool) -> None:
    drawn = page(width, height, letters, dark=dark)
    assert looks_graphic(drawn)
    assert looks_graphic(as_jpeg(drawn))


@pytest.mark.parametrize("name", SCREENS)
def test_screenshots(name: str, tmp_path: Path) -> None:
    path = ROOT / "docs" / "images" / name
    assert looks_graphic(Image.open(path))
    assert scan_image(path, name, 5_000, 160).facts.graphic


@pytest.mark.parametrize("name", PHOTOS)
def test_photographs_and_their_crops(name: str) -> None:
    with Image.open(ROOT / "i2v_assets" / "samples" / name) as opened:
        photo = opened.convert("RGB")
    width, height = photo.size
    for part in ((0, 0, 1, 1), (0, 0, 0.5, 0.5), (0.3, 0.3, 1, 1), (0.2, 0, 0.7, 0.6)):
        crop = photo.crop((int(part[0] * width), int(part[1] * height), int(part[2] * width), int(part[3] * height)))
        assert not looks_graphic(crop), part


def test_a_product_on_white_and_a_headline_over_a_photograph() -> None:
    with Image.open(ROOT / "i2v_assets" / "samples" / "product.webp") as opened:
        white = Image.new("RGB", (1600, 1600), "white")
        white.paste(opened.convert("RGB").resize((700, 467)), (450, 560))
    assert not looks_graphic(white)
    with Image.open(ROOT / "i2v_assets" / "samples" / "environment.jpg") as opened:
        poster = opened.convert("RGB")
    ImageDraw.Draw(poster).text((50, 50), "SUMMER SALE", font=ImageFont.load_default(90), fill="white")
    assert not looks_graphic(poster)


def test_single_colours_and_single_pixels() -> None:
    assert not looks_graphic(Image.new("RGB", (400, 300), "white"))
    assert not looks_graphic(Image.new("L", (1, 1)))
