"""Chromium before the guard: Dagster's UI works, and pages of other origins and Markdown in the UI start nothing.

As for the gallery's tests, the browser is the system's Chromium; without one the test is skipped, or fails with
``I2V_REQUIRE_BROWSER=1``, as the checks set it.
"""

import http.server
import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from guard_site import HOSTILE, LAUNCH, Site, document, in_address
from playwright.sync_api import Browser, BrowserContext, Locator, Page, WebSocket, expect, sync_playwright

pytestmark = pytest.mark.slow

ABSENT = "chromium is not installed: the guard was NOT tested in a browser (apt-get install chromium)"
SECONDS = 90
WAIT = SECONDS * 1000
FOREIGN = "evil.test"
"""A name that Chromium is told to find at this machine, as a DNS server of a stranger would."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium")
    if executable is None:
        (pytest.fail if os.environ.get("I2V_REQUIRE_BROWSER") == "1" else pytest.skip)(ABSENT)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", f"--host-resolver-rules=MAP {FOREIGN} 127.0.0.1"]
        )
        yield started
        started.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1280, "height": 900})
    made.set_default_timeout(WAIT)
    yield made
    made.close()


@pytest.fixture(scope="module", params=["guarded", "proxy"])
def live(request: pytest.FixtureRequest, live_sites: dict[str, Site]) -> Site:
    return live_sites[request.param]


def ask(site: Site, query: str) -> Any:
    answer = site.call("POST", "/graphql", "Content-Type: application/json", body=document(query))
    return json.loads(answer.body)["data"]


# The UI


def test_the_ui_works_behind_it(context: BrowserContext, live: Site) -> None:
    """A launch from the launchpad with its log over the WebSocket, a sensor switched on and off, a materialization."""
    page = context.new_page()
    refused: list[str] = []
    frames: list[str] = []
    page.on(
        "response", lambda answer: refused.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None
    )
    page.on("websocket", lambda socket: _record(socket, frames))

    page.goto(f"{live.origin}/locations/small/jobs/paid/playground")
    page.get_by_role("button", name="Launch Run").click()
    expect(page.get_by_text("a line of the log").first).to_be_visible(timeout=WAIT)
    expect(page.get_by_text("Success", exact=True).first).to_be_visible(timeout=WAIT)
    assert any("pipelineRunLogs" in frame for frame in frames), "the log came over the WebSocket"

    for state in ("RUNNING", "STOPPED"):
        page.goto(f"{live.origin}/automation")
        boxes = page.locator("input[type=checkbox]")
        expect(boxes).to_have_count(3, timeout=WAIT)  # two choose rows; the last is the switch, drawn as a picture
        switch = boxes.last
        _until(page, lambda switch=switch, state=state: _switched(live, switch, state))  # type: ignore[misc]

    runs, made = live.runs(), _materialized(live)
    page.goto(f"{live.origin}/assets/made")
    page.get_by_role("button", name="Materialize").first.click()
    _until(page, lambda: _materialized(live) == made + 1)
    assert live.runs() == runs + 1
    # The asset's page shows the trap of the last test below once it was materialized; everything else is let through.
    assert [line for line in refused if "query=mutation" not in line] == []


def _record(socket: WebSocket, frames: list[str]) -> None:
    socket.on("framereceived", lambda frame: frames.append(str(frame)))


def _switched(site: Site, switch: Locator, state: str) -> bool:
    """Whether the sensor is in this state; switches it where the page does not show that it is being switched."""
    if _sensor_state(site) == state:
        return True
    if switch.is_checked() != (state == "RUNNING"):
        switch.evaluate("box => box.click()")  # it does nothing before the page has the sensor's state
        switch.page.wait_for_timeout(1000)
    return False


def _sensor_state(site: Site) -> str:
    query = (
        '{ sensorOrError(sensorSelector: {repositoryLocationName: "small", repositoryName: "__repository__", '
        'sensorName: "hourly"}) { ... on Sensor { sensorState { status } } } }'
    )
    return str(ask(site, query)["sensorOrError"]["sensorState"]["status"])


def _materialized(site: Site) -> int:
    """How often the asset was materialized."""
    query = '{ assetOrError(assetKey: {path: ["made"]}) { ... on Asset { assetMaterializations { timestamp } } } }'
    return len(ask(site, query)["assetOrError"].get("assetMaterializations", ()))


def _until(page: Page, holds: Any) -> None:
    for _ in range(SECONDS * 5):
        if holds():
            return
        page.wait_for_timeout(200)
    raise AssertionError("it did not happen")


# Pages of others


ATTACK = """<!doctype html><title>a page</title><body><script>
const TARGET = %(target)s, QUERY = %(query)s, BODY = JSON.stringify({query: QUERY});
const address = TARGET + "/graphql?query=" + encodeURIComponent(QUERY);
const done = {};
const noted = (name, work) => work.then(value => done[name] = String(value), error => done[name] = "refused");
const drawn = (tag, url) => new Promise((good, bad) => {
  const part = document.createElement(tag);
  part.onload = () => good("loaded"); part.onerror = () => bad();
  if (tag === "link") { part.rel = "stylesheet"; part.href = url; } else part.src = url;
  document.body.append(part);
});
const form = (enctype, method, action) => new Promise(good => {
  const frame = document.createElement("iframe"); frame.name = "f" + Math.random(); document.body.append(frame);
  const made = document.createElement("form");
  Object.assign(made, {method, enctype, action, target: frame.name});
  const field = document.createElement("input");
  field.name = enctype === "text/plain" ? BODY.slice(0, -1) + ', "x": "' : "query";
  field.value = enctype === "text/plain" ? '"}' : QUERY;
  made.append(field); document.body.append(made);
  frame.onload = () => { if (frame.dataset.sent) good("answered"); };
  frame.dataset.sent = 1; made.submit();
});
const post = (type, mode, url) => fetch(url, {method: "POST", mode, credentials: "include",
  headers: type ? {"Content-Type": type} : {}, body: BODY}).then(answer => answer.text());
