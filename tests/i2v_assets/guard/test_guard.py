"""Forms of a page's request over real connections: none of them starts a run, and what the UI sends still does."""

import base64
import json
import os

import pytest
from guard_site import LAUNCH, READ, Answer, Site, document, in_address

JSON = "Content-Type: application/json"
FOREIGN = "Origin: https://evil.example"


def other_port(site: Site) -> str:
    return f"Origin: http://127.0.0.1:{site.port + 1}"


ATTACKS = {
    "an image": lambda site: site.call("GET", in_address(LAUNCH), "Sec-Fetch-Site: cross-site"),
    "an image of the UI's own page": lambda site: site.call("GET", in_address(LAUNCH), "Sec-Fetch-Site: same-origin"),
    "an address that a person opens": lambda site: site.call("GET", in_address(LAUNCH), "Accept: text/html"),
    "GET with a foreign host": lambda site: site.call("GET", in_address(LAUNCH), FOREIGN, host="evil.example"),
    "HEAD": lambda site: site.call("HEAD", in_address(LAUNCH)),
    "GET with the query twice": lambda site: site.call("GET", f"{in_address(READ)}&{in_address(LAUNCH)[9:]}"),
    "GET with the query twice, the other way": lambda site: site.call(
        "GET", f"{in_address(LAUNCH)}&{in_address(READ)[9:]}"
    ),
    "GET naming the harmless operation": lambda site: site.call(
        "GET", in_address(f"{READ} {LAUNCH}", operationName="Read")
    ),
    "GET naming the other operation": lambda site: site.call(
        "GET", in_address(f"{READ} {LAUNCH}", operationName="Launch")
    ),
    "GET with fragments": lambda site: site.call(
        "GET",
        in_address(
            "fragment Start on Mutation { " + LAUNCH[LAUNCH.index("{") + 1 : -1] + "} mutation { ...Start } "
        ),
    ),
    "GET with a comment before it": lambda site: site.call("GET", in_address(f"# query\n,,\ufeff{LAUNCH}")),
    "GET with a batch": lambda site: site.call("GET", in_address(json.dumps([{"query": LAUNCH}]))),
    "GET of a persisted query": lambda site: site.call(
        "GET", in_address(READ, extensions='{"persistedQuery":{"version":1,"sha256Hash":"00"}}')
    ),
    "GET with a body": lambda site: site.call("GET", in_address(LAUNCH), JSON, body=document(LAUNCH)),
    "GET without its query's end": lambda site: site.call("GET", in_address(LAUNCH[:-1])),
    "a subscription by GET": lambda site: site.call(
        "GET", in_address("subscription { pipelineRunLogs(runId: \"x\") { __typename } }")
    ),
    "a deep query by GET": lambda site: site.call("GET", in_address("{a" * 4000 + "}" * 4000)),
    "an encoded path": lambda site: site.call("GET", in_address(LAUNCH).replace("graphql", "%67raphq%6C")),
    "POST with the query in the address": lambda site: site.call("POST", in_address(LAUNCH)),
    "POST with it there and as JSON": lambda site: site.call("POST", in_address(LAUNCH), JSON, body=document(READ)),
    "a form": lambda site: site.call(
        "POST", in_address(LAUNCH), "Content-Type: application/x-www-form-urlencoded", FOREIGN
    ),
    "a form of files": lambda site: site.call(
        "POST", in_address(LAUNCH), "Content-Type: multipart/form-data; boundary=x"
    ),
    "text that says JSON": lambda site: site.call(
        "POST", "/graphql", "Content-Type: text/plain; x=application/json", body=document(LAUNCH)
    ),
    "two types in one line": lambda site: site.call(
        "POST", "/graphql", "Content-Type: text/plain, application/json", body=document(LAUNCH)
    ),
    "two types": lambda site: site.call("POST", "/graphql", "Content-Type: text/plain", JSON, body=document(LAUNCH)),
    "JSON twice": lambda site: site.call("POST", "/graphql", JSON, JSON, body=document(LAUNCH)),
    "another type of JSON": lambda site: site.call(
        "POST", "/graphql", "Content-Type: application/json-patch+json", body=document(LAUNCH)
    ),
    "GraphQL's own type": lambda site: site.call(
        "POST", "/graphql", "Content-Type: application/graphql", body=LAUNCH.encode()
    ),
    "no type": lambda site: site.call("POST", "/graphql", body=document(LAUNCH)),
    "a foreign page": lambda site: site.call("POST", "/graphql", JSON, FOREIGN, body=document(LAUNCH)),
    "another loopback port": lambda site: site.call("POST", "/graphql", JSON, other_port(site), body=document(LAUNCH)),
    "the port in another scheme": lambda site: site.call(
        "POST", "/graphql", JSON, f"Origin: https://127.0.0.1:{site.port}", body=document(LAUNCH)
    ),
    "another name of this machine": lambda site: site.call(
        "POST", "/graphql", JSON, f"Origin: http://localhost:{site.port}", body=document(LAUNCH)
    ),
    "a sandboxed frame": lambda site: site.call("POST", "/graphql", JSON, "Origin: null", body=document(LAUNCH)),
    "an empty origin": lambda site: site.call("POST", "/graphql", JSON, "Origin:", body=document(LAUNCH)),
    "two origins": lambda site: site.call(
        "POST", "/graphql", JSON, f"Origin: {site.origin}", FOREIGN, body=document(LAUNCH)
    ),
    "an origin that begins alike": lambda site: site.call(
        "POST", "/graphql", JSON, f"Origin: {site.origin}.evil.example", body=document(LAUNCH)
    ),
    "an origin with a user": lambda site: site.call(
        "POST", "/graphql", JSON, f"Origin: http://x@127.0.0.1:{site.port}", body=document(LAUNCH)
    ),
    "the same site": lambda site: site.call(
        "POST", "/graphql", JSON, "Sec-Fetch-Site: same-site", body=document(LAUNCH)
    ),
    "another site": lambda site: site.call(
        "POST", "/graphql", JSON, "Sec-Fetch-Site: cross-site", body=document(LAUNCH)
    ),
    "two sites": lambda site: site.call(
        "POST", "/graphql", JSON, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site", body=document(LAUNCH)
    ),
    "a name that points here": lambda site: site.call(
        "POST", "/graphql", JSON, f"Origin: http://evil.example:{site.port}", host=f"evil.example:{site.port}",
        body=document(LAUNCH),
    ),
    "a method of nobody": lambda site: site.call("PUT", "/graphql", JSON, FOREIGN, body=document(LAUNCH)),
    "a preflight": lambda site: site.call(
        "OPTIONS", "/graphql", FOREIGN, "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: content-type",
    ),
    "an asset reported by a form": lambda site: site.call(
        "POST", "/report_asset_materialization/outside", "Content-Type: text/plain"
    ),
    "an asset reported without a type": lambda site: site.call("POST", "/report_asset_materialization/outside?metadata={}"),
    "an asset reported by a page": lambda site: site.call(
        "POST", "/report_asset_materialization/outside", JSON, FOREIGN, body=b"{}"
    ),
    "a check reported by a page": lambda site: site.call("POST", "/report_asset_check/outside", FOREIGN),
    "an observation reported by a page": lambda site: site.call(
        "POST", "/report_asset_observation/outside", JSON, "Sec-Fetch-Site: same-site", body=b"{}"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_a_page_starts_nothing(site: Site, name: str) -> None:
    before = site.runs()
    answer = ATTACKS[name](site)
    assert answer.status in (400, 403, 405, 415), (answer.status, answer.body)
    assert "access-control-allow-origin" not in answer.headers
    assert site.runs() == before


def test_without_the_guard_pages_start_runs(sites: dict[str, Site]) -> None:
    """Why the guard is there, and that the attacks above are real ones."""
    bare, before = sites["bare"], sites["bare"].runs()
    names = ("an image", "POST with the query in the address", "text that says JSON", "a name that points here")
    for name in (*names, "an encoded path", "GET with fragments"):
        assert ATTACKS[name](bare).status == 200
    assert bare.runs() == before + 6


ALLOWED = {
    "a program": lambda site: site.call("POST", "/graphql", JSON, body=document(LAUNCH)),
    "a page of its own": lambda site: site.call(
        "POST", "/graphql", JSON, f"Origin: {site.origin}", "Sec-Fetch-Site: same-origin", body=document(LAUNCH)
    ),
    "with a charset": lambda site: site.call(
        "POST", "/graphql", "content-type: application/json; Charset=UTF-8", body=document(LAUNCH)
    ),
    "under another name of this machine": lambda site: site.call(
        "POST", "/graphql", JSON, f"Origin: http://LocalHost:{site.port}", host=f"localhost:{site.port}",
        body=document(LAUNCH),
    ),
    "under its IPv6 name": lambda site: site.call("POST", "/graphql", JSON, host="[::1]:3000", body=document(LAUNCH)),
    "under the operator's name, behind TLS": lambda site: site.call(
        "POST", "/graphql", JSON, "Origin: https://ui.example.com", "X-Forwarded-Proto: https", host="ui.example.com",
        body=document(LAUNCH),
    ),
    "behind a proxy that does not say so": lambda site: site.call(
        "POST", "/graphql", JSON, "Origin: https://ui.example.com", host="ui.example.com:443", body=document(LAUNCH)
    ),
    "what a person typed": lambda site: site.call("POST", "/graphql", JSON, "Sec-Fetch-Site: none", body=document(LAUNCH)),
}  # fmt: skip


@pytest.mark.parametrize("name", ALLOWED)
def test_programs_and_its_own_pages_may(site: Site, name: str) -> None:
    before = site.runs()
    answer = ALLOWED[name](site)
    assert answer.status == 200, answer.body
    assert json.loads(answer.body)["data"]["launchPipelineExecution"]["__typename"] == "LaunchRunSuccess", answer.body
    assert site.runs() == before + 1


def test_a_proxy_that_says_http_is_believed(site: Site) -> None:
    headers = (JSON, "Origin: https://ui.example.com", "X-Forwarded-Proto: http")
    assert site.call("POST", "/graphql", *headers, host="ui.example.com", body=document(READ)).status == 403


def test_queries_by_get_are_answered(site: Site) -> None:
    answer = site.call(
        "GET",
        in_address(f"{READ} query Other {{ ...Part }} fragment Part on Query {{ version }}", operationName="Read"),
    )
    assert answer.status == 200
    assert "version" in json.loads(answer.body)["data"]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.",
        "x.localhost",
        "0.0.0.0",
        "127.1",
        "2130706433",
        "a b",
        "",
    ],
)
def test_a_foreign_host_reads_nothing(site: Site, host: str) -> None:
    for path in ("/", "/graphql?query={version}", "/runs", "/manifest.json", "/logs/x.out"):
        answer = site.raw([f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close"])
        assert answer.status in (400, 403)
        assert b"dagster" not in answer.body.lower()


def test_the_host_has_to_be_there_once(site: Site) -> None:
    assert site.raw(["GET / HTTP/1.0"]).status in (400, 403)
    assert site.raw(["GET / HTTP/1.1", "Host: localhost", "Host: evil.example", "Connection: close"]).status in (
        400,
        403,
    )


def test_the_health_path_answers_under_any_name_and_only_by_get(site: Site) -> None:
    assert site.call("GET", "/server_info", host="10.1.2.3:3000").status == 200
    assert site.call("POST", "/server_info", host="10.1.2.3:3000").status == 400


def test_no_page_draws_it_or_reads_it_as_a_picture(site: Site) -> None:
    for answer in (site.call("GET", "/"), site.call("GET", "/favicon.png"), site.call("GET", "/", host="evil.example")):
        assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "SAMEORIGIN"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "script-src" in site.call("GET", "/").headers["content-security-policy"], "Dagster's own policy stays"


def upgrade(site: Site, *headers: str, host: str | None = None) -> Answer:
    key = base64.b64encode(os.urandom(16)).decode()
    return site.raw(
        [
            "GET /graphql HTTP/1.1", f"Host: {host or f'127.0.0.1:{site.port}'}", "Connection: Upgrade",
            "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Protocol: graphql-ws", *headers,
        ]
    )  # fmt: skip


def test_websockets_need_an_own_origin(site: Site) -> None:
    own = f"Origin: {site.origin}"
    assert upgrade(site, own).status == 101
    for headers in (
        (),
        (FOREIGN,),
        (other_port(site),),
        ("Origin: null",),
        (own, FOREIGN),
        (own, "Sec-Fetch-Site: same-site"),
    ):
        assert upgrade(site, *headers).status in (400, 403), headers
    foreign = f"evil.example:{site.port}"
    assert upgrade(site, f"Origin: http://{foreign}", host=foreign).status == 403


def test_hosts_that_are_none_stop_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from i2v_assets import guard_proxy, webserver

    for value in ("*", "https://ui.example.com", "ui.example.com/x"):
        monkeypatch.setenv("I2V_UI_HOSTS", value)
        assert webserver.main(["-w", "none.yaml"]) == 64
        assert guard_proxy.main(["--upstream", "http://127.0.0.1:1"]) == 64
        assert "I2V_UI_HOSTS" in capsys.readouterr().err
    monkeypatch.setenv("I2V_UI_HOSTS", "")
    assert guard_proxy.main(["--upstream", "127.0.0.1:1"]) == 64
