"""`i2v cancel`, `retry`, `retake` and `choose`: what a person decides about a clip that is there already."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from i2v_assets.cli.console import AsJson, err, out, print_json
from i2v_assets.cli.exit_codes import Exit, TryLater, UsageProblem
from i2v_assets.operations.clips import find_clip
from i2v_assets.session import Session, current_user, open_bucket, open_client, open_session
from resources.money import dollars

if TYPE_CHECKING:
    from resources.ledger.records import RequestRow
    from resources.registry.registry import ClipRow
    from resources.runcomfy.wire import CancelOutcome
    from resources.settings import Settings

app = typer.Typer()


@app.command()
def cancel(clip: Annotated[str, typer.Argument(help="A clip.")], as_json: AsJson = False) -> None:
    """Stop what is not sent yet, and cancel what still waits in the service's queue.

    A generation that has begun cannot be cancelled: it runs on and may be charged, and its video is fetched.

        i2v cancel hero
    """
    with open_session() as session:
        row = find_clip(session.registry, clip)
        done = [_cancel_request(session, request) for request in session.ledger.list(clip=clip, newest_first=False)]
        done = [each for each in done if each]
        held = _take_back(session, row) or _hold(session, row, any(each["sent"] for each in done))
        if held:
            done.append(held)
    if not done:
        raise UsageProblem(f"{clip} is {row.state}: nothing of it is to be cancelled.")
    if as_json:
        print_json({"clip": clip, "done": done})
    else:
        for each in done:
            out.print(f"{clip}: {each['what']}", markup=False, highlight=False)
        again = "retry" if not done[-1].get("retake") else "retake"
        err.print(f"`i2v {again} {clip}` makes it after all.", highlight=False)
    raise typer.Exit(Exit.OK if all(each["done"] for each in done) else Exit.TRY_LATER)


def _cancel_request(session: Session, request: "RequestRow") -> dict[str, Any]:
    """One request of the clip; empty where there is nothing to cancel."""
    from resources.ledger.errors import IllegalTransition, StaleClaim
    from resources.ledger.records import State

    told: dict[str, Any] = {"take": request.take, "request_id": request.request_id, "sent": True}
    match request.state:
        case State.PLANNED:
            try:
                session.ledger.cancel_planned(request.fingerprint, current_user())
            except (IllegalTransition, StaleClaim):
                return told | {"done": False, "what": f"take {request.take} is being sent right now; cancel it again."}
            return told | {
                "done": True,
                "sent": False,
                "what": f"take {request.take} is cancelled before it was sent; nothing was paid.",
            }
        case State.SUBMITTING:
            return told | {"done": False, "what": f"take {request.take} is being sent right now; cancel it again."}
        case State.SUBMITTED:
            return told | _cancel_sent(session, request)
        case State.UNKNOWN:
            words = "the outcome of its submit is unknown: look it up at the service, then `i2v ledger resolve`."
            return told | {"done": False, "what": f"take {request.take}: {words}"}
        case _:
            return {}


def _cancel_sent(session: Session, request: "RequestRow") -> dict[str, Any]:
    """Ask the service, look once more where it does not confirm, and write down what it said."""
    from resources.runcomfy.wire import CancelOutcome

    said = asyncio.run(_ask_cancel(session.settings, request.request_id or ""))
    name = f"take {request.take} (request {request.request_id})"
    if said is CancelOutcome.CANCELLED:
        reason = f"cancelled by {current_user()}"
        session.ledger.cancelled(request.fingerprint, attempt=request.attempt, reason=reason)
        return {"done": True, "what": f"{name} is cancelled; the service confirmed it."}
    words = {
        CancelOutcome.NOT_CANCELLABLE: "has begun and cannot be cancelled; it runs on and may be charged.",
        CancelOutcome.REQUESTED: "is to be cancelled, which the service has not confirmed yet; it may be charged.",
        CancelOutcome.UNCONFIRMED: "may run on: the service did not confirm the cancellation.",
    }[said]
    session.ledger.note(request.fingerprint, current_user(), f"cancel: {said}")
    return {"done": False, "what": f"{name} {words}"}


async def _ask_cancel(settings: "Settings", request_id: str) -> "CancelOutcome":
    from resources.runcomfy.wire import CancelOutcome, RequestState

    async with open_client(settings) as client:
        said = await client.cancel(request_id)
        if said is not CancelOutcome.CANCELLED:
            state = (await client.result(request_id)).state
            if state is RequestState.CANCELLED:
                return CancelOutcome.CANCELLED
        return said


def _take_back(session: Session, row: "ClipRow") -> dict[str, Any]:
    """Of a delivered clip only the takes that were asked for since are withdrawn: its video stays, and nothing waits."""
    from i2v_assets.clip_folder.writer import BucketAnswers
    from i2v_assets.operations.clips import withdraw_retakes

    taken = withdraw_retakes(session.ledger, session.registry, row)
    if not taken:
        return {}
    BucketAnswers(open_bucket(session.settings)).no_longer_waiting(row.clip)
    what = f"take {', '.join(map(str, taken))} is not made; the video that is there stays."
    return {"what": what, "done": True, "sent": False, "retake": True}


def _hold(session: Session, row: "ClipRow", sent: bool) -> dict[str, Any]:
    """Keep the sensors from starting a clip that no run has yet; what a run has is the run's to answer."""
    from i2v_assets.clip_folder import notes
    from i2v_assets.clip_folder.notes import Problem
    from i2v_assets.clip_folder.writer import BucketAnswers
    from resources.registry.registry import ClipState

    if sent or row.state not in (ClipState.DUE, ClipState.WAITING) or row.waiting_for == "person":
        return {}
    problem = Problem(
        f"It was cancelled by {current_user()}.", remedy=f"To make it after all, run: i2v retry {row.clip}"
    )
    note = notes.waiting(row.clip, problem, then="nothing by itself.", service=session.settings.service)
    BucketAnswers(open_bucket(session.settings)).note(row.clip, note)
    session.registry.record_result(
        row.clip, version=row.version, state=ClipState.WAITING, reason=problem.what, waiting_for="person"
    )
    return {"what": "it is not started any more.", "done": True, "sent": False}


