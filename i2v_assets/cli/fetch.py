"""`i2v fetch`: the videos of clips and films, from the bucket."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from i2v_assets.cli.completion import complete_names
from i2v_assets.cli.console import AsJson, err, out, print_json
from i2v_assets.cli.disk import as_problem
from i2v_assets.cli.exit_codes import Exit, TryLater, UsageProblem, exit_code
from i2v_assets.operations.clips import NoSuchClip, find_clip
from i2v_assets.operations.films import FilmStatus, find_film
from i2v_assets.session import Session, open_session
from resources.errors import I2VError
from resources.registry.registry import ClipRow, ClipState
from resources.storage import keys
from resources.storage.bucket import Bucket, ObjectInfo

app = typer.Typer()


@app.command()
def fetch(
    clips: Annotated[
        list[str], typer.Argument(help="Clips or films that have a video.", autocompletion=complete_names)
    ],
    output_dir: Annotated[Path, typer.Option(help="Folder for the files (made when missing).")],
    everything: Annotated[bool, typer.Option("--all", help="Also posters, previews and the manifest.")] = False,
    as_json: AsJson = False,
) -> None:
    """Download videos of clips and films from the bucket, as NAME.mp4.

    i2v fetch hero --output-dir .

    i2v fetch hero shoes--0001 --output-dir videos --all
    """
    fetched: list[dict[str, Any]] = []
    worst = Exit.OK
    with open_session() as session:
        found = [_find(session, name) for name in dict.fromkeys(clips)]
        for each in found:
            name = each.name if isinstance(each, FilmStatus) else each.clip
            try:
                fetched.append({"clip": name, **_fetch(session.bucket, each, output_dir, everything=everything)})
            except I2VError as error:
                worst = worst or exit_code(error)
                fetched.append({"clip": name, "files": [], "reason": error.message, "remedy": error.remedy})
                err.print(f"{name}: {error.text}", markup=False, highlight=False)
    if as_json:
        print_json(fetched)
    else:
        for file in (file for each in fetched for file in each["files"]):
            out.print(file, markup=False, highlight=False)
    raise typer.Exit(worst)


def _find(session: Session, name: str) -> ClipRow | FilmStatus:
    """Return the clip of this name, else the film.

    Raises:
        NoSuchClip: there is neither.
    """
    try:
        return find_clip(session.registry, name)
    except NoSuchClip:
        film = find_film(session.bucket, name)
        if film is None:
            raise
        return film


def _fetch(bucket: Bucket, found: ClipRow | FilmStatus, folder: Path, *, everything: bool) -> dict[str, Any]:
    files, state = _clip_files(bucket, found) if isinstance(found, ClipRow) else _film_files(found)
    name = found.clip if isinstance(found, ClipRow) else found.name
    wanted = files if everything else {keys.VIDEO: files[keys.VIDEO]}
    _check_room(folder, wanted)
    paths = []
    for file, info in wanted.items():
        path = folder / (f"{name}.mp4" if file == keys.VIDEO else f"{name}.{file}")
        _download(bucket, info.key, path)
        paths.append(str(path))
    return {"files": paths, "state": state}


def _clip_files(bucket: Bucket, row: ClipRow) -> tuple[Mapping[str, ObjectInfo], str]:
    base = keys.clip_key(row.clip, keys.VIDEO).removesuffix(keys.VIDEO)
    files = {info.key.removeprefix(base): info for info in bucket.list(base)}
    if keys.VIDEO not in files:
        words, remedy = f"It has no video: it is {row.state}.", row.reason or f"`i2v status {row.clip}` says more."
        if row.state in (ClipState.REFUSED, ClipState.FAILED):
            raise I2VError(words, remedy=remedy)
        raise TryLater(words, remedy=remedy)
    return files, row.state


def _film_files(film: FilmStatus) -> tuple[Mapping[str, ObjectInfo], str]:
    if not film.has_video:
        words, remedy = f"The film has no video: it is {film.state}.", f"`i2v status {film.name}` says more."
        if film.state in ("refused", "failed"):
            raise I2VError(words, remedy=remedy)
        raise TryLater(words, remedy=remedy)
    return film.files, film.state


def _check_room(folder: Path, wanted: Mapping[str, ObjectInfo]) -> None:
    """Make the folder, and raise before anything is fetched that does not fit.

    Raises:
        UsageProblem: the folder cannot be made, or the disk is too full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise as_problem(error, folder) from None
    needed = sum(info.size_bytes for info in wanted.values())
    if needed > free:
        raise UsageProblem(
            f"{folder} has {free / 1e6:.0f} MB free, and the files have {needed / 1e6:.0f} MB.",
            remedy="Free some space, or name another --output-dir.",
        )


def _download(bucket: Bucket, key: str, path: Path) -> None:
    try:
        bucket.download(key, path)
    except OSError as error:
        raise as_problem(error, path) from None
