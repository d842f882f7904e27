"""Every limit of the media from both sides, with its file, its limit and its remedy."""

from collections.abc import Callable
from typing import Any

import pytest

from i2v_assets.planning.media import MeasuredMedium, check_media
from resources.schemas.families.happyhorse_1_0 import NAME as HAPPYHORSE_I2V
from resources.schemas.families.seedance_2_0 import NAME as SEEDANCE_PRO
from resources.schemas.families.wan_2_7_image import NAME as WAN_I2V
from resources.schemas.families.wan_2_7_text import NAME as WAN_T2V
from resources.schemas.inputs import Family

Make = Callable[..., MeasuredMedium]
HORSE, T2V, I2V, DANCE = HAPPYHORSE_I2V, WAN_T2V, WAN_I2V, SEEDANCE_PRO


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"width": 300, "height": 300},
        {"width": 300, "height": 750},
        {"width": 750, "height": 300},
        {"size_bytes": 10_000_000},
        {"format": "PNG", "mode": "RGBA"},
        {"format": "WEBP", "mode": "RGB"},
        {"mode": "L"},
        {"rotated": True},
    ],
)
def test_images_within_the_limits(image: Make, facts: dict[str, Any]) -> None:
    assert check_media(HORSE, [image(**facts)]) == ()


@pytest.mark.parametrize(
    ("facts", "what", "limit", "remedy"),
    [
        (
            {"width": 299, "height": 400},
            "299 x 400",
            "at least 300 pixels",
            'magick "hero.jpg" -resize "300x300^" "hero-large.jpg"',
        ),
        ({"width": 400, "height": 299}, "400 x 299", "at least 300 pixels", "magick"),
        ({"width": 751, "height": 300}, "2.503 times as wide", "2.5 to 1", "-crop 2.5:1"),
        ({"width": 300, "height": 751}, "2.503 times as high", "1 to 2.5", "-crop 1:2.5"),
        ({"size_bytes": 10_000_001}, "has 10.000001 MB", "At most 10.000000 MB", "-quality 90"),
        ({"size_bytes": 10_840_000}, "has 10.8 MB", "At most 10.0 MB", "-quality 90"),
        ({"width": 25_004, "height": 10_001}, "2.5001 times", "2.5 to 1", "-crop"),
        ({"mode": "CMYK"}, "CMYK", "RGB and grey", "-colorspace sRGB"),
        ({"animated": True, "format": "WEBP"}, "animated", "still", '"hero.jpg[0]"'),
        ({"format": "GIF"}, "GIF", "JPEG, PNG, WEBP", "magick"),
        ({"format": "TIFF"}, "TIFF", "JPEG, PNG, WEBP", "magick"),
    ],
)
def test_images_beyond_a_limit(image: Make, facts: dict[str, Any], what: str, limit: str, remedy: str) -> None:
    (problem,) = check_media(HORSE, [image(**facts)])
    assert problem.file == "hero.jpg"
    assert problem.what.startswith("hero.jpg ")
    assert what in problem.what
    assert limit in problem.limit
    assert remedy in problem.remedy


@pytest.mark.parametrize(
    ("facts", "lead"),
    [
        ({"mode": "CMYK"}, 'Fix it: magick "hero.jpg"'),
        ({"size_bytes": 10_000_001}, 'Fix it: magick "hero.jpg"'),
        (
            {"format": "GIF"},
            "Convert it. Then delete the old file, and correct the brief or list that names it: magick",
        ),
    ],
)
def test_a_command_that_changes_the_ending_says_what_to_do_with_the_old_file(
    image: Make, facts: dict[str, Any], lead: str
) -> None:
    (problem,) = check_media(HORSE, [image(**facts)])
    assert problem.remedy.startswith(lead)


@pytest.mark.parametrize("family", [I2V, DANCE])
def test_print_colours_and_animations_are_refused_everywhere(image: Make, audio: Make, family: Family) -> None:
    media = [image(mode="CMYK", animated=True), audio(seconds=5)]
    assert len(check_media(family, media)) == 2


def test_all_problems_of_a_file_are_reported(image: Make) -> None:
    assert len(check_media(HORSE, [image(width=100, height=900, mode="CMYK", format="TIFF", size_bytes=10**8)])) == 5


