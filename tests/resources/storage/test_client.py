"""The region that clients sign for."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from mypy_boto3_s3 import S3Client

from resources.storage import client, upload_queue


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """An environment with a key and these variables, and nothing else of AWS."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    def given(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return given


def signed_for(s3: S3Client) -> str:
    url = s3.generate_presigned_url("get_object", {"Bucket": "b", "Key": "uploads/a.jpg"})
    (scope,) = parse_qs(urlsplit(url).query)["X-Amz-Credential"]
    return scope.split("/")[2]


def test_presigned_addresses_are_signed_for_aws_region(bare: Callable[..., None]) -> None:
    """boto3 does not read AWS_REGION, and S3 refuses an address that was signed for another region."""
    bare(AWS_REGION="eu-central-1")
    assert signed_for(client.make_client()) == "eu-central-1"


def test_what_boto3_itself_reads_comes_first(bare: Callable[..., None]) -> None:
    bare(AWS_REGION="eu-central-1", AWS_DEFAULT_REGION="eu-west-1")
    assert signed_for(client.make_client()) == "eu-west-1"


def test_without_a_region_there_is_one_all_the_same(bare: Callable[..., None]) -> None:
    bare()
    assert signed_for(client.make_client()) == "us-east-1"


def test_the_queue_s_client_reads_it_too(bare: Callable[..., None]) -> None:
    bare(AWS_REGION="eu-central-1")
    assert upload_queue.make_client("http://127.0.0.1:5000/1/uploads").meta.region_name == "eu-central-1"
    named = "https://sqs.eu-west-1.amazonaws.com/000000000000/uploads"
    assert upload_queue.make_client(named).meta.region_name == "eu-west-1"
