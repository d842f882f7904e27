"""`i2v run`: one generation from the shell, through the same plan, ledger, budget and engine as every clip."""

import asyncio
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import uuid4

import typer

from i2v_assets.cli.console import err, out, print_json
from i2v_assets.cli.exit_codes import DataProblem, Exit, TryLater, UsageProblem
from i2v_assets.clip_folder.manifest import Manifest, media_of
from i2v_assets.pipeline.manifest import manifest_of
from i2v_assets.planning.plan import Plan
from i2v_assets.session import Session, current_user, open_session
from resources.generation.types import Delivered
from resources.ledger.records import RequestRow
from resources.media.probe import video_size
from resources.money import dollars
from resources.schemas.inputs import Service

if TYPE_CHECKING:
    from i2v_assets.briefs.brief import Brief
    from i2v_assets.cli.run.inputs import RunInput, Source, Target
    from i2v_assets.cli.run.progress import Course
    from i2v_assets.pipeline.read_media import ReadFile
    from i2v_assets.planning.plan import Plan, Refusal, Waiting
    from resources.ledger.records import RequestRow
    from resources.settings import Settings
    from resources.storage.bucket import Bucket

app = typer.Typer()

CLIP = ":run"
"""What the ledger calls generations that belong to no clip: a name that no upload's slug can be, since a command about the
clip `cli` would be about every run too. Rows of earlier versions keep their old name, `cli`: the ledger is not rewritten."""

Files = list[Path] | None


@app.command(short_help="One generation now, from files or a JSON input; prints where the video is.")
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
    """Make one video now, without Dagster, through the same plan, ledger and budget as every clip.

    The inputs are named as the service names them (image_url, audio_url, images, ...) or as a brief does; media are
    https addresses in the JSON, or files of this machine in the options. The same inputs are paid for once: run it again
    after a stop, a failed download or a lost connection, and it goes on where it was. Ctrl-C asks the service to cancel.

        i2v run animate --image shoe.jpg --input '{"prompt": "slow orbit, packaging unchanged"}'

        i2v run lip_sync --image hero.png --audio hero.mp3 --output-dir videos

        i2v run happyhorse/happyhorse-1-0/image-to-video --input-file input.json --no-wait

    Exit codes: 0 made, 1 failed or refused by the service, 64 bad arguments, 65 bad input, 69 service or bucket down,
    75 held or unknown (run it again later), 77 not signed in, 130 stopped with Ctrl-C.
    """
    from i2v_assets.cli.run.inputs import Source, read_input, read_target
    from resources.schemas.inputs import MediumKind

    logging.basicConfig(level=logging.ERROR, stream=sys.stderr, format="%(message)s")
    way = _Way()
    try:
        target = read_target(model)
        asked = read_input(_text(input_json, input_file), target)
        given = ((MediumKind.IMAGE, image), (MediumKind.AUDIO, audio), (MediumKind.VIDEO, video))
        files = tuple(Source(kind, str(path), is_file=True) for kind, paths in given for path in paths or ())
        if poll_secs is not None:
            err.print("--poll-secs has no effect: when to ask is learned from earlier generations.")
        for note in asked.notes:
            err.print(note, markup=False, highlight=False)
        if wait and download:
            _check_folder(output_dir)
        folder = output_dir if download else None
        with open_session() as session, TemporaryDirectory(prefix="i2v-") as scratch:
            result, code = _run(session, target, asked, files, Path(scratch), folder, wait=wait, retry=retry, way=way)
    except KeyboardInterrupt:  # while the request is followed Ctrl-C is heard there, and told with what became of it
        fetched = "run it again, and what was sent is fetched and not paid for again"
        err.print(f"Stopped; {fetched if way.followed else 'nothing was sent'}.")
        raise typer.Exit(Exit.INTERRUPTED) from None
    if as_json or output == "json":
        print_json(result)
    else:
        _show(result)
    if code is not Exit.OK:
        words = f"{result.get('reason') or result['status']} {result.get('remedy') or ''}".strip()
        err.print(f"{str(result['status']).capitalize()}: {words}", markup=False, highlight=False)
    raise typer.Exit(code)


