"""The embedded S3 server's ports other than S3's: whoever has no certificate of its folder gets nothing from them."""

import http.client
import socket
import ssl
import stat
import time

import psutil
import pytest

from resources.devservers import s3 as module
from resources.devservers.s3_security import CERTIFICATE, CONFIGURATION, KEY, client_context
from resources.devservers.start import ServerNotStarted, environment, start_s3
from resources.storage.bucket import Bucket
from resources.storage.client import make_client

FORM = b'--X\r\nContent-Disposition: form-data; name="file"; filename="planted.png"\r\n\r\nbytes\r\n--X--\r\n'
PATHS = ("/", "/buckets/planted/uploads/planted.png", "/planted/uploads/planted.png", "/planted", "/dir/assign")


def ports_of(server):
    """Every port on which the server listens: S3, master, volume, filer and admin, each with gRPC; the last come late."""
    deadline = time.monotonic() + 60
    while True:
        found = psutil.Process(server.pid).net_connections("tcp")
        ports = sorted({each.laddr.port for each in found if each.status == psutil.CONN_LISTEN})
        if len(ports) >= 10 or time.monotonic() > deadline:
            return ports
        time.sleep(0.05)


def without_certificate():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def answer(port, method, path, *, tls=None, body=b"", headers=None):
    """The status, None where no HTTP answer comes or only that this port wants TLS."""
    kind = http.client.HTTPConnection if tls is None else http.client.HTTPSConnection
    connection = kind("127.0.0.1", port, timeout=60, **({} if tls is None else {"context": tls}))
    try:
        connection.request(method, path, body=body or None, headers=headers or {})
        said = connection.getresponse()
        return None if b"HTTP request to an HTTPS server" in said.read() else said.status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def test_every_port_refuses_strangers(tmp_path, monkeypatch):
    with start_s3(tmp_path) as server:
        for name, value in environment(s3=server).items():
            monkeypatch.setenv(name, value)
        bucket = Bucket("planted", make_client())
        bucket.ensure()
        ports = ports_of(server)
        assert len(ports) == 10
        own = int(server.endpoint.rsplit(":", 1)[1])
        form = {"Content-Type": "multipart/form-data; boundary=X", "Origin": "https://evil.example"}
        for port in ports:
            for path in PATHS:
                for method, body, headers in (
                    ("GET", b"", {}),
                    ("POST", FORM, form),
                    ("PUT", b"x", {}),
                    ("DELETE", b"", {}),
                ):
                    plain = answer(port, method, path, body=body, headers=headers)
                    assert plain in ((403, 400, 405) if port == own else (None,)), (port, method, path, plain)
                    assert answer(port, method, path, tls=without_certificate(), body=body, headers=headers) is None
        assert bucket.list() == [] or list(bucket.list()) == []
        # With the folder's certificate they answer, so it is the certificate that is missing above.
        assert answer(server.ports[0], "GET", "/dir/status", tls=client_context(tmp_path)) == 200


def test_the_keys_are_the_owner_s_and_stay(tmp_path):
    with start_s3(tmp_path):
        kept = (tmp_path / KEY).read_bytes()
        tokens = (tmp_path / CONFIGURATION).read_text()
        for name in (CERTIFICATE, KEY, CONFIGURATION):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    with start_s3(tmp_path):
        assert (tmp_path / KEY).read_bytes() == kept
        assert (tmp_path / CONFIGURATION).read_text() != tokens


def test_a_folder_with_any_name(tmp_path, monkeypatch):
    folder = tmp_path / 'it\'s "mine" \\ ü'
    with start_s3(folder) as server:
        assert not any(
            answer(port, "GET", "/", tls=without_certificate()) for port in ports_of(server) if port != server.ports[-1]
        )


def test_a_server_that_does_not_read_its_keys_is_not_started(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "READY_SECONDS", 4.0)
    real = module.write_security

    def open_door(folder):
        real(folder)
        (folder / CONFIGURATION).unlink()

    monkeypatch.setattr(module, "write_security", open_door)
    with pytest.raises(ServerNotStarted):
        start_s3(tmp_path)


def test_grpc_without_a_certificate_ends_in_the_handshake(tmp_path):
    with start_s3(tmp_path) as server:
        ports = [port for port in ports_of(server) if port > 30_000]
        assert len(ports) == 5
        assert [port for port in ports if speaks_http_2(port)] == []


def speaks_http_2(port):
    context = without_certificate()
    context.set_alpn_protocols(["h2"])
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as raw, context.wrap_socket(raw) as tls:
            tls.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))
            return tls.recv(9) != b""
    except (ssl.SSLError, ConnectionError):
        return False
