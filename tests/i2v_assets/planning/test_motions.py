"""What a prompt sets in motion, beside words that only look like a motion or a description."""

import pytest

from i2v_assets.planning.motions import motions_of


@pytest.mark.parametrize(
    "prompt",
    [
        "According to the style book: margins narrow, logo top left, then slow push in",
        "Laut Handbuch: Hintergrund weiß, Produkt mittig, Licht weich, dann langsam heranfahren",
    ],
)
def test_a_guide_that_is_named_describes_no_picture(prompt: str) -> None:
    assert not motions_of(prompt).describes


@pytest.mark.parametrize(
    "prompt",
    [
        "Our photo shows the new oven, copper dials",
        "Dieses Foto zeigt den neuen Ofen, Kupfer",
        "Nuestra foto muestra el horno nuevo",
        "Notre photo montre le nouveau four",
        "Nossa foto mostra o forno novo",
    ],
)
def test_a_picture_that_shows_something_moves_nothing(prompt: str) -> None:
    assert motions_of(prompt).lead is None
