"""What Dagster's pages say of a clip in each of its states: observations, checks per partition, tags and log lines of runs."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from PIL import Image, ImageDraw

from i2v_assets.defs import clips as clip_assets
from resources.registry.registry import ClipState
from resources.storage import keys
from resources.wait_reason import WaitReason

CHECKS = ("answered", "price", "model", "technical", "sound", "motion", "likeness")


def states(stage, clip: str, asset: str = "clip_video") -> list[dict[str, Any]]:
    """Return the states that a partition's page shows, newest first."""
    records = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[clip])
    found = stage.instance.fetch_observations(records, limit=100).records
    observations = [record.event_log_entry.asset_observation for record in found]
    return [{name: value.value for name, value in each.metadata.items()} for each in observations]


def look_again(stage, clip: str) -> None:
    """Let a run look at a clip again, as the dispatch sensor does."""
    stage.registry.enqueue([clip])
    assert all(run.success for run in stage.make())


def test_a_waiting_clip_s_page_says_why_how_much_and_where_once(stage) -> None:
    stage.set_variable("I2V_PRICE_HEADROOM", "2")
    stage.set_variable("I2V_REQUIRE_APPROVAL", "true")
    stage.set_variable("I2V_VIDEO_LINK_BASE", "https://media.example/b/")
    stage.upload("hero.jpg", Path("pet.jpg"))
    stage.make()

    (shown,) = states(stage, "hero")
    assert (shown["state"], shown["waiting_for"]) == ("waiting", "approval")
    assert shown["price_usd"] == pytest.approx(0.6)
    assert shown["at_most_usd"] == pytest.approx(1.2), "twice the base until prices are known"
    assert "i2v approve" in shown["what to do"]
    assert shown["reason"]
    assert shown["note"] == "clips/hero/WAITING.txt"
    assert shown["link"] == "https://media.example/b/clips/hero/WAITING.txt"

    look_again(stage, "hero")
    assert len(states(stage, "hero")) == 1, "a look is no change of state"

    stage.set_variable("I2V_REQUIRE_APPROVAL", "false")
    stage.set_variable("I2V_SANDBOX_BUDGET_USD_PER_DAY", "0.01")
    look_again(stage, "hero")
    assert [each["waiting_for"] for each in states(stage, "hero")] == ["budget", "approval"]


def test_a_refused_clip_has_no_green_plan_and_a_failed_check(stage) -> None:
    stage.upload("torn.jpg", b"no picture")
    stage.make()

    assert stage.events("clip_plan", "torn") == []
    assert stage.check("clip_plan", "accepted", "torn").passed is False
    (plan,), (video,) = states(stage, "torn", "clip_plan"), states(stage, "torn")
    assert plan["decision"] == video["state"] == "refused"
    assert video["what to do"] == plan["what to do"]
    assert "Upload a JPEG" in video["what to do"]
    look_again(stage, "torn")
    assert len(states(stage, "torn")) == len(states(stage, "torn", "clip_plan")) == 1


def test_failed_and_held_clips_say_so(stage) -> None:
    stage.set_variable("I2V_PRICE_HEADROOM", "2")
    stage.fault(where="submit", kind="failed_result", message="The worker ran out of memory.")
    stage.upload("failing.jpg", Path("pet.jpg"))
    stage.make()
    (shown,) = states(stage, "failing")
    assert (shown["state"], shown["note"]) == ("failed", "clips/failing/FAILED.txt")
    assert "ran out of memory" in shown["reason"]
    assert shown["what happens next"]

    stage.fault(where="submit", kind="disconnect_after", times=1)
    stage.upload("held.webp", Path("product.webp"))
    stage.make()
    (shown,) = states(stage, "held")
    assert (shown["state"], shown["waiting_for"]) == ("waiting", "unknown")
    assert shown["charged_or_open_usd"] == pytest.approx(1.2)
    assert "i2v ledger resolve" in shown["what happens next"]


