"""Marked secrets go through everything once; then every place that anybody can read is searched for them."""

import http.server
import io
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa
from PIL import Image

from resources.devservers.start import RunningS3

TOKEN = "marked-token-5d1f0c7e9a2b"
HOOK = "marked-hook-77c1e0ab42"
PASSWORD = "marked-password-e81b02d9"
SIGNATURE = "X-Amz-Signature="
"""Of every presigned address; who has one can read the object until it expires."""

COMMANDS = (
    ("doctor",),
    ("settings",),
    ("status",),
    ("plan",),
    ("models",),
    ("ledger", "list"),
    ("ledger", "export"),
    ("verify", "good"),
)


@dataclass
class Marked:
    """The secrets, and everything that was printed while they were in use."""

    secrets: dict[str, str]
    folder: Path
    printed: dict[str, str] = field(default_factory=dict)
    command_lines: set[str] = field(default_factory=set)

    def run(self, *arguments: str) -> None:
        """Run a command of `i2v`, and keep what it printed."""
        command = [str(Path(sys.executable).parent / "i2v"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
        self.printed[f"i2v {' '.join(arguments)}"] = done.stdout + done.stderr

    def found_in(self, where: str, data: bytes) -> list[str]:
        """Name the secrets that stand there, as they are or as an address would spell them."""
        return [f"{name} in {where}" for name, secret in self.secrets.items() if secret.encode() in data]


@contextmanager
def webhook(marked: Marked) -> Iterator[str]:
    """A webhook that refuses every message and repeats its own address, as some proxies do."""

    class Refuse(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            marked.printed["alert"] = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.send_response(500)
            self.end_headers()
            self.wfile.write(f"no such hook: {self.path}".encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuse)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{HOOK}"
    server.shutdown()
    server.server_close()


@contextmanager
def watched(marked: Marked) -> Iterator[None]:
    """Note the command line of every process that this one starts."""
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for child in psutil.Process().children(recursive=True):
                try:
                    marked.command_lines.add(" ".join(child.cmdline()))
                except psutil.Error:
                    continue
            time.sleep(0.1)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.fixture
def marked(
    service_env: dict[str, str],
    s3_server: RunningS3,
    postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Marked]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    place = tmp_path.parent / f"{tmp_path.name}-key"
    place.mkdir()
    (place / "key.pem").write_bytes(key)
    (place / "chain.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    secrets = {
        "the token": TOKEN,
        "the webhook": HOOK,
        "the ledger's password": PASSWORD,
        "the bucket's key": s3_server.secret_key.get_secret_value(),
        "the certificate's key": key.decode().splitlines()[1],
        "a presigned address": SIGNATURE,
    }
    found = Marked(secrets, tmp_path)
    with webhook(found) as address, watched(found):
        for name, value in {
            "RUNCOMFY_TOKEN": TOKEN,
            "I2V_ALERT_WEBHOOK": address,
            "I2V_LEDGER_URL": postgres_url.replace("@", f":{PASSWORD}@", 1),
            "I2V_C2PA_CERTIFICATE": str(place / "chain.pem"),
            "I2V_C2PA_KEY": str(place / "key.pem"),
        }.items():
            monkeypatch.setenv(name, value)
        yield found


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (640, 480), "teal").save(out, "PNG")
    return out.getvalue()


@pytest.mark.timeout(1200)  # a dozen processes, each some seconds on idle cores
def test_no_secret_is_left_anywhere(
    marked: Marked, stage: Any, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.upload("good.png", picture())
    stage.upload("bad.jpg", b"no picture")
    stage.upload("list.csv", f"image,prompt\ngood.png,{'x' * 50}\nnone.png,y\n")
    stage.make()
    stage.upload("refused.png", picture() + b"1")
    stage.fault(where="submit", kind="http_422", message=f"Bad token {TOKEN} for ?{SIGNATURE}abc")
    stage.make()
    stage.upload("lost.png", picture() + b"2")
    stage.fault(where="submit", kind="disconnect_after")
    stage.make()
    stage.upload("mute.png", picture() + b"3")
    stage.fault(where="result", kind="garbage", times=3)
    stage.make()
    stage.evaluate("dispatch")
    stage.evaluate("alerts")
    for job in ("gallery_job", "catalogue_job"):
        stage._job(job).execute_in_process(instance=stage.instance, raise_on_error=False)
    for command in COMMANDS:
        marked.run(*command)
    (marked.folder / "one.png").write_bytes(picture())
    image, videos = str(marked.folder / "one.png"), str(marked.folder / "videos")
    marked.run("run", "animate", "--image", image, "--input", '{"prompt": "drift"}', "--output-dir", videos)
    crash(stage, monkeypatch)
    monkeypatch.undo()

    out, err = capfd.readouterr()
    places = {"what this process printed": out + err} | marked.printed
    left = [each for where, text in places.items() for each in marked.found_in(where, text.encode())]
    for path in marked.folder.rglob("*"):
        if path.is_file():
            left += marked.found_in(str(path.relative_to(marked.folder)), path.read_bytes())
    for info in stage.bucket.list():
        left += marked.found_in(info.key, stage.bucket.read(info.key))
    left += marked.found_in("a command line", "\n".join(marked.command_lines).encode())
    left += marked.found_in("the database", dumped(stage.ledger.database).encode())
    assert not left
    assert marked.command_lines
    assert all(marked.printed.values()), marked.printed


def crash(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose database, bucket and service are all wrong: its tracebacks go into the event log."""
    stage.upload("late.png", picture() + b"4")
    requests = stage.tick()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("RUNCOMFY_MODEL_API_BASE", "http://127.0.0.1:9/v1")
    for request in requests:
        stage.execute(request)
    monkeypatch.setenv("I2V_LEDGER_URL", f"postgresql://nobody:{PASSWORD}@127.0.0.1:9/none")
    for name in ("uploads", "dispatch", "alerts"):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is, its words are searched
            stage.evaluate(name)
        print(repr(caught.value), caught.getrepr(style="native", chain=True))


def dumped(database: Any) -> str:
    """All rows of all tables."""
    with database.read() as connection:
        names = sa.inspect(connection).get_table_names()
        rows = [connection.execute(sa.select(sa.text("*")).select_from(sa.table(name))).all() for name in names]
    assert names
    return str(rows)
