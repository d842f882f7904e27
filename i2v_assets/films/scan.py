"""Scan ``sequences/``: each file is a film, whose shots become clips. Notes say what a film waits for."""

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile

from i2v_assets.briefs.brief import Brief
from i2v_assets.briefs.yaml_reader import MAX_DOCUMENT_BYTES, DocumentFormat, decode
from i2v_assets.clip_folder.manifest import Manifest, read_manifest
from i2v_assets.clip_folder.writer import BucketAnswers
from i2v_assets.films.claims import claim_uploads, held_shots, withdraw_loose
from i2v_assets.films.held import release_changed
from i2v_assets.films.notes import FilmNotes, WrittenNotes
from i2v_assets.films.resolve import ResolvedFilm, Shot, ShotVideo, resolve
from i2v_assets.films.spec import ClipShot, FilmError, FilmSpec, film_name, parse_film, shot_name
from i2v_assets.uploads.types import Candidate
from resources.bounded_json import read_json
from resources.errors import I2VError, Verdict
from resources.problem import Problem
from resources.registry.agreed_prices import AgreedOffer, CatalogueMemory
from resources.registry.registry import ClipRow, Registry, Upload
from resources.schemas.families import named, preferred
from resources.schemas.inputs import FirstFrame, Route
from resources.schemas.limits import DEFAULT_DURATION
from resources.scratch import scratch_folder
from resources.storage import keys
from resources.storage.bucket import Bucket, ObjectInfo
from resources.storage.errors import ObjectMissing
from resources.wait_reason import WaitReason

FRAME_SECONDS = 20.0
"""Seconds that one scan may spend on extracting frames (each takes under 1 s); a sensor evaluation has 60 s in all."""

_KINDS: Mapping[str, DocumentFormat] = {".yaml": "yaml", ".yml": "yml", ".json": "json"}


@dataclass
class FilmCache:
    """Cached reads of earlier scans in this process; may be lost at any time."""

    videos: dict[tuple[str, str], tuple[object, ShotVideo]] = field(default_factory=dict)
    made: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    written: WrittenNotes = field(default_factory=dict)


class BucketFilmSource:
    """Implements `FilmSource` on the bucket."""

    def __init__(
        self,
        bucket: Bucket,
        listed: Mapping[str, ObjectInfo],
        cache: FilmCache,
        agreed: Mapping[str, AgreedOffer],
        *,
        cut_frames: bool,
    ) -> None:
        self._bucket = bucket
        self._cache = cache
        self._agreed = agreed
        self._files: dict[str, ObjectInfo | None] = dict(listed)
        self._until = time.monotonic() + (FRAME_SECONDS if cut_frames else 0)

    def file(self, key: str) -> ObjectInfo | None:
        """Return an object of the bucket, or None."""
        if key not in self._files:
            self._files[key] = None if key.startswith(keys.SEQUENCES) else self._bucket.head(key)
        return self._files[key]

    def video(self, row: ClipRow) -> ShotVideo:
        """Return the video of a delivered clip; reads the manifest only if the clip changed."""
        place = (self._bucket.name, row.clip)
        cached = self._cache.videos.get(place)
        if cached is None or cached[0] != row.updated_at:
            manifest = read_manifest(self._bucket.read(keys.clip_key(row.clip, keys.MANIFEST)), name=row.clip)
            cached = self._cache.videos[place] = (row.updated_at, _video_of(manifest))
        return cached[1]

    def last_frame(self, film: str, video: ShotVideo) -> ObjectInfo | None:
        """Return the last frame of a shot as a PNG, which is cut once for each shot."""
        from i2v_assets.films.frames import store_first_frame

        before = self._files.get(keys.frame_key(film, video.sha256))
        if before is not None:  # cut by an earlier version
            return before
        key = keys.first_frame_key(video.fingerprint, "end")
        if self.file(key) is None and time.monotonic() < self._until:
            with scratch_folder() as folder:
                path = folder / "shot.mp4"
                self._bucket.download(video.key, path)
                store_first_frame(self._bucket, FirstFrame(of=video.fingerprint), path, folder / "last.png")
            self._files[key] = self._bucket.head(key)
        return self._files[key]

    def estimate(self, brief: Brief) -> int | None:
        """Return the estimated cost by the accepted price of the route over one image."""
        if brief.duration == "match_audio":
            return None
        route = brief.route or (Route.LIP_SYNC if brief.audio else Route.ANIMATE)
        families = named(brief.model) or (brief.model,) if brief.model else preferred(route)
        offer = next((self._agreed[name] for name in families if name in self._agreed), None)
        if offer is None or offer.price_microdollars is None:
            return None
        seconds = brief.duration or DEFAULT_DURATION
        one = offer.price_microdollars * (seconds if offer.price_unit == "second" else 1)
        return one * (brief.takes or 1)


def _video_of(manifest: Manifest) -> ShotVideo:
    video = manifest.video
    cost = manifest.cost_microdollars
    return ShotVideo(
        video.key,
        video.sha256,
        manifest.fingerprint,
        video.seconds,
        cost if cost is not None else manifest.price_microdollars,
        video.signed_sha256,
        manifest.pieces,
    )


