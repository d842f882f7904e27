"""`i2v cancel`, `pause` and `resume`: what a person stops, and what goes on after all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from i2v_assets.cli.completion import complete_names
from i2v_assets.cli.console import AsJson, err, out, print_json
from i2v_assets.cli.exit_codes import Exit, UsageProblem
from i2v_assets.operations.cancel import Cancellation, cancel_clip, cancel_clips, clips_to_cancel
from i2v_assets.operations.clips import find_clip
from i2v_assets.operations.pause import pause_work, resume_work
from i2v_assets.session import Session, current_user, open_session
from resources.messages import counted

app = typer.Typer()


@app.command()
def cancel(
    clips: Annotated[list[str] | None, typer.Argument(help="Clips.", autocompletion=complete_names)] = None,
    everything: Annotated[bool, typer.Option("--all", help="All clips that are not made yet.")] = False,
    csv_batch: Annotated[
        str, typer.Option("--list", metavar="FILE", help="The clips of this list: a .csv or .jsonl file of uploads/.")
    ] = "",
    folder: Annotated[
        str, typer.Option(metavar="PREFIX", help="The clips whose upload lies below this folder of uploads/.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Stop what is not sent yet, and cancel what still waits in the service's queue.

    It works in every state before a request is sent, also while a run has the clip. A generation that has begun cannot be
    cancelled: it runs on and may be charged, and its video is fetched.

        i2v cancel hero

        i2v cancel --list shoes.csv

        i2v cancel --folder campaign/spring
    """
    names = list(dict.fromkeys(clips or ()))
    if sum(map(bool, (names, everything, csv_batch, folder))) != 1:
        raise UsageProblem("Give clips, --all, --list FILE or --folder PREFIX: exactly one of these.")
    with open_session() as session:
        if len(names) == 1:
            _single(cancel_clip(session, names[0], by=current_user()), as_json)
        names = names or _selected(session, everything, csv_batch, folder)
        names = [find_clip(session.registry, name).clip for name in names]
        _many(cancel_clips(session, names, by=current_user()), as_json)


def _selected(session: Session, everything: bool, csv_batch: str, folder: str) -> list[str]:
    """Return the clips that an option names; a file of this machine stands for the list of the same name."""
    if csv_batch and not csv_batch.startswith("uploads/") and Path(csv_batch).is_file():
        known = {row.source.partition("#")[0] for row in session.registry.list()}
        if f"uploads/{csv_batch}" not in known:
            csv_batch = Path(csv_batch).name
    return clips_to_cancel(session, everything=everything, csv_batch=csv_batch, folder=folder)


def _single(cancelled: Cancellation, as_json: bool) -> None:
    if as_json:
        print_json(_plain(cancelled))
    else:
        _print(cancelled)
        err.print(f"`i2v {cancelled.undo} {cancelled.clip}` makes it after all.", highlight=False)
    raise typer.Exit(Exit.OK if cancelled.done else Exit.TRY_LATER)


def _many(cancelled: Sequence[Cancellation], as_json: bool) -> None:
    if as_json:
        print_json([_plain(each) for each in cancelled])
    else:
        for each in cancelled:
            _print(each)
        stopped = sum(bool(each.steps) for each in cancelled)
        err.print(f"{counted(stopped, 'clip')} cancelled. `i2v retry CLIP` makes one after all.", highlight=False)
    raise typer.Exit(Exit.OK if all(each.done for each in cancelled) else Exit.TRY_LATER)


def _print(cancelled: Cancellation) -> None:
    for step in cancelled.steps:
        out.print(f"{cancelled.clip}: {step.text}", markup=False, highlight=False)


def _plain(cancelled: Cancellation) -> dict[str, Any]:
    steps = [
        {
            "code": step.code,
            "take": step.takes[0] if len(step.takes) == 1 else None,
            "takes": step.takes,
            "request_id": step.request_id,
            "sent": step.sent,
            "done": step.done,
            "what": step.text,
        }
        for step in cancelled.steps
    ]
    return {"clip": cancelled.clip, "done": steps}


@app.command()
def pause(as_json: AsJson = False) -> None:
    """Let nothing more be sent that costs money, in every process, until `i2v resume`. What was sent is still fetched.

    i2v pause
    """
    with open_session() as session:
        hold = pause_work(session, by=current_user())
    if as_json:
        print_json({"paused": True, "by": hold.by, "since": hold.since})
    else:
        out.print(f"{hold.text} `i2v resume` lets it go on.", markup=False, highlight=False)


@app.command()
def resume(as_json: AsJson = False) -> None:
    """Let paid work go on after `i2v pause`.

    i2v resume
    """
    with open_session() as session:
        resumed = resume_work(session)
    if as_json:
        print_json({"paused": False, "was_paused": resumed.hold is not None, "clips": resumed.clips})
    elif resumed.hold is None:
        out.print("Paid work was not paused.", highlight=False)
    else:
        out.print(f"Paid work goes on; {counted(len(resumed.clips), 'clip')} waited.", highlight=False)
