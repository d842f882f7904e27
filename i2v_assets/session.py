"""Open what an operation works with: the ledger with its registry, the bucket, a client of the service."""

import getpass
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cached_property

from resources.ledger.ledger import Ledger
from resources.registry.registry import Registry
from resources.runcomfy.client import RunComfyClient
from resources.runcomfy.credentials import require_token
from resources.runcomfy.pacing import RetryPolicy
from resources.settings import Settings, load_settings
from resources.storage.bucket import Bucket


@dataclass(frozen=True)
class Session:
    """The ledger (requests and their money), the registry (uploads and clips) and the bucket, by the settings."""

    settings: Settings
    ledger: Ledger
    registry: Registry

    @cached_property
    def bucket(self) -> Bucket:
        """The bucket; nothing is asked of it yet."""
        return open_bucket(self.settings)


@contextmanager
def open_session() -> Iterator[Session]:
    """The ledger and the registry by the settings; closed with the block.

    Raises:
        SettingsError: a variable is malformed.
        LedgerUnavailable: the database does not answer.
    """
    settings = load_settings()
    with Ledger.open(settings.ledger_address) as ledger:
        yield Session(settings, ledger, Registry(ledger.database))


def open_bucket(settings: Settings) -> Bucket:
    """The bucket by the settings; nothing is asked yet."""
    return Bucket.from_settings(settings)


@asynccontextmanager
async def open_client(settings: Settings) -> AsyncIterator[RunComfyClient]:
    """A client with the token in force, whose questions give up after some seconds: a person waits for them.

    Raises:
        MissingToken, TokenMalformed: nobody is signed in.
        SettingsError: a base address does not belong to the service.
    """
    client = RunComfyClient(
        settings.runcomfy_model_api_base,
        settings.runcomfy_serverless_api_base,
        settings.runcomfy_web_base,
        require_token(settings),
        service=settings.service,
        policy=RetryPolicy(attempts=3, total_seconds=10.0, longest_retry_after=2.0),
    )
    async with client:
        yield client


def current_user() -> str:
    """Return who decides, for the ledger's events: the user's name, or the uid if it has none (as in a container)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # Python 3.13 raises OSError
        return f"uid {os.getuid()}"
