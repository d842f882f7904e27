"""Dagster's default run launcher, plus detection of runs whose process died.

The default launcher starts runs as processes of the code server. If that server is killed (a deploy, an eviction, out of
memory), its runs die too but stay STARTED until their time limit two hours later. This launcher asks the current code server
whether it runs them, so the next pass of the run monitoring detects them.
"""

from dagster import DagsterRun, DefaultRunLauncher

from i2v_assets.defs.dagster_internals import GRPC_INFO_TAG, CheckRunHealthResult, WorkerStatus, current_runs


class WatchedRunLauncher(DefaultRunLauncher):
    """Launcher for `run_launcher` in dagster.yaml."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True, unless this release of Dagster lacks what it takes; then dead runs end at their time limit."""
        return CheckRunHealthResult is not None and WorkerStatus is not None

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return the health of a run from its code server; an unreachable server may be starting and proves nothing."""
        where = run.tags.get(GRPC_INFO_TAG)
        if where is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "The run's code server is unknown.")
        runs = current_runs(where)
        if runs is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "The code server does not respond.")
        if run.run_id in runs:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "The code server was restarted and no longer runs it.")