def test_a_clip_that_a_person_stops_outside_of_dagster_is_shown_by_the_next_look(stage) -> None:
    stage.set_variable("I2V_REQUIRE_APPROVAL", "true")
    stage.upload("hero.jpg", Path("pet.jpg"))
    stage.make()
    row = stage.clip("hero")
    reason = "A person cancelled it."
    stage.registry.record_result(
        "hero", version=row.version, state=ClipState.WAITING, reason=reason, waiting_for=WaitReason.PERSON, seen=row
    )
    stage.tick("dispatch")
    stage.tick("dispatch")
    assert [each["waiting_for"] for each in states(stage, "hero")] == ["person", "approval"]
    assert states(stage, "hero")[0]["reason"] == reason


@pytest.mark.full_size
def test_materialize_on_a_delivered_clip_logs_all_its_checks_again(stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.set_variable("I2V_MEASURE", "true")
    stage.upload("pet.jpg", Path("pet.jpg"))
    stage.make()
    before = {name: stage.check("clip_video", name, "pet") for name in CHECKS}
    monkeypatch.setattr(
        "i2v_assets.pipeline.postprocess.measure_again", None
    )  # another look at the video would call it

    run = as_the_ui(stage, "pet", ["clip_plan", "clip_video"])

    assert run.success
    for name, old in before.items():
        key = dg.AssetCheckKey(dg.AssetKey("clip_video"), name)
        latest = stage.instance.event_log_storage.get_asset_check_execution_history(key, limit=1)[0]
        assert (latest.run_id, latest.status) == (run.run_id, AssetCheckExecutionRecordStatus.SUCCEEDED), name
        now = latest.evaluation
        assert (now.passed, now.severity) == (old.passed, old.severity)
        assert figures(now) == figures(old)
        newest = stage.events("clip_video", "pet")[0]
        assert now.target_materialization_data.storage_id == newest.storage_id


def figures(evaluation: dg.AssetCheckEvaluation) -> dict[str, Any]:
    return {name: value.value for name, value in evaluation.metadata.items() if isinstance(value.value, int | float)}


def as_the_ui(
    stage, clip: str, assets: Sequence[str], definitions: dg.Definitions | None = None
) -> dg.ExecuteInProcessResult:
    """Materialize assets of one partition with their checks, as the UI's button does."""
    job = (definitions or stage.definitions).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=stage.instance,
        partition_key=clip,
        asset_selection=[dg.AssetKey(name) for name in assets],
        raise_on_error=False,
    )


@dg.asset(deps=["clip_video"], partitions_def=clip_assets.clips)
def shop_entry(context: dg.AssetExecutionContext) -> None:
    """An asset of somebody's own below `clip_video`."""
    context.log.info("made")


@pytest.fixture
def with_own_asset(stage) -> dg.Definitions:
    return dg.Definitions.merge(stage.definitions, dg.Definitions(assets=[shop_entry]))


def test_an_own_asset_below_a_clip_runs_in_the_same_run(stage, with_own_asset: dg.Definitions) -> None:
    stage.upload("pet.jpg", Path("pet.jpg"))
    stage.evaluate()

    run = as_the_ui(stage, "pet", ["clip_plan", "clip_video", "clip_preview", "shop_entry"], with_own_asset)

    assert run.success
    assert [len(stage.events(asset, "pet")) for asset in ("clip_plan", "clip_video", "shop_entry")] == [1, 1, 1]
    target = stage.check("clip_video", "answered", "pet").target_materialization_data
    assert target is not None
    assert target.storage_id == stage.events("clip_video", "pet")[0].storage_id
    graph = stage.definitions.get_repository_def().asset_graph
    resolver = CachingStaleStatusResolver(stage.instance, graph, LoadingContextForTest(stage.instance))
    assert resolver.get_stale_causes(dg.AssetKey("clip_video"), "pet") == [], "it is in sync with the plan of this run"


