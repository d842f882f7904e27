"""The policy of deploy/aws/template.yaml allows just what the code calls."""

import ast
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import boto3
import pytest
from cfnlint.decode import cfn_yaml

from i2v_assets.cli.run import media
from i2v_assets.defs import spend_report
from resources.storage import keys
from resources.storage.bucket import Bucket

ROOT = Path(__file__).parents[2]

ACTIONS = {
    # IAM's actions by the API's operations (AWS' service authorization reference).
    "ListObjectsV2": {"s3:ListBucket"},
    "ListObjects": {"s3:ListBucket"},
    "HeadObject": {"s3:GetObject"},
    "GetObject": {"s3:GetObject"},
    "PutObject": {"s3:PutObject"},
    "CreateMultipartUpload": {"s3:PutObject"},
    "UploadPart": {"s3:PutObject"},
    "UploadPartCopy": {"s3:GetObject", "s3:PutObject"},
    "CompleteMultipartUpload": {"s3:PutObject"},
    "AbortMultipartUpload": {"s3:AbortMultipartUpload"},
    "CopyObject": {"s3:GetObject", "s3:PutObject"},
    "DeleteObject": {"s3:DeleteObject"},
    "DeleteObjects": {"s3:DeleteObject"},
    "GetBucketLifecycleConfiguration": {"s3:GetLifecycleConfiguration"},
    "ReceiveMessage": {"sqs:ReceiveMessage"},
    "DeleteMessage": {"sqs:DeleteMessage"},
    "DeleteMessageBatch": {"sqs:DeleteMessage"},
}
TRANSFERS = {
    # boto3's own helpers, and what each may send; what they did send is recorded below.
    "upload_file": ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload"),
    "download_file": ("HeadObject", "GetObject"),
    "copy": (
        "HeadObject", "CopyObject", "CreateMultipartUpload", "UploadPartCopy", "CompleteMultipartUpload",
        "AbortMultipartUpload",
    ),
}  # fmt: skip
NOT_SENT = {"generate_presigned_url", "meta", "close"}
BY_THE_OWNER = {"create_bucket"}
"""In development alone: a real bucket is the template's."""


def clients_calls() -> Iterator[str]:
    """Names of the methods that resources/storage calls on a boto3 client."""
    for path in sorted((ROOT / "resources" / "storage").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute | ast.Name):
                owner = node.value.attr if isinstance(node.value, ast.Attribute) else node.value.id
                if owner in ("_client", "client"):
                    yield node.attr


def operations() -> set[str]:
    names = {
        name: operation
        for service in ("s3", "sqs")
        for name, operation in boto3.client(
            service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
        ).meta.method_to_api_mapping.items()
    }
    found: set[str] = set()
    for call in clients_calls():
        if call in NOT_SENT | BY_THE_OWNER:
            continue
        found |= set(TRANSFERS[call]) if call in TRANSFERS else {names[call]}
    return found


def presigned_actions() -> set[str]:
    """What whoever opens a presigned address does in the signer's name: it may name a version."""
    url = Bucket("b", signing_client()).presign_get("uploads/a.jpg", 60, "v1").get_secret_value()
    return {"s3:GetObject", "s3:GetObjectVersion"} if "versionId=v1" in url else {"s3:GetObject"}


def signing_client() -> Any:
    return boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return cfn_yaml.load(str(ROOT / "deploy" / "aws" / "template.yaml"))


def of_policy(template: dict[str, Any], name: str) -> dict[str, Any]:
    policy = template["Resources"][name]["Properties"]["PolicyDocument"]
    return {statement["Sid"]: statement for statement in policy["Statement"]}


@pytest.fixture(scope="module")
def statements(template: dict[str, Any]) -> dict[str, Any]:
    return of_policy(template, "WorkerPolicy")


@pytest.fixture(scope="module")
def of_people(template: dict[str, Any]) -> dict[str, Any]:
    return of_policy(template, "PeoplePolicy")


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def paths(statement: Any) -> list[str]:
    """Return the keys that a statement covers."""
    found = [resource["Fn::Sub"].removeprefix("${Bucket.Arn}/") for resource in listed(statement["Resource"])]
    assert all(not path.startswith("$") for path in found)
    return found


def test_the_policy_allows_just_what_is_called(statements: dict[str, Any]) -> None:
    allowed = {action for statement in statements.values() for action in listed(statement["Action"])}
    needed = {action for operation in operations() for action in ACTIONS[operation]} | presigned_actions()
    assert allowed == needed
    assert len(allowed) == 9
    assert "allows nine actions" in (ROOT / "docs" / "deploy.md").read_text()
    assert all(statement["Effect"] == "Allow" for statement in statements.values())


def test_only_the_policy_s_actions_are_called(bucket: Bucket, tmp_path: Path) -> None:
    """Every way in which the bucket is used, against a real server, with files small and large."""
    called: set[str] = set()
    bucket._quick = None  # all through boto3, whose calls are heard; the quick calls are some of them
    bucket._client.meta.events.register("before-call.s3", lambda model, **_: called.add(model.name))
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"x")
    large.write_bytes(bytes(17 * 1024 * 1024))
    for path in (small, large):
        bucket.upload(path, f"videos/{path.name}", "video/mp4")
        assert bucket.upload_new(path, f"videos/{path.name}-new", "video/mp4")
        bucket.copy(f"videos/{path.name}", f"clips/{path.name}")
        bucket.download(f"videos/{path.name}", tmp_path / "back")
    bucket.check()
    bucket.lifecycle_rules()
    bucket.read_tagged("clips/a", 1)
    bucket.write_if("clips/b", b"", "text/plain", etag=None)
    bucket.write("clips/a", b"", "text/plain")
    bucket.write_new("clips/a", b"", "text/plain")
    bucket.read("clips/a")
    bucket.head("clips/a")
    bucket.fetch("clips/a", tmp_path / "fetched")
    bucket.open_range("videos/small", 0, 0).close()
    list(bucket.list())
    bucket.delete("clips/a")
    bucket.delete_many(["clips/small"])
    assert {"CreateMultipartUpload", "CopyObject", "DeleteObjects"} <= called
    assert called <= operations()


