"""What a request will cost, as it is learned from settled costs."""

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.prices.billed import Billed, PriceTerms, billed_of
from resources.prices.quote import PastCost, Quote, make_quote
from resources.schemas.families.seedance_2_0 import NAME as SEEDANCE_PRO
from resources.schemas.inputs import GenerationInputs, Medium, MediumKind

BASE = 1_000_000
TERMS = PriceTerms("now")
HD = Billed(family="model", resolution="1080p", duration=5, images=1)
SD = HD.model_copy(update={"resolution": "720p"})


def costs(*amounts: int, billed: Billed = HD, terms: str = "now", base: int = BASE) -> list[PastCost]:
    """Settled costs, the oldest first as they are written here; quotes take them newest first."""
    return [PastCost(billed.key, base, terms, amount) for amount in reversed(amounts)]


def quote(
    past: Sequence[PastCost] = (), *, billed: Billed = HD, headroom: float = 2, terms: PriceTerms = TERMS
) -> Quote:
    return make_quote(BASE, "the base", billed, terms, past, headroom=headroom)


def test_without_any_cost_the_base_is_expected_and_the_headroom_is_agreed_to() -> None:
    found = quote()
    assert (found.base, found.expected, found.at_most, found.known) == (BASE, BASE, 2 * BASE, 0)
    assert "no request like it has been billed yet" in found.expected_reason
    assert "2 x the base" in found.at_most_reason
    assert "I2V_PRICE_HEADROOM" in found.at_most_reason


def test_the_median_of_what_was_billed_is_expected_with_its_reason() -> None:
    found = quote(costs(*[1_500_000] * 23))
    assert (found.expected, found.at_most, found.known) == (1_500_000, 1_650_000, 23)
    assert found.expected_reason == "1080p, 5 s was billed at 1.5 x in 23 earlier requests."


def test_with_fewer_than_ten_the_headroom_stays() -> None:
    assert quote(costs(*[1_000_000] * 9)).at_most == 2 * BASE
    assert quote(costs(*[1_000_000] * 10)).at_most == 1_100_000
    assert quote(costs(2_000_000)).at_most == 2_200_000, "what was billed counts, however few there are"


def test_one_dearer_request_raises_the_most_at_once_and_it_falls_only_after_20() -> None:
    usual, dear = [1_000_000] * 30, 1_800_000
    assert quote(costs(*usual)).at_most == 1_100_000
    for after in (0, 1, 10, 19):
        assert quote(costs(*usual, dear, *[1_000_000] * after)).at_most == 1_980_000, after
    fallen = quote(costs(*usual, dear, *[1_000_000] * 20))
    assert (fallen.expected, fallen.at_most) == (1_000_000, 1_100_000)


def test_a_level_that_others_reached_too_counts_for_all_fifty() -> None:
    assert quote(costs(1_800_000, 1_750_000, *[1_000_000] * 30)).at_most == 1_980_000
    assert quote(costs(1_800_000, 1_750_000, *[1_000_000] * 50)).at_most == 1_100_000


@pytest.mark.parametrize("factor", [1.3, 0.7])
def test_a_change_of_the_price_is_expected_after_a_few_requests(factor: float) -> None:
    new = round(BASE * factor)
    found = quote(costs(*[BASE] * 50, *[new] * 4))
    assert found.expected == new
    assert "its price has changed" in found.expected_reason
    assert quote(costs(*[BASE] * 50, *[new] * 2)).expected == BASE, "two may be outliers"


def test_other_parameters_stand_in_and_it_is_said() -> None:
    past = costs(*[1_000_000] * 20, billed=SD) + costs(*[1_500_000] * 20, billed=HD.model_copy(update={"duration": 10}))
    found = quote(past)
    assert found.expected == 1_500_000, "the same resolution is nearer than the same duration"
    assert "10 s" in found.expected_reason
    assert "nearest known parameters" in found.expected_reason
    assert found.at_most == 2 * BASE, "they are not its own"


@pytest.mark.parametrize("earlier", ["before"])
def test_a_change_of_the_base_or_the_note_makes_the_quote_careful_again(earlier: str) -> None:
    past = costs(*[600_000] * 30, terms=earlier, base=500_000)
    found = quote(past)
    assert (found.expected, found.at_most, found.known) == (1_200_000, 2 * BASE, 0)
    assert "before the catalogue's base price or note changed" in found.expected_reason
    mixed = costs(*[600_000] * 30, terms=earlier, base=500_000)
    found = quote(costs(1_100_000) + mixed)
    assert (found.expected, found.at_most, found.known) == (1_100_000, 2 * BASE, 1)


def test_a_factor_that_the_note_names_is_more_headroom() -> None:
    found = quote(terms=PriceTerms("now", 4.0))
    assert found.at_most == 4 * BASE
    assert "note" in found.at_most_reason
    assert quote(terms=PriceTerms("now", 1.5)).at_most == 2 * BASE


