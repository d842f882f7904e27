"""Films beside clips in the gallery: they play, link to their shots, and can be searched, filtered and opened like clips."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sample_bucket import write_films

PLAYS = "selector => { const v = document.querySelector(selector); return v && v.currentTime > 0.15 && !v.paused }"
FILM = '[data-clip="film:harbour"]'


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("films")
    write_films(root)
    return root


@pytest.fixture
def opened(page: Page, films: Path) -> Page:
    page.goto((films / "gallery/index.html").as_uri())
    expect(page.locator("#count")).to_have_text("5 clips and films")
    return page


def _picture(page: Page, name: str) -> None:
    """A screenshot for people, in the folder that I2V_SCREENSHOTS names."""
    folder = os.environ.get("I2V_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_a_film_has_a_poster_and_plays(opened: Page) -> None:
    card = opened.locator(FILM)
    expect(card.locator(".badge.film")).to_have_text("Film")
    expect(card.locator(".length")).to_contain_text("1:15")
    assert card.locator(".media img").evaluate("image => image.naturalWidth") == 640
    assert "/sequences/harbour/poster.jpg" in card.locator(".media img").evaluate("image => image.src")
    card.locator(".media").hover()
    opened.wait_for_function(PLAYS, arg=f"{FILM} video")
    _picture(opened, "films")


def test_its_price_is_that_of_its_shots_and_counts_once(opened: Page) -> None:
    expect(opened.locator(FILM).locator(".price")).to_have_text("$1.45")  # 0.30 + 0.437 + 0.711
    totals = opened.locator("#totals")
    expect(totals).to_contain_text("Films2")
    expect(totals).to_contain_text("Delivered3")
    expect(totals).to_contain_text("Paid$1.31")  # the three clips: 0.30 + 0.437 + 0.574


def test_a_film_leads_to_its_shots_and_a_clip_to_its_films(opened: Page) -> None:
    opened.locator(f"{FILM} .name").click()
    dialog = opened.get_by_role("dialog", name="harbour")
    opened.wait_for_selector("video.big")
    opened.evaluate("document.querySelector('video.big').play()")
    opened.wait_for_function(PLAYS, arg="video.big")
    expect(dialog.locator(".shots li")).to_have_count(3)
    expect(dialog.locator(".shots li").nth(1)).to_contain_text("quay4.5 s, crossfade 0.5 s$0.44")
    expect(dialog.locator(".shots li").nth(2).get_by_role("button")).to_have_count(0)  # gone: named, and no way to it
    expect(dialog).to_contain_text("Paid for its shots")
    expect(dialog.get_by_role("link", name="Manifest")).to_have_attribute("href", "../sequences/harbour/manifest.json")
    _picture(opened, "film")
    dialog.get_by_role("button", name="quay").click()
    clip = opened.get_by_role("dialog", name="quay")
    expect(clip.locator("h3", has_text="Part of")).to_be_visible()
    clip.get_by_role("button", name="voyage").click()
    waiting = opened.get_by_role("dialog", name="voyage")
    expect(waiting).to_contain_text("Shot 2 (voyage--02) is being made.")
    expect(waiting.locator(".shots li")).to_have_text(["quaydelivered$0.44", "voyage--02working$0.50"])
    expect(waiting).to_contain_text("Its shots, about")


def test_films_can_be_filtered_and_searched(opened: Page) -> None:
    films = opened.get_by_role("button", name="Films 2")
    films.click()
    expect(opened.locator("#count")).to_have_text("2 of 5 clips and films")
    expect(opened.get_by_role("button", name="Waiting")).to_contain_text("1")
    opened.get_by_role("button", name="Waiting").click()
    expect(opened.locator(".card")).to_have_count(1)
    expect(opened.locator('[data-clip="film:voyage"]')).to_contain_text("about $0.94")
    assert "kind=film" in opened.url
    opened.reload()
    expect(opened.locator("#count")).to_have_text("1 of 5 clips and films")
    opened.get_by_role("button", name="Clear filters").click()
    opened.get_by_role("button", name="Clips 3").click()
    expect(opened.locator(".badge.film")).to_have_count(0)
    opened.get_by_role("button", name="Clear filters").click()
    search = opened.get_by_role("searchbox")
    search.fill("voyage--02")
    expect(opened.locator("#count")).to_have_text("1 of 5 clips and films")
    search.fill("soft studio light")  # the prompt of a shot: the clip and the film of it
    expect(opened.locator("#count")).to_have_text("2 of 5 clips and films")
    expect(opened.locator(FILM)).to_be_visible()


def test_the_keyboard_reaches_a_film_and_its_shots(opened: Page) -> None:
    opened.keyboard.press("/")
    opened.keyboard.press("Tab")
    expect(opened.get_by_role("button", name="Clips 3")).to_be_focused()
    opened.keyboard.press("Tab")
    opened.keyboard.press("Space")
    expect(opened.locator("#count")).to_have_text("2 of 5 clips and films")
    opened.locator(f"{FILM} .name").focus()
    opened.keyboard.press("Enter")
    dialog = opened.get_by_role("dialog", name="harbour")
    expect(dialog.locator(".shots")).to_be_visible()
    opened.keyboard.press("ArrowRight")
    expect(opened.get_by_role("dialog", name="voyage")).to_be_visible()
    opened.keyboard.press("ArrowLeft")
    dialog.locator(".shots button").first.focus()
    opened.keyboard.press("Enter")
    expect(opened.locator(".details header .badge.film")).to_have_count(0)  # the clip of the same name
    assert opened.url.endswith("clip=harbour")
    opened.keyboard.press("Escape")
    expect(opened.get_by_role("dialog")).to_have_count(0)


def test_a_shared_address_opens_the_film_and_not_the_clip_of_its_name(page: Page, films: Path) -> None:
    page.goto((films / "gallery/index.html").as_uri() + "#clip=film%3Aharbour")
    expect(page.get_by_role("dialog", name="harbour").locator(".badge.film")).to_be_visible()


def test_a_bucket_without_films_shows_no_chips_for_them(page: Page, folder: Path) -> None:
    page.goto((folder / "gallery/index.html").as_uri())
    expect(page.locator("#count")).to_have_text("63 clips")
    expect(page.locator("#kinds")).to_be_hidden()
