"""`i2v models`: what the service offers now, and the agreement to what has changed."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from i2v_assets.cli.console import AsJson, err, out, print_json, print_table
from i2v_assets.cli.exit_codes import UsageProblem
from i2v_assets.planning.planner import expand
from i2v_assets.session import Session, current_user, open_session
from resources.ledger.records import PriceHold
from resources.messages import counted
from resources.money import dollars
from resources.prices.quote import known_quotes
from resources.redact import redact_line
from resources.registry.agreed_prices import CatalogueMemory
from resources.runcomfy.offers import LiveOffer, agree
from resources.schemas.endpoints import LIMITS, LiveEndpoint, ids_for
from resources.schemas.families import FAMILIES, named, preferred, record_of
from resources.schemas.inputs import Family, Route
from resources.schemas.limits import Limits
from resources.schemas.live_limits import limits_of
from resources.settings import Settings

app = typer.Typer()


@app.command()
def models(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[ROUTE|MODEL]", help="Only this route, family or model id; any id of the catalogue."),
    ] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(metavar="FAMILY", help="Agree to this family's entry, prices and model as they are now."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show which models a clip can be made with now, their prices, and how they differ from what was agreed to.

    The number in front is the place among a route's preferences (I2V_ROUTES); models without one are used if a brief
    names them in `model`. A price or a schema that has changed stops its model until a person agrees to it. So does a
    request that cost more than was agreed to, and another model that answered in the place of the one that was paid for.

        i2v models

        i2v models multi_modal --json

        i2v models kling/kling-3.0/pro/image-to-video

        i2v models --accept happyhorse-1.0/image-to-video
    """
    with open_session() as session:
        families = _families(name, accept or [], session.settings)
        if name is None:  # what waits is shown, whichever model it is
            held = (hold.family for hold in session.ledger.price_holds(session.settings.service))
            families = tuple(dict.fromkeys([*families, *held]))
        found = asyncio.run(_live(session, families))
        if accept:
            _accept(session, found, expand(accept))
            found = asyncio.run(_live(session, families))
        holds = session.ledger.price_holds(session.settings.service)
        rows = [{**_row(live, session.settings, holds), "quotes": _quotes(session, live)} for live in found]
    if name in list(Route):
        rows = [row for row in rows if row["route"] == name]
    if as_json:
        print_json(rows)
        return
    _show(rows, alone=name is not None and name not in list(Route))


def _families(name: str | None, accept: list[str], settings: Settings) -> tuple[Family, ...]:
    """Return what is shown: the named model, or every known one and those of the settings.

    Raises:
        UsageProblem: a name is none that a model can have.
    """
    for each in (*([name] if name is not None and name not in list(Route) else ()), *accept):
        if not named(each) and "/" not in each:
            raise UsageProblem(
                f"There is no route, family or model id {each!r}.",
                remedy=f"Routes: {', '.join(Route)}. Families: {', '.join(FAMILIES)}. Any id of the catalogue works too.",
            )
    if name is not None and name not in list(Route):
        return expand([name, *accept])
    preferences = [each for route in Route for each in _preferences(route, settings)]
    first_ids = [record.live_ids[0] if record.live_ids else record.name for record in FAMILIES.values()]
    return tuple(dict.fromkeys([*preferences, *first_ids, *expand(accept)]))


def _preferences(route: Route, settings: Settings) -> tuple[Family, ...]:
    return expand(settings.routes[route]) if route in settings.routes else preferred(route)


