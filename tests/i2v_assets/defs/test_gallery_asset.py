"""The gallery asset over a bucket in which clips were really made, opened in a real browser."""

import json
import os
import shutil
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect, sync_playwright

from i2v_assets.defs import gallery_sensor
from i2v_assets.gallery.build import build_gallery
from resources.ledger.ledger import Ledger
from resources.ledger.tables import submissions
from resources.registry.registry import Registry
from resources.settings import load_settings


def _copy(world: Any, folder: Path) -> Path:
    for found in world.bucket.list():
        if found.key.startswith(("gallery/", "clips/", "videos/")):
            world.bucket.download(found.key, folder / found.key)
    return folder


@pytest.fixture
def made(world: Any, samples: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A portrait in two languages, a refused upload, a clip that waits for approval, and an upload of an unknown type."""
    monkeypatch.setenv("I2V_MEASURE", "false")
    short = "duration: 2\nresolution: 720p\n"
    world.put(
        "uploads/hello/brief.yaml", f"images: a.png\nprompt: She says hello\ndub: {{en: en.wav, de: de.wav}}\n{short}"
    )
    world.put("uploads/hello/a.png", samples / "portrait.png")
    for language in ("en", "de"):
        world.put(f"uploads/hello/{language}.wav", samples / "voiceover-de.wav")
    world.put("uploads/bad.jpg", b"no picture at all")
    world.put("uploads/later/brief.yaml", "images: a.webp\nprompt: Slow push in\nneeds_approval: true\n")
    world.put("uploads/later/a.webp", samples / "product.webp")
    world.put("uploads/notes.xyz", "what is this")
    assert all(run.success for run in world.tick("uploads"))
    return world


def test_every_clip_is_on_the_page_and_only_news_is_read(made: Any, tmp_path: Path) -> None:
    made.run("gallery_job")
    first = made.metadata("gallery")
    assert (first["clips"], first["delivered"], first["refused"], first["waiting"]) == (5, 2, 2, 1)
    assert first["documents_read"] == 4  # two manifests and two plans: no note is read back
    assert first["language_sheets"] == 1
    assert made.bucket.read("clips/hello/languages.jpg")[:2] == b"\xff\xd8"
    answer = made.bucket._client.head_object(Bucket=made.bucket.name, Key="gallery/index.html")
    assert answer["CacheControl"] == "no-cache"

    made.run("gallery_job")
    again = made.metadata("gallery")
    assert again["clips"] == 5
    assert again["documents_read"] == 0
    assert again["files_written"] <= 2  # the page and its index tell when they were made

    made.bucket.write("gallery/data/page-007.js", b"I2V.put()", "text/javascript")
    made.bucket.write("gallery/_seen.json.gz", b"damaged", "application/gzip")
    made.run("gallery_job")
    assert made.bucket.head("gallery/data/page-007.js") is None
    assert made.metadata("gallery")["documents_read"] == first["documents_read"]

    _look(_copy(made, tmp_path))


@pytest.mark.parametrize("change", ["money", "video", "page"])
def test_with_nothing_new_only_the_time_is_written(made: Any, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    for _ in range(2):  # the first also wrote the sheet of languages beside the clips
        made.run("gallery_job")
    first, before = made.metadata("gallery"), _index(made)
    built: list[bool] = []

    def counted(*given: Any, **named: Any) -> Any:
        built.append(True)
        return build_gallery(*given, **named)

    monkeypatch.setattr("i2v_assets.gallery.build.build_gallery", counted)
    monkeypatch.setattr("i2v_assets.gallery.build._made", lambda *_: "2031-01-02 03:04")
    made.run("gallery_job")
    assert built == []
    assert _index(made) == {**before, "made": "2031-01-02 03:04"}
    same = ("clips", "delivered", "refused", "waiting", "bytes")
    assert [made.metadata("gallery")[name] for name in same] == [first[name] for name in same]
    match change:
        case "money":
            with Ledger.open(load_settings().ledger_address) as ledger, ledger.database.write() as connection:
                connection.execute(submissions.update().values(cost_microdollars=7))
        case "video":
            made.bucket.delete_many(["clips/hello--en/video.mp4"])
        case "page":
            made.bucket.delete_many(["gallery/data/page-000.js"])
    made.run("gallery_job")
    assert built == [True]


def _index(world: Any) -> dict[str, Any]:
    text = world.bucket.read("gallery/data/index.js").decode()
    found: dict[str, Any] = json.loads(text.removeprefix('I2V.put("index",').removesuffix(");\n"))
    return found


def _row(index: dict[str, Any], clip: str) -> list[Any]:
    found = [row for row in index["rows"] if row[0] == clip]
    assert len(found) == 1, f"{clip} is shown {len(found)} times"
    return found[0]


def test_money_is_what_the_ledger_paid_and_a_delivered_clip_stays(
    world: Any, samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("I2V_MEASURE", "false")
    monkeypatch.setenv("I2V_PREVIEWS", "false")
    brief = "images: a.jpg\nprompt: Slow push in\nresolution: 720p\nduration: 3\n"
    world.put("uploads/hero/brief.yaml", brief + "takes: 2\n")
    world.put("uploads/hero/a.jpg", samples / "pet.jpg")
    world.tick("uploads")
    world.put("uploads/same/brief.yaml", brief + "takes: 2\n")  # the same inputs under another name: paid already
    world.put("uploads/same/a.jpg", samples / "pet.jpg")
    world.tick("uploads")
    with Ledger.open(load_settings().ledger_address) as ledger:
        costs = [row.cost_microdollars or 0 for row in ledger.list()]
        assert len(costs) == 2
    world.run("gallery_job")
    index = _index(world)
    assert index["totals"]["play"] == sum(costs) == sum(day[2] for day in index["chart"])
    assert index["totals"]["paid"] == 0
    assert _row(index, "hero")[4] == _row(index, "same")[4] == sum(costs)  # both takes, as each of the clips has them

    for reason, changed in (
        ("waiting", brief + "needs_approval: true\nseed: 4\n"),
        ("refused", brief.replace("duration: 3", "duration: 900")),
    ):
        world.put("uploads/hero/brief.yaml", changed)
        world.tick("uploads")
        assert world.bucket.head(f"clips/hero/{reason.upper()}.txt") is not None
        world.run("gallery_job")
        index = _index(world)
        shown = _row(index, "hero")
        assert index["statuses"][shown[1]] == "delivered"
        assert shown[4] == sum(costs)
        assert shown[14], "and why it is out of date"
        assert index["totals"]["play"] == sum(costs)
        page = world.bucket.read("gallery/data/page-000.js").decode()
        assert f"../clips/hero/{reason.upper()}.txt" in page
    world.bucket.delete_many(["clips/hero/video.mp4"])
    world.run("gallery_job")
    index = _index(world)
    assert index["statuses"][_row(index, "hero")[1]] == "refused"


def _status(index: dict[str, Any], clip: str) -> str:
    return str(index["statuses"][_row(index, clip)[1]])


def test_what_is_under_way_and_what_asks(made: Any, samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings()
    with Ledger.open(settings.ledger_address) as ledger:
        registry = Registry(ledger.database)
        assert made.bucket.head("clips/later/source.jpg") is not None, "a picture of what waits for a person"
        waiting = registry.get("later")
        assert waiting is not None
        made.run("gallery_job")
        shown = _row(_index(made), "later")
        assert shown[16].startswith("i2v approve ")
        assert shown[16].removeprefix("i2v approve ") in made.bucket.read("clips/later/plan.json").decode()
        assert shown[4] == waiting.price_microdollars
        assert shown[5] & 32, "it has a picture"

        registry.enqueue(["later"])
        monkeypatch.setenv("I2V_SETTLE_SECONDS", "60")
        made.put("uploads/fresh.jpg", samples / "pet.jpg")
        made.run("gallery_job")
        index = _index(made)
        assert (_status(index, "later"), _status(index, "fresh")) == ("working", "settling")
        assert "left when this page was made" in _row(index, "fresh")[15]


def test_the_page_follows_each_change_and_rests_between(
    world: Any, samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("I2V_MEASURE", "false")
    monkeypatch.setenv("I2V_REQUIRE_APPROVAL", "true")
    follow = "gallery_follows"
    (built,) = world.tick(follow)
    assert built.success, "the page was missing"
    assert world.tick(follow) == [], "nothing has changed"

    world.put("uploads/hero.jpg", samples / "pet.jpg")
    world.tick("uploads")
    assert world.tick(follow) == [], "it has been built just now"
    monkeypatch.setattr(gallery_sensor, "PAUSE", timedelta(0))
    monkeypatch.setattr(gallery_sensor, "SHARE", 0)
    assert len(world.tick(follow)) == 1
    assert _status(_index(world), "hero") == "waiting"
    assert world.tick(follow) == []

    world.bucket.delete_many(["gallery/index.html"])
    assert len(world.tick(follow)) == 1, "the page is missing"


def _look(folder: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None and os.environ.get("I2V_REQUIRE_BROWSER") != "1":
        warnings.warn("chromium is not installed: the gallery was NOT opened in a browser", stacklevel=1)
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto((folder / "gallery/index.html").as_uri())
        expect(page.locator("#count")).to_have_text("5 clips")
        expect(page.locator('.card[data-clip="bad"]')).to_contain_text("bad.jpg")
        expect(page.locator('.card[data-clip="bad"]')).to_contain_text("Upload a JPEG")
        expect(page.locator('.card[data-clip="notes.xyz"]')).to_contain_text("unknown type")
        expect(page.locator('.card[data-clip="later"]')).to_contain_text("i2v approve")
        page.locator('[data-clip="hello--en"] .media').hover()
        page.wait_for_function("() => document.querySelector('[data-clip=\"hello--en\"] video')?.currentTime > 0.15")
        page.screenshot(path=folder / "gallery.png")
        page.get_by_role("button", name="hello--en", exact=True).click()
        expect(page.locator(".tile figcaption strong")).to_have_text(["de", "en"])
        page.screenshot(path=folder / "languages.png")
        browser.close()
