"""Runs of `make_clips`: by hand and by ranges, a subset, twice over the same bucket, and the metadata of their events."""

import io
import json
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest
from PIL import Image

from i2v_assets.defs.specs import CODE_VERSION
from resources.devservers.start import SANDBOX_TOKEN
from resources.registry.registry import ClipState

NUMBERS = ("price_usd", "generation_seconds", "duration_seconds", "size_bytes")
"""What is worth a curve; a seed, a take and a size in pixels are text."""
NO_NUMBERS = ("seed", "take", "picture")
ASSETS = ("source_images", "source_audio", "source_videos", "clip_plan", "clip_video", "clip_preview")


def picture(shade: int = 0) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), (shade % 256, shade // 256, 99)).save(out, "PNG")
    return out.getvalue()


def admitted(stage, *names: str) -> None:
    """Register clips without a run, as after a tick that was never committed and whose runs are lost."""
    for number, name in enumerate(names):
        stage.upload(f"{name}.png", picture(number))
    stage.evaluate()


def test_one_key_made_by_hand_needs_no_approval(stage) -> None:
    stage.set_variable("I2V_REQUIRE_APPROVAL", "true")
    admitted(stage, "hero", "other")

    assert stage.materialize("hero").success

    assert stage.delivered() == {"hero"}
    assert len(stage.charges()) == 1


def test_a_range_by_hand_makes_every_clip_in_it(stage) -> None:
    admitted(stage, "a", "b", "c", "d")

    assert stage.materialize("a", "c").success

    assert stage.delivered() == {"a", "b", "c"}
    assert [len(stage.events("clip_video", clip)) for clip in "abcd"] == [1, 1, 1, 0]


def test_a_key_without_an_upload_is_reported_and_does_not_affect_the_others(stage) -> None:
    admitted(stage, "a", "b")
    stage.instance.add_dynamic_partitions("clips", ["typed-by-hand"])

    run = stage.materialize("a", "typed-by-hand")

    assert not run.success
    assert stage.delivered() == {"a", "b"}
    (failure,) = [event for event in run.all_events if event.event_type_value == "STEP_FAILURE"]
    assert "typed-by-hand" in failure.step_failure_data.user_failure_data.description


def test_a_part_of_a_clip_costs_what_that_part_costs(stage) -> None:
    admitted(stage, "hero")

    assert stage.materialize("hero", select=["clip_plan"]).success

    assert stage.charges() == []
    assert stage.metadata("clip_plan", "hero")["price_usd"] == pytest.approx(0.6)
    assert [len(stage.events(asset, "hero")) for asset in ASSETS] == [0, 0, 0, 1, 0, 0]
    assert stage.materialize("hero", select=["clip_video"]).success
    assert [len(stage.events(asset, "hero")) for asset in ASSETS] == [0, 0, 0, 1, 1, 0]
    assert len(stage.charges()) == 1


@pytest.mark.parametrize("state", [ClipState.REFUSED, ClipState.FAILED, ClipState.WAITING])
def test_planning_by_hand_never_starts_paid_work_later(stage, state: ClipState) -> None:
    admitted(stage, "hero")
    version = stage.clip("hero").version
    stage.registry.record_result("hero", version=version, state=state, reason="as a test", waiting_for="person")

    assert stage.materialize("hero", select=["clip_plan"]).success

    stage.later("hero", timedelta(hours=1))
    assert stage.tick("dispatch") == [], "a look is no order"
    assert stage.clip("hero").state is not ClipState.WORKING


@pytest.mark.full_size
def test_events_hold_the_metadata_that_people_need(stage) -> None:
    stage.set_variable("I2V_PREVIEWS", "true")
    stage.set_variable("I2V_MEASURE", "true")
    stage.set_variable("I2V_VIDEO_LINK_BASE", "http://127.0.0.1:9/")
    stage.upload("pet.jpg", Path("pet.jpg"))
    stage.make()

    images = stage.metadata("source_images", "pet")
    assert "pictures" not in images, "it would be the same picture once more"
    assert images["look"].startswith("![pet.jpg](data:image/webp;base64,")
    assert images["files"] == 1
    assert stage.metadata("source_audio", "pet")["files"] == 0
    plan = stage.metadata("clip_plan", "pet")
    assert (plan["route"], plan["price_usd"]) == ("animate", pytest.approx(0.6))
    assert plan["reasons"]
    video = stage.metadata("clip_video", "pet")
    assert "](data:image/webp;base64," in video["poster"]
    assert video["look"].endswith("](http://127.0.0.1:9/clips/pet/video.mp4)")
    assert max(len(video["look"]), len(images["look"])) < 1000, "the UI shows more only after a click"
    assert len(video["poster"]) < 10_000, "the event log is kept for ever"
    assert "(http://127.0.0.1:9/clips/pet/video.mp4)" in video["poster"]
    assert {name: type(video[name]) for name in NUMBERS if not isinstance(video[name], int | float)} == {}
    assert {name: type(video[name]) for name in NO_NUMBERS if not isinstance(video[name], str)} == {}
    assert video["duration_seconds"] == pytest.approx(3, abs=0.1)
    assert video["picture"].startswith("1082 x ")
    assert video["request_id"] == stage.requests()[0]["request_id"]
    assert "sandbox" in video["sandbox"].lower()

    # Told again in a later range: the UI shows the latest event alone.
    assert stage.materialize("pet").success
    again = stage.metadata("clip_video", "pet")
    assert again["unchanged"]
    same = ("picture", "duration_seconds")
    assert {name: again[name] for name in same} == {name: video[name] for name in same}
    assert again["look"].startswith("[![first look at pet](data:image/webp;base64,")
    assert "](data:image/webp;base64," in again["poster"]
    assert len(again["poster"]) < 10_000
    for shown in (video, again):
        assert shown["look"].startswith("[![first look at pet](data:image/webp;base64,")
    preview = stage.metadata("clip_preview", "pet")
    assert (preview["look"], "poster" in preview) == (again["look"], False), "the poster is kept once"

    stage.bucket.write("clips/pet/poster.jpg", b"somebody's own", "image/jpeg")
    assert stage.materialize("pet").success
    assert "poster" not in stage.metadata("clip_video", "pet")


def test_events_carry_data_and_code_versions(stage) -> None:
    stage.upload("one.png", picture(1))
    stage.upload("two.png", picture(1))
    stage.upload("three.png", picture(3))
    stage.make()

    def version(asset: str, clip: str) -> str:
        tags = stage.events(asset, clip)[0].asset_materialization.tags
        assert tags["dagster/code_version"] == CODE_VERSION
        return tags["dagster/data_version"]

    for asset in ("source_images", "clip_plan", "clip_video"):
        assert version(asset, "one") == version(asset, "two"), "the same content"
        # The test's sandbox draws one video for all pictures.
        assert asset == "clip_video" or version(asset, "one") != version(asset, "three"), "other content"
    assert version("source_audio", "one") == version("source_audio", "three")
    assert version("clip_plan", "one") != version("clip_video", "one")
    for asset in ("clip_plan", "clip_video", "clip_preview"):
        assert stale_causes(stage, asset, "one") == [], "what was made just now is in sync with its inputs"
    stage.upload("one.png", picture(9))
    (request,) = stage.tick()
    stage.materialize("one", select=["source_images"])
    assert any("source_images" in cause for cause in stale_causes(stage, "clip_plan", "one"))
    stage.execute(request)


def stale_causes(stage, asset: str, clip: str) -> list[str]:
    """Why the UI would show a clip's asset as unsynced."""
    resolver = CachingStaleStatusResolver(
        stage.instance,
        stage.definitions.get_repository_def().asset_graph,
        LoadingContextForTest(stage.instance),
    )
    causes = resolver.get_stale_causes(dg.AssetKey(asset), clip)
    return [f"{cause.reason} {cause.dependency}" for cause in causes]


def test_no_secret_and_no_address_that_grants_access_is_kept_anywhere(stage) -> None:
    stage.set_variable("I2V_PREVIEWS", "true")
    stage.upload("hero.png", picture(1))
    stage.upload("bad.png", b"no picture")
    stage.upload("lost.png", picture(2))
    stage.fault(where="download", kind="http_500", times=2)
    stage.fault(where="submit", kind="failed_result", times=1, message="see http://files.example/x?X-Amz-Signature=1")
    stage.make()

    bodies = json.dumps([request["body"] for request in stage.requests()])
    assert "/inputs/" in bodies, "the service gets addresses in the bucket, so there is something to look for"
    assert "X-Amz-Signature" not in bodies, "the sandbox keeps where an input lay, not the address that grants access"
    secrets = (b"X-Amz-Signature", b"X-Amz-Credential", SANDBOX_TOKEN.encode(), b"/outputs/")
    kept = [path for folder in (stage.home, stage.data) for path in folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in kept)
    assert any(path.name == "ledger.sqlite" for path in kept)
    found = [(path.name, secret) for path in kept for secret in secrets if secret in path.read_bytes()]
    found += [
        (each.key, secret)
        for each in stage.bucket.list("clips/")
        for secret in secrets
        if not each.key.endswith((".mp4", ".jpg", ".webp")) and secret in stage.bucket.read(each.key)
    ]
    assert found == []


def test_the_same_bucket_twice_costs_nothing_and_asks_nothing_the_second_time(stage) -> None:
    names = [f"clip-{number:02}" for number in range(30)]
    for number, name in enumerate(names):
        stage.upload(f"{name}.png", picture(number))
    stage.make()
    assert stage.delivered() == set(names)
    videos = {found.key: found.etag for found in stage.bucket.list("videos/")}
    sandbox_saw = len(stage.requests())
    stage.bucket.delete("clips/clip-07/video.mp4")

    assert stage.materialize(names[0], names[-1]).success

    assert len(stage.charges()) == 30
    assert len(stage.requests()) == sandbox_saw
    assert {found.key: found.etag for found in stage.bucket.list("videos/")} == videos
    assert stage.delivered() == set(names), "what was deleted is put back"
    first, again = stage.events("clip_video", "clip-03")[1], stage.events("clip_video", "clip-03")[0]
    same = [event.asset_materialization.tags["dagster/data_version"] for event in (first, again)]
    assert same[0] == same[1]
    assert stage.metadata("clip_video", "clip-03")["paid_in_this_run"] is False


def test_a_failed_clip_does_not_affect_the_others_and_is_listed_in_one_table(stage) -> None:
    for number, name in enumerate(("a", "b", "c")):
        stage.upload(f"{name}.png", picture(number))
    stage.fault(where="submit", kind="failed_result", times=1, message="the picture could not be processed")

    (run,) = stage.make()

    assert not run.success
    (failed,) = [clip for clip, state in stage.states().items() if state is ClipState.FAILED]
    assert stage.delivered() == {"a", "b", "c"} - {failed}
    (failure,) = [event for event in run.all_events if event.event_type_value == "STEP_FAILURE"]
    told = failure.step_failure_data.user_failure_data
    assert "1 of 3 clips failed" in told.description
    assert "could not be processed" in told.metadata["failed"].value
    assert "could not be processed" in (stage.note(failed, "FAILED.txt") or "")
    answered = stage.check("clip_video", "answered", failed)
    assert (answered.passed, answered.severity) == (False, dg.AssetCheckSeverity.ERROR)

    before = len(stage.charges())
    stage.materialize("a", "c")
    assert stage.delivered() == {"a", "b", "c"}
    assert len(stage.charges()) == before + 1, "a run again touches just what failed"
    assert stage.note(failed, "FAILED.txt") is None
