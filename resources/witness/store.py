"""The witness in the bucket: reading and writing its records and the document that names the ledger. Blocking calls."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from resources.ledger.ledger import Ledger
from resources.storage import keys
from resources.storage.bucket import Bucket
from resources.storage.errors import BadRequest, StorageUnavailable
from resources.witness.record import (
    DOCUMENT_BYTES,
    MAX_BYTES,
    FoundRecord,
    LedgerDocument,
    LedgerRefused,
    WitnessRecord,
    parse_document,
    parse_record,
    refusal,
    stranger,
)

JSON = "application/json"
TRIES = 5
"""Tries of a write that others cross; each of them means that another writer came first."""


@dataclass(frozen=True, slots=True)
class Place:
    """The bucket's records as one ledger writes them."""

    bucket: Bucket
    conditional: bool = True
    """False if the storage ignores the conditions of a PUT: then each write looks first."""

    def write(self, record: WitnessRecord, etag: str | None) -> str | None:
        """Write a record over nothing (``etag`` None) or over exactly this one; its new ETag, None if that failed."""
        key = keys.request_key(record.fingerprint, record.attempt)
        if not self.conditional:
            there = self.bucket.head(key)
            if (there.etag if there else None) != etag:
                return None
            self.bucket.write(key, record.to_json(), JSON)
            written = self.bucket.head(key)
            return written.etag if written else None
        return self.bucket.write_if(key, record.to_json(), JSON, etag=etag)

    def read(self, fingerprint: str, attempt: int) -> FoundRecord | None:
        """Return the record of one attempt, None if there is none."""
        found = self.bucket.read_tagged(keys.request_key(fingerprint, attempt), MAX_BYTES)
        return None if found is None else parse_record(*found, fingerprint=fingerprint, attempt=attempt)

    def latest(self, fingerprint: str) -> FoundRecord | None:
        """Return the record of the highest attempt, None if there is none."""
        names = (keys.parse_request_key(info.key) for info in self.bucket.list(f"{keys.REQUESTS}{fingerprint}/"))
        attempts = [name[1] for name in names if name is not None]
        return self.read(fingerprint, max(attempts)) if attempts else None

    def attempts(self) -> Iterator[tuple[str, int]]:
        """Yield fingerprint and attempt of every record."""
        for info in self.bucket.list(keys.REQUESTS):
            if (name := keys.parse_request_key(info.key)) is not None:
                yield name

    # Whose bucket it is

    def admit(self, ledger: Ledger, service: str) -> "Place":
        """Make sure that this ledger may submit; the bucket belongs to it from now on if it had no ledger.

        Returns:
            The place as it is to be written from now on.

        Raises:
            LedgerRefused: the bucket knows another ledger, or holds what this one knows nothing of.
            StorageError: the bucket does not answer.
        """
        key, mine = keys.ledger_key(service), ledger.id
        for _ in range(TRIES):
            found = self.bucket.read_tagged(key, DOCUMENT_BYTES)
            if found is None:
                if self.holds_paid_work() and not self.knows(ledger, service):
                    raise stranger(mine, self.bucket.name)
                self._begin(key, _document(service, mine))
                continue
            if (refused := refusal(parse_document(found[0], service), mine, self.bucket.name)) is not None:
                raise refused
            if not self.conditional:
                return self
            # Whether conditions are obeyed is asked with the very bytes that are there: where they are not, nothing changes.
            return Place(self.bucket, self._refuses(key, found[0]))
        raise _crossed(key)

    def check(self, ledger: Ledger, service: str) -> None:
        """Look again at a bucket that admitted this ledger before.

        Raises:
            LedgerRefused: another ledger was joined meanwhile.
        """
        found = self.bucket.read_tagged(keys.ledger_key(service), DOCUMENT_BYTES)
        if found is None:
            self.admit(ledger, service)
        elif (refused := refusal(parse_document(found[0], service), ledger.id, self.bucket.name)) is not None:
            raise refused

    def document(self, service: str) -> LedgerDocument | None:
        """Return what the bucket says of its ledgers, None if it says nothing or nothing readable."""
        found = self.bucket.read_tagged(keys.ledger_key(service), DOCUMENT_BYTES)
        return None if found is None else parse_document(found[0], service)

    def document_exists(self, service: str) -> bool:
        """Return whether the bucket says anything of its ledgers, readable or not."""
        return self.bucket.head(keys.ledger_key(service)) is not None

    def hand_over(self, service: str, ledger: str) -> LedgerDocument:
        """Put a ledger in force and retire the one before; the new document."""
        key = keys.ledger_key(service)
        for _ in range(TRIES):
            found = self.bucket.read_tagged(key, DOCUMENT_BYTES)
            before = parse_document(found[0], service) if found else None
            after = before.handed_to(ledger, datetime.now(UTC)) if before else _document(service, ledger)
            if before is not None and before == after:
                return after
            try:
                self.bucket.write_if(key, after.to_json(), JSON, etag=found[1] if found else None)
            except BadRequest:
                self.bucket.write(key, after.to_json(), JSON)
            if (
                self.document(service) == after
            ):  # read back: an answer that was lost, and storage that ignores conditions
                return after
        raise _crossed(key)

    def obeys_conditions(self, service: str) -> bool:
        """Return whether a conditional PUT is refused when its condition does not hold; the document must exist."""
        found = self.bucket.read_tagged(keys.ledger_key(service), DOCUMENT_BYTES)
        return found is None or self._refuses(keys.ledger_key(service), found[0])

    def _refuses(self, key: str, there: bytes) -> bool:
        try:
            return self.bucket.write_if(key, there, JSON, etag=None) is None
        except BadRequest:  # it does not know such a PUT at all
            return False

    def _begin(self, key: str, document: LedgerDocument) -> None:
        try:
            self.bucket.write_if(key, document.to_json(), JSON, etag=None)
        except BadRequest:
            self.bucket.write(key, document.to_json(), JSON)

    def holds_paid_work(self) -> bool:
        """Return whether there is any video or record."""
        videos = (keys.parse_video_key(info.key) for info in self.bucket.list(keys.VIDEOS))
        return any(videos) or any(True for _ in self.attempts())

    def knows(self, ledger: Ledger, service: str) -> bool:
        """Return whether a ledger knows one of the bucket's videos or records: it is the one that made them."""
        for row in ledger.latest_paid(service):
            if self.bucket.head(row.video_key or keys.video_key(row.fingerprint)) is not None:
                return True
            if self.bucket.head(keys.request_key(row.fingerprint, row.attempt)) is not None:
                return True
        return False

    def videos(self) -> Iterator[str]:
        """Yield the fingerprint of every video."""
        for info in self.bucket.list(keys.VIDEOS):
            if (name := keys.parse_video_key(info.key)) is not None:
                yield name


def _document(service: str, ledger: str) -> LedgerDocument:
    known = "runcomfy" if service == "runcomfy" else "sandbox"
    return LedgerDocument(service=known, active=ledger, since=datetime.now(UTC))


def _crossed(key: str) -> StorageUnavailable:
    return StorageUnavailable(f"{key} could not be written: others change it all the time.", remedy="Try it again.")


__all__ = ["LedgerRefused", "Place"]
