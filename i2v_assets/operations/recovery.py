"""What a person does when the ledger is not the one that was written: join, rebuild, import, and check after a restore."""

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from i2v_assets.clip_folder.manifest import Manifest, ManifestError, read_manifest
from i2v_assets.session import Session
from i2v_assets.uploads.types import Candidate
from resources.errors import ErrorCode, I2VError, SettingsError
from resources.ledger.database import Database
from resources.ledger.errors import NotALedger
from resources.ledger.importing import import_lines
from resources.ledger.ledger import Ledger
from resources.ledger.records import CameToLight, NewRequest, RequestRow, Sighting, State
from resources.ledger.sqlite_file import is_whole, move_aside
from resources.registry.registry import Registry
from resources.settings import Settings
from resources.storage import keys
from resources.storage.bucket import Bucket
from resources.storage.errors import StorageError
from resources.witness.reconcile import READERS, reconcile
from resources.witness.record import LedgerDocument, LedgerRefused, RecordState, refusal
from resources.witness.store import Place


class CannotRecover(I2VError):
    """The command is not the one for this ledger and this bucket."""

    code = ErrorCode.USAGE


@dataclass(frozen=True)
class Recovered:
    """What a command did.

    Attributes:
        ledger: which ledger it was, for people.
        light: requests of which the bucket knew more.
        unknown: requests whose outcome a person has to look up, all of this service.
        retired: the id of the ledger that may not submit any more, None if there was none.
        aside: where a file was moved that was not a ledger.
        approvals: approvals that ended.
        takes: clips of which a further take was taken back, since it had not been made.
    """

    ledger: str
    light: tuple[CameToLight, ...]
    unknown: int
    retired: str | None = None
    aside: Path | None = None
    approvals: int = 0
    takes: tuple[str, ...] = ()


def rebuild(settings: Settings, bucket: Bucket) -> Recovered:
    """Make a ledger out of the bucket's records, manifests and videos, and let the bucket know it.

    Raises:
        CannotRecover: the ledger that is there is whole, holds requests of its own, and is not the bucket's.
    """
    aside = _clear_the_place(settings)
    with Ledger.open(settings.ledger_address) as ledger:
        document = Place(bucket).document(settings.service)
        if ledger.has_requests(sent=True) and (document is None or document.active != ledger.id):
            raise CannotRecover(
                f"The ledger {ledger.name} has sent requests, so it is not one to be built anew.",
                remedy="`i2v ledger join` adds what the bucket knows and retires the ledger that it names.",
            )
        return _take_over(settings, bucket, ledger, document, aside)


def join(settings: Settings, bucket: Bucket) -> Recovered:
    """Read the bucket's records into this ledger, and retire the ledger that the bucket names.

    Raises:
        CannotRecover: the storage ignores conditions, so that two ledgers could not be kept apart.
    """
    with Ledger.open(settings.ledger_address) as ledger:
        place = Place(bucket)
        document = place.document(settings.service)
        if document is not None and document.active != ledger.id and not place.obeys_conditions(settings.service):
            raise CannotRecover(
                f"Bucket {bucket.name!r} ignores the conditions of a PUT, so it cannot keep two ledgers apart.",
                remedy="Use one Postgres by I2V_LEDGER_URL; if the other ledger is lost, `i2v ledger rebuild`.",
            )
        return _take_over(settings, bucket, ledger, document, None)


def restored(settings: Settings, bucket: Bucket) -> Recovered:
    """Compare a ledger that came from a backup with the bucket, and end what was approved or asked for before.

    Raises:
        LedgerRefused: the bucket names another ledger.
    """
    with Ledger.open(settings.ledger_address) as ledger:
        place = Place(bucket)
        document = place.document(settings.service)
        if document is not None and (refused := refusal(document, ledger.id, bucket.name)) is not None:
            raise refused
        light = reconcile(ledger, place, settings.service, made_videos(bucket, settings.service))
        approvals = ledger.void_approvals()
        takes = _void_takes(ledger)
        return Recovered(ledger.name, light, _unknown(ledger, settings), approvals=approvals, takes=takes)


def import_export(settings: Settings, lines: Iterable[str]) -> tuple[str, Counter[str]]:
    """Fill an empty ledger from an export; which ledger, and rows by table.

    Raises:
        LedgerError: the ledger is not empty, or a line is wrong.
    """
    _clear_the_place(settings)
    with _database(settings) as database:
        counts = import_lines(database, lines)
        return Ledger(database).name, counts


