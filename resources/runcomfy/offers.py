"""What the service offers now, per family, compared with the price and the schema that a person agreed to."""

import asyncio
import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from resources.errors import I2VError, Verdict
from resources.registry.agreed_prices import AgreedOffer, CatalogueMemory
from resources.runcomfy.catalogue import Catalogue, Offer, differences, unreadable
from resources.runcomfy.errors import FamilyUnavailable, InsufficientBalance, Rejected, Unauthorized, Unusable
from resources.schemas.families import default_families
from resources.schemas.inputs import Family, Service

_log = logging.getLogger(__name__)


def unapproved_changes(
    differences: Sequence[str],
    price_microdollars: int | None,
    price_unit: str,
    agreed: AgreedOffer | None,
) -> tuple[str, ...]:
    """Return what a family's live entry changes without approval, in words; empty if the route is open.

    Args:
        differences: Between the entry and what the code knows.
        price_microdollars: The live price per unit; None if it cannot be read.
        price_unit: The live unit.
        agreed: What was agreed to last; None if the family is new, and then its live price is agreed to.
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
"""Seconds before what was agreed to is read again: an agreement reaches running batches within this time."""


@dataclass(frozen=True)
class LiveOffer:
    """One family now: its offer (None if no id answers), all differences, and those that are not approved.

    ``unusable`` is the error of a model that answers and cannot be used.
    """

    family: Family
    offer: Offer | None
    differences: tuple[str, ...] = ()
    unapproved_changes: tuple[str, ...] = ()
    unusable: Unusable | None = None


class Offers:
    """Live offers of the catalogue, compared with what was agreed to; belongs to the catalogue's event loop.

    Args:
        catalogue: Ids and prices; it caches its answers.
        memory: What was agreed to.
        service: Whose agreements count.
    """

    def __init__(self, catalogue: Catalogue, memory: CatalogueMemory, service: Service) -> None:
        self._catalogue = catalogue
        self._memory = memory
        self._service = service
        self._agreed: dict[str, AgreedOffer] = {}
        self._agreed_at = -REMEMBERED_SECONDS
        self._compared: dict[Family, tuple[AgreedOffer | None, LiveOffer]] = {}

    async def all(self, families: Collection[Family] | None = None) -> dict[Family, LiveOffer]:
        """Return the live offers of these families, or of those that routes prefer by default, without those that a passing fault of the catalogue keeps from us now.

        Raises:
            I2VError: the token is missing or rejected.
        """
        found = await asyncio.gather(*(self._unless_passing(family) for family in families or default_families()))
        return {live.family: live for live in found if live is not None}

    async def _unless_passing(self, family: Family) -> LiveOffer | None:
        try:
            return await self.live(family)
        except I2VError as error:
            if error.verdict is Verdict.RETRYABLE:
                return None
            raise

    async def live(self, family: Family) -> LiveOffer:
        """Return one family with its differences; the first price of a new family is agreed to.

        An entry that the service refuses to show, or that cannot be read, is one that does not answer.

        Raises:
            ServiceError: the catalogue does not answer, or not to this account.
        """
        await self._recall()
        if (known_as := self._agreed.get(family)) is not None:
            self._catalogue.remember(family, known_as.model_id)
        try:
            offer = await self._catalogue.resolve(family)
        except (Unauthorized, InsufficientBalance):
            raise
        except (FamilyUnavailable, Rejected) as error:
            return LiveOffer(family, None, (error.message,), (error.message,))
        except Unusable as error:
            return LiveOffer(family, None, (error.message,), (error.message,), unusable=error)
        agreed = await self._agreed_to(family, offer)
        known = self._compared.get(family)  # every clip of a batch asks, and comparing costs 10 ms of CPU
        if known is None or known[0] != agreed or known[1].offer is not offer:
            try:
                found = differences(offer.endpoint, offer.entry)
            except Exception as error:  # noqa: BLE001 - as in the catalogue
                _log.exception("Catalogue entry not comparable", extra={"action": "catalogue", "family": family})
                words = unreadable(family, error).message
                return LiveOffer(family, None, (words,), (words,))
            wrong = unapproved_changes(found, offer.price_microdollars_per_unit, offer.price_unit, agreed)
            known = self._compared[family] = (agreed, LiveOffer(family, offer, found, wrong))
        return known[1]

    async def _recall(self, *, anew: bool = False) -> None:
        if anew or time.monotonic() - self._agreed_at >= REMEMBERED_SECONDS:
            self._agreed = await asyncio.to_thread(self._memory.agreed, self._service)
            self._agreed_at = time.monotonic()

    async def _agreed_to(self, family: Family, offer: Offer) -> AgreedOffer | None:
        agreed, model_id = self._agreed.get(family), offer.endpoint.model_id
        if agreed is not None and agreed.model_id != model_id:
            await asyncio.to_thread(self._memory.answered, self._service, family, model_id)
            await self._recall(anew=True)
        if family not in self._agreed and offer.price_microdollars_per_unit is not None:
            await asyncio.to_thread(agree, self._memory, self._service, LiveOffer(family, offer), "first sight")
            await self._recall(anew=True)
        return self._agreed.get(family)


def agree(memory: CatalogueMemory, service: Service, live: LiveOffer, by: str) -> None:
    """Record that a family's price and differences were agreed to as they are now; does nothing if no id answers."""
    if live.offer is not None:
        memory.agree(
            service,
            live.family,
            model_id=live.offer.endpoint.model_id,
            price_microdollars=live.offer.price_microdollars_per_unit,
            price_unit=live.offer.price_unit,
            differences=live.differences,
            by=by,
        )
