"""In which order a folder's files are numbered where the brief lists none."""

import itertools

import pytest

from i2v_assets.uploads.media_order import order_key


def ordered(*names: str) -> list[str]:
    """Sort from every order that a listing may have."""
    found = {tuple(sorted(each, key=order_key)) for each in itertools.permutations(names)}
    (only,) = found
    return list(only)


@pytest.mark.parametrize(
    "names",
    [
        ("IMG_8.jpg", "IMG_10.jpg"),
        ("IMG_08.jpg", "IMG_8.jpg", "IMG_9.jpg"),
        ("2/10.jpg", "10/2.jpg"),
        ("a.jpg", "B.jpg", "c.jpg"),
        ("start.jpg", "end.jpg"),
        ("START.JPG", "middle.jpg", "END.JPG"),
        ("hero_first-frame.png", "hero_last-frame.png"),
        ("zoeBefore.png", "aliceAfter.png"),
        ("subject.jpg", "background.jpg"),
        ("woman.jpg", "background.jpg"),
        ("Anfang.jpg", "Ende.jpg"),
        ("vorher.jpg", "nachher.jpg"),
        ("motiv.jpg", "hintergrund.jpg"),
        ("inicio.jpg", "fin.jpg"),
        ("antes.jpg", "después.jpg"),
        ("sujeto.jpg", "fondo.jpg"),
        ("début.jpg", "de\u0301but2.jpg", "dernière.jpg"),
        ("première image.jpg", "après.jpg"),
        ("início.jpg", "fim.jpg"),
        ("primeiro.jpg", "depois.jpg"),
        ("最初.jpg", "最後.jpg"),
        ("商品_開始.png", "商品_終了.png"),
        ("首帧.png", "尾帧.png"),
        ("主体.png", "背景.png"),
    ],
)
def test_roles_and_numbers(names: tuple[str, ...]) -> None:
    assert ordered(*names) == list(names)


@pytest.mark.parametrize("word", ["weekend", "trend", "blast", "startup", "lasting", "friend", "legend"])
def test_a_role_is_a_whole_word(word: str) -> None:
    assert ordered(f"{word}_1.jpg", f"{word}_2.jpg") == [f"{word}_1.jpg", f"{word}_2.jpg"]
    assert order_key(f"{word}.jpg")[0] == 1
