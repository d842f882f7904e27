"""Build what talks to the service from the settings: the client, the catalogue of models, the live offers.

The commands, the sensors, the engine and the Dagster resource all build them here, so that one place decides which
addresses get the token.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from resources.ledger.database import Database
from resources.registry.agreed_prices import CatalogueMemory
from resources.runcomfy.catalogue import Catalogue
from resources.runcomfy.client import RunComfyClient
from resources.runcomfy.credentials import require_token
from resources.runcomfy.offers import Offers
from resources.runcomfy.pacing import RetryPolicy
from resources.settings import Settings

PERSON_WAITS = RetryPolicy(attempts=3, total_seconds=10.0, longest_retry_after=2.0)
"""Retries of questions while a person waits for the answer: give up after 10 s and say why."""


@dataclass(frozen=True, slots=True)
class OpenService:
    """The service while a client of it is open.

    Attributes:
        client: The opened client.
        catalogue: Model ids and prices, asked through the client.
        offers: The same, compared with what was agreed to.
    """

    client: RunComfyClient
    catalogue: Catalogue
    offers: Offers


def build_client(settings: Settings, policy: RetryPolicy | None = None) -> RunComfyClient:
    """Return a client with the token in force, to be opened with ``async with``.

    Args:
        settings: Name the addresses and the service.
        policy: How questions are retried; None: the client's own default, for work that no run waits for.

    Raises:
        MissingToken: no token is configured.
        TokenMalformed: the token cannot be one.
        SettingsError: an address does not belong to the service.
    """
    return RunComfyClient(
        settings.runcomfy_model_api_base,
        settings.runcomfy_serverless_api_base,
        settings.runcomfy_web_base,
        require_token(settings),
        service=settings.service,
        policy=policy,
    )


def build_catalogue(settings: Settings, client: RunComfyClient) -> Catalogue:
    """Return the catalogue of models, asked through an opened client.

    Raises:
        SettingsError: I2V_MODEL_IDS pins an id that does not serve its family.
    """
    return Catalogue(client, settings.model_ids, settings.price_max_age_seconds)


def build_offers(settings: Settings, catalogue: Catalogue, database: Database) -> Offers:
    """Return the live offers, compared with the prices and schemas that this database says were agreed to."""
    return Offers(catalogue, CatalogueMemory(database), settings.service)


@asynccontextmanager
async def open_service(
    settings: Settings, database: Database, policy: RetryPolicy | None = PERSON_WAITS
) -> AsyncIterator[OpenService]:
    """Open a client, with the catalogue and the live offers over it, for the length of the block.

    Raises:
        MissingToken, TokenMalformed: no token is configured.
        SettingsError: an address does not belong to the service, or a pinned id does not serve its family.
    """
    async with build_client(settings, policy) as client:
        catalogue = build_catalogue(settings, client)
        yield OpenService(client, catalogue, build_offers(settings, catalogue, database))
