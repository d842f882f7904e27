import hashlib
import json
from pathlib import Path

import dagster as dg
import pytest

from i2v_assets.clip_folder.manifest import read_manifest
from i2v_assets.definitions import defs
from i2v_assets.films.join import join_film
from i2v_assets.films.scan import scan_film
from resources.ledger.records import State
from resources.registry.registry import ClipState
from resources.settings import load_settings

BRIEF = b"prompt: Slow push in\nresolution: 720p\n"


def clip(world, name="hero", brief=BRIEF):
    world.upload(f"{name}/image.jpg", world.image(f"{name}.jpg").read_bytes())
    world.upload(f"{name}/brief.yaml", brief)


def row(world, name="hero"):
    with world.session() as (_, registry):
        return registry.get(name)


def states(world, name="hero"):
    with world.session() as (ledger, _):
        return [found.state for found in ledger.list(clip=name, newest_first=False)]


def test_status_of_all_and_of_one(world):
    assert "No clips yet" in world("status").out
    clip(world)
    world.upload("broken.jpg", b"no image at all")
    world.make("hero", "broken")
    ran = world("status")
    assert "1 delivered, 1 refused" in ran.out
    assert "broken.jpg is not an image" in " ".join(ran.out.split()), ran.out
    assert [each["clip"] for each in world("status", "--state", "refused", "--json").json["clips"]] == ["broken"]
    assert world("status", "--state", "lost").code == 64
    detail = world("status", "hero")
    for words in ("uploads/hero/image.jpg", "Slow push in", "clips/hero/video.mp4", "succeeded", "delivered"):
        assert words in detail.out
    told = world("status", "hero", "--json").json
    assert told["requests"][0]["events"][0]["what"] == "planned"
    assert told["brief"] == {"prompt": "Slow push in", "resolution": "720p"}
    assert world("status", "heroo").code == 64


def test_status_and_plan_list_refused_uploads(world):
    clip(world, brief=b"promt: Slow push in\n")
    world.upload("looks.csv", b"clip,image,duration\ncup,img/none.jpg,x\n")
    world.upload("voice.mp3", b"x")
    world.admit()
    ran = world("status")
    told = " ".join(ran.out.split())
    assert "3 uploads refused" in told
    for words in (
        "uploads/hero/brief.yaml",
        "`promt` is not a key of a brief",
        "Did you mean",
        "looks.csv#line-2",
        "cup",
    ):
        assert words in told
    listed = {each["upload"]: each for each in world("status", "--json").json["refused_uploads"]}
    assert (listed["uploads/hero/brief.yaml"]["clip"], listed["uploads/voice.mp3"]["clip"]) == ("hero", None)
    assert "uploads refused" not in world("status", "--state", "waiting").out
    one = world("status", "hero")
    assert one.code == 0
    assert "`promt` is not a key" in " ".join(one.out.split())
    assert world("status", "cup", "--json").json["refused_uploads"][0]["reason"].startswith("looks.csv line 2")
    plan = world("plan")
    assert "refused  hero: hero/brief.yaml: `promt` is not a key of a brief" in plan.out
    assert "refused  uploads/voice.mp3: " in plan.out
    assert len(world("plan", "--json").json["refused_uploads"]) == 3
    ran = world("plan", "hero")
    assert (ran.code, "`promt` is not a key" in " ".join(ran.err.split())) == (64, True)


def test_status_of_a_clip_whose_upload_was_broken_says_both(world):
    clip(world)
    world.make("hero")
    world.upload("hero/brief.yaml", b"promt: Slow push in\n")
    world.admit()
    told = " ".join(world("status", "hero").out.split())
    assert "delivered since" in told
    assert "refused: hero/brief.yaml: `promt` is not a key" in told


