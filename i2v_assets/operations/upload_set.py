"""Upload a set of files so that nothing of it is ordered before all of it is there, and say how it is understood."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from i2v_assets.briefs.yaml_reader import MAX_DOCUMENT_BYTES
from i2v_assets.planning.routing import RouteImpossible, route_of_names
from i2v_assets.uploads.csv_batches import MAX_BATCH_BYTES
from i2v_assets.uploads.grouping import Grouping, group_uploads, texts_wanted
from i2v_assets.uploads.marks import ENDS_AFTER, RENEW_AFTER, mark_name, mark_text
from i2v_assets.uploads.memory import IntakeMemory
from i2v_assets.uploads.noise import is_noise
from i2v_assets.uploads.roles import media_kind, role_of
from i2v_assets.uploads.tree import tree_of
from i2v_assets.uploads.types import Candidate
from resources.media.foresee import foresee
from resources.schemas.inputs import MediumKind
from resources.settings import Settings
from resources.storage.bucket import Bucket
from resources.storage.errors import StorageError
from resources.storage.keys import UPLOADS

_ORDER = {MediumKind.AUDIO: 1, MediumKind.VIDEO: 2, MediumKind.IMAGE: 3}
"""Documents go first, so that no image is there without them; images go last, because each may be a clip."""


LONG_AGO = datetime.min.replace(tzinfo=UTC)
"""When a local file counts as written: it has settled once it is sent."""


@dataclass(frozen=True)
class LocalFile:
    """A file of this machine and the key that it gets; it looks like a settled object of the bucket."""

    path: Path
    key: str
    etag: str
    size_bytes: int
    modified_at: datetime = LONG_AGO


@dataclass(frozen=True)
class Understood:
    """How one clip or file of a set is understood, for people."""

    what: str
    name: str
    words: str


def local_file(path: Path, key: str) -> LocalFile:
    """Return a file to upload.

    Raises:
        OSError: the file cannot be read.
    """
    status = path.stat()
    return LocalFile(path, key, f"{status.st_size}-{status.st_mtime_ns}", status.st_size)


def in_order(files: Iterable[LocalFile]) -> list[LocalFile]:
    """Return the files in the order in which they are sent: documents, sounds, videos, images; each kind by key."""
    return sorted(files, key=lambda file: (_place(file.key), file.key))


def _place(key: str) -> int:
    kind = media_kind(key)
    return 0 if kind is None else _ORDER[kind]


def without_noise(files: Iterable[LocalFile], settings: Settings) -> list[LocalFile]:
    """Return the files that the project reads; what systems leave beside them stays here."""
    return [
        file for file in files if not is_noise(file.key.removeprefix(UPLOADS), file.size_bytes, settings.ignore_uploads)
    ]


class MarkedUpload:
    """Marks of an upload under way: one for each tree that files are sent to, and one for the top."""

    def __init__(self, bucket: Bucket, files: Sequence[LocalFile], folder: str) -> None:
        self._bucket = bucket
        self._left: dict[str, list[str]] = {}
        self._lock = threading.Lock()
        name = mark_name(uuid4().hex[:12])
        for file in files:
            place = _mark_folder(file.key, folder)
            self._left.setdefault(f"{UPLOADS}{place}{name}", []).append(file.key[len(UPLOADS) + len(place) :])

    @contextmanager
    def under_way(self) -> Iterator["MarkedUpload"]:
        """Write the marks, renew them every 5 minutes, and remove them at the end.

        After an error they are left: they hold what was sent until the upload is repeated, or for an hour at most.
        """
        self._write()
        ended = threading.Event()
        renewal = threading.Thread(target=self._renew, args=(ended,), daemon=True)
        renewal.start()
        try:
            yield self
        finally:
            ended.set()
            renewal.join()
        self._bucket.delete_many(self._left)

    def sent(self, file: LocalFile) -> None:
        """Take a file off its mark; the mark is written again at its next renewal."""
        with self._lock:
            for mark, names in self._left.items():
                place = mark.rpartition("/")[0] + "/"
                if file.key.startswith(place) and file.key[len(place) :] in names and place != UPLOADS:
                    names.remove(file.key[len(place) :])

    def _write(self) -> None:
        with self._lock:
            texts = {mark: mark_text(names, datetime.now(UTC) + ENDS_AFTER) for mark, names in self._left.items()}
        for mark, text in texts.items():
            self._bucket.write(mark, text, "application/json")

    def _renew(self, ended: threading.Event) -> None:
        while not ended.wait(RENEW_AFTER / timedelta(seconds=1)):
            try:
                self._write()
            except StorageError:
                continue  # eleven further renewals are tried before the mark ends


def _mark_folder(key: str, folder: str) -> str:
    """Return the folder of the mark that holds a key: the one that was asked for, else the key's tree, else the top."""
    if folder:
        return f"{folder}/"
    tree = tree_of(key[len(UPLOADS) :].rpartition("/")[0])
    return f"{tree}/" if tree else ""


