"""What Dagster's official chart makes of deploy/helm/values.yaml, through the schemas of those who read it.

No validator for the chart's values runs without a network, and there is no Helm here. So the part of its templates that
matters to us is written down below in Python, from helm/dagster of dagster-io/dagster (1.13):

* templates/configmap-instance.yaml, templates/helpers/instance/*.tpl: `instance`
* templates/helpers/_helpers.tpl, _service-webserver.tpl, charts/dagster-user-deployments: `names`
* templates/helpers/_deployment-webserver.tpl, templates/deployment-daemon.yaml, the subchart's deployment-user.yaml: `pods`
* the subchart's templates/helpers/_helpers.tpl, k8sContainerContext: `container_context`
"""

from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kubernetes.client
import kubernetes_validate
import pytest
import yaml
from dagster import DagsterRun
from dagster._config import process_config, resolve_to_config_type
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.errors import DagsterInvalidConfigError
from dagster._core.instance.config import dagster_instance_config
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster_k8s import K8sRunLauncher, launcher
from dagster_k8s.job import construct_dagster_k8s_job
from dagster_postgres.utils import pg_config, pg_url_from_config

from resources.settings import Settings, load_settings, variable_name

DEPLOY = Path(__file__).parents[2] / "deploy"
EXTRA = DEPLOY / "helm" / "extra"
DOCS = (DEPLOY.parent / "docs" / "deploy.md").read_text()
RELEASE = NAMESPACE = "i2v"
"""As docs/deploy.md calls them."""

CHART_DEFAULTS = {
    # helm/dagster/values.yaml, as far as something below reads it.
    "concurrency": {"enabled": False, "pools": {}, "runs": {"tagConcurrencyLimits": []}},
    "dagsterDaemon": {"livenessProbe": {}, "readinessProbe": {}, "startupProbe": {"enabled": False}},
    "dagsterWebserver": {
        "nameOverride": "dagster-webserver",
        "service": {"type": "ClusterIP", "port": 80},
        "readinessProbe": {"httpGet": {"path": "/server_info", "port": 80}},
        "livenessProbe": {},
        "startupProbe": {"enabled": False},
    },
}


def laid_over(base: Any, values: Any) -> Any:
    """Return values merged over defaults like Helm: maps are merged, everything else is replaced."""
    if not isinstance(base, dict) or not isinstance(values, dict):
        return values
    return {**base, **{key: laid_over(base.get(key), value) for key, value in values.items()}}


