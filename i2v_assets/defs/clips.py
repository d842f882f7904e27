"""The step that makes clips: one Dagster step for a batch, in which each clip goes its own way."""

import asyncio
import json
import traceback
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from i2v_assets.clip_folder.notes import answer_of
from i2v_assets.defs.dagster_internals import assets_below
from i2v_assets.defs.event_log import DagsterEvents, dagster_metadata
from i2v_assets.defs.failures import as_dagster_failure, interrupted, signs_of_life
from i2v_assets.defs.partitions import BATCH_TAG, clips
from i2v_assets.defs.run_requests import CLIPS_TAG, clip_tags, ended_line, result_tags
from i2v_assets.defs.specs import AT_LOAD, CLIP_PLAN, CLIP_PREVIEW, CLIP_SPECS, CLIP_VIDEO
from resources import logs
from resources.dagster_resources import BucketResource, LedgerResource
from resources.generation.run_sync import limit_malloc_arenas, run_sync
from resources.ledger.records import Money
from resources.media.quality.model import Check
from resources.messages import counted, escape_markdown, plain
from resources.prices.billed import MODEL, PRICE
from resources.redact import redact
from resources.registry.rows import ClipRow, ClipState
from resources.runcomfy.resource import RunComfyResource, asked_run, is_retry, started_by
from resources.scratch import scratch_folder
from resources.settings import load_settings
from resources.storage.keys import MANIFEST, SEQUENCES, clip_key

if TYPE_CHECKING:
    from i2v_assets.pipeline.context import Result, RunScope
    from i2v_assets.pipeline.report_video import CheckReport
    from resources.ledger.ledger import Ledger
    from resources.registry.registry import Registry
    from resources.storage.bucket import Bucket

UNKNOWN_CLIP = "No upload belongs to this partition key"


@dg.multi_asset(
    name="make_clips",
    specs=CLIP_SPECS,
    can_subset=True,
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=AT_LOAD.clips_per_run),
    pool="make_clips",
    description=(
        "Takes each clip of its range from the uploaded files to the video in the bucket. Clips do not wait for each "
        "other, and one that fails leaves the others alone."
    ),
)
def make_clips(
    context: dg.AssetExecutionContext, runcomfy: RunComfyResource, bucket: BucketResource, ledger: LedgerResource
) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
    """Every asset is recorded the moment it is done; what another asset of the run needs is also a result of the step."""
    from i2v_assets.defs.storage_connections import kept_connections

    limit_malloc_arenas()
    below = assets_below(context)
    if below and len(context.partition_keys) > 1:
        raise _cannot_hand_on(below, len(context.partition_keys))
    with (
        as_dagster_failure(),
        logs.of_run(context.run.run_id),
        kept_connections(context.instance) as kept,
        ledger.open() as (requests, registry),
        scratch_folder() as scratch,
    ):
        store, events = bucket.open(), DagsterEvents(context, handed_on=below, kept=kept)
        results = run_sync(
            lambda: _make_all(context, events, runcomfy, store, requests, registry, scratch),
            interrupted=partial(interrupted, context),
        )
    yield from events.results()
    _say_what_is_skipped(context, below, events, results)
    report(context, results)


def _cannot_hand_on(below: Mapping[str, Collection[str]], count: int) -> dg.Failure:
    """Return the failure of a run over several clips with further assets, which Dagster would skip without a word."""
    names, own = _names(name for names in below.values() for name in names), _names(below)
    return dg.Failure(
        description=plain(
            f"This run has {count} clips, so {names} below {own} cannot be made in it: Dagster takes results of one partition "
            f"alone. Nothing was sent or paid. Make the clips first and {names} in a run after it, or choose one clip, or "
            "give the asset AutomationCondition.eager() (docs/your-own-assets.md)."
        ),
        allow_retries=False,
    )


