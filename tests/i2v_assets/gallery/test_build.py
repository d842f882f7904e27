import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from i2v_assets.clip_folder.manifest import Manifest
from i2v_assets.clip_folder.notes import failed, refused, waiting
from i2v_assets.gallery.build import PAGE_SIZE, STATIC, build_gallery, content_type
from i2v_assets.gallery.entries import (
    GalleryEntry,
    GalleryTake,
    Paid,
    Status,
    TakeCost,
    entry_of_answer,
    entry_of_manifest,
)
from resources.ledger.records import Money
from resources.problem import Problem
from resources.redact import looks_secret
from resources.schemas.inputs import Route
from resources.wait_reason import WaitReason

NOW = datetime(2026, 3, 31, 23, 30, tzinfo=UTC)
MANIFEST = Manifest.model_validate(
    {
        "clip": "hero", "take": 2, "service": "sandbox", "route": "animate", "family": "f", "model_id": "m", "prompt": "p",
        "seed": 5, "duration": 5, "resolution": "720p", "fingerprint": "f" * 64, "price_microdollars": 7,
        "times": {"created": NOW, "delivered": NOW},
        "video": {"key": "videos/x.mp4", "sha256": "a" * 64, "size_bytes": 1, "width": 2, "height": 1, "seconds": 5.0},
        "other_takes": ({"take": 1, "fingerprint": "e" * 64, "seed": 4, "video_key": "videos/y.mp4"},),
        "queue_seconds": 3.4,
    }
)  # fmt: skip
EVIL = "</script><script>alert(1)</script>\u2028<img src=x onerror=alert(1)>"


def _entry(clip: str = "hero", **changes: Any) -> GalleryEntry:
    plain = GalleryEntry(
        clip, Status.DELIVERED, NOW - timedelta(hours=1), route=Route.ANIMATE, cost_microdollars=900_000
    )
    return replace(plain, **changes)


def _data(files: dict[str, bytes], name: str) -> Any:
    text = files[f"data/{name}.js"].decode("ascii")
    found = re.fullmatch(r'I2V\.put\("([a-z0-9-]+)",(.*)\);\n', text, re.DOTALL)
    assert found is not None
    assert found[1] == name
    return json.loads(found[2])


def test_an_empty_bucket_has_a_gallery() -> None:
    files = build_gallery([], NOW)
    assert set(files) == {*STATIC, "data/index.js", "data/prompts.js"}
    assert _data(files, "index")["rows"] == []


def test_each_file_has_a_type() -> None:
    assert {content_type(name).split(";")[0] for name in build_gallery([_entry()], NOW)} == {
        "text/html",
        "text/css",
        "text/javascript",
    }


def test_the_same_clips_give_the_same_bytes_in_any_order() -> None:
    entries = [_entry(f"c{number}", prompt="p") for number in range(30)]
    assert build_gallery(entries, NOW) == build_gallery(reversed(entries), NOW)


def test_rows_are_newest_first_and_details_are_in_the_expected_pages() -> None:
    entries = [_entry(f"c{n:04d}", moment=NOW - timedelta(minutes=n), prompt=f"p{n % 3}") for n in range(250)]
    files = build_gallery(entries, NOW)
    rows = _data(files, "index")["rows"]
    assert [row[0] for row in rows] == [f"c{n:04d}" for n in range(250)]
    for at, row in enumerate(rows):
        assert row[0] in _data(files, f"page-{at // PAGE_SIZE:03d}")
    assert _data(files, "prompts") == ["p0", "p1", "p2"]


def test_the_index_of_5000_clips_stays_small_and_prompts_stay_out_of_it() -> None:
    entries = [_entry(f"shoes--{n:04d}", prompt=f"{n} " + "word " * 80) for n in range(5000)]
    files = build_gallery(entries, NOW)
    assert len(files["data/index.js"]) < 700_000
    assert b"word word" not in files["data/index.js"]
    assert max(len(data) for name, data in files.items() if "page-" in name) < 150_000


def test_texts_cannot_leave_their_script() -> None:
    entry = _entry(
        EVIL, prompt=EVIL, reasons=(EVIL,), media=(EVIL,), facts=(("x", EVIL),), problems=(Problem(EVIL, EVIL, EVIL),)
    )
    files = build_gallery([entry], NOW)
    for name, data in files.items():
        if name.startswith("data/"):
            assert b"<" not in data
            assert b"\xe2\x80\xa8" not in data
    assert files["index.html"].count(b"<script") == len([name for name in STATIC if name.endswith(".js")]) + 1
    assert _data(files, "prompts") == [EVIL]


@pytest.mark.parametrize(
    ("key", "link"),
    [
        ("clips/hero/", "../clips/hero/"),
        ("clips/a b?#%/", "../clips/a%20b%3F%23%25/"),
        ("javascript:alert(1)//", "../javascript%3Aalert%281%29//"),
        ('clips/"x"/', "../clips/%22x%22/"),
    ],
)
def test_links_are_relative_and_quoted(key: str, link: str) -> None:
    assert _data(build_gallery([_entry(folder_key=key)], NOW), "index")["rows"][0][13] == link


