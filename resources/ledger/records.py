"""The ledger's inputs and outputs as plain data. Money is integer micro-dollars, times are UTC."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from enum import StrEnum
from typing import Any, Literal, Protocol, TypeAlias

from resources.settings import USD, Settings
from resources.wait_reason import WaitReason


class State(StrEnum):
    """The state of a request; `submitting`, `submitted` and `unknown` may cost money."""

    PLANNED = "planned"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


ALLOWED: Mapping[State, frozenset[State]] = {
    State.PLANNED: frozenset({State.SUBMITTING, State.CANCELLED}),
    State.SUBMITTING: frozenset({State.SUBMITTED, State.PLANNED, State.FAILED, State.UNKNOWN}),
    State.SUBMITTED: frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset({State.PLANNED}),
    State.CANCELLED: frozenset({State.PLANNED}),
    State.UNKNOWN: frozenset({State.SUBMITTED, State.PLANNED, State.FAILED}),
}
"""All transitions. A database trigger refuses every other one, whichever program writes."""


CapName: TypeAlias = Literal["usd_per_day", "requests_per_day", "usd_per_run", "requests_per_run"]


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A generation to plan; ``inputs_json`` holds the inputs under the project's own names."""

    fingerprint: str
    service: str
    clip: str
    take: int
    family: str
    route: str
    seed: int
    duration: int
    inputs_json: str
    price_unit: str | None = None


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One request. ``attempt`` starts at 1; no two POSTs that may have arrived share an attempt.

    ``price_microdollars`` is what the claim reserved, ``cost_microdollars`` what the service reported. ``final`` means
    that the same inputs are never sent again. ``lost`` means that a succeeded video is neither in the bucket nor at the
    service. ``started_at`` is when the service was first seen working, ``finished_at`` when it ended. ``resubmissions``
    counts how often an unknown outcome was sent again. ``not_found_since`` is when the service first said that it does not
    know a request that it had accepted, ``not_found_at`` when it last did; before ``ask_after`` the schedules do not ask.
    ``video_checked`` means that the stored file was opened and is a video, ``replaced_sha256`` is the file that it took
    the place of because that was none. ``cost_doubted`` means that the cost is the reservation, since the reported one
    (``told_microdollars``) cannot be right. ``answered_model_id`` is the model that the service says has answered.
    """

    fingerprint: str
    service: str
    state: State
    attempt: int
    clip: str
    take: int
    family: str
    route: str
    price_unit: str | None
    model_id: str | None
    request_id: str | None
    owner: str | None
    lease_until: datetime | None
    run_id: str | None
    price_microdollars: int | None
    cost_microdollars: int | None
    reason: str | None
    final: bool
    lost: bool
    video_key: str | None
    video_sha256: str | None
    video_bytes: int | None
    seed: int
    duration: int
    inputs_json: str
    resubmissions: int
    created_at: datetime
    claimed_at: datetime | None
    submitted_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    delivered_at: datetime | None
    not_found_since: datetime | None = None
    not_found_at: datetime | None = None
    ask_after: datetime | None = None
    video_checked: bool | None = None
    replaced_sha256: str | None = None
    cost_doubted: bool | None = None
    told_microdollars: int | None = None
    answered_model_id: str | None = None

    @property
    def price_surprise(self) -> int:
        """Return by how many micro-dollars the reported cost exceeds what was reserved; 0 if it does not."""
        told = self.cost_microdollars if self.told_microdollars is None else self.told_microdollars
        return max(0, told - self.price_microdollars) if told and self.price_microdollars else 0


@dataclass(frozen=True, slots=True)
class Sighting:
    """What another place than the ledger knows of a request: the bucket's record, or its video.

    ``target`` is the state that it proves at ``attempt``; ``nonce`` is that of the claim that wrote it. Times are as the
    record has them; ``video`` is key, SHA-256 and size of a video that is in the bucket, as far as they are known.
    """

    new: NewRequest
    attempt: int
    target: State
    reason: str
    nonce: str | None = None
    request_id: str | None = None
    model_id: str | None = None
    price_microdollars: int | None = None
    cost_microdollars: int | None = None
    claimed_at: datetime | None = None
    sent_at: datetime | None = None
    finished_at: datetime | None = None
    final: bool = False
    video: tuple[str, str, int] | None = None


@dataclass(frozen=True, slots=True)
class OwnClaim:
    """A claim whose PUT or look at the bucket found somebody else's work: nothing of it was sent."""

    owner: str
    attempt: int
    nonce: str


@dataclass(frozen=True, slots=True)
class CameToLight:
    """A request about which the bucket knew more than the ledger; ``before`` is None for one that was not there."""

    fingerprint: str
    clip: str
    before: State | None
    after: State
    request_id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a request; never changed or deleted."""

    id: int
    fingerprint: str
    at: datetime
    what: str
    from_state: State | None
    to_state: State
    attempt: int
    owner: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class QuotedPrice:
    """What a claim's price was quoted by: what decides it, the base, what was expected, and the catalogue's terms then."""

    billed: str
    base_microdollars: int
    expected_microdollars: int
    terms: str


@dataclass(frozen=True, slots=True)
class PriceHold:
    """Why a family waits for a person's agreement; without ``billed`` all of it does."""

    family: str
    billed: str | None
    kind: str
    fingerprint: str
    clip: str
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Surprise:
    """A submission whose reported cost is more than was reserved, in micro-dollars."""

    fingerprint: str
    attempt: int
    clip: str
    family: str
    reserved: int
    told: int