def _say_what_is_skipped(
    context: dg.AssetExecutionContext,
    below: Mapping[str, Collection[str]],
    events: DagsterEvents,
    results: "Sequence[Result]",
) -> None:
    for asset in sorted(below.keys() - events.handed):
        why = " ".join(ended_line(result) for result in results)
        context.log.warning(plain(f"{_names(below[asset])} is skipped: the clip has no {asset} yet. {why}"))


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names)))


async def _make_all(
    context: dg.AssetExecutionContext,
    events: DagsterEvents,
    runcomfy: RunComfyResource,
    bucket: "Bucket",
    ledger: "Ledger",
    registry: "Registry",
    scratch: Path,
) -> "list[Result]":
    from i2v_assets.pipeline.clip import ClipPipeline
    from i2v_assets.pipeline.context import PipelineContext
    from i2v_assets.pipeline.film_watch import FilmWatch
    from i2v_assets.pipeline.generate import GenerationQueue
    from i2v_assets.pipeline.heap_watch import HeapWatch
    from i2v_assets.pipeline.pause import PauseWatch
    from i2v_assets.pipeline.plan import plan_options
    from i2v_assets.pipeline.report import ClipReporter, make_clip
    from resources.media.pool import shared_pool
    from resources.runcomfy.factory import build_offers

    settings = runcomfy.settings()
    rows, unknown = _rows(context, registry)
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(runcomfy.engine(ledger, bucket, scratch=scratch))
        pool = shared_pool()
        queue = GenerationQueue()
        await stack.enter_async_context(queue.served_by(engine.stream))
        limit = settings.heap_limit_microdollars
        heaps = HeapWatch(registry, ledger, limit) if limit is not None else None
        films = FilmWatch(registry) if any(row.source.startswith(SEQUENCES) for row in rows) else None
        tools = PipelineContext(
            settings=settings,
            bucket=bucket,
            ledger=ledger,
            registry=registry,
            offers=build_offers(settings, engine.catalogue, ledger.database),
            options=plan_options(settings),
            generate=queue.generate,
            scratch=scratch,
            pool=pool,
            heaps=heaps,
            films=films,
        )
        scope = _scope(context)
        reporter = ClipReporter(tools, events, context.run.run_id)
        pipeline = ClipPipeline(tools, reporter, scope)
        if scope.make:  # a run over the free assets alone owes no answer
            names, batch = [row.clip for row in rows], context.run.tags.get(BATCH_TAG)
            # A person who executes a sensor's run again asks for its clips too.
            asked = (scope.by_hand or context.run.parent_run_id is not None) and not scope.retried
            rows = list(registry.mark_running(names, context.run.run_id, batch=batch, undo_stop=asked))
            stack.enter_context(signs_of_life(registry, context.run.run_id))
        if CLIPS_TAG not in context.run.tags:  # a person's run; a sensor names its clips as it asks for the run
            context.instance.add_run_tags(context.run.run_id, clip_tags([row.clip for row in rows]))
        if heaps is not None:
            heaps.expect(rows)
        if films is not None:
            films.expect(rows)
        pauses = PauseWatch(ledger, registry, settings.service, context.run.run_id)

        async def make(row: ClipRow) -> "Result":
            result = await make_clip(pipeline.process_clip, reporter, row, pauses.resumed)
            if scope.make:  # a run that only looked has nothing to say of what became of a clip before
                level = context.log.error if result.state is ClipState.FAILED else context.log.info
                level(plain(ended_line(result)))
            return result

        found = await asyncio.gather(*(make(row) for row in rows), return_exceptions=True)
        results = [*(_result(context, row, each) for row, each in zip(rows, found, strict=True)), *unknown]
        spent = ledger.spend_of_run(asked_run(context.instance, context.run), settings.service)
        tags = result_tags(results, spent, calls=engine.calls, polls=engine.polls)
        context.instance.add_run_tags(context.run.run_id, tags)
    return results


