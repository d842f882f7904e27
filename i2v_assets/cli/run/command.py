"""`i2v run`: one generation from the shell, through the same planner, ledger, budget and engine as every clip."""

import logging
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import uuid4

import typer

from i2v_assets.cli.console import err, print_json
from i2v_assets.cli.disk import require_room
from i2v_assets.cli.exit_codes import DataProblem, Exit, NoInput, UsageProblem
from i2v_assets.cli.run.inputs import RunInput, Source, Target, read_input, read_target
from i2v_assets.cli.run.plan import plan_run
from i2v_assets.cli.run.progress import exit_of, follow
from i2v_assets.cli.run.result import result_of, save, show
from i2v_assets.planning.plan import Plan
from i2v_assets.session import Session, current_user, open_session
from resources.ledger.records import State
from resources.money import price_words
from resources.runcomfy.credentials import require_token
from resources.schemas.inputs import MediumKind
from resources.scratch import scratch_folder
from resources.settings import Settings
from resources.storage.reachability import check_reachable

app = typer.Typer()

Files = list[Path] | None


@app.command()
def run(
    model: Annotated[str, typer.Argument(metavar="MODEL_ID|ROUTE", help="animate, lip_sync, multi_modal, or an id.")],
    input_json: Annotated[str, typer.Option("--input", metavar="JSON", help="Inputs as one JSON object.")] = "",
    input_file: Annotated[str, typer.Option(metavar="FILE", help="The same from a file; - reads stdin.")] = "",
    image: Annotated[Files, typer.Option(metavar="FILE", help="An image of this machine; again for more.")] = None,
    audio: Annotated[Files, typer.Option(metavar="FILE", help="A voiceover or sound; again for more.")] = None,
    video: Annotated[Files, typer.Option(metavar="FILE", help="A reference clip; again for more.")] = None,
    output_dir: Annotated[Path, typer.Option(help="Folder for the video (made when missing).")] = Path(),
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the video; or only submit.")] = True,
    download: Annotated[bool, typer.Option("--download/--no-download", help="Also save it in the folder.")] = True,
    retry: Annotated[
        bool, typer.Option("--retry", help="Try again what failed before; it may be charged again.")
    ] = False,
    output: Annotated[Literal["pretty", "json"], typer.Option(help="How the result is printed.")] = "pretty",
    as_json: Annotated[bool, typer.Option("--json", help="For programs; the same as --output json.")] = False,
    poll_secs: Annotated[float | None, typer.Option(hidden=True)] = None,
) -> None:
    """Make one video now, from files or a JSON input, and print where it is.

    It needs no Dagster, and goes through the same plan, ledger and budget as every clip.

    The inputs are named as the service names them (image_url, audio_url, images, ...) or as a brief does; media are
    https addresses in the JSON, or files of this machine in the options. The same inputs are paid for once: run it again
    after a stop, a failed download or a lost connection, and it goes on where it was. Ctrl-C asks the service to cancel.

        i2v run animate --image shoe.jpg --input '{"prompt": "slow orbit, packaging unchanged"}'

        i2v run lip_sync --image hero.png --audio hero.mp3 --output-dir videos

        i2v run happyhorse/happyhorse-1-0/image-to-video --input-file input.json --no-wait

    Exit codes: 0 made, 1 failed or refused by the service, 64 bad arguments, 65 bad input, 66 no such file,
    69 service or bucket down, 75 held or unknown (run it again later), 77 not signed in, 130 stopped with Ctrl-C.
    """
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr, format="%(message)s")
    stage = _Stage()
    try:
        target = read_target(model)
        asked = read_input(_text(input_json, input_file), target)
        given = ((MediumKind.IMAGE, image), (MediumKind.AUDIO, audio), (MediumKind.VIDEO, video))
        files = tuple(Source(kind, str(path), is_file=True) for kind, paths in given for path in paths or ())
        asked = replace(asked, media=(*asked.media, *files))
        if poll_secs is not None:
            err.print("--poll-secs has no effect: when to ask is learned from earlier generations.")
        for note in asked.notes:
            err.print(note, markup=False, highlight=False)
        if wait and download:
            _check_folder(output_dir)
        folder = output_dir if download else None
        with open_session() as opened, scratch_folder() as scratch:
            session = _pinned(opened, target)
            result, code = _run(session, target, asked, scratch, folder, wait=wait, retry=retry, stage=stage)
    except (
        KeyboardInterrupt
    ):  # once the request is followed, `follow` handles Ctrl-C and the result says what became of it
        fetched = "run it again, and what was sent is fetched and not paid for again"
        err.print(f"Stopped; {fetched if stage.followed else 'nothing was sent'}.")
        raise typer.Exit(Exit.INTERRUPTED) from None
    if as_json or output == "json":
        print_json(result)
    else:
        show(result)
    if code is not Exit.OK:
        words = f"{result.get('reason') or result['status']} {result.get('remedy') or ''}".strip()
        err.print(f"{str(result['status']).capitalize()}: {words}", markup=False, highlight=False)
    raise typer.Exit(code)