def test_every_place_that_is_written_is_allowed_and_no_other(statements: dict[str, Any]) -> None:
    fingerprint = "0" * 64
    written = {
        keys.video_key(fingerprint),
        keys.request_key(fingerprint, 1),
        keys.ledger_key("runcomfy"),
        keys.clip_key("hero", keys.VIDEO),
        keys.refused_key("uploads/x.gif"),
        keys.sequence_key("film", keys.VIDEO),
        keys.frame_key("film", fingerprint),
        f"{keys.GALLERY}index.html",
        f"{spend_report.FOLDER}2026-01-31.csv",
        f"{media.PREFIX}doctor.txt",
        "dagster-logs/storage/run/compute_logs/x.err",
    }
    patterns = paths(statements["Write"])
    assert all(any(fnmatch(key, pattern) for pattern in patterns) for key in written)
    assert all(any(fnmatch(key, pattern) for key in written) for pattern in patterns)
    assert not [pattern for pattern in patterns if fnmatch("uploads/hero.jpg", pattern)]


def test_paid_videos_and_uploads_cannot_be_deleted(statements: dict[str, Any]) -> None:
    patterns = paths(statements["Tidy"])
    for key in (
        keys.video_key("0" * 64),
        keys.request_key("0" * 64, 1),
        keys.ledger_key("runcomfy"),
        "uploads/hero.jpg",
    ):
        assert not [pattern for pattern in patterns if fnmatch(key, pattern)]
    assert [pattern for pattern in patterns if fnmatch(keys.clip_key("hero", keys.REFUSED_NOTE), pattern)]


def allowed(statements: dict[str, Any], action: str, key: str) -> bool:
    """Return what IAM allows: one statement allows it and none denies it. A star also matches slashes, as in fnmatch."""
    effects = {
        statement["Effect"]
        for statement in statements.values()
        if action in listed(statement["Action"])
        and all("Fn::Sub" in resource for resource in listed(statement["Resource"]))
        and any(fnmatch(key, pattern) for pattern in paths(statement))
    }
    return effects == {"Allow"}


def test_people_may_upload_and_ask_for_films(of_people: dict[str, Any]) -> None:
    """What docs/guide.md and docs/films.md tell them to put into the bucket."""
    film = ["film.yaml", "film.yml", "film.json", "harbour.jpg", "harbour.WEBP", "theme.mp3", "voice.wav", "clip.mp4"]
    for key in (
        "uploads/hero.jpg",
        "uploads/shoes/brief.yaml",
        "uploads/_media/theme.mp3",
        *(f"sequences/{name}" for name in film),
    ):
        assert allowed(of_people, "s3:PutObject", key), key
        assert allowed(of_people, "s3:DeleteObject", key), key
        assert allowed(of_people, "s3:AbortMultipartUpload", key), key


def test_people_cannot_change_what_the_program_made(of_people: dict[str, Any]) -> None:
    fingerprint = "0" * 64
    made = (
        keys.video_key(fingerprint),
        keys.request_key(fingerprint, 1),
        keys.ledger_key("runcomfy"),
        keys.clip_key("hero", keys.VIDEO),
        keys.sequence_key("film", keys.VIDEO),
        keys.sequence_key("film", "manifest.json"),
        keys.frame_key("film", fingerprint),
        f"{keys.GALLERY}index.html",
    )
    for key in made:
        assert allowed(of_people, "s3:GetObject", key), key
        assert not allowed(of_people, "s3:PutObject", key), key
        assert not allowed(of_people, "s3:DeleteObject", key), key


def test_a_cluster_without_the_agent_takes_the_role_by_irsa(template: dict[str, Any]) -> None:
    """The trust policy is text, for which no validator looks inside."""
    role = template["Resources"]["WorkerIrsaRole"]
    assert role["Condition"] == "HasOidc"
    assert (
        role["Properties"]["ManagedPolicyArns"]
        == template["Resources"]["WorkerRole"]["Properties"]["ManagedPolicyArns"]
    )
    text = role["Properties"]["AssumeRolePolicyDocument"]["Fn::Sub"]
    issuer = "oidc.eks.eu-central-1.amazonaws.com/id/0123ABCD"
    assert re.match(template["Parameters"]["OidcProvider"]["AllowedPattern"], issuer)
    given = {"OidcProvider": issuer, "Namespace": "i2v", "ServiceAccount": "i2v"}
    given |= {"AWS::Partition": "aws", "AWS::AccountId": "000000000000"}
    (statement,) = json.loads(re.sub(r"\$\{([^}]+)\}", lambda found: given[found[1]], text))["Statement"]
    assert statement["Principal"] == {"Federated": f"arn:aws:iam::000000000000:oidc-provider/{issuer}"}
    assert statement["Condition"]["StringEquals"] == {
        f"{issuer}:aud": "sts.amazonaws.com",
        f"{issuer}:sub": "system:serviceaccount:i2v:i2v",
    }