def test_status_of_a_clip_shows_what_each_take_costs_and_cost(world):
    clip(world, brief=BRIEF + b"takes: 3\n")
    world.operator.fault("submit", "http_422")
    world.make("hero")
    told = world("status", "hero", "--json").json
    takes = {each["take"]: each for each in told["requests"]}
    assert [takes[number]["state"] for number in (1, 2, 3)].count("succeeded") == 2, told
    assert {each["price_microdollars"] for each in takes.values()} == {1_000_000}
    paid = [each["paid"] for each in takes.values()]
    assert sorted(each["settled_microdollars"] + each["reserved_microdollars"] for each in paid) == [
        0,
        1_000_000,
        1_000_000,
    ]
    assert sum(told["paid"].values()) == 2_000_000
    shown = " ".join(world("status", "hero").out.split())
    assert "price of a take $1.00" in shown
    assert "$2.00" in shown.partition("paid in all")[2].partition("take 1")[0]
    for number, each in takes.items():
        cost = "$1.00" if each["state"] == "succeeded" else "$0.00"
        assert f"{number} {each['state']} $1.00 {cost}" in shown, shown


def test_status_without_the_bucket_still_says_what_the_ledger_knows(world, monkeypatch):
    clip(world)
    world.admit()
    monkeypatch.setenv("I2V_BUCKET", "nobody-made-this")
    ran = world("status", "hero")
    assert ran.code == 0
    assert "The bucket was not read" in ran.err


def test_fetch(world):
    clip(world)
    clip(world, "later")
    world.upload("broken.jpg", b"no image at all")
    world.make("hero", "broken")
    ran = world("fetch", "hero", "--output-dir", "got")
    assert ran.code == 0, ran.err
    assert ran.out == "got/hero.mp4\n"
    assert Path("got/hero.mp4").read_bytes() == world.bucket.read("clips/hero/video.mp4")
    everything = world("fetch", "hero", "--output-dir", "got", "--all", "--json").json
    assert "got/hero.manifest.json" in everything[0]["files"]
    assert world("fetch", "later", "--output-dir", "got").code == 75
    ran = world("fetch", "broken", "hero", "--output-dir", "two")
    assert ran.code == 1
    assert "It is refused" in ran.err or "it is refused" in ran.err
    assert Path("two/hero.mp4").exists()
    assert world("fetch", "nobody", "--output-dir", "got").code == 64
    Path("file").write_text("")
    assert world("fetch", "hero", "--output-dir", "file/x").code == 64


def test_cancel_what_nobody_started(world):
    clip(world)
    world.admit()
    ran = world("cancel", "hero")
    assert ran.code == 0, ran.err
    assert "not started any more" in ran.out
    assert row(world).waiting_for == "person"
    assert "i2v retry hero" in world.bucket.read("clips/hero/WAITING.txt").decode()
    assert world("cancel", "hero").code == 64
    assert world("retry", "hero").code == 0
    assert row(world).state is ClipState.DUE
    world.make("hero")
    assert row(world).state is ClipState.DELIVERED


def test_cancel_what_waits_for_the_budget_withdraws_it(world, monkeypatch):
    clip(world)
    monkeypatch.setenv("I2V_SANDBOX_BUDGET_USD_PER_DAY", "0.5")
    world.make("hero")
    assert row(world).waiting_for == "budget"
    assert states(world) == [State.PLANNED]
    ran = world("cancel", "hero", "--json")
    assert ran.code == 0, ran.err
    assert "cancelled before it was sent; nothing was paid" in ran.json["done"][0]["what"]
    assert states(world) == [State.CANCELLED]
    monkeypatch.delenv("I2V_SANDBOX_BUDGET_USD_PER_DAY")
    assert "cancelled before" in " ".join(world("plan", "hero", "--json").json["clips"][0]["takes"][0]["note"].split())
    assert world("retry", "hero").code == 0
    world.make("hero")
    assert row(world).state is ClipState.DELIVERED


def submit_only(world, monkeypatch, kind):
    """A clip whose request is left at the service by a run that waited too short a time."""
    clip(world)
    world.operator.fault("submit", kind)
    monkeypatch.setenv("I2V_DEADLINE_SECONDS", "1.5")
    world.make("hero")
    monkeypatch.delenv("I2V_DEADLINE_SECONDS")
    assert states(world) == [State.SUBMITTED]


def test_cancel_what_queues_at_the_service(world, monkeypatch):
    submit_only(world, monkeypatch, "stuck_in_queue")
    ran = world("cancel", "hero")
    assert ran.code == 0, ran.err
    assert "the service confirmed it" in ran.out
    assert world.operator.requests[-1]["state"] == "cancelled"
    assert states(world) == [State.CANCELLED]


