"""The RunComfy service as a Dagster resource: sign-in, generations and the account, for any asset.

And what Dagster knows of a run that pays: which run was asked for, whether it is a retry, and who stopped it.
"""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import dagster as dg
from pydantic import PrivateAttr

from resources.dagster_resources import EnvironmentResource
from resources.generation.run_sync import run_sync
from resources.ledger.records import RequestRow
from resources.schemas.inputs import GenerationInputs, Medium
from resources.scratch import scratch_folder
from resources.settings import Settings, load_settings

if TYPE_CHECKING:
    from resources.generation.engine import Engine
    from resources.generation.shutdown import StopKind
    from resources.generation.types import Delivered, EngineOptions, GenerationRequest, Outcome
    from resources.ledger.ledger import Ledger
    from resources.runcomfy.client import RunComfyClient
    from resources.runcomfy.factory import OpenService
    from resources.runcomfy.pacing import RetryPolicy
    from resources.runcomfy.wire import Account, Balance
    from resources.storage.bucket import Bucket

RETRY_NUMBER_TAG = "dagster/retry_number"
"""Dagster's own tag of the runs that it starts again; the test of `dagster_internals` compares it on an upgrade."""

TIME_LIMIT = "maximum runtime"
"""In the message of the cancel event that Dagster's run monitoring writes for its own limit (1.13)."""


AUTOMATIC = {
    RETRY_NUMBER_TAG: "an automatic retry",
    "dagster/sensor_name": "a sensor",
    "dagster/schedule_name": "a schedule",
    ".dagster/scheduled_execution_time": "a schedule",
    "dagster/backfill": "a backfill",
    "dagster/parent_backfill_id": "a backfill",
    "dagster/root_backfill_id": "a backfill",
    "dagster/from_automation_condition": "an automation condition",
    "dagster/auto_materialize": "an automation condition",
    "dagster/auto_observe": "an automation condition",
    "dagster/asset_evaluation_id": "an automation condition",
    "dagster/tick": "a sensor or schedule",
    "dagster/run_key": "a sensor or schedule",
    "i2v/batch": "a sensor",
}
"""Dagster's own tags of the runs that no person started, with who did. The test of `dagster_internals` compares them."""


def started_by(run: dg.DagsterRun) -> str | None:
    """Return what started a run by itself, such as ``a sensor``; None if a person did, also by executing a run again."""
    return next((what for tag, what in AUTOMATIC.items() if tag in run.tags), None)


