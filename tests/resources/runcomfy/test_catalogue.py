"""Which id serves a family, at what price, and what has drifted."""

import asyncio
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.errors import SettingsError, Verdict
from resources.prices.billed import price_microdollars
from resources.runcomfy.catalogue import Catalogue, differences
from resources.runcomfy.errors import FamilyUnavailable, ServiceUnavailable, UnknownModel, UnknownPriceUnit, Unusable
from resources.runcomfy.wire import CatalogueEntry, read_entry
from resources.schemas.endpoints import ENDPOINTS, LiveEndpoint, ids_for, input_schema
from resources.schemas.families.seedance_2_0 import NAME as SEEDANCE_PRO
from resources.schemas.inputs import GenerationInputs, Medium, MediumKind

SEED_DOC, SEED_CAT = ids_for(SEEDANCE_PRO)


def entry(model_id: str, **changes: Any) -> CatalogueEntry:
    body = {"model_id": model_id, "base_price_usd": 0.1, "price_unit": "second", **changes}
    body.setdefault("input_schema", copy.deepcopy(input_schema(ENDPOINTS[model_id])))
    return read_entry(body)


class Service:
    """Knows some ids; counts the questions."""

    def __init__(self, *known: str) -> None:
        self.known, self.asked, self.broken = known, list[str](), False

    async def model(self, model_id: str) -> CatalogueEntry:
        self.asked.append(model_id)
        await asyncio.sleep(0)
        if self.broken:
            raise ServiceUnavailable("down")
        if model_id not in self.known:
            raise UnknownModel("no")
        return entry(model_id)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


def catalogue(service: Service, pins: dict[str, str] | None = None, clock: Clock | None = None) -> Catalogue:
    return Catalogue(service, pins or {}, 300, clock=clock or Clock())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("known", "answered", "asked"),
    [((SEED_DOC, SEED_CAT), SEED_DOC, [SEED_DOC]), ((SEED_CAT,), SEED_CAT, [SEED_DOC, SEED_CAT])],
)
def test_the_documented_id_is_queried_first_and_the_dialect_follows_the_id(
    known: tuple[str, ...], answered: str, asked: list[str]
) -> None:
    service = Service(*known)
    offer = asyncio.run(catalogue(service).resolve(SEEDANCE_PRO))
    assert (offer.endpoint, service.asked) == (ENDPOINTS[answered], asked)
    assert (offer.price_microdollars_per_unit, offer.price_unit) == (100_000, "second")


def test_only_a_pinned_id_is_queried() -> None:
    service = Service(SEED_DOC)
    with pytest.raises(FamilyUnavailable) as caught:
        asyncio.run(catalogue(service, {"seedance-2.0/pro": SEED_CAT}).resolve(SEEDANCE_PRO))
    assert service.asked == [SEED_CAT]
    assert caught.value.verdict is Verdict.FINAL


