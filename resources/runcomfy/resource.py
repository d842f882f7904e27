"""The service as Dagster assets see it."""

import asyncio
import random
import time

import dagster as dg
from pydantic import Field

from resources.runcomfy.catalogue import Catalogue
from resources.runcomfy.client import RunComfyClient
from resources.runcomfy.credentials import require_token
from resources.runcomfy.errors import RateLimited, ServiceUnavailable
from resources.runcomfy.wire import ResultAnswer
from resources.settings import Settings, load_settings

FIRST_POLL_SECONDS = 2.0
"""The first look at a request; the vendor's own tool looks every 2 s."""

LONGEST_POLL_SECONDS = 15.0
"""The pause between two looks grows by half each time up to this: a generation takes a minute or more."""


class RunComfyResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Auth, submit and poll for assets.

    The token is no field: it is read from RUNCOMFY_TOKEN or the vendor's token file at the moment it is used, so it is in
    no run config, no GraphQL answer and no log. What is a field is harmless, and empty where the environment decides.

    Paid work of the project goes through the ledger, which owns the promise that nothing is paid twice; ``submit`` here
    makes no such promise, it sends.
    """

    api_base: str = Field("", description="base of the Model API with /v1; empty: RUNCOMFY_MODEL_API_BASE")
    balance_base: str = Field("", description="base of the balance call; empty: RUNCOMFY_SERVERLESS_API_BASE")
    web_base: str = Field("", description="base of the web pages; empty: RUNCOMFY_WEB_BASE")

    def settings(self) -> Settings:
        """The settings in force, with this resource's bases in place of the environment's.

        Raises:
            SettingsError: a variable is malformed, or a base does not belong to the service.
        """
        settings = load_settings()
        given = {
            "runcomfy_model_api_base": self.api_base,
            "runcomfy_serverless_api_base": self.balance_base,
            "runcomfy_web_base": self.web_base,
        }
        return settings.model_copy(update={name: value for name, value in given.items() if value})

    def check_auth(self) -> None:
        """Says early that nobody is signed in.

        Raises:
            MissingToken: nobody is.
            TokenMalformed: the token cannot be one.
        """
        require_token(self.settings())

    def client(self) -> RunComfyClient:
        """A client, to be opened with ``async with`` in the loop that uses it.

        Raises:
            MissingToken: nobody is signed in.
            TokenMalformed: the token cannot be one.
            SettingsError: a base does not belong to the service.
        """
        settings = self.settings()
        return client_from(settings)

    def catalogue(self, client: RunComfyClient) -> Catalogue:
        """The live catalogue through an opened client.

        Raises:
            SettingsError: a pinned id does not serve its family.
        """
        settings = self.settings()
        return Catalogue(client, settings.model_ids, settings.price_max_age_seconds)

    def submit(self, model_id: str, body: dict[str, object]) -> str:
        """Submits once and returns the request id; costs money, and keeps no record.

        Raises:
            ServiceError: see ``RunComfyClient.submit``.
        """

        async def once() -> str:
            async with self.client() as client:
                return (await client.submit(model_id, body)).request_id

        return asyncio.run(once())

    def poll(self, request_id: str, *, deadline_seconds: float | None = None) -> ResultAnswer:
        """Waits for a request's verdict; a look that fails does not end the wait.

        Args:
            request_id: The request.
            deadline_seconds: How long to wait; None: I2V_DEADLINE_SECONDS.

        Raises:
            ServiceUnavailable: it has not ended in time; it runs on, and can be polled again.
            Refused: the service said no (or one of its children).
        """
        wait = self.settings().deadline_seconds if deadline_seconds is None else deadline_seconds

        async def until() -> ResultAnswer:
            async with self.client() as client:
                return await poll(client, request_id, wait)

        return asyncio.run(until())


def client_from(settings: Settings) -> RunComfyClient:
    """A client by the settings, not yet opened.

    Raises:
        MissingToken: nobody is signed in.
        TokenMalformed: the token cannot be one.
        SettingsError: a base does not belong to the service.
    """
    return RunComfyClient(
        settings.runcomfy_model_api_base,
        settings.runcomfy_serverless_api_base,
        settings.runcomfy_web_base,
        require_token(settings),
        service=settings.service,
    )


async def poll(client: RunComfyClient, request_id: str, deadline_seconds: float) -> ResultAnswer:
    """Looks at one request until it ends.

    Raises:
        ServiceUnavailable: it has not ended in time; it runs on, and can be polled again.
        Refused: the service said no (or one of its children).
    """
    deadline, pause = time.monotonic() + deadline_seconds, FIRST_POLL_SECONDS
    while True:
        try:
            answer = await client.result(request_id)
            if answer.state.over:
                return answer
        except (ServiceUnavailable, RateLimited) as error:
            pause = max(pause, error.retry_after or 0.0)
        left = deadline - time.monotonic()
        if left <= 0:
            raise ServiceUnavailable(
                f"Request {request_id} has not ended within {deadline_seconds:g} s.",
                remedy="It runs on at the service and can be polled again.",
            )
        await asyncio.sleep(min(pause * random.uniform(0.8, 1.2), left))  # noqa: S311 - spreads load
        pause = min(pause * 1.5, LONGEST_POLL_SECONDS)
