"""What goes into the engine and what comes out: requests, outcomes, options."""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Self

from resources.errors import ErrorCode, I2VError, Verdict
from resources.ledger.leases import GRACE_SECONDS
from resources.ledger.records import Caps, RequestRow, WantedCheck
from resources.prices.billed import Billed
from resources.prices.quote import Quote
from resources.schemas.inputs import GenerationInputs, Route
from resources.wait_reason import WaitReason


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One take of one clip that is to be in the bucket in the end, whichever run pays for it.

    Attributes:
        clip: The clip's partition key.
        take: The take's number, from 1.
        fingerprint: Of the service, the inputs and the take.
        inputs: What to make.
        route: The kind of generation.
        price_microdollars: What the plan showed, and so the most that may be reserved for it; None: no price could be
            shown, so it is sent only if unknown prices are allowed.
        quote: How the price was learned; None if the price is the catalogue's base.
        billed: What decides its price; None: what can be read from the inputs.
        approved: False holds the order before anything is paid; what was submitted before is fetched all the same.
        retry_by: Who asked for another attempt after a failure that is not final; None if there was no such request.
        adopt_only: Never submit: fetch what was submitted before, or say what is left.
        not_after: From this moment on nothing is submitted for it; None: at any time.
        wanted: Asked in the transaction of each claim whether it is still wanted; None: it always is.
        wait: False submits and leaves the request at the service, for `poll`, another run or `adopt_orphans` to fetch.
    """

    clip: str
    take: int
    fingerprint: str
    inputs: GenerationInputs
    route: Route
    price_microdollars: int | None = None
    approved: bool = True
    retry_by: str | None = None
    adopt_only: bool = False
    not_after: datetime | None = None
    wanted: WantedCheck | None = None
    wait: bool = True
    quote: Quote | None = None
    billed: Billed | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """The video is in the bucket.

    Attributes:
        local_path: The same file on local disk, the caller's to delete; None where nothing was downloaded.
        paid: This run submitted it.
        adopted: It had been submitted before, and this run fetched it.
        already: It was in the bucket before; the service was not asked.
        queue_seconds: Time between submit and start, as far as it was seen.
        generation_seconds: Time between start and end.
        cost_microdollars: As reported by the service; None as long as it has not.
        price_microdollars: What was reserved.
        polls: Requests that this run made to learn of the end.
        replaced_sha256: The stored file that this one replaced, because it was not a video; None if there was none.
        notice_seconds: Time between the end, by the service's clock, and its notice; None where it is not known.
    """

    order: GenerationRequest
    video_key: str
    sha256: str
    size_bytes: int
    request_id: str | None
    model_id: str | None
    attempt: int
    local_path: Path | None = None
    paid: bool = False
    adopted: bool = False
    already: bool = False
    queue_seconds: float | None = None
    generation_seconds: float | None = None
    cost_microdollars: int | None = None
    price_microdollars: int | None = None
    polls: int = 0
    notice_seconds: float | None = None
    replaced_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """Not delivered, nothing failed: the ledger's row says how it goes on.

    Attributes:
        code: What caused it, None if no error did.
        http_status: The HTTP status of the answer that caused it, None if there was none.
    """

    order: GenerationRequest
    kind: WaitReason
    reason: str
    remedy: str = ""
    request_id: str | None = None
    code: ErrorCode | None = None
    http_status: int | None = None

    @classmethod
    def by(
        cls,
        error: I2VError,
        order: GenerationRequest,
        kind: WaitReason,
        *,
        remedy: str = "",
        request_id: str | None = None,
    ) -> Self:
        """Return the hold that an error causes; ``remedy`` stands in if the error has none."""
        request_id = request_id or error.request_id
        return cls(order, kind, error.message, error.remedy or remedy, request_id, error.code, error.http_status)


@dataclass(frozen=True, slots=True)
class Failed:
    """Not delivered.

    Attributes:
        final: The same would fail again; it is remembered by fingerprint and never submitted again.
        attempts_left: False once `max_attempts` were made: only a person's `i2v retry` adds another.
        code: What failed.
        http_status: The HTTP status of the answer that said so, None if there was none.
    """

    order: GenerationRequest
    reason: str
    remedy: str = ""
    final: bool = False
    attempts_left: bool = True
    verdict: Verdict = Verdict.RETRYABLE
    request_id: str | None = None
    code: ErrorCode = ErrorCode.GENERATION_FAILED
    http_status: int | None = None

    @classmethod
    def by(
        cls,
        error: I2VError,
        order: GenerationRequest,
        *,
        remedy: str = "",
        verdict: Verdict | None = None,
        request_id: str | None = None,
    ) -> Self:
        """Return the failure that an error is; ``remedy`` stands in if the error has none."""
        return cls(
            order, error.message, error.remedy or remedy, verdict=verdict or error.verdict,
            request_id=request_id or error.request_id, code=error.code, http_status=error.http_status,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A person stopped it. Only ``cancelled`` says that the service confirmed it; the others may still be charged."""

    order: GenerationRequest
    confirmed: Literal["cancelled", "not_cancellable", "unconfirmed"]
    reason: str
    remedy: str = ""
    request_id: str | None = None


