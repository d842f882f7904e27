"""`i2v models`: what the service offers now, and the agreement to what has changed."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from i2v_assets.cli.console import AsJson, err, out, print_json, print_table
from i2v_assets.cli.exit_codes import UsageProblem
from i2v_assets.session import Session, current_user, open_session
from resources.ledger.records import PriceHold
from resources.money import dollars
from resources.plurals import counted
from resources.prices.quote import known_quotes
from resources.registry.agreed_prices import CatalogueMemory
from resources.runcomfy.offers import LiveOffer, agree
from resources.schemas.endpoints import LIMITS, family_route, ids_for
from resources.schemas.inputs import Family, Route

app = typer.Typer()


@app.command()
def models(
    route: Annotated[str | None, typer.Argument(help="Only this route: animate, lip_sync or multi_modal.")] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(metavar="FAMILY", help="Agree to this family's entry, prices and model as they are now."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show which model id serves each route now, its price, and how it differs from what was agreed to.

    A price or a schema that has changed stops its route until a person agrees to it. So does a request that cost more than
    was agreed to, and another model that answered in the place of the one that was paid for.

        i2v models

        i2v models multi_modal --json

        i2v models --accept happyhorse-1.0/image-to-video
    """
    if route is not None and route not in list(Route):
        raise UsageProblem(f"There is no route {route!r}.", remedy=f"Routes: {', '.join(Route)}.")
    unknown = [name for name in accept or () if name not in list(Family)]
    if unknown:
        raise UsageProblem(f"There is no family {unknown[0]!r}.", remedy=f"Families: {', '.join(Family)}.")
    with open_session() as session:
        found = asyncio.run(_live(session))
        if accept:
            _accept(session, found, accept)
            found = asyncio.run(_live(session))
        holds = session.ledger.price_holds(session.settings.service)
        rows = [{**_row(live, holds), "quotes": _quotes(session, live)} for live in found]
    rows = [row for row in rows if route in (None, row["route"])]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("route", "model id", "price", "seconds", "resolutions"),
        [
            (
                row["route"],
                row["model_id"] or "none answers",
                _price(row),
                f"{row['seconds'][0]} to {row['seconds'][1]}",
                ", ".join(row["resolutions"]),
            )
            for row in rows
        ],
    )
    for row in rows:
        for quote in row["quotes"]:
            most, known = dollars(quote["at_most_microdollars"]), counted(quote["known"], "request")
            words = (
                f"{quote['parameters']}: {dollars(quote['expected_microdollars'])} expected, at most {most} ({known})"
            )
            out.print(f"{row['family']}: {words}", markup=False, highlight=False)
        for words in row["differences"]:
            agreed = "" if words in row["not_agreed"] else " (agreed to)"
            out.print(f"{row['family']}: {words}{agreed}", markup=False, highlight=False)
        for words in row["not_agreed"]:
            if words not in row["differences"]:
                out.print(f"{row['family']}: {words}", markup=False, highlight=False)
        for words in row["held"]:
            out.print(f"{row['family']}: {words}", markup=False, highlight=False)
        if (row["not_agreed"] and row["model_id"]) or row["held"]:
            err.print(f"  {row['route']} waits. To agree: i2v models --accept {row['family']}", highlight=False)


def _quotes(session: Session, live: LiveOffer) -> list[dict[str, Any]]:
    """Return what each known kind of request of a family costs, as far as its price can be read."""
    offer = live.offer
    if offer is None or offer.price_microdollars_per_unit is None:
        return []
    past = session.ledger.family_costs(session.settings.service, live.family)
    unit, headroom = offer.price_microdollars_per_unit, session.settings.price_headroom
    return [
        {
            "parameters": billed.words,
            "base_microdollars": quote.base,
            "expected_microdollars": quote.expected,
            "at_most_microdollars": quote.at_most,
            "known": quote.known,
            "reasons": [quote.expected_reason, quote.at_most_reason],
        }
        for billed, quote in known_quotes(unit, offer.price_unit, offer.terms, past, headroom=headroom)
    ]


def _accept(session: Session, found: Sequence[LiveOffer], families: Sequence[str]) -> None:
    """Agree to these families as they are now: entries, costs that were a surprise, and models that answered."""
    service, by = session.settings.service, current_user()
    for live in found:
        if live.family in families:
            agree(CatalogueMemory(session.ledger.database), service, live, by)
            err.print(f"Agreed to {live.family} as it is now.", highlight=False)
    for family in families:
        for hold in session.ledger.agree_to_prices(service, family, by=by):
            err.print(f"Agreed to: {hold.reason}", markup=False, highlight=False)


def _price(row: dict[str, Any]) -> str:
    if row["model_id"] is None:
        return ""
    return f"{dollars(row['price_microdollars']) or 'unknown'} per {row['price_unit']}"


async def _live(session: Session) -> list[LiveOffer]:
    async with session.open_service() as service:
        return [await service.offers.live(family) for family in Family]


def _row(live: LiveOffer, holds: Sequence[PriceHold]) -> dict[str, Any]:
    limits, offer = LIMITS[live.family], live.offer
    tiers = limits.resolutions_in(offer.endpoint.dialect) if offer else limits.resolutions
    return {
        "route": family_route(live.family).value,
        "family": live.family.value,
        "ids": list(ids_for(live.family)),
        "model_id": offer.endpoint.model_id if offer else None,
        "price_microdollars": offer.price_microdollars_per_unit if offer else None,
        "price_unit": offer.price_unit if offer else None,
        "seconds": [limits.min_duration, limits.max_duration],
        "resolutions": list(tiers),
        "differences": list(live.differences),
        "not_agreed": list(live.unapproved_changes),
        "held": [hold.reason for hold in holds if hold.family == live.family],
    }
