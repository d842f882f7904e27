"""Sample a fleet every few seconds: memory and CPU of each role, and the states of the clips."""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil

from benchmarks.night_fleet import Fleet
from resources.ledger.errors import LedgerError

MEBIBYTE = 1024**2
FLEET = ("runs", "code server", "daemon")
"""The workers of a deployment. The other roles are servers that may run elsewhere, and the measurement itself."""
SERVERS = ("postgres", "s3 server", "sandbox")
MEASURING = "measurement"


@dataclass(frozen=True)
class Sample:
    """One sample of the fleet.

    Attributes:
        at: Seconds since the clocks were started.
        uploaded: Clips uploaded.
        accepted: Requests that the sandbox accepted.
        states: Clips by state.
        runs: Run processes alive.
        mb: Proportional set size (shared pages divided by their users) by role, in MiB.
        rss_mb: Resident set size by role, shared pages counted in each process.
        cpu: CPU seconds used so far by role, since the clocks were started.
    """

    at: float
    uploaded: int
    accepted: int
    states: dict[str, int]
    runs: int
    mb: dict[str, float]
    rss_mb: dict[str, float]
    cpu: dict[str, float]

    @property
    def fleet_mb(self) -> float:
        """Memory of all the fleet's own processes."""
        return sum(self.mb[role] for role in FLEET)

    def plain(self) -> dict[str, Any]:
        """Return the sample as plain data for JSON."""
        return {
            name: {key: round(each, 1) for key, each in value.items()} if isinstance(value, dict) else round(value, 1)
            for name, value in asdict(self).items()
        }


@dataclass
class Tree:
    """CPU and memory of a process and its descendants.

    Attributes:
        own: CPU seconds of the process itself.
        children: CPU seconds of its children, including those that ended and were waited for.
        pss: Proportional memory of all, in MiB.
        rss: Resident memory of all, in MiB.
        child_pss: Proportional memory of the children alone.
        child_rss: Resident memory of the children alone.
        count: Number of living children.
    """

    own: float = 0.0
    children: float = 0.0
    pss: float = 0.0
    rss: float = 0.0
    child_pss: float = 0.0
    child_rss: float = 0.0
    count: int = 0


def tree(pid: int) -> Tree:
    """Measure a process tree; a process that has just ended counts as zero."""
    usage = Tree()
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        times = process.cpu_times()
        usage.own = times.user + times.system
        usage.children = times.children_user + times.children_system
        usage.pss, usage.rss = _memory(process)
        for child in process.children():
            below = tree(child.pid)
            usage.children += below.own + below.children
            usage.child_pss += below.pss
            usage.child_rss += below.rss
            with contextlib.suppress(psutil.NoSuchProcess):
                usage.count += any("spawn_main" in word for word in child.cmdline())
        usage.pss += usage.child_pss
        usage.rss += usage.child_rss
    return usage


def _memory(process: psutil.Process) -> tuple[float, float]:
    rss = process.memory_info().rss / MEBIBYTE
    try:
        return process.memory_full_info().pss / MEBIBYTE, rss
    except psutil.AccessDenied:  # the database runs as another user if this process is not root
        return rss, rss


@dataclass
class Counted:
    """Counts that the measurement reads."""

    uploaded: int = 0
    states: dict[str, int] = field(default_factory=dict)
    accepted: int = 0


class Watch:
    """Takes samples and CPU usage in a separate thread.

    Args:
        fleet: The fleet.
        seconds: Seconds between two samples.
        uploaded: Returns how many clips were uploaded.
    """

    def __init__(self, fleet: Fleet, seconds: float, uploaded: Callable[[], int]) -> None:
        self.fleet, self.seconds, self.uploaded = fleet, seconds, uploaded
        self.samples: list[Sample] = []
        self._over = threading.Event()
        self._began = time.monotonic()
        self._before = self._cpu(self._trees())
        self._last = Counted()
        self._thread = threading.Thread(target=self._sample, name="watch", daemon=True)
        self._thread.start()

    def _trees(self) -> dict[str, Tree]:
        fleet = self.fleet
        pids = {
            "code server": fleet.code.pid,
            "daemon": fleet.daemon.pid,
            "postgres": fleet.postgres.pid,
            "s3 server": fleet.s3.pid,
            "sandbox": fleet.sandbox.pid,
        }
        return {role: tree(pid) for role, pid in pids.items()}

    @staticmethod
    def _cpu(trees: dict[str, Tree]) -> dict[str, float]:
        """Return CPU seconds by role. Runs are the code server's children, and the kernel adds ended ones to its account."""
        used = {role: usage.own + usage.children for role, usage in trees.items()}
        code = trees["code server"]
        used |= {"runs": code.children, "code server": code.own}
        times = psutil.Process().cpu_times()  # without its children, which are the fleet
        return used | {MEASURING: times.user + times.system}

    @property
    def elapsed(self) -> float:
        """Seconds since the clocks were started."""
        return time.monotonic() - self._began

    @property
    def busy(self) -> bool:
        """True if a run was alive at the last sample."""
        return not self.samples or self.samples[-1].runs > 0

    def _since(self, now: dict[str, float]) -> dict[str, float]:
        return {role: now[role] - self._before[role] for role in (*FLEET, *SERVERS, MEASURING)}

    def take(self) -> Sample:
        """Take one sample."""
        trees = self._trees()
        code = trees["code server"]
        mb = {role: usage.pss for role, usage in trees.items()}
        rss = {role: usage.rss for role, usage in trees.items()}
        mb |= {"runs": code.child_pss, "code server": code.pss - code.child_pss}
        rss |= {"runs": code.child_rss, "code server": code.rss - code.child_rss}
        mine = psutil.Process(os.getpid())
        mb[MEASURING], rss[MEASURING] = _memory(mine)
        self._count()
        return Sample(
            at=self.elapsed,
            uploaded=self._last.uploaded,
            accepted=self._last.accepted,
            states=dict(self._last.states),
            runs=code.count,
            mb=mb,
            rss_mb=rss,
            cpu=self._since(self._cpu(trees)),
        )

    def _count(self) -> None:
        """Update the counts; a busy server that does not respond leaves the last ones."""
        import httpx

        self._last.uploaded = self.uploaded()
        with contextlib.suppress(LedgerError):
            self._last.states = self.fleet.registry.counts()
        with contextlib.suppress(httpx.HTTPError):
            self._last.accepted = int(self.fleet.ask_sandbox("health")["requests"])

    def _sample(self) -> None:
        while not self._over.wait(self.seconds):
            self.samples.append(self.take())

    def stop(self) -> None:
        """Stop the thread and keep the samples."""
        self._over.set()
        self._thread.join(120)
