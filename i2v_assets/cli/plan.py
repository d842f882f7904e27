"""`i2v plan` and `i2v approve`: what would be paid, and the agreement to it."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from i2v_assets.cli.console import AsJson, err, out, print_json, print_table
from i2v_assets.cli.exit_codes import DataProblem, UsageProblem
from i2v_assets.cli.status import plain_refused
from i2v_assets.cli.wait_words import wait_words
from i2v_assets.session import Session, current_user, open_bucket, open_session
from resources.money import dollars
from resources.plurals import counted

if TYPE_CHECKING:
    from i2v_assets.operations.preview import Preview
    from i2v_assets.pipeline.plan import Planned
    from i2v_assets.planning.plan import Plan
    from resources.registry.registry import RefusedRow

app = typer.Typer()

SHORTEST_HASH = 12
"""Characters of a plan hash that a person may type; with fewer, another plan could be meant."""

Look = Annotated[bool, typer.Option("--look/--no-look", help="List uploads/ first, as the sensor does.")]


@app.command("plan")
def plan_command(
    clips: Annotated[list[str] | None, typer.Argument(help="Only these clips; all that are to be made.")] = None,
    look: Look = True,
    as_json: AsJson = False,
) -> None:
    """Show what would be made, by which model and at what price, before anything is paid.

    i2v plan

    i2v plan hero shoes--0001

    i2v plan --json | jq .total_microdollars
    """
    from i2v_assets.operations.preview import open_clips, preview, scan_for_uploads

    with open_session() as session:
        bucket = open_bucket(session.settings)
        if look:
            scan_for_uploads(session, bucket)
        began = time.monotonic()
        found = preview(session, bucket, open_clips(session, clips or ()))
        refused = [row for row in session.registry.refusals.now() if not clips or row.clip in clips]
        if as_json:
            print_json(_plain(session, found) | {"refused_uploads": plain_refused(refused)})
            return
        _show(session, found, clips or [], refused)
        err.print(f"[dim]Planned in {time.monotonic() - began:.1f} s; nothing was paid.[/dim]", highlight=False)


def _show(session: Session, found: "Preview", names: list[str], refused: "list[RefusedRow]") -> None:

    if found.lines:
        print_table(
            ("clip", "take", "route", "model", "seconds", "size", "price", "note"),
            [
                (
                    plan.clip,
                    plan.take,
                    plan.route,
                    plan.model_id or plan.family,
                    plan.inputs.duration,
                    plan.inputs.resolution,
                    dollars(plan.price_microdollars) or "unknown",
                    line.note or _waits(found, plan),
                )
                for line in found.lines
                for plan in (line.plan,)
            ],
        )
    for planned in found.planned:
        _show_stopped(planned)
    for clip, error in found.unreadable:
        out.print(f"not planned  {clip}: {error.text}", markup=False, highlight=False)
    for upload in refused:
        text = f"{upload.words} {upload.remedy}"
        out.print(f"refused  {upload.clip or upload.source}: {text}", markup=False, highlight=False)
    if not (found.planned or found.unreadable or refused):
        out.print("Nothing is to be made: `i2v upload` puts files into the bucket, `i2v status` shows what is there.")
        return
    count = sum(line.to_pay for line in found.lines)
    unpriced = f" and {found.unpriced} at an unknown price" if found.unpriced else ""
    rerolls = any(line.to_pay for line in found.rerolls)
    most = f", at most {dollars(found.most_microdollars) or '$0'} with rerolls" if rerolls else ""
    to_pay = (
        f"{count} to pay for, {dollars(found.total_microdollars) or '$0'}{unpriced}" if count else "Nothing to pay for"
    )
    out.print(
        f"{to_pay}{most};"
        f" balance {dollars(found.balance_microdollars) or ('$0' if found.balance_microdollars == 0 else 'not told')}.",
        highlight=False,
    )
    err.print(money_left(session).text, highlight=False)
    if found.hash:
        out.print(f"Plan hash: {found.hash}", highlight=False)
        if count:
            err.print(f"To approve it: {' '.join(['i2v approve', found.hash[:16], *names])}", markup=False)
    for line in found.lines:
        for advice in line.plan.advice if line.to_pay and line.plan.take == 1 else ():
            err.print(f"advice  {line.plan.clip}: {advice.words}", markup=False, highlight=False)


def _waits(found: "Preview", plan: "Plan") -> str:
    row = next(each.row for each in found.planned if each.row.clip == plan.clip)
    words = [wait_words(row.waiting_for)] if row.waiting_for and row.state == "waiting" else []
    rerolls = [line for line in found.rerolls if line.to_pay and line.plan.clip == plan.clip]
    if rerolls and plan.take == 1:
        more = dollars(found.most_for_rerolls(plan.clip)) or "an unknown price"
        words.append(f"and at most {counted(len(rerolls), 'reroll')} for {more}")
    return ", ".join(words)


def _show_stopped(planned: "Planned") -> None:
    from i2v_assets.planning.plan import Refusal

    if isinstance(planned.stopped, Refusal):
        for problem in planned.stopped.problems:
            where = f"{problem.file}: " if problem.file and problem.file not in problem.what else ""
            out.print(f"refused  {planned.row.clip}: {where}{problem.text}", markup=False, highlight=False)
    elif planned.stopped is not None:
        text = f"{planned.stopped.words} {planned.stopped.remedy}"
        out.print(f"waits  {planned.row.clip}: {text}", markup=False, highlight=False)


def _plain(session: Session, found: "Preview") -> dict[str, Any]:

    notes = {line.plan.fingerprint: line for line in found.lines}
    return {
        "plan_hash": found.hash,
        "total_microdollars": found.total_microdollars,
        "most_microdollars": found.most_microdollars,
        "unknown_prices": found.unpriced,
        "balance_microdollars": found.balance_microdollars,
        "today": money_left(session).plain(),
        "service": session.settings.service,
        "clips": [
            {
                "clip": each.row.clip,
                "state": each.row.state,
                "plan_hash": each.hash,
                "stopped": each.stopped.model_dump(mode="json") if each.stopped else None,
                "takes": [
                    {
                        **plan.model_dump(mode="json"),
                        "to_pay": notes[plan.fingerprint].to_pay,
                        "note": notes[plan.fingerprint].note,
                    }
                    for plan in each.plans
                ],
                "rerolls": [plan.model_dump(mode="json") for plan in each.rerolls],
            }
            for each in found.planned
        ],
        "not_planned": [
            {"clip": clip, "reason": error.message, "remedy": error.remedy} for clip, error in found.unreadable
        ],
    }


@app.command()
def approve(
    plan_hash: Annotated[str, typer.Argument(metavar="HASH", help="From `i2v plan` or a clip's WAITING.txt.")],
    clips: Annotated[list[str] | None, typer.Argument(help="The clips that `i2v plan` was given, if any.")] = None,
    as_json: AsJson = False,
) -> None:
    """Agree to pay for a plan. Everything is planned again first, and refused where anything has changed since.

    i2v approve 4f2c9a61d0e75b38

    i2v approve 4f2c9a61d0e75b38 hero shoes--0001
    """
    from i2v_assets.operations.preview import open_clips, preview, what_changed

    asked = plan_hash.strip().lower()
    if len(asked) < SHORTEST_HASH or any(char not in "0123456789abcdef" for char in asked):
        raise UsageProblem(
            f"{plan_hash!r} is no plan hash.", remedy=f"`i2v plan` prints it; its first {SHORTEST_HASH} characters do."
        )
    with open_session() as session:
        bucket = open_bucket(session.settings)
        found = preview(session, bucket, open_clips(session, clips or ()))
        plans = _matching(found, asked)
        if plans is None:
            changes = (what_changed(bucket, planned, asked) for planned in found.planned)
            change = next((words for words in changes if words), None)
            raise DataProblem(
                f"No plan of now has this hash{f': {change}' if change else ''}. Nothing was approved.",
                remedy="The media, the brief, the price or the catalogue have changed since; look at `i2v plan` again.",
            )
        hashes = {plan.fingerprint: plan.price_microdollars for plan in plans}
        session.ledger.approve(asked, hashes, current_user())
    total = sum(price or 0 for price in hashes.values())
    names = list(dict.fromkeys(plan.clip for plan in plans))
    if as_json:
        print_json({"approved": list(hashes), "clips": names, "total_microdollars": total})
        return
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    out.print(f"Approved: {shown}, at most {dollars(total) or '$0'}.", markup=False, highlight=False)
    err.print("The dispatch sensor starts what waits for it within a minute, where Dagster runs.")


def _matching(found: "Preview", asked: str) -> "tuple[Plan, ...] | None":
    """The plans that a hash stands for, their rerolls too: all of them, or those of one clip."""
    if found.hash and found.hash.startswith(asked):
        return (*found.plans, *(line.plan for line in found.rerolls))
    for planned in found.planned:
        if planned.hash and planned.hash.startswith(asked):
            return (*planned.plans, *planned.rerolls)
    return None


@dataclass(frozen=True)
class MoneyLeft:
    """Today's caps and what counts against them; money in micro-dollars."""

    spent_microdollars: int
    cap_microdollars: int
    requests: int
    cap_requests: int

    @property
    def microdollars(self) -> int:
        """Dollars that may still be reserved today."""
        return max(self.cap_microdollars - self.spent_microdollars, 0)

    @property
    def text(self) -> str:
        """For people."""
        return (
            f"Today {dollars(self.spent_microdollars) or '$0'} of at most {dollars(self.cap_microdollars)} and"
            f" {self.requests} of at most {counted(self.cap_requests, 'request')} are used."
        )

    def plain(self) -> dict[str, int]:
        """For programs."""
        return {
            "spent_microdollars": self.spent_microdollars,
            "cap_microdollars": self.cap_microdollars,
            "requests": self.requests,
            "cap_requests": self.cap_requests,
        }


def money_left(session: Session) -> MoneyLeft:
    """What counts against today's caps of the service in force."""
    from resources.generation.factory import caps_of

    limits = caps_of(session.settings)
    spent = session.ledger.spent_today(session.settings.service, session.settings.zone)
    return MoneyLeft(spent.microdollars, limits.usd_per_day_microdollars, spent.requests, limits.requests_per_day)
