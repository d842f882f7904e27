"""Nobody who may start a run chooses where it sends the token, what it reads or where it writes."""

import io
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from PIL import Image

from i2v_assets.definitions import defs
from resources.errors import I2VError
from resources.runcomfy.resource import RunComfyResource

HOSTS = (
    "api_base",
    "balance_base",
    "web_base",
    "base_url",
    "endpoint_url",
    "endpoint",
    "url",
    "host",
    "base",
    "ledger_url",
)
PLACES = ("base_dir", "data_dir", "path", "folder", "file", "config_dir", "token_file")
NAMES = ("token", "api_key", "bucket", "name", "prefix", "profile", "aws_access_key_id")
RESOURCES = ("runcomfy", "bucket", "ledger", "io_manager")


class Listener:
    """A server on this machine, which the sandbox's rules would accept as an address; keeps what is sent to it."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.heard: list[bytes] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.heard.append(connection.recv(65_536))

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    server = Listener()
    yield server
    server.close()


def attempt(stage: Any, job: str, resource: str, config: Any) -> bool:
    """Whether Dagster starts the job with this configuration of a resource."""
    try:
        defs.resolve_job_def(job).execute_in_process(
            instance=stage.instance,
            run_config={"resources": {resource: {"config": config}}},
            raise_on_error=False,
            partition_key="hero" if job == "make_clips_job" else None,
        )
    except dg.DagsterInvalidConfigError:
        return False
    return True


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), (7, 77, 7)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("resource", ["runcomfy", "bucket", "ledger"])
@pytest.mark.parametrize("job", ["catalogue_job", "make_clips_job", "adopt_orphans_job"])
def test_an_override_of_a_resource_starts_nothing_and_sends_nothing(
    stage, listener: Listener, job: str, resource: str
) -> None:
    stage.upload("hero.png", picture())
    stage.tick()
    for name in (*HOSTS, *PLACES, *NAMES):
        for value in (listener.url, f"{listener.url}/v1", {"env": "RUNCOMFY_TOKEN"}):
            assert not attempt(stage, job, resource, {name: value}), f"{resource}.{name} = {value}"
    everything: dict[str, Any] = dict.fromkeys((*HOSTS, *PLACES, *NAMES), listener.url)
    assert not attempt(stage, job, resource, everything)
    assert listener.heard == []
    assert stage.charges() == []


def test_no_job_has_a_resource_with_a_field(stage) -> None:
    """Of any job and any resource, those that Dagster adds by itself too."""
    for job in defs.get_repository_def().get_all_jobs():
        resources = job.run_config_schema.config_type.fields["resources"].config_type.fields
        assert set(RESOURCES) <= set(resources)
        for name, entry in resources.items():
            config = entry.config_type.fields["config"].config_type
            assert not getattr(config, "fields", None), f"{job.name}: {name} has {list(config.fields)}"


def test_a_run_writes_no_values_where_its_config_says(stage, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    for job in ("catalogue_job", "spend_job", "gallery_job"):
        attempt(stage, job, "io_manager", {"base_dir": str(elsewhere)})
    assert not elsewhere.exists()


@pytest.mark.parametrize("variable", ["RUNCOMFY_MODEL_API_BASE", "RUNCOMFY_SERVERLESS_API_BASE", "RUNCOMFY_WEB_BASE"])
@pytest.mark.parametrize("host", ["127.0.0.2:{port}", "127.0.0.1:80@127.0.0.2:{port}", "localhost@127.0.0.2:{port}"])
def test_an_address_of_the_environment_that_is_not_the_services_gets_nothing(stage, variable: str, host: str) -> None:
    with socket.create_server(("127.0.0.2", 0)) as server:
        server.setblocking(False)
        stage.set_variable(variable, f"http://{host.format(port=server.getsockname()[1])}/v1")
        with dg.build_resources({"runcomfy": RunComfyResource()}) as built:
            for ask in (built.runcomfy.check_auth, built.runcomfy.balance, built.runcomfy.client):
                with suppress(I2VError):
                    ask()
        with pytest.raises(BlockingIOError):
            server.accept()


def fields_of(kind: Any) -> Iterator[str]:
    """Of a config type all keys of the types within it."""
    yield kind.key or ""
    for entry in (getattr(kind, "fields", None) or {}).values():
        yield from fields_of(entry.config_type)
    if (inner := getattr(kind, "inner_type", None)) is not None:
        yield from fields_of(inner)


def test_no_field_of_any_job_reads_the_environment(stage) -> None:
    """Dagster's own fields of an op's config take ``{"env": NAME}``, and an error would then tell the value."""
    for job in defs.get_repository_def().get_all_jobs():
        found = set(fields_of(job.run_config_schema.config_type.fields["ops"].config_type))
        assert not [name for name in found if "Source" in name], job.name


@pytest.mark.parametrize(
    ("job", "config"),
    [
        ("retake_job", {"clip": {"env": "RUNCOMFY_TOKEN"}}),
        ("retake_job", {"clip": "hero", "seed": {"env": "RUNCOMFY_TOKEN"}}),
        ("choose_job", {"clip": {"env": "RUNCOMFY_TOKEN"}, "take": 1}),
        ("choose_job", {"clip": "hero", "take": {"env": "RUNCOMFY_TOKEN"}}),
    ],
)
def test_a_run_tells_no_secret_of_the_environment(stage, job: str, config: dict[str, Any]) -> None:
    stage.set_variable("RUNCOMFY_TOKEN", "a-token-of-somebody")
    (op,) = [node.name for node in defs.resolve_job_def(job).nodes]
    with pytest.raises(dg.DagsterInvalidConfigError) as refused:
        defs.resolve_job_def(job).execute_in_process(
            instance=stage.instance, run_config={"ops": {op: {"config": config}}}, raise_on_error=False
        )
    assert "a-token-of-somebody" not in str(refused.value)
    assert stage.instance.get_runs() == []
