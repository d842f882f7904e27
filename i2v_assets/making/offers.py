"""What the service offers now, per family, as the planner reads it."""

import asyncio

from i2v_assets.planning import PlanOffer
from resources.errors import I2VError, Verdict
from resources.runcomfy.catalogue import Catalogue
from resources.runcomfy.errors import FamilyUnavailable
from resources.schemas.inputs import Family


class Offers:
    """Asks the catalogue (which remembers its answers for a while) for every family at once."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def now(self) -> dict[Family, PlanOffer | None]:
        """Each family's id and price; None where no id answers.

        A catalogue that does not answer now (a passing fault) leaves the family out: the planner goes on without a price,
        and the price is asked again before anything is paid.

        Raises:
            I2VError: the token is missing or rejected.
        """
        found = await asyncio.gather(*(self._one(family) for family in Family))
        return {family: offer for family, offer, known in found if known}

    async def _one(self, family: Family) -> tuple[Family, PlanOffer | None, bool]:
        try:
            offer = await self._catalogue.resolve(family)
        except FamilyUnavailable:
            return family, None, True
        except I2VError as error:
            if error.verdict is Verdict.RETRYABLE:
                return family, None, False
            raise
        return (
            family,
            PlanOffer(offer.endpoint.model_id, offer.price_microdollars_per_unit, offer.price_unit),
            True,
        )