const socket = () => new Promise((good, bad) => {
  const made = new WebSocket(TARGET.replace("http", "ws") + "/graphql", "graphql-ws");
  made.onopen = () => good("opened"); made.onerror = () => bad();
});
(async () => {
  await Promise.all([
    noted("image", drawn("img", address)),
    noted("script", drawn("script", address)),
    noted("style", drawn("link", address)),
    noted("get", fetch(address, {mode: "no-cors", credentials: "include"}).then(answer => answer.type)),
    noted("read", fetch(TARGET + "/graphql?query={version}").then(answer => answer.text())),
    noted("plain", post("text/plain; x=application/json", "no-cors", TARGET + "/graphql")),
    noted("address", post("text/plain", "no-cors", address)),
    noted("json", post("application/json", "cors", TARGET + "/graphql")),
    noted("beacon", Promise.resolve(navigator.sendBeacon(TARGET + "/graphql", new Blob([BODY], {type: "text/plain"})))),
    noted("report", post("text/plain", "no-cors", TARGET + "/report_asset_materialization/outside")),
    noted("socket", socket()),
    noted("frame", drawn("iframe", TARGET + "/runs")),
    noted("form", form("application/x-www-form-urlencoded", "POST", address)),
    noted("files", form("multipart/form-data", "POST", address)),
    noted("text form", form("text/plain", "POST", TARGET + "/graphql")),
    noted("get form", form("application/x-www-form-urlencoded", "GET", TARGET + "/graphql")),
  ]);
  window.done = done;
})();
</script>"""


@contextmanager
def page_of_others(target: str) -> Iterator[int]:
    """A page that tries every way, on a port of its own."""
    body = (ATTACK % {"target": json.dumps(target), "query": json.dumps(LAUNCH)}).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def attack(context: BrowserContext, site: Site, host: str) -> dict[str, str]:
    """What a page at this host got of each of its ways."""
    page = context.new_page()
    with page_of_others(site.origin) as port:
        page.goto(f"http://{host}:{port}/")
        page.wait_for_function("window.done")
        found = dict(page.evaluate("window.done"))
        frames = [frame for frame in page.frames if frame.url.startswith(site.origin)]
        found["drawn"] = " ".join(frame.evaluate("document.body.innerText") for frame in frames)
    page.close()
    return found


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", FOREIGN])
def test_pages_of_others_start_and_read_nothing(context: BrowserContext, live: Site, host: str) -> None:
    before = live.runs()
    found = attack(context, live, host)
    assert live.runs() == before
    for way in ("image", "script", "style", "get", "read", "json", "socket"):
        assert found[way] == "refused", (way, found)
    assert "dagster" not in found["drawn"].lower(), "no frame shows the UI"
    assert "LaunchRunSuccess" not in json.dumps(found)


def test_without_the_guard_they_do(context: BrowserContext, live_sites: dict[str, Site]) -> None:
    bare, before = live_sites["bare"], live_sites["bare"].runs()
    attack(context, bare, FOREIGN)
    assert bare.runs() > before


def test_a_name_that_points_here_reads_nothing(context: BrowserContext, live: Site) -> None:
    page, before = context.new_page(), live.runs()
    for path in ("/", "/runs", in_address("{version}"), in_address(LAUNCH)):
        answer = page.goto(f"http://{FOREIGN}:{live.port}{path}")
        assert answer is not None
        assert answer.status == 400
    told = page.evaluate(
        "body => fetch('/graphql', {method: 'POST', headers: {'Content-Type': 'application/json'}, body})"
        ".then(answer => answer.status)",
        json.dumps({"query": LAUNCH}),
    )
    assert told == 400
    assert live.runs() == before


# Markdown inside the UI


def test_markdown_in_the_ui_starts_nothing_and_shows_words_as_words(context: BrowserContext, live: Site) -> None:
    page = context.new_page()
    if not _materialized(live):
        page.goto(f"{live.origin}/assets/made")
        page.get_by_role("button", name="Materialize").first.click()
        _until(page, lambda: _materialized(live))
    before, asked = live.runs(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{live.origin}/assets/made?view=events")
    expect(page.get_by_text("trap").first).to_be_visible(timeout=WAIT)
    strangers = "a[href*=evil], a[href^=mailto], a[href*=graphql], script[src=x], img[src=x]"
    _until(page, lambda: not _missing(page.inner_text("body")))
    assert page.locator(strangers).count() == 0
    pictures = [picture.get_attribute("alt") for picture in page.locator("img[src*=graphql]").all()]
    assert pictures == ["a picture"], "the trap, raw Markdown of another's asset, and no other"
    page.get_by_text("[Show Markdown]").click()  # a table too long to stand in its place
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("tbody tr")).to_have_count(len(HOSTILE))
    assert _missing(dialog.inner_text()) == []
    assert dialog.locator("tbody").locator("a, img, script, del, code, strong, h1, ul, ol").count() == 0
    page.wait_for_load_state("networkidle")
    assert any("mutation" in url for url in asked), (
        "the trap, raw Markdown of another's asset, was asked for its picture"
    )
    assert live.runs() == before


def _missing(shown: str) -> list[str]:
    """The hostile words that do not stand in a text as they were written."""
    shown = " ".join(shown.replace("\u2060", "").split())
    visible = [text.replace("\u202e", "\\u{202e}").replace("\x1b", "\\u{1b}") for text in HOSTILE]
    return [text for text in visible if " ".join(text.split()) not in shown]
