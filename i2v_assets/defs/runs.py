"""Runs that ended without an answer for a clip: which run that was, and what Dagster knows of its end."""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol, TypeAlias

import dagster as dg

from i2v_assets.defs.dagster_internals import RETRY_NUMBER_TAG
from i2v_assets.defs.partitions import BATCH_TAG
from resources.redact import redact
from resources.registry.rows import ClipRow

if TYPE_CHECKING:
    from i2v_assets.pipeline.dispatch_policy import RunState

ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE)
ROOT_RUN_TAG = "dagster/root_run_id"
"""Dagster's own tag of a run's tries but the first."""

RUNS_AT_ONCE = 100
"""Runs asked for in one query; a night has fifty, of 100 clips each."""

MOST_WORDS = 600
"""Characters of an error that a note quotes; the run's page has all of it."""

_Tries: TypeAlias = tuple[str, str]

_CLASS = re.compile(r"^[A-Za-z_][\w.]*: ")
"""The name of its class, with which an error's message begins: `resources.storage.errors.StorageError: `."""

_TELLING = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.ENGINE_EVENT, dg.DagsterEventType.RUN_FAILURE}


class ErrorInfo(Protocol):
    """An error as Dagster keeps it in an event or a tick."""

    @property
    def message(self) -> str: ...  # noqa: D102
    @property
    def cls_name(self) -> str | None: ...  # noqa: D102
    @property
    def cause(self) -> "ErrorInfo | None": ...  # noqa: D102


class LatestRuns:
    """Of some clips the run that each is in, or the latest of its automatic retries; fetched for all of them at once.

    A person's run has no batch, and the row may still name that of an earlier one: so the run is asked, where it began.
    """

    def __init__(self, instance: dg.DagsterInstance, rows: Iterable[ClipRow]) -> None:
        rows = list(rows)
        ids = dict.fromkeys(row.run_id for row in rows if row.run_id)
        self._begun = {
            run.run_id: run for part in _pieces(ids) for run in instance.get_runs(dg.RunsFilter(run_ids=part))
        }
        # By what the tries of one run are found: its batch, or where it has none, the first of them.
        tries: dict[_Tries, list[dg.DagsterRun]] = {key: [] for row in rows if (key := self._tries_of(row)) is not None}
        for tag in (BATCH_TAG, ROOT_RUN_TAG):
            for part in _pieces(value for name, value in tries if name == tag):
                for run in instance.get_runs(dg.RunsFilter(tags={tag: part})):
                    tries[tag, run.tags[tag]].append(run)
        self._latest: dict[_Tries, dg.DagsterRun] = {
            key: max(found, key=lambda run: int(run.tags.get(RETRY_NUMBER_TAG, "0")))
            for key, runs in tries.items()
            if (found := [*self._first(key), *runs])
        }

    def of(self, row: ClipRow) -> dg.DagsterRun | None:
        """The run of one of the clips."""
        key = self._tries_of(row)
        return self._latest.get(key) if key is not None else None

    def state(self, row: ClipRow) -> "RunState":
        """What became of it."""
        from i2v_assets.pipeline.dispatch_policy import RunState

        latest = self.of(row)
        if latest is None:
            return RunState.GONE
        if latest.status is dg.DagsterRunStatus.CANCELED:
            return RunState.CANCELED
        return RunState.ENDED if latest.status in ENDED else RunState.ALIVE

    def _tries_of(self, row: ClipRow) -> _Tries | None:
        begun = self._begun.get(row.run_id) if row.run_id else None
        batch = begun.tags.get(BATCH_TAG) if begun else row.batch
        if batch is not None:
            return BATCH_TAG, batch
        return (ROOT_RUN_TAG, begun.root_run_id or begun.run_id) if begun else None

    def _first(self, key: _Tries) -> list[dg.DagsterRun]:
        """The runs of a person among those that began: the first of its tries has no tag that names it."""
        if key[0] != ROOT_RUN_TAG:
            return []
        return [run for run in self._begun.values() if (run.root_run_id or run.run_id) == key[1]]


def _pieces(values: Iterable[str]) -> Iterator[list[str]]:
    everything = list(values)
    for start in range(0, len(everything), RUNS_AT_ONCE):
        yield everything[start : start + RUNS_AT_ONCE]


def why_ended(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """The run's own words on its failure, without secrets; empty where it left none (a killed process leaves none)."""
    records = instance.get_records_for_run(run.run_id, of_type=_TELLING).records
    found = [event for record in records if (event := record.event_log_entry.dagster_event) is not None]
    for kind in (dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.ENGINE_EVENT):
        for event in reversed(found):
            if event.event_type is kind and (words := _words(event)):
                return redact(" ".join(words.split()))[:MOST_WORDS]
    return ""


def words_of(error: "ErrorInfo | None") -> str:
    """What an error says to people, without secrets: what a step or a tick told for them, else the error behind all others."""
    at = error
    while at is not None and at.cls_name != dg.Failure.__name__:
        at = at.cause
    words = at.message if at is not None else _innermost(error)
    return redact(" ".join(_CLASS.sub("", words).split()))[:MOST_WORDS]


def _words(event: dg.DagsterEvent) -> str:
    if event.event_type is dg.DagsterEventType.STEP_FAILURE:
        data = event.step_failure_data
        if data.user_failure_data is not None and data.user_failure_data.description:
            return data.user_failure_data.description  # told for people by the step itself
        return _innermost(data.error)
    return _innermost(event.engine_event_data.error)


def _innermost(error: "ErrorInfo | None") -> str:
    """The message of the error behind the others: the outer ones are Dagster's own, about the step that failed."""
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message if error is not None else ""
