"""`i2v verify`: does this file come from what the ledger paid for?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from i2v_assets.cli.console import err, out, print_json
from i2v_assets.cli.exits import DataProblem, Exit, UsageProblem
from i2v_assets.cli.opened import AsJson, Books, known_clip, opened_books, opened_bucket

if TYPE_CHECKING:
    from i2v_assets.films.manifest import FilmManifest
    from i2v_assets.manifest import Manifest
    from i2v_assets.verification import Verification
    from resources.ledger import RequestRow
    from resources.provenance import Credential

app = typer.Typer()


@dataclass(frozen=True)
class Evidence:
    """A file with everything that speaks about it."""

    sha256: str
    credential: "Credential | None"
    manifest: "Manifest | FilmManifest | None"
    row: "RequestRow | None"
    shots: "Mapping[str, RequestRow]" = field(default_factory=dict)
    """Of a film: the ledger's rows by fingerprint."""


@app.command()
def verify(
    what: Annotated[
        str, typer.Argument(metavar="CLIP|FILM|FILE", help="A clip or a film of the bucket, or a video file.")
    ],
    manifest: Annotated[Path | None, typer.Option(help="The file's manifest.json, where it lies elsewhere.")] = None,
    as_json: AsJson = False,
) -> None:
    """Prove that a video is what the ledger paid for: its bytes, its manifest, its signature where it has one.

    Of a film: that it is what was joined, and each of its shots what the ledger paid for. A clip goes before a film of the
    same name; sequences/NAME is the film. Exit code 0 when it is proven, 1 when it is not.

        i2v verify hero

        i2v verify sequences/voyage

        i2v verify videos/hero.mp4
    """
    with opened_books() as books, TemporaryDirectory(prefix="i2v-") as scratch:
        path = Path(what)
        found = _of_file(books, path, manifest) if path.is_file() else _of_name(books, what, Path(scratch))
    result = _judge(found)
    if as_json:
        fingerprint = found.row.fingerprint if found.row else None
        print_json({"proven": result.ok, "sha256": found.sha256, "fingerprint": fingerprint, "lines": result.lines})
    else:
        styles = {"ok": "green", "WRONG": "bold red", "note": "dim"}
        for line in result.lines:
            mark, _, words = line.partition(" ")
            out.print(Text(f"{mark:<6}", style=styles.get(mark, "")).append(words.strip(), style="not bold default"))
        out.print("Proven." if result.ok else "NOT proven.")
    raise typer.Exit(Exit.OK if result.ok else Exit.FAILED)


def _judge(found: Evidence) -> "Verification":
    from i2v_assets.films.manifest import FilmManifest
    from i2v_assets.verification import Verification, verify_film
    from i2v_assets.verification import verify as compare

    if isinstance(found.manifest, FilmManifest):
        return verify_film(found.manifest, found.sha256, found.shots, credential=found.credential)
    if found.manifest is not None:
        return compare(found.manifest, found.sha256, found.row, credential=found.credential)
    result, row = Verification(), found.row
    if row is None:
        result.check(False, "", f"no request of the ledger brought these bytes ({found.sha256[:12]})")
        result.say("a file that was cut, converted or signed elsewhere has other bytes")
    else:
        result.check(True, f"request {row.request_id} of clip {row.clip} brought these very bytes", "")
        result.say(f"fingerprint {row.fingerprint[:12]}, model {row.model_id}, take {row.take}, service {row.service}")
        result.say("no manifest of this take was found, so only the ledger was asked")
    return result


