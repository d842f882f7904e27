"""Dagster's real webserver over a small code location: behind the guard in one process, and behind the guard as a proxy."""

import http.client
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg
import pytest

from i2v_assets.cli.dev.services import HERE
from resources.devservers.start import ChildProcess, free_port

sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages; this one has a helper of its own
from guard_site import LOCATION, Site

START_SECONDS = 90


@contextmanager
def running(home: Path, settings: str, names: Sequence[str]) -> Iterator[dict[str, Site]]:
    """Start webservers over a new instance and wait until they answer."""
    (home / "dagster.yaml").write_text(settings)
    (home / "location.py").write_text(LOCATION)
    place = {"relative_path": "location.py", "attribute": "defs", "location_name": "small"}
    (home / "workspace.yaml").write_text(json.dumps({"load_from": [{"python_file": place}]}))  # JSON is YAML too
    ports = {name: free_port() for name in ("guarded", "bare", "proxy")}
    workspace = ["-w", str(home / "workspace.yaml"), "-h", "127.0.0.1"]
    commands = {
        "guarded": ["i2v_assets.webserver", *workspace, "-p", str(ports["guarded"])],
        "bare": ["dagster_webserver", *workspace, "-p", str(ports["bare"])],
        "proxy": [
            *("i2v_assets.guard_proxy", "--port", str(ports["proxy"])),
            *("--upstream", f"http://127.0.0.1:{ports['bare']}"),
        ],
    }
    environment = {
        "PATH": "/usr/bin:/bin", "HOME": str(home), "DAGSTER_HOME": str(home), "I2V_UI_HOSTS": "ui.example.com",
        "PYTHONPATH": str(Path(__file__).parents[3]), "DAGSTER_DISABLE_TELEMETRY": "1",
    }  # fmt: skip
    with ExitStack() as stack:
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(home)))
        instance.get_runs_count()  # the databases are made once, before three processes want to
        found = {name: Site(ports[name], instance) for name in names}
        children = {
            name: stack.enter_context(
                ChildProcess([sys.executable, "-m", *commands[name]], log=home / f"{name}.log", environment=environment)
            )
            for name in names
        }
        for name, child in children.items():
            child.wait_until(lambda site=found[name]: _up(site), seconds=START_SECONDS, what=name)  # type: ignore[misc]
        yield found


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Site]]:
    """``guarded``: guard and app in one process; ``bare``: Dagster's own; ``proxy``: the guard before ``bare``.

    Runs are queued and never started, since no daemon runs.
    """
    settings = (HERE / "dagster_local.yaml").read_text()
    with running(tmp_path_factory.mktemp("dagster"), settings, ("guarded", "bare", "proxy")) as found:
        yield found


@pytest.fixture(scope="module")
def live_sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Site]]:
    """The same, but a run starts at once."""
    settings = (
        "telemetry: {enabled: false}\nnux: {enabled: false}\n"
        "run_coordinator: {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}\n"
    )
    with running(tmp_path_factory.mktemp("live"), settings, ("guarded", "bare", "proxy")) as found:
        yield found


def _up(site: Site) -> bool:
    try:
        return site.call("GET", "/server_info").status == 200
    except (OSError, http.client.HTTPException):
        return False


@pytest.fixture(params=["guarded", "proxy"])
def site(request: pytest.FixtureRequest, sites: dict[str, Site]) -> Site:
    return sites[request.param]
