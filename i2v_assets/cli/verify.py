"""`i2v verify`: prove that a file is what the ledger paid for."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from i2v_assets.cli.console import AsJson, err, out, print_json
from i2v_assets.cli.exit_codes import DataProblem, Exit, NoInput, UsageProblem
from i2v_assets.clip_folder.manifest import Manifest, ManifestError, ManifestPiece, ManifestVideo, read_manifest
from i2v_assets.films.manifest import FilmManifest, FilmShot, is_film_manifest, read_film_manifest
from i2v_assets.operations.clips import NoSuchClip, find_clip
from i2v_assets.session import Session, open_session
from i2v_assets.verify.verify import Signature, Verification, verify_alone, verify_film, verify_joined
from i2v_assets.verify.verify import verify as verify_manifest
from resources.ledger.records import RequestRow
from resources.media.is_video import Examined
from resources.media.pool import shared_pool
from resources.media.probe import sha256_file
from resources.provenance.credentials import Certificate, Credential, ProvenanceError, available
from resources.provenance.credentials import read as read_credential
from resources.scratch import scratch_folder
from resources.storage import keys
from resources.storage.errors import ObjectMissing

NO_EXTRA = "the extra `provenance` is not installed"


@dataclass(frozen=True)
class Evidence:
    """A file with its manifest, its signature and its rows in the ledger."""

    sha256: str
    signature: Signature
    manifest: Manifest | FilmManifest | None
    row: RequestRow | None
    rows: Mapping[str, RequestRow] = field(default_factory=dict)
    """The ledger's rows by fingerprint: of a film those of its shots and their pieces, of a clip those of its pieces and
    other takes."""
    joined: Mapping[str, tuple[ManifestPiece, ...]] = field(default_factory=dict)
    """Of a film: the pieces of shots that were joined themselves, by the shot's fingerprint."""
    corrected: frozenset[str] = frozenset()
    """Fingerprints of the requests of which a person corrected the cost."""
    examined: Examined | None = None
    """What the file is when it is opened; None if it was not opened."""


def judge(found: Evidence) -> Verification:
    """Return the verdict on the evidence: on whether it is a video at all, and on its origin."""
    result = _judge_origin(found)
    if found.examined is not None:
        opened = Verification()
        what = found.examined.what
        opened.check(
            found.examined.is_video, "it is a video: its frames can be decoded", f"it is not a video, but {what}"
        )
        result = Verification(opened.lines + result.lines, opened.ok and result.ok)
    return result


def _judge_origin(found: Evidence) -> Verification:
    """Return the verdict on the origin of a file."""
    corrected = found.corrected
    if isinstance(found.manifest, FilmManifest):
        return verify_film(found.manifest, found.sha256, found.rows, found.signature, found.joined, corrected)
    if found.manifest is not None and found.manifest.pieces:
        return verify_joined(found.manifest, found.sha256, found.rows, found.signature, corrected)
    if found.manifest is not None:
        return verify_manifest(found.manifest, found.sha256, found.row, found.signature, found.rows, corrected)
    return verify_alone(found.sha256, found.row, found.signature)


def of_name(session: Session, name: str, scratch: Path) -> Evidence:
    """Return the evidence for a clip of the bucket, else for a film.

    Raises:
        UsageProblem: there is neither.
        DataProblem: it has no video, or its manifest cannot be read.
    """
    video, bucket = scratch / keys.VIDEO, session.bucket
    film = name.removeprefix(keys.SEQUENCES)
    manifest = _manifest_of_film(session, film)
    if not name.startswith(keys.SEQUENCES):
        try:
            find_clip(session.registry, name)
        except NoSuchClip as error:
            if manifest is None:
                words = f"{name!r} is neither a file nor a clip nor a film."
                raise UsageProblem(words, remedy=error.remedy) from None
        else:
            if bucket.head(keys.clip_key(name, keys.VIDEO)) is None:
                raise DataProblem(f"{name} has no video.", remedy=f"`i2v status {name}` says how far it is.")
            bucket.download(keys.clip_key(name, keys.VIDEO), video)
            of_clip = _manifest_of_clip(session, name)
            return _evidence(session, video, of_clip) if of_clip is not None else _of_bytes(session, video, name)
    if manifest is None or bucket.head(keys.sequence_key(film, keys.VIDEO)) is None:
        raise DataProblem(f"The film {film} is not joined.", remedy=f"See sequences/{film}/ for what it waits for.")
    bucket.download(keys.sequence_key(film, keys.VIDEO), video)
    return _evidence(session, video, manifest)