def _result(context: dg.AssetExecutionContext, row: ClipRow, found: "Result | BaseException") -> "Result":
    """An unexpected error ends its own clip only; the dispatch sensor finds the clip without an answer."""
    from i2v_assets.pipeline.context import Result

    if isinstance(found, Result):
        return found
    if not isinstance(found, Exception):
        raise found
    where = traceback.extract_tb(found.__traceback__)[-1]
    words = redact(f"{type(found).__name__}: {found} ({Path(where.filename).name}, line {where.lineno})")
    context.log.error(plain(f"Clip {row.clip}: {words}"))
    return Result(row.clip, ClipState.FAILED, words, "This is a bug in i2v-assets; please report it with the run log.")


def _scope(context: dg.AssetExecutionContext) -> "RunScope":
    from i2v_assets.pipeline.context import RunScope

    selected = set(context.selected_asset_keys)
    make = bool(selected & {CLIP_VIDEO, CLIP_PREVIEW})
    return RunScope(
        run_id=context.run.run_id,
        budget_run=asked_run(context.instance, context.run),
        by_hand=started_by(context.run) is None,
        dispatched=BATCH_TAG in context.run.tags,
        retried=is_retry(context.run),
        plan=make or CLIP_PLAN in selected,
        make=make,
    )


def _rows(context: dg.AssetExecutionContext, registry: "Registry") -> "tuple[list[ClipRow], list[Result]]":
    """The clips to make: in a sensor's run those that it asked for, otherwise every key of the range."""
    from i2v_assets.pipeline.context import Result

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


def report(context: dg.AssetExecutionContext, results: "Sequence[Result]") -> None:
    """Say what became of the batch; fail the step, with one table, when any clip failed."""
    counts = {state: sum(result.state is state for result in results) for state in ClipState}
    words = ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "nothing to do"
    context.log.info(plain(f"{counted(len(results), 'clip')}: {words}."))
    # A run that only looked has nothing to say of a clip that failed before.
    failed = [result for result in results if result.state is ClipState.FAILED and result.reason]
    if failed:
        rows = [
            f"| {' | '.join(map(escape_markdown, (result.clip, result.reason, result.remedy)))} |" for result in failed
        ]
        table = "\n".join(["| clip | why | what to do |", "|---|---|---|", *rows])
        raise dg.Failure(
            description=plain(
                f"{len(failed)} of {counted(len(results), 'clip')} failed: "
                + "; ".join(f"{result.clip}: {result.reason}" for result in failed[:5])
            ),
            metadata={"failed": dg.MetadataValue.md(table), "clips": json.dumps([result.clip for result in failed])},
            allow_retries=False,
        )


@dg.asset_check(
    asset=CLIP_PLAN,
    name="accepted",
    partitions_def=clips,
    description="The upload and its brief can be made. Fails with the file, the limit and the remedy.",
)
def accepted(context: dg.AssetCheckExecutionContext, ledger: LedgerResource) -> dg.AssetCheckResult:
    """Says again what was decided last."""
    with ledger.open() as (_, registry):
        row = registry.get(context.partition_key)
    refused = row is not None and row.state is ClipState.REFUSED
    return dg.AssetCheckResult(passed=not refused, metadata={"problems": (row.reason or "") if row and refused else ""})


@dg.asset_check(
    asset=CLIP_VIDEO,
    name="answered",
    partitions_def=clips,
    description=(
        "The clip has its video. Fails when its request failed or its outcome is unknown, and warns while it waits; "
        "says what to do."
    ),
)
def answered(context: dg.AssetCheckExecutionContext, ledger: LedgerResource) -> dg.AssetCheckResult:
    """Return how far the clip is, as its note in the bucket says it."""
    from i2v_assets.pipeline.clip_state import answer_metadata

    settings = load_settings()
    with ledger.open() as (requests, registry):
        row = registry.get(context.partition_key)
        money = requests.money_of(row) if row is not None else Money()
    if row is None:
        return dg.AssetCheckResult(passed=False, metadata={"state": "unknown clip"})
    answer = answer_of(row, money, service=settings.service, retries_per_clip=settings.retries_per_clip)
    waiting = row.state is ClipState.WAITING and not (row.wait is not None and row.wait.is_error)
    first = {"state": row.state.value, "waiting_for": row.waiting_for or None, "reason": row.reason or ""}
    return dg.AssetCheckResult(
        passed=row.state is ClipState.DELIVERED,
        severity=dg.AssetCheckSeverity.WARN if waiting else dg.AssetCheckSeverity.ERROR,
        metadata=dagster_metadata(answer_metadata(answer, first) if answer is not None else first),
    )