@dataclass
class _Stage:
    """How far a run has come: once it is followed, its request may have been sent."""

    followed: bool = False


def _text(inline: str, file: str) -> str:
    if inline and file:
        raise UsageProblem("Give --input or --input-file, not both.")
    if not file:
        return inline or "{}"
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise NoInput(f"{file} cannot be read: {error.strerror or type(error).__name__}.") from None
    except UnicodeDecodeError:
        raise DataProblem(f"{file} is not UTF-8 text.", remedy="Save it as UTF-8.") from None


def _check_folder(folder: Path) -> None:
    """Raise before anything is paid for that could not be saved."""
    require_room(folder, remedy="Free some space, or name another --output-dir.")


def _pinned(session: Session, target: Target) -> Session:
    """Return the session with the named model id as the one that its family is asked by."""
    if target.family is None or target.model_id is None or target.route is None:
        return session
    pins = {**session.settings.model_ids, target.family: target.model_id}
    return replace(session, settings=session.settings.model_copy(update={"model_ids": pins}))


def _run(
    session: Session,
    target: Target,
    asked: RunInput,
    scratch: Path,
    folder: Path | None,
    *,
    wait: bool,
    retry: bool,
    stage: _Stage,
) -> tuple[dict[str, Any], Exit]:
    require_token(session.settings)  # before anything is fetched or asked that would be of no use without it
    check_reachable(session.bucket, session.settings.service)
    plan = plan_run(session, target, asked, scratch)
    err.print(f"Ledger: {session.ledger.name}", markup=False, highlight=False, soft_wrap=True)
    _announce(plan, session.settings)
    _let_go_again(session, plan, retry=retry)
    stage.followed = True
    course = follow(session, plan, scratch, run_id=f"cli-{uuid4().hex[:12]}", wait=wait)
    result, code = result_of(session, plan, course), exit_of(course)
    if code is Exit.OK and folder is not None and not course.submitted_only:
        code = save(session, plan, course, folder, result)
    return result, code


def _announce(plan: Plan, settings: Settings) -> None:
    price = price_words(plan.price_microdollars, plan.at_most_microdollars)
    money = " of play money" if settings.is_sandbox else ""
    where = plan.model_id or plan.family
    err.print(
        f"{plan.route}: {where}, {plan.inputs.duration} s, {plan.inputs.resolution}, {price}{money}",
        markup=False,
        highlight=False,
    )
    if plan.preset:
        err.print(f"No prompt: the preset {plan.preset}. {plan.preset_reason or ''}", markup=False, highlight=False)
    for advice in plan.advice:
        err.print(f"advice  {advice.words}", markup=False, highlight=False)


def _let_go_again(session: Session, plan: Plan, *, retry: bool) -> None:
    """Let a confirmed cancellation be sent again; a failure only with ``retry``, since it may be charged again."""
    request = session.ledger.get(plan.fingerprint)
    if request is None:
        return
    if request.state is State.CANCELLED or (request.state is State.FAILED and retry):
        session.ledger.retry(plan.fingerprint, by=current_user(), attempt=request.attempt)
    elif request.state in (State.SUBMITTED, State.SUCCEEDED):
        err.print("The same inputs were sent before: nothing is paid again.")