def of_file(session: Session, path: Path, named: Path | None) -> Evidence:
    """Return the evidence for a file, with the named manifest, else one beside it that names its bytes, else the bucket's.

    Raises:
        NoInput: the named manifest is not a file.
        ManifestError: it is not a manifest of this project.
    """
    if named is not None:
        if not named.is_file():
            raise NoInput(f"{named} is not a file.")
        return _evidence(session, path, _read_any(named))
    sha256 = sha256_file(path)
    for each in (path.with_suffix(".manifest.json"), path.with_name("manifest.json")):
        if not each.is_file():
            continue
        try:
            found = _read_any(each)
        except ManifestError:
            found = None
        if found is not None and _names(found, sha256):
            return _evidence(session, path, found)
        err.print(f"{each.name} beside it is not used: it is not about this file.", markup=False, highlight=False)
    return _of_bytes(session, path, path.stem)


def _of_bytes(session: Session, path: Path, name: str) -> Evidence:
    """Return the evidence by the file's bytes, else by its signature, else by the clip or film of its name."""
    sha256, (credential, unread) = sha256_file(path), _credential(session, path)
    same = [row for row in session.ledger.list() if row.video_sha256 == sha256]
    # The sandbox draws the same bytes for more than one request: the one of this name is meant then.
    row = next((row for row in same if row.clip == name), same[0] if same else None)
    if row is None and credential is not None and not credential.shots_sha256 and credential.fingerprint:
        row = session.ledger.get(credential.fingerprint)
    if row is not None:
        for clip in dict.fromkeys((name, row.clip)):  # two clips of the same inputs share a payment
            manifest = _manifest_of_clip(session, clip)
            if manifest is not None and manifest.fingerprint == row.fingerprint:
                return _evidence(session, path, manifest)
        return Evidence(sha256, _signature(credential, unread, None), None, row)
    signed_as = [_film_of(credential)] if credential is not None and credential.shots_sha256 else []
    films = [film for film in (_manifest_of_film(session, each) for each in (*signed_as, name)) if film is not None]
    manifest = _manifest_of_clip(session, name)
    for film in films:
        of_it = credential is not None and credential.fingerprint == film.version
        if manifest is None or of_it or _names(film, sha256):
            return _evidence(session, path, film)
    if manifest is not None:
        return _evidence(session, path, manifest)
    return Evidence(sha256, _signature(credential, unread, None), None, None)


def _film_of(credential: Credential) -> str:
    """Return the film's name from the title of its C2PA manifest."""
    return credential.title.removeprefix("SANDBOX ").removesuffix(".mp4")


def _names(manifest: Manifest | FilmManifest, sha256: str) -> bool:
    laid = manifest.video.laid_sha256 if isinstance(manifest, Manifest) else None
    return sha256 in {manifest.video.sha256, manifest.video.signed_sha256, laid}


def _read_any(path: Path) -> Manifest | FilmManifest:
    data = path.read_bytes()
    return (read_film_manifest if is_film_manifest(data) else read_manifest)(data, name=path.name)


def _manifest_of_clip(session: Session, clip: str) -> Manifest | None:
    found = _read(session, lambda: keys.clip_key(clip, keys.MANIFEST))
    return read_manifest(found[1], name=found[0]) if found else None


def _manifest_of_film(session: Session, film: str) -> FilmManifest | None:
    found = _read(session, lambda: keys.sequence_key(film, keys.MANIFEST))
    return read_film_manifest(found[1], name=found[0]) if found else None


def _read(session: Session, key_of: Callable[[], str]) -> tuple[str, bytes] | None:
    """Return a file of the bucket with its key; None if it does not exist, or the name cannot be a key."""
    try:
        key = key_of()
        return key, session.bucket.read(key)
    except (ValueError, ObjectMissing):
        return None


