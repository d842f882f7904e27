"""The report and its pictures, written anew from the figures: no figure in it is typed by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.night_charts import draw
from benchmarks.night_verdict import FLAT_LIMIT, GROWTH_LIMIT, cost_ratio, judge
from benchmarks.night_watch import FLEET, MEASURING, SERVERS

Figures = Mapping[str, Any]
TITLES = {
    "fleet": "the fleet (runs, code server, daemon)",
    "runs": "run processes",
    "code server": "code server (sensors are evaluated in it)",
    "daemon": "daemon",
    "postgres": "Postgres",
    "s3 server": "S3 server",
    "sandbox": "sandbox (plays the service)",
    "all": "all of these",
    MEASURING: "the measurement itself",
}


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(str(cell) for cell in row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def number(value: float | None, places: int = 0) -> str:
    """A number for people."""
    return "" if value is None else f"{value:,.{places}f}"


def spread_cells(spread: Figures) -> list[str]:
    """Median, 95th percentile, largest."""
    return [number(spread.get(name), 1) for name in ("median", "p95", "max")]


def verdict(figures: Figures) -> str:
    """One sentence, or what is wrong."""
    wrong = judge(figures)
    if wrong:
        return "**Not as it should be:**\n\n" + "\n".join(f"* {each}" for each in wrong)
    if not figures.get("complete"):
        return "**Not complete: some of it was not measured.**"
    night = figures.get("night")
    unjudged = [] if night and "ratio" in night["memory"]["fleet"] else ["memory over time"]
    unjudged += [] if cost_ratio(figures.get("growth", ())) is not None else ["the growth of cost"]
    rest = f" Too little was measured to judge {' and '.join(unjudged)}." if unjudged else ""
    return f"**Nothing was paid twice, nothing was lost, no limit was passed.**{rest}"


def night_text(night: Figures) -> str:
    """What became of the clips, and of the money."""
    resolved = sum(night["resolved"].values())
    pace = night["clips_per_hour"]
    faults = table(["fault", "calls", "% of the requests"], [[*each.values()] for each in night["faults"]])
    reasons = table(
        ["state", "reason", "clips"],
        [[each["state"], each["reason"].replace("|", "/"), each["clips"]] for each in night["reasons"][:12]],
    )
    return f"""## The night

{number(night["clips"])} pictures, each different, uploaded at {
        night["uploads_per_second"]:g} a second, one in a hundred of them not a picture; clips of 3 s at 720p;
generations of {night["generation_s"]:g} s (median), {night["runs_at_once"]} runs at once, the upload sensor every {
        night["sensor_s"]
    } s. The runs got {number(night["runs"].get("clips_each"))} clips each on
average ({night["runs"]["count"]} runs, second tries included).

{
        table(
            ["delivered", "refused", "failed", "waiting", "without an answer", "paid twice"],
            [
                [
                    number(night["delivered"]),
                    night["refused"],
                    night["failed"],
                    night["waiting"],
                    len(night["missing"]),
                    len(night["paid_twice"]),
                ]
            ],
        )
    }

Everything was done after {night["seconds"] / 60:.0f} minutes: **{
        number(pace.get("all"))
    } clips an hour** up to the last delivery, {
        number(pace.get("first_nine_tenths"))
    } until nine tenths were delivered (then come
second tries, and waits of five minutes before a failed download is tried again). At most {
        night["most_at_once"]
    } requests were at the service at once.

![Progress](images/night-progress.svg)

Why clips were not delivered:

{reasons if night["reasons"] else "All were."}

### Money

The sandbox accepted {number(night["charges"])} requests for {
        number(night["dollars_charged"], 2)
    } dollars, and the ledger counts {
        number(night["dollars_in_ledger"], 2)
    }. No input may be charged again unless the service itself said that
its request had failed; that happened {night["charged_again_after_failure"]} times. The outcome of {
        resolved
    } submits was unknown. At the end they were resolved with the
ledger's own `resolve` from the sandbox's records: {
        night["resolved"].get("charged", 0)
    } had been accepted and were fetched, {
        night["resolved"].get("not charged", 0)
    } had not and were sent again. Failed clips were tried
again by the job of the nightly retry schedule, started {night["retry_runs"]} times here (`I2V_RETRIES_PER_CLIP=2`).

### Faults

Each kind should hit about 2 % of the clips, at random, all night: 2 % of the submits, fetches of inputs and downloads, and a fifth of
that of the polls, of which a clip has about five. {
        number(sum(each["met"] for each in night["faults"]))
    } calls were hit.

<details><summary>{len(night["faults"])} kinds</summary>

{faults}

</details>

Left out: faults of the account (they hold every clip until a person acts), `stuck` and `stuck_in_queue` (they hold a run until its
deadline of half an hour), a submit that times out (two minutes; for the ledger it is the same as `disconnect_after`), hostile URLs,
and defects of the video, which [the quality checks](quality.md) find.
"""


def cpu_text(night: Figures) -> str:
    """CPU by process."""
    rows = [
        [TITLES[role], number(night["cpu_s"][role]), number(night["cpu_per_clip"][role], 3)]
        for role in ("fleet", *FLEET, *SERVERS, "all", MEASURING)
    ]
    return f"""## CPU

{table(["", "CPU seconds", "seconds a clip"], rows)}