@dataclass
class _Way:
    """How far a run has come: once it is followed, its request may be sent."""

    followed: bool = False


def _text(inline: str, file: str) -> str:
    if inline and file:
        raise UsageProblem("Give --input or --input-file, not both.")
    if not file:
        return inline or "{}"
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageProblem(f"{file} cannot be read: {error.strerror or type(error).__name__}.") from None
    except UnicodeDecodeError:
        raise DataProblem(f"{file} is not UTF-8 text.", remedy="Save it as UTF-8.") from None


def _check_folder(folder: Path) -> None:
    """Nothing is paid for that could not be put down."""
    import os

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageProblem(f"{folder} cannot be made: {error.strerror or type(error).__name__}.") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageProblem(f"{folder} cannot be written.", remedy="Name another --output-dir.")


def _run(
    session: Session,
    target: "Target",
    asked: "RunInput",
    files: "Sequence[Source]",
    scratch: Path,
    folder: Path | None,
    *,
    wait: bool,
    retry: bool,
    way: _Way,
) -> tuple[dict[str, Any], Exit]:
    from dataclasses import replace

    from i2v_assets.cli.run.progress import exit_of, follow
    from resources.storage.reachability import check_reachable

    settings = session.settings
    if target.family is not None and target.model_id is not None:  # the id that was named is the one that is asked
        pins = {**settings.model_ids, target.family.value: target.model_id}
        session = replace(session, settings=settings.model_copy(update={"model_ids": pins}))
    bucket = session.bucket
    check_reachable(bucket, settings.service)
    plan = _plan(session, target, replace(asked, media=(*asked.media, *files)), bucket, scratch)
    _announce(plan, settings)
    _again(session, plan, retry=retry)
    way.followed = True
    run_id = f"cli-{uuid4().hex[:12]}"
    course = follow(session, bucket, plan, scratch, run_id=run_id, wait=wait)
    result = _result(session, plan, course)
    code = exit_of(course)
    if code is Exit.OK and folder is not None and not course.submitted_only:
        code = _save(session, bucket, plan, course, folder, result)
    return result, code


def _plan(session: Session, target: "Target", asked: "RunInput", bucket: "Bucket", scratch: Path) -> "Plan":
    """The plan, with everything that is in the way told before anything is paid.

    Raises:
        DataProblem: the inputs do not fit; UsageProblem: the id does not answer; TryLater: it has to wait.
    """
    from i2v_assets.cli.run.inputs import check_media
    from i2v_assets.cli.run.media import bring, display_names
    from i2v_assets.pipeline.read_media import MediaReader
    from i2v_assets.planning.plan import Refusal, Waiting
    from resources.schemas.inputs import Family, MediumKind

    if target.family is Family.WAN_T2V and any(source.kind is MediumKind.IMAGE for source in asked.media):
        raise DataProblem(
            f"{target.model_id} takes no image: the person on it would not appear.",
            remedy="Run wan-ai/wan-2.7/image-to-video or lip_sync, or leave the image out.",
        )
    names = display_names(asked.media)
    brief = asked.brief(target, names)
    reader = MediaReader(bucket, session.registry, scratch)
    found = bring(asked.media, names, bucket, reader, scratch, session.settings.service)
    broken = [file for file in found if file.medium is None]
    if broken:
        raise DataProblem(" ".join(file.problem for file in broken), remedy=in_the_shell(broken[0].remedy))
    check_media(target, asked.media)
    decided = asyncio.run(_decide(session, target, brief, found))
    if isinstance(decided, Refusal):
        text = " ".join(f"{problem.what} {problem.limit}".strip() for problem in decided.problems)
        remedies = dict.fromkeys(problem.remedy for problem in decided.problems if problem.remedy)
        raise DataProblem(text, remedy=in_the_shell(" ".join(remedies)))
    if isinstance(decided, Waiting):
        # A named id that does not answer is a wrong argument, also where a clip would wait for the one that keeps the face.
        gone = decided.kind in ("catalogue", "keep_face") and "agreed" not in decided.words
        if gone and target.model_id is not None:
            raise UsageProblem(f"The service has no {target.model_id} now.", remedy="`i2v models` shows what answers.")
        raise TryLater(decided.words, remedy=decided.remedy)
    if target.family is not None and decided.family is not target.family:
        raise DataProblem(
            f"These inputs are for {decided.family}, not for {target.model_id}.", remedy="Compare with `i2v models`."
        )
    return decided


