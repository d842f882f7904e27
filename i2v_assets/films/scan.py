"""A look at ``sequences/``: each file is a film; its shots become clips, and people are told what it waits for."""

import json
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from i2v_assets.briefs.brief import Brief
from i2v_assets.briefs.yaml_reader import MAX_DOCUMENT_BYTES, DocumentFormat, decode
from i2v_assets.clip_folder.manifest import Manifest, read_manifest
from i2v_assets.films.notes import FilmAnswers, Told
from i2v_assets.films.resolve import Resolved, ShotVideo, resolve
from i2v_assets.films.spec import ClipShot, FilmAsked, FilmError, film_name, parse_film, shot_name
from i2v_assets.uploads.types import Candidate
from resources.errors import I2VError
from resources.problem import Problem
from resources.registry.agreed_prices import AgreedOffer
from resources.registry.registry import ClipRow, Registry, Upload
from resources.schemas.inputs import Family, Route
from resources.schemas.limits import DEFAULT_DURATION
from resources.storage import keys
from resources.storage.bucket import Bucket, ObjectInfo
from resources.storage.errors import ObjectMissing

FRAME_SECONDS = 20.0
"""How long one look may cut frames (each takes under a second): a sensor's evaluation has 60 s in all."""

_KINDS: Mapping[str, DocumentFormat] = {".yaml": "yaml", ".yml": "yml", ".json": "json"}


@dataclass
class FilmCache:
    """What a process remembers between looks: it only spares reading again, and may be lost at any time."""

    videos: dict[tuple[str, str], tuple[object, ShotVideo]] = field(default_factory=dict)
    made: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    told: Told = field(default_factory=dict)


class BucketFilmSource:
    """The bucket as films ask it; see `Surroundings`."""

    def __init__(
        self,
        bucket: Bucket,
        listed: Mapping[str, ObjectInfo],
        memory: FilmCache,
        agreed: Mapping[str, AgreedOffer],
        *,
        cut_frames: bool,
    ) -> None:
        self._bucket = bucket
        self._memory = memory
        self._agreed = agreed
        self._files: dict[str, ObjectInfo | None] = dict(listed)
        self._until = time.monotonic() + (FRAME_SECONDS if cut_frames else 0)

    def file(self, key: str) -> ObjectInfo | None:
        """An object of the bucket, or None."""
        if key not in self._files:
            self._files[key] = None if key.startswith(keys.SEQUENCES) else self._bucket.head(key)
        return self._files[key]

    def video(self, row: ClipRow) -> ShotVideo:
        """The video of a delivered clip, read again only when the clip was answered again."""
        place = (self._bucket.name, row.clip)
        known = self._memory.videos.get(place)
        if known is None or known[0] != row.updated_at:
            manifest = read_manifest(self._bucket.read(keys.clip_key(row.clip, keys.MANIFEST)), name=row.clip)
            known = self._memory.videos[place] = (row.updated_at, _video_of(manifest))
        return known[1]

    def last_frame(self, film: str, video: ShotVideo) -> ObjectInfo | None:
        """The last frame as a PNG beside the film, cut once per video."""
        from resources.media.previews import last_frame

        key = keys.frame_key(film, video.sha256)
        if self._files.get(key) is None and time.monotonic() < self._until:
            with tempfile.TemporaryDirectory(prefix="i2v-") as folder:
                path = Path(folder) / "shot.mp4"
                self._bucket.download(video.key, path)
                self._bucket.upload(last_frame(path, Path(folder) / "last.png"), key, "image/png")
            self._files[key] = self._bucket.head(key)
        return self._files.get(key)

    def estimate(self, brief: Brief) -> int | None:
        """By the price that was agreed to last for the route over one image."""
        if brief.duration == "match_audio":
            return None
        route = brief.route or (Route.LIP_SYNC if brief.audio else Route.ANIMATE)
        offer = self._agreed.get(_FAMILIES[route].value)
        if offer is None or offer.price_microdollars is None:
            return None
        seconds = brief.duration or DEFAULT_DURATION
        one = offer.price_microdollars * (seconds if offer.price_unit == "second" else 1)
        return one * (brief.takes or 1)