Outcome = Delivered | Held | Failed | Cancelled

NO_CAPS = 2**62
"""Larger than any sum of money or number of requests, and still a 64-bit integer."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """The engine's limits; times in seconds. The first block comes from the settings, the rest has its reason here."""

    caps: Caps
    max_in_flight: int = 200
    deadline_seconds: float = 1800
    presign_seconds: int = 3600
    inline_input_bytes: int = 0
    on_unknown: Literal["hold", "resubmit"] = "hold"
    resubmit_cap: int = 1
    allow_unknown_price: bool = False
    price_headroom: float = 2.0
    max_attempts: int = 3
    lease_seconds: float = 60
    """Seconds without a heartbeat after which a run counts as dead and its requests may be adopted; three heartbeats fit."""
    grace_seconds: float = GRACE_SECONDS
    """How long beyond the lease a claim whose POST may be under way is left to its owner."""
    claims: int = 4
    """Claims at once: a database with one writer gains nothing from more."""
    submits: int = 8
    """Paid requests on their way at once: bounds how many outcomes a crash can leave unknown."""
    polls: int = 16
    """Polls at once."""
    downloads: int = 4
    """Videos on their way at once: bounds disk and sockets; one connection of a home line is full with fewer."""
    waiting_outcomes: int = 8
    """Outcomes that wait for the caller: with the downloads this bounds the files on local disk."""
    submit_tries: int = 4
    """Tries of a submit that never reached the service, about 8 s in all: longer outages end the clip's turn."""
    download_tries: int = 4
    """Tries of a download, each with a fresh address from the service."""
    stop_seconds: float = 5
    """All the time that stopping may take: cancelling queued requests, and hearing the answers of submits under way."""
    cancels: int = 32
    """Cancels at once when a person stops a run."""
    prior_seconds: float | None = None
    """Generation time to expect of an endpoint that nothing is known of; None: second-hand figures by vendor."""
    min_poll_seconds: float = 0.2
    """Never ask for the same request more often."""
    patience_seconds: float = 60
    """How long the ledger may be out of reach before a clip's turn ends."""
    scratch_margin_bytes: int = 512 * 1024**2
    """Space to leave free on the scratch disk: no download starts with less."""


_CONTENT = re.compile(
    r"\b(content|moderat\w*|polic(y|ies)|safety|unsafe|nsfw|sensitive|inappropriate|prohibited|violat\w*|"
    r"copyright\w*|celebrit\w*|real person|public figure|censor\w*)\b",
    re.IGNORECASE,
)
_NOT_CONTENT = re.compile(r"content[- ]?(type|length|encoding|disposition)|rate[- ]?limit\w*", re.IGNORECASE)

CONTENT_REMEDY = (
    "The service's content rules refuse this picture or prompt; it is never sent again as it is."
    " Change the prompt or the media."
)


def is_content_policy_refusal(message: str | None) -> bool:
    """Return True if the service's words are about what the media or the prompt show, not about form or capacity."""
    return bool(message and _CONTENT.search(_NOT_CONTENT.sub(" ", message)))


def lost(order: GenerationRequest, reason: str, request_id: str | None) -> Held:
    """Return the hold of a video that was made once and is gone: only a person starts what is paid for a second time."""
    remedy = f"`i2v retake {order.clip}` makes a new take, which is paid for."
    return Held(order, WaitReason.LOST, reason, remedy, request_id=request_id)


def unknown(order: GenerationRequest, row: RequestRow) -> Held:
    """Return the hold of a submit without an answer: only a person, with the service's console, can say what became of it."""
    why = (row.reason or "the outcome of the submit is unknown").rstrip(".")
    reason = f"It may have been submitted and charged: {why}."
    command = f"i2v ledger resolve {row.fingerprint[:12]} --request-id ID, or --not-charged."
    if row.claimed_at is None:
        return Held(order, WaitReason.UNKNOWN, reason, command)
    when = f"{row.claimed_at:%Y-%m-%d %H:%M:%S} UTC"
    return Held(order, WaitReason.UNKNOWN, reason, f"Look at the service's console around {when}, then: {command}")
