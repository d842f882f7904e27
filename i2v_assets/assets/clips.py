"""The step that makes clips: one Dagster step for a batch, in which each clip goes its own way."""

import asyncio
import json
import traceback
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg

from i2v_assets.assets.events import DagsterEvents
from i2v_assets.assets.kept_connections import kept_connections
from i2v_assets.assets.run_retries import asked_run, is_retry
from i2v_assets.assets.specs import CLIP_PLAN, CLIP_PREVIEW, CLIP_SPECS, CLIP_VIDEO
from i2v_assets.assets.stopping import stop_kind
from i2v_assets.assets.telling import told_with_remedy
from i2v_assets.making.line import Line
from i2v_assets.making.offers import Offers
from i2v_assets.making.options import plan_options
from i2v_assets.making.orders import Orders
from i2v_assets.making.tools import Result, Run, Tools
from i2v_assets.manifest import scrubbed
from i2v_assets.sensors.tags import BATCH_TAG
from resources import logs
from resources.allocator import share_arenas
from resources.generation.interrupt import run_sync
from resources.generation.opening import open_engine
from resources.ledger import Ledger
from resources.ledger.catalogue_memory import CatalogueMemory
from resources.ledger.registry import ClipRow, ClipState, Registry
from resources.ledger.resource import LedgerResource
from resources.media.quality.pool import MeasuringPool
from resources.runcomfy.resource import RunComfyResource
from resources.settings import load_settings
from resources.storage.bucket import Bucket
from resources.storage.resource import BucketResource

UNKNOWN_CLIP = "No upload belongs to this partition key"


@dg.multi_asset(
    name="make_clips",
    specs=CLIP_SPECS,
    can_subset=True,
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=load_settings().clips_per_run),
    pool="make_clips",
    description=(
        "Takes each clip of its range from the uploaded files to the video in the bucket. Clips do not wait for each "
        "other, and one that fails leaves the others alone."
    ),
)
def make_clips(
    context: dg.AssetExecutionContext, runcomfy: RunComfyResource, bucket: BucketResource, ledger: LedgerResource
) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
    """Every asset is recorded the moment it is done; nothing is left to yield."""
    share_arenas()
    with (
        told_with_remedy(),
        logs.of_run(context.run.run_id),
        kept_connections(context.instance),
        ledger.open() as (requests, registry),
        TemporaryDirectory(prefix="i2v-") as scratch,
    ):
        store = bucket.open()
        results = run_sync(
            lambda: _make_all(context, runcomfy, store, requests, registry, Path(scratch)),
            interrupted=dg.DagsterExecutionInterruptedError,
        )
    report(context, results)
    yield from ()


async def _make_all(
    context: dg.AssetExecutionContext,
    runcomfy: RunComfyResource,
    bucket: Bucket,
    ledger: Ledger,
    registry: Registry,
    scratch: Path,
) -> list[Result]:
    settings = runcomfy.settings()
    rows, unknown = _rows(context, registry)
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(
            open_engine(
                settings,
                ledger,
                bucket,
                scratch=scratch,
                run_id=context.run.run_id,
                budget_run=asked_run(context.instance, context.run),
                stop_kind=lambda: stop_kind(context.instance, context.run.run_id),
            )
        )
        pool = stack.enter_context(MeasuringPool())
        orders = Orders()
        await stack.enter_async_context(orders.served_by(engine.stream))
        tools = Tools(
            settings=settings,
            bucket=bucket,
            ledger=ledger,
            registry=registry,
            offers=Offers(engine.catalogue, CatalogueMemory(ledger.database), settings.service),
            options=plan_options(settings),
            generate=orders.generate,
            scratch=scratch,
            pool=pool,
        )
        asked = _asked(context)
        line = Line(tools, DagsterEvents(context), asked)
        if asked.make:  # a run over the free assets alone owes no answer
            registry.begin([row.clip for row in rows], context.run.run_id)
        found = await asyncio.gather(*(line.make(row) for row in rows), return_exceptions=True)
    return [*(_result(context, row, each) for row, each in zip(rows, found, strict=True)), *unknown]


def _result(context: dg.AssetExecutionContext, row: ClipRow, found: Result | BaseException) -> Result:
    """An error that nobody foresaw ends its own clip only; the dispatch sensor finds the clip without an answer."""
    if isinstance(found, Result):
        return found
    if not isinstance(found, Exception):
        raise found
    where = traceback.extract_tb(found.__traceback__)[-1]
    words = scrubbed(f"{type(found).__name__}: {found} ({Path(where.filename).name}, line {where.lineno})")
    context.log.error(f"Clip {row.clip}: {words}")
    return Result(row.clip, ClipState.FAILED, words, "This is a fault of the project itself; please report it.")


def _asked(context: dg.AssetExecutionContext) -> Run:
    selected = set(context.selected_asset_keys)
    make = bool(selected & {CLIP_VIDEO, CLIP_PREVIEW})
    return Run(
        run_id=context.run.run_id,
        by_hand=BATCH_TAG not in context.run.tags,
        retried=is_retry(context.run),
        plan=make or CLIP_PLAN in selected,
        make=make,
    )


def _rows(context: dg.AssetExecutionContext, registry: Registry) -> tuple[list[ClipRow], list[Result]]:
    """The clips to make: in a sensor's run those that it asked for, otherwise every key of the range."""
    names: Sequence[str] = context.partition_keys
    known = registry.many(names)
    batch = context.run.tags.get(BATCH_TAG)
    if batch is not None:
        return [known[name] for name in names if name in known and known[name].batch == batch], []
    unknown = [
        Result(name, ClipState.FAILED, UNKNOWN_CLIP, "Upload an image; the sensor adds the key by itself.")
        for name in names
        if name not in known
    ]
    return [known[name] for name in names if name in known], unknown


def report(context: dg.AssetExecutionContext, results: Sequence[Result]) -> None:
    """Say what became of the batch; fail the step, with one table, when any clip failed."""
    counts = {state: sum(result.state is state for result in results) for state in ClipState}
    words = ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "nothing to do"
    context.log.info(f"{len(results)} clips: {words}.")
    # A run that only looked has nothing to say of a clip that failed before.
    failed = [result for result in results if result.state is ClipState.FAILED and result.reason]
    if failed:
        rows = [f"| {result.clip} | {_cell(result.reason)} | {_cell(result.remedy)} |" for result in failed]
        table = "\n".join(["| clip | why | what to do |", "|---|---|---|", *rows])
        raise dg.Failure(
            description=f"{len(failed)} of {len(results)} clips failed: "
            + "; ".join(f"{result.clip}: {result.reason}" for result in failed[:5]),
            metadata={"failed": dg.MetadataValue.md(table), "clips": json.dumps([result.clip for result in failed])},
            allow_retries=False,
        )


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