@dataclass(frozen=True)
class FilmFile:
    """One file below ``sequences/`` and the film that it defines."""

    name: str
    key: str
    etag: str
    kind: DocumentFormat


@dataclass(frozen=True)
class FilmScan:
    """The result of one scan.

    Attributes:
        films: Every film, ordered by key.
        resolved: The readable films, by name.
        due: Films that are complete but not joined yet: name -> version.
        refused: Films that must be corrected first: name -> reason.
        listed: Keys that were below ``sequences/`` before.
    """

    films: tuple[FilmFile, ...]
    resolved: Mapping[str, ResolvedFilm]
    due: Mapping[str, str]
    refused: Mapping[str, str]
    listed: Collection[str] = ()


def film_files(listed: Iterable[ObjectInfo]) -> tuple[tuple[FilmFile, ...], tuple[tuple[str, str], ...]]:
    """Return the films of a listing, and files with a duplicate film name: (key, the other's key)."""
    films: dict[str, FilmFile] = {}
    duplicates: list[tuple[str, str]] = []
    for info in sorted(listed, key=lambda each: (each.key.endswith(".json"), each.key)):
        name = info.key.removeprefix(keys.SEQUENCES)
        ending = name[name.rfind(".") :].lower() if "." in name else ""
        if "/" in name or name.startswith((".", "_")) or ending not in _KINDS:
            continue
        film = FilmFile(film_name(info.key), info.key, info.etag, _KINDS[ending])
        if film.name in films:
            duplicates.append((info.key, films[film.name].key))
        else:
            films[film.name] = film
    return tuple(films.values()), tuple(duplicates)


def scan_films(
    bucket: Bucket,
    registry: Registry,
    agreed: Mapping[str, AgreedOffer],
    cache: FilmCache,
    *,
    sandbox: bool,
) -> FilmScan:
    """Scan every film: admit its shots, extract last frames, and write notes about what is missing.

    A second scan of unchanged films changes nothing. A film that cannot be scanned does not affect the others.

    Raises:
        StorageError: the bucket does not respond.
        LedgerError: the registry does not respond.
    """
    listed = {info.key: info for info in bucket.list(keys.SEQUENCES)}
    files, duplicates = film_files(listed.values())
    sources = registry.sources()
    film_source = BucketFilmSource(bucket, listed, cache, agreed, cut_frames=True)
    notes = FilmNotes(bucket, listed, cache.written, sandbox=sandbox)
    specs, refused = _read_all(bucket, registry, files)
    rows = registry.many(sorted({clip for name, film in specs.items() for clip in _clips(name, film)}))
    waiting = {row.source.partition("#")[0] for row in rows.values() if row.wait is WaitReason.FILM}
    resolved: dict[str, ResolvedFilm] = {}
    for film in files:
        if film.name in specs:
            try:
                resolved[film.name] = resolve(film.name, film.key, specs[film.name], rows, sources, film_source)
            except I2VError as error:
                refused[film.name] = (Problem(error.message, remedy=error.remedy),)
                continue
            if film.key in waiting:
                release_changed(registry.memory, film.key, resolved[film.name].mark)
            if resolved[film.name].problems:
                refused[film.name] = resolved[film.name].problems
    claims = registry.claims.all()
    documents = {film.name: film.key for film in files}
    claim_uploads(registry, specs, resolved, documents, claims, film_source, lambda key: key not in listed)
    BucketAnswers(bucket).withdrawn(withdraw_loose(registry, specs.values(), sources))
    held = held_shots(registry, specs, resolved, claims, film_source)
    _admit(registry, files, held, refused, sources)
    due: dict[str, str] = {}
    for film in files:
        if film.name in refused:
            notes.refused(film.name, refused[film.name])
            continue
        current = resolved[film.name]
        version = current.version
        if version is None:
            notes.waiting(current)
            continue
        notes.plan(current)
        if joined_version(bucket, listed, film.name, cache) == version:
            notes.clear(film.name)
        else:
            due[film.name] = version
            notes.clear(film.name, but=keys.FAILED_NOTE)  # it describes an earlier attempt to join
    for key, other in duplicates:
        notes.double(key, other)
    notes.forget_others(
        [film.name for film in files],
        [key for key, _ in duplicates],
        lambda: {row.source for row in registry.refusals.now()},
    )
    reasons = {name: " ".join(problem.what for problem in problems) for name, problems in refused.items()}
    return FilmScan(files, resolved, due, reasons, listed.keys())


