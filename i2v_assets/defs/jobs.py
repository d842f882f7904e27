"""The jobs that sensors and schedules start, and the small ones that a person starts from the launchpad."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
from pydantic import Field

from i2v_assets.defs.failures import as_dagster_failure
from i2v_assets.defs.specs import CLIP_SPECS
from i2v_assets.operations.clips import choose_take, retake_clip
from resources import logs
from resources.generation.factory import open_engine
from resources.generation.orphans import adopt_orphans, settle_late
from resources.generation.run_sync import run_sync
from resources.generation.types import Delivered, Outcome
from resources.ledger.ledger import Ledger
from resources.outside_text import plain
from resources.registry.registry import ClipState, Registry
from resources.registry.resource import LedgerResource
from resources.runcomfy.resource import RunComfyResource
from resources.storage.bucket import Bucket
from resources.storage.resource import BucketResource

make_clips_job = dg.define_asset_job(
    "make_clips_job",
    selection=dg.AssetSelection.assets(*(spec.key for spec in CLIP_SPECS)).without_checks(),
    description="Makes the clips of a range of partitions, each on its own way. Paid for within the budget, once.",
    executor_def=dg.in_process_executor,
)

catalogue_job = dg.define_asset_job(
    "catalogue_job",
    selection=dg.AssetSelection.assets("model_catalogue"),
    description="Asks the service for each endpoint's entry and compares. Free.",
)


@dg.op(description="Fetches what was submitted and paid for and that nobody waits for. Submits nothing.")
def adopt(
    context: dg.OpExecutionContext, runcomfy: RunComfyResource, bucket: BucketResource, ledger: LedgerResource
) -> None:
    """Adopt orphans to their end, settle late costs, and make their clips due, which then costs nothing."""
    with (
        as_dagster_failure(),
        logs.of_run(context.run.run_id),
        ledger.open() as (requests, registry),
        TemporaryDirectory(prefix="i2v-") as scratch,
    ):
        outcomes, settled = run_sync(
            lambda: _adopt(runcomfy, bucket.open(), requests, Path(scratch), context.run.run_id),
            interrupted=dg.DagsterExecutionInterruptedError,
        )
        delivered = [found for found in outcomes if isinstance(found, Delivered)]
        registry.enqueue(_unanswered(registry, {found.order.clip for found in delivered}))
    context.log.info(plain(f"{len(delivered)} of {len(outcomes)} orphans delivered, {settled} costs settled."))


async def _adopt(
    runcomfy: RunComfyResource, bucket: Bucket, ledger: Ledger, scratch: Path, run_id: str
) -> tuple[list[Outcome], int]:
    settings = runcomfy.settings()
    outcomes: list[Outcome] = []
    async with (
        open_engine(settings, ledger, bucket, scratch=scratch, run_id=run_id) as engine,
        aclosing(adopt_orphans(engine, ledger, settings.service)) as stream,
    ):
        async for outcome in stream:
            outcomes.append(outcome)
            if isinstance(outcome, Delivered) and outcome.local_path is not None:
                await asyncio.to_thread(outcome.local_path.unlink, missing_ok=True)
    async with runcomfy.client() as client:
        return outcomes, await settle_late(ledger, client, settings.service)


def _unanswered(registry: Registry, names: set[str]) -> list[str]:
    """Of these clips those whose answer is still owed; what a run works on is left to it."""
    owed = {ClipState.WAITING, ClipState.FAILED}
    return [clip for clip, row in registry.many(sorted(names)).items() if row.state in owed]


@dg.job(description="Adopts paid requests whose run died. Free: it fetches, it never submits.")
def adopt_orphans_job() -> None:
    """One op."""
    adopt()


class Retake(dg.Config):
    """Another take of a clip; it is paid for."""

    clip: str = Field(description="The clip's partition key.")
    seed: int = Field(0, description="A seed of your own, from 1; 0 derives one.")


@dg.op(description="Asks for another take of a clip, with another seed. It is paid for within the budget.")
def ask_for_take(context: dg.OpExecutionContext, config: Retake, ledger: LedgerResource) -> None:
    """The upload sensor's next tick starts it."""
    with ledger.open() as (requests, registry):
        by = f"run {context.run_id}"
        take = retake_clip(requests, registry, config.clip, config.seed or None, by=by)
    context.log.info(plain(f"Take {take} of {config.clip} is asked for; the next tick of the upload sensor starts it."))


@dg.job(description="`i2v retake` from the launchpad: another take of a clip. Costs money.")
def retake_job() -> None:
    """One op."""
    ask_for_take()


class Choose(dg.Config):
    """Which take a clip shows."""

    clip: str = Field(description="The clip's partition key.")
    take: int = Field(description="The take's number, from 1.")


@dg.op(description="Makes a take that is there the clip's video. Free.")
def choose_that_take(context: dg.OpExecutionContext, config: Choose, ledger: LedgerResource) -> None:
    """The upload sensor's next tick writes it beside the clip."""
    with as_dagster_failure(), ledger.open() as (requests, registry):
        choose_take(requests, registry, config.clip, config.take)
    context.log.info(plain(f"{config.clip} shows take {config.take} after the next tick of the upload sensor."))


@dg.job(description="`i2v choose` from the launchpad: which take a clip shows. Free.")
def choose_job() -> None:
    """One op."""
    choose_that_take()


JOBS = (make_clips_job, catalogue_job, adopt_orphans_job, retake_job, choose_job)
