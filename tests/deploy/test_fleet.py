"""The deployment as separate processes, each killed once in the middle: nothing is lost, nothing is paid twice.

The verdict comes from the sandbox's own list of charges.
"""

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from cfnlint.decode import cfn_yaml

CLIPS = 3
RECOVERY_SECONDS = 300
"""Far more than it takes (about 30 s on an idle machine): the suite has other work for the two cores."""

pytestmark = pytest.mark.timeout(900)


def test_uploads_become_videos(fleet: Any) -> None:
    names = fleet.upload(CLIPS)
    fleet.wait_until_delivered(names, RECOVERY_SECONDS)
    fleet.check(names)
    query = "{ runsOrError { ... on Runs { results { status } } } }"
    answer = httpx.post(f"http://127.0.0.1:{fleet.ui_port}/graphql", json={"query": query}, timeout=20).json()
    assert {run["status"] for run in answer["data"]["runsOrError"]["results"]} <= {"SUCCESS", "STARTED"}


def test_the_daemon_dies(fleet: Any) -> None:
    names = fleet.upload(CLIPS)
    fleet.wait_until_half_way(names)
    fleet.kill("daemon")
    late = fleet.upload(1)  # what comes while it is away is found when it is back
    fleet.start("daemon")
    fleet.wait_until_delivered(names + late, RECOVERY_SECONDS)
    fleet.check(names + late)


def test_the_code_server_dies_with_its_runs(fleet: Any) -> None:
    names = fleet.upload(CLIPS)
    fleet.wait_until_half_way(names)
    fleet.kill("code")
    fleet.start("code")
    fleet.wait_until_delivered(names, RECOVERY_SECONDS)
    fleet.check(names)


def test_a_run_dies(fleet: Any) -> None:
    names = fleet.upload(CLIPS)
    fleet.wait_until_half_way(names)
    processes = fleet.run_processes()
    assert processes, "no run is there to be killed"
    for process in processes:
        process.kill()
    fleet.wait_until_delivered(names, RECOVERY_SECONDS)
    fleet.check(names)


def test_postgres_dies(fleet: Any) -> None:
    names = fleet.upload(CLIPS)
    fleet.wait_until_half_way(names)
    fleet.kill_postgres()
    fleet.start_postgres()
    fleet.wait_until_delivered(names, RECOVERY_SECONDS)
    fleet.check(names)


def test_no_secret_is_left_behind(fleet: Any) -> None:
    """In nothing that Dagster or the ledger keep, and in no log; a clip's name shows that the search finds what is there."""
    secrets = {fleet.env["AWS_SECRET_ACCESS_KEY"], fleet.env["PGPASSWORD"], "X-Amz-Signature"}
    texts: dict[str, str] = {log.name: log.read_text(errors="replace") for log in fleet.folder.glob("*.log")}
    with psycopg.connect("") as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in tables:
            texts[table] = "\n".join(row for (row,) in connection.execute(f"SELECT t::text FROM {table} t"))
    for info in fleet.bucket.list("dagster-logs/"):
        texts[info.key] = fleet.bucket.read(info.key).decode(errors="replace")
    with_clip = {name for name, text in texts.items() if "wave1-0" in text}
    assert {"event_logs", "ledger_requests"} <= with_clip
    assert "make_clips" in texts["code.log"]
    assert {name for name, text in texts.items() if any(secret in text for secret in secrets)} == set()


def test_dagster_s_home_may_be_read_only(fleet: Any) -> None:
    assert [path.name for path in fleet.home.iterdir()] == ["dagster.yaml"]


def test_only_places_were_written_that_the_policy_allows(fleet: Any) -> None:
    """The server that the tests run against allows everything; deploy/aws/template.yaml does not."""
    template = cfn_yaml.load(str(Path(__file__).parents[2] / "deploy" / "aws" / "template.yaml"))
    statements = template["Resources"]["WorkerPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    (write,) = (statement for statement in statements if statement["Sid"] == "Write")
    patterns = [resource["Fn::Sub"].removeprefix("${Bucket.Arn}/") for resource in write["Resource"]]
    ours = [info.key for info in fleet.bucket.list() if not info.key.startswith("uploads/")]
    assert any(key.startswith("videos/") for key in ours)
    assert not [key for key in ours if not any(fnmatch(key, pattern) for pattern in patterns)]