@app.command()
def retry(
    clips: Annotated[list[str], typer.Argument(help="Clips that failed or were cancelled.")], as_json: AsJson = False
) -> None:
    """Make failed or cancelled clips again; what the service charged for the failure is not paid back by it.

    A refusal by the service's content rules is final for the same media and prompt: change them instead.

        i2v retry hero shoes--0001
    """
    from resources.errors import I2VError

    results: list[dict[str, Any]] = []
    worst = Exit.OK
    with open_session() as session:
        rows = [find_clip(session.registry, name) for name in dict.fromkeys(clips)]
        for row in rows:
            try:
                again = _retry(session, row)
            except I2VError as error:
                from i2v_assets.cli.exit_codes import exit_code

                worst = worst or exit_code(error)
                results.append({"clip": row.clip, "due": False, "reason": error.message, "remedy": error.remedy})
                err.print(f"{row.clip}: {error.text}", markup=False, highlight=False)
            else:
                results.append({"clip": row.clip, "due": True, "requests": again})
    if as_json:
        print_json(results)
    else:
        for result in results:
            if result["due"]:
                out.print(f"{result['clip']} is due again.", markup=False, highlight=False)
    raise typer.Exit(worst)


def _retry(session: Session, row: "ClipRow") -> list[str]:
    from resources.ledger.records import State
    from resources.registry.registry import ClipState

    by_person = row.state is ClipState.WAITING and row.waiting_for == "person"
    if row.state is not ClipState.FAILED and not by_person:
        raise UsageProblem(
            f"It is {row.state}; only failed and cancelled clips are made again.",
            remedy=f"`i2v retake {row.clip}` makes another take." if row.delivered_at else "",
        )
    planned = _planned(session, row)
    ended = [each for each in session.ledger.list((State.FAILED, State.CANCELLED), clip=row.clip)
             if each.fingerprint in planned]  # fmt: skip
    again = [each for each in ended if not each.final] or ended  # where all are final, the ledger says so
    for request in again:
        session.ledger.retry(request.fingerprint, by=current_user(), attempt=request.attempt)
    session.registry.enqueue([row.clip])
    return [request.fingerprint for request in again]


def _planned(session: Session, row: "ClipRow") -> set[str]:
    """The fingerprints of the clip's latest plan: those of an older brief stay as they ended."""
    from resources.storage import keys
    from resources.storage.errors import ObjectMissing

    found = {row.planned_fingerprint} if row.planned_fingerprint else set()
    try:
        stored = json.loads(open_bucket(session.settings).read(keys.clip_key(row.clip, keys.PLAN)))
    except (ObjectMissing, ValueError):
        return found
    return found | {take["fingerprint"] for take in stored.get("takes", ()) if "fingerprint" in take}


@app.command()
def retake(
    clip: Annotated[str, typer.Argument(help="A clip that has been made.")],
    seed: Annotated[int | None, typer.Option(help="The take's seed; another one is derived without it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make another take of a clip with another seed: it is paid for, and kept beside the others.

    i2v retake hero

    i2v retake hero --seed 42
    """
    from i2v_assets.briefs.brief import MAX_TAKES
    from i2v_assets.operations.clips import retake_clip, takes_of
    from resources.registry.registry import ClipState

    with open_session() as session:
        row = find_clip(session.registry, clip)
        if row.state in (ClipState.DISPATCHED, ClipState.WORKING, ClipState.DUE):
            raise TryLater(f"{clip} is {row.state}: a run makes it first.", remedy="Ask again when it is done.")
        if row.state not in (ClipState.DELIVERED, ClipState.FAILED):
            raise UsageProblem(f"{clip} is {row.state}.", remedy=f"`i2v status {clip}` says what to do first.")
        if takes_of(row) >= MAX_TAKES:
            raise UsageProblem(
                f"{clip} has {takes_of(row)} takes.", remedy=f"At most {MAX_TAKES} are made of one clip."
            )
        number = retake_clip(session.ledger, session.registry, clip, seed, by=current_user())
        price = row.price_microdollars
    if as_json:
        print_json({"clip": clip, "take": number, "seed": seed, "price_microdollars": price})
        return
    costs = f", for about {dollars(price)}" if price else ""
    out.print(f"Take {number} of {clip} is due{costs}.", markup=False, highlight=False)
    err.print(f"`i2v choose {clip} {number}` makes it the clip's video once it is there.", highlight=False)


@app.command()
def choose(
    clip: Annotated[str, typer.Argument(help="A clip with more than one take.")],
    take: Annotated[int, typer.Argument(min=1, help="The number of the take.")],
    as_json: AsJson = False,
) -> None:
    """Choose which take is a clip's video; costs nothing.

    i2v choose hero 2
    """
    from i2v_assets.operations.clips import choose_take
    from resources.registry.registry import ClipState

    with open_session() as session:
        row = find_clip(session.registry, clip)
        if row.state in (ClipState.DISPATCHED, ClipState.WORKING):
            raise TryLater(f"{clip} is {row.state}: a run has it.", remedy="Choose again when it is done.")
        choose_take(session.ledger, session.registry, clip, take)
    if as_json:
        print_json({"clip": clip, "chosen_take": take})
    else:
        out.print(f"Take {take} becomes the video of {clip} with the next run.", markup=False, highlight=False)
