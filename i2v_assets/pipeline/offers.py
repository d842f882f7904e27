"""What the service offers now, per family, as the planner reads it."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from i2v_assets.planning.plan import PlanOffer
from resources.errors import I2VError, Verdict
from resources.registry.agreed_prices import AgreedOffer, CatalogueMemory
from resources.runcomfy.catalogue import Catalogue, Offer
from resources.runcomfy.drift import differences
from resources.runcomfy.errors import FamilyUnavailable
from resources.schemas.inputs import Family, Service


def unapproved_changes(
    differences: Sequence[str],
    price_microdollars: int | None,
    price_unit: str,
    agreed: AgreedOffer | None,
) -> tuple[str, ...]:
    """What of a family's live entry nobody has agreed to yet, in words; empty where the route is open.

    Args:
        differences: between the entry and what the code knows.
        price_microdollars: the live price per unit, None where it cannot be read.
        price_unit: the live unit.
        agreed: what was agreed to last; None at the first sight, when the live price is the first one known.
    """
    accepted = set(agreed.accepted) if agreed else set()
    found = [difference for difference in differences if difference not in accepted]
    if agreed is not None and (agreed.price_microdollars, agreed.price_unit) != (price_microdollars, price_unit):
        found.append(
            f"the price is now {_price(price_microdollars, price_unit)}, "
            f"was {_price(agreed.price_microdollars, agreed.price_unit)}"
        )
    return tuple(found)


def _price(microdollars: int | None, unit: str) -> str:
    return "unknown" if microdollars is None else f"{microdollars / 1_000_000:g} USD per {unit}"


REMEMBERED_SECONDS = 30.0
"""How long a run believes what was agreed to: an acceptance reaches running batches within this time."""


@dataclass(frozen=True)
class LiveOffer:
    """One family now: its offer (None where no id answers), all differences, and those that nobody agreed to."""

    family: Family
    offer: Offer | None
    differences: tuple[str, ...] = ()
    unapproved_changes: tuple[str, ...] = ()


class Offers:
    """Asks the catalogue (which remembers its answers for a while) for every family at once."""

    def __init__(self, catalogue: Catalogue, memory: CatalogueMemory, service: Service) -> None:
        self._catalogue = catalogue
        self._memory = memory
        self._service = service
        self._agreed: dict[str, AgreedOffer] = {}
        self._agreed_at = -REMEMBERED_SECONDS
        self._compared: dict[Family, tuple[AgreedOffer | None, LiveOffer]] = {}

    async def now(self) -> dict[Family, PlanOffer | None]:
        """Each family's id and price; None where no id answers.

        A catalogue that does not answer now (a passing fault) leaves the family out: the planner goes on without a price,
        and nothing is paid at one that no plan has shown.

        Raises:
            I2VError: the token is missing or rejected.
        """
        found = await asyncio.gather(*(self._unless_passing(family) for family in Family))
        return {live.family: _plan_offer(live) for live in found if live is not None}

    async def _unless_passing(self, family: Family) -> LiveOffer | None:
        try:
            return await self.live(family)
        except I2VError as error:
            if error.verdict is Verdict.RETRYABLE:
                return None
            raise

    async def live(self, family: Family) -> LiveOffer:
        """One family with its differences; the first sight of a family agrees to its price.

        Raises:
            ServiceError: the catalogue does not answer.
        """
        try:
            offer = await self._catalogue.resolve(family)
        except FamilyUnavailable as error:
            return LiveOffer(family, None, (error.message,), (error.message,))
        agreed = await self._agreed_to(family, offer)
        known = self._compared.get(family)  # every clip of a batch asks, and comparing costs 10 ms of CPU
        if known is None or known[0] != agreed or known[1].offer is not offer:
            found = differences(offer.endpoint, offer.entry)
            wrong = unapproved_changes(found, offer.price_microdollars_per_unit, offer.price_unit, agreed)
            known = self._compared[family] = (agreed, LiveOffer(family, offer, found, wrong))
        return known[1]

    async def _agreed_to(self, family: Family, offer: Offer) -> AgreedOffer | None:
        if time.monotonic() - self._agreed_at >= REMEMBERED_SECONDS:
            self._agreed = await asyncio.to_thread(self._memory.agreed, self._service)
            self._agreed_at = time.monotonic()
        if family.value not in self._agreed and offer.price_microdollars_per_unit is not None:
            await asyncio.to_thread(agree, self._memory, self._service, LiveOffer(family, offer), "first sight")
            self._agreed = await asyncio.to_thread(self._memory.agreed, self._service)
        return self._agreed.get(family.value)


def agree(memory: CatalogueMemory, service: Service, live: LiveOffer, by: str) -> None:
    """Agree to a family's price and differences as they are now; nothing where no id answers."""
    if live.offer is not None:
        memory.agree(
            service,
            live.family.value,
            model_id=live.offer.endpoint.model_id,
            price_microdollars=live.offer.price_microdollars_per_unit,
            price_unit=live.offer.price_unit,
            differences=live.differences,
            by=by,
        )


def _plan_offer(live: LiveOffer) -> PlanOffer | None:
    if live.offer is None:
        return None
    offer = live.offer
    return PlanOffer(
        offer.endpoint.model_id,
        offer.price_microdollars_per_unit,
        offer.price_unit,
        trouble="; ".join(live.unapproved_changes),
    )
