"""The jobs that sensors and schedules start, and the small ones that a person starts from the launchpad."""

import asyncio
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from i2v_assets.defs.event_log import dagster_metadata, with_target
from i2v_assets.defs.failures import as_dagster_failure, interrupted
from i2v_assets.defs.launchpad import launchpad_fields
from i2v_assets.defs.operating import CLIP, by_run, operating
from i2v_assets.defs.specs import CLIP_SPECS, CLIP_VIDEO
from i2v_assets.defs.stop_jobs import STOP_JOBS
from resources import logs
from resources.dagster_resources import BucketResource, LedgerResource
from resources.generation.run_sync import run_sync
from resources.ledger.records import RequestRow
from resources.messages import plain
from resources.money import dollars
from resources.registry.rows import ClipState
from resources.runcomfy.resource import RunComfyResource, started_by
from resources.scratch import scratch_folder
from resources.settings import USD

if TYPE_CHECKING:
    from resources.generation.types import Delivered, Outcome
    from resources.ledger.ledger import Ledger
    from resources.registry.registry import Registry
    from resources.storage.bucket import Bucket

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


@dg.op(description="Fetches what was submitted and paid for and that no run waits for. Submits nothing.")
def adopt(
    context: dg.OpExecutionContext, runcomfy: RunComfyResource, bucket: BucketResource, ledger: LedgerResource
) -> None:
    """Adopt orphans to their end, settle late costs, and make their clips due, which then costs nothing."""
    from resources.generation.types import Delivered

    with (
        as_dagster_failure(),
        logs.of_run(context.run.run_id),
        ledger.open() as (requests, registry),
        scratch_folder() as scratch,
    ):
        surprises: list[RequestRow] = []
        outcomes, settled = run_sync(
            lambda: _adopt(runcomfy, bucket.open(), requests, registry, scratch, surprises),
            interrupted=partial(interrupted, context),
        )
        for row in surprises:
            if registry.get(row.clip) is not None:
                context.instance.report_runless_asset_event(with_target(context.instance, price_check(row)))
        delivered = [found for found in outcomes if isinstance(found, Delivered)]
    context.log.info(plain(f"{len(delivered)} of {len(outcomes)} orphans delivered, {settled} costs settled."))


async def _adopt(
    runcomfy: RunComfyResource,
    bucket: "Bucket",
    ledger: "Ledger",
    registry: "Registry",
    scratch: Path,
    surprises: list[RequestRow],
) -> "tuple[list[Outcome], int]":
    from resources.generation.orphans import adopt_orphans, settle_late
    from resources.generation.types import Delivered

    settings = runcomfy.settings()
    outcomes: list[Outcome] = []
    async with (
        runcomfy.engine(ledger, bucket, scratch=scratch, cancels_on_terminate=False) as engine,
        aclosing(adopt_orphans(engine, ledger, settings.service)) as stream,
    ):
        async for outcome in stream:
            outcomes.append(outcome)
            if isinstance(outcome, Delivered):  # at once: another orphan may take until the deadline
                await asyncio.to_thread(_make_due, registry, outcome)
    async with runcomfy.client() as client:
        settled = await settle_late(ledger, client, settings.service, surprises.append)
    surprises[:] = [row for row in surprises if row.price_surprise]
    return outcomes, settled


def price_check(row: RequestRow) -> dg.AssetCheckEvaluation:
    """Return the failed check of a clip whose cost was reported after its delivery and is a surprise."""
    from resources.prices.billed import PRICE, price_details

    metadata = dagster_metadata(price_details(row))
    return dg.AssetCheckEvaluation(
        asset_key=CLIP_VIDEO, check_name=PRICE, passed=False, partition=row.clip, metadata=metadata
    )


def _make_due(registry: "Registry", delivered: "Delivered") -> None:
    """Make the video's clip due, if its answer is still owed; what a run works on is left to it."""
    if delivered.local_path is not None:
        delivered.local_path.unlink(missing_ok=True)
    row = registry.get(delivered.order.clip)
    if row is not None and row.state in (ClipState.WAITING, ClipState.FAILED):
        registry.enqueue([row.clip], seen={row.clip: row})


@dg.job(description="Adopts paid requests whose run died. Free: it fetches, it never submits.")
def adopt_orphans_job() -> None:
    """One op."""
    adopt()