def test_a_waiting_clip_says_that_the_own_asset_is_skipped(stage, with_own_asset: dg.Definitions) -> None:
    stage.set_variable("I2V_SANDBOX_BUDGET_USD_PER_DAY", "0.01")
    stage.upload("pet.jpg", Path("pet.jpg"))
    stage.evaluate()

    run = as_the_ui(stage, "pet", ["clip_plan", "clip_video", "shop_entry"], with_own_asset)

    assert run.success
    assert stage.events("shop_entry", "pet") == []
    assert any("shop_entry is skipped" in line for line in lines(stage, run.run_id))


def test_a_range_with_an_own_asset_fails_before_it_pays_and_says_the_way_out(
    stage, with_own_asset: dg.Definitions
) -> None:
    for name in ("a", "b"):
        stage.upload(f"{name}.jpg", Path("pet.jpg"))
    stage.evaluate()
    job = with_own_asset.resolve_implicit_global_asset_job_def()

    run = job.execute_in_process(
        instance=stage.instance,
        tags={"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "b"},
        asset_selection=[dg.AssetKey(name) for name in ("clip_plan", "clip_video", "shop_entry")],
        raise_on_error=False,
    )

    assert not run.success
    (failure,) = [event for event in run.all_events if event.is_step_failure]
    words = failure.step_failure_data.user_failure_data.description
    assert "shop_entry" in words
    assert "AutomationCondition.eager()" in words
    assert stage.charges() == []


def lines(stage, run_id: str) -> list[str]:
    return [entry.user_message for entry in stage.instance.all_logs(run_id) if entry.dagster_event is None]


def test_a_run_is_found_by_its_clips_and_says_what_became_of_them(stage) -> None:
    stage.upload("pet.jpg", Path("pet.jpg"))
    stage.upload("torn.jpg", b"no picture")
    (request,) = stage.tick()
    assert request.tags["i2v/clip_count"] == "2"
    assert sorted(request.tags["i2v/clips"].split(", ")) == ["pet", "torn"]

    run = stage.execute(request)

    tags = stage.instance.get_run_by_id(run.run_id).tags
    told = {name: tags[f"i2v/{name}"] for name in ("delivered", "waiting", "refused", "failed", "usd", "requests")}
    assert told == {"delivered": "1", "waiting": "0", "refused": "1", "failed": "0", "usd": "0.60", "requests": "1"}
    assert int(tags["i2v/calls"]) > int(tags["i2v/polls"]) > 0
    ends = [line for line in lines(stage, run.run_id) if line.startswith(("pet: ", "torn: "))]
    assert sorted(line.split(".")[0] for line in ends) == ["pet: delivered", "torn: refused"]


def test_a_persons_run_names_its_clips_too(stage) -> None:
    for name in "abcdefg":
        stage.upload(f"{name}.jpg", Path("pet.jpg"))
    stage.evaluate()
    run = stage.materialize("a", "g")
    tags = stage.instance.get_run_by_id(run.run_id).tags
    assert (tags["i2v/clips"], tags["i2v/clip_count"]) == ("a, b, c, d, e and 2 more", "7")


def test_who_approves_a_page_of_text_is_advised_before_it_is_paid_for(stage) -> None:
    page = Image.new("RGB", (1280, 800), "white")
    for line in range(20, 780, 18):
        ImageDraw.Draw(page).text((20, line), "The quick brown fox jumps over invoice 123456 again. " * 3, fill="black")
    out = io.BytesIO()
    page.save(out, "PNG")
    stage.set_variable("I2V_REQUIRE_APPROVAL", "true")
    stage.upload("page.png", out.getvalue())
    stage.make()

    words = "page.png looks like a screenshot or a page of text"
    assert f"Advice: {words}" in stage.note("page", keys.WAITING_NOTE)
    (shown,) = states(stage, "page")
    assert words in shown["advice"]
    assert stage.charges() == []
