"""The ledger and the registry as a Dagster resource; their address comes from the environment."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from resources.ledger.ledger import Ledger
from resources.registry.registry import Registry
from resources.settings import load_settings


class LedgerResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens the ledger of ``I2V_LEDGER_URL`` and the registry beside it for assets and sensors."""

    @contextmanager
    def open(self) -> Iterator[tuple[Ledger, Registry]]:
        """Open both for the length of the block.

        Raises:
            LedgerUnavailable: the database cannot be reached or written.
            SettingsError: a variable is malformed.
        """
        with Ledger.open(load_settings().ledger_address) as ledger:
            yield ledger, Registry(ledger.database)
