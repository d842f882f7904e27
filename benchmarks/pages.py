"""Dagster's pages of a large bucket in a real browser: the first status of an asset, and the tab of its checks.

One clip is really made, over a real S3 server and a real sandbox. Then Dagster's event log gets so many more that are like it, and
Chromium opens the pages of `clip_video`, each with a web server that has just started and no status that Dagster kept. Two states
are compared, one after the other, three times in turn:

* `before`: each clip has planned events of its own, as before a run planned each asset in one event, and Dagster's own web server
  serves the pages;
* `now`: a run plans each asset in one event, and `i2v_assets.webserver` serves them.

Usage: python -m benchmarks.pages [--clips 25000] [--rounds 3] [--longest 120] [--results FILE]
"""

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from benchmarks.large import NAME, child, services
from i2v_assets.cli.dev.dagster import answers
from resources.devservers.start import ChildProcess, free_port

RESULTS = Path(__file__).parent / "pages.json"

AT_MOST = 0.5
"""Of the time before."""

START_SECONDS = 90
"""The web server and its code server take 8 s to come up on two idle cores."""

MADE_BY_PLANNING = "ASSET_MATERIALIZATION_PLANNED"


def first_status(page: Page, address: str, longest: float) -> None:
    """Wait until the asset's overview shows when it was last made."""
    page.goto(f"{address}/assets/clip_video?view=overview")
    page.get_by_text("Latest check results").wait_for(timeout=longest * 1000)
    page.locator("text=/(minutes?|hours?|seconds?) ago/").first.wait_for(timeout=longest * 1000)


def checks(page: Page, address: str, longest: float) -> None:
    """Wait until the tab of the checks lists them."""
    page.goto(f"{address}/assets/clip_video?view=checks")
    expect(page.get_by_text("answered", exact=True).first).to_be_visible(timeout=longest * 1000)


PAGES: dict[str, Callable[[Page, str, float], None]] = {"first_status": first_status, "checks": checks}

STATES = {"before": "dagster_webserver", "now": "i2v_assets.webserver"}
"""The module that serves."""


def multiply(home: Path, count: int, *, with_planned: bool) -> None:
    """Copy the events and evaluations of the clip that was made, until there are so many clips."""
    (file,) = home.rglob("index.db")
    with closing(sqlite3.connect(file)) as db, db:
        db.row_factory = sqlite3.Row
        of_clip = "from {} where partition = ? order by id"
        events = [
            dict(row)
            for row in db.execute("select * " + of_clip.format("event_logs"), (NAME,))
            if with_planned or row["dagster_event_type"] != MADE_BY_PLANNING
        ]
        evaluations = [dict(row) for row in db.execute("select * " + of_clip.format("asset_check_executions"), (NAME,))]
        (partition,) = (dict(row) for row in db.execute("select * " + of_clip.format("dynamic_partitions"), (NAME,)))
        (newest,) = db.execute("select max(id) from event_logs").fetchone()
        place = {row["id"]: number for number, row in enumerate(events, 1)}
        for number in range(2, count + 1):  # `benchmarks.large` has made the second row of the registry
            name, first = f"{NAME}-{number:05}", newest + number * len(events)
            copies = [("event_logs", row | {"id": first + place[row["id"]]}) for row in events]
            copies += [("asset_check_executions", row | {"id": None} | {
                column: first + place[row[column]] for column in row if column.endswith("_storage_id") and row[column] in place
            }) for row in evaluations]  # fmt: skip
            for table, row in [*copies, ("dynamic_partitions", partition | {"id": None})]:
                named = {
                    column: value.replace(NAME, name) if isinstance(value, str) else value
                    for column, value in row.items()
                }
                db.execute(
                    f"insert into {table} ({', '.join(named)}) values ({', '.join(':' + column for column in named)})",
                    named,
                )


def forget(home: Path) -> None:
    """Take away the status of each asset that Dagster's pages keep."""
    (file,) = home.rglob("index.db")
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("update asset_keys set cached_status_data = null")


@contextmanager
def server(module: str, home: Path) -> Iterator[str]:
    """Serve the pages; yields the address."""
    workspace, port = home / "workspace.yaml", free_port()
    workspace.write_text(
        "load_from: [{python_module: {module_name: i2v_assets.definitions, location_name: i2v_assets}}]\n"
    )
    command = [sys.executable, "-m", module, "-w", str(workspace), "-h", "127.0.0.1", "-p", str(port)]
    with ChildProcess(command, log=home / "web.log") as started:
        started.wait_until(lambda: answers(port), seconds=START_SECONDS, what="the web server")
        yield f"http://127.0.0.1:{port}"


def seconds(home: Path, module: str, show: Callable[[Page, str, float], None], longest: float) -> float:
    """Return the seconds until a page shows what it is about; `longest` if it takes longer."""
    forget(home)
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("chromium is not installed (apt-get install chromium)")
    with server(module, home) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page, began = browser.new_page(viewport={"width": 1280, "height": 900}), time.monotonic()
        try:
            show(page, address, longest)
        except (AssertionError, PlaywrightTimeout) as error:
            print(f"Not shown after {longest:g} s: {str(error).splitlines()[0]}", file=sys.stderr)
        took = time.monotonic() - began
        browser.close()
    return took


def measure(clips: int, rounds: int, longest: float) -> dict[str, dict[str, float]]:
    """Return each page's seconds in both states, the medians of all rounds, and their ratio."""
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="i2v-pages-") as folder:
        homes = {state: Path(folder) / state for state in STATES}
        environments = {}
        for state, home in homes.items():
            home.mkdir()
            with services(home, f"pages-{state}", stack):
                child("make", 2)
                environments[state] = dict(os.environ)
            multiply(home, clips, with_planned=state == "before")
        found: dict[str, dict[str, list[float]]] = {page: {state: [] for state in STATES} for page in PAGES}
        for _ in range(rounds):
            for page, show in PAGES.items():
                for state, module in STATES.items():
                    os.environ |= environments[state]
                    found[page][state].append(seconds(homes[state], module, show, longest))
    medians = {page: {state: statistics.median(some) for state, some in of.items()} for page, of in found.items()}
    return {
        page: {**{state: round(took, 1) for state, took in of.items()}, "ratio": round(of["now"] / of["before"], 2)}
        for page, of in medians.items()
    }


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 if a page takes more than half of the time before."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=int, default=25_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--longest", type=float, default=120.0, help="seconds after which a page is given up")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(words)
    found = {"clips": given.clips, "longest_s": given.longest, **measure(given.clips, given.rounds, given.longest)}
    text = json.dumps(found, indent=2)
    given.results.write_text(text + "\n")
    print(text)
    return int(any(found[page]["ratio"] > AT_MOST for page in PAGES))


if __name__ == "__main__":
    sys.exit(main())