def test_days_are_the_projects_days() -> None:
    late = _entry(moment=datetime(2026, 3, 31, 23, 15, tzinfo=UTC))
    paid = [Paid(date(2026, 3, 31), "runcomfy", 900_000)]
    berlin = _data(build_gallery([late], NOW, paid=paid, zone=ZoneInfo("Europe/Berlin")), "index")
    assert berlin["rows"][0][3] == "2026-04-01 01:15"
    assert berlin["chart"][-2:] == [["2026-03-31", 900_000, 0], ["2026-04-01", 0, 0]]
    assert berlin["made"] == "2026-04-01 01:30"
    assert _data(build_gallery([late], NOW, paid=paid), "index")["chart"][-1] == ["2026-03-31", 900_000, 0]


def test_money_is_the_ledgers_and_play_money_apart() -> None:
    entries = [_entry("a"), _entry("same-inputs"), _entry("b", service="sandbox"), _entry("c", status=Status.WAITING)]
    days = [NOW.date(), NOW.date() - timedelta(days=40)]
    paid = [*(Paid(day, "runcomfy", 900_000) for day in days), Paid(days[0], "sandbox", 300_000)]
    index = _data(build_gallery(entries, NOW, paid=paid), "index")
    assert index["totals"]["paid"] == 1_800_000
    assert index["totals"]["play"] == 300_000
    assert index["totals"]["sandbox"] == 1
    assert index["chart"][-1] == ["2026-03-31", 900_000, 300_000]
    assert sum(day[1] for day in index["chart"]) == 900_000
    assert len(index["chart"]) == 30


def test_a_clip_costs_what_its_takes_cost_each_once() -> None:
    manifest = MANIFEST.model_copy(update={"cost_microdollars": 1_000_000, "other_takes": MANIFEST.other_takes * 2})
    costs = {"e" * 64: TakeCost(400_000), "f" * 64: TakeCost(1_100_000), "0" * 64: TakeCost(5)}
    assert entry_of_manifest(manifest, costs=costs).cost_microdollars == 1_500_000
    assert not entry_of_manifest(manifest, costs=costs).estimated
    costs["e" * 64] = TakeCost(450_000, estimated=True)
    assert entry_of_manifest(manifest, costs=costs).cost_microdollars == 1_550_000
    assert entry_of_manifest(manifest, costs=costs).estimated
    assert entry_of_manifest(manifest).cost_microdollars == manifest.cost_microdollars


def test_notes_become_entries() -> None:
    problem = Problem("too wide", "aspect to 2.5", "crop it")
    for answer, status in (
        (refused("a", [problem]), Status.REFUSED),
        (failed("a", problem, Money(sent=True), reason=WaitReason.RETRY), Status.FAILED),
        (waiting("a", problem, Money(), reason=WaitReason.BUDGET), Status.WAITING),
    ):
        entry = entry_of_answer("a", answer, NOW)
        assert entry.status is status
        files = build_gallery([entry], NOW)
        details = _data(files, "page-000")["a"]
        assert details["problems"] == [["too wide", "aspect to 2.5", "crop it"]]
        assert details["note"] == f"../clips/a/{answer.kind.value}"
        assert _data(files, "index")["rows"][0][14:] == ["too wide", "crop it", ""]


def test_addresses_in_messages_are_removed() -> None:
    secret = "see https://b.example/k?X-Amz-Signature=00 there"
    answer = failed("a", Problem(secret, secret, secret), Money(), reason=WaitReason.NEVER)
    files = build_gallery([entry_of_answer("a", answer, NOW), _entry("b", findings=(secret,), reasons=(secret,))], NOW)
    for name, data in files.items():
        if name.startswith("data/"):
            assert not looks_secret(data.decode())


def test_languages_of_a_group_are_side_by_side() -> None:
    en = _entry("hello--en", dub_group="hello", language="en")
    fr = _entry("hello--fr", dub_group="hello", language="fr", status=Status.WAITING)
    other = _entry("bye--en", dub_group="bye", language="en")
    page = _data(build_gallery([fr, other, en], NOW), "page-000")
    expected = [["en", "hello--en", "../clips/hello--en/video.mp4"], ["fr", "hello--fr", ""]]
    assert page["hello--en"]["languages"] == page["hello--fr"]["languages"] == expected
    assert len(page["bye--en"]["languages"]) == 1


def test_a_manifest_becomes_an_entry() -> None:
    entry = entry_of_manifest(MANIFEST)
    assert entry.takes == (GalleryTake(1, 4, "videos/y.mp4"), GalleryTake(2, 5, "videos/x.mp4", None, chosen=True))
    assert (entry.cost_microdollars, entry.estimated) == (7, True)
    assert ("In the queue", "3 s") in entry.facts
    row = _data(build_gallery([entry], NOW), "index")["rows"][0]
    assert row[5] & 1, "a sandbox clip is marked"
    assert row[10] == 2


def test_no_static_file_names_an_outside_address() -> None:
    for name in STATIC:
        text = build_gallery([], NOW)[name].decode()
        assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text) == [], name
        assert "innerHTML" not in text
        assert "fetch(" not in text