@dataclass(frozen=True, slots=True)
class Caps:
    """The budget limits; ``zone`` says when a day begins."""

    usd_per_day_microdollars: int
    requests_per_day: int
    usd_per_run_microdollars: int
    requests_per_run: int
    zone: tzinfo

    def ever_allow(self, microdollars: int, requests: int) -> bool:
        """Return whether they have room for this on a day and in a run in which nothing else is paid."""
        dollars = min(self.usd_per_day_microdollars, self.usd_per_run_microdollars)
        return microdollars <= dollars and requests <= min(self.requests_per_day, self.requests_per_run)


def caps_of(settings: Settings) -> Caps:
    """Return the caps of the service in force; the sandbox has its own per day, which limit a run too."""
    if settings.is_sandbox:
        dollars, count = round(settings.sandbox_budget_usd_per_day * USD), settings.sandbox_budget_requests_per_day
        return Caps(dollars, count, dollars, count, settings.zone)
    return Caps(
        round(settings.budget_usd_per_day * USD),
        settings.budget_requests_per_day,
        round(settings.budget_usd_per_run * USD),
        settings.budget_requests_per_run,
        settings.zone,
    )


@dataclass(frozen=True, slots=True)
class Claimed:
    """The caller owns the request and its price is reserved: it may send one POST."""

    row: RequestRow


@dataclass(frozen=True, slots=True)
class AlreadyClaimed:
    """The request is not `planned`: another owner has it, or it has ended. The row says which."""

    row: RequestRow


@dataclass(frozen=True, slots=True)
class OverBudget:
    """The claim would exceed a cap; the row stays `planned`. ``text`` is the message for people."""

    text: str
    cap: CapName


@dataclass(frozen=True, slots=True)
class AtCapacity:
    """The limit of requests in flight, over all processes, is reached."""

    in_flight: int


@dataclass(frozen=True, slots=True)
class Unwanted:
    """The request is no longer wanted, or not now; the row stays `planned`.

    Attributes:
        reason: what stands against it.
        text: the same in words, for people.
        remedy: what to do.
    """

    reason: WaitReason
    text: str
    remedy: str = ""


WantedCheck: TypeAlias = Callable[[Any], Unwanted | None]
"""Asked within the transaction of a claim, with its connection, whether the request is still wanted; None if it is."""

ClaimOutcome: TypeAlias = Claimed | AlreadyClaimed | OverBudget | AtCapacity | Unwanted


@dataclass(frozen=True, slots=True)
class PauseState:
    """How long a service is to be left alone, and whether it may be out of order.

    Attributes:
        seconds: How long it is to be left alone.
        resumes: How many pauses a person has ended.
        misses: It does not know a request that it accepted, so that it may be in an outage.
    """

    seconds: float
    resumes: int
    misses: bool = False


@dataclass(frozen=True, slots=True)
class Spend:
    """Money spent: ``settled`` is what the service reported, ``reserved`` what it has not reported yet."""

    requests: int
    settled_microdollars: int
    reserved_microdollars: int

    @property
    def microdollars(self) -> int:
        """Return settled plus reserved micro-dollars."""
        return self.settled_microdollars + self.reserved_microdollars


@dataclass(frozen=True, slots=True)
class SpendLine(Spend):
    """The spend of one clip on one day with one model."""

    day: date
    service: str
    route: str
    model_id: str | None
    clip: str


class PaidClip(Protocol):
    """What the ledger needs to know of a clip that asks for money."""

    @property
    def clip(self) -> str:
        """Its name."""

    @property
    def planned_fingerprint(self) -> str | None:
        """A request that it is planned with."""

    @property
    def delivered_at(self) -> datetime | None:
        """When its video was delivered last; None if it has none."""


@dataclass(frozen=True, slots=True)
class Money:
    """What the ledger proves about the money of one clip. Every sentence about money is made from it, and only from it.

    It is about the requests that the clip's next video hangs on: the planned ones, those without a video, and those whose
    video is not the clip's yet, such as the pieces of a film or the takes that are there while another is missing.

    Attributes:
        charged_microdollars: what the service says that it charged.
        open_microdollars: reserved by requests that may be charged, and whose cost the service has not named.
        open_requests: how many such requests there are; the price of some may be unknown.
        unconfirmed: one of them has no request id, so it may never have arrived.
        sent: a request reached the service, or may have, also if it was refused.
        request_ids: the service's ids of what may have been charged, oldest first.
        fingerprints: of all requests of the clip that may have been charged, the earlier ones too.
        earlier_requests: further requests of the clip that were paid for and delivered.
    """

    charged_microdollars: int = 0
    open_microdollars: int = 0
    open_requests: int = 0
    unconfirmed: bool = False
    sent: bool = False
    request_ids: tuple[str, ...] = ()
    fingerprints: frozenset[str] = frozenset()
    earlier_requests: int = 0

    @property
    def may_have_been_paid(self) -> bool:
        """True if money moved, or may have."""
        return self.charged_microdollars > 0 or self.open_requests > 0

    @property
    def microdollars(self) -> int:
        """The most that it may come to."""
        return self.charged_microdollars + self.open_microdollars


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)
