"""Which ledger may submit to a service for a bucket, and why another may not. Pure.

``requests/_ledgers/<service>.json`` names the ledger in force and those that were retired.
"""

from datetime import datetime
from typing import Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from resources.errors import ErrorCode, I2VError
from resources.schemas.inputs import Service
from resources.witness.record import Hex

SCHEMA_VERSION: Final = 1
MAX_BYTES = 1024 * 1024
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
        document = LedgerDocument.model_validate_json(data) if len(data) <= MAX_BYTES else None
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
