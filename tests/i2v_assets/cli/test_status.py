"""`i2v status` before there is a video: what is uploaded, settles and waits, in this machine's time."""

import re
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from resources.ledger.records import utc_now
from resources.registry.tables import clips

BRIEF = b"prompt: Slow push in\nresolution: 720p\n"
FILM = b"shots:\n  - {image: uploads/hero/image.jpg, prompt: Slow push in}\n  - {clip: hero}\n"


def clip(world, name: str = "hero", brief: bytes = BRIEF) -> None:
    world.upload(f"{name}/image.jpg", world.image(f"{name}.jpg").read_bytes())
    world.upload(f"{name}/brief.yaml", brief)


def words(text: str) -> str:
    return " ".join(text.split())


def test_an_upload_that_settles_is_counted_with_the_seconds_left(world, monkeypatch):
    monkeypatch.setenv("I2V_SETTLE_SECONDS", "300")
    world.upload("shoe.jpg", world.image().read_bytes())
    shown = words(world("status").out)
    left = re.search(r"1 settling, (\d+) s left", shown)
    assert left is not None, shown
    assert 200 < int(left[1]) <= 301
    (found,) = world("status", "--json").json["under_way"]
    assert (found["name"], found["state"]) == ("shoe", "settling")
    with world.session() as (_, registry):
        assert registry.list() == (), "to look registers nothing"


def test_an_upload_that_is_complete_or_under_way_is_shown_too(world):
    clip(world)
    world.upload("campaign/_uploading-1.json", b'{"files": ["a.jpg"]}')
    states = {each["name"]: each["state"] for each in world("status", "--json").json["under_way"]}
    assert states == {"hero": "found", "uploads/campaign/": "uploading"}
    assert "1 uploading, 1 found" in words(world("status").out)
    world.bucket.delete("uploads/campaign/_uploading-1.json")
    world.admit()
    assert "under_way" not in world("status", "--json").json


def test_prices_are_those_of_all_takes(world):
    clip(world, brief=BRIEF + b"takes: 3\n")
    world.make("hero")
    shown = world("status", "--json").json["clips"][0]
    assert (shown["takes"], shown["price_of_all_takes_microdollars"]) == (3, 3_000_000)
    assert shown["paid_microdollars"] == 3_000_000
    told = words(world("status").out)
    assert "$3.00 $3.00" in told
    assert "Paid for these clips, all takes: $3.00." in told


def test_what_is_not_listed_is_counted_and_added_up(world):
    for name in ("first", "second", "third"):
        clip(world, name)
        world.make(name)
    ran = world("status", "--limit", "1")
    told = words(ran.out)
    assert ("third" in told, "first" in told, "second" in told) == (True, False, False)
    assert "3 delivered" in told
    assert "Paid for these clips, all takes: $3.00." in told
    assert "The newest 1 of 3;" in ran.err
    found = world("status", "--json", "--limit", "2").json
    assert ([each["clip"] for each in found["clips"]], found["counts"]) == (["second", "third"], {"delivered": 3})
    assert "Paid" not in world("status", "--state", "failed").out


def test_among_many_objects_what_settles_is_shown_with_all(world, monkeypatch):
    monkeypatch.setattr("i2v_assets.cli.status_overview.MOST_AT_A_GLANCE", 1)
    clip(world)
    ran = world("status")
    assert "More than 1 objects lie below uploads/" in words(ran.err)
    assert "`i2v status --all` shows it up to 20,000" in words(ran.err)
    assert "1 found" in words(world("status", "--all").out)


def test_times_are_this_machine_s(world, monkeypatch):
    clip(world)
    world.admit()
    monkeypatch.setenv("TZ", "XYZ-05:30")
    time.tzset()
    try:
        assert " XYZ" in world("status").out
        assert " XYZ" in world("status", "hero").out
    finally:
        monkeypatch.undo()
        time.tzset()


def test_old_refusals_are_shown_with_all(world):
    world.upload("broken.jpg", b"no image at all")
    world.make("broken")
    with world.session() as (ledger, _), ledger.database.write() as connection:
        connection.execute(sa.update(clips).values(updated_at=utc_now() - timedelta(days=2)))
    told = world("status").out
    assert "broken.jpg is not" not in words(told)
    assert "1 older refusal left out: `i2v status --all`" in told
    for more in (("--all",), ("--state", "refused")):
        assert "broken.jpg is not" in words(world("status", *more).out)


def test_a_wait_for_the_budget_says_when_it_ends(world, monkeypatch):
    clip(world)
    clip(world, "later")
    monkeypatch.setenv("I2V_SANDBOX_BUDGET_USD_PER_DAY", "1.5")
    monkeypatch.setenv("I2V_TIMEZONE", "Asia/Kathmandu")
    world.make("hero")
    world.make("later")
    told = words(world("status").out)
    assert "The day's budget starts anew at" in told, told
    assert re.search(r"anew at \d{4}-\d\d-\d\d 18:15 UTC", told), told


def test_a_film_has_a_status_and_can_be_fetched(world):
    clip(world)
    world.bucket.write("sequences/spring.yaml", FILM, "application/yaml")
    assert "1 film" in world("status").out
    assert world("status", "--json").json["films"][0]["state"] == "found"
    assert "spring" in world("status", "spring").out
    assert world("fetch", "spring", "--output-dir", "got").code == 75
    world.bucket.write("sequences/spring/video.mp4", b"film", "video/mp4")
    assert world("status", "spring", "--json").json["state"] == "joined"
    ran = world("fetch", "spring", "--output-dir", "got")
    assert (ran.code, ran.out) == (0, "got/spring.mp4\n")
    assert (world.folder / "got" / "spring.mp4").read_bytes() == b"film"
    assert world("status", "autumn").code == 64


def test_watch_shows_changes_until_ctrl_c(world):
    process = world.start("status", "--watch")
    try:
        assert process.stdout is not None
        assert "No clips yet" in process.stdout.readline()
        clip(world)
        world.admit()
        assert any("hero" in process.stdout.readline() for _ in range(10))
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in err) == (0, False), err


@pytest.mark.parametrize("more", [("--watch", "--json"), ("--limit", "0")])
def test_what_does_not_fit_together_is_refused(world, more):
    assert world("status", *more).code == 64


def test_the_version(world):
    ran = world("--version")
    assert ran.code == 0
    assert re.fullmatch(r"i2v-assets \d+\.\d+\.\d+\S*\n", ran.out)


def test_names_of_clips_are_completed_and_nothing_is_made_for_that(world, monkeypatch):
    for name in ("hero", "hero-2", "shoe"):
        clip(world, name)
    world.admit()
    monkeypatch.setenv("_I2V_COMPLETE", "complete_bash")
    for command in ("status", "retake"):
        monkeypatch.setenv("COMP_WORDS", f"i2v {command} her")
        monkeypatch.setenv("COMP_CWORD", "2")
        assert world.process().out.split() == ["hero", "hero-2"], command
    monkeypatch.setenv("I2V_DATA_DIR", str(world.folder / "new"))
    ran = world.process()
    assert (ran.out.split(), (world.folder / "new").exists()) == ([], False), ran.err


def test_a_reader_that_has_enough_is_no_error(world):
    clip(world)
    world.admit()
    command = f"'{Path(sys.executable).with_name('i2v')}' status | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert "Ledger:" in done.stderr
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