def test_cancel_what_has_begun_tells_the_truth(world, monkeypatch):
    submit_only(world, monkeypatch, "stuck")
    ran = world("cancel", "hero")
    assert ran.code == 75
    assert "may be charged" in ran.out
    assert states(world) == [State.SUBMITTED]


def test_cancel_whose_answer_is_lost_is_told_as_the_cancellation_that_it_is(world, monkeypatch):
    """The question is asked again, and by then there is nothing to cancel any more."""
    submit_only(world, monkeypatch, "stuck_in_queue")
    world.operator.fault("cancel", "disconnect_after")
    ran = world("cancel", "hero")
    assert ran.code == 0, ran.err
    assert states(world) == [State.CANCELLED]


def test_cancel_that_the_service_does_not_confirm(world, monkeypatch):
    submit_only(world, monkeypatch, "stuck_in_queue")
    world.operator.fault("cancel", "http_503", times=9)
    ran = world("cancel", "hero")
    assert ran.code == 75
    assert "did not confirm" in ran.out
    assert states(world) == [State.SUBMITTED]
    assert world("cancel", "hero").code in (0, 75)


def test_cancel_of_a_delivered_clip(world):
    clip(world)
    world.make("hero")
    assert world("cancel", "hero").code == 64


def test_retry_a_failure(world):
    clip(world)
    world.operator.fault("submit", "failed_result", message="The GPU caught fire")
    world.make("hero")
    assert row(world).state is ClipState.FAILED
    world.make("hero")  # a second run by the sensor does not pay for it again
    assert states(world) == [State.FAILED]
    ran = world("retry", "hero", "--json")
    assert ran.json[0]["due"] is True
    assert states(world) == [State.PLANNED]
    world.make("hero")
    assert row(world).state is ClipState.DELIVERED


def test_retry_of_what_is_final_or_not_failed(world):
    clip(world)
    clip(world, "good")
    world.make("good")
    world.operator.fault("submit", "failed_result", message="Rejected by the content policy")
    world.make("hero")
    ran = world("retry", "hero", "good")
    assert ran.code == 1
    assert "Change the clip's media or brief" in ran.err
    assert "i2v retake good" in ran.err
    assert row(world).state is ClipState.FAILED


def test_retry_of_the_take_that_is_not_final(world):
    clip(world)
    world.operator.fault("submit", "failed_result", message="Rejected by the content policy")
    world.make("hero")
    world.operator.fault("submit", "failed_result", message="The GPU caught fire")
    assert world("retake", "hero").code == 0
    world.make("hero")
    ran = world("retry", "hero", "--json")
    assert ran.json[0]["due"] is True, ran.err
    assert sorted(states(world)) == [State.FAILED, State.PLANNED]
    world.make("hero")
    assert row(world).state is ClipState.DELIVERED


def lose(world):
    """A clip that was paid for and whose video the service no longer has."""
    clip(world)
    world.operator.fault("download", "http_404", times=20)
    world.make("hero")
    world.operator.reset()
    assert row(world).waiting_for == "lost"


def test_retry_looks_once_more_for_a_lost_video_and_pays_nothing(world):
    lose(world)
    before = world.operator.charges
    ran = world("retry", "hero")
    assert ran.code == 0, ran.err
    world.make("hero")
    assert row(world).state is ClipState.DELIVERED
    assert world.operator.charges == before


def test_retake_of_a_lost_video_makes_a_new_one(world):
    lose(world)
    before = world.operator.charges
    ran = world("retake", "hero")
    assert ran.code == 0, ran.err
    world.make("hero")
    assert row(world).state is ClipState.DELIVERED
    assert world.operator.charges == before + 1


