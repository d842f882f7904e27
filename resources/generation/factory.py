"""Build the engine from the settings, with its limits, its caps and a client of its own."""

import os
import secrets
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from resources.generation.context import OnChange
from resources.generation.engine import Engine
from resources.generation.shutdown import StopKind
from resources.generation.types import EngineOptions
from resources.ledger.ledger import Ledger
from resources.ledger.records import caps_of, utc_now
from resources.runcomfy.factory import build_catalogue, build_client
from resources.runcomfy.pacing import RetryPolicy
from resources.settings import Settings
from resources.storage.bucket import Bucket
from resources.storage.reachability import check_reachable

ENGINE_RETRIES = RetryPolicy(attempts=2, total_seconds=10.0, longest_retry_after=0.0)
"""Retries of the client under the engine: two tries within 10 s. The engine repeats polls by itself, and a Retry-After has
to reach its pacer, which delays every call and not only the one that got it."""


def options_of(settings: Settings) -> EngineOptions:
    """Return the engine's limits by the settings."""
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
        price_headroom=settings.price_headroom,
        max_attempts=settings.max_attempts,
    )


def new_owner() -> str:
    """Return a new name for the owner of claims: host, process and a random part, so that no two engines share one."""
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
    """Open an engine for one stream, with a client of its own.

    Args:
        settings: The settings in force.
        ledger: An opened ledger.
        bucket: Holds the inputs and gets the videos.
        scratch: Folder for videos between download and upload.
        run_id: The run that works.
        budget_run: The run whose budget counts; empty: ``run_id``. A retried run shares the budget of the first try.
        stop_kind: Returns why the stream was cancelled; called in a thread, and only then.
        options: Other limits than the settings'.
        clock: Returns the time by which a request may still be submitted.
        on_change: Called in the event loop with each request as it is planned, submitted, seen running and done.

    Raises:
        MissingToken: no token is configured.
        EndpointUnreachable: the paid service cannot fetch inputs from this bucket.
        SettingsError: an address or a pinned id does not fit.
    """
    if settings.service == "runcomfy":  # the sandbox reads inputs on this machine too
        check_reachable(bucket, settings.service)
    async with build_client(settings, ENGINE_RETRIES) as client:
        yield Engine(
            settings.service,
            client,
            build_catalogue(settings, client),
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
