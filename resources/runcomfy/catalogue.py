"""The live catalogue, cached: which model id serves a family now, at what price, and how it differs from the code.

The service has two generations of ids, and an account resolves one of them. So the catalogue is queried: the documented
id first, then the catalogue's own, unless a setting pins one. Only what both sides state is compared: the catalogue may omit
a limit, and that proves nothing. What it adds is a difference, because it may change the video or its price.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from resources.errors import SettingsError
from resources.prices.billed import PRICE_UNITS, PriceTerms, price_microdollars, terms_of
from resources.redact import redact_line
from resources.runcomfy.client import RunComfyClient
from resources.runcomfy.errors import FamilyUnavailable, ServiceError, UnknownModel, UnknownPriceUnit, Unusable
from resources.runcomfy.outputs_of import OTHER_MODEL, output_of
from resources.runcomfy.wire import CatalogueEntry
from resources.schemas.endpoints import ENDPOINTS, Endpoint, LiveEndpoint, ids_for, input_schema
from resources.schemas.families import FAMILIES
from resources.schemas.inputs import Family, GenerationInputs
from resources.schemas.live_schema import read_schema
from resources.schemas.live_words import MAX_FIELDS, MAX_VALUES, SchemaUnusable

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


_LIMITS = {
    "minimum": "smallest value",
    "maximum": "largest value",
    "minLength": "shortest text",
    "maxLength": "longest text",
    "minItems": "fewest entries",
    "maxItems": "most entries",
}
_TYPES = {"int": "integer", "float": "number", "double": "number", "str": "string", "bool": "boolean", "list": "array"}
_LIKE = 0.5
"""How similar two names must be to count as a renamed field; `image_url` and `image_urls` are, `seed` and `fps` are
not."""

_NOTHING_SENT: tuple[object, ...] = (None, [], "")


def differences(endpoint: Endpoint | LiveEndpoint, entry: CatalogueEntry | None) -> tuple[str, ...]:
    """Return each difference between an endpoint in the code and its live entry, in plain words.

    Args:
        endpoint: The endpoint as the code knows it.
        entry: The live entry, None if the id is no longer listed. Without a schema only the price unit is compared, and so if
            the endpoint is used by its live schema: then there is nothing that it could differ from.
    """
    if entry is None:
        return (f"{endpoint.model_id} is no longer in the catalogue",)
    found: list[str] = []
    if entry.base_price_microdollars is None:
        found.append("the price cannot be read")
    if entry.price_unit not in PRICE_UNITS:
        found.append(f"the price is per {_show(entry.price_unit)}; known are {', '.join(PRICE_UNITS)}")
    if entry.input_schema is not None and not isinstance(endpoint, LiveEndpoint):
        found += _compare_fields(input_schema(endpoint), entry.input_schema)
    return tuple(found)


def _compare_fields(known: Mapping[str, Any], live: Mapping[str, Any]) -> list[str]:
    old, new = known["properties"], _properties(live)
    if not new:
        return ["the schema lists no field"]
    if len(new) > MAX_FIELDS:
        return [f"the schema has {len(new)} fields; at most {MAX_FIELDS} are compared"]
    missing, added = [name for name in old if name not in new], [name for name in new if name not in old]
    required_names = live.get("required")
    required = [name for name in required_names if isinstance(name, str)] if isinstance(required_names, list) else []
    found: list[str] = []
    for name in list(missing):
        heir = _heir(name, old[name], {other: new[other] for other in added})
        if heir:
            missing.remove(name)
            added.remove(heir)
            found.append(f"{name} is now called {_show(heir)}")
    found += [f"{name} no longer exists" for name in missing]
    found += [f"{_show(name)} is new{' and required' if name in required else ''}" for name in added]
    found += [
        f"{name} is now required" for name in required if name in old and name in new and name not in known["required"]
    ]
    for name in old:
        if name in new:
            found += _compare_field(name, old[name], new[name])
    return found


def _properties(schema: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    return {str(name): _plain(part) for name, part in properties.items() if isinstance(part, dict)}


def _plain(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return a field without the ways in which schemas say "or null"."""
    for word in ("anyOf", "oneOf"):
        branches = part.get(word)
        if isinstance(branches, list):
            real = [branch for branch in branches if isinstance(branch, dict) and branch.get("type") != "null"]
            if len(real) == 1:
                return {**real[0], **{name: value for name, value in part.items() if name != word}}
    return dict(part)


def _type(part: Mapping[str, Any]) -> str:
    kind = part.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), None)
    return _TYPES.get(kind, kind) if isinstance(kind, str) else ""


def _heir(name: str, old: Mapping[str, Any], added: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return the added field that looks like the missing one under a new name."""

    def likeness(other: str) -> float:
        same_media = "format" in old and _medium(old) == _medium(added[other])
        return 1.0 if same_media else SequenceMatcher(None, name, other).ratio()

    likely = [other for other in added if _type(added[other]) == _type(old) and likeness(other) > _LIKE]
    return max(likely, key=likeness) if likely else None


def _medium(part: Mapping[str, Any]) -> str:
    return str(part.get("format", "")).removesuffix("s")


def _compare_field(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    if _type(new) and _type(new) != _type(old) and {_type(old), _type(new)} != {"integer", "number"}:
        found.append(f"{name} is now {_show(_type(new))}, was {_type(old)}")
    if "format" in old and "format" in new and _medium(old) != _medium(new):
        found.append(f"{name} now takes {_show(new['format'])}, was {old['format']}")
    for word, words in _LIMITS.items():
        if isinstance(new.get(word), int | float) and new[word] != old.get(word):
            was = f", was {old[word]}" if word in old else ", was not limited"
            if word in old or not _idle(word, new[word]):
                found.append(f"{words} of {name} is now {_show(new[word])}{was}")
    if isinstance(new.get("enum"), list) and "enum" in old:
        found += _compare_values(name, old["enum"], new["enum"])
    if "default" in new and not _same(new["default"], old.get("default")):
        was = _show(old["default"]) if "default" in old else "none"
        found.append(f"default of {name} is now {_show(new['default'])}, was {was}")
    return found


def _same(live: object, known: object) -> bool:
    if live in _NOTHING_SENT and known in _NOTHING_SENT:
        return True
    return live == known and isinstance(live, bool) is isinstance(known, bool)


def _idle(word: str, value: float) -> bool:
    """Return True for a limit that excludes nothing the project sends: "at least one character", "at least no entry"."""
    return word in {"minLength", "minItems"} and value <= (1 if word == "minLength" else 0)


def _compare_values(name: str, old: list[Any], new: list[Any]) -> list[str]:
    if len(new) > MAX_VALUES:
        return [f"{name} lists {len(new)} values; at most {MAX_VALUES} are compared"]
    removed, added = [value for value in old if value not in new], [value for value in new if value not in old]
    found = [f"{name} no longer takes {_show(value)}" for value in removed]
    return found + [f"{name} also takes {_show(value)}" for value in added if value is not None]


def _show(value: object) -> str:
    return redact_line(value, limit=60)
