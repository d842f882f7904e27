"""An entry of the catalogue that is refused, odd, huge or trips a reader stops its own model, and no other one."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from i2v_assets.pipeline.plan import plan_offers
from resources.ledger.ledger import Ledger
from resources.registry.agreed_prices import CatalogueMemory
from resources.runcomfy import catalogue as catalogue_module
from resources.runcomfy import offers as offers_module
from resources.runcomfy.catalogue import Catalogue
from resources.runcomfy.errors import Forbidden, InvalidInput, Rejected, ServiceError, Unauthorized
from resources.runcomfy.offers import LiveOffer, Offers
from resources.runcomfy.wire import CatalogueEntry, read_entry
from resources.schemas.endpoints import LiveEndpoint, ids_for
from resources.schemas.families.seedance_2_0 import NAME as SEEDANCE_PRO
from resources.schemas.inputs import MediumKind
from resources.schemas.live_body import Wishes, write_body
from resources.schemas.live_limits import limits_of, usual_duration
from resources.schemas.live_words import MAX_FIELDS
from tests.resources.runcomfy.hostile_entries import hostile_entry

GOOD, BAD = "good/one/image-to-video", "bad/one/image-to-video"
PLAIN = {"base_price_usd": 0.1, "price_unit": "second", "input_schema": {"properties": {"prompt": {"type": "string"}}}}
HOSTILE = 300
"""Entries in one look; they read in about a second."""


class Service:
    """Answers with a body, or with an error, for each id."""

    def __init__(self, **answers: dict[str, Any] | ServiceError) -> None:
        self.answers = answers

    async def model(self, model_id: str) -> CatalogueEntry:
        answer = self.answers.get(model_id, PLAIN)
        if isinstance(answer, ServiceError):
            raise answer
        return read_entry(answer, model_id)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[CatalogueMemory]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        yield CatalogueMemory(ledger.database)


def look(memory: CatalogueMemory, service: Service, *families: str) -> dict[str, LiveOffer]:
    async def ask() -> dict[str, LiveOffer]:
        offers = Offers(Catalogue(service, {}, 300), memory, "sandbox")  # type: ignore[arg-type]
        found = await offers.all(families)
        await plan_offers(offers, families)
        return found

    return asyncio.run(ask())


def test_no_hostile_entry_stops_the_look_or_a_reader_behind_it(memory: CatalogueMemory) -> None:
    bad = {f"bad/{seed}/image-to-video": hostile_entry(seed) for seed in range(HOSTILE)}
    found = look(memory, Service(**bad), *bad, GOOD)
    assert set(found) == {*bad, GOOD}
    good = found[GOOD].offer
    assert good is not None
    assert good.price_microdollars_per_unit == 100_000
    used = [offer for each in bad if (offer := found[each].offer) is not None]
    assert len(used) > HOSTILE / 4, "the drawn entries are so wrong that nothing behind the first look is tried"
    assert len(used) < HOSTILE
    for offer in used:
        endpoint = offer.endpoint
        assert isinstance(endpoint, LiveEndpoint)
        limits_of(endpoint), limits_of(endpoint, ends=True), usual_duration(endpoint)
        files = {kind: ["a.file", "b.file"] for kind in MediumKind}
        write_body(endpoint, Wishes("a prompt", files, {"duration": 5, "seed": 3, "resolution": "720p"}, ends=True))
    for each in found.values():
        assert sum(map(len, each.differences)) < 1_000 * MAX_FIELDS


@pytest.mark.parametrize("where", [(catalogue_module, "read_schema"), (catalogue_module, "terms_of"), (offers_module, "differences")])  # fmt: skip
@pytest.mark.parametrize("error", [TypeError, RecursionError, KeyError, MemoryError])
def test_an_unforeseen_error_of_one_entry_stops_its_model_alone(
    memory: CatalogueMemory, monkeypatch: pytest.MonkeyPatch, where: tuple[Any, str], error: type[Exception]
) -> None:
    module, name = where
    real: Callable[..., Any] = getattr(module, name)

    def trips(*given: Any) -> Any:
        if "TRIPS" in repr(given):
            raise error("https://bucket.invalid/x?X-Amz-Signature=secret")
        return real(*given)

    monkeypatch.setattr(module, name, trips)
    fields = {"prompt": {"type": "string", "description": "TRIPS"}}
    answers = {BAD: {**PLAIN, "input_schema": {"properties": fields}}}
    found = look(memory, Service(**answers), BAD, GOOD)
    assert found[GOOD].offer is not None
    assert found[BAD].offer is None
    (words,) = found[BAD].unapproved_changes
    assert error.__name__ in words
    assert BAD in words
    assert "secret" not in words


@pytest.mark.parametrize("error", [Rejected("no"), Forbidden("no"), InvalidInput("no")])
def test_an_entry_that_the_service_refuses_to_show_is_one_that_does_not_answer(
    memory: CatalogueMemory, error: ServiceError
) -> None:
    found = look(memory, Service(**{ids_for(SEEDANCE_PRO)[0]: error}), SEEDANCE_PRO, GOOD)
    assert found[SEEDANCE_PRO].offer is None
    assert found[GOOD].offer is not None


def test_a_rejected_token_stops_the_look(memory: CatalogueMemory) -> None:
    with pytest.raises(Unauthorized):
        look(memory, Service(**{BAD: Unauthorized("no")}), BAD, GOOD)
