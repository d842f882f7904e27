"""The id that answered is remembered for the processes that come."""

import asyncio
from pathlib import Path

from resources.ledger.ledger import Ledger
from resources.registry.agreed_prices import CatalogueMemory
from resources.runcomfy.catalogue import Catalogue
from resources.runcomfy.errors import UnknownModel
from resources.runcomfy.offers import Offers
from resources.runcomfy.wire import CatalogueEntry, read_entry
from resources.schemas.endpoints import ids_for
from resources.schemas.families.seedance_2_0 import NAME as SEEDANCE_PRO

DOCUMENTED, CATALOGUE_ID = ids_for(SEEDANCE_PRO)


def questions(path: Path, knows: str) -> list[str]:
    """What a process of its own asks, that looks twice at a service which knows one of the ids."""
    asked: list[str] = []

    class Service:
        async def model(self, model_id: str) -> CatalogueEntry:
            asked.append(model_id)
            if model_id != knows:
                raise UnknownModel("no")
            return read_entry({"base_price_usd": 0.1, "price_unit": "second"}, model_id)

    async def look(memory: CatalogueMemory) -> None:
        offers = Offers(Catalogue(Service(), {}, 0), memory, "sandbox")  # type: ignore[arg-type]
        for _ in range(2):
            live = await offers.live(SEEDANCE_PRO)
            assert live.offer is not None
            assert live.offer.endpoint.model_id == knows
            assert live.unapproved_changes == ()

    with Ledger.open(f"sqlite:///{path / 'ledger.sqlite'}") as ledger:
        asyncio.run(look(CatalogueMemory(ledger.database)))
    return asked


def test_ids_are_looked_up_once_and_remembered(tmp_path: Path) -> None:
    assert questions(tmp_path, CATALOGUE_ID) == [DOCUMENTED, CATALOGUE_ID, CATALOGUE_ID]
    assert questions(tmp_path, CATALOGUE_ID) == [CATALOGUE_ID, CATALOGUE_ID]
    assert questions(tmp_path, DOCUMENTED) == [CATALOGUE_ID, DOCUMENTED, DOCUMENTED], "the remembered one is gone"
    assert questions(tmp_path, DOCUMENTED) == [DOCUMENTED, DOCUMENTED]
