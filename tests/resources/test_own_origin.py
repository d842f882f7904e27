"""Sandbox, link server and metrics over real connections: own names, and own pages for what changes something."""

import http.client

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.ledger.ledger import Ledger
from resources.metrics.server import serving
from resources.own_origin import host_is_own, parse_hosts
from resources.settings import load_settings


def ask(port, method, path, *headers, body=b""):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for line in headers:
        connection.putheader(*line.split(": ", 1))
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    try:
        return connection.getresponse().status
    finally:
        connection.close()


def port_of(url):
    return int(url.rsplit(":", 1)[1])


def test_the_sandbox_takes_its_own_names_and_pages(sandbox):
    port = port_of(sandbox.url)
    own, fault = f"Host: 127.0.0.1:{port}", b'{"where": "submit", "kind": "http_500"}'
    for host in (f"Host: evil.example:{port}", "Host: evil.example", "Host: 127.0.0.1.evil.example"):
        for path in ("/_sandbox/requests", "/v1/models/x", "/outputs/x.mp4", "/api/auth/me"):
            assert ask(port, "GET", path, host) == 400
    assert ask(port, "GET", "/_sandbox/health", f"Host: localhost:{port}") == 200
    for line in (
        "Origin: https://evil.example",
        f"Origin: http://127.0.0.1:{port + 1}",
        "Origin: null",
        "Sec-Fetch-Site: same-site",
    ):
        assert ask(port, "POST", "/_sandbox/faults", own, line, "Content-Type: text/plain", body=fault) == 403
        assert ask(port, "DELETE", "/_sandbox/faults", own, line) == 403
        assert ask(port, "PUT", "/_sandbox/switches", own, line, body=b"{}") == 403
    assert httpx.get(f"{sandbox.url}/_sandbox/faults", trust_env=False).json()["count"] == 0
    assert ask(port, "POST", "/_sandbox/faults", own, f"Origin: http://127.0.0.1:{port}", body=fault) == 201


def test_a_sandbox_for_others_answers_under_the_names_it_was_given(make_sandbox):
    server = make_sandbox(public_base="http://files.runcomfy.net:8188")
    port = port_of(server.url)
    assert ask(port, "GET", "/_sandbox/health", "Host: files.runcomfy.net:8188") == 200
    assert ask(port, "GET", "/_sandbox/health", "Host: evil.example:8188") == 400


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_metrics_answer_under_their_names(host, service_env, monkeypatch):
    monkeypatch.setenv("I2V_UI_HOSTS", "metrics.example.com")
    settings = load_settings()
    Ledger.open(settings.ledger_address).close()
    with serving(settings, host=host, port=0) as port:
        for name in ("127.0.0.1", f"localhost:{port}", "[::1]:9464", "metrics.example.com:9464"):
            assert ask(port, "GET", "/metrics", f"Host: {name}") == 200
        for name in ("evil.example", f"127.0.0.1.evil.example:{port}", "10.0.0.5.evil.example", ""):
            assert ask(port, "GET", "/metrics", f"Host: {name}") == 400
        assert ask(port, "GET", "/metrics") == 400
        # Prometheus finds pods by their addresses, which nobody can make point elsewhere.
        assert ask(port, "GET", "/metrics", "Host: 10.0.0.5:9464") == (400 if host == "127.0.0.1" else 200)


@given(st.text(max_size=30))
def test_a_list_of_hosts_is_read_or_refused(text):
    try:
        names = parse_hosts(text)
    except ValueError:
        return
    assert all(host_is_own(name, names) for name in names)
    assert not host_is_own("evil.example", names - {"evil.example"})
    assert not any(set(name) & set("/*@?# \t") for name in names)
