"""Fixtures of the whole suite: real servers, each started once per session (and per xdist worker)."""

import functools
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from botocore.exceptions import ClientError
from dagster._core.storage.defs_state.base import set_defs_state_storage
from hypothesis import HealthCheck, settings

from resources.devservers.start import (
    RunningPostgres,
    RunningS3,
    RunningSandbox,
    environment,
    start_postgres,
    start_s3,
    start_sandbox,
)
from resources.settings import Settings, variable_name
from resources.storage.bucket import Bucket
from resources.storage.client import make_client
from resources.storage.errors import StorageError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SLOW = (
    "browser",
    "crash",
    "deploy/test_fleet.py",
    "deploy/test_pooled_storage.py",
    "end_to_end",
    "i2v_assets/cli/test_local.py",
    "i2v_assets/defs/test_gallery_asset.py",
    "i2v_assets/defs/test_storage_connections.py",
    "i2v_assets/films",
    "resources/generation/test_fleet.py",
    "resources/generation/test_stops.py",
    "resources/generation/test_two_runs.py",
    "resources/ledger/test_races.py",
    "resources/media/test_joining.py",
    "resources/sandbox/test_load.py",
    "resources/sandbox/test_rendering.py",
)
"""Folders and files with browsers, fleets, daemons, real runs or killed processes: marked `slow`. A single test elsewhere that
takes longer than some 3 s carries the mark itself."""

# Hypothesis judges what is computed, not how fast a loaded machine computes it. The suite takes the same examples each time, so
# that a change is judged by itself; `make fuzz`, which sets the number of examples, seeks new ones.
settings.register_profile(
    "suite",
    derandomize="I2V_TEST_FUZZ_EXAMPLES" not in os.environ,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what the daily round leaves out."""
    house = Path(__file__).parent
    slow = [house / place for place in SLOW]
    if missing := [str(place) for place in slow if not place.exists()]:
        raise pytest.UsageError(f"tests/conftest.py marks as slow what is not there: {', '.join(missing)}")
    for item in items:
        if any(item.path.is_relative_to(place) for place in slow):
            item.add_marker("slow")


SAMPLES = Path(__file__).parent.parent / "i2v_assets" / "samples"


@pytest.fixture(autouse=True)
def no_instance_of_an_earlier_test() -> Iterator[None]:
    """Dagster asks the instance that was entered last when it loads definitions; two that overlapped leave a dead one behind."""
    with set_defs_state_storage(None):
        yield


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of sample media; its README says what they are."""
    return SAMPLES


# S3


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningS3]:
    """A real SeaweedFS with data of its own."""
    with start_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3_environment(s3_server: RunningS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunningS3:
    """boto3's variables point at the test's server; the developer's own configuration is out of sight."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-aws-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in environment(s3=s3_server).items():
        monkeypatch.setenv(name, value)
    return s3_server


@functools.cache
def client_of(endpoint: str, access_key: str) -> "S3Client":
    """A real client for each server (a later one may have its port): making one costs more than many tests."""
    return make_client()


@pytest.fixture
def s3_client(s3_environment: RunningS3) -> Iterator["S3Client"]:
    """The client that all tests share; what begins to listen to its calls in a test ends with it."""
    client = client_of(s3_environment.endpoint, s3_environment.access_key)
    events: Any = client.meta.events
    register, listening = events.register, []

    def begin(name: str, handler: Callable[..., object], *more: Any, **named: Any) -> None:
        register(name, handler, *more, **named)
        listening.append((name, handler))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(events, "register", begin)
        yield client
    for name, handler in listening:
        events.unregister(name, handler)


@pytest.fixture
def one_client(s3_client: "S3Client", monkeypatch: pytest.MonkeyPatch) -> None:
    """`Bucket.from_settings` takes the shared client as long as the environment is the one that it was made in."""

    def environment_of_s3() -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}

    before = environment_of_s3()
    monkeypatch.setattr(
        "resources.storage.bucket.make_client",
        lambda: s3_client if environment_of_s3() == before else make_client(),
    )


@pytest.fixture
def bucket(s3_client: "S3Client") -> Iterator[Bucket]:
    """A bucket of the test's own (0.2 s at its first object), removed afterwards."""
    client = s3_client
    fresh = Bucket(f"test-{secrets.token_hex(6)}", client)
    fresh.ensure()
    yield fresh
    # The server goes with the session; a test that stopped it or left an upload open is no error here.
    with suppress(StorageError, ClientError):
        fresh.delete_many([info.key for info in fresh.list()])
        client.delete_bucket(Bucket=fresh.name)


# PostgreSQL


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[RunningPostgres]:
    """A real PostgreSQL, outside pytest's own folder, which root keeps closed to the user that runs the server."""
    folder = Path(tempfile.mkdtemp(prefix="i2v-postgres-"))
    folder.chmod(0o755)
    try:
        with start_postgres(folder, durable=False) as server:
            yield server
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres_server: RunningPostgres) -> Iterator[str]:
    """URL of an empty database of the test's own."""
    name = f"test_{secrets.token_hex(6)}"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)


