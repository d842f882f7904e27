"""What the witness writes, and what another ledger may do when it finds it. Pure.

``requests/<fingerprint>/<attempt>.json``, the record of one attempt of a paid request, is written before the POST, so that
nothing is paid twice when the ledger is not the one that was written. ``requests/_ledgers/<service>.json`` says which ledger
may submit to a service for this bucket, and which were retired. Neither holds a host, user, address or secret. What is read
there is data: every field has a pattern and a bound, and a request id that it names is asked of the service before anything
is made of it.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from resources.errors import ErrorCode, I2VError
from resources.ledger.records import NewRequest, RequestRow, Sighting, State
from resources.redact import redact_inputs
from resources.schemas.inputs import Service, Sha256

SCHEMA_VERSION: Final = 1
MAX_BYTES = 256 * 1024
"""Largest record that is read. A prompt has at most some thousand characters and a request a dozen files, so one has 2 to
30 KB."""

MAX_MICRODOLLARS = 10_000_000_000
"""10,000 dollars: a price above is not one of a clip."""

Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Name = Annotated[str, Field(max_length=300)]


class RecordState(StrEnum):
    """How far an attempt came."""

    CLAIMED = "claimed"
    """It may be sent at any moment, or has been."""
    SENT = "sent"
    """The service took it, under the id that stands beside."""
    FREE = "free"
    """It was proved that nothing was sent: whoever takes it may send it."""
    ENDED = "ended"
    """The service decided without a video, or a person did."""


End = Literal["failed", "cancelled", "refused", "not_charged"]


class WitnessRecord(BaseModel):
    """One attempt. ``nonce`` is of one claim; ``end`` and ``final`` say how an attempt ended without a video."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: Literal[1] = SCHEMA_VERSION
    state: RecordState
    ledger: Hex
    nonce: Hex
    fingerprint: Sha256
    attempt: int = Field(ge=1, le=999_999)
    service: Service
    clip: Name
    take: int = Field(ge=0, le=1_000_000)
    family: Name
    route: Name
    seed: int = Field(ge=0, le=2**63 - 1)
    duration: int = Field(ge=0, le=86_400)
    model_id: str = Field(pattern=r"^[A-Za-z0-9._/-]{1,200}$")
    price_microdollars: int | None = Field(None, ge=0, le=MAX_MICRODOLLARS)
    price_unit: Name | None = None
    inputs: str = Field("{}", max_length=MAX_BYTES)
    claimed_at: AwareDatetime
    sent_at: AwareDatetime | None = None
    request_id: str | None = Field(None, pattern=r"^[A-Za-z0-9_-]{1,128}$")
    end: End | None = None
    final: bool = False

    @classmethod
    def claimed(cls, row: RequestRow, *, ledger: str, nonce: str) -> Self:
        """Return the record of a claim that the ledger has committed."""
        if row.claimed_at is None or row.model_id is None:
            raise ValueError(f"request {row.fingerprint[:12]} is not claimed")
        return cls(
            state=RecordState.CLAIMED,
            ledger=ledger,
            nonce=nonce,
            fingerprint=row.fingerprint,
            attempt=row.attempt,
            service="runcomfy" if row.service == "runcomfy" else "sandbox",
            clip=row.clip,
            take=row.take,
            family=row.family,
            route=row.route,
            seed=row.seed,
            duration=row.duration,
            model_id=row.model_id,
            price_microdollars=row.price_microdollars,
            price_unit=row.price_unit,
            inputs=redact_inputs(row.inputs_json),
            claimed_at=row.claimed_at,
        )

    def sent(self, request_id: str, at: datetime) -> Self:
        """Return the record once the service has answered with an id."""
        return self.model_copy(update={"state": RecordState.SENT, "request_id": request_id, "sent_at": at})

    def freed(self) -> Self:
        """Return the record of an attempt of which nothing was sent."""
        return self.model_copy(update={"state": RecordState.FREE})

    def ended(self, end: End, *, final: bool = False) -> Self:
        """Return the record of an attempt that brought no video."""
        return self.model_copy(update={"state": RecordState.ENDED, "end": end, "final": final})

    def to_json(self) -> bytes:
        """Return its bytes."""
        return (self.model_dump_json(exclude_none=True, indent=1) + "\n").encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class FoundRecord:
    """What lies under a record's key; ``record`` is None if it cannot be read, or is not about this key."""

    fingerprint: str
    attempt: int
    etag: str
    record: WitnessRecord | None


def parse_record(data: bytes, etag: str, *, fingerprint: str, attempt: int) -> FoundRecord:
    """Return what the bytes under a record's key say."""
    record = None
    if len(data) <= MAX_BYTES:
        try:
            record = WitnessRecord.model_validate_json(data)
        except (ValidationError, ValueError):
            record = None
    if record is not None and (record.fingerprint, record.attempt) != (fingerprint, attempt):
        record = None
    if record is not None and record.state is RecordState.SENT and record.request_id is None:
        record = None
    return FoundRecord(fingerprint, attempt, etag, record)


class Finding(StrEnum):
    """What a claim that meets a record does."""

    OURS = "ours"
    """The PUT took effect although its answer was lost: send."""
    TAKE = "take"
    """Nothing was sent: write over exactly this record, then send."""
    ADOPT = "adopt"
    """It was sent, ended, or its outcome is unknown: never send; the ledger's row takes what the record says."""