From the moment when the fleet was up to the end of its last run. The start of the code server and the daemon does not count; the
start of the runs does.
"""


def memory_text(night: Figures) -> str:
    """Memory over time."""
    rows = []
    for role in ("fleet", *FLEET, *SERVERS):
        found = night["memory"][role]
        rows.append(
            [
                TITLES[role], number(found["max_mb"]), number(found.get("second_quarter_mb")),
                number(found.get("last_quarter_mb")), number(found.get("ratio"), 2), number(found.get("slope_mb_per_hour")),
            ]
        )  # fmt: skip
    return f"""## Memory

![Memory](images/night-memory.svg)

{table(["MiB", "largest", "second quarter", "last quarter", "ratio", "slope, MiB an hour"], rows)}

Proportional set size (pages that processes share are divided among them), sampled every few seconds. The quarters and the
slope are those of the {night["memory"]["fleet"]["loaded_samples"]} samples in which all {night["runs_at_once"]} runs were busy; the first quarter is left out, because processes still grow
then. For the fleet, the last quarter may be at most {FLAT_LIMIT} times the second (Postgres fills its buffers, and the sandbox keeps everything). A run process takes up to {number(night["one_run_mb"])} MiB.
"""


def rest_text(night: Figures) -> str:
    """Database, sensor, launches."""
    base, runs = night["database"], night["runs"]
    groups = ", ".join(f"{name} {number(size, 1)}" for name, size in base["groups_mb_per_1000_clips"].items())
    tables = table(
        ["table", "MB per 1,000 clips"],
        [[f"`{name}`", number(size, 1)] for name, size in base["tables_mb_per_1000_clips"].items()],
    )
    waits = table(
        ["seconds", "median", "95 %", "largest"],
        [
            ["from the end of an upload to its entry in the registry", *spread_cells(night["sensor_lag_s"])],
            ["from a run's creation to its start", *spread_cells(runs["creation_to_start_s"])],
            ["of these waiting in the queue", *spread_cells(runs["in_the_queue_s"])],
            ["of these launching", *spread_cells(runs["launch_s"])],
        ],
    )
    return f"""## Database

**{number(base["mb_per_1000_clips"], 1)} MB per 1,000 clips** with indexes ({groups}). {number(base["connections_per_clip"], 1)} connections a clip were made
to it in all.

{tables}

## Waiting for the sensor and for a run

{waits}

`I2V_SETTLE_SECONDS` is 0 here (the uploads are whole files); its 30 s come on top of the first line in a deployment.
"""


def growth_text(growth: Sequence[Figures]) -> str:
    """What a clip costs as the nights grow."""
    if not growth:
        return ""
    ratio, with_servers = cost_ratio(growth), cost_ratio(growth, "all")
    rows = [
        [
            number(each["clips"]), number(each["delivered"]), *(number(each["cpu_per_clip"][role], 3) for role in ("fleet", *FLEET, "postgres")),
            number(each["clips_per_hour"].get("all")), number(each["memory"]["fleet"]["max_mb"]), number(each["database"]["mb_per_1000_clips"], 1),
            number(each["sensor_lag_s"].get("p95"), 1),
        ]
        for each in growth
    ]  # fmt: skip
    head = ["clips", "delivered", "fleet, CPU s a clip", *FLEET, "Postgres", "clips an hour", "fleet's largest MiB",
            "MB per 1,000 clips", "sensor lag, 95 %"]  # fmt: skip
    told = (
        f"CPU per clip of the largest is **{ratio} times** that of the smallest (at most {GROWTH_LIMIT}); with the servers {with_servers} times."
        if ratio is not None
        else "One size alone shows no growth."
    )
    return f"""## How cost grows

The same without faults, each with its own fleet and database.

{table(head, rows)}

{told}

![Growth](images/night-growth.svg)
"""


def report(figures: Figures) -> str:
    """The whole page."""
    machine = figures["machine"]
    night = figures.get("night")
    parts = [
        f"""# A night in small

    make night                      # all of it, about an hour on a quiet machine of two cores
    make night ARGS=--quick         # a trial of some minutes, without a verdict on the limits

Written by `make night` on {figures["at"]}; every figure comes from that run (`.i2v/night/night.json` keeps them). The machine: {machine["cores"]} cores, {machine["memory_gb"]} GB,
{machine["system"]}, Python {machine["python"]}; everything ran on it: the fleet in its own processes from `deploy/dagster.yaml` (code server, daemon, runs),
Postgres, an S3 server, the sandbox, and the measurement.

{verdict(figures)}
"""
    ]
    if night:
        parts += [night_text(night), cpu_text(night), memory_text(night), rest_text(night)]
    parts.append(growth_text(figures.get("growth", ())))
    parts.append(
        """## What it does not show

* The paid service: its times, queue and limits differ from those of the sandbox, and its real faults come in clusters.
* Quality checks and previews (`I2V_MEASURE`, `I2V_PREVIEWS`) are off: they cost more CPU than all of the above (docs/quality.md).
* Large pictures: these have 600 x 400 pixels.
* Machines that die in the night: `make crash` and `tests/deploy` kill them one by one.
"""
    )
    return "\n".join(part for part in parts if part)


def write_report(figures: Figures, path: Path, images: Path) -> None:
    """The page and its pictures."""
    draw(figures, images)
    path.write_text(report(figures))
