"""The asset `model_catalogue`: each endpoint's live entry, and the changes that are not approved yet."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from i2v_assets.defs.event_log import dagster_metadata
from resources.dagster_resources import LedgerResource
from resources.messages import escape_markdown
from resources.runcomfy.resource import RunComfyResource
from resources.schemas.families import default_families
from resources.schemas.inputs import Family

if TYPE_CHECKING:
    from resources.runcomfy.offers import LiveOffer

MODEL_CATALOGUE = dg.AssetKey("model_catalogue")


def check_name(family: Family) -> str:
    """Return the name of a family's check: letters, digits and underscores only."""
    return "".join(char if char.isalnum() else "_" for char in family)


CHECKS = [
    dg.AssetCheckSpec(
        check_name(family),
        asset=MODEL_CATALOGUE,
        description=f"{family} is as the code knows it, at the agreed price. A failure names each difference and "
        "stops this endpoint alone; `i2v models --accept` agrees to it.",
    )
    for family in default_families()
]


@dg.asset(
    key=MODEL_CATALOGUE,
    group_name="service",
    kinds={"runcomfy"},
    owners=["team:creative-operations"],
    check_specs=CHECKS,
    description="Each endpoint as the service offers it now: the id that answers, its price and its schema. Free.",
)
def model_catalogue(runcomfy: RunComfyResource, ledger: LedgerResource) -> Iterator[object]:
    """Ask the service for each entry, and compare it with what was agreed to."""
    from i2v_assets.pipeline.metadata import Json, Markdown

    settings = runcomfy.settings()

    async def ask() -> "list[LiveOffer]":
        async with runcomfy.service(requests) as service:
            return [await service.offers.live(family) for family in default_families()]

    with ledger.open() as (requests, _):
        found = asyncio.run(ask())
    rows = [
        f"| {live.family} | {escape_markdown(live.offer.endpoint.model_id) if live.offer else 'no id answers'} "
        f"| {escape_markdown(_price(live))} | {escape_markdown('; '.join(live.differences)) or 'as known'} |"
        for live in found
    ]
    table = "\n".join(["| endpoint | id that answers | price | differences |", "|---|---|---|---|", *rows])
    entries = {live.family: live.offer.entry.raw for live in found if live.offer}
    prices = {
        f"usd_per_unit_{check_name(live.family)}": live.offer.price_microdollars_per_unit / 1_000_000
        for live in found
        if live.offer and live.offer.price_microdollars_per_unit is not None
    }
    metadata = {"entries": Markdown(table), "schemas": Json(entries), "service": settings.service, **prices}
    yield dg.MaterializeResult(asset_key=MODEL_CATALOGUE, metadata=dagster_metadata(metadata))
    for live in found:
        yield dg.AssetCheckResult(
            check_name=check_name(live.family),
            asset_key=MODEL_CATALOGUE,
            passed=not live.unapproved_changes,
            metadata={
                "differences": "; ".join(live.unapproved_changes) or "none",
                "what to do": f"Look at it, then: i2v models --accept {live.family}" if live.unapproved_changes else "",
            },
        )


def _price(live: "LiveOffer") -> str:
    if live.offer is None or live.offer.price_microdollars_per_unit is None:
        return "unknown"
    return f"{live.offer.price_microdollars_per_unit / 1_000_000:g} USD per {live.offer.price_unit}"
