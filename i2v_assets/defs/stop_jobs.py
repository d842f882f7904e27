"""The jobs that stop things from the launchpad: cancel clips, pause and resume all paid work."""

import dagster as dg
from pydantic import Field

from i2v_assets.defs.launchpad import launchpad_fields
from i2v_assets.defs.operating import CLIP, by_run, operating
from resources.dagster_resources import LedgerResource
from resources.messages import plain
from resources.runcomfy.resource import RunComfyResource


class Cancel(dg.Config):
    """What to cancel: exactly one of these."""

    clip: str = Field("", description=CLIP)
    everything: bool = Field(False, description="All clips that are not made yet.")
    csv_batch: str = Field("", description="The key of a list in the bucket: its clips.")
    folder: str = Field("", description="A folder of uploads: the clips below it.")


@dg.op(
    config_schema=launchpad_fields(Cancel),
    description="Withdraws what was not sent of a clip, and cancels what is queued at the service. Free.",
)
def cancel_a_clip(context: dg.OpExecutionContext, runcomfy: RunComfyResource, ledger: LedgerResource) -> None:
    """Log each step; a generation that has begun runs on and may be charged."""
    from i2v_assets.operations.cancel import cancel_clip, cancel_clips, clips_to_cancel
    from i2v_assets.operations.clips import NotPossible

    config = Cancel(**context.op_config)
    with operating(runcomfy, ledger) as session:
        if sum(map(bool, (config.clip, config.everything, config.csv_batch, config.folder))) > 1:
            raise NotPossible("More than one of the fields is set.", remedy="Set one of them.")
        if config.everything or config.csv_batch or config.folder:
            names = clips_to_cancel(
                session, everything=config.everything, csv_batch=config.csv_batch, folder=config.folder
            )
            cancelled = cancel_clips(session, names, by=by_run(context))
        else:
            cancelled = (cancel_clip(session, config.clip, by=by_run(context)),)
    for each in cancelled:
        for step in each.steps:
            (context.log.info if step.done else context.log.warning)(plain(f"{each.clip}: {step.text}"))


@dg.job(description="`i2v cancel` from the launchpad: withdraw or cancel clips. Free.")
def cancel_job() -> None:
    """One op."""
    cancel_a_clip()


@dg.op(
    description="Lets nothing more be sent that costs money, in every process. What was sent is still fetched. Free."
)
def pause_paid_work(context: dg.OpExecutionContext, runcomfy: RunComfyResource, ledger: LedgerResource) -> None:
    """Log who paused it, and since when."""
    from i2v_assets.operations.pause import pause_work

    with operating(runcomfy, ledger) as session:
        hold = pause_work(session, by=by_run(context))
    context.log.info(plain(f"{hold.text} `resume_job` or `i2v resume` lets it go on."))


@dg.job(description="`i2v pause` from the launchpad: stop all paid work until `resume_job`. Free.")
def pause_job() -> None:
    """One op."""
    pause_paid_work()


@dg.op(description="Lets paid work go on after a pause, within the budget. What waited for it costs money.")
def resume_paid_work(context: dg.OpExecutionContext, runcomfy: RunComfyResource, ledger: LedgerResource) -> None:
    """Log how many clips had waited."""
    from i2v_assets.operations.pause import resume_work

    with operating(runcomfy, ledger) as session:
        resumed = resume_work(session)
    if resumed.hold is None:
        context.log.info("Paid work was not paused.")
    else:
        context.log.info(plain(f"Paid work goes on; clips that waited: {len(resumed.clips)}."))


@dg.job(description="`i2v resume` from the launchpad: let paid work go on. Costs money.")
def resume_job() -> None:
    """One op."""
    resume_paid_work()


STOP_JOBS = (cancel_job, pause_job, resume_job)
