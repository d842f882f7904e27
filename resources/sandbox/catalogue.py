"""The sandbox's models in the format of the service's catalogue."""

import copy
from collections.abc import Mapping
from typing import Any

from resources.sandbox.config import SandboxConfig
from resources.sandbox.recorded import recorded_entries
from resources.sandbox.switches import Switches
from resources.schemas.endpoints import ENDPOINTS, Endpoint, LiveEndpoint, input_schema
from resources.schemas.families import FAMILIES
from resources.schemas.live_schema import read_schema

KIND = "model"
"""What the vendor's own tool asks for; the service knows `workflow` and `inference` besides."""


def merge(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch: objects are merged, null removes, anything else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


class Catalogue:
    """Entries by model id, with the operator's changes on top.

    Args:
        config: For the price.
        changes: JSON merge patches by model id, as stored.
    """

    def __init__(self, config: SandboxConfig, changes: Mapping[str, Any]) -> None:
        self._price = config.price_per_second
        self.changes: dict[str, Any] = dict(changes)
        self._entries = {model_id: self._entry(endpoint) for model_id, endpoint in ENDPOINTS.items()}
        self._entries |= {str(entry["model_id"]): self._play(entry) for entry in recorded_entries()}

    def _entry(self, endpoint: Endpoint) -> dict[str, Any]:
        record = FAMILIES[endpoint.family]
        return self._play(
            {
                "model_id": endpoint.model_id,
                "display_name": record.title,
                "description": record.description,
                "categories": [record.category],
                "input_schema": input_schema(endpoint),
            }
        )

    def _play(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Return an entry with the sandbox's own words and prices."""
        facts = {
            "model_id": entry["model_id"],
            "display_name": entry["display_name"],
            "description": f"{entry['description']} SANDBOX: rendered locally, no model behind it.",
            "categories": entry["categories"],
            "kind": KIND,
            "base_price_usd": self._price,
            "price_unit": "second",
            "pricing_note": "Play money: the sandbox's prices are invented.",
        }
        return {**facts, **{name: entry[name] for name in ("output_type", "input_schema") if name in entry}}

    def endpoint(self, model_id: str, switches: Switches) -> Endpoint | LiveEndpoint:
        """Return how a body for this id is read: as the code knows it, or by the schema that the entry has now.

        Raises:
            SchemaUnusable: the entry's schema cannot be read.
        """
        if model_id in ENDPOINTS:
            return ENDPOINTS[model_id]
        return LiveEndpoint(model_id, model_id, read_schema(self.entry(model_id, switches).get("input_schema")))

    def known(self, model_id: str) -> bool:
        """Return True if the sandbox has an entry of this id, whatever the switches say."""
        return model_id in self._entries

    def has(self, model_id: str, switches: Switches) -> bool:
        """Return True if the id resolves with the current switches."""
        if model_id not in self._entries or model_id in switches.missing_models:
            return False
        documented = model_id in ENDPOINTS and ENDPOINTS[model_id].dialect == "documented"
        return switches.documented_ids if documented else switches.catalogue_ids

    def entry(self, model_id: str, switches: Switches) -> dict[str, Any]:
        """Return one entry with the changes; the id must resolve."""
        entry = copy.deepcopy(self._entries[model_id])
        entry["price_unit"] = switches.price_unit
        changed: dict[str, Any] = merge(entry, self.changes.get(model_id, {}))
        return changed

    def entries(self, switches: Switches) -> list[dict[str, Any]]:
        """Return every entry that is listed. A recorded one answers by its id whether or not it is."""
        listed = self._entries if switches.list_recorded else ENDPOINTS
        return [self.entry(model_id, switches) for model_id in listed if self.has(model_id, switches)]

    def price_microdollars(self, model_id: str, seconds: int, switches: Switches) -> int:
        """Return the cost of a submission: per second or per output, as the entry says."""
        entry = self.entry(model_id, switches)
        base = entry.get("base_price_usd")
        units = seconds if entry.get("price_unit") == "second" else 1
        return round((base if isinstance(base, int | float) else 0) * 1_000_000) * units
