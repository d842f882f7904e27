"""An engine by the settings: the client, the catalogue and the limits that go with it."""

import os
import secrets
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from resources.generation.context import OnChange, utc_now
from resources.generation.engine import Engine
from resources.generation.shutdown import StopKind
from resources.generation.types import EngineOptions
from resources.ledger.ledger import Ledger
from resources.ledger.records import Caps
from resources.runcomfy.catalogue import Catalogue
from resources.runcomfy.client import RunComfyClient
from resources.runcomfy.credentials import require_token
from resources.runcomfy.pacing import RetryPolicy
from resources.settings import USD, Settings
from resources.storage.bucket import Bucket
from resources.storage.reachability import check_reachable

ENGINE_RETRIES = RetryPolicy(attempts=2, total_seconds=10.0, longest_retry_after=0.0)
"""The client's own retries under the engine: a blink of the network, no more. The engine repeats polls by itself, and a
Retry-After has to reach its pacer, which holds back every call instead of the one that heard it."""


def caps_of(settings: Settings) -> Caps:
    """The caps of the service in force; the sandbox has its own per day, which bound a run too."""
    if settings.service == "sandbox":
        dollars, count = round(settings.sandbox_budget_usd_per_day * USD), settings.sandbox_budget_requests_per_day
        return Caps(dollars, count, dollars, count, settings.zone)
    return Caps(
        round(settings.budget_usd_per_day * USD),
        settings.budget_requests_per_day,
        round(settings.budget_usd_per_run * USD),
        settings.budget_requests_per_run,
        settings.zone,
    )


def options_of(settings: Settings) -> EngineOptions:
    """The engine's limits as the settings have them."""
    return EngineOptions(
        caps=caps_of(settings),
        max_in_flight=settings.max_in_flight,
        deadline_seconds=settings.deadline_seconds,
        lease_seconds=settings.lease_seconds,
        presign_seconds=settings.presign_seconds,
        inline_input_bytes=settings.inline_input_bytes,
        on_unknown=settings.on_unknown,
        resubmit_cap=settings.resubmit_cap,
        allow_unknown_price=settings.allow_unknown_price,
        max_attempts=settings.max_attempts,
    )


def new_owner() -> str:
    """A name for whoever claims: it says where to look, and no two engines ever share one."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"


@asynccontextmanager
async def open_engine(
    settings: Settings,
    ledger: Ledger,
    bucket: Bucket,
    *,
    scratch: Path,
    run_id: str,
    budget_run: str = "",
    stop_kind: Callable[[], StopKind] = lambda: "other",
    options: EngineOptions | None = None,
    clock: Callable[[], datetime] = utc_now,
    on_change: OnChange = lambda _row, _refusal: None,
) -> AsyncGenerator[Engine, None]:
    """An engine for one stream, with a client of its own.

    Args:
        settings: The settings in force.
        ledger: An opened ledger.
        bucket: Where inputs lie and videos go.
        scratch: Folder for videos on their way.
        run_id: The run that works.
        budget_run: Whose budget per run counts, where it is another's: a run that is tried again has no new one.
        stop_kind: Tells why the stream is cancelled, when it is; called in a thread.
        options: Other limits than the settings'.
        clock: Tells whether an order may still be submitted.
        on_change: Told each request as it is planned, submitted, seen running and done; called in the event loop.

    Raises:
        MissingToken: nobody is signed in.
        EndpointUnreachable: the paid service could not fetch inputs from this bucket.
        SettingsError: a base address or a pinned id does not fit.
    """
    check_reachable(bucket, settings.service)
    client = RunComfyClient(
        settings.runcomfy_model_api_base,
        settings.runcomfy_serverless_api_base,
        settings.runcomfy_web_base,
        require_token(settings),
        service=settings.service,
        policy=ENGINE_RETRIES,
    )
    async with client:
        yield Engine(
            settings.service,
            client,
            Catalogue(client, settings.model_ids, settings.price_max_age_seconds),
            bucket,
            ledger,
            options or options_of(settings),
            scratch=scratch,
            owner=new_owner(),
            run_id=run_id,
            budget_run=budget_run,
            stop_kind=stop_kind,
            clock=clock,
            on_change=on_change,
        )