def understand(files: Sequence[LocalFile], settings: Settings, now: datetime) -> list[Understood]:
    """Return what becomes of each file of a set: the clips with their routes, what waits, and what is refused.

    What lies in the bucket already may change it: the sensor decides.
    """
    wanted = texts_wanted(files)
    texts = {each.key: _text(each) for each in files if each in wanted}
    memory = IntakeMemory(loose_images=settings.loose_images, ignore=settings.ignore_uploads)
    found = group_uploads(
        files, now, settings.settle_seconds, texts, {}, max_bytes=settings.max_upload_bytes, memory=memory
    )
    return [*_clips(found), *_refused(found), *_foreseen(files, settings)]


def _text(file: LocalFile) -> str | bytes:
    limit = MAX_BATCH_BYTES if role_of(file.path.name) == "batch" else MAX_DOCUMENT_BYTES
    with file.path.open("rb") as stream:
        data = stream.read(limit + 1)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data


def _clips(found: Grouping) -> Iterator[Understood]:
    for each in found.candidates:
        if each.hold is not None:
            yield Understood("waits", each.clip, f"{each.hold.words} {each.hold.remedy}".strip())
            continue
        route, words = _route(each)
        waits = each.brief.needs_approval
        yield Understood("waits" if waits else route, each.clip, f"{words}{' It waits for approval.' if waits else ''}")
    for settling in found.settling:
        yield Understood("waits", settling.clip, settling.words)


def _route(candidate: Candidate) -> tuple[str, str]:
    apart = set(candidate.brief.single_files.values())
    files = [file for file in candidate.files if file.name not in apart]
    by_kind = {kind: [file.name for file in files if file.kind is kind] for kind in MediumKind}
    names = ", ".join(file.name for file in candidate.files)
    try:
        routing = route_of_names(candidate.brief, by_kind)
    except RouteImpossible as error:
        return "refused", error.text
    if routing.asks:
        return "waits", f"{routing.asks[0].words} {routing.asks[0].remedy}"
    return routing.route.value, f"from {names}."


def _refused(found: Grouping) -> Iterator[Understood]:
    for each in found.refused:
        yield Understood("refused", each.clip or each.key.removeprefix(UPLOADS), each.text)


def _foreseen(files: Sequence[LocalFile], settings: Settings) -> Iterator[Understood]:
    """Yield the media that are not sent as they are: what each is, and what will be done with it."""
    for file in files:
        if media_kind(file.key) is None:
            continue
        seen = foresee(file.path, prepare=settings.prepare)
        if seen.words:
            yield Understood(seen.outcome, file.key.removeprefix(UPLOADS), f"It {seen.words}.")


Progress = Callable[[int, int, LocalFile], None]


def send(
    bucket: Bucket, files: Sequence[LocalFile], folder: str, content_type: Callable[[Path], str], progress: Progress
) -> Mapping[str, str]:
    """Upload files in the order given, under marks, and return their keys by path.

    Raises:
        StorageError: the bucket does not respond; the marks stay for an hour at most.
    """
    with MarkedUpload(bucket, files, folder).under_way() as marks:
        for number, file in enumerate(files, start=1):
            progress(number, len(files), file)
            bucket.upload(file.path, file.key, content_type(file.path))
            marks.sent(file)
    return {str(file.path): file.key for file in files}
