"""What other runs left behind: requests that no run polls any more, and costs that were not known in time."""

import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from pydantic import ValidationError

from resources.generation.engine import Engine
from resources.generation.types import GenerationRequest, Outcome
from resources.ledger.errors import LedgerError
from resources.ledger.ledger import Ledger
from resources.ledger.records import RequestRow, State
from resources.runcomfy.client import RunComfyClient
from resources.runcomfy.errors import RateLimited, RequestGone, ServiceError
from resources.schemas.inputs import GenerationInputs, Route, Service

log = logging.getLogger(__name__)


def order_of(row: RequestRow) -> GenerationRequest | None:
    """The order that a row was made for, to be adopted and never submitted; None where its inputs cannot be read."""
    try:
        inputs = GenerationInputs.model_validate_json(row.inputs_json)
    except ValidationError as error:
        log.warning("Request %s: its inputs cannot be read (%d problems).", row.fingerprint[:12], error.error_count())
        return None
    return GenerationRequest(row.clip, row.take, row.fingerprint, inputs, Route(row.route), adopt_only=True)


async def adopt_orphans(engine: Engine, ledger: Ledger, service: Service) -> AsyncGenerator[Outcome, None]:
    """Fetch everything that was submitted and that no run waits for; nothing is paid for.

    Claims whose owner died become `unknown` on the way, so that a person sees them.
    """
    ledger.expire()
    for row in ledger.list(states=(State.UNKNOWN,), service=service, newest_first=False):
        with contextlib.suppress(LedgerError):  # settled by somebody else meanwhile
            await engine.settle_unknown(row)
    orders = [order for row in ledger.orphans(service) if (order := order_of(row)) is not None]
    async with aclosing(engine.stream(orders)) as outcomes:
        async for outcome in outcomes:
            yield outcome


async def settle_late(
    ledger: Ledger,
    client: RunComfyClient,
    service: Service,
    on_settled: Callable[[RequestRow], None] = lambda _row: None,
) -> int:
    """Ask for the costs that the service had not named when a request ended; ``on_settled`` gets each settled row.

    Returns:
        How many were settled; asking stops at the first sign that the service wants to be left alone.
    """
    settled = 0
    for row in ledger.unsettled(service):
        if row.request_id is None:
            continue
        try:
            answer = await client.result(row.request_id)
        except RateLimited:
            break
        except ServiceError as error:
            log.info("Request %s: its cost cannot be asked (%s).", row.request_id, error.message)
            _not_named(ledger, row, error.message, gone=isinstance(error, RequestGone))
            continue
        if answer.cost_microdollars is None:
            _not_named(ledger, row, "the service names no cost yet")
            continue
        try:
            now = ledger.settle(row.fingerprint, answer.cost_microdollars, attempt=row.attempt)
        except LedgerError as error:
            log.warning("Request %s: its cost could not be recorded (%s).", row.request_id, error.message)
        else:
            settled += 1
            on_settled(now)
    return settled


def _not_named(ledger: Ledger, row: RequestRow, reason: str, *, gone: bool = False) -> None:
    """Keep that it was asked in vain, so that the next time comes later, or never."""
    try:
        ledger.cost_unavailable(row.fingerprint, attempt=row.attempt, reason=reason, not_found=gone)
    except LedgerError as error:
        log.warning("Request %s: that it was asked could not be recorded (%s).", row.request_id, error.message)
