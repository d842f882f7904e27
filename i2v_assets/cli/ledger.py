"""`i2v ledger`: every paid request, what became of it, and how to resolve an unknown outcome."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from i2v_assets.cli import ledger_recovery
from i2v_assets.cli.console import AsJson, err, out, print_json, print_table
from i2v_assets.cli.exit_codes import UsageProblem
from i2v_assets.operations.correct_cost import correct_cost
from i2v_assets.operations.recovery import note_resolved
from i2v_assets.session import current_user, open_session
from resources.ledger.errors import UnknownRequest
from resources.ledger.ledger import Ledger
from resources.ledger.records import RequestRow, State
from resources.messages import counted
from resources.money import dollars
from resources.runcomfy.wire import REQUEST_ID

app = typer.Typer(name="ledger", no_args_is_help=True, help="List, show, resolve, correct and export paid requests.")

ledger_recovery.add_to(app)

Which = Annotated[str, typer.Argument(help="A fingerprint or its beginning, or the service's request id.")]


SHORT = 12
"""Characters of a fingerprint that tables show; they are unique among millions of requests."""


@app.command("list")
def list_command(
    state: Annotated[list[State] | None, typer.Option(help="Only in this state; may be given more than once.")] = None,
    clip: Annotated[str | None, typer.Option(help="Only of this clip.")] = None,
    service: Annotated[str | None, typer.Option(help="Only at this service: runcomfy or sandbox.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List requests, the newest first."""
    with open_session() as session:
        rows = session.ledger.list(state or None, clip, service, limit)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    columns = ("fingerprint", "clip", "take", "state", "model", "price", "cost", "planned (UTC)", "reason")
    print_table(columns, [_line(row) for row in rows])
    if any(row.state is State.UNKNOWN for row in rows):
        err.print("Unknown outcomes may have been charged: look them up at the service, then `i2v ledger resolve`.")


@app.command("show")
def show_command(which: Which, as_json: AsJson = False) -> None:
    """Show one request with all its events."""
    with open_session() as session:
        row = find(session.ledger, which)
        events = session.ledger.events(row.fingerprint)
    if as_json:
        print_json({**asdict(row), "events": [asdict(event) for event in events]})
        return
    print_table(("", ""), [(name, shown) for name, shown in _details(row) if shown != ""])
    print_table(
        ("when", "what", "from", "to", "attempt", "who", "reason"),
        [
            (_time(event.at), event.what, event.from_state, event.to_state, event.attempt, event.owner, event.reason)
            for event in events
        ],
    )