def test_retake_and_choose(world):
    clip(world)
    assert world("retake", "hero").code == 64
    world.admit()
    assert world("retake", "hero").code == 75
    world.make("hero")
    assert world("retake", "hero", "--seed", "0").code == 64
    before = world.operator.charges
    ran = world("retake", "hero", "--seed", "42")
    assert ran.code == 0, ran.err
    assert ran.out == "Take 2 of hero is due, for about $1.00.\n"
    assert row(world).state is ClipState.DUE
    assert world("choose", "hero", "2").code == 65
    world.make("hero")
    assert world.operator.charges == before + 1
    assert world.operator.requests[-1]["body"]["seed"] == 42
    manifest = json.loads(world.bucket.read("clips/hero/manifest.json"))
    assert manifest["take"] == 1
    assert world("choose", "hero", "2").code == 0
    world.make("hero")
    assert json.loads(world.bucket.read("clips/hero/manifest.json"))["take"] == 2
    assert world.operator.charges == before + 1


def test_a_retake_that_was_cancelled_is_never_made(world):
    clip(world)
    world.make("hero")
    before = world.operator.charges
    assert world("retake", "hero", "--seed", "42").code == 0
    ran = world("choose", "hero", "1")
    assert ran.code == 75, "the run that shows take 1 would make take 2"
    assert "take 2 is asked for and not made yet" in " ".join(ran.err.split())
    ran = world("cancel", "hero")
    assert ran.code == 0, ran.err
    assert "take 2 is not made" in ran.out
    found = row(world)
    assert (found.state, found.extra_takes, found.take_seeds) == (ClipState.DELIVERED, 0, None)
    assert world("cancel", "hero").code == 64
    assert world("choose", "hero", "1").code == 0
    world.make("hero")
    assert world.operator.charges == before
    assert row(world).state is ClipState.DELIVERED
    assert world("retake", "hero").code == 0  # asked for again it is made, with a seed of its own
    world.make("hero")
    assert world.operator.charges == before + 1
    assert world.operator.requests[-1]["body"]["seed"] != 42


def test_a_retake_that_waited_for_the_budget_is_cancelled_and_made_later(world, monkeypatch):
    clip(world)
    world.make("hero")
    before = world.operator.charges
    monkeypatch.setenv("I2V_SANDBOX_BUDGET_USD_PER_DAY", "0.5")
    assert world("retake", "hero").code == 0
    world.make("hero")
    assert row(world).waiting_for == "budget"
    assert world.bucket.head("clips/hero/WAITING.txt") is not None
    assert world("choose", "hero", "1").code == 75
    assert "i2v cancel hero" in world("choose", "hero", "1").err
    ran = world("cancel", "hero")
    assert ran.code == 0, ran.err
    assert "i2v retake hero" in ran.err
    assert (row(world).state, row(world).extra_takes) == (ClipState.DELIVERED, 0)
    assert states(world) == [State.SUCCEEDED, State.CANCELLED]
    assert world.bucket.head("clips/hero/WAITING.txt") is None
    assert world.bucket.head("clips/hero/video.mp4") is not None
    monkeypatch.delenv("I2V_SANDBOX_BUDGET_USD_PER_DAY")
    assert world("choose", "hero", "1").code == 0
    world.make("hero")
    assert world.operator.charges == before
    assert world("retake", "hero").code == 0
    world.make("hero")
    assert world.operator.charges == before + 1
    assert states(world) == [State.SUCCEEDED, State.SUCCEEDED]
    assert world("choose", "hero", "2").code == 0


def test_choosing_tries_no_failed_take_again(world):
    clip(world, brief=BRIEF + b"takes: 2\n")
    world.operator.fault("submit", "failed_result", message="The GPU caught fire")
    world.make("hero")
    assert row(world).state is ClipState.DELIVERED
    with world.session() as (ledger, registry):
        registry.enqueue(["hero"], count_retry=True)  # as the retry schedule counts
        registry.record_result("hero", version=row(world).version, state=ClipState.DELIVERED)
        (made,) = (found.take for found in ledger.list((State.SUCCEEDED,), clip="hero"))
    before = world.operator.charges
    assert world("choose", "hero", str(made)).code == 0
    world.make("hero")
    assert world.operator.charges == before


def test_the_launchpad_chooses_by_the_same_rule(world):
    clip(world)
    world.make("hero")
    assert world("retake", "hero").code == 0
    choice = {"ops": {"choose_that_take": {"config": {"clip": "hero", "take": 1}}}}
    job = defs.resolve_job_def("choose_job")
    with pytest.raises(dg.Failure, match="take 2 is asked for and not made yet"):
        job.execute_in_process(run_config=choice)
    assert world("cancel", "hero").code == 0
    assert job.execute_in_process(run_config=choice).success
    assert row(world).chosen_take == 1