async def _decide(
    session: Session, target: "Target", brief: "Brief", found: "Sequence[ReadFile]"
) -> "Plan | Refusal | Waiting":
    from i2v_assets.pipeline.offers import plan_offers
    from i2v_assets.pipeline.plan import plan_options
    from i2v_assets.planning.media import MeasuredMedium
    from i2v_assets.planning.plan import Plan
    from i2v_assets.planning.planner import make_plan

    faces = next((file.faces for file in found if file.faces), None)
    async with session.open_service() as service:
        known = await plan_offers(service.offers)
        decided = make_plan(
            CLIP,
            brief,
            [MeasuredMedium(file.medium, file.name, file.facts) for file in found if file.medium and file.facts],
            known,
            plan_options(session.settings),
            face=faces.portrait if faces else None,
            face_share=faces.share if faces else None,
            name=found[0].name if found else CLIP,
        )
        if isinstance(decided, Plan) and decided.family not in known:
            await service.catalogue.resolve(decided.family)  # a catalogue that does not answer says so by its own error
        return decided


def _announce(plan: "Plan", settings: "Settings") -> None:
    price = dollars(plan.price_microdollars) or "an unknown price"
    money = " of play money" if settings.service == "sandbox" else ""
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


def _again(session: Session, plan: "Plan", *, retry: bool) -> None:
    """What was confirmed as cancelled goes again; what failed only when that is asked for, since it may be charged again."""
    from resources.ledger.records import State

    known = session.ledger.get(plan.fingerprint)
    if known is None:
        return
    if known.state is State.CANCELLED or (known.state is State.FAILED and retry):
        session.ledger.retry(plan.fingerprint, by=current_user(), attempt=known.attempt)
    elif known.state in (State.SUBMITTED, State.SUCCEEDED):
        err.print("The same inputs were sent before: nothing is paid again.")


def _result(session: Session, plan: "Plan", course: "Course") -> dict[str, Any]:
    from resources.generation.types import Cancelled, Delivered, Failed, Held

    outcome = course.outcome
    row: RequestRow | None = session.ledger.get(plan.fingerprint)
    result: dict[str, Any] = {
        "status": "stopped",
        "request_id": row.request_id if row else None,
        "route": plan.route.value,
        "model_id": (row.model_id if row else None) or plan.model_id,
        "fingerprint": plan.fingerprint,
        "seed": plan.inputs.seed,
        "service": session.settings.service,
        "price_microdollars": row.price_microdollars if row else plan.price_microdollars,
        "cost_microdollars": row.cost_microdollars if row else None,
        "file": None,
        "manifest": None,
        "key": None,
    }
    match outcome:
        case Delivered():
            seen = {"key": outcome.video_key, "sha256": outcome.sha256, "size_bytes": outcome.size_bytes}
            return result | {"status": "succeeded", "paid_now": outcome.paid, **seen}
        case Held() if course.submitted_only:
            return result | {"status": "submitted"}
        case Held(request_id=None) if course.refused:
            words = f"The service takes no more requests now: {course.refused}"
            return result | {"status": "held (service)", "reason": words, "remedy": "Run it again later."}
        case Held():
            return result | {
                "status": f"held ({outcome.kind})",
                "reason": outcome.reason,
                "remedy": in_the_shell(outcome.remedy),
            }
        case Cancelled():
            done = outcome.confirmed == "cancelled"
            remedy = "Run it again to make it after all." if done else "Run it again to fetch it when it is done."
            return result | {"status": "cancelled" if done else "stopped", "reason": outcome.reason, "remedy": remedy}
        case Failed():
            again = "" if outcome.final else " With --retry it is tried again."
            remedy = outcome.remedy.replace(f"`i2v retake {CLIP}` makes a new take.", "Another `seed` makes a new one.")
            for words in ("Materialize the clip to try it again.", f"`i2v retry {CLIP}` tries it once more."):
                remedy = remedy.replace(words, "").strip()
            return result | {"status": "failed", "reason": outcome.reason, "remedy": f"{remedy}{again}".strip()}
        case _:
            words = "It was stopped before anything was sent; nothing was paid."
            return result | {"reason": words, "remedy": "Run it again."}