def scan_film(bucket: Bucket, registry: Registry, agreed: Mapping[str, AgreedOffer], name: str) -> ResolvedFilm:
    """Return one film in its current state; changes nothing.

    Raises:
        FilmError: the file does not exist or cannot be used.
        StorageError: the bucket does not respond.
        LedgerError: the registry does not respond.
    """
    listed = {info.key: info for info in bucket.list(keys.SEQUENCES)}
    files, _ = film_files(listed.values())
    film = next((file for file in files if file.name == name), None)
    if film is None:
        raise FilmError(f"The film {name} is not below sequences/.", remedy=f"Upload sequences/{name}.yaml.")
    specs, refused = _read_all(bucket, registry, [film], raise_outage=True)
    if name in refused:
        raise FilmError(refused[name][0].what, remedy=refused[name][0].remedy)
    film_source = BucketFilmSource(bucket, listed, FilmCache(), agreed, cut_frames=False)
    rows = registry.many(_clips(name, specs[name]))
    return resolve(name, film.key, specs[name], rows, registry.sources(), film_source)


def following_shots(bucket: Bucket, registry: Registry, service: str, clip: str) -> tuple[Shot, ...]:
    """Return the shots of all films that start, one from the other, from the last frame of a clip; changes nothing.

    Raises:
        StorageError: the bucket does not respond.
        LedgerError: the registry does not respond.
    """
    listed = {info.key: info for info in bucket.list(keys.SEQUENCES)}
    files, _ = film_files(listed.values())
    specs, _ = _read_all(bucket, registry, files)
    found: dict[str, Shot] = {}
    for film in files:
        names = _clips(film.name, specs[film.name]) if film.name in specs else []
        if clip not in names:
            continue
        agreed = CatalogueMemory(registry.ledger.database).agreed(service)
        film_source = BucketFilmSource(bucket, listed, FilmCache(), agreed, cut_frames=False)
        resolved = resolve(film.name, film.key, specs[film.name], registry.many(names), registry.sources(), film_source)
        for place in (number for number, shot in enumerate(resolved.shots) if shot.clip == clip):
            found |= {
                shot.clip: shot for shot in takewhile(lambda shot: shot.from_last_frame, resolved.shots[place + 1 :])
            }
    return tuple(found.values())


def _clips(name: str, film: FilmSpec) -> list[str]:
    return [
        shot.clip if isinstance(shot, ClipShot) else shot_name(name, number)
        for number, shot in enumerate(film.shots, start=1)
    ]


def _read_all(
    bucket: Bucket, registry: Registry, files: Iterable[FilmFile], *, raise_outage: bool = False
) -> tuple[dict[str, FilmSpec], dict[str, tuple[Problem, ...]]]:
    """Return the readable films, and the problems of the others; unchanged files come from the registry.

    An outage is a problem of the film that it struck, unless the caller wants it raised.
    """
    cache = registry.memory.texts()
    fresh: dict[str, tuple[str, str]] = {}
    specs: dict[str, FilmSpec] = {}
    refused: dict[str, tuple[Problem, ...]] = {}
    for film in files:
        cached = cache.get(film.key)
        try:
            if cached is None or cached[0] != film.etag:
                data = bucket.read(film.key, max_bytes=MAX_DOCUMENT_BYTES * 2)
                cached = fresh[film.key] = (film.etag, decode(data, film.key.removeprefix(keys.SEQUENCES)))
            specs[film.name] = parse_film(cached[1], film.key.removeprefix(keys.SEQUENCES), film.kind)
        except ObjectMissing:
            refused[film.name] = (Problem(f"{film.key} no longer exists.", remedy="Upload it again."),)
        except I2VError as error:
            if raise_outage and error.verdict is Verdict.RETRYABLE:
                raise
            refused[film.name] = (Problem(error.message, remedy=error.remedy),)
    registry.memory.remember_texts(fresh)
    return specs, refused


def _admit(
    registry: Registry,
    files: Iterable[FilmFile],
    shots: Mapping[str, tuple[Candidate, ...]],
    refused: Mapping[str, object],
    sources: Mapping[str, str],
) -> None:
    """Register the shots of films that can be made as clips, and withdraw those that no film contains any more.

    A shot whose first frame does not exist yet is withdrawn too: made now, it would start from an outdated frame.
    """
    uploads: list[Candidate] = []
    present: set[str] = set()
    unclear = {film.key for film in files if film.name in refused}
    for name, of_film in shots.items():
        if name not in refused:
            uploads += of_film
            present |= {upload.clip for upload in of_film}
    present |= {clip for clip, source in sources.items() if source.partition("#")[0] in unclear}
    registry.admit(
        [
            Upload(each.clip, each.source, each.version, each.content(), each.priority, held=each.hold is not None)
            for each in uploads
        ],
        present=present,
        below=keys.SEQUENCES,
    )


def joined_version(bucket: Bucket, listed: Mapping[str, ObjectInfo], name: str, cache: FilmCache) -> str | None:
    """Return the version of the joined film in the bucket; None if there is none."""
    key = keys.sequence_key(name, keys.MANIFEST)
    if key not in listed or keys.sequence_key(name, keys.VIDEO) not in listed:
        return None
    place = (bucket.name, name)
    cached = cache.made.get(place)
    if cached is None or cached[0] != listed[key].etag:
        try:
            plain = read_json(bucket.read(key))
        except (ObjectMissing, ValueError):
            return None
        version = str(plain.get("version", "")) if isinstance(plain, dict) else ""
        cached = cache.made[place] = (listed[key].etag, version)
    return cached[1]