# The sandbox

OPERATOR = httpx.Client(trust_env=False, verify=False)
"""One client for the operator's calls: httpx' own functions read the certificates at every call."""

FAST = {"generation_seconds": 0.2, "generation_spread": 0, "render": "cached", "scale": 0.5, "seed": 1}
"""Drawing, watching and joining a video costs by its pixels: what is asked for in 720p is drawn in 360. Smaller ones
are not: a shot's last frame is sent as the first of the next, and models take no image below 300 pixels."""


@pytest.fixture
def make_sandbox(tmp_path: Path) -> Iterator[Callable[..., RunningSandbox]]:
    """Start sandboxes with options of the test's choice over fast ones; ``data_dir`` continues an earlier one."""
    with ExitStack() as running:

        def start(data_dir: Path | None = None, **options: object) -> RunningSandbox:
            place = data_dir or tmp_path / f"sandbox-{secrets.token_hex(3)}"
            return running.enter_context(start_sandbox(place, **{**FAST, **options}))

        yield start


@pytest.fixture
def sandbox(make_sandbox: Callable[..., RunningSandbox]) -> RunningSandbox:
    """A sandbox that generates in 0.2 s."""
    return make_sandbox()


@pytest.fixture(scope="session")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """One sandbox for many tests (a start takes 2 s of CPU, a video 1 to 3); each test reads only its own records."""
    with start_sandbox(tmp_path_factory.mktemp("sandbox"), **FAST, balance=1_000_000) as server:
        yield server


@pytest.fixture(scope="session")
def shared_sandbox_of_full_size(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """One that draws the size that is asked for."""
    with start_sandbox(tmp_path_factory.mktemp("sandbox"), **{**FAST, "scale": 1, "balance": 1_000_000}) as server:
        yield server


@pytest.fixture
def fresh_sandbox(request: pytest.FixtureRequest) -> RunningSandbox:
    """The shared sandbox without another test's faults and prices; a test that stops it starts one of its own.

    Its cached videos show whichever image came first: a test that looks at likeness has a sandbox of its own. They are half
    where the test does not carry the mark `full_size`.
    """
    full_size = request.node.get_closest_marker("full_size") is not None
    shared_sandbox: RunningSandbox = request.getfixturevalue(
        "shared_sandbox_of_full_size" if full_size else "shared_sandbox"
    )
    for what in ("faults", "catalogue", "prices"):
        OPERATOR.delete(f"{shared_sandbox.url}/_sandbox/{what}").raise_for_status()
    return shared_sandbox


@pytest.fixture
def service_env(
    bucket: Bucket, sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """This process' environment points at the test's bucket, sandbox and data folder; also returned for children."""
    for field in Settings.model_fields:
        monkeypatch.delenv(variable_name(field), raising=False)
    variables = environment(sandbox=sandbox, bucket=bucket.name, data_dir=tmp_path / "data", settle_seconds=0)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return dict(os.environ)