def stop_kind(instance: dg.DagsterInstance, run_id: str) -> Literal["person", "other"]:
    """Return ``person`` if somebody pressed Terminate, else ``other`` (a deploy, an eviction, Dagster's own time limit)."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.status is not dg.DagsterRunStatus.CANCELING:
        return "other"
    events = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.PIPELINE_CANCELING).records
    by_limit = any(TIME_LIMIT in (record.event_log_entry.dagster_event.message or "") for record in events
                   if record.event_log_entry.dagster_event is not None)  # fmt: skip
    return "other" if by_limit else "person"


def is_retry(run: dg.DagsterRun) -> bool:
    """Return whether Dagster started the run by itself after an earlier one crashed; a re-execution by hand is not that."""
    return RETRY_NUMBER_TAG in run.tags


def asked_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """Return the id of the run that was asked for: all its retries share its budget.

    That is the root run, or the latest one that a person re-executed. If a run in between was deleted, it is the root.
    """
    while is_retry(run) and run.parent_run_id is not None:
        before = instance.get_run_by_id(run.parent_run_id)
        if before is None:
            return run.root_run_id or run.run_id
        run = before
    return run.run_id


class RunComfyResource(EnvironmentResource):
    """The door to RunComfy: check the sign-in, submit, poll, generate, and read the balance.

    The pipeline gets its client and its engine here, and any other asset may use the same door. Everything that costs
    money goes through the plan, the caps and the ledger, and the same request is never paid for twice.

    It has no configuration. Addresses, the token, the bucket and the ledger come from the environment when they are used,
    so no run config can send a token to another host, and none of them is in a run's config or in an answer of the UI.
    """

    _run: dg.DagsterRun | None = PrivateAttr(None)
    _instance: dg.DagsterInstance | None = PrivateAttr(None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Remember the run: its budget and its Terminate button are this resource's too."""
        self._run, self._instance = context.run, context.instance

    def settings(self) -> Settings:
        """Return the settings in force.

        Raises:
            SettingsError: a variable is malformed, or an address does not belong to the service.
        """
        return load_settings()

    # The account

    def check_auth(self) -> "Account":
        """Return the account that the token in force belongs to, as the service says now. Free.

        Raises:
            MissingToken: no token is configured.
            TokenMalformed: the token cannot be one.
            Unauthorized: the service does not accept the token.
            ServiceUnavailable: the service does not answer.
        """
        return asyncio.run(self._account())

    async def _account(self) -> "Account":
        from resources.runcomfy.factory import PERSON_WAITS

        async with self.client(PERSON_WAITS) as client:
            return await client.account()

    def balance(self) -> "Balance":
        """Return what is left on the account. Free.

        Raises:
            MissingToken, TokenMalformed, Unauthorized: no token is configured.
            ServiceUnavailable: the service does not answer.
        """
        return asyncio.run(self._balance())

    async def _balance(self) -> "Balance":
        from resources.runcomfy.factory import PERSON_WAITS

        async with self.client(PERSON_WAITS) as client:
            return await client.balance()

    # Generations

    def medium(self, key: str) -> Medium:
        """Return a file of the bucket as an input for `plan`. Free.

        Raises:
            ObjectMissing, StorageError: the bucket has no such file, or does not answer.
            Unreadable: it is not an image, audio or video.
        """
        from resources.generation import single
        from resources.storage.bucket import Bucket

        with scratch_folder() as scratch:
            return single.read_medium(Bucket.from_settings(load_settings()), key, scratch)

    def plan(self, name: str, inputs: GenerationInputs, *, take: int = 1, retry: bool = False) -> "GenerationRequest":
        """Return a request with the price that the service asks now. Sends nothing and costs nothing.

        Args:
            name: How the ledger, its commands and the spend report call it; not the name of a clip.
            inputs: What to make.
            take: From 1; another take of the same inputs is another request, which is paid for.
            retry: Make another attempt if the same request failed or was cancelled before; it may be charged again.

        Raises:
            NameTaken: a clip has that name.
            BodyInvalid: the inputs do not fit the endpoint; names each field with its limit.
            NotAgreed: the endpoint's price or schema changed, and that is not approved.
            UnknownPriceUnit: the price cannot be read.
            MissingToken, ServiceError: the service cannot be asked.
        """
        from resources.generation import single
        from resources.registry.registry import Registry

        retry_by = f"run {self._run_id()}" if retry else None
        with self._ledger() as (settings, ledger):
            single.check_name(Registry(ledger.database), name)

            async def ask() -> "GenerationRequest":
                async with self.service(ledger) as service:
                    return await single.plan_request(
                        service.offers, settings, name, inputs, take=take, retry_by=retry_by,
                        past_costs=partial(ledger.past_costs, settings.service),
                    )  # fmt: skip

            return asyncio.run(ask())

    def submit(self, request: "GenerationRequest") -> RequestRow:
        """Submit a planned request once, and return the ledger's row of it. Costs money, within the caps.

        A request that was submitted before is not submitted again: its row is returned.

        Raises:
            RequestHeld: it was not submitted, and may be later; ``kind`` says why (a cap, the price, the account, ...).
            RequestFailed, RequestCancelled: it failed or was cancelled; ``plan(..., retry=True)`` makes another attempt.
            MissingToken, LedgerError, StorageError: there is no token, no ledger or no bucket.
        """
        from resources.generation import single

        with self._ledger() as (settings, ledger):
            return single.submitted(ledger, self._outcome(settings, ledger, replace(request, wait=False)))

    def poll(
        self, request: "RequestRow | GenerationRequest | str", *, deadline_seconds: float | None = None
    ) -> "Delivered":
        """Wait for a submitted request, store its video in the bucket, and return the delivery. Submits nothing.

        Args:
            request: What `submit` returned, what was planned, or the service's request id.
            deadline_seconds: How long to wait; None: I2V_DEADLINE_SECONDS.

        Raises:
            UnknownRequest: the ledger has no such request.
            RequestHeld: it has not ended in time, or cannot be fetched now; poll it again.
            RequestFailed, RequestCancelled: it ended without a video.
        """
        from resources.generation import single
        from resources.generation.engine import options_of

        with self._ledger() as (settings, ledger):
            options = options_of(settings)
            if deadline_seconds is not None:
                options = replace(options, deadline_seconds=deadline_seconds)
            order = single.recorded(ledger, request)
            return single.delivered(self._outcome(settings, ledger, order, options))

    def generate(self, request: "GenerationRequest") -> "Delivered":
        """Submit a planned request, wait for it, and return the delivery: its video is in the bucket.

        Run it again after a crash, a stop or a deadline: what was submitted is fetched and not paid for again.

        Raises:
            RequestHeld: it waits (a cap, the price, the account, the deadline, ...); run it again later.
            RequestFailed, RequestCancelled: it ended without a video.
            MissingToken, LedgerError, StorageError: there is no token, no ledger or no bucket.
        """
        from resources.generation import single

        with self._ledger() as (settings, ledger):
            return single.delivered(self._outcome(settings, ledger, request))

    # For assets that run many requests at once, as the pipeline does

    def client(self, policy: "RetryPolicy | None" = None) -> "RunComfyClient":
        """Return a client, to be opened with ``async with`` in the event loop that uses it.

        Raises:
            MissingToken, TokenMalformed: no token is configured.
            SettingsError: an address does not belong to the service.
        """
        from resources.runcomfy.factory import build_client

        return build_client(load_settings(), policy)

    def service(self, ledger: "Ledger") -> "AbstractAsyncContextManager[OpenService]":
        """Open a client with the catalogue and the live offers over it, for an ``async with`` block.

        Raises:
            MissingToken, TokenMalformed: no token is configured.
            SettingsError: an address does not belong to the service, or a pinned id does not serve its family.
        """
        from resources.runcomfy.factory import open_service

        return open_service(load_settings(), ledger.database, policy=None)

    def engine(
        self,
        ledger: "Ledger",
        bucket: "Bucket",
        *,
        scratch: Path,
        options: "EngineOptions | None" = None,
        cancels_on_terminate: bool = True,
    ) -> "AbstractAsyncContextManager[Engine]":
        """Open an engine for one stream of requests, on the budget of the current run.

        Args:
            ledger: An opened ledger.
            bucket: Holds the inputs and gets the videos.
            scratch: Folder for videos between download and upload.
            options: Other limits than the settings'.
            cancels_on_terminate: Terminate cancels what still queues at the service; False leaves it there.

        Raises:
            MissingToken: no token is configured.
            EndpointUnreachable: the paid service cannot fetch inputs from this bucket.
            SettingsError: an address or a pinned id does not fit.
        """
        from resources.generation.engine import open_engine

        return open_engine(
            load_settings(),
            ledger,
            bucket,
            scratch=scratch,
            run_id=self._run_id(),
            budget_run=asked_run(self._instance, self._run) if self._run and self._instance else "",
            stop_kind=self._stop_kind if cancels_on_terminate else lambda: "other",
            options=options,
        )

    def _run_id(self) -> str:
        """Return the run, or the process if no run of Dagster uses the resource."""
        return self._run.run_id if self._run is not None else f"{socket.gethostname()}/{os.getpid()}"

    def _stop_kind(self) -> "StopKind":
        if self._run is None or self._instance is None:
            return "other"
        return stop_kind(self._instance, self._run.run_id)

    @contextmanager
    def _ledger(self) -> "Iterator[tuple[Settings, Ledger]]":
        from resources.ledger.ledger import Ledger

        settings = load_settings()
        with Ledger.open(settings.ledger_address) as ledger:
            yield settings, ledger

    def _outcome(
        self, settings: Settings, ledger: "Ledger", request: "GenerationRequest", options: "EngineOptions | None" = None
    ) -> "Outcome":
        """Run one request to its outcome, so that Terminate and a deploy are handled as for the pipeline's runs."""
        from resources.generation import single
        from resources.storage.bucket import Bucket

        bucket = Bucket.from_settings(settings)

        async def run() -> "Outcome":
            async with self.engine(ledger, bucket, scratch=scratch, options=options) as engine:
                return await single.run_one(engine, request)

        with scratch_folder() as scratch:
            return run_sync(run, interrupted=dg.DagsterExecutionInterruptedError)
