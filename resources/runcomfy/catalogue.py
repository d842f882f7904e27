"""The live catalogue, cached: which model id serves a family now, and at what price.

The service has two generations of ids, and an account resolves one of them. So the catalogue is queried: the documented
id first, then the catalogue's own, unless a setting pins one.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from resources.errors import SettingsError
from resources.prices.billed import PriceTerms, price_microdollars, terms_of
from resources.runcomfy.client import RunComfyClient
from resources.runcomfy.drift import differences
from resources.runcomfy.errors import FamilyUnavailable, ServiceError, UnknownModel, UnknownPriceUnit, Unusable
from resources.runcomfy.outputs_of import OTHER_MODEL, output_of
from resources.runcomfy.wire import CatalogueEntry
from resources.schemas.endpoints import ENDPOINTS, Endpoint, LiveEndpoint, ids_for
from resources.schemas.families import FAMILIES
from resources.schemas.inputs import Family, GenerationInputs
from resources.schemas.live_schema import read_schema
from resources.schemas.live_words import SchemaUnusable

_log = logging.getLogger(__name__)

__all__ = ["Catalogue", "Offer", "UnknownPriceUnit", "differences"]


@dataclass(frozen=True, slots=True)
class Offer:
    """A family as the service offers it now.

    Attributes:
        endpoint: The id that answered, with its dialect.
        entry: Its live catalogue entry.
        price_microdollars_per_unit: Base price, None if it cannot be read.
        price_unit: ``second``, ``output``, ``image``, or an unknown word.
        terms: What the entry says about its price besides.
    """

    endpoint: Endpoint | LiveEndpoint
    entry: CatalogueEntry
    price_microdollars_per_unit: int | None
    price_unit: str
    terms: PriceTerms

    def price_microdollars(self, inputs: GenerationInputs) -> int:
        """Return the price of one generation in micro-dollars.

        Raises:
            UnknownPriceUnit: the price or its unit cannot be read.
        """
        return price_microdollars(self.entry, inputs)


@dataclass(slots=True)
class _Slot:
    """The cached offer of one family; the lock makes concurrent callers share one query.

    ``model_id`` is the id that answered last: it is asked first from then on.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    at: float = float("-inf")
    offer: Offer | None = None
    failure: ServiceError | None = None
    model_id: str | None = None


class Catalogue:
    """Resolves families to offers; belongs to the event loop of its client.

    Args:
        client: An opened client.
        pins: Model ids by family (``settings.model_ids``); only a pinned id is queried.
        max_age_seconds: How long an offer stays valid.
        clock: Monotonic seconds.

    Raises:
        SettingsError: a pin names an unknown family, or an id that does not serve it.
    """

    def __init__(
        self,
        client: RunComfyClient,
        pins: Mapping[str, str],
        max_age_seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._pins = {_family(name): model_id for name, model_id in pins.items()}
        for family, model_id in self._pins.items():
            if model_id not in ids_for(family):
                raise SettingsError(
                    f"I2V_MODEL_IDS pins {family} to {model_id!r}, which does not serve it.",
                    remedy=f"Known ids: {', '.join(ids_for(family))}.",
                )
        self._max_age = max_age_seconds
        self._clock = clock
        self._slots: dict[Family, _Slot] = {}

    def remember(self, family: Family, model_id: str) -> None:
        """Ask this id of a family first, since it answered an earlier process; the answers to this one count more."""
        slot = self._slots.setdefault(family, _Slot())
        slot.model_id = slot.model_id or model_id

    async def resolve(self, family: Family, *, max_age_seconds: float | None = None) -> Offer:
        """Return the family's offer, at most ``max_age_seconds`` old; concurrent callers share one query.

        Without an age it is the one that the catalogue was made with; 0 asks anew.

        Raises:
            FamilyUnavailable: none of its ids answers.
            Unusable: its live schema cannot be used, or its output is not a video.
            RateLimited, ServiceUnavailable: the catalogue could not be queried.
            Rejected: the service refused (or one of its children).
        """
        slot, asked_at = self._slots.setdefault(family, _Slot()), self._clock()
        max_age = self._max_age if max_age_seconds is None else max_age_seconds
        async with slot.lock:
            fresh = slot.at >= asked_at or (slot.failure is None and self._clock() - slot.at <= max_age)
            if not fresh:
                await self._refresh(family, slot)
            if slot.offer is None:
                # Callers that waited for a failed query get its failure instead of repeating the query one by one.
                raise slot.failure or FamilyUnavailable(f"{family} was not queried")
            return slot.offer

    async def _refresh(self, family: Family, slot: _Slot) -> None:
        slot.offer, slot.failure = None, None
        try:
            slot.offer = await self._ask(family, slot.model_id)
            slot.model_id = slot.offer.endpoint.model_id
        except ServiceError as error:
            slot.failure = error
        slot.at = self._clock()

    async def _ask(self, family: Family, answered: str | None) -> Offer:
        ids = (self._pins[family],) if family in self._pins else ids_for(family)
        for model_id in sorted(ids, key=lambda each: each != answered):
            try:
                entry = await self._client.model(model_id)
            except UnknownModel:
                continue
            return _offer(model_id, entry)
        raise FamilyUnavailable(
            f"The service offers no {family}: {', '.join(ids)} not found.",
            remedy="`i2v models` lists what it has; I2V_MODEL_IDS pins an id.",
        )


def _offer(model_id: str, entry: CatalogueEntry) -> Offer:
    """Return what an entry offers. An unexpected error in it stops this model alone.

    Raises:
        Unusable: its live schema cannot be used.
        FamilyUnavailable: reading the entry failed.
    """
    try:
        price, unit = entry.base_price_microdollars, entry.price_unit
        return Offer(_endpoint(model_id, entry), entry, price, unit, terms_of(entry))
    except ServiceError:
        raise
    except Exception as error:  # noqa: BLE001 - becomes this model's own error, with its traceback in the log
        _log.exception("Catalogue entry not readable", extra={"action": "catalogue", "model_id": model_id})
        raise unreadable(model_id, error) from None


def unreadable(name: str, error: Exception) -> FamilyUnavailable:
    """Return the error of a model whose entry fails to be read; its clips wait, since nothing about them is wrong."""
    return FamilyUnavailable(
        f"The catalogue entry of {name} cannot be read ({type(error).__name__}).",
        remedy="It is asked for again. This is a bug in i2v-assets; please report it with the run log.",
    )


def _endpoint(model_id: str, entry: CatalogueEntry) -> Endpoint | LiveEndpoint:
    """Return how an id is used: as the code knows it, otherwise by its live schema.

    Raises:
        Unusable: its live schema cannot be used.
    """
    if model_id in ENDPOINTS:
        return ENDPOINTS[model_id]
    if (made := output_of(entry)) is not None:
        raise Unusable(f"{model_id} makes {made} and no video.", remedy=OTHER_MODEL)
    try:
        return LiveEndpoint(model_id, model_id, read_schema(entry.input_schema))
    except SchemaUnusable as error:
        raise Unusable(f"{model_id} cannot be used. {error.message}", remedy=error.remedy) from None


def _family(name: str) -> Family:
    known = [family for family, record in FAMILIES.items() if record.endpoints]
    if name in known:
        return name
    raise SettingsError(
        f"I2V_MODEL_IDS names {name!r}, which is not an endpoint family.",
        remedy=f"Known families: {', '.join(known)}. Of any other, name the id itself in I2V_ROUTES.",
    )