def _of_name(books: Books, name: str, scratch: Path) -> Evidence:
    """A clip of the bucket, else a film."""
    from resources.storage import keys

    video, bucket = scratch / keys.VIDEO, opened_bucket(books.settings)
    told: Manifest | FilmManifest | None = None
    if not name.startswith(keys.SEQUENCES):
        try:
            known_clip(books.registry, name)
        except UsageProblem as error:
            told = _manifest_of_film(books, name)
            if told is None:
                words = f"{name!r} is neither a file nor a clip nor a film."
                raise UsageProblem(words, remedy=error.remedy) from None
        else:
            if bucket.head(keys.clip_key(name, keys.VIDEO)) is None:
                raise DataProblem(f"{name} has no video.", remedy=f"`i2v status {name}` says how far it is.")
            bucket.download(keys.clip_key(name, keys.VIDEO), video)
            told = _manifest_of_clip(books, name)
            if told is None:
                raise DataProblem(
                    f"{name} has no manifest.json.", remedy="Materialize the clip again; it costs nothing."
                )
            return _evidence(books, video, told)
    film = name.removeprefix(keys.SEQUENCES)
    told = told or _manifest_of_film(books, film)
    if told is None or bucket.head(keys.sequence_key(film, keys.VIDEO)) is None:
        raise DataProblem(f"The film {film} is not joined.", remedy=f"See sequences/{film}/ for what it waits for.")
    bucket.download(keys.sequence_key(film, keys.VIDEO), video)
    return _evidence(books, video, told)


def _of_file(books: Books, path: Path, named: Path | None) -> Evidence:
    """The manifest that was named, lies beside the file, or is in the bucket for the clip or film that the file is of."""
    from i2v_assets.films.manifest import is_film_manifest, read_film_manifest
    from i2v_assets.manifest import read_manifest
    from resources.media.probe import sha256_file

    beside = [named] if named else [path.with_suffix(".manifest.json"), path.with_name("manifest.json")]
    for each in beside:
        if each.is_file():
            data = each.read_bytes()
            read = read_film_manifest if is_film_manifest(data) else read_manifest
            return _evidence(books, path, read(data, name=each.name))
        if named:
            raise UsageProblem(f"{named} is no file.")
    sha256 = sha256_file(path)
    row = next((row for row in books.ledger.list() if row.video_sha256 == sha256), None)
    told = _manifest_of_clip(books, row.clip if row else path.stem)
    film = None if row else _manifest_of_film(books, path.stem)
    if film is not None and (told is None or sha256 in {film.video.sha256, film.video.signed_sha256}):
        return _evidence(books, path, film)
    if told is not None and (row is None or row.fingerprint == told.fingerprint):
        return _evidence(books, path, told)
    return Evidence(sha256, _credential(books, path), None, row)


def _manifest_of_clip(books: Books, clip: str) -> "Manifest | None":
    from i2v_assets.manifest import read_manifest
    from resources.storage import keys

    found = _read(books, lambda: keys.clip_key(clip, keys.MANIFEST))
    return read_manifest(found[1], name=found[0]) if found else None


def _manifest_of_film(books: Books, film: str) -> "FilmManifest | None":
    from i2v_assets.films.manifest import read_film_manifest
    from resources.storage import keys

    found = _read(books, lambda: keys.sequence_key(film, keys.MANIFEST))
    return read_film_manifest(found[1], name=found[0]) if found else None


def _read(books: Books, key_of: Callable[[], str]) -> tuple[str, bytes] | None:
    """A file of the bucket, by its key; None where there is none, or nothing can have such a name."""
    from resources.storage.errors import ObjectMissing

    try:
        key = key_of()
        return key, opened_bucket(books.settings).read(key)
    except (ValueError, ObjectMissing):
        return None


def _evidence(books: Books, path: Path, manifest: "Manifest | FilmManifest") -> Evidence:
    from i2v_assets.manifest import Manifest
    from resources.media.probe import sha256_file

    sha256, credential = sha256_file(path), _credential(books, path)
    if isinstance(manifest, Manifest):
        return Evidence(sha256, credential, manifest, books.ledger.get(manifest.fingerprint))
    rows = {shot.fingerprint: books.ledger.get(shot.fingerprint) for shot in manifest.shots}
    return Evidence(sha256, credential, manifest, None, {name: row for name, row in rows.items() if row is not None})


def _credential(books: Books, path: Path) -> "Credential | None":
    from resources.provenance import Certificate, ProvenanceError, available, read

    if not available():
        err.print("Content Credentials are not read: the extra `provenance` is not installed.", highlight=False)
        return None
    try:
        return read(path, Certificate.from_settings(books.settings))
    except ProvenanceError as error:
        err.print(f"Content Credentials: {error.text}", markup=False, highlight=False)
        return None