def _evidence(session: Session, path: Path, manifest: Manifest | FilmManifest) -> Evidence:
    """Return the evidence for a file with its manifest."""
    sha256, (credential, unread) = sha256_file(path), _credential(session, path)
    if isinstance(manifest, Manifest):
        row = session.ledger.get(manifest.fingerprint)
        shown = _shown_copies(session, manifest) if sha256 != manifest.video.sha256 else None
        stored = shown.signed_sha256 if shown is not None else None
        if shown is not None and sha256 == shown.laid_sha256:
            sha256 = manifest.video.sha256  # the delivered picture with the brief's own sounds
        beside = [take.fingerprint for take in manifest.other_takes] + [piece.fingerprint for piece in manifest.pieces]
        others = _rows(session, beside)
        return Evidence(sha256, _signature(credential, unread, stored), manifest, row, others)
    rows = _rows(session, (shot.fingerprint for shot in manifest.shots))
    joined = {
        shot.fingerprint: shot.pieces or _pieces_of(session, shot)
        for shot in manifest.shots
        if shot.fingerprint not in rows
    }
    rows |= _rows(session, (piece.fingerprint for pieces in joined.values() for piece in pieces))
    of_bucket = _manifest_of_film(session, manifest.film)
    stored = of_bucket.video.signed_sha256 if of_bucket is not None else None
    return Evidence(sha256, _signature(credential, unread, stored), manifest, None, rows, joined)


def _pieces_of(session: Session, shot: FilmShot) -> tuple[ManifestPiece, ...]:
    """Return the pieces of a film's shot by its clip's manifest; none if that is about another video by now."""
    found = _manifest_of_clip(session, shot.clip)
    return found.pieces if found is not None and found.fingerprint == shot.fingerprint else ()


def _shown_copies(session: Session, manifest: Manifest) -> ManifestVideo | None:
    """Return the bucket's own record of a clip's copies; a manifest beside the file could not prove them."""
    found = _manifest_of_clip(session, manifest.clip)
    return found.video if found is not None and found.fingerprint == manifest.fingerprint else None


def _rows(session: Session, fingerprints: Iterable[str]) -> dict[str, RequestRow]:
    found = {fingerprint: session.ledger.get(fingerprint) for fingerprint in fingerprints}
    return {fingerprint: row for fingerprint, row in found.items() if row is not None}


def _signature(credential: Credential | None, unread: str, stored_sha256: str | None) -> Signature:
    return Signature(credential, unread, stored_sha256)


def _credential(session: Session, path: Path) -> tuple[Credential | None, str]:
    """Return the file's C2PA manifest, or why it could not be read."""
    if not available():
        return None, NO_EXTRA
    try:
        return read_credential(path, Certificate.from_settings(session.settings)), ""
    except ProvenanceError as error:
        return None, error.text


app = typer.Typer()


@app.command()
def verify(
    what: Annotated[
        str, typer.Argument(metavar="CLIP|FILM|FILE", help="A clip or a film of the bucket, or a video file.")
    ],
    manifest: Annotated[Path | None, typer.Option(help="The file's manifest.json, if it lies elsewhere.")] = None,
    as_json: AsJson = False,
) -> None:
    """Prove that a video is what the ledger paid for: bytes, manifest, and signature if it has one.

    Of a film: that it is what was joined, and each of its shots what the ledger paid for. A clip goes before a film of the
    same name; sequences/NAME is the film. The file is opened, too, since what cannot be decoded is not a video. Exit code 0 when it is proven, 1 when it is not.

        i2v verify hero

        i2v verify sequences/voyage

        i2v verify videos/hero.mp4
    """
    with open_session() as session, scratch_folder() as scratch:
        path = Path(what)
        found = of_file(session, path, manifest) if path.is_file() else of_name(session, what, scratch)
        examined = asyncio.run(shared_pool().examine(path if path.is_file() else scratch / keys.VIDEO))
        paid = {*found.rows, *([found.row.fingerprint] if found.row is not None else [])}
        found = replace(found, examined=examined, corrected=session.ledger.corrected_costs(paid))
    result = judge(found)
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