def test_verify_a_clip_and_a_file(world):
    clip(world)
    world.make("hero")
    ran = world("verify", "hero")
    assert ran.code == 0, ran.out + ran.err
    assert ran.out.endswith("Proven.\n")
    world("fetch", "hero", "--output-dir", "got", "--all")
    assert world("verify", "got/hero.mp4").code == 0
    Path("elsewhere.mp4").write_bytes(Path("got/hero.mp4").read_bytes())
    assert world("verify", "elsewhere.mp4").code == 0
    Path("got/hero.mp4").write_bytes(Path("elsewhere.mp4").read_bytes() + b"x")
    ran = world("verify", "got/hero.mp4", "--json")
    assert ran.code == 1
    assert ran.json["proven"] is False
    assert any("is not what was downloaded" in line for line in ran.json["lines"])
    Path("stranger.mp4").write_bytes(b"some other file")
    ran = world("verify", "stranger.mp4")
    assert ran.code == 1
    assert "no request in the ledger produced these bytes" in ran.out


def test_verify_a_film(world, tmp_path):
    clip(world)
    world.make("hero")
    assert world("verify", "sequences/voyage").code == 65
    world.bucket.write("sequences/voyage.yaml", b"shots: [{clip: hero}, {clip: hero}]", "text/yaml")
    with world.session() as (_, registry):
        found = scan_film(world.bucket, registry, {}, "voyage")
    assert found.version is not None
    join_film(world.bucket, found, found.version, tmp_path, load_settings(), tool="test")
    for name in ("voyage", "sequences/voyage"):
        ran = world("verify", name)
        assert ran.code == 0, ran.out + ran.err
        assert "shot 2 (hero): the bytes that request" in ran.out
        assert "Sandbox film" in ran.out
    world.bucket.download("sequences/voyage/video.mp4", Path("voyage.mp4"))
    assert world("verify", "voyage.mp4").code == 0
    Path("altered.mp4").write_bytes(Path("voyage.mp4").read_bytes() + b"x")
    Path("told.json").write_bytes(world.bucket.read("sequences/voyage/manifest.json"))
    assert world("verify", "voyage.mp4", "--manifest", "told.json").code == 0
    ran = world("verify", "altered.mp4", "--manifest", "told.json")
    assert ran.code == 1
    assert "is not the film that the manifest names" in ran.out
    world.bucket.write("sequences/voyage/video.mp4", b"other", "video/mp4")
    assert world("verify", "voyage").code == 1


def test_verify_a_file_of_i2v_run_and_what_is_neither(world):
    image = world.image()
    ran = world("run", "animate", "--image", str(image), "--input", '{"prompt": "x", "resolution": "720p"}')
    video = Path(ran.out.strip())
    beside = video.with_suffix(".manifest.json")
    told = read_manifest(beside.read_bytes())
    assert beside.read_bytes() == told.to_json()  # as canonical as a clip's
    assert (told.sandbox, told.prompt, told.video.sha256) == (True, "x", hashlib.sha256(video.read_bytes()).hexdigest())
    assert told.media[0].sha256 == hashlib.sha256(image.read_bytes()).hexdigest()
    assert told.video.width > 0
    ran = world("verify", str(video))
    assert ran.code == 0, ran.out
    assert f"request {told.request_id}" in ran.out
    assert "the manifest names the bytes that the ledger recorded" in ran.out
    video.write_bytes(video.read_bytes() + b"x")
    assert world("verify", str(video)).code == 1
    assert world("verify", "neither").code == 64
    clip(world)
    world.admit()
    assert world("verify", "hero").code == 65
    world.make("hero")
    manifest = json.loads(world.bucket.read("clips/hero/manifest.json"))
    manifest["request_id"] = "another"
    world.bucket.write("clips/hero/manifest.json", json.dumps(manifest).encode(), "application/json")
    ran = world("verify", "hero")
    assert ran.code == 1
    assert "names request another" in ran.out
