"""The uploads sensor as the daemon runs it: a cursor that loses nothing, ranges, and servers that are down."""

import io
import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from PIL import Image

from i2v_assets.defs.partitions import RANGE_END, RANGE_START
from resources.devservers.start import free_port
from resources.registry.registry import ClipState
from resources.storage.bucket import Bucket, ObjectInfo
from resources.storage.errors import StorageUnavailable


def picture(shade: int = 0) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), (shade % 256, shade // 256, 99)).save(out, "PNG")
    return out.getvalue()


def keys_of(stage, requests) -> list[list[str]]:
    """The partition keys that each run covers, as Dagster resolves its range."""
    order = stage.instance.get_dynamic_partitions("clips")
    return [
        order[order.index(request.tags[RANGE_START]) : order.index(request.tags[RANGE_END]) + 1] for request in requests
    ]


def test_two_uploads_within_one_second_are_both_detected(stage) -> None:
    while time.time() % 1 > 0.5:  # so that both ticks fall into one second of the server's clock
        time.sleep(0.02)
    stage.upload("first.png", picture(1))
    first = stage.tick()
    stage.upload("second.png", picture(2))
    second = stage.tick()

    assert keys_of(stage, first) == [["first"]]
    assert keys_of(stage, second) == [["second"]]


def test_a_changed_file_is_made_again_and_the_same_bytes_are_not(stage) -> None:
    stage.upload("hero.png", picture(1))
    stage.make()
    stage.upload("hero.png", picture(1))
    assert stage.tick() == [], "the same bytes have the same ETag"

    stage.upload("hero.png", picture(2))
    (run,) = stage.make()
    assert run.success
    assert len(stage.charges()) == 2

    stage.upload("hero.png", picture(1))
    stage.make()
    assert len(stage.charges()) == 2, "the first picture was paid for already"
    assert stage.metadata("clip_video", "hero")["paid_in_this_run"] is False


def test_the_same_bytes_under_another_name_share_a_charge_in_one_run_and_later(stage) -> None:
    stage.upload("one.png", picture(1))
    stage.upload("two.png", picture(1))
    stage.make()
    stage.upload("three.png", picture(1))
    stage.make()

    assert stage.delivered() == {"one", "two", "three"}
    assert len(stage.charges()) == 1


def test_what_is_deleted_before_its_run_began_is_withdrawn(stage) -> None:
    stage.upload("gone.png", picture(1))
    stage.upload("stays.png", picture(2))
    stage.evaluate()  # dispatched by a tick that was never committed
    stage.bucket.delete("uploads/gone.png")

    requests = stage.tick()

    assert keys_of(stage, requests) == [["stays"]]
    assert stage.clip("gone").state is ClipState.WITHDRAWN
    stage.upload("gone.png", picture(1))
    assert keys_of(stage, stage.tick()) == [["gone"]]


def test_a_file_deleted_before_its_run_reads_it_fails_alone(stage) -> None:
    stage.upload("gone.png", picture(1))
    stage.upload("stays.png", picture(2))
    (request,) = stage.tick()
    stage.bucket.delete("uploads/gone.png")

    run = stage.execute(request)

    assert not run.success
    assert stage.delivered() == {"stays"}
    assert stage.clip("gone").state is ClipState.FAILED
    assert "uploads/gone.png" in (stage.note("gone", "FAILED.txt") or "")
    assert len(stage.charges()) == 1


def test_a_crash_between_evaluation_and_commit_asks_for_everything_again(stage) -> None:
    for number in range(5):
        stage.upload(f"clip-{number}.png", picture(number))
    lost = stage.evaluate()

    again = stage.evaluate()  # with the cursor of before
    stage.commit(again)

    assert keys_of(stage, again.requests) == keys_of(stage, lost.requests) == [[f"clip-{n}" for n in range(5)]]
    assert again.requests[0].run_key != lost.requests[0].run_key
    stage.execute(lost.requests[0])  # had Dagster kept the first one after all, it finds nothing of its own
    assert stage.charges() == []
    stage.execute(again.requests[0])
    assert len(stage.delivered()) == 5
    assert stage.tick() == []


def test_a_listing_of_several_pages_becomes_ranges_of_clips_per_run(stage) -> None:
    stage.set_variable("I2V_CLIPS_PER_RUN", "500")
    data = picture()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: stage.upload(f"lot/{number:04}.png", data), range(1200)))

    found = keys_of(stage, stage.tick())

    assert [len(keys) for keys in found] == [500, 500, 200]
    assert sorted(itertools.chain(*found)) == [f"lot--{number:04}" for number in range(1200)]


