"""The sandbox's models in the format of the service's catalogue."""

import copy
from collections.abc import Mapping
from typing import Any

from resources.sandbox.config import SandboxConfig
from resources.sandbox.switches import Switches
from resources.schemas.endpoints import ENDPOINTS, Endpoint, input_schema
from resources.schemas.inputs import Family

_NAMES = {
    Family.HAPPYHORSE_I2V: ("HappyHorse 1.0 image-to-video", "image-to-video", "Moves one picture, with sound."),
    Family.WAN_T2V: ("Wan 2.7 text-to-video", "text-to-video", "A scene from words; speaks a voiceover."),
    Family.WAN_I2V: ("Wan 2.7 image-to-video", "image-to-video", "Moves one picture; speaks a voiceover."),
    Family.SEEDANCE_PRO: ("Seedance 2.0 Pro", "image-to-video", "Pictures, clips and sounds as references."),
}

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

    def _entry(self, endpoint: Endpoint) -> dict[str, Any]:
        name, category, description = _NAMES[endpoint.family]
        return {
            "model_id": endpoint.model_id,
            "display_name": name,
            "description": f"{description} SANDBOX: rendered locally, no model behind it.",
            "categories": [category],
            "kind": KIND,
            "base_price_usd": self._price,
            "price_unit": "second",
            "pricing_note": "Play money: the sandbox's prices are invented.",
            "input_schema": input_schema(endpoint),
        }

    def has(self, model_id: str, switches: Switches) -> bool:
        """Return True if the id resolves with the current switches."""
        endpoint = ENDPOINTS.get(model_id)
        if endpoint is None or model_id in switches.missing_models:
            return False
        return switches.documented_ids if endpoint.dialect == "documented" else switches.catalogue_ids

    def entry(self, model_id: str, switches: Switches) -> dict[str, Any]:
        """Return one entry with the changes; the id must resolve."""
        entry = copy.deepcopy(self._entries[model_id])
        entry["price_unit"] = switches.price_unit
        changed: dict[str, Any] = merge(entry, self.changes.get(model_id, {}))
        return changed

    def entries(self, switches: Switches) -> list[dict[str, Any]]:
        """Return every entry that resolves."""
        return [self.entry(model_id, switches) for model_id in self._entries if self.has(model_id, switches)]

    def price_microdollars(self, model_id: str, seconds: int, switches: Switches) -> int:
        """Return the cost of a submission: per second or per output, as the entry says."""
        entry = self.entry(model_id, switches)
        base = entry.get("base_price_usd")
        units = seconds if entry.get("price_unit") == "second" else 1
        return round((base if isinstance(base, int | float) else 0) * 1_000_000) * units