def judge(found: FoundRecord, *, attempt: int, nonce: str, ledger: str, unsent: frozenset[str]) -> Finding:
    """Say what a claim may do with the record that it met.

    Args:
        found: the record of the highest attempt.
        attempt: the claim's own.
        nonce: the claim's own.
        ledger: the id of the claim's ledger.
        unsent: nonces of earlier claims of this attempt of which this ledger proved that nothing was sent.
    """
    record = found.record
    if record is None or found.attempt != attempt:
        return Finding.ADOPT
    if record.state is RecordState.CLAIMED and record.nonce == nonce:
        return Finding.OURS
    if record.state is RecordState.FREE:
        return Finding.TAKE
    if record.state is RecordState.CLAIMED and record.ledger == ledger and record.nonce in unsent:
        return Finding.TAKE
    return Finding.ADOPT


def sighting_of(found: FoundRecord, service: str) -> Sighting:
    """Return what a record says of its request, as the ledger takes it.

    A record that cannot be read may be of a request that was paid for, so its outcome is unknown.
    """
    record = found.record
    if record is None:
        new = NewRequest(found.fingerprint, service, ":unreadable", 0, "", "", 0, 0, "{}")
        return Sighting(new, found.attempt, State.UNKNOWN, reason="its record in the bucket cannot be read")
    target, attempt, reason = _target(record)
    return Sighting(
        NewRequest(
            record.fingerprint, record.service, record.clip, record.take, record.family, record.route, record.seed,
            record.duration, record.inputs, record.price_unit,
        ),
        attempt,
        target,
        reason=reason,
        nonce=record.nonce,
        request_id=record.request_id,
        model_id=record.model_id,
        price_microdollars=record.price_microdollars,
        claimed_at=record.claimed_at,
        sent_at=record.sent_at,
        final=record.final,
    )  # fmt: skip


def _target(record: WitnessRecord) -> tuple[State, int, str]:
    """The state that a record proves, its attempt, and the reason in words."""
    if record.request_id is not None:  # whatever else it says: the service has the last word
        return State.SUBMITTED, record.attempt, f"the bucket's record names request {record.request_id}"
    if record.state is RecordState.FREE:
        return State.PLANNED, record.attempt, "the bucket's record says that nothing was sent"
    if record.state is RecordState.ENDED and record.end == "not_charged":
        return State.PLANNED, record.attempt + 1, "the bucket's record says that it was not charged"
    if record.state is RecordState.ENDED:
        return State.FAILED, record.attempt, "the bucket's record says that the service refused it"
    return State.UNKNOWN, record.attempt, "the bucket's record says that it was claimed, and names no request"


DOCUMENT_BYTES = 1024 * 1024
"""Largest document that is read; a retired ledger takes 80 bytes."""
SHORT = 8
"""Characters of a ledger's id that people see."""


class LedgerRefused(I2VError):
    """The bucket knows another ledger than this one, so this one may not submit."""

    code = ErrorCode.LEDGER_FOREIGN


class RetiredLedger(BaseModel):
    """A ledger that may not submit any more."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Hex
    at: AwareDatetime


class LedgerDocument(BaseModel):
    """The ledger in force, and those that were retired."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: Literal[1] = SCHEMA_VERSION
    service: Service
    active: Hex
    since: AwareDatetime
    retired: tuple[RetiredLedger, ...] = ()

    def handed_to(self, ledger: str, at: datetime) -> Self:
        """Return the document with another ledger in force; the one before is retired."""
        if ledger == self.active:
            return self
        kept = tuple(each for each in self.retired if each.id != ledger)
        retired = (*kept, RetiredLedger(id=self.active, at=at))
        return self.model_copy(update={"active": ledger, "since": at, "retired": retired})

    def to_json(self) -> bytes:
        """Return its bytes."""
        return (self.model_dump_json(indent=1) + "\n").encode()


def parse_document(data: bytes, service: str) -> LedgerDocument | None:
    """Return the document, None if it cannot be read."""
    try:
        document = LedgerDocument.model_validate_json(data) if len(data) <= DOCUMENT_BYTES else None
    except (ValidationError, ValueError):
        return None
    return document if document is not None and document.service == service else None


def refusal(document: LedgerDocument | None, ledger: str, bucket: str) -> LedgerRefused | None:
    """Return why this ledger may not submit, None if it may.

    Args:
        document: what the bucket says; None if it cannot be read.
        ledger: the id of the ledger that asks.
        bucket: the bucket's name.
    """
    if document is None:
        return LedgerRefused(
            f"Bucket {bucket!r}: the document that names its ledger cannot be read.",
            remedy="`i2v ledger join` reads all records of the bucket and writes it anew.",
        )
    if document.active == ledger:
        return None
    join = (
        "Point I2V_DATA_DIR or I2V_LEDGER_URL to that ledger; two machines need one Postgres. If it is lost, run"
        " `i2v ledger rebuild`. To go on with this one, run `i2v ledger join`, which retires the other."
    )
    retired = next((each for each in document.retired if each.id == ledger), None)
    if retired is not None:
        return LedgerRefused(
            f"This ledger ({ledger[:SHORT]}) was retired on {retired.at:%Y-%m-%d %H:%M} UTC; bucket {bucket!r} goes on"
            f" with ledger {document.active[:SHORT]}.",
            remedy=join,
        )
    return LedgerRefused(
        f"Bucket {bucket!r} belongs to ledger {document.active[:SHORT]}, and this is ledger {ledger[:SHORT]}.",
        remedy=join,
    )


def stranger(ledger: str, bucket: str) -> LedgerRefused:
    """Return the refusal of a ledger that knows nothing of what a bucket holds."""
    return LedgerRefused(
        f"Bucket {bucket!r} holds paid requests, and this ledger ({ledger[:SHORT]}) knows none of them.",
        remedy="Point I2V_DATA_DIR or I2V_LEDGER_URL to the ledger that made them, or run `i2v ledger rebuild`.",
    )