@pytest.mark.parametrize(
    "pins", [{"seedance": SEED_CAT}, {"seedance-2.0/pro": "wan-ai/wan-2.7/image-to-video"}, {"seedance-2.0/pro": "x/y"}]
)
def test_an_invalid_pin_is_refused_with_the_valid_ids(pins: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        catalogue(Service(), pins)
    assert caught.value.remedy.startswith("Known")


def test_a_batch_shares_one_query_and_an_offer_stays_valid_for_its_age() -> None:
    service, clock = Service(SEED_DOC), Clock()

    async def scenario() -> list[int]:
        known, counts = catalogue(service, clock=clock), []
        await asyncio.gather(*(known.resolve(SEEDANCE_PRO) for _ in range(50)))
        counts.append(len(service.asked))
        clock.now += 290
        await known.resolve(SEEDANCE_PRO)
        counts.append(len(service.asked))
        clock.now += 20
        await known.resolve(SEEDANCE_PRO)
        return [*counts, len(service.asked)]

    assert asyncio.run(scenario()) == [1, 1, 2]


def test_the_id_that_answered_is_asked_from_then_on() -> None:
    """Ids are looked up once; the other one is asked again only when the remembered one is gone."""
    service, clock = Service(SEED_CAT), Clock()

    async def scenario() -> list[str]:
        known = catalogue(service, clock=clock)
        for _ in range(3):
            await known.resolve(SEEDANCE_PRO)
            clock.now += 301
        service.known = (SEED_DOC,)
        return [(await known.resolve(SEEDANCE_PRO)).endpoint.model_id]

    assert asyncio.run(scenario()) == [SEED_DOC]
    assert service.asked == [SEED_DOC, SEED_CAT, SEED_CAT, SEED_CAT, SEED_CAT, SEED_DOC]


class Described(Service):
    """Knows one model that the code does not, as its entry describes it."""

    def __init__(self, **described: Any) -> None:
        super().__init__()
        self.described = described

    async def model(self, model_id: str) -> CatalogueEntry:
        return read_entry({"model_id": model_id, "base_price_usd": 0.1, "price_unit": "second", **self.described})


PLAIN = {"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]}


def test_an_id_that_the_code_does_not_know_is_used_by_its_live_schema() -> None:
    offer = asyncio.run(catalogue(Described(input_schema=PLAIN)).resolve("made/up/image-to-video"))
    assert isinstance(offer.endpoint, LiveEndpoint)
    assert (offer.endpoint.model_id, offer.endpoint.family, offer.endpoint.dialect) == (
        *["made/up/image-to-video"] * 2,
        "live",
    )
    assert differences(offer.endpoint, offer.entry) == ()


@pytest.mark.parametrize(
    ("model_id", "described", "words"),
    [
        ("a/b", {}, "no input schema"),
        ("a/b", {"input_schema": {"properties": {"seed": {"type": "integer"}}}}, "no prompt"),
        ("a/text-to-image", {"input_schema": PLAIN}, "makes an image and no video"),
        ("a/b", {"input_schema": PLAIN, "categories": ["image-edit"]}, "makes an image"),
        ("a/b", {"input_schema": PLAIN, "categories": ["text-to-audio"]}, "makes sound"),
        ("a/b", {"input_schema": PLAIN, "output_type": "AUDIO"}, "makes sound"),
    ],
)
def test_what_cannot_be_used_is_told_before_any_money(model_id: str, described: dict[str, Any], words: str) -> None:
    with pytest.raises(Unusable, match=words) as caught:
        asyncio.run(catalogue(Described(**described)).resolve(model_id))
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("model_id", "described"),
    [
        ("a/text-to-video", {}),
        ("a/video-to-video", {"categories": ["video-to-video"]}),
        ("a/audio-to-video/pro", {"categories": ["audio-to-video"]}),
        ("a/image-to-image-animate", {"categories": ["image-to-video", "text-to-image"]}),
        ("a/b", {"categories": ["something"]}),
        ("a/text-to-image", {"output_type": "VIDEO"}),
    ],
)
def test_a_model_is_used_unless_its_entry_says_that_it_makes_no_video(model_id: str, described: dict[str, Any]) -> None:
    assert (
        asyncio.run(catalogue(Described(input_schema=PLAIN, **described)).resolve(model_id)).endpoint.model_id
        == model_id
    )


def test_a_failure_is_shared_by_waiting_callers_but_not_by_later_ones() -> None:
    service = Service(SEED_DOC)
    service.broken = True

    async def scenario() -> int:
        known = catalogue(service)
        failures = await asyncio.gather(*(known.resolve(SEEDANCE_PRO) for _ in range(50)), return_exceptions=True)
        assert all(isinstance(one, ServiceUnavailable) for one in failures)
        asked = len(service.asked)
        service.broken = False
        await known.resolve(SEEDANCE_PRO)
        return asked

    assert asyncio.run(scenario()) == 1


def test_a_cancelled_caller_does_not_fail_the_others() -> None:
    async def scenario() -> str:
        known = catalogue(Service(SEED_DOC))
        first, second = (asyncio.ensure_future(known.resolve(SEEDANCE_PRO)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        return (await second).endpoint.model_id

    assert asyncio.run(scenario()) == SEED_DOC


def inputs(duration: int = 5, images: int = 1) -> GenerationInputs:
    one = Medium(kind=MediumKind.IMAGE, sha256="a" * 64, key="k", size_bytes=1, content_type="image/png")
    return GenerationInputs(
        family=SEEDANCE_PRO, prompt="x", images=(one,) * images, duration=duration, resolution="720p", seed=1
    )


@pytest.mark.parametrize(
    ("usd", "unit", "price"),
    [
        (0.1, "second", 500_000),
        (0.3, "output", 300_000),
        (0.25, "image", 500_000),
        ("0.1", " Second ", 500_000),
        (1e-7, "second", 5),
    ],
)
def test_a_price_follows_its_unit(usd: object, unit: str, price: int) -> None:
    assert price_microdollars(entry(SEED_DOC, base_price_usd=usd, price_unit=unit), inputs(5, 2)) == price


def test_a_clip_without_an_image_costs_the_price_of_one_image() -> None:
    assert price_microdollars(entry(SEED_DOC, price_unit="image"), inputs(5, 0)) == 100_000


@pytest.mark.parametrize(
    ("usd", "unit"),
    [
        (0.1, "minute"),
        (0.1, ""),
        (0.1, None),
        (0.1, "seconds"),
        (None, "second"),
        (-1, "second"),
        (0, "second"),
        ("?", "second"),
        (float("nan"), "output"),
        (True, "output"),
    ],
)
def test_a_price_that_cannot_be_read_is_never_guessed(usd: object, unit: object) -> None:
    with pytest.raises(UnknownPriceUnit):
        price_microdollars(entry(SEED_DOC, base_price_usd=usd, price_unit=unit), inputs())


@given(usd=st.decimals("0.000001", 1000, places=6), seconds=st.integers(1, 60))
def test_prices_are_exact(usd: Any, seconds: int) -> None:
    got = price_microdollars(entry(SEED_DOC, base_price_usd=float(usd)), inputs(seconds))
    assert got == int(usd * 1_000_000) * seconds


@pytest.mark.parametrize("model_id", ENDPOINTS)
def test_an_unchanged_entry_has_no_differences(model_id: str) -> None:
    assert differences(ENDPOINTS[model_id], entry(model_id)) == ()


HORSE = "happyhorse/happyhorse-1-0/image-to-video"


def changed(model_id: str, change: Any) -> tuple[str, ...]:
    schema = copy.deepcopy(input_schema(ENDPOINTS[model_id]))
    change(schema["properties"], schema)
    return differences(ENDPOINTS[model_id], entry(model_id, input_schema=schema))


def put(field: str, **values: Any) -> Any:
    return lambda fields, _: fields.setdefault(field, {}).update(values)


DRIFT = [
    (lambda fields, _: fields.pop("seed"), ("seed no longer exists",)),
    (lambda fields, _: fields.update(images=fields.pop("image_url")), ("image_url is now called images",)),
    (lambda fields, _: fields.update(length=fields.pop("duration")), ("duration no longer exists", "length is new")),
    (lambda fields, _: fields.update(duration_s=fields.pop("duration")), ("duration is now called duration_s",)),
    (put("fps", type="integer"), ("fps is new",)),
    (
        lambda fields, all_: (fields.update(fps={"type": "integer"}), all_["required"].append("fps")),
        ("fps is new and required",),
    ),
    (lambda _, all_: all_["required"].append("duration"), ("duration is now required",)),
    (put("duration", maximum=10), ("largest value of duration is now 10, was 15",)),
    (put("duration", minimum=5), ("smallest value of duration is now 5, was 3",)),
    (put("prompt", maxLength=2000), ("longest text of prompt is now 2000, was 5000",)),
    (put("prompt", minLength=20), ("shortest text of prompt is now 20, was not limited",)),
    (put("watermark", default=False), ("default of watermark is now false, was true",)),
    (put("duration", default=10), ("default of duration is now 10, was 5",)),
    (put("duration", type="string"), ("duration is now string, was integer",)),
    (put("image_url", format="video_uri"), ("image_url now takes video_uri, was image_uri",)),
    (put("resolution", enum=["720P", "1080P", "4K"]), ("resolution also takes 4K",)),
    (put("resolution", enum=["1080P"]), ("resolution no longer takes 720P",)),
    (lambda fields, _: fields.clear(), ("the schema lists no field",)),
]


@pytest.mark.parametrize(("change", "words"), DRIFT, ids=[words[0] for _, words in DRIFT])
def test_a_drift_is_named_in_plain_words(change: Any, words: tuple[str, ...]) -> None:
    assert changed(HORSE, change) == words


HARMLESS = [
    put("duration", type="float"), put("duration", type="int"), put("duration", type=["integer", "null"]), put("prompt", minLength=1),
    put("prompt", title="Prompt", description="other words"), put("resolution", enum=["1080P", "720P"]), put("seed", default=0),
    lambda fields, _: fields["duration"].pop("maximum"), lambda fields, _: fields["watermark"].pop("default"),
    lambda fields, _: fields.update(seed={"anyOf": [fields["seed"], {"type": "null"}]}),
    lambda fields, _: fields["image_url"].pop("format"), lambda _, all_: all_["required"].remove("prompt"), lambda _, all_: all_.pop("required"),
]  # fmt: skip


@pytest.mark.parametrize("change", HARMLESS)
def test_an_equivalent_schema_is_not_a_difference(change: Any) -> None:
    assert changed(HORSE, change) == ()


def test_a_missing_id_an_unreadable_price_and_a_new_unit_are_differences() -> None:
    assert differences(ENDPOINTS[HORSE], None) == (f"{HORSE} is no longer in the catalogue",)
    assert differences(ENDPOINTS[HORSE], entry(HORSE, base_price_usd=None)) == ("the price cannot be read",)
    assert "the price is per minute" in differences(ENDPOINTS[HORSE], entry(HORSE, price_unit="minute"))[0]
    assert differences(ENDPOINTS[HORSE], entry(HORSE, input_schema=None)) == ()


def test_the_other_generation_of_an_id_is_a_difference() -> None:
    found = differences(ENDPOINTS[SEED_DOC], entry(SEED_DOC, input_schema=input_schema(ENDPOINTS[SEED_CAT])))
    assert found[:3] == (
        "image_url is now called images",
        "video_url is now called videos",
        "audio_url is now called audios",
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "enum", "default", "anyOf", "format", "maximum", "properties", "required", "seed"]), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(field=json_values, required=json_values)
def test_no_schema_crashes_the_comparison(field: Any, required: Any) -> None:
    schema = {"properties": {"seed": field, "prompt": {"type": field, "enum": field}}, "required": required}
    assert isinstance(differences(ENDPOINTS[HORSE], entry(HORSE, input_schema=schema)), tuple)
