"""`i2v verify`: does this file come from what the ledger paid for?"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.text import Text

from i2v_assets.cli.console import out, print_json
from i2v_assets.cli.evidence import judge, of_file, of_name
from i2v_assets.cli.exits import Exit
from i2v_assets.cli.opened import AsJson, opened_books

app = typer.Typer()


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
        found = of_file(books, path, manifest) if path.is_file() else of_name(books, what, Path(scratch))
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
