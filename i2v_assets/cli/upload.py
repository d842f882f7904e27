"""`i2v upload`: put files and folders into the bucket."""

import mimetypes
from pathlib import Path
from typing import Annotated

import typer

from i2v_assets.cli.console import AsJson, err, out, print_json
from i2v_assets.cli.exit_codes import NoInput, UsageProblem
from i2v_assets.session import open_bucket
from resources.messages import counted
from resources.settings import load_settings

app = typer.Typer()

MOST_LINES = 100
"""Clips and files that are named at the end of an upload; a list of ten thousand rows would fill the screen."""


@app.command()
def upload(
    paths: Annotated[list[Path], typer.Argument(help="Images, voiceovers, folders with a brief.yaml, CSV lists.")],
    folder: Annotated[str, typer.Option(help="Folder of the bucket below uploads/ to put them in.")] = "",
    as_json: AsJson = False,
) -> None:
    """Put files into the bucket, where the upload sensor finds them.

    A loose image is one clip, an audio file of the same name its voiceover; a folder with a brief.yaml is one clip.

        i2v upload shoe.jpg

        i2v upload hero.png hero.mp3

        i2v upload campaign/
    """
    from datetime import UTC, datetime

    from i2v_assets.operations.upload_set import LocalFile, in_order, local_file, send, understand, without_noise

    settings = load_settings()
    below = folder.strip("/")
    prefix = f"uploads/{below}/" if below else "uploads/"
    planned = [pair for path in paths for pair in _keys(path, prefix)]
    _check_keys(planned)
    every = [local_file(path, key) for path, key in planned]
    files = in_order(without_noise(every, settings))

    def progress(number: int, of: int, file: LocalFile) -> None:
        err.print(f"{f'{number}/{of} ' if of > 1 else ''}{file.path} -> {file.key}", markup=False, highlight=False)

    def content_type(path: Path) -> str:
        return mimetypes.guess_type(path.name)[0] or "application/octet-stream"

    send(open_bucket(settings), files, below, content_type, progress)
    if as_json:
        print_json([{"file": str(file.path), "key": file.key} for file in files])
    else:
        left = len(every) - len(files)
        out.print(f"{counted(len(files), 'file')} uploaded{f', {left} left out (system files)' if left else ''}.")
    understood = understand(files, settings, datetime.now(UTC))
    for each in understood[:MOST_LINES]:
        err.print(f"{each.what}  {each.name}: {each.words}", markup=False, highlight=False)
    if len(understood) > MOST_LINES:
        err.print(f"and {len(understood) - MOST_LINES} more: `i2v status` lists them.", markup=False, highlight=False)


def _check_keys(planned: list[tuple[Path, str]]) -> None:
    """Raise if two files have one key: the second would silently replace the first.

    Raises:
        UsageProblem: names both.
    """
    taken: dict[str, Path] = {}
    for path, key in planned:
        other = taken.setdefault(key, path)
        if other.resolve() != path.resolve():
            raise UsageProblem(
                f"{other} and {path} would both become {key}; nothing was uploaded.",
                remedy="Rename one, or upload one of them with --folder.",
            )


def _keys(path: Path, prefix: str) -> list[tuple[Path, str]]:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
        base = path.resolve().name
        return [(file, f"{prefix}{base}/{file.relative_to(path).as_posix()}") for file in files]
    if not path.is_file():
        raise NoInput(f"{path} does not exist.", remedy="Name files or folders of this machine.")
    return [(path, f"{prefix}{path.name}")]
