"""Shared parts of the contestants of a measurement: the requests, the clocks, and the output of their figures."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from resources.schemas.families.happyhorse_1_0 import NAME as HAPPYHORSE_I2V
from resources.schemas.inputs import GenerationInputs, Medium

MEBIBYTE = 1024**2


@dataclass
class Figures:
    """The figures that one contestant measured of itself.

    Attributes:
        clips: Number of clips that it made.
        seconds: Time from its start to its last video.
        cpu_seconds: Its CPU seconds since its start.
        mb_idle: Resident memory before the first clip.
        mb_waiting: Resident memory while all clips wait.
        polls: Number of status calls.
        noticed: Unix time at which each request's end was noticed, by request id.
    """

    clips: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    mb_idle: float = 0.0
    mb_waiting: float = 0.0
    polls: int = 0
    noticed: dict[str, float] = field(default_factory=dict)


class Meter:
    """Measures this process and all that it started, from the creation of the meter."""

    def __init__(self) -> None:
        self._began, self._cpu, self._sampling = time.monotonic(), _cpu(), 0.0
        self.figures = Figures(mb_idle=memory())

    def waiting(self) -> None:
        """Sample the memory and keep the peak while everything waits; the sample's own CPU is not counted."""
        began = time.thread_time()
        self.figures.mb_waiting = max(self.figures.mb_waiting, memory())
        self._sampling += time.thread_time() - began

    def end(self, clips: int) -> None:
        """Stop the clocks."""
        self.figures.clips = clips
        self.figures.seconds = time.monotonic() - self._began
        self.figures.cpu_seconds = _cpu() - self._cpu - self._sampling

    @staticmethod
    def whole_process() -> float:
        """Return the CPU seconds of this process and all that it started since its start, including imports."""
        return _cpu()

    def print_figures(self) -> None:
        """Print the figures as one JSON line for the measuring parent."""
        print(json.dumps(asdict(self.figures)), flush=True)


def _cpu() -> float:
    """Return the CPU seconds of this process, of its ended children, and of those that live (the pool's processes)."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    living = 0.0
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            living += sum(child.cpu_times()[:4])  # with what it waited for itself
    return living + sum(each.ru_utime + each.ru_stime for each in used)


def memory() -> float:
    """Return the resident memory of this process and its children (the pool that reads media) in MiB."""
    process = psutil.Process()
    total = float(process.memory_info().rss)
    for child in process.children():
        with suppress(psutil.NoSuchProcess):
            total += child.memory_info().rss
    return total / MEBIBYTE


def read_spec() -> dict[str, Any]:
    """Return the specification at the path in the first argument."""
    return dict(json.loads(Path(sys.argv[1]).read_text()))


def run_processes(module: str, specs: Iterable[Mapping[str, Any]], folder: Path) -> int:
    """Run a contestant's module in a process per specification, all at once, and print the sum of their figures.

    The CPU seconds are those of the whole processes with their imports, the memory is that of all of them.

    Returns:
        1 if one of them failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    meter = Meter()
    children = []
    for number, spec in enumerate(specs):
        path = folder / f"spec-{number}.json"
        path.write_text(json.dumps(spec))
        children.append(subprocess.Popen([sys.executable, "-m", module, str(path)], stdout=subprocess.PIPE, text=True))
    total = meter.figures
    total.mb_idle = 0.0
    for child in children:
        out, _ = child.communicate()
        if child.returncode:
            return 1
        one = Figures(**json.loads(out.splitlines()[-1]))
        total.mb_waiting += one.mb_waiting
        total.polls += one.polls
        total.noticed |= one.noticed
    meter.end(len(children))
    meter.print_figures()
    return 0


def inputs_of(spec: dict[str, Any]) -> list[GenerationInputs]:
    """Return the inputs: those that Dagster's run planned for the same uploads, or one image with different seeds."""
    if spec["inputs"]:
        return [GenerationInputs.model_validate_json(text) for text in spec["inputs"]]
    return [_inputs(spec, seed) for seed in range(1, spec["clips"] + 1)]


def _inputs(spec: dict[str, Any], seed: int) -> GenerationInputs:
    return GenerationInputs(
        family=HAPPYHORSE_I2V,
        prompt="drift slowly to the left",
        images=(Medium.model_validate(spec["medium"]),),
        duration=spec["duration"],
        resolution="720p",
        seed=seed,
        watermark=False,
    )