def in_the_shell(remedy: str) -> str:
    """What to do, for a person without Dagster and uploads: no schedule fetches a video here, and files are given."""
    if "adopt_orphans" in remedy:
        return "Run it again: it is fetched, and not paid for again."
    return remedy.replace("Upload ", "Give ").replace("upload ", "give ")


def _save(
    session: Session, bucket: "Bucket", plan: "Plan", course: "Course", folder: Path, result: dict[str, Any]
) -> Exit:
    """The video in the folder, its manifest beside it; what cannot be fetched or written is no success, though it is paid for and kept."""
    import shutil

    from resources.errors import I2VError
    from resources.generation.types import Delivered

    row = session.ledger.get(plan.fingerprint)
    if not isinstance(course.outcome, Delivered) or row is None:
        return Exit.TRY_LATER
    path = folder / f"{plan.route.value}-{plan.fingerprint[:12]}.mp4"
    local = course.outcome.local_path
    try:
        folder.mkdir(parents=True, exist_ok=True)  # with --no-wait nobody expected a video yet
        if local is not None and local.exists():
            partial = path.with_suffix(".part")
            shutil.copyfile(local, partial)
            partial.replace(path)
        else:
            bucket.download(course.outcome.video_key, path)
        manifest = manifest_beside(session.settings.service, plan, row, course.outcome, path)
        manifest_path(path).write_bytes(manifest.to_json())
    except (OSError, I2VError) as error:
        words = error.message if isinstance(error, I2VError) else (error.strerror or type(error).__name__)
        result |= {
            "status": "not saved",
            "reason": f"The video is made and in the bucket ({course.outcome.video_key}), and could not be saved: {words}",
            "remedy": "Run it again: it is fetched and not paid for again.",
        }
        return Exit.TRY_LATER
    result |= {"file": str(path), "manifest": str(manifest_path(path))}
    return Exit.OK


def _show(result: dict[str, Any]) -> None:
    """The one line that a script wants first: the file; else the key, else the request."""
    if result["file"] or result["key"]:
        out.print(result["file"] or result["key"], markup=False, highlight=False)
        cost = dollars(
            result["cost_microdollars"] if result["cost_microdollars"] is not None else result["price_microdollars"]
        )
        paid = f"paid {cost}" if result.get("paid_now") else "nothing paid now"
        play = ", play money of the sandbox" if result["service"] == "sandbox" and result.get("paid_now") else ""
        err.print(f"request {result['request_id']}, {paid}{play}", markup=False, highlight=False)
    elif result["status"] == "submitted":
        out.print(result["request_id"], markup=False, highlight=False)
        err.print("Submitted. Run the same again without --no-wait to fetch the video; it is not paid for again.")


def manifest_path(video: Path) -> Path:
    """Where a video's manifest lies beside it; `i2v verify` looks there."""
    return video.with_suffix(".manifest.json")


def manifest_beside(service: Service, plan: Plan, row: RequestRow, outcome: Delivered, video: Path) -> Manifest:
    """The manifest of a video in a local file.

    Raises:
        Unreadable: the file is no video.
    """
    return manifest_of(
        service,
        plan,
        row,
        outcome,
        media=media_of(plan.inputs),
        size=video_size(video),
        version=version("i2v-assets"),
    )
