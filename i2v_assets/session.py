"""Open what an operation works with: the ledger with its registry, the bucket, the service."""

import getpass
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from resources.settings import Settings, load_settings

if TYPE_CHECKING:
    from resources.ledger.ledger import Ledger
    from resources.registry.registry import Registry
    from resources.runcomfy.client import RunComfyClient
    from resources.runcomfy.factory import OpenService
    from resources.storage.bucket import Bucket


@dataclass(frozen=True)
class Session:
    """The ledger (requests and their money), the registry (uploads and clips) and the bucket, by the settings."""

    settings: Settings
    ledger: "Ledger"
    registry: "Registry"

    @cached_property
    def bucket(self) -> "Bucket":
        """The bucket; nothing is asked of it yet."""
        return open_bucket(self.settings)

    def open_service(self) -> "AbstractAsyncContextManager[OpenService]":
        """Open the service, with its catalogue and live offers, for the length of an ``async with`` block.

        Raises:
            MissingToken, TokenMalformed: no token is configured.
            SettingsError: an address does not belong to the service, or a pinned id does not serve its family.
        """
        from resources.runcomfy.factory import open_service

        return open_service(self.settings, self.ledger.database)


@contextmanager
def open_session() -> Iterator[Session]:
    """Open the ledger and the registry by the settings; both are closed with the block.

    Raises:
        SettingsError: a variable is malformed.
        LedgerUnavailable: the database does not answer.
    """
    from resources.ledger.ledger import Ledger
    from resources.registry.registry import Registry

    settings = load_settings()
    with Ledger.open(settings.ledger_address) as ledger:
        yield Session(settings, ledger, Registry(ledger.database))


def open_bucket(settings: Settings) -> "Bucket":
    """Return the bucket by the settings, without a ledger; nothing is asked of it yet."""
    from resources.storage.bucket import Bucket

    return Bucket.from_settings(settings)


@asynccontextmanager
async def open_client(settings: Settings) -> "AsyncIterator[RunComfyClient]":
    """Open a client alone, for questions that a person waits for: they give up after some seconds.

    Raises:
        MissingToken, TokenMalformed: no token is configured.
        SettingsError: an address does not belong to the service.
    """
    from resources.runcomfy.factory import PERSON_WAITS, build_client

    async with build_client(settings, PERSON_WAITS) as client:
        yield client


def current_user() -> str:
    """Return who decides, for the ledger's events: the user's name, or the uid if it has none (as in a container)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # Python 3.13 raises OSError
        return f"uid {os.getuid()}"