def test_5000_uploads_at_once_are_one_tick(stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploading them would take longer than the test, so the listing is made up; the rest of the tick is real."""
    then = datetime.now(UTC) - timedelta(hours=1)
    listing = [ObjectInfo(f"uploads/lot/{number:04}.jpg", 1000, f"{number:032x}", then) for number in range(5000)]
    monkeypatch.setattr(Bucket, "list", lambda self, prefix="", **_: iter(listing if prefix == "uploads/" else []))
    stage.instance.add_dynamic_partitions("clips", ["earlier"])

    tick = stage.evaluate()

    found = keys_of(stage, tick.requests)
    assert [len(keys) for keys in found] == [100] * 50
    assert sorted(itertools.chain(*found)) == [f"lot--{number:04}" for number in range(5000)]
    stage.commit(tick)
    assert stage.tick() == []


def test_a_bucket_that_is_down_is_a_clear_error_and_the_next_tick_goes_on(
    stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.upload("hero.png", picture(1))
    with monkeypatch.context() as away:
        away.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{free_port()}")
        with pytest.raises(dg.Failure) as caught:
            stage.tick()
    told = caught.value
    assert isinstance(told.__cause__, StorageUnavailable)
    assert stage.bucket.name in (told.description or "")
    assert told.__cause__.remedy in (told.description or "")

    assert keys_of(stage, stage.tick()) == [["hero"]]


def test_a_clip_waits_with_a_reason_while_the_service_is_down_and_continues_later(
    stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.upload("hero.png", picture(1))
    with monkeypatch.context() as away:
        away.setenv("RUNCOMFY_MODEL_API_BASE", f"http://127.0.0.1:{free_port()}/v1")
        (run,) = stage.make()

        assert run.success, "to wait is no failure"
        assert stage.clip("hero").state is ClipState.WAITING
        note = stage.note("hero", "WAITING.txt") or ""
        assert "no connection could be made" in note, note
        assert "Nothing was paid yet" in note
        answered = stage.check("clip_video", "answered", "hero")
        assert answered is not None
        assert not answered.passed
        assert stage.tick("dispatch") == [], "not at once"

    stage.later("hero", timedelta(hours=2))
    stage.make("dispatch")

    assert stage.delivered() == {"hero"}
    assert stage.note("hero", "WAITING.txt") is None
    assert len(stage.charges()) == 1


def failure_of(run) -> str:
    """What the run's failed step says."""
    (event,) = [event for event in run.all_events if event.event_type_value == "STEP_FAILURE"]
    return event.step_failure_data.user_failure_data.description


def test_a_missing_token_for_the_real_service_is_an_error_with_a_remedy(
    stage, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.upload("hero.png", picture(1))
    monkeypatch.setenv("I2V_SERVICE", "runcomfy")
    for name in ("RUNCOMFY_TOKEN", "RUNCOMFY_MODEL_API_BASE", "RUNCOMFY_SERVERLESS_API_BASE", "RUNCOMFY_WEB_BASE"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("RUNCOMFY_CONFIG_DIR", str(tmp_path / "nobody"))
    monkeypatch.setattr(Bucket, "endpoint", "https://s3.example.com")

    (run,) = stage.make()

    assert not run.success
    said = failure_of(run)
    assert "i2v login" in said
    assert "RUNCOMFY_TOKEN" in said


def test_the_real_service_never_gets_an_address_of_this_machine(stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.upload("hero.png", picture(1))
    monkeypatch.setenv("I2V_SERVICE", "runcomfy")
    for name in ("RUNCOMFY_MODEL_API_BASE", "RUNCOMFY_SERVERLESS_API_BASE", "RUNCOMFY_WEB_BASE"):
        monkeypatch.delenv(name)

    (run,) = stage.make()

    assert not run.success
    assert "AWS_ENDPOINT_URL_S3" in failure_of(run)
    assert stage.ledger.list() == (), "nothing was claimed, so nothing was sent"
