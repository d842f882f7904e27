"""The spend report: what was reserved, settled, wasted and saved, by day, route, model and upload folder."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from i2v_assets.defs.specs import AT_LOAD, OWNERS
from resources.dagster_resources import BucketResource, LedgerResource
from resources.messages import counted, escape_markdown, plain
from resources.money import usd
from resources.settings import Settings, load_settings

if TYPE_CHECKING:
    from i2v_assets.reports.spend import SpendLine
    from resources.ledger.ledger import Ledger
    from resources.registry.registry import Registry
    from resources.storage.bucket import Bucket

FOLDER = "spend/"
ALL = f"{FOLDER}all.csv"
CHART = f"{FOLDER}chart.svg"
CSV = "text/csv; charset=utf-8"
SVG = "image/svg+xml"


@dg.asset(
    name="spend",
    deps=["clip_video"],
    group_name="library",
    owners=OWNERS,
    kinds={"s3", "csv"},
    code_version="1",
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=49), warn_window=timedelta(hours=26)),
    description=(
        "What the ledger paid, by day, route, model and upload folder: `spend/<day>.csv`, `spend/all.csv` and "
        "`spend/chart.svg`. Free."
    ),
)
def spend(context: dg.AssetExecutionContext, bucket: BucketResource, ledger: LedgerResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Read the ledger and write the changed files; a past day changes if the service settles late."""
    from i2v_assets.reports.spend import chart, summary, to_csv, totals

    settings, store = load_settings(), bucket.open()
    with ledger.open() as (requests, registry):
        lines = table(requests, registry, settings)
    days: dict[date, list[SpendLine]] = defaultdict(list)
    for line in lines:
        days[line.day].append(line)
    written = sum(_write(store, f"{FOLDER}{day.isoformat()}.csv", to_csv(part)) for day, part in days.items())
    content = to_csv(lines)
    _write(store, ALL, content)
    today = datetime.now(UTC).astimezone(settings.zone).date()
    _write(store, CHART, chart(lines, today).encode(), SVG)
    context.log.info(
        plain(
            f"{counted(len(lines), 'line')} of {counted(len(days), 'day')}; {counted(written, 'file')} new or changed."
        )
    )
    sandbox = "Sandbox: play money." if settings.is_sandbox else None
    return dg.MaterializeResult(
        metadata={
            "summary": dg.MetadataValue.md(summary(lines)),
            **_amounts("", totals(lines)),
            **_amounts("today_", totals(days.get(today, ()))),
            "days": len(days),
            "key": ALL,
            "chart": CHART,
            "table": dg.MetadataValue.md(_latest(lines)),
            **({"sandbox": sandbox} if sandbox else {}),
        }
    )


def table(ledger: "Ledger", registry: "Registry", settings: Settings) -> "tuple[SpendLine, ...]":
    """Return the table of the current service; the sandbox and the service never mix."""
    from i2v_assets.reports.spend import Reuse, spend_table

    reuses = (
        Reuse(reuse.day, reuse.route, reuse.model_id, reuse.clip, reuse.price)
        for reuse in ledger.reuses(settings.service, zone=settings.zone)
    )
    # Withdrawn clips are included, because their requests were paid too.
    sources = {row.clip: row.source for row in registry.list()}
    return spend_table(ledger.spent(settings.service, zone=settings.zone), reuses, sources=sources)


def _amounts(prefix: str, sums: dict[str, int]) -> dict[str, float | int]:
    """Return sums as numbers, so that Dagster plots them over time."""
    return {f"{prefix}requests": sums["requests"]} | {
        f"{prefix}{name}_usd": usd(amount) or 0.0 for name, amount in sums.items() if name != "requests"
    }


def _latest(lines: "tuple[SpendLine, ...]", at_most: int = 20) -> str:
    """Return the newest lines as a markdown table."""
    head = "| day | route | model | folder | requests | reserved | settled | surprise | refused | wasted | saved |"
    rows = [
        f"| {line.day} | {line.route} | {escape_markdown(line.model_id)} | {escape_markdown(line.folder)} | {line.requests} | "
        + " | ".join(
            f"{amount / 1e6:.2f}"
            for amount in (line.reserved, line.settled, line.surprise, line.refused, line.wasted, line.saved)
        )
        + " |"
        for line in lines[:at_most]
    ]
    return "\n".join([head, "|---|---|---|---|" + "---:|" * 7, *rows])


def _write(bucket: "Bucket", key: str, content: bytes, content_type: str = CSV) -> bool:
    """Write a file unless its content is unchanged; return whether it was written."""
    from resources.storage.errors import ObjectMissing

    try:
        if bucket.read(key) == content:
            return False
    except ObjectMissing:
        pass
    bucket.write(key, content, content_type)
    return True


spend_job = dg.define_asset_job(
    "spend_job",
    selection=dg.AssetSelection.assets("spend"),
    description="Writes the spend report from the ledger. Free.",
    executor_def=dg.in_process_executor,
)

spend_schedule = dg.ScheduleDefinition(
    name="spend_daily",
    cron_schedule="15 0 * * *",
    execution_timezone=AT_LOAD.timezone,
    job=spend_job,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Daily at 00:15: writes the amounts spent, wasted and saved. Free: it reads the ledger.",
)
