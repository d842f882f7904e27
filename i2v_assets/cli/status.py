"""`i2v status`: how far the clips and films are, and why those that wait do."""

import time
from collections.abc import Callable
from typing import Annotated

import typer

from i2v_assets.cli.completion import complete_names
from i2v_assets.cli.console import AsJson, err, out, print_json
from i2v_assets.cli.exit_codes import UsageProblem
from i2v_assets.cli.status_clip import print_clip
from i2v_assets.cli.status_film import print_film
from i2v_assets.cli.status_overview import print_overview, print_plain, read_overview
from i2v_assets.cli.status_words import plain_refused, print_refused
from i2v_assets.operations.clips import NoSuchClip, find_clip
from i2v_assets.operations.films import find_film
from i2v_assets.session import Session, open_session
from resources.errors import I2VError
from resources.registry.registry import ClipState

app = typer.Typer()

SHOWN = 50
"""Clips that the table lists unless asked for more; the newest are at its end."""

WATCH_SECONDS = 2.0
"""Seconds between two looks: the sensors' own pace in development, and one listing of the uploads each."""


@app.command()
def status(
    clip: Annotated[
        str | None, typer.Argument(help="One clip or film in detail; all in short.", autocompletion=complete_names)
    ] = None,
    state: Annotated[list[str] | None, typer.Option(help="Only clips in this state; may be given again.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = SHOWN,
    everything: Annotated[
        bool, typer.Option("--all", help="Refusals older than a day too, and uploads under way among more objects.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again as it changes, until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show how far the clips are, why those that wait do, and which uploads were refused.

    Uploads that settle and films are shown too. Prices are those of all takes. Times are this machine's; those of --json
    are UTC.

        i2v status

        i2v status hero

        i2v status --watch

        i2v status --state failed --state refused --json
    """
    if watch and as_json:
        raise UsageProblem("Give --watch or --json, not both.")
    states = _states(state or [])
    with open_session() as session:
        if clip is None:
            err.print(f"Ledger: {session.ledger.name}", markup=False, highlight=False, soft_wrap=True)

        def show() -> None:
            if clip is not None:
                _named(session, clip, as_json)
                return
            shown = read_overview(session, states, limit, everything=everything)
            if as_json:
                print_plain(shown, session, limit)
            else:
                print_overview(shown, session, limit)

        if watch:
            _watch(show)
        else:
            show()


def _watch(show: Callable[[], None]) -> None:
    """Show it now and after each change; on a terminal in place of what was there."""
    before = ""
    try:
        while True:
            with out.capture() as captured:
                show()
            text = captured.get()
            if text != before:
                if out.is_terminal:
                    out.clear()
                out.file.write(text)
                out.file.flush()
            before = text
            time.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        err.print("Stopped.")


def _states(names: list[str]) -> list[ClipState]:
    unknown = [name for name in names if name not in list(ClipState)]
    if unknown:
        raise UsageProblem(f"There is no state {unknown[0]!r}.", remedy=f"States: {', '.join(ClipState)}.")
    return [ClipState(name) for name in names]


def _named(session: Session, name: str, as_json: bool) -> None:
    """Print one clip, the refused uploads that would be it, or the film of this name."""
    row, refused = session.registry.get(name), session.registry.refusals.now(name)
    if row is not None:
        print_clip(session, row, refused, as_json)
    elif refused and as_json:
        print_json({"clip": name, "state": "refused", "refused_uploads": plain_refused(refused)})
    elif refused:
        out.print(
            f"{name} is not a clip yet: its upload was refused. Nothing was sent and nothing was paid.", highlight=False
        )
        print_refused(refused, len(refused))
    else:
        _film(session, name, as_json)


def _film(session: Session, name: str, as_json: bool) -> None:
    try:
        film = find_film(session.bucket, name)
    except I2VError as error:
        err.print(f"The bucket was not read: {error.text}", markup=False, highlight=False)
        film = None
    if film is None:
        find_clip(session.registry, name)
        raise NoSuchClip(f"There is no clip or film {name!r}.", remedy="`i2v status` lists them.")
    print_film(session, film, as_json)
