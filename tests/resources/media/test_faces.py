"""The face detector on the project's own pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from resources.media.faces import PORTRAIT_FACE, Face, count_large, faces_in, is_portrait
from resources.media.stills import scan_image


def find_faces(path: Path) -> tuple[Face, ...]:
    return scan_image(path, path.name, 5_000, 160).faces


def test_the_sample_portrait_has_one_face_where_it_is(samples: Path) -> None:
    (face,) = find_faces(samples / "portrait.png")
    assert face.x < 224 < face.x + face.w, "the astronaut's nose is at about (224, 120)"
    assert face.y < 120 < face.y + face.h
    assert face.width_share == pytest.approx(0.19, abs=0.03)
    assert face.share == pytest.approx(0.036, abs=0.01)
    assert is_portrait(find_faces(samples / "portrait.png"))


@pytest.mark.parametrize("file", ["product.webp", "environment.jpg", "pet.jpg"])
def test_cup_rocket_and_cat_are_not_portraits(samples: Path, file: str) -> None:
    assert find_faces(samples / file) == ()
    assert not is_portrait(find_faces(samples / file))


def test_a_small_face_is_found_but_is_not_a_portrait(samples: Path, tmp_path: Path) -> None:
    with Image.open(samples / "portrait.png") as portrait:
        wide = Image.new("RGB", (1600, 1300), (90, 110, 130))
        wide.paste(portrait.resize((760, 760)), (350, 380))
        wide.save(tmp_path / "full_length.png")
    (face,) = find_faces(tmp_path / "full_length.png")
    assert face.width_share < PORTRAIT_FACE
    assert not is_portrait(find_faces(tmp_path / "full_length.png"))


def test_a_rotated_phone_photo_is_scanned_as_displayed(samples: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(samples / "portrait.png") as portrait:
        portrait.convert("RGB").transpose(Image.Transpose.ROTATE_90).save(tmp_path / "phone.jpg", exif=exif)
    assert is_portrait(find_faces(tmp_path / "phone.jpg"))


def test_mirrored_darker_and_grey_faces_are_found(samples: Path) -> None:
    with Image.open(samples / "portrait.png") as portrait:
        for changed in (ImageOps.mirror(portrait), portrait.point(lambda value: value // 2), portrait.convert("L")):
            assert len(faces_in(changed)) == 1


@pytest.mark.parametrize("times", [1.5, 2, 3, 4, 6])
def test_a_face_is_found_from_close_up_to_far_away(samples: Path, times: float) -> None:
    with Image.open(samples / "portrait.png") as portrait:
        canvas = Image.new("RGB", (1200, 1200), (120, 130, 140))
        canvas.paste(portrait.convert("RGB"), (376, 480))  # the nose is at 600, 600
        half = round(50 * times)  # the face is 97 pixels wide
        assert len(faces_in(canvas.crop((600 - half, 600 - half, 600 + half, 600 + half)))) == 1


def test_noise_and_the_smallest_picture_have_no_face() -> None:
    noise = np.random.default_rng(3).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    assert faces_in(Image.fromarray(noise)) == ()
    assert faces_in(Image.new("RGB", (1, 1))) == ()


def test_the_faces_of_a_wide_group_are_found_and_large(samples: Path) -> None:
    group = Image.new("RGB", (1920, 1080), (120, 130, 140))
    with Image.open(samples / "portrait.png") as portrait:
        person = portrait.convert("RGB").resize((648, 648)).crop((108, 0, 540, 648))
    for number in range(4):
        group.paste(ImageOps.mirror(person) if number % 2 else person, (480 * number + 24, 432))
    assert count_large(faces_in(group)) > 1
    small = Image.new("RGB", (1920, 1080), (120, 130, 140))
    small.paste(group.resize((640, 360)), (640, 720))
    assert count_large(faces_in(small)) == 0
