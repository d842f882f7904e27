"""A real browser over a gallery of real files.

The browser is the system's Chromium (Debian's decodes H.264; Playwright's own build does not). Without it, these tests are
skipped, or fail if ``I2V_REQUIRE_BROWSER=1``, which the checks set.
"""

import functools
import http.server
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages; this one has a helper of its own
from sample_bucket import many_entries, write_bucket, write_gallery

ABSENT = "chromium is not installed: the gallery was NOT tested in a browser (apt-get install chromium)"
_absent = pytest.StashKey[bool]()


# Of the file, not of the session: while Playwright is open its event loop counts as running in this thread, and every
# test of another file that starts one of its own would fail.
@pytest.fixture(scope="module")
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    executable = shutil.which("chromium")
    if executable is None:
        request.config.stash[_absent] = True
        if os.environ.get("I2V_REQUIRE_BROWSER") == "1":
            pytest.fail(ABSENT)
        pytest.skip(ABSENT)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield started
        started.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash.get(_absent, False):
        terminalreporter.section("WARNING", sep="!", red=True, bold=True)
        terminalreporter.line(ABSENT, red=True, bold=True)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """A static host with single byte ranges, which browsers request to seek in a video."""

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        wanted = self.headers.get("Range", "")
        if not wanted.startswith("bytes=") or not path.is_file():
            super().do_GET()
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        data = path.read_bytes()
        start, end = int(first or 0), min(int(last or len(data) - 1), len(data) - 1)
        self.send_response(206)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Range", f"bytes {start}-{end}/{len(data)}")
        self.send_header("Content-Length", str(end - start + 1))
        self.end_headers()
        self.wfile.write(data[start : end + 1])


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A local copy of a bucket: 63 clips of every kind, 4 of them with real videos and posters."""
    root = tmp_path_factory.mktemp("bucket")
    write_bucket(root)
    return root


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of 5,000 clips without their videos."""
    root = tmp_path_factory.mktemp("large")
    write_gallery(root, many_entries(5000))
    return root


@pytest.fixture(scope="session")
def host(folder: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/gallery/index.html"
    server.shutdown()
    server.server_close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A desktop page that fails the test on any script error or any request to another place."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    tab = context.new_page()
    problems: list[str] = []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("console", lambda message: problems.append(message.text) if "Content Security" in message.text else None)
    tab.on("request", lambda request: problems.append(request.url) if _outside(request.url) else None)
    yield tab
    context.close()
    assert problems == []


def _outside(url: str) -> bool:
    return not url.startswith(("file:", "http://127.0.0.1:", "data:", "blob:"))
