"""`i2v plan` and `i2v approve`: what would be paid, and the agreement to it."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich.console import Console

from i2v_assets.cli.completion import complete_names
from i2v_assets.cli.console import AsJson, err, out, print_json, print_table
from i2v_assets.cli.exit_codes import Exit, UsageProblem
from i2v_assets.cli.status_words import plain_refused
from i2v_assets.cli.wait_words import wait_words
from i2v_assets.operations.approve import ApprovalOffer, approve_offer, approve_plan, is_hash, offer_approval
from i2v_assets.operations.budget import budget_today
from i2v_assets.operations.preview import Preview, open_clips, preview, scan_for_uploads
from i2v_assets.pipeline.gates import SHOWN_HASH
from i2v_assets.pipeline.plan import Planned
from i2v_assets.planning.plan import Plan, Refusal
from i2v_assets.session import Session, current_user, open_session
from resources.messages import counted
from resources.money import dollars, price_words
from resources.registry.registry import RefusedRow
from resources.settings import USD

app = typer.Typer()

Look = Annotated[bool, typer.Option("--look/--no-look", help="List uploads/ first, as the sensor does.")]


@app.command("plan")
def plan_command(
    clips: Annotated[
        list[str] | None,
        typer.Argument(help="Only these clips; without names all open ones.", autocompletion=complete_names),
    ] = None,
    look: Look = True,
    as_json: AsJson = False,
) -> None:
    """Show what would be made, by which model and at what price, before anything is paid.

    i2v plan

    i2v plan hero shoes--0001

    i2v plan --json | jq .total_microdollars
    """
    with open_session() as session:
        if look:
            scan_for_uploads(session)
        began = time.monotonic()
        shown = preview(session, open_clips(session, clips or ()))
        refused = [row for row in session.registry.refusals.now() if not clips or row.clip in clips]
        if as_json:
            print_json(_plain(session, shown) | {"refused_uploads": plain_refused(refused)})
            return
        _show(session, shown, clips or [], refused)
        err.print(f"[dim]Planned in {time.monotonic() - began:.1f} s; nothing was paid.[/dim]", highlight=False)


def _show(session: Session, shown: Preview, names: list[str], refused: Sequence[RefusedRow]) -> None:
    if shown.takes:
        columns = ("clip", "take", "route", "model", "seconds", "size", "expected", "at most", "note")
        print_table(columns, [_row(shown, take.plan, take.note) for take in shown.takes])
    for planned in shown.planned:
        if planned.plans and planned.plans[0].numbered:
            numbered = ", ".join(planned.plans[0].numbered)
            out.print(f"files  {planned.row.clip}: {numbered}", markup=False, highlight=False)
        _show_stopped(planned)
    for clip, error in shown.unreadable:
        out.print(f"not planned  {clip}: {error.text}", markup=False, highlight=False)
    for upload in refused:
        text = f"{upload.words} {upload.remedy}"
        out.print(f"refused  {upload.clip or upload.source}: {text}", markup=False, highlight=False)
    if not (shown.planned or shown.unreadable or refused):
        out.print("Nothing is to be made: `i2v upload` puts files into the bucket, `i2v status` shows what is there.")
        return
    _show_money(session, shown, names)
    _show_reasons([take.plan for take in shown.takes if take.to_pay and take.plan.take == 1])
    for take in shown.takes:
        for ask in take.plan.asks if take.to_pay and take.plan.take == 1 else ():
            err.print(
                f"waits   {take.plan.clip}: It needs your word. {ask.words} {ask.remedy}", markup=False, highlight=False
            )
        for advice in take.plan.advice if take.to_pay and take.plan.take == 1 else ():
            err.print(f"advice  {take.plan.clip}: {advice.words}", markup=False, highlight=False)


def _show_reasons(plans: Sequence[Plan]) -> None:
    """Print why each price is expected and agreed to, once for the clips that share it."""
    clips: dict[str, list[str]] = {}
    for plan in plans:
        if (quote := plan.quote) is not None:
            words = f"{quote.base_reason} Expected: {quote.expected_reason} At most: {quote.at_most_reason}"
            clips.setdefault(words, []).append(plan.clip)
    for words, names in clips.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        err.print(f"price  {names[0]}{more}: {words}", markup=False, highlight=False)


def _row(shown: Preview, plan: Plan, note: str) -> tuple[object, ...]:
    expected, most = (dollars(price) or "unknown" for price in (plan.price_microdollars, plan.at_most_microdollars))
    size = plan.inputs.resolution
    model = plan.model_id or plan.family
    seconds, note = plan.inputs.duration, note or _waits(shown, plan)
    return (plan.clip, plan.take, plan.route, model, seconds, size, expected, most, note)


def _waits(shown: Preview, plan: Plan) -> str:
    row = next(each.row for each in shown.planned if each.row.clip == plan.clip)
    words = [wait_words(row.waiting_for)] if row.waiting_for and row.state == "waiting" else []
    rerolls = [take for take in shown.rerolls if take.to_pay and take.plan.clip == plan.clip]
    if rerolls and plan.take == 1:
        more = dollars(shown.most_for_rerolls(plan.clip)) or "an unknown price"
        words.append(f"and at most {counted(len(rerolls), 'reroll')} for {more}")
    return ", ".join(words)


def _show_stopped(planned: Planned) -> None:
    if isinstance(planned.stopped, Refusal):
        for problem in planned.stopped.problems:
            text = replace(problem, what=problem.named).text
            out.print(f"refused  {planned.row.clip}: {text}", markup=False, highlight=False)
    elif planned.stopped is not None:
        text = f"{planned.stopped.words} {planned.stopped.remedy}"
        out.print(f"waits  {planned.row.clip}: {text}", markup=False, highlight=False)


def _show_money(session: Session, shown: Preview, names: list[str]) -> None:
    count = sum(take.to_pay for take in shown.takes)
    unpriced = f" and {shown.unpriced} at an unknown price" if shown.unpriced else ""
    rerolls = any(take.to_pay for take in shown.rerolls)
    most = f", at most {dollars(shown.most_microdollars) or '$0'}" if count or rerolls else ""
    most += " with rerolls" if rerolls else ""
    total = dollars(shown.total_microdollars) or "$0"
    to_pay = f"{count} to pay for, {total}{unpriced}" if count else "Nothing to pay for"
    balance = dollars(shown.balance_microdollars)
    balance = balance or ("$0" if shown.balance_microdollars == 0 else "unknown")
    out.print(f"{to_pay}{most}; balance {balance}.", highlight=False)
    err.print(budget_today(session).text, highlight=False)
    if shown.hash:
        out.print(f"Plan hash: {shown.hash}", highlight=False)
        if count:
            err.print(f"To approve it: {' '.join(['i2v approve', shown.hash[:SHOWN_HASH], *names])}", markup=False)


def _plain(session: Session, shown: Preview) -> dict[str, Any]:
    takes = {take.plan.fingerprint: {"to_pay": take.to_pay, "note": take.note} for take in shown.takes}
    return {
        "plan_hash": shown.hash,
        "total_microdollars": shown.total_microdollars,
        "at_most_microdollars": shown.at_most_microdollars,
        "most_microdollars": shown.most_microdollars,
        "unknown_prices": shown.unpriced,
        "balance_microdollars": shown.balance_microdollars,
        "today": budget_today(session).plain(),
        "service": session.settings.service,
        "clips": [
            {
                "clip": each.row.clip,
                "state": each.row.state,
                "plan_hash": each.hash,
                "stopped": each.stopped.model_dump(mode="json") if each.stopped else None,
                "takes": [plan.model_dump(mode="json") | takes[plan.fingerprint] for plan in each.plans],
                "rerolls": [plan.model_dump(mode="json") for plan in each.rerolls],
            }
            for each in shown.planned
        ],
        "not_planned": [
            {"clip": clip, "reason": error.message, "remedy": error.remedy} for clip, error in shown.unreadable
        ],
    }


@app.command()
def approve(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="HASH|CLIP|FOLDER...",
            help="A plan hash (and the clips that `i2v plan` was given, if any), clips, or folders of uploads.",
            autocompletion=complete_names,
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    at_most: Annotated[
        float | None,
        typer.Option(metavar="USD", min=0, help="Approve without asking if it costs at most this; else nothing."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Agree to pay for a plan, for clips or for a folder of uploads.

    Everything is planned again first. A hash is refused if anything has changed since; for clips and folders the prices and
    their sum are shown, and it is asked.

        i2v approve 4f2c9a61d0e75b38

        i2v approve hero shoes--0001

        i2v approve uploads/shoes/ --at-most 20
    """
    limit = None if at_most is None else round(at_most * USD)
    with open_session() as session:
        head, *clips = what
        if is_hash(head) and session.registry.get(head) is None:
            approved = approve_plan(session, head, clips, by=current_user(), at_most_microdollars=limit)
        else:
            offer = offer_approval(session, what)
            _show_offer(offer, err if as_json else out)
            if offer.planned and not yes and limit is None and not _agreed(offer):
                err.print("Nothing was approved.")
                raise typer.Exit(Exit.FAILED)
            approved = approve_offer(session, offer, by=current_user(), at_most_microdollars=limit)
    names, total = approved.clips, approved.total_microdollars
    if as_json:
        print_json({"approved": approved.fingerprints, "clips": names, "total_microdollars": total})
        return
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    out.print(f"Approved: {shown}, at most {dollars(total) or '$0'}.", markup=False, highlight=False)
    for clip in approved.cancelled:
        err.print(f"{clip} is cancelled and is not made: i2v retry {clip}", markup=False, highlight=False)
    err.print("The dispatch sensor starts what waits for it within a minute, if Dagster runs.")


