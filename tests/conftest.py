"""Fixtures of the whole suite: real servers, each started once per session (and per xdist worker)."""

from collections.abc import Iterator

import pytest

from resources.sandbox.starter import RunningS3, start_s3


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningS3]:
    with start_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server