def note_resolved(session: Session, before: RequestRow, *, request_id: str | None) -> bool:
    """Write what a person found out about an unknown outcome into its record; False if the bucket does not take it.

    Only a help for the next ledger: without it the outcome is unknown there once more.

    Args:
        session: where the bucket is.
        before: the row before it was resolved.
        request_id: the id at the service; None if it was not charged.
    """
    try:
        place = Place(session.bucket)
        found = place.read(before.fingerprint, before.attempt)
        if found is None or found.record is None or found.record.state is not RecordState.CLAIMED:
            return True
        record = found.record.sent(request_id, datetime.now(UTC)) if request_id else found.record.ended("not_charged")
        return place.write(record, found.etag) is not None
    except (StorageError, SettingsError):
        return False


def made_videos(bucket: Bucket, service: str) -> dict[str, Sighting]:
    """Return what the manifests of delivered clips say of their videos, by fingerprint."""
    names = [info.key for info in bucket.list(keys.CLIPS) if info.key.endswith(f"/{keys.MANIFEST}")]
    with ThreadPoolExecutor(READERS) as readers:
        found = readers.map(lambda key: _manifest(bucket, key), names)
        # A joined video is not a request: its pieces have records and videos of their own.
        manifests = [each for each in found if each is not None and each.service == service and not each.pieces]
    return {manifest.fingerprint: _sighting(manifest) for manifest in manifests}


def _manifest(bucket: Bucket, key: str) -> Manifest | None:
    try:
        return read_manifest(bucket.read(key, max_bytes=1024 * 1024), name=key)
    except (ManifestError, StorageError):
        return None  # the records and videos tell the rest


def _sighting(manifest: Manifest) -> Sighting:
    video = manifest.video
    new = NewRequest(
        manifest.fingerprint, manifest.service, manifest.clip, manifest.take, manifest.family, manifest.route.value,
        manifest.seed, manifest.duration, "{}",
    )  # fmt: skip
    return Sighting(
        new, 1, State.SUCCEEDED, "its manifest and video are in the bucket", request_id=manifest.request_id,
        model_id=manifest.model_id, price_microdollars=manifest.price_microdollars,
        cost_microdollars=manifest.cost_microdollars, claimed_at=manifest.times.submitted or manifest.times.created,
        sent_at=manifest.times.submitted, finished_at=manifest.times.finished or manifest.times.delivered,
        video=(keys.video_key(manifest.fingerprint), video.sha256, video.size_bytes),
    )  # fmt: skip


def _take_over(
    settings: Settings, bucket: Bucket, ledger: Ledger, document: LedgerDocument | None, aside: Path | None
) -> Recovered:
    """Read the bucket in, put this ledger in force, and read once more what the other wrote meanwhile."""
    place, made = Place(bucket), made_videos(bucket, settings.service)
    light = reconcile(ledger, place, settings.service, made)
    place.hand_over(settings.service, ledger.id)
    known = {line.fingerprint for line in light}
    late = reconcile(ledger, place, settings.service, made)
    retired = document.active if document is not None and document.active != ledger.id else None
    light = (*light, *(line for line in late if line.fingerprint not in known))
    return Recovered(ledger.name, light, _unknown(ledger, settings), retired=retired, aside=aside)


def _unknown(ledger: Ledger, settings: Settings) -> int:
    return len(ledger.list((State.UNKNOWN,), service=settings.service))


def _clear_the_place(settings: Settings) -> Path | None:
    """Move a file away that is not a ledger: empty, damaged, or another program's."""
    address = settings.ledger_address
    path = Path(address.removeprefix("sqlite:///")) if address.startswith("sqlite:///") else None
    if path is not None and path.is_file() and path.stat().st_size and not is_whole(path):
        return move_aside(path)
    try:
        Ledger.open(address).close()
    except NotALedger:
        if path is None:
            raise
        return move_aside(path)
    return None


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    database = Database.open(settings.ledger_address)
    try:
        yield database
    finally:
        database.close()


def _void_takes(ledger: Ledger) -> tuple[str, ...]:
    """Take back further takes that a person asked for before the backup and that were not made."""
    registry = Registry(ledger.database)
    asked = [row for row in registry.list() if row.extra_takes]
    made = ledger.highest_takes([row.clip for row in asked])
    ended = []
    for row in asked:
        wanted = Candidate.from_content(row.content).brief.takes or 1
        extra = max(made.get(row.clip, 0) - wanted, 0)
        if extra < row.extra_takes and registry.void_takes(row, last=wanted + extra, extra=extra):
            ended.append(row.clip)
    return tuple(ended)


__all__ = [
    "CannotRecover",
    "LedgerRefused",
    "Recovered",
    "import_export",
    "join",
    "note_resolved",
    "rebuild",
    "restored",
]