@pytest.mark.parametrize(
    ("family", "seconds", "fits"),
    [
        (T2V, 2.99, False),
        (T2V, 3.0, True),
        (T2V, 30.0, True),
        (T2V, 30.01, False),
        (I2V, 1.99, False),
        (I2V, 2.0, True),
        (I2V, 30.0, True),
        (I2V, 30.01, False),
        (DANCE, 1.99, False),
        (DANCE, 2.0, True),
        (DANCE, 15.0, True),
        (DANCE, 15.01, False),
    ],
)
def test_lengths_of_sounds(image: Make, audio: Make, family: Family, seconds: float, fits: bool) -> None:
    media = [audio(seconds=seconds)] if family is T2V else [image(), audio(seconds=seconds)]
    problems = check_media(family, media)
    assert bool(problems) is not fits
    if problems:
        assert "voice.mp3 has" in problems[0].what
        assert "ffmpeg" in problems[0].remedy
        assert "s." in problems[0].limit


@pytest.mark.parametrize(
    ("family", "seconds", "said"),
    [(T2V, 2.9999, "2.9999 s."), (T2V, 30.00001, "30.00001 s."), (DANCE, 1.5, "1.50 s."), (DANCE, 15.004, "15.004 s.")],
)
def test_a_length_just_over_its_limit_is_shown_with_enough_digits(
    image: Make, audio: Make, family: Family, seconds: float, said: str
) -> None:
    (problem,) = check_media(family, [audio(seconds=seconds)] if family is T2V else [image(), audio(seconds=seconds)])
    assert problem.what == f"voice.mp3 has {said}"


def test_a_size_just_over_its_limit_is_shown_with_enough_digits(image: Make, audio: Make) -> None:
    (problem,) = check_media(DANCE, [image(), audio(size_bytes=15_000_000)])
    assert (problem.what, problem.limit) == (
        "voice.mp3 has 15.000000 MB.",
        "At most 14.999999 MB are allowed.",
    )


@pytest.mark.parametrize(
    ("family", "size", "fits"),
    [(T2V, 15_000_000, True), (T2V, 15_000_001, False), (DANCE, 14_999_999, True), (DANCE, 15_000_000, False)],
)
def test_sizes_of_sounds(audio: Make, family: Family, size: int, fits: bool) -> None:
    assert bool(check_media(family, [audio(size_bytes=size)])) is not fits


@pytest.mark.parametrize(
    ("container", "codec", "fits"),
    [
        ("mp3", "mp3", True),
        ("mp3", "mp3float", True),
        ("wav", "pcm_s16le", True),
        ("wav", "pcm_f32le", True),
        ("wav", "adpcm_ms", False),
        ("mp4", "aac", False),
        ("ogg", "vorbis", False),
    ],
)
def test_formats_of_sounds(audio: Make, container: str, codec: str, fits: bool) -> None:
    problems = check_media(T2V, [audio(container=container, codec=codec)])
    assert bool(problems) is not fits
    if problems:
        assert 'ffmpeg -i "voice.mp3"' in problems[0].remedy


def test_a_recording_that_was_not_decoded_to_its_end(audio: Make) -> None:
    (problem,) = check_media(T2V, [audio(seconds=600.0, longer=True)])
    assert "more than 600 s" in problem.what


@pytest.mark.parametrize(
    ("facts", "fits"),
    [
        ({"seconds": 1.9}, False),
        ({"seconds": 2.0}, True),
        ({"seconds": 15.0}, True),
        ({"seconds": 15.1}, False),
        ({"container": "mov"}, True),
        ({"container": "matroska"}, False),
    ],
)
def test_reference_videos(image: Make, video: Make, facts: dict[str, Any], fits: bool) -> None:
    assert bool(check_media(DANCE, [image(), video(**facts)])) is not fits


def test_numbers_of_files(image: Make, audio: Make, video: Make) -> None:
    def many(make: Make, count: int) -> list[MeasuredMedium]:
        return [make(f"{at}.x") for at in range(count)]

    assert not check_media(DANCE, [*many(image, 9), *many(audio, 3), *many(video, 3)])
    assert "at most 9" in check_media(DANCE, many(image, 10))[0].limit
    assert "at most 3" in check_media(DANCE, [image(), *many(audio, 4)])[0].limit
    assert "at most 3" in check_media(DANCE, [image(), *many(video, 4)])[0].limit
    assert "no audio" in check_media(HORSE, [image(), audio()])[0].limit
    assert "needs at least 1" in check_media(HORSE, [])[0].limit
    assert "needs at least 1" in check_media(T2V, [])[0].limit


def test_a_name_cannot_leave_the_quotes_of_a_command(image: Make) -> None:
    (problem,) = check_media(HORSE, [image('a"; rm -rf $(x) `y`\n.jpg', mode="CMYK")])
    assert not set("$`\n") & set(problem.text)
    assert problem.remedy.count('"') == 4