def filled(given: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Return the chart's names as Dagster's, without empty ones."""
    return {names[key]: value for key, value in given.items() if key in names and value not in (None, "", [], {})}


def names(values: Any) -> dict[str, str]:
    fullname, subchart = f"{RELEASE}-dagster", f"{RELEASE}-dagster-user-deployments"
    (code,) = values["dagster-user-deployments"]["deployments"]
    return {
        "instance": f"{fullname}-instance",
        "webserver": f"{RELEASE}-{values['dagsterWebserver']['nameOverride']}",
        "daemon": f"{fullname}-daemon",
        "code": f"{subchart}-{code['name']}",
        "code service": code["name"],
    }


def postgres(values: Any) -> dict[str, Any]:
    given = values["postgresql"]
    return {
        "postgres_db": {
            "username": given["postgresqlUsername"],
            "password": {"env": "DAGSTER_PG_PASSWORD"},
            "hostname": given["postgresqlHost"],
            "db_name": given["postgresqlDatabase"],
            "port": given["service"]["port"],
            "params": given["postgresqlParams"],
            "scheme": given["postgresqlScheme"],
        }
    }


def run_launcher(values: Any) -> dict[str, Any]:
    given = values["runLauncher"]["config"]["k8sRunLauncher"]
    return {
        "load_incluster_config": given["loadInclusterConfig"],
        "job_namespace": NAMESPACE,
        "image_pull_policy": given["imagePullPolicy"],
        "service_account_name": values["global"]["serviceAccountName"],
        "dagster_home": values["global"]["dagsterHome"],
        "instance_config_map": names(values)["instance"],
        "postgres_password_secret": values["global"]["postgresqlSecretName"],
        "env_config_maps": [item["name"] for item in given["envConfigMaps"]],
        "env_secrets": [item["name"] for item in given["envSecrets"]],
        **filled(
            given,
            {
                "volumeMounts": "volume_mounts",
                "volumes": "volumes",
                "labels": "labels",
                "resources": "resources",
                "securityContext": "security_context",
            },
        ),
        "run_k8s_config": filled(
            given["runK8sConfig"],
            {
                "containerConfig": "container_config",
                "podSpecConfig": "pod_spec_config",
                "podTemplateSpecMetadata": "pod_template_spec_metadata",
                "jobSpecConfig": "job_spec_config",
                "jobMetadata": "job_metadata",
            },
        ),
    }


def run_coordinator(values: Any) -> dict[str, Any]:
    given = values["dagsterDaemon"]["runCoordinator"]["config"]["queuedRunCoordinator"]
    config: dict[str, Any] = {}
    if not values["concurrency"]["enabled"] or given.get("maxConcurrentRuns") is not None:
        config["max_concurrent_runs"] = given.get("maxConcurrentRuns", -1)
    return config | filled(
        given,
        {
            "tagConcurrencyLimits": "tag_concurrency_limits",
            "dequeueIntervalSeconds": "dequeue_interval_seconds",
            "dequeueUseThreads": "dequeue_use_threads",
            "dequeueNumWorkers": "dequeue_num_workers",
        },
    )


def instance(values: Any) -> dict[str, Any]:
    """The whole dagster.yaml that the chart mounts into every pod."""
    daemon, logs = values["dagsterDaemon"], values["computeLogManager"]["config"]["s3ComputeLogManager"]
    monitoring, limits = daemon["runMonitoring"], values["concurrency"]
    written: dict[str, Any] = {
        "scheduler": {"module": "dagster.core.scheduler", "class": "DagsterDaemonScheduler"},
        "run_launcher": {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": run_launcher(values)},
        "run_coordinator": {
            "module": "dagster.core.run_coordinator",
            "class": "QueuedRunCoordinator",
            "config": run_coordinator(values),
        },
        "compute_logs": {
            "module": "dagster_aws.s3.compute_log_manager",
            "class": "S3ComputeLogManager",
            "config": {
                "verify": True,
                **filled(
                    logs,
                    {
                        "bucket": "bucket",
                        "prefix": "prefix",
                        "skipEmptyFiles": "skip_empty_files",
                        "uploadInterval": "upload_interval",
                        "region": "region",
                    },
                ),
            },
        },
        "run_monitoring": {
            "enabled": True,
            "start_timeout_seconds": monitoring["startTimeoutSeconds"],
            "cancel_timeout_seconds": monitoring["cancelTimeoutSeconds"],
            "max_resume_run_attempts": monitoring["maxResumeRunAttempts"],
            "poll_interval_seconds": monitoring["pollIntervalSeconds"],
            "free_slots_after_run_end_seconds": monitoring["freeSlotsAfterRunEndSeconds"],
        },
        "telemetry": {"enabled": values["telemetry"]["enabled"]},
        "retention": {
            kind: {"purge_after_days": values["retention"][kind]["purgeAfterDays"]} for kind in ("sensor", "schedule")
        },
    }
    for kind, place in (
        ("run_storage", "run_storage.PostgresRunStorage"),
        ("event_log_storage", "event_log.PostgresEventLogStorage"),
        ("schedule_storage", "schedule_storage.PostgresScheduleStorage"),
    ):
        module, name = place.split(".")
        written[kind] = {"module": f"dagster_postgres.{module}", "class": name, "config": postgres(values)}
    if daemon["runRetries"]["enabled"]:
        written["run_retries"] = {"enabled": True, "max_retries": daemon["runRetries"].get("maxRetries", 0)}
    if limits["enabled"]:
        # `extra="forbid"` in the chart's own schema (subschema/concurrency.py).
        assert set(limits) <= {"enabled", "pools", "runs"}
        assert set(limits["pools"]) <= {"defaultLimit", "granularity", "opGranularityRunBuffer"}
        assert set(limits["runs"]) <= {"maxConcurrentRuns", "tagConcurrencyLimits"}
        written["concurrency"] = {
            "pools": filled(limits["pools"], {"defaultLimit": "default_limit", "granularity": "granularity"}),
            "runs": filled(limits["runs"], {"maxConcurrentRuns": "max_concurrent_runs"}),
        }
    added = values["additionalInstanceConfig"]
    assert not set(added) & set(written), "a key that stands twice in one YAML file"
    return written | added


def container_context(values: Any) -> dict[str, Any] | None:
    """Return the code server's settings for the pods of its runs, which win over the launcher's."""
    (code,) = values["dagster-user-deployments"]["deployments"]
    if not code.get("includeConfigInLaunchedRuns", {"enabled": True})["enabled"]:
        return None
    config_maps = [f"{names(values)['code']}-user-env", *(item["name"] for item in code["envConfigMaps"])]
    return {
        "k8s": {
            "image_pull_policy": code["image"]["pullPolicy"],
            "env_config_maps": config_maps,
            "env_secrets": [item["name"] for item in code["envSecrets"]],
            **filled(
                code,
                {
                    "volumeMounts": "volume_mounts",
                    "volumes": "volumes",
                    "labels": "labels",
                    "resources": "resources",
                },
            ),
            "namespace": NAMESPACE,
            "service_account_name": values["global"]["serviceAccountName"],
            "run_k8s_config": {"pod_spec_config": {"automount_service_account_token": True}},
        }
    }


def image(role: Any) -> str:
    return f"{role['image']['repository']}:{role['image']['tag']}"


def probes(role: Any, otherwise: list[str] | None = None) -> dict[str, Any]:
    """Return each enabled probe, and for the code location also the default command."""
    found = {}
    for name in ("readinessProbe", "livenessProbe", "startupProbe"):
        given = {key: value for key, value in role.get(name, {}).items() if key != "enabled"}
        if not given or not role[name].get("enabled", name != "startupProbe"):
            continue
        found[name] = {"exec": {"command": otherwise}, **given} if otherwise and "exec" not in given else given
    return found


def pods(values: Any) -> dict[str, Any]:
    """Return the pods of the three deployments, with the labels that the policies select."""
    (code,) = values["dagster-user-deployments"]["deployments"]
    webserver, daemon = values["dagsterWebserver"], values["dagsterDaemon"]
    port = webserver["service"]["port"]
    health = ["dagster", "api", "grpc-health-check", "-p", str(code["port"])]
    command = f"dagster-webserver -h 0.0.0.0 -p {port} -w /dagster-workspace/workspace.yaml"
    own: dict[str, tuple[Any, str, dict[str, Any]]] = {
        "code": (
            code,
            "user-deployments",
            {
                "args": ["dagster", "api", "grpc", "-h", "0.0.0.0", "-p", str(code["port"]), *code["dagsterApiGrpcArgs"]],
                "env": [{"name": "DAGSTER_CURRENT_IMAGE", "value": image(code)}],
                **probes(code, health),
            },
        ),
        "webserver": (
            webserver,
            "dagster-webserver",
            {
                "command": ["/bin/bash", "-c", command],
                "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}],
                **probes(webserver),
            },
        ),
        "daemon": (
            daemon,
            "dagster-daemon",
            {"command": ["/bin/bash", "-c", "dagster-daemon run -w /dagster-workspace/workspace.yaml"], **probes(daemon)},
        ),
    }  # fmt: skip
    return {
        name: {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"component": component}},
            "spec": {
                "serviceAccountName": values["global"]["serviceAccountName"],
                "securityContext": role["podSecurityContext"],
                "containers": [
                    {
                        "name": "dagster",
                        "image": image(role),
                        "imagePullPolicy": role["image"]["pullPolicy"],
                        "securityContext": role["securityContext"],
                        "resources": role["resources"],
                        "volumeMounts": role["volumeMounts"],
                        "envFrom": [
                            *({"configMapRef": item} for item in role["envConfigMaps"]),
                            *({"secretRef": item} for item in role["envSecrets"]),
                        ],
                        **special,
                    }
                ],
                "volumes": role["volumes"],
            },
        }
        for name, (role, component, special) in own.items()
    }


# What is said about it


@pytest.fixture
def values() -> Any:
    return laid_over(CHART_DEFAULTS, yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text()))


def extra(name: str) -> list[Any]:
    return list(yaml.safe_load_all((EXTRA / name).read_text()))


def loaded(config: dict[str, Any], folder: Path) -> Any:
    """Load the instance with Dagster's own loader, as each process does first."""
    (folder / "dagster.yaml").write_text(yaml.safe_dump(config))
    found, custom = dagster_instance_config(str(folder), "dagster.yaml")
    assert custom is None
    return found


def test_every_process_can_load_its_instance(values: Any, tmp_path: Path) -> None:
    config = loaded(instance(values), tmp_path)
    assert config["concurrency"] == {
        "runs": {"max_concurrent_runs": 16},
        "pools": {"default_limit": 12, "granularity": "run"},
    }
    assert "max_concurrent_runs" not in config["run_coordinator"]["config"]


def test_a_limit_that_is_set_in_two_places_is_detected(values: Any, tmp_path: Path) -> None:
    """What the values once said, and what the test above is for: dagster-io/dagster issues 31086 and 33225."""
    values["concurrency"]["enabled"] = False
    values["additionalInstanceConfig"]["concurrency"] = {"runs": {"max_concurrent_runs": 16}}
    with pytest.raises(DagsterInvalidConfigError, match="max_concurrent_runs"):
        loaded(instance(values), tmp_path)


def test_the_chart_s_instance_matches_deploy_dagster_yaml(values: Any) -> None:
    config, ours = instance(values), yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    for same in ("run_retries", "retention", "telemetry"):
        assert config[same] == ours[same], same
    assert config["concurrency"]["pools"]["granularity"] == ours["concurrency"]["pools"]["granularity"]
    for key in ("bucket", "prefix", "skip_empty_files", "upload_interval"):
        assert config["compute_logs"]["config"][key] == ours["compute_logs"]["config"][key]


def test_dagster_and_the_ledger_find_the_same_database(values: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", "p")
    storage = process_config(resolve_to_config_type(pg_config()), instance(values)["run_storage"]["config"])
    assert storage.success, storage.errors
    env = environment()
    address = f"{env['PGUSER']}:p@{env['PGHOST']}:{env['PGPORT']}/{env['PGDATABASE']}"
    assert pg_url_from_config(storage.value) == f"postgresql+psycopg2://{address}?sslmode={env['PGSSLMODE']}"


def environment() -> dict[str, str]:
    (found,) = [document["data"] for document in extra("base.yaml") if document["kind"] == "ConfigMap"]
    return found


def test_a_deployment_s_pods_are_valid(values: Any) -> None:
    for pod in pods(values).values():
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)


# The UI


def upstream_of(container: Any) -> str:
    (upstream,) = (
        arg.removeprefix("--upstream=")
        for arg in (*container.get("command", ()), *container.get("args", ()))
        if arg.startswith("--upstream=")
    )
    return str(upstream)


def allowed_into(labels: dict[str, str]) -> list[tuple[Any, Any]]:
    """Who may reach pods with these labels, and at which port, by all policies that choose them by label."""
    return [
        (peer.get("podSelector", {}).get("matchLabels") or peer.get("namespaceSelector"), entry["port"])
        for name in ("base.yaml", "guard.yaml", "ui.yaml", "metrics.yaml")
        for document in extra(name)
        if document["kind"] == "NetworkPolicy" and document["spec"]["podSelector"].get("matchLabels")
        and document["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
        for rule in document["spec"].get("ingress", ())
        for peer in rule["from"]
        for entry in rule["ports"]
    ]  # fmt: skip


def test_the_login_leads_through_the_guard_to_the_webserver_that_the_chart_makes(values: Any) -> None:
    port = values["dagsterWebserver"]["service"]["port"]
    guards, logins = (
        {(document["kind"], document["metadata"]["name"]): document for document in extra(name)}
        for name in ("guard.yaml", "ui.yaml")
    )
    guard_pod = guards["Deployment", "i2v-guard"]["spec"]["template"]
    (guard,) = guard_pod["spec"]["containers"]
    (login,) = logins["Deployment", "i2v-login"]["spec"]["template"]["spec"]["containers"]
    assert upstream_of(guard) == f"http://{names(values)['webserver']}:{port}"
    (entry,) = guards["Service", "i2v-guard"]["spec"]["ports"]
    assert upstream_of(login) == f"http://i2v-guard:{entry['port']}"
    forward = f"kubectl port-forward -n i2v service/i2v-guard 3000:{entry['port']}"
    assert forward in (EXTRA / "ui.yaml").read_text()
    assert forward in DOCS
    assert f"service/{names(values)['webserver']}" not in DOCS, "past the guard"


def test_only_the_guard_reaches_the_webserver_and_only_the_login_the_guard(values: Any) -> None:
    guard, login = ({"app.kubernetes.io/name": name} for name in ("i2v-guard", "i2v-login"))
    port = values["dagsterWebserver"]["service"]["port"]
    assert allowed_into(pods(values)["webserver"]["metadata"]["labels"]) == [(guard, port)]
    assert allowed_into(guard) == [(login, "http")]


def test_the_guard_is_the_project_s_with_the_name_of_the_ingress_and_no_secret(values: Any) -> None:
    import importlib

    from i2v_assets import guard_proxy

    (document,) = [document for document in extra("guard.yaml") if document["kind"] == "Deployment"]
    pod = document["spec"]["template"]["spec"]
    (guard,) = pod["containers"]
    assert guard["command"][:3] == ["python", "-m", guard_proxy.__name__]
    assert importlib.import_module(guard["command"][2]) is guard_proxy
    assert "envFrom" not in guard
    (variable,) = guard["env"]
    assert variable["valueFrom"] == {"configMapKeyRef": {"name": "i2v-env", "key": "I2V_UI_HOSTS"}}
    assert pod["automountServiceAccountToken"] is False
    (ingress,) = [document for document in extra("ui.yaml") if document["kind"] == "Ingress"]
    assert environment()["I2V_UI_HOSTS"] == ingress["spec"]["rules"][0]["host"]
    assert image(values["dagsterWebserver"]) == guard["image"]


def test_whoever_has_no_capabilities_takes_no_port_below_1024(values: Any) -> None:
    """The chart has the webserver listen on the Service's own port; as user 10001 it could not take its default, 80."""
    for name, pod in pods(values).items():
        (container,) = pod["spec"]["containers"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        for port in container.get("ports", []):
            assert port["containerPort"] >= 1024, name
            for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
                assert container[probe]["httpGet"]["port"] == port["containerPort"], probe


def test_the_commands_in_the_docs_name_existing_resources(values: Any) -> None:
    assert f"deploy/{names(values)['code']} --" in DOCS
    ports = [entry["port"] for document in extra("base.yaml") if document["metadata"]["name"] == "i2v-code"
             for rule in document["spec"]["ingress"] for entry in rule["ports"]]  # fmt: skip
    (code,) = values["dagster-user-deployments"]["deployments"]
    assert ports == [code["port"]]


def test_the_daemon_is_started_anew_when_it_hangs(values: Any) -> None:
    (container,) = pods(values)["daemon"]["spec"]["containers"]
    assert container["livenessProbe"]["exec"]["command"] == ["dagster-daemon", "liveness-check"]
    start = container["startupProbe"]
    assert start["exec"] == container["livenessProbe"]["exec"]
    assert start["periodSeconds"] * start["failureThreshold"] >= 300


def test_hosts_are_distinguished(values: Any) -> None:
    """The example's database is not the example's UI."""
    (ingress,) = [document for document in extra("ui.yaml") if document["kind"] == "Ingress"]
    (rule,) = ingress["spec"]["rules"]
    env = environment()
    assert env["PGHOST"] == values["postgresql"]["postgresqlHost"] != rule["host"]
    assert env["I2V_UI_URL"] == f"https://{rule['host']}"


def test_runs_reach_what_they_need_and_no_pods_of_the_cluster() -> None:
    (policy,) = [document["spec"] for document in extra("base.yaml") if document["metadata"]["name"] == "i2v-runs"]
    names, role, outside = policy["egress"]
    assert {"ipBlock": {"cidr": "169.254.20.10/32"}} in names["to"]
    assert role["to"] == [{"ipBlock": {"cidr": "169.254.170.23/32"}}]
    (block,) = (peer["ipBlock"] for peer in outside["to"])
    assert block["cidr"] == "0.0.0.0/0"
    assert len(block["except"]) == 3, "the nodes' metadata, the pods, the Services"
    assert all(ip_network(part).subnet_of(ip_network(block["cidr"])) for part in block["except"])
    (env_port,) = {environment()["PGPORT"]}
    assert [entry["port"] for entry in outside["ports"]] == [443, int(env_port)]


def test_every_secret_of_the_settings_has_its_place() -> None:
    """By either way of the example; none of them in a ConfigMap."""
    secret = {
        variable_name(name) for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)
    } - {"RUNCOMFY_API_TOKEN", "RUNCOMFY_API_KEY"}  # other names of the same token
    (ours,) = [document for document in extra("secrets.example.yaml") if document["metadata"]["name"] == "i2v-env"]
    given = {entry["secretKey"] for entry in ours["spec"]["data"]}
    assert given == secret | {"PGPASSWORD"}
    text = (EXTRA / "secrets.example.yaml").read_text()
    assert all(f"--from-literal={name}=" in text for name in given)
    assert not given & set(environment())


def test_the_cluster_s_settings_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.log_json is True
    assert settings.service == "runcomfy"


# Runs


def test_the_nodes_take_runs_and_nothing_else(values: Any) -> None:
    """No validator without a network knows Karpenter's NodePool: this looks at what our part of it has to say."""
    (pool,) = extra("nodes.example.yaml")
    assert (pool["apiVersion"], pool["kind"]) == ("karpenter.sh/v1", "NodePool")
    assert set(pool["spec"]) <= {"template", "disruption", "limits", "weight"}
    template = pool["spec"]["template"]
    run = values["runLauncher"]["config"]["k8sRunLauncher"]
    pod = run["runK8sConfig"]["podSpecConfig"]
    assert pod["nodeSelector"].items() <= template["metadata"]["labels"].items()
    (taint,), (toleration,) = template["spec"]["taints"], pod["tolerations"]
    assert toleration == {**taint, "operator": "Equal"}
    memory = int(pool["spec"]["limits"]["memory"].removesuffix("Gi"))
    assert memory >= 1.5 * values["concurrency"]["runs"]["maxConcurrentRuns"] * int(
        run["resources"]["limits"]["memory"].removesuffix("Gi")
    )


def run_job(values: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The job of a run, by dagster_k8s itself: the launcher's config, the code server's, and what comes of the two."""
    monkeypatch.setattr(launcher, "load_kubernetes_config", lambda **_: None)
    result = process_config(resolve_to_config_type(K8sRunLauncher.config_type()), run_launcher(values))
    assert result.success, result.errors
    ours = K8sRunLauncher(**result.value, k8s_client_batch_api=SimpleNamespace(), k8s_client_core_api=SimpleNamespace())
    (env,) = pods(values)["code"]["spec"]["containers"][0]["env"]
    repository = RepositoryPythonOrigin(
        executable_path="python",
        code_pointer=ModuleCodePointer("i2v_assets.definitions", "defs"),
        container_image=env["value"],  # `dagster api grpc` reads it from DAGSTER_CURRENT_IMAGE
        container_context=container_context(values),
    )
    run = DagsterRun(job_name="make", job_code_origin=JobPythonOrigin("make", repository))
    context = ours.get_container_context_for_run(run)
    job = construct_dagster_k8s_job(
        context.get_k8s_job_config(job_image=repository.container_image, run_launcher=ours),
        args=["dagster", "api", "execute_run"],
        job_name="dagster-run-0",
        component="run_worker",
        user_defined_k8s_config=context.run_k8s_config,
    )
    rendered = kubernetes.client.ApiClient().sanitize_for_serialization(job)
    kubernetes_validate.validate(rendered, kubernetes_validate.latest_version(), strict=True)
    return rendered


def test_a_run_s_pod_matches_the_launcher_config(values: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given = values["runLauncher"]["config"]["k8sRunLauncher"]
    job = run_job(values, monkeypatch)
    template = job["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert container["resources"] == given["resources"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["image"] == image(values["dagster-user-deployments"]["deployments"][0])
    assert container["imagePullPolicy"] == given["imagePullPolicy"]
    assert template["spec"]["securityContext"]["runAsUser"] == 10001
    assert template["spec"]["tolerations"]
    assert template["spec"]["automountServiceAccountToken"] is False, "strangers' files are decoded in it"
    assert template["spec"]["serviceAccountName"] == values["global"]["serviceAccountName"]
    # By the one the policy finds it, by the other whoever restores a database.
    assert template["metadata"]["labels"]["i2v/role"] == job["metadata"]["labels"]["i2v/role"] == "run"
    assert "kubectl delete jobs -n i2v -l i2v/role=run" in DOCS
    sources = [part.get("configMapRef", part.get("secretRef"))["name"] for part in container["envFrom"]]
    assert sources == ["i2v-env", "i2v-env"]
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]
    assert job["spec"]["backoffLimit"] == 0


def test_the_code_server_s_run_config_takes_precedence(values: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Why the values keep it from saying anything: a run would have to do with the code server's 1 GiB."""
    (code,) = values["dagster-user-deployments"]["deployments"]
    code["includeConfigInLaunchedRuns"] = {"enabled": True}
    (container,) = run_job(values, monkeypatch)["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == code["resources"]["limits"]["memory"] == "1Gi"
