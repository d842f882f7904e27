"""Films by their name: how far each is, and its files."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from i2v_assets.clip_folder.notes import Answer
from i2v_assets.films.notes import read_film_answer
from i2v_assets.films.scan import film_files
from i2v_assets.operations.stored_plan import MAX_PLAN_BYTES
from resources.bounded_json import read_json
from resources.errors import I2VError
from resources.storage import keys
from resources.storage.bucket import Bucket, ObjectInfo

_STATES = {keys.REFUSED_NOTE: "refused", keys.FAILED_NOTE: "failed", keys.WAITING_NOTE: "waiting"}


@dataclass(frozen=True)
class FilmStatus:
    """How far a film is.

    Attributes:
        name: Its name.
        source: The key of its file; empty if the file was deleted.
        state: ``joined``, ``waiting``, ``refused``, ``failed``, or ``found`` before the first scan.
        since: When it came into this state, as far as the bucket shows it.
        files: Its objects in the bucket, by name.
        plan: The text of its `plan.json`: its shots and prices as the last scan wrote them.
    """

    name: str
    source: str
    state: str
    since: datetime | None
    files: Mapping[str, ObjectInfo] = field(default_factory=dict)
    plan: str = ""

    @property
    def has_video(self) -> bool:
        """Whether a joined video is there, also of an earlier version."""
        return keys.VIDEO in self.files

    @property
    def answer(self) -> Answer | None:
        """Why it is not joined; None if it is."""
        return read_film_answer(self.plan) if self.state in _STATES.values() else None

    @property
    def shots(self) -> tuple[Mapping[str, Any], ...]:
        """Its shots as the last scan wrote them: number, clip, state, reason, price_usd."""
        try:
            shots = read_json(self.plan)["shots"]
        except (ValueError, KeyError, TypeError):
            return ()
        return tuple(shot for shot in shots if isinstance(shot, dict)) if isinstance(shots, list) else ()


def list_films(bucket: Bucket) -> tuple[FilmStatus, ...]:
    """Return every film by name, without its plan.

    Raises:
        StorageError: the bucket does not respond.
    """
    listed = {info.key: info for info in bucket.list(keys.SEQUENCES)}
    sources = {film.name: listed[film.key] for film in film_files(listed.values())[0]}
    files: dict[str, dict[str, ObjectInfo]] = {}
    for key, info in listed.items():
        folder, _, name = key.removeprefix(keys.SEQUENCES).partition("/")
        if name and "/" not in name:
            files.setdefault(folder, {})[name] = info
    made = {name for name, found in files.items() if keys.VIDEO in found or not found.keys().isdisjoint(keys.NOTES)}
    return tuple(_status(name, sources.get(name), files.get(name, {})) for name in sorted({*sources, *made}))


def find_film(bucket: Bucket, name: str) -> FilmStatus | None:
    """Return the film of this name with its plan, None if there is none; ``sequences/<name>`` means it too.

    Raises:
        StorageError: the bucket does not respond.
    """
    wanted = name.removeprefix(keys.SEQUENCES).removesuffix("/")
    film = next((each for each in list_films(bucket) if each.name == wanted), None)
    return with_plan(bucket, film) if film is not None else None


def with_plan(bucket: Bucket, film: FilmStatus) -> FilmStatus:
    """Return the film with what the last scan wrote about its shots; unchanged if that cannot be read."""
    if keys.PLAN not in film.files:
        return film
    try:
        plan = bucket.read(film.files[keys.PLAN].key, max_bytes=MAX_PLAN_BYTES).decode(errors="replace")
    except I2VError:
        return film
    return replace(film, plan=plan)


def _status(name: str, source: ObjectInfo | None, files: Mapping[str, ObjectInfo]) -> FilmStatus:
    key = source.key if source is not None else ""
    for note, state in _STATES.items():
        if note in files:
            return FilmStatus(name, key, state, files[note].modified_at, files)
    if keys.VIDEO in files:
        return FilmStatus(name, key, "joined", files[keys.VIDEO].modified_at, files)
    return FilmStatus(name, key, "found", source.modified_at if source is not None else None, files)