_FAMILIES = {
    Route.ANIMATE: Family.HAPPYHORSE_I2V,
    Route.LIP_SYNC: Family.WAN_I2V,
    Route.MULTI_MODAL: Family.SEEDANCE_PRO,
}


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
    )


@dataclass(frozen=True)
class FilmFile:
    """One file below ``sequences/`` and the film that it is."""

    name: str
    key: str
    etag: str
    kind: DocumentFormat


@dataclass(frozen=True)
class LookAtFilms:
    """What one look found.

    Attributes:
        films: Every file's film, by the order of their keys.
        resolved: Those that could be read, by name.
        due: Films that are complete and not joined yet: name -> version.
        refused: Films that cannot be made as they are: name -> why.
    """

    films: tuple[FilmFile, ...]
    resolved: Mapping[str, Resolved]
    due: Mapping[str, str]
    refused: Mapping[str, str]


def film_files(listed: Iterable[ObjectInfo]) -> tuple[tuple[FilmFile, ...], tuple[tuple[str, str], ...]]:
    """The films of a listing, and files whose name another film has: (key, the other's key)."""
    films: dict[str, FilmFile] = {}
    double: list[tuple[str, str]] = []
    for found in sorted(listed, key=lambda each: (each.key.endswith(".json"), each.key)):
        name = found.key.removeprefix(keys.SEQUENCES)
        ending = name[name.rfind(".") :].lower() if "." in name else ""
        if "/" in name or name.startswith((".", "_")) or ending not in _KINDS:
            continue
        film = FilmFile(film_name(found.key), found.key, found.etag, _KINDS[ending])
        if film.name in films:
            double.append((found.key, films[film.name].key))
        else:
            films[film.name] = film
    return tuple(films.values()), tuple(double)


def look_at_films(
    bucket: Bucket,
    registry: Registry,
    agreed: Mapping[str, AgreedOffer],
    memory: FilmCache,
    *,
    sandbox: bool,
) -> LookAtFilms:
    """Take note of every film: admit the shots that can be made, cut last frames, tell what is missing.

    Walking it twice changes nothing the second time. A film that cannot be looked at leaves the others alone.

    Raises:
        StorageError, LedgerError: the bucket or the registry does not answer at all.
    """
    listed = {found.key: found for found in bucket.list(keys.SEQUENCES)}
    files, double = film_files(listed.values())
    sources = registry.sources()
    world = BucketFilmSource(bucket, listed, memory, agreed, cut_frames=True)
    answers = FilmAnswers(bucket, listed, memory.told, sandbox=sandbox)
    asked, refused = _read_all(bucket, registry, files)
    rows = registry.many(sorted({clip for name, film in asked.items() for clip in _clips(name, film)}))
    resolved: dict[str, Resolved] = {}
    for film in files:
        if film.name in asked:
            try:
                resolved[film.name] = resolve(film.name, film.key, asked[film.name], rows, sources, world)
            except I2VError as error:
                refused[film.name] = (Problem(error.message, remedy=error.remedy),)
                continue
            if resolved[film.name].problems:
                refused[film.name] = resolved[film.name].problems
    _admit(registry, files, resolved, refused, sources)
    due: dict[str, str] = {}
    for film in files:
        if film.name in refused:
            answers.refused(film.name, refused[film.name])
            continue
        found = resolved[film.name]
        version = found.version
        if version is None:
            answers.waiting(found)
            continue
        answers.plan(found)
        if made_version(bucket, listed, film.name, memory) == version:
            answers.clear(film.name)
        else:
            due[film.name] = version
            answers.clear(film.name, but=keys.FAILED_NOTE)  # it speaks of an earlier try of the joining
    for key, other in double:
        answers.double(key, other)
    words = {name: " ".join(problem.what for problem in problems) for name, problems in refused.items()}
    return LookAtFilms(files, resolved, due, words)


