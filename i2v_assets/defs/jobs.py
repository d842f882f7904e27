"""The jobs that sensors and schedules start, and the small ones that a person starts from the launchpad."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import dagster as dg
from pydantic import Field

from i2v_assets.defs.failures import as_dagster_failure
from i2v_assets.defs.launchpad import launchpad_fields
from i2v_assets.defs.specs import CLIP_SPECS
from i2v_assets.operations.approve import approve_plan
from i2v_assets.operations.cancel import cancel_clip
from i2v_assets.operations.retry import retry_clip
from i2v_assets.operations.takes import choose_take, retake_clip
from i2v_assets.session import Session
from resources import logs
from resources.generation.orphans import adopt_orphans, settle_late
from resources.generation.run_sync import run_sync
from resources.generation.types import Delivered, Outcome
from resources.ledger.ledger import Ledger
from resources.money import dollars
from resources.outside_text import plain
from resources.registry.registry import ClipState, Registry
from resources.registry.resource import LedgerResource
from resources.runcomfy.resource import RunComfyResource
from resources.scratch import scratch_folder
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
        scratch_folder() as scratch,
    ):
        outcomes, settled = run_sync(
            lambda: _adopt(runcomfy, bucket.open(), requests, scratch),
            interrupted=dg.DagsterExecutionInterruptedError,
        )
        delivered = [found for found in outcomes if isinstance(found, Delivered)]
        registry.enqueue(_unanswered(registry, {found.order.clip for found in delivered}))
    context.log.info(plain(f"{len(delivered)} of {len(outcomes)} orphans delivered, {settled} costs settled."))


async def _adopt(
    runcomfy: RunComfyResource, bucket: Bucket, ledger: Ledger, scratch: Path
) -> tuple[list[Outcome], int]:
    settings = runcomfy.settings()
    outcomes: list[Outcome] = []
    async with (
        runcomfy.engine(ledger, bucket, scratch=scratch, cancels_on_terminate=False) as engine,
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


CLIP = "The clip's partition key, such as hero or shoes--0001."


class Cancel(dg.Config):
    """Which clip to cancel."""

    clip: str = Field("", description=CLIP)


@dg.op(
    config_schema=launchpad_fields(Cancel),
    description="Withdraws what was not sent of a clip, and cancels what is queued at the service. Free.",
)
def cancel_a_clip(context: dg.OpExecutionContext, runcomfy: RunComfyResource, ledger: LedgerResource) -> None:
    """Log each step; a generation that has begun runs on and may be charged."""
    config = Cancel(**context.op_config)
    with _operating(runcomfy, ledger) as session:
        cancelled = cancel_clip(session, config.clip, by=_by(context))
    for step in cancelled.steps:
        (context.log.info if step.done else context.log.warning)(f"{config.clip}: {step.text}")


@dg.job(description="`i2v cancel` from the launchpad: withdraw or cancel a clip. Free.")
def cancel_job() -> None:
    """One op."""
    cancel_a_clip()


class Retry(dg.Config):
    """Which clip to make again."""

    clip: str = Field("", description=f"{CLIP} It has failed or was cancelled.")


@dg.op(
    config_schema=launchpad_fields(Retry),
    description="Makes a failed or cancelled clip due again. Another attempt is paid for within the budget.",
)
def retry_a_clip(context: dg.OpExecutionContext, runcomfy: RunComfyResource, ledger: LedgerResource) -> None:
    """The upload sensor's next tick starts it."""
    config = Retry(**context.op_config)
    with _operating(runcomfy, ledger) as session:
        retry_clip(session, config.clip, by=_by(context))
    context.log.info(plain(f"{config.clip} is due again; the next tick of the upload sensor starts it."))


@dg.job(description="`i2v retry` from the launchpad: make a failed or cancelled clip again. Costs money.")
def retry_job() -> None:
    """One op."""
    retry_a_clip()


class Approve(dg.Config):
    """Which plan to agree to."""

    plan_hash: str = Field("", description="From `i2v plan`, a clip's WAITING.txt or its `clip_plan` in the UI.")
    clips: list[str] = Field([], description="The clips that `i2v plan` was given; empty if it was given none.")


@dg.op(
    config_schema=launchpad_fields(Approve),
    description="Plans again and agrees to pay, if the plan still has this hash. The approved clips cost money.",
)
def approve_a_plan(context: dg.OpExecutionContext, runcomfy: RunComfyResource, ledger: LedgerResource) -> None:
    """The dispatch sensor's next tick starts what waits for it."""
    config = Approve(**context.op_config)
    with _operating(runcomfy, ledger) as session:
        approved = approve_plan(session, config.plan_hash, config.clips, by=_by(context))
    most = dollars(approved.total_microdollars) or "$0"
    context.log.info(plain(f"Approved: {', '.join(approved.clips)}, at most {most}."))


@dg.job(description="`i2v approve` from the launchpad: agree to pay for a plan. Costs money.")
def approve_job() -> None:
    """One op."""
    approve_a_plan()


class Retake(dg.Config):
    """Another take of a clip; it is paid for."""

    clip: str = Field("", description=CLIP)
    seed: int = Field(0, description="A seed of your own, from 1; 0 derives one.")


@dg.op(
    config_schema=launchpad_fields(Retake),
    description="Asks for another take of a clip, with another seed. It is paid for within the budget.",
)
def ask_for_take(context: dg.OpExecutionContext, runcomfy: RunComfyResource, ledger: LedgerResource) -> None:
    """The upload sensor's next tick starts it."""
    config = Retake(**context.op_config)
    with _operating(runcomfy, ledger) as session:
        due = retake_clip(session, config.clip, config.seed or None, by=_by(context))
    context.log.info(plain(f"Take {due.take} of {due.clip} is due; the next tick of the upload sensor starts it."))


@dg.job(description="`i2v retake` from the launchpad: another take of a clip. Costs money.")
def retake_job() -> None:
    """One op."""
    ask_for_take()


class Choose(dg.Config):
    """Which take a clip shows."""

    clip: str = Field("", description=CLIP)
    take: int = Field(0, description="The take's number, from 1.")


@dg.op(
    config_schema=launchpad_fields(Choose),
    description="Makes a take that is there the clip's video. Free.",
)
def choose_that_take(context: dg.OpExecutionContext, runcomfy: RunComfyResource, ledger: LedgerResource) -> None:
    """The upload sensor's next tick writes it beside the clip."""
    config = Choose(**context.op_config)
    with _operating(runcomfy, ledger) as session:
        choose_take(session, config.clip, config.take)
    context.log.info(plain(f"{config.clip} shows take {config.take} after the next tick of the upload sensor."))


@dg.job(description="`i2v choose` from the launchpad: which take a clip shows. Free.")
def choose_job() -> None:
    """One op."""
    choose_that_take()


@contextmanager
def _operating(runcomfy: RunComfyResource, ledger: LedgerResource) -> Iterator[Session]:
    """Open what an operation works with; its errors end the step with their remedy."""
    with as_dagster_failure(), ledger.open() as (requests, registry):
        yield Session(runcomfy.settings(), requests, registry)


def _by(context: dg.OpExecutionContext) -> str:
    """Return who decides, for the ledger's events: whoever started the run."""
    return f"run {context.run_id}"


JOBS = (
    make_clips_job,
    catalogue_job,
    adopt_orphans_job,
    cancel_job,
    retry_job,
    approve_job,
    retake_job,
    choose_job,
)
