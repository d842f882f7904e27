"""One request outside a batch: plan it, submit it, fetch it. For assets that are not this project's own pipeline.

It runs on the pipeline's engine, so the same ledger, caps and limits apply, and nothing is paid twice.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from resources.errors import I2VError
from resources.generation.engine import Engine
from resources.generation.errors import not_delivered
from resources.generation.orphans import order_of
from resources.generation.types import Delivered, GenerationRequest, Outcome
from resources.ledger.errors import UnknownRequest
from resources.ledger.ledger import Ledger
from resources.ledger.records import RequestRow, State
from resources.media.errors import Unreadable
from resources.media.probe import sha256_file, sniff
from resources.prices.billed import Billed, base_words, billed_of
from resources.prices.quote import PastCost, make_quote
from resources.registry.registry import Registry
from resources.runcomfy.errors import UnknownPriceUnit
from resources.runcomfy.offers import Offers
from resources.schemas.endpoints import family_route, to_body
from resources.schemas.inputs import GenerationInputs, Medium, fingerprint
from resources.settings import Settings
from resources.storage.bucket import Bucket
from resources.storage.keys import slug

AT_THE_SERVICE = (State.SUBMITTED, State.SUCCEEDED)
"""States of a request that was submitted and accepted."""


class NameTaken(I2VError):
    """A request's name belongs to a clip, or is not a clean name."""


class NotAgreed(I2VError):
    """The service's entry for an endpoint differs from what a person agreed to."""


def read_medium(bucket: Bucket, key: str, scratch: Path) -> Medium:
    """Return a file of the bucket as an input: its kind, hash, size and the version that was read.

    Raises:
        ObjectMissing: there is no such file.
        StorageError: the bucket does not answer.
        Unreadable: it is not an image, audio or video.
    """
    path = scratch / uuid4().hex
    there = bucket.fetch(key, path)
    found = sniff(path)
    if found is None:
        raise Unreadable(f"{key} is not an image, audio or video that can be read.", remedy="Use another file.")
    kind, content_type = found
    return Medium(
        kind=kind,
        sha256=sha256_file(path),
        key=key,
        size_bytes=path.stat().st_size,
        content_type=content_type,
        etag=there.etag,
        version_id=there.version_id,
    )


def check_name(registry: Registry, name: str) -> None:
    """Check that requests may be recorded under this name.

    Raises:
        NameTaken: it has characters that a name cannot have, or a clip of the pipeline has it.
    """
    if slug(name) != name:
        raise NameTaken(f"{name!r} cannot name a request.", remedy=f"Use {slug(name)!r}.")
    if registry.get(name) is not None:
        raise NameTaken(f"{name} is a clip that was made from an upload.", remedy="Use another name for your request.")


async def plan_request(
    offers: Offers,
    settings: Settings,
    name: str,
    inputs: GenerationInputs,
    *,
    take: int,
    retry_by: str | None,
    past_costs: Callable[[Billed], Sequence[PastCost]] = lambda _: (),
) -> GenerationRequest:
    """Return the request at the most that it may cost now. Sends nothing and costs nothing.

    ``past_costs`` returns what requests like one have cost.

    Raises:
        FamilyUnavailable: no model id of the endpoint answers.
        NotAgreed: its price or schema changed, and that is not approved.
        UnknownPriceUnit: its price cannot be read, and I2V_ALLOW_UNKNOWN_PRICE is off.
        BodyInvalid: the inputs do not fit the endpoint; names each field with its limit.
        ServiceError: the catalogue does not answer.
    """
    live = await offers.live(inputs.family)
    if live.offer is None or live.unapproved_changes:
        raise NotAgreed(
            f"{inputs.family}: {'; '.join(live.unapproved_changes)}.",
            remedy=f"To agree to it: i2v models --accept {inputs.family}",
        )
    to_body(live.offer.endpoint, inputs, lambda medium: f"https://bucket.invalid/{medium.sha256}")
    quote, billed = None, billed_of(inputs)
    try:
        base = live.offer.price_microdollars(inputs)
    except UnknownPriceUnit:
        if not settings.allow_unknown_price:
            raise
    else:
        entry = live.offer.entry
        past = await asyncio.to_thread(past_costs, billed)
        words, headroom = base_words(entry, inputs), settings.price_headroom
        quote = make_quote(base, words, billed, live.offer.terms, past, headroom=headroom)
    price = quote.at_most if quote is not None else None
    name_of_it = fingerprint(settings.service, inputs, take)
    return GenerationRequest(name, take, name_of_it, inputs, family_route(inputs.family), price, retry_by=retry_by,
                             quote=quote, billed=billed)  # fmt: skip


async def run_one(engine: Engine, request: GenerationRequest) -> Outcome:
    """Return the outcome of one request on an engine of its own."""
    outcome: Outcome | None = None
    async with aclosing(engine.stream([request])) as outcomes:
        async for each in outcomes:
            outcome = each
    if outcome is None:
        raise AssertionError("the engine ended without an outcome")
    return outcome


def delivered(outcome: Outcome) -> Delivered:
    """Return the delivery.

    Raises:
        NotDelivered: one of its children, if the request was held, failed or was cancelled.
    """
    if isinstance(outcome, Delivered):
        return replace(outcome, local_path=None)  # the local copy goes with the scratch folder
    raise not_delivered(outcome)


def submitted(ledger: Ledger, outcome: Outcome) -> RequestRow:
    """Return the ledger's row of a request that is at the service.

    Raises:
        NotDelivered: one of its children, if it was not submitted.
    """
    row = ledger.get(outcome.order.fingerprint)
    if row is None:
        raise UnknownRequest(f"The ledger lost request {outcome.order.fingerprint[:12]}.")
    if row.state not in AT_THE_SERVICE:
        delivered(outcome)  # raises
    return row


def recorded(ledger: Ledger, request: RequestRow | GenerationRequest | str) -> GenerationRequest:
    """Return a recorded request to be fetched, and never submitted.

    Args:
        ledger: The record of every request.
        request: What `submit` returned, what was planned, or the service's request id.

    Raises:
        UnknownRequest: the ledger has no such request, or cannot read its inputs.
    """
    row = ledger.find(request) if isinstance(request, str) else ledger.get(request.fingerprint)
    order = order_of(row) if row is not None else None
    if order is None:
        name = request if isinstance(request, str) else request.fingerprint[:12]
        raise UnknownRequest(f"The ledger has no request {name}.", remedy="`i2v ledger list` shows what there is.")
    return order
