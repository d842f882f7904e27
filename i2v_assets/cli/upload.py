"""`i2v upload`: put files and folders into the bucket."""

import mimetypes
from pathlib import Path
from typing import Annotated

import typer

from i2v_assets.cli.console import AsJson, err, out, print_json
from i2v_assets.cli.exit_codes import UsageProblem
from i2v_assets.session import open_bucket
from resources.plurals import counted
from resources.settings import load_settings

app = typer.Typer()

NAMES_LAST = (".yaml", ".yml", ".json", ".csv", ".jsonl")
"""Files that name others go up last, so that nothing looks complete before it is."""


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
    bucket = open_bucket(load_settings())
    prefix = f"uploads/{folder.strip('/')}/" if folder.strip("/") else "uploads/"
    planned = sorted(
        (pair for path in paths for pair in _keys(path, prefix)), key=lambda pair: pair[0].suffix.lower() in NAMES_LAST
    )
    _check_keys(planned)
    for path, key in planned:
        err.print(f"{path} -> {key}", markup=False, highlight=False)
        bucket.upload(path, key, mimetypes.guess_type(path.name)[0] or "application/octet-stream")
    if as_json:
        print_json([{"file": str(path), "key": key} for path, key in planned])
    else:
        out.print(f"{counted(len(planned), 'file')} uploaded.")


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
        raise UsageProblem(f"{path} does not exist.", remedy="Name files or folders of this machine.")
    return [(path, f"{prefix}{path.name}")]
