"""The kind of Dagster resource that is set up by the environment alone."""

from typing import Any

import dagster as dg
from pydantic import model_validator

from resources.errors import SettingsError


class EnvironmentResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A Dagster resource without configuration.

    A run config can override every field of a resource, so none of them has a field: whoever may start a run cannot choose
    a host, a file, a bucket or a token.
    """

    @model_validator(mode="before")
    @classmethod
    def _takes_no_values(cls, given: Any) -> Any:
        """Refuse values in code too: an address that is silently ignored would pay at another one."""
        named = sorted(name for name, value in given.items() if value) if isinstance(given, dict) else []
        if named:
            raise SettingsError(
                f"{cls.__name__} takes no values, and was given {', '.join(named)}.",
                remedy="Set the environment instead; `i2v settings` lists every variable.",
            )
        return {}