class Retry(dg.Config):
    """Which clip to make again."""

    clip: str = Field("", description=f"{CLIP} It has failed or was cancelled.")


@dg.op(
    config_schema=launchpad_fields(Retry),
    description="Makes a failed or cancelled clip due again. Another attempt is paid for within the budget.",
)
def retry_a_clip(context: dg.OpExecutionContext, runcomfy: RunComfyResource, ledger: LedgerResource) -> None:
    """The upload sensor's next tick starts it."""
    from i2v_assets.operations.retry import retry_clip

    config = Retry(**context.op_config)
    with operating(runcomfy, ledger) as session:
        retry_clip(session, config.clip, by=by_run(context))
    context.log.info(plain(f"{config.clip} is due again; the next tick of the upload sensor starts it."))


@dg.job(description="`i2v retry` from the launchpad: make a failed or cancelled clip again. Costs money.")
def retry_job() -> None:
    """One op."""
    retry_a_clip()


class Approve(dg.Config):
    """Which plan, clips or folders to agree to."""

    plan_hash: str = Field("", description="From `i2v plan`, a clip's WAITING.txt or its `clip_plan` in the UI.")
    clips: list[str] = Field(
        [],
        description=(
            "With a hash the clips that `i2v plan` was given, empty if it was given none. Without a hash clips or folders "
            "such as uploads/shoes/, which need `at_most_usd`."
        ),
    )
    at_most_usd: float = Field(0.0, description="Nothing is approved if it may cost more; 0 for no limit with a hash.")


@dg.op(
    config_schema=launchpad_fields(Approve),
    description="Plans again and agrees to pay, if the plan still has this hash. The approved clips cost money.",
)
def approve_a_plan(context: dg.OpExecutionContext, runcomfy: RunComfyResource, ledger: LedgerResource) -> None:
    """The dispatch sensor's next tick starts what waits for it."""
    from i2v_assets.operations.approve import approve_offer, approve_plan, offer_approval
    from i2v_assets.operations.clips import NotPossible
    from resources.ledger.approvals import ApprovalWay

    config = Approve(**context.op_config)
    limit = round(config.at_most_usd * USD) if config.at_most_usd > 0 else None
    with operating(runcomfy, ledger) as session:
        if (starter := started_by(context.run)) is not None:
            raise NotPossible(
                f"{starter.capitalize()} started this run, and only a person may approve. Nothing was approved.",
                remedy="Launch approve_job from the launchpad, or run: i2v approve",
            )
        by, way = by_run(context), ApprovalWay.LAUNCHPAD
        if config.clips and not config.plan_hash and limit is not None:
            offer = offer_approval(session, config.clips)
            approved = approve_offer(session, offer, by=by, way=way, at_most_microdollars=limit)
        else:
            approved = approve_plan(session, config.plan_hash, config.clips, by=by, way=way, at_most_microdollars=limit)
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
    piece: int = Field(0, description="Of a voice in several pieces: the first one to make anew; 0 makes all anew.")


@dg.op(
    config_schema=launchpad_fields(Retake),
    description="Asks for another take of a clip, with another seed. It is paid for within the budget.",
)
def ask_for_take(context: dg.OpExecutionContext, runcomfy: RunComfyResource, ledger: LedgerResource) -> None:
    """The upload sensor's next tick starts it."""
    from i2v_assets.operations.takes import retake_clip

    config = Retake(**context.op_config)
    with operating(runcomfy, ledger) as session:
        due = retake_clip(
            session, config.clip, config.seed or None, by=by_run(context), from_piece=config.piece or None
        )
    words = f"Take {due.take} of {due.clip} is due; the next tick of the upload sensor starts it. {due.words}"
    context.log.info(plain(words.strip()))


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
    from i2v_assets.operations.takes import choose_take

    config = Choose(**context.op_config)
    with operating(runcomfy, ledger) as session:
        choose_take(session, config.clip, config.take)
    context.log.info(plain(f"{config.clip} shows take {config.take} after the next tick of the upload sensor."))


@dg.job(description="`i2v choose` from the launchpad: which take a clip shows. Free.")
def choose_job() -> None:
    """One op."""
    choose_that_take()


JOBS = (
    make_clips_job,
    catalogue_job,
    adopt_orphans_job,
    *STOP_JOBS,
    retry_job,
    approve_job,
    retake_job,
    choose_job,
)
