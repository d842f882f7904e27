"""The ledger and the registry as a Dagster resource. It has no configuration: no run config can choose a database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from resources.environment_resource import EnvironmentResource
from resources.settings import load_settings

if TYPE_CHECKING:
    from resources.ledger.ledger import Ledger
    from resources.registry.registry import Registry


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
