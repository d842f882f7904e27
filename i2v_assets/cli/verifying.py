"""`i2v verify`: does this file come from what the ledger paid for?"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from i2v_assets.cli.console import err, out, print_json
from i2v_assets.cli.exits import DataProblem, Exit, UsageProblem
from i2v_assets.cli.opened import AsJson, Books, known_clip, opened_books, opened_bucket

if TYPE_CHECKING:
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
    manifest: "Manifest | None"
    row: "RequestRow | None"


@app.command()
def verify(
    what: Annotated[str, typer.Argument(metavar="CLIP|FILE", help="A clip of the bucket, or a video file.")],
    manifest: Annotated[Path | None, typer.Option(help="The file's manifest.json, where it lies elsewhere.")] = None,
    as_json: AsJson = False,
) -> None:
    """Prove that a video is what the ledger paid for: its bytes, its manifest, its signature where it has one.

    Exit code 0 when it is proven, 1 when it is not.

        i2v verify hero

        i2v verify videos/hero.mp4
    """
    with opened_books() as books, TemporaryDirectory(prefix="i2v-") as scratch:
        path = Path(what)
        found = _of_file(books, path, manifest) if path.is_file() else _of_clip(books, what, Path(scratch))
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
    from i2v_assets.verification import Verification
    from i2v_assets.verification import verify as compare

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


def _of_clip(books: Books, clip: str, scratch: Path) -> Evidence:
    from resources.storage import keys

    try:
        known_clip(books.registry, clip)
    except UsageProblem as error:
        raise UsageProblem(f"{clip!r} is neither a file nor a clip.", remedy=error.remedy) from None
    bucket = opened_bucket(books.settings)
    video = scratch / keys.VIDEO
    if bucket.head(keys.clip_key(clip, keys.VIDEO)) is None:
        raise DataProblem(f"{clip} has no video.", remedy=f"`i2v status {clip}` says how far it is.")
    bucket.download(keys.clip_key(clip, keys.VIDEO), video)
    told = _manifest_of_clip(books, clip)
    if told is None:
        raise DataProblem(f"{clip} has no manifest.json.", remedy="Materialize the clip again; it costs nothing.")
    return _evidence(books, video, told)


def _of_file(books: Books, path: Path, named: Path | None) -> Evidence:
    """The manifest that was named, lies beside the file, or is in the bucket for the clip that the file is of."""
    from i2v_assets.manifest import read_manifest
    from resources.media.probe import sha256_file

    beside = [named] if named else [path.with_suffix(".manifest.json"), path.with_name("manifest.json")]
    for each in beside:
        if each.is_file():
            return _evidence(books, path, read_manifest(each.read_bytes(), name=each.name))
        if named:
            raise UsageProblem(f"{named} is no file.")
    sha256 = sha256_file(path)
    row = next((row for row in books.ledger.list() if row.video_sha256 == sha256), None)
    clip = row.clip if row else path.stem
    told = _manifest_of_clip(books, clip)
    if told is not None and (row is None or row.fingerprint == told.fingerprint):
        return _evidence(books, path, told)
    return Evidence(sha256, _credential(books, path), None, row)


def _manifest_of_clip(books: Books, clip: str) -> "Manifest | None":
    from i2v_assets.manifest import read_manifest
    from resources.storage import keys
    from resources.storage.errors import ObjectMissing

    try:
        key = keys.clip_key(clip, keys.MANIFEST)
    except ValueError:
        return None  # no clip has such a name
    try:
        return read_manifest(opened_bucket(books.settings).read(key), name=key)
    except ObjectMissing:
        return None


def _evidence(books: Books, path: Path, manifest: "Manifest") -> Evidence:
    from resources.media.probe import sha256_file

    return Evidence(sha256_file(path), _credential(books, path), manifest, books.ledger.get(manifest.fingerprint))


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
