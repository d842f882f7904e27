"""The live offers as the planner reads them."""

from collections.abc import Collection

from i2v_assets.planning.plan import PlanOffer
from resources.runcomfy.offers import LiveOffer, Offers
from resources.schemas.endpoints import LiveEndpoint
from resources.schemas.inputs import Family


async def plan_offers(offers: Offers, families: Collection[Family] | None = None) -> dict[Family, PlanOffer | None]:
    """Return the id and price of these families, or of the routes' own ones; None if no id answers.

    A family is left out if the catalogue does not answer now (a passing fault): the planner goes on without a price, and
    nothing is paid at a price that no plan has shown.

    Raises:
        I2VError: the token is missing or rejected.
    """
    return {family: _plan_offer(live) for family, live in (await offers.all(families)).items()}


def _plan_offer(live: LiveOffer) -> PlanOffer | None:
    if live.unusable is not None:
        return PlanOffer(live.family, None, "", unusable=live.unusable.message, remedy=live.unusable.remedy)
    if live.offer is None:
        return None
    offer = live.offer
    return PlanOffer(
        offer.endpoint.model_id,
        offer.price_microdollars_per_unit,
        offer.price_unit,
        trouble="; ".join(live.unapproved_changes),
        terms=offer.terms,
        live=offer.endpoint if isinstance(offer.endpoint, LiveEndpoint) else None,
    )