def _show(rows: list[dict[str, Any]], *, alone: bool) -> None:
    print_table(
        ("", "route", "model id", "price", "seconds", "resolutions"),
        [
            (
                row["preference"] or "",
                row["route"] or "by its media",
                row["model_id"] or f"{row['family']}: {'cannot be used' if row['unusable'] else 'none answers'}",
                _price(row),
                _seconds(row),
                ", ".join(row["resolutions"]),
            )
            for row in rows
        ],
    )
    for row in rows:
        if row["unusable"]:
            out.print(row["unusable"], markup=False, highlight=False)
            continue
        _show_quotes(row)
        for words in row["differences"]:
            agreed = "" if words in row["not_agreed"] else " (agreed to)"
            out.print(f"{row['family']}: {words}{agreed}", markup=False, highlight=False)
        for words in row["not_agreed"]:
            if words not in row["differences"]:
                out.print(f"{row['family']}: {words}", markup=False, highlight=False)
        for words in row["held"]:
            out.print(f"{row['family']}: {words}", markup=False, highlight=False)
        if (row["not_agreed"] and row["model_id"]) or row["held"]:
            what = row["route"] or row["family"]
            err.print(f"  {what} waits. To agree: i2v models --accept {row['family']}", highlight=False)
        if alone and row["fields"]:
            print_table(("input", "type", "values", "is"), [_field(name, row) for name in row["fields"]])


def _show_quotes(row: dict[str, Any]) -> None:
    for quote in row["quotes"]:
        most, known = dollars(quote["at_most_microdollars"]), counted(quote["known"], "request")
        words = f"{quote['parameters']}: {dollars(quote['expected_microdollars'])} expected, at most {most} ({known})"
        out.print(f"{row['family']}: {words}", markup=False, highlight=False)


def _field(name: str, row: dict[str, Any]) -> tuple[str, str, str, str]:
    part = row["fields"][name]
    low, high = part.get("minimum", part.get("minLength")), part.get("maximum", part.get("maxLength"))
    bounds = "" if low is None and high is None else f"{'' if low is None else low} to {'' if high is None else high}"
    values = ", ".join(map(str, part["enum"])) if "enum" in part else bounds
    word = next((word for word, field in row["words"].items() if field == name), "")
    required = "required" if name in row["required"] else ""
    kind = redact_line(part.get("format") or part.get("type", ""), limit=40)
    means = f"`{word}` of a brief" if word and word != name else ""
    return name, kind, redact_line(values, limit=200), ", ".join(filter(None, (required, means)))


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


def _seconds(row: dict[str, Any]) -> str:
    if not row["seconds"]:
        return ""
    return ", ".join(map(str, row["durations"])) or f"{row['seconds'][0]} to {row['seconds'][1]}"


async def _live(session: Session, families: tuple[Family, ...]) -> list[LiveOffer]:
    async with session.open_service() as service:
        return [await service.offers.live(family) for family in families]


def _row(live: LiveOffer, settings: Settings, holds: Sequence[PriceHold]) -> dict[str, Any]:
    offer, record = live.offer, record_of(live.family)
    endpoint = offer.endpoint if offer else None
    schema = endpoint.schema if isinstance(endpoint, LiveEndpoint) else None
    limits: Limits | None = limits_of(endpoint) if isinstance(endpoint, LiveEndpoint) else LIMITS.get(live.family)
    tiers = limits.resolutions_in(endpoint.dialect) if limits and endpoint else limits.resolutions if limits else ()
    places = {
        route: chosen.index(live.family) + 1
        for route in Route
        if live.family in (chosen := _preferences(route, settings))
    }
    route = next(iter(places), record.route if record else None)
    return {
        "route": route.value if route else None,
        "preference": places.get(route) if route else None,
        "family": live.family,
        "ids": list(ids_for(live.family)),
        "model_id": endpoint.model_id if endpoint else None,
        "price_microdollars": offer.price_microdollars_per_unit if offer else None,
        "price_unit": offer.price_unit if offer else None,
        "seconds": [limits.min_duration, limits.max_duration] if limits else [],
        "durations": list(limits.durations) if limits else [],
        "resolutions": [tier for tier in tiers if tier],
        "differences": list(live.differences),
        "not_agreed": list(live.unapproved_changes),
        "held": [hold.reason for hold in holds if hold.family == live.family],
        "unusable": live.unusable.message if live.unusable else None,
        "schema_sha256": schema.sha256 if schema else None,
        "fields": dict(schema.properties) if schema else {},
        "words": dict(schema.by_word) if schema else {},
        "required": list(schema.required) if schema else [],
    }
