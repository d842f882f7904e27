"""Dagster's default launcher, which also notices when a run's process is gone.

The default launcher starts runs as processes of the code server. When that server is killed (a deploy, an eviction, no
memory left) its runs die with it and stay STARTED until their time limit, two hours later. Asking the server that
answers now whether it runs them finds out within one look of the run monitoring.
"""

from dagster import DagsterRun, DefaultRunLauncher

from i2v_assets.defs.dagster_internals import GRPC_INFO_TAG, CheckRunHealthResult, WorkerStatus, current_runs


class WatchedRunLauncher(DefaultRunLauncher):
    """Set as `run_launcher` in dagster.yaml."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """It does."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """What the code server says of the run; one that does not answer proves nothing, since it may be starting."""
        where = run.tags.get(GRPC_INFO_TAG)
        if where is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "It is not known where it runs.")
        runs = current_runs(where)
        if runs is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "The code server does not answer.")
        if run.run_id in runs:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "The code server was started anew and does not run it.")
