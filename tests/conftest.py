"""Fixtures of the whole suite: real servers, each started once per session (and per xdist worker)."""

import secrets
from collections.abc import Iterator

import pytest

from resources.sandbox.starter import RunningS3, environment, start_s3
from resources.storage.bucket import Bucket
from resources.storage.client import make_client


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningS3]:
    """A real SeaweedFS with data of its own."""
    with start_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3_environment(s3_server: RunningS3, monkeypatch: pytest.MonkeyPatch) -> RunningS3:
    """boto3's variables point at the test's server."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_CONFIG_FILE", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment(s3=s3_server).items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture
def bucket(s3_environment: RunningS3) -> Iterator[Bucket]:
    """A bucket of the test's own (0.2 s at its first object), removed afterwards."""
    fresh = Bucket(f"test-{secrets.token_hex(6)}", make_client())
    fresh.ensure()
    yield fresh
    fresh.delete_many(info.key for info in fresh.list())
    make_client().delete_bucket(Bucket=fresh.name)