@app.command("resolve")
def resolve_command(
    which: Which,
    request_id: Annotated[
        str | None, typer.Option(help="The service has it under this id: the video is waited for and fetched.")
    ] = None,
    not_charged: Annotated[
        bool, typer.Option("--not-charged", help="The service does not have it: it is planned again.")
    ] = False,
    given_up: Annotated[
        bool,
        typer.Option(
            "--given-up", help="It cannot be found out: the request counts as failed for good, its money as spent."
        ),
    ] = False,
    *,
    by: Annotated[str | None, typer.Option(help="Who decides; your user name unless given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Resolve a request whose outcome is unknown; look it up in the service's web console first.

    A wrong --not-charged pays twice. While the run that sent it may still be alive, wait for it to end.
    """
    if (request_id is not None) + not_charged + given_up != 1:
        raise UsageProblem(
            "Say exactly one of --request-id, --not-charged and --given-up.",
            remedy="The service's web console lists the requests of the account and what they cost.",
        )
    if request_id is not None:
        request_id = _as_request_id(request_id)
    with open_session() as session:
        before = find(session.ledger, which)
        row = session.ledger.resolve(
            before.fingerprint,
            by=by or current_user(),
            request_id=request_id,
            not_charged=not_charged,
            given_up=given_up,
        )
        noted = given_up or note_resolved(session, before, request_id=request_id)
    if not noted:
        err.print(
            "The bucket's record could not be brought up to date; the ledger knows it, and nothing has to be done."
        )
    if as_json:
        print_json(asdict(row))
    else:
        out.print(f"{row.fingerprint[:SHORT]} of clip {row.clip} is now {row.state}.", markup=False, highlight=False)


@app.command("cost")
def cost_command(
    which: Which,
    usd: Annotated[str, typer.Argument(metavar="USD", help="What the bill has for it, such as 1.25.")],
    *,
    by: Annotated[str | None, typer.Option(help="Who says so; your user name unless given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Correct what a request cost, by the service's bill: one that was reported wrongly, or never.

    From then on it counts against the caps, in the spend report and in later quotes. What the service reports of it later
    changes nothing. If the request was sent more than once, give the service's id of the submission.

        i2v ledger cost 4f2c9a61d0e7 1.25
    """
    with open_session() as session:
        row = find(session.ledger, which)
        one = None if row.fingerprint.startswith(which.lower()) else which
        corrected = correct_cost(session, row, usd, by=by or current_user(), request_id=one)
    if as_json:
        print_json(asdict(corrected.row))
        return
    words = f"{row.fingerprint[:SHORT]} of clip {row.clip} cost {corrected.cost}; it counted as {corrected.before}."
    out.print(words, markup=False, highlight=False)
    if corrected.held:
        err.print(f"Its family waits. To agree: i2v models --accept {row.family}", markup=False, highlight=False)


@app.command("export")
def export_command(
    file: Annotated[str, typer.Argument(help="The file to write; - is standard output.")] = "-",
) -> None:
    """Export everything as JSON lines: requests, submissions, events and approvals, from one moment."""
    with open_session() as session:
        if file == "-":
            session.ledger.export(sys.stdout)
            return
        try:
            with Path(file).open("w", encoding="utf-8") as sink:
                lines = session.ledger.export(sink)
        except OSError as error:
            raise UsageProblem(
                f"{file} cannot be written: {error.strerror or type(error).__name__}.",
                remedy="Name a file in a folder that is there; - is standard output.",
            ) from None
    err.print(f"{counted(lines, 'line')}.", highlight=False)


def find(ledger: Ledger, which: str) -> RequestRow:
    """Return the one request that a person means.

    Raises:
        UnknownRequest: there is none.
        UsageProblem: several begin with it.
    """
    found = ledger.starting_with(which)
    if len(found) > 1:
        raise UsageProblem(f"{which!r} begins more than one fingerprint.", remedy="Type more of it.")
    row = found[0] if found else ledger.find(which)
    if row is None:
        raise UnknownRequest(f"The ledger has no request {which!r}.", remedy="`i2v ledger list` shows what there is.")
    return row


def _as_request_id(text: str) -> str:
    """Return what a person typed or pasted as the service's id. It cannot be changed later, and a wrong one fails for good.

    Raises:
        UsageProblem: it is not a request id.
    """
    request_id = text.strip()
    if not REQUEST_ID.fullmatch(request_id):
        raise UsageProblem(
            "A request id holds letters, digits, `_` and `-`, at most 128; what --request-id was given does not.",
            remedy="Give the id alone, as the service's web console shows it, without its address.",
        )
    return request_id


def _line(row: RequestRow) -> tuple[object, ...]:
    return (
        row.fingerprint[:SHORT],
        row.clip,
        row.take,
        row.state,
        row.model_id,
        dollars(row.price_microdollars),
        dollars(row.cost_microdollars),
        f"{row.created_at:%Y-%m-%d %H:%M}",
        row.reason,
    )


def _details(row: RequestRow) -> Iterator[tuple[str, str]]:
    for name, value in asdict(row).items():
        if name.endswith("_microdollars"):
            yield name.removesuffix("_microdollars"), dollars(value)
        else:
            yield name, _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return _time(value)
    if isinstance(value, bool):
        return "yes" if value else ""
    return "" if value is None else str(value)


def _time(value: datetime) -> str:
    return value.strftime("%Y-%m-%d %H:%M:%S UTC")
