"""The bucket, the ledger and the registry as Dagster resources, which the environment alone sets up."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import model_validator

from resources.errors import SettingsError
from resources.settings import load_settings

if TYPE_CHECKING:
    from resources.ledger.ledger import Ledger
    from resources.registry.registry import Registry
    from resources.storage.bucket import Bucket


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


class BucketResource(EnvironmentResource):
    """Open the bucket `I2V_BUCKET` for assets and sensors."""

    def open(self) -> "Bucket":
        """Return the bucket; nothing is asked of it yet.

        Raises:
            SettingsError: a variable is malformed.
        """
        from resources.storage.bucket import Bucket

        return Bucket.from_settings(load_settings())


class LedgerResource(EnvironmentResource):
    """Open the ledger at `I2V_LEDGER_URL`, and the registry in the same database, for assets and sensors."""

    @contextmanager
    def open(self) -> "Iterator[tuple[Ledger, Registry]]":
        """Open both for the length of the block.

        Raises:
            LedgerUnavailable: the database cannot be reached or written.
            SettingsError: a variable is malformed.
        """
        from resources.ledger.ledger import Ledger
        from resources.registry.registry import Registry

        with Ledger.open(load_settings().ledger_address) as ledger:
            yield ledger, Registry(ledger.database)