QUALITY = {
    Check.TECHNICAL: "Decodes to the end; length, resolution, aspect and frame rate are those that were asked for.",
    Check.SOUND: "Sound where the route promises it, neither silent nor clipped; the voice is the voice that was given.",
    Check.MOTION: "Not black, not frozen, no slide show, no sudden jump of the whole picture.",
    Check.LIKENESS: "The first frame resembles the source image, and the picture stays sharp.",
}


def _delivered_in_this_run(context: dg.AssetCheckExecutionContext, clip: str) -> bool:
    """Return whether this very run has reported the video: what it measured is in the manifest then."""
    of_clip = dg.AssetRecordsFilter(asset_key=CLIP_VIDEO, asset_partitions=[clip])
    latest = context.instance.fetch_materializations(of_clip, limit=1).records
    return bool(latest) and latest[0].run_id == context.run.run_id


def _kept_check(bucket: "Bucket", clip: str, check: Check) -> "CheckReport | None":
    from i2v_assets.clip_folder.manifest import read_manifest
    from i2v_assets.pipeline.report_video import kept_checks

    manifest = read_manifest(bucket.read(clip_key(clip, MANIFEST)))
    return next((each for each in kept_checks(manifest) if each.name == check.value), None)


def _quality_check(check: Check) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=CLIP_VIDEO,
        name=check.value,
        partitions_def=clips,
        description=f"{QUALITY[check]} Measured right after the download; run alone, it measures again. Free.",
    )
    def measured_again(
        context: dg.AssetCheckExecutionContext, bucket: BucketResource, ledger: LedgerResource
    ) -> dg.AssetCheckResult:
        from i2v_assets.pipeline.postprocess import measure_again
        from i2v_assets.pipeline.report_video import measured_check

        settings, store, clip = load_settings(), bucket.open(), context.partition_key
        found = _kept_check(store, clip, check) if _delivered_in_this_run(context, clip) else None
        if found is None:
            with ledger.open() as (requests, _):
                found = measured_check(*measure_again(clip, store, requests, settings)[check])
        return dg.AssetCheckResult(
            passed=found.passed,
            severity=dg.AssetCheckSeverity.WARN if found.warn else dg.AssetCheckSeverity.ERROR,
            metadata=dagster_metadata(found.metadata),
        )

    return measured_again


MONEY = {
    PRICE: "What the service charged is at most what was reserved. A failure stops requests of this kind until a person agrees.",
    MODEL: "The model that was paid for is the one that answered.",
}


def _money_check(name: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=CLIP_VIDEO, name=name, partitions_def=clips, description=f"{MONEY[name]} Free.")
    def compared_again(context: dg.AssetCheckExecutionContext, ledger: LedgerResource) -> dg.AssetCheckResult:
        from resources.prices.billed import price_and_model

        with ledger.open() as (requests, _):
            rows = requests.list(clip=context.partition_key)
        found = {check: (passed, details) for check, passed, details in price_and_model(rows)}
        passed, details = found.get(name, (True, {"words": "The service has said nothing that could be compared."}))
        return dg.AssetCheckResult(passed=passed, metadata=dagster_metadata(details))

    return compared_again


CLIP_CHECKS = (accepted, answered, *(_money_check(name) for name in MONEY), *(_quality_check(check) for check in Check))
