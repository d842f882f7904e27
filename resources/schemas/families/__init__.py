"""The families that the project knows, one file each. A file that is added here is a family, without any other change."""

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType

from resources.schemas.family import Endpoint, FamilyRecord
from resources.schemas.inputs import Family, Route


def _records() -> "list[FamilyRecord]":
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    return sorted((module.FAMILY for module in modules), key=lambda record: (record.rank or 99, record.name))


FAMILIES: Mapping[Family, FamilyRecord] = MappingProxyType({record.name: record for record in _records()})
"""Every record by its family's name, those that a route prefers first."""

ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType(
    {endpoint.model_id: endpoint for record in FAMILIES.values() for endpoint in record.endpoints}
)
"""Every endpoint whose body the code knows, by its model id."""

RECORD_BY_ID: Mapping[str, FamilyRecord] = MappingProxyType(
    {model_id: record for record in FAMILIES.values() for model_id in record.ids}
)
"""The record of every known model id."""


def record_of(family_or_id: str) -> FamilyRecord | None:
    """Return the record of a family's name or of a model id; None if the project knows neither."""
    return FAMILIES.get(family_or_id) or RECORD_BY_ID.get(family_or_id)


def default_families() -> tuple[Family, ...]:
    """Return the families that clips are made with if no setting and no brief names others."""
    return tuple(name for name, record in FAMILIES.items() if record.rank is not None)


def preferred(route: Route) -> tuple[Family, ...]:
    """Return a route's families if no setting names others, best first."""
    return tuple(name for name in default_families() if FAMILIES[name].route is route)


def named(name: str) -> tuple[Family, ...]:
    """Return the families that a name in a setting or a brief means, best first; empty if the project knows none.

    Args:
        name: A family's name, its short name (``happyhorse-1.0``), or one of its model ids. A family that is used by its
            live schema is planned under the model id, since each of its ids has limits of its own.
    """
    if name in ENDPOINTS:
        return (ENDPOINTS[name].family,)
    if name in RECORD_BY_ID:
        return (name,)
    found = [record for record in FAMILIES.values() if name in (record.name, record.short_name)]
    return tuple(each for record in found for each in (record.live_ids or (record.name,)))