def _show_offer(offer: ApprovalOffer, console: Console) -> None:
    expected = offer.expected
    for clip, price, doubt in offer.prices:
        in_doubt = f"  ({doubt})" if doubt else ""
        words = price_words(expected.get(clip), price) if price else "unknown price"
        console.print(f"{clip}  {words}{in_doubt}", markup=False, highlight=False)
    for clip, why in offer.left_out:
        err.print(f"left out  {clip}: {why}", markup=False, highlight=False)
    if offer.planned:
        console.print(f"{counted(len(offer.planned), 'clip')}, {_sum(offer)}.", markup=False, highlight=False)


def _sum(offer: ApprovalOffer) -> str:
    unpriced = f" and {counted(offer.unpriced, 'take')} at an unknown price" if offer.unpriced else ""
    return f"at most {dollars(offer.most_microdollars) or '$0'}{unpriced}"


def _agreed(offer: ApprovalOffer) -> bool:
    """Ask.

    Raises:
        UsageProblem: the question was not answered, as in a script.
    """
    try:
        return typer.confirm(f"Pay {_sum(offer)} for {counted(len(offer.planned), 'clip')}?", err=True)
    except (typer.Abort, OSError):
        raise UsageProblem(
            "There was no answer, so nothing was approved.", remedy="Give --yes, or --at-most USD for a limit."
        ) from None
