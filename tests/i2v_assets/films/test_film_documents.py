"""Films are read as strictly as briefs: a refusal names the key, the limit and the remedy."""

import pytest

from i2v_assets.films.spec import ClipShot, FilmError, InlineShot, TrackSpec, film_name, parse_film, shot_name


def _refused(text: str) -> str:
    with pytest.raises(FilmError) as caught:
        parse_film(text, "harbour.yaml", "yaml")
    return f"{caught.value.message} {caught.value.remedy}"


def test_a_whole_film() -> None:
    film = parse_film(
        """
        image: harbour.jpg
        continuity: last_frame
        crossfade: 0.5
        music: {file: uploads/_media/theme.mp3, gain_db: -18}
        defaults: {resolution: 720p, duration: 8}
        shots:
          - The camera pans over the harbour
          - clip: shoes--0001
            crossfade: 0
          - prompt: She turns
            duration: 4
          - prompt: Another place
            images: uploads/_media/b.png
        """,
        "harbour.yaml",
        "yaml",
    )
    first, second, third, fourth = film.shots
    assert isinstance(first, InlineShot)
    assert first.brief.images is not None
    assert first.brief.images[0].file == "sequences/harbour.jpg"
    assert (first.brief.duration, first.brief.resolution, first.crossfade, first.from_last_frame) == (
        8,
        "720p",
        0,
        False,
    )
    assert second == ClipShot("shoes--0001", 0.0)
    assert isinstance(third, InlineShot)
    assert (third.brief.duration, third.brief.images, third.crossfade, third.from_last_frame) == (4, None, 0.5, True)
    assert isinstance(fourth, InlineShot)
    assert not fourth.from_last_frame  # its own image
    assert film.tracks == (TrackSpec("uploads/_media/theme.mp3", -18.0, loop=True, fade_out=2.0),)


def test_prompts_over_one_image_follow_one_another() -> None:
    film = parse_film("image: a.jpg\nshots: [one, two, three]", "a.yaml", "yaml")
    assert [shot.from_last_frame for shot in film.shots if isinstance(shot, InlineShot)] == [False, True, True]
    apart = parse_film("image: a.jpg\ncontinuity: none\nshots: [one, two]", "a.yaml", "yaml")
    assert [
        shot.brief.images[0].file for shot in apart.shots if isinstance(shot, InlineShot) and shot.brief.images
    ] == ["sequences/a.jpg"] * 2


def test_names() -> None:
    assert film_name("sequences/My film.yaml") == "My-film"
    assert shot_name("My-film", 3) == "My-film--03"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("shot: [a]", "`shot` is not a key of a film. Did you mean `shots`?"),
        ("image: a.jpg", "`shots` is nothing"),
        ("image: a.jpg\nshots: []", "a list of 0. `shots` must be a list of 1 to 100"),
        ("image: a.jpg\nshots: [a]\ncontinuity: last", "`continuity` must be last_frame"),
        ("image: a.jpg\nshots: [a, 5]", "shot 2 is a number"),
        ("shots: [a]", "shot 1 has no image to start from"),
        ("image: ../a.jpg\nshots: [a]", "must name a file"),
        ("image: a.jpg\nshots: [{promt: x}]", "shot 1: `promt` is not a key of a shot. Did you mean `prompt`?"),
        ("image: a.jpg\nshots: [{prompt: x, duration: long}]", "shot 1: `duration` is 'long'"),
        ("image: a.jpg\nshots: [{prompt: x, dub: {en: a.mp3}}]", "`dub` is not a key of a shot"),
        ("image: a.jpg\nshots: [{clip: hero, prompt: x}]", "names a clip and also `prompt`"),
        ("image: a.jpg\nshots: [{prompt: x}, {prompt: y, crossfade: 11}]", "a number of seconds from 0 to 10"),
        ("image: a.jpg\ncrossfade: 3\nshots: [a, b, c]", "shot 2 has 5 s, but its crossfades need 6 s"),
        ("image: a.jpg\nshots: [a]\nmusic: {gain_db: 1}", "`music` does not name a file"),
        ("image: a.jpg\nshots: [a]\nmusic: {file: a.mp3, gain: 1}", "Did you mean `gain_db`?"),
        ("image: a.jpg\nshots: [a]\ndefaults: {images: b.jpg}", "`defaults` sets `images`"),
        ("image: a.jpg\nshots: [a]\ndefaults: {duration: 0}", "harbour.yaml `defaults`: `duration` is 0"),
        ("image: a.jpg\nshots: [a\n", "not valid YAML"),
    ],
)
def test_invalid_films_are_refused_with_the_problem(text: str, words: str) -> None:
    assert words in _refused(text)
