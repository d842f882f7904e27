"""How runs end that do not succeed: a failure with its remedy, a stop as one sentence, a dead run by its missing signs of life.

Dagster believes a run alive for hours if its code server died with it.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg

from resources.errors import I2VError
from resources.ledger.errors import LedgerError
from resources.ledger.records import utc_now
from resources.messages import lines, pasteable, plain
from resources.registry.rows import ClipRow, ClipState
from resources.runcomfy.resource import stop_kind

if TYPE_CHECKING:
    from resources.ledger.ledger import Ledger
    from resources.registry.registry import Registry


@contextmanager
def as_dagster_failure() -> Iterator[None]:
    """Raise errors of the project as a failure that says what to do.

    Raises:
        dagster.Failure: in place of the error, which stays its cause; never retried by itself.
    """
    try:
        yield
    except I2VError as error:
        raise dg.Failure(description=lines(pasteable(error.text)), allow_retries=False) from error
    except BaseExceptionGroup as group:  # the clips of a step run side by side
        found = _first(group)
        if found is None:
            raise
        raise dg.Failure(description=lines(pasteable(found.text)), allow_retries=False) from group


def interrupted(context: dg.OpExecutionContext | dg.AssetExecutionContext) -> BaseException:
    """Return Dagster's exception for a run that a signal ended, which says who stopped it; the log says it too."""
    by_person = stop_kind(context.instance, context.run.run_id) == "person"
    who = "stopped by a person" if by_person else "stopped from outside (a deploy, a restart or a time limit)"
    words = f"The run was {who}. What was sent to the service is fetched by itself."
    context.log.warning(plain(words))
    return dg.DagsterExecutionInterruptedError(words)


def _first(group: BaseExceptionGroup[BaseException]) -> I2VError | None:
    """Return an error of the project in the group, if nothing else is in it; an interrupt or a bug is not converted."""
    ours, others = group.split(I2VError)
    if ours is None or others is not None:
        return None
    leaf: BaseException = ours
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    return leaf if isinstance(leaf, I2VError) else None


log = logging.getLogger(__name__)

_STOPPING = dg.DagsterRunStatus.CANCELING
_AT_WORK = (dg.DagsterRunStatus.STARTED, _STOPPING)


def end_dead_runs(
    instance: dg.DagsterInstance, registry: "Registry", ledger: "Ledger", rows: Sequence[ClipRow]
) -> tuple[str, ...]:
    """Report the runs of these clips that gave no sign of life for `DEAD_AFTER` as failed, and return their ids.

    A run of an older version gives none: it counts as dead once no request of its clips is leased.
    """
    from resources.registry.registry import DEAD_AFTER

    working = [row for row in rows if row.state is ClipState.WORKING and row.run_id]
    seen = registry.runs.seen({row.run_id for row in working if row.run_id})
    late = utc_now() - DEAD_AFTER
    silent: dict[str, list[ClipRow]] = {}
    for row in working:
        if row.run_id and seen.get(row.run_id, row.updated_at) < late:
            silent.setdefault(row.run_id, []).append(row)
    leased = ledger.leased_clips() if any(run_id not in seen for run_id in silent) else frozenset()
    ended = []
    for run_id, clips in silent.items():
        if run_id not in seen and any(row.clip in leased for row in clips):
            continue
        run = instance.get_run_by_id(run_id)
        if run is not None and end_run(instance, run):
            ended.append(run_id)
    return tuple(ended)


def end_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Report a run as failed, or as canceled if it was to be; return False if it is not at work."""
    from resources.registry.registry import DEAD_AFTER

    if run.status not in _AT_WORK:
        return False
    words = f"The run gave no sign of life for {DEAD_AFTER.total_seconds() / 60:.0f} minutes: its process was killed."
    if run.status is _STOPPING:
        instance.report_run_canceled(run, words)
    else:
        instance.report_run_failed(run, words)
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return True


def end_silent_runs(instance: dg.DagsterInstance, registry: "Registry", runs: Sequence[dg.DagsterRun]) -> None:
    """End those of these runs that gave signs of life once, and none for `DEAD_AFTER`."""
    from resources.registry.registry import DEAD_AFTER

    seen = registry.runs.seen([run.run_id for run in runs if run.status in _AT_WORK])
    late = utc_now() - DEAD_AFTER
    for run in runs:
        if seen.get(run.run_id, late) < late:
            end_run(instance, run)


@contextmanager
def signs_of_life(registry: "Registry", run_id: str) -> Iterator[None]:
    """Record for the length of the block that a run is alive, from a thread of its own."""
    from resources.registry.registry import BEAT_SECONDS

    over = threading.Event()

    def beat() -> None:
        while True:
            try:
                registry.runs.beat(run_id)
            except LedgerError as error:
                log.warning("The run's sign of life could not be written: %s", error.message)
            if over.wait(BEAT_SECONDS):
                return

    thread = threading.Thread(target=beat, name="i2v-alive", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
