"""Looks at a fleet every few seconds: memory and CPU of each role, and how far the clips are."""

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
"""What a deployment calls its workers; the rest are servers that somebody else may run, and the measurement itself."""
SERVERS = ("postgres", "s3 server", "sandbox")
MEASURING = "measurement"


@dataclass(frozen=True)
class Sample:
    """One look.

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
        """All of the fleet's own processes."""
        return sum(self.mb[role] for role in FLEET)

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            name: {key: round(each, 1) for key, each in value.items()} if isinstance(value, dict) else round(value, 1)
            for name, value in asdict(self).items()
        }


@dataclass
class Tree:
    """CPU and memory of a process and all that it started.

    Attributes:
        own: CPU seconds of the process itself.
        children: CPU seconds of its children, those that have ended and were waited for included.
        pss: Proportional memory of all, in MiB.
        rss: Resident memory of all, in MiB.
        child_pss: That of the children alone.
        child_rss: That of the children alone.
        count: Children alive.
    """

    own: float = 0.0
    children: float = 0.0
    pss: float = 0.0
    rss: float = 0.0
    child_pss: float = 0.0
    child_rss: float = 0.0
    count: int = 0


def tree(pid: int) -> Tree:
    """Measure one; a process that has just ended counts as nothing."""
    found = Tree()
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        times = process.cpu_times()
        found.own = times.user + times.system
        found.children = times.children_user + times.children_system
        found.pss, found.rss = _memory(process)
        for child in process.children():
            below = tree(child.pid)
            found.children += below.own + below.children
            found.child_pss += below.pss
            found.child_rss += below.rss
            with contextlib.suppress(psutil.NoSuchProcess):
                found.count += any("spawn_main" in word for word in child.cmdline())
        found.pss += found.child_pss
        found.rss += found.child_rss
    return found


def _memory(process: psutil.Process) -> tuple[float, float]:
    rss = process.memory_info().rss / MEBIBYTE
    try:
        return process.memory_full_info().pss / MEBIBYTE, rss
    except psutil.AccessDenied:  # another user's process, where this one is not root: the database
        return rss, rss


@dataclass
class Counted:
    """What the measurement itself knows."""

    uploaded: int = 0
    states: dict[str, int] = field(default_factory=dict)
    accepted: int = 0


class Watch:
    """A thread that takes samples, and the CPU account.

    Args:
        fleet: what is looked at.
        seconds: between two looks.
        uploaded: tells how many clips were uploaded.
    """

    def __init__(self, fleet: Fleet, seconds: float, uploaded: Callable[[], int]) -> None:
        self.fleet, self.seconds, self.uploaded = fleet, seconds, uploaded
        self.samples: list[Sample] = []
        self._over = threading.Event()
        self._began = time.monotonic()
        self._before = self._cpu(self._trees())
        self._last = Counted()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
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
        """Runs are the code server's children; the kernel adds those that ended to its account of them."""
        used = {role: found.own + found.children for role, found in trees.items()}
        code = trees["code server"]
        used |= {"runs": code.children, "code server": code.own}
        times = psutil.Process().cpu_times()  # without the children: they are the fleet
        return used | {MEASURING: times.user + times.system}

    @property
    def elapsed(self) -> float:
        """Seconds since the clocks were started."""
        return time.monotonic() - self._began

    @property
    def busy(self) -> bool:
        """A run was alive at the last look."""
        return not self.samples or self.samples[-1].runs > 0

    def _since(self, now: dict[str, float]) -> dict[str, float]:
        return {role: now[role] - self._before[role] for role in (*FLEET, *SERVERS, MEASURING)}

    def take(self) -> Sample:
        """One look."""
        trees = self._trees()
        code = trees["code server"]
        mb = {role: found.pss for role, found in trees.items()}
        rss = {role: found.rss for role, found in trees.items()}
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
        """How far the clips are; a server that does not answer in a busy moment leaves the last figures."""
        import httpx

        self._last.uploaded = self.uploaded()
        with contextlib.suppress(LedgerError):
            self._last.states = self.fleet.registry.counts()
        with contextlib.suppress(httpx.HTTPError):
            self._last.accepted = int(self.fleet.ask_sandbox("health")["requests"])

    def _look(self) -> None:
        while not self._over.wait(self.seconds):
            self.samples.append(self.take())

    def stop(self) -> None:
        """End the thread; the samples stay."""
        self._over.set()
        self._thread.join(120)
