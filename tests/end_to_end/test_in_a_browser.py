"""Dagster's own UI in a real browser: what a person sees of a clip without clicking.

As for the gallery's tests, the browser is the system's Chromium; without one the test is skipped, or fails with
``I2V_REQUIRE_BROWSER=1``, as the checks set it.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from i2v_assets.cli.dev.dagster import answers
from i2v_assets.partition_page import NOT_MADE
from resources.devservers.start import ChildProcess, free_port

ABSENT = "chromium is not installed: Dagster's UI was NOT looked at in a browser (apt-get install chromium)"
SECONDS = 90
"""The web server and its code server take 8 s to come up on two idle cores."""


@pytest.fixture(scope="module")
def chromium() -> str:
    executable = shutil.which("chromium")
    if executable is None:
        (pytest.fail if os.environ.get("I2V_REQUIRE_BROWSER") == "1" else pytest.skip)(ABSENT)
    return str(executable)


@contextmanager
def browser_page(executable: str) -> Iterator[Page]:
    """A page, started only after the runs: Playwright keeps an event loop in this thread, and a step brings its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1280, "height": 900})
        browser.close()


@pytest.fixture
def ui(stage, tmp_path: Path) -> Iterator[str]:
    """The web server over the test's instance."""
    port = free_port()
    workspace = tmp_path / "workspace.yaml"
    workspace.write_text(
        "load_from: [{python_module: {module_name: i2v_assets.definitions, location_name: i2v_assets}}]\n"
    )
    arguments = ["-m", "i2v_assets.webserver", "-w", str(workspace), "-p", str(port)]
    with ChildProcess([sys.executable, *arguments], log=tmp_path / "ui.log") as server:
        server.wait_until(lambda: answers(port), seconds=SECONDS, what="Dagster's web server")
        yield f"http://127.0.0.1:{port}"


def test_a_clip_s_page_shows_its_picture_and_a_refusal_shows_the_remedy(stage, chromium: str, ui: str) -> None:
    stage.set_variable("I2V_PREVIEWS", "true")
    stage.set_variable("I2V_VIDEO_LINK_BASE", "http://127.0.0.1:9/")
    stage.upload("pet.jpg", Path("pet.jpg"))
    stage.make()
    stage.upload("torn.jpg", b"no picture")  # in a run of its own: the page opens with the latest evaluation
    stage.make()
    assert stage.delivered() == {"pet"}

    with browser_page(chromium) as page:
        page.goto(f"{ui}/assets/clip_video?view=partitions&partition=pet")
        link = page.get_by_role("link", name="first look at pet")
        picture = link.get_by_role("img")
        expect(picture).to_be_visible(timeout=SECONDS * 1000)
        assert picture.evaluate("image => image.naturalWidth") > 40, "it is decoded, not a broken picture"
        assert link.get_attribute("href") == "http://127.0.0.1:9/clips/pet/video.mp4"
        expect(page.get_by_text("Unsynced")).to_have_count(0)
        expect(page.get_by_text("Join the Dagster community")).to_have_count(0)

        expect(page.get_by_text("Materialized", exact=True)).to_be_visible()
        expect(page.get_by_text("Latest materialization")).to_be_visible()

        page.goto(f"{ui}/assets/clip_plan?view=checks")
        expect(page.get_by_text("Upload a JPEG, PNG or WebP image")).to_be_visible(timeout=SECONDS * 1000)


def test_the_page_of_a_clip_without_a_video_says_why_in_place(stage, chromium: str, ui: str) -> None:
    stage.upload("torn.jpg", b"no picture")
    stage.make()
    stage.fault(where="submit", kind="failed_result", message="The worker ran out of memory.")
    stage.upload("failing.jpg", Path("pet.jpg"))
    stage.make()
    stage.set_variable("I2V_REQUIRE_APPROVAL", "true")
    stage.upload("asked.jpg", Path("pet.jpg"))
    stage.make()
    assert stage.delivered() == set()

    said = {"torn": "Upload a JPEG", "failing": "ran out of memory", "asked": "i2v approve"}
    with browser_page(chromium) as page:
        for clip, words in said.items():
            page.goto(f"{ui}/assets/clip_video?view=partitions&partition={clip}")
            expect(page.get_by_text(words).first).to_be_visible(timeout=SECONDS * 1000)
            expect(page.get_by_text("Latest observation")).to_be_visible()
            expect(page.get_by_text(NOT_MADE, exact=True)).to_be_visible()
            expect(page.get_by_text("Materialized", exact=True)).to_have_count(0)  # nothing says that there is a video