def scan_film(bucket: Bucket, registry: Registry, agreed: Mapping[str, AgreedOffer], name: str) -> Resolved:
    """One film as it stands; changes nothing.

    Raises:
        FilmError: there is no such file, or it cannot be used; StorageError, LedgerError: no answer.
    """
    listed = {found.key: found for found in bucket.list(keys.SEQUENCES)}
    files, _ = film_files(listed.values())
    film = next((found for found in files if found.name == name), None)
    if film is None:
        raise FilmError(f"There is no film {name} below sequences/.", remedy=f"Upload sequences/{name}.yaml.")
    asked, refused = _read_all(bucket, registry, [film])
    if name in refused:
        raise FilmError(refused[name][0].what, remedy=refused[name][0].remedy)
    world = BucketFilmSource(bucket, listed, FilmCache(), agreed, cut_frames=False)
    rows = registry.many(_clips(name, asked[name]))
    return resolve(name, film.key, asked[name], rows, registry.sources(), world)


def _clips(name: str, film: FilmAsked) -> list[str]:
    return [
        shot.clip if isinstance(shot, ClipShot) else shot_name(name, number)
        for number, shot in enumerate(film.shots, start=1)
    ]


def _read_all(
    bucket: Bucket, registry: Registry, files: Iterable[FilmFile]
) -> tuple[dict[str, FilmAsked], dict[str, tuple[Problem, ...]]]:
    """The films that can be read, and why the others cannot; unchanged files come from the registry."""
    cache = registry.memory.texts()
    fresh: dict[str, tuple[str, str]] = {}
    asked: dict[str, FilmAsked] = {}
    refused: dict[str, tuple[Problem, ...]] = {}
    for film in files:
        known = cache.get(film.key)
        try:
            if known is None or known[0] != film.etag:
                data = bucket.read(film.key, max_bytes=MAX_DOCUMENT_BYTES * 2)
                known = fresh[film.key] = (film.etag, decode(data, film.key.removeprefix(keys.SEQUENCES)))
            asked[film.name] = parse_film(known[1], film.key.removeprefix(keys.SEQUENCES), film.kind)
        except ObjectMissing:
            refused[film.name] = (Problem(f"{film.key} is gone.", remedy="Upload it again."),)
        except I2VError as error:
            refused[film.name] = (Problem(error.message, remedy=error.remedy),)
    registry.memory.remember_texts(fresh)
    return asked, refused


def _admit(
    registry: Registry,
    files: Iterable[FilmFile],
    resolved: Mapping[str, Resolved],
    refused: Mapping[str, object],
    sources: Mapping[str, str],
) -> None:
    """The shots that can be made become clips; those that no film asks for any more are withdrawn.

    A shot whose first frame is not known is withdrawn as well: made now, it would start from a frame that is no more.
    """
    uploads: list[Candidate] = []
    present: set[str] = set()
    unclear = {film.key for film in files if film.name in refused}
    for found in resolved.values():
        if found.name not in refused:
            uploads += found.uploads
            present |= {upload.clip for upload in found.uploads}
    present |= {clip for clip, source in sources.items() if source.partition("#")[0] in unclear}
    registry.admit(
        [Upload(upload.clip, upload.source, upload.version, upload.content(), upload.priority) for upload in uploads],
        present=present,
        below=keys.SEQUENCES,
    )


def made_version(bucket: Bucket, listed: Mapping[str, ObjectInfo], name: str, memory: FilmCache) -> str | None:
    """The version of the film that lies in the bucket, None where there is none."""
    key = keys.sequence_key(name, keys.MANIFEST)
    if key not in listed or keys.sequence_key(name, keys.VIDEO) not in listed:
        return None
    place = (bucket.name, name)
    known = memory.made.get(place)
    if known is None or known[0] != listed[key].etag:
        try:
            plain = json.loads(bucket.read(key))
        except (ObjectMissing, ValueError):
            return None
        version = str(plain.get("version", "")) if isinstance(plain, dict) else ""
        known = memory.made[place] = (listed[key].etag, version)
    return known[1]