def test_a_key_of_another_version_is_left_out() -> None:
    odd = PastCost('{"unheard": "of"}', BASE, "now", 9)
    assert quote([odd]).expected == BASE


@given(
    st.lists(st.integers(1, 10**10), max_size=60),
    st.integers(1, 10**9),
    st.floats(1, 100),
    st.floats(1, 20),
    st.booleans(),
)
def test_a_quote_is_never_below_what_it_was_learned_from(
    amounts: list[int], base: int, headroom: float, named: float, exact: bool
) -> None:
    past = costs(*amounts, billed=HD if exact else SD, base=base)
    found = make_quote(base, "", HD, PriceTerms("now", named), past, headroom=headroom)
    latest = amounts[-20:]
    assert found.at_most >= found.expected >= 0
    assert not amounts or min(amounts[-50:]) <= found.expected <= max(amounts[-50:])
    assert all(found.at_most * 10 >= amount * 11 for amount in latest)
    assert len(amounts) >= 10 or found.at_most >= int(base * round(max(headroom, named), 3)) - base // 1000 - 1
    assert Quote.model_validate_json(found.model_dump_json()) == found


def medium(kind: MediumKind) -> Medium:
    return Medium(kind=kind, sha256="0" * 64, key="a", size_bytes=1, content_type="x/y")


def test_what_decides_a_price_is_read_from_the_inputs() -> None:
    image, video, audio = (medium(kind) for kind in (MediumKind.IMAGE, MediumKind.VIDEO, MediumKind.AUDIO))
    inputs = GenerationInputs(
        family=SEEDANCE_PRO, prompt="drift", images=(image, image), videos=(video,), duration=5,
        resolution="1080p", seed=1, generate_audio=False,
    )  # fmt: skip
    found = billed_of(inputs, [2.1, 3.2], {"fps": 24})
    assert found == Billed(
        family="seedance-2.0/pro", resolution="1080p", duration=5, sound="off", input_seconds=6, images=2,
        more=(("fps", "24"),),
    )  # fmt: skip
    assert found.words == "1080p, 5 s, without sound, with videos of 6 s, with 2 images, fps 24"
    assert Billed.of_key(found.key) == found
    assert billed_of(inputs).input_seconds is None
    spoken = inputs.model_copy(update={"audios": (audio,), "videos": ()})
    assert (billed_of(spoken).sound, billed_of(spoken).input_seconds) == ("given", 0)
    assert billed_of(inputs.model_copy(update={"seed": 9, "prompt": "tilt"})).key == billed_of(inputs).key


def test_a_body_of_a_live_schema_is_billed_by_its_switches_numbers_and_choices() -> None:
    body = {"prompt": "drift", "seed": 7, "mode": "pro", "sound": True, "cfg": 0.5, "image": {"medium": "image 1"}}
    inputs = GenerationInputs(
        family="kling/kling-3.0/pro", prompt="drift", duration=5, resolution="", seed=7, body=body
    )
    assert billed_of(inputs).more == (("cfg", "0.5"), ("mode", "pro"), ("sound", "True"))
    many = {f"{number}{'x' * 99}": "y" * 40 for number in range(99)}
    assert len(billed_of(inputs.model_copy(update={"body": many})).key) < 2_700


def _aged(*costs: tuple[int, int]) -> list[PastCost]:
    return [PastCost(HD.key, BASE, "now", cost, age) for cost, age in costs]


@pytest.mark.parametrize("rise", [0.001, -0.001, 0.0004])
def test_a_price_that_drifts_is_continued_and_said(rise: float) -> None:
    dice = random.Random(5)
    ages = sorted(dice.sample(range(3, 200), 40))
    costs = [round(1.5 * BASE * math.exp(-rise * age) / 10_000) * 10_000 for age in ages]
    costs[3] *= 3  # an outlier
    found = quote(_aged(*zip(costs, ages, strict=True)))
    assert abs(found.expected / (1.5 * BASE) - 1) < 0.01
    assert f"{'rises' if rise > 0 else 'falls'} by {abs(rise):.2%} with each request" in found.expected_reason
    assert found.at_most >= found.expected * 1.1 - 1


def test_a_trend_is_not_continued_for_ever() -> None:
    costs = _aged(*((round(BASE * math.exp(-0.001 * age)), age + 5_000) for age in range(0, 200, 5)))
    assert quote(costs).expected < BASE * 1.12


def test_a_rise_at_once_is_not_a_trend() -> None:
    for since in (7, 12, 20):
        costs = _aged(*(((1_300_000 if at < since else 1_000_000), 4 * at + 2) for at in range(40)))
        found = quote(costs)
        assert found.expected == 1_300_000
        assert "rises" not in found.expected_reason
        assert "its price has changed" in found.expected_reason


def test_a_cost_that_is_reported_late_counts_at_its_own_time() -> None:
    late = _aged(*((900_000, 150 + at) for at in range(8)))  # settled last, and claimed first
    costs = _aged(*((1_000_000, 2 * at) for at in range(30)))
    assert quote([*late, *costs]).expected == 1_000_000
