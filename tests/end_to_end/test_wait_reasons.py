"""Every reason to wait, with and without a request at the service: all that speaks of a clip says the same.

The note in the bucket, `i2v status`, the UI's check, the gallery and the command that leads out agree with the ledger.
"""

import io
import json
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest
from PIL import Image

from i2v_assets.cli.main import main
from i2v_assets.defs.clips import answered, make_clips
from i2v_assets.defs.maintenance import to_retry
from i2v_assets.pipeline.generate import GenerationQueue
from resources.generation.types import Failed, GenerationRequest, Held, Outcome
from resources.ledger.records import Claimed, NewRequest, State, caps_of
from resources.registry.registry import ClipState
from resources.settings import load_settings
from resources.storage import keys
from resources.wait_reason import WaitReason

AFTER_FAILURE = {
    WaitReason.RETRY: {},
    WaitReason.NEVER: {"attempts_left": False},
    WaitReason.FINAL: {"final": True},
}
REASON, REMEDY = "Something is in the way.", "Take it out of the way."


def picture(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), (shade, 9, 99)).save(out, "PNG")
    return out.getvalue()


def clip_of(reason: WaitReason) -> str:
    return reason.value.replace("_", "-")


def i2v(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str]:
    """Run the command in this process; its exit code and what it printed."""
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["i2v", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0), capsys.readouterr().out


def send(stage: Any, request: GenerationRequest, reason: WaitReason) -> None:
    """Leave a request in the ledger as it is when a run meets the reason after the submit."""
    claimed = stage.ledger.claim(
        request.fingerprint, owner="a run", run_id="r", lease_seconds=60, price_microdollars=600_000, model_id="m",
        caps=caps_of(load_settings()), max_in_flight=99,
    )  # fmt: skip
    assert isinstance(claimed, Claimed)
    stage.ledger.submitted(request.fingerprint, attempt=1, owner="a run", request_id=f"req_{request.clip}")
    if reason in (WaitReason.LOST, WaitReason.DOWNLOAD):
        stage.ledger.succeeded(request.fingerprint, attempt=1)
    if reason is WaitReason.LOST:
        stage.ledger.lost(request.fingerprint, REASON)
    if reason in AFTER_FAILURE:
        final = reason is WaitReason.FINAL
        stage.ledger.failed(request.fingerprint, attempt=1, reason=REASON, final=final)


def hold_all(stage: Any, monkeypatch: pytest.MonkeyPatch, *, sent: bool) -> None:
    """Let each clip's request end in the reason that the clip is named after."""
    reasons = {clip_of(reason): reason for reason in WaitReason}

    async def generate(self: GenerationQueue, request: GenerationRequest) -> Outcome:
        reason = reasons[request.clip]
        family, route = request.inputs.family, request.route
        stage.ledger.plan(NewRequest(request.fingerprint, "sandbox", request.clip, 1, family, route, 1, 3, "{}"))
        if sent:
            send(stage, request, reason)
        if reason in AFTER_FAILURE:
            return Failed(request, REASON, REMEDY, **AFTER_FAILURE[reason])
        return Held(request, reason, REASON, REMEDY)

    monkeypatch.setattr(GenerationQueue, "generate", generate)


def gallery_pages(stage: Any) -> dict[str, Any]:
    """What the gallery says of each clip."""
    assert stage.definitions.resolve_job_def("gallery_job").execute_in_process(instance=stage.instance).success
    found: dict[str, Any] = {}
    for info in stage.bucket.list("gallery/data/page-"):
        text = stage.bucket.read(info.key).decode()
        found |= json.loads(text[text.index(",") + 1 : text.rindex(")")])
    return found


@pytest.fixture(params=[False, True], ids=["nothing was sent", "a request was sent"])
def held(stage: Any, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> bool:
    """A clip for each reason, and whether its request was sent."""
    with monkeypatch.context() as patched:
        hold_all(stage, patched, sent=request.param)
        for number, reason in enumerate(WaitReason):
            stage.upload(f"{clip_of(reason)}.png", picture(number))
        stage.make()
    for reason in WaitReason:
        assert stage.clip(clip_of(reason)).wait is reason
    return bool(request.param)


def test_everybody_says_the_same_of_every_wait(
    stage: Any, held: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = gallery_pages(stage)
    for reason in WaitReason:
        clip = clip_of(reason)
        code, text = i2v(capsys, monkeypatch, "status", clip, "--json")
        assert code == 0
        said = json.loads(text)
        note = stage.note(clip, "FAILED.txt" if reason in AFTER_FAILURE else "WAITING.txt")
        check = stage.check("clip_video", "answered", clip)
        page = pages[clip]
        assert note.startswith(said["answer"]), reason
        assert f"What happens next: {said['next']}" in note
        assert (page["title"], page["next"]) == (said["answer"], said["next"])
        assert page["problems"] == [[REASON, "", REMEDY]]
        assert check.metadata["answer"].value == said["answer"]
        assert check.metadata["what happens next"].value == said["next"]
        assert check.metadata["what to do"].value == said["remedy"] == REMEDY
        assert said["resumes_by_itself"] == reason.resumes_by_itself
        assert (f"Request: req_{clip}" in note) == held
        assert ("up to $0.60 may be charged" in said["answer"]) == held, said["answer"]
        assert ("othing was paid" in note) == (not held), note
        if reason not in AFTER_FAILURE:
            assert ("It will cost about $0.60" in note) == (not held and reason is not WaitReason.PRICE_CHANGED), note


def test_the_check_that_a_person_asks_for_says_it_again(stage: Any, held: bool) -> None:
    key = dg.AssetCheckKey(dg.AssetKey("clip_video"), "answered")
    job = dg.define_asset_job("check_again", selection=dg.AssetSelection.checks(key))
    alone = dg.Definitions(
        assets=[make_clips], asset_checks=[answered], jobs=[job], resources=stage.definitions.resources
    )
    before = stage.check("clip_video", "answered", "lost")
    alone.resolve_job_def("check_again").execute_in_process(instance=stage.instance, tags={"dagster/partition": "lost"})
    after = stage.check("clip_video", "answered", "lost")
    assert after.metadata["state"].value == "waiting"
    assert (after.severity, after.passed) == (before.severity, before.passed)
    for name in ("answer", "what happens next", "what to do"):
        assert after.metadata[name] == before.metadata[name]


def test_every_wait_has_a_way_out(
    stage: Any, held: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for reason in WaitReason:
        stage.later(clip_of(reason), timedelta(days=1))
    retried = to_retry(stage.registry, load_settings())
    assert retried == [clip_of(WaitReason.RETRY)]
    stage.tick("dispatch")
    gone = {
        reason
        for reason in WaitReason
        if stage.clip(clip_of(reason)).state in (ClipState.DUE, ClipState.DISPATCHED) or clip_of(reason) in retried
    }
    by_itself = {reason for reason in WaitReason if reason.resumes_by_itself}
    # Only this test says that a request is unknown and that a heap is there; the sensor looks at the ledger and the clips.
    assert gone == by_itself | {WaitReason.UNKNOWN, WaitReason.HEAP}

    plan = json.loads(stage.bucket.read(keys.clip_key("approval", "plan.json")))
    commands = {
        WaitReason.LOST: ("retake", "lost"),
        WaitReason.PERSON: ("retry", "person"),
        WaitReason.NEVER: ("retry", "never"),
        WaitReason.FINAL: ("retake", "final"),
        WaitReason.APPROVAL: ("approve", plan["plan_hash"], "approval"),
    }
    assert set(commands) == set(WaitReason) - gone
    for reason, words in commands.items():
        code, _ = i2v(capsys, monkeypatch, *words)
        assert code == 0, words
        if reason is WaitReason.APPROVAL:
            stage.tick("dispatch")
        row = stage.clip(clip_of(reason))
        assert row.state in (ClipState.DUE, ClipState.DISPATCHED), words
        if reason is not WaitReason.APPROVAL:
            assert f"i2v {words[0]} {words[1]}" in (
                stage.note(row.clip, "WAITING.txt") or stage.note(row.clip, "FAILED.txt")
            )


def test_a_deleted_upload_withdraws_nothing_that_was_paid(stage: Any, held: bool) -> None:
    for reason in WaitReason:
        stage.bucket.delete(f"uploads/{clip_of(reason)}.png")
    stage.evaluate()

    for reason in WaitReason:
        clip = clip_of(reason)
        if reason in AFTER_FAILURE:
            assert stage.clip(clip).state is ClipState.FAILED
        else:
            assert stage.clip(clip).state is (ClipState.WAITING if held else ClipState.WITHDRAWN), reason
            assert (stage.note(clip, "WAITING.txt") is not None) == held


# Real faults


def test_a_paid_video_that_cannot_be_fetched_is_told_as_paid_and_a_retake_leads_out(
    stage: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.fault(where="download", kind="http_404", times=50)
    stage.upload("hero.png", picture(1))
    stage.make()

    row, (charge,) = stage.clip("hero"), stage.charges()
    assert (row.state, row.wait) == (ClipState.WAITING, WaitReason.LOST)
    note = stage.note("hero", "WAITING.txt")
    assert note.startswith("WAITING: hero is not made yet. $0.60 was charged.\n"), note
    assert f"Request: {charge['request_id']}" in note
    assert "nothing by itself. Run: i2v retake hero" in note
    assert "othing was paid" not in note
    assert stage.check("clip_video", "answered", "hero").severity is dg.AssetCheckSeverity.ERROR
    stage.later("hero", timedelta(days=1))
    assert stage.tick("dispatch") == []

    stage.web.delete(f"{stage.sandbox.url}/_sandbox/faults").raise_for_status()
    stage.fault(where="download", kind="http_404", times=50, request_id=charge["request_id"])
    assert i2v(capsys, monkeypatch, "retake", "hero")[0] == 0
    stage.make()
    assert stage.delivered() == {"hero"}
    assert stage.clip("hero").state is ClipState.DELIVERED
    assert stage.note("hero", "WAITING.txt") is None
    assert len(stage.charges()) == 2


def test_a_lost_video_that_is_back_is_fetched_by_a_retry_for_nothing(
    stage: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.fault(where="download", kind="http_404", times=50)
    stage.upload("hero.png", picture(2))
    stage.make()
    stage.web.delete(f"{stage.sandbox.url}/_sandbox/faults").raise_for_status()

    assert i2v(capsys, monkeypatch, "retry", "hero")[0] == 0
    stage.make()
    assert stage.delivered() == {"hero"}
    assert len(stage.charges()) == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"where": "result", "kind": "http_401"}, WaitReason.ACCOUNT),
        ({"where": "result", "kind": "http_422"}, WaitReason.SERVICE),
        ({"where": "download", "kind": "garbage"}, WaitReason.DOWNLOAD),
    ],
)
def test_a_wait_after_the_submit_is_told_as_paid_and_ends_by_itself(
    stage: Any, monkeypatch: pytest.MonkeyPatch, fault: dict[str, str], reason: WaitReason
) -> None:
    monkeypatch.setattr("resources.generation.poll.REFUSAL_GAP", 0.01)
    monkeypatch.setattr("resources.generation.download.RETRY_WAIT", 0.01)
    stage.fault(**fault, times=50)
    stage.upload("hero.png", picture(3))
    stage.make()

    row = stage.clip("hero")
    assert (row.state, row.wait) == (ClipState.WAITING, reason)
    note = stage.note("hero", "WAITING.txt")
    assert "othing was paid" not in note
    assert "will cost" not in note
    assert "$0.60" in note.splitlines()[0]
    assert f"Request: {stage.charges()[0]['request_id']}" in note

    stage.web.delete(f"{stage.sandbox.url}/_sandbox/faults").raise_for_status()
    stage.later("hero", timedelta(days=1))
    stage.make("dispatch")
    assert stage.delivered() == {"hero"}
    assert len(stage.charges()) == 1


def test_a_run_that_a_person_ended_after_the_submit_is_told_as_paid(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut_off(self: GenerationQueue, request: GenerationRequest) -> Outcome:
        family, route = request.inputs.family, request.route
        stage.ledger.plan(NewRequest(request.fingerprint, "sandbox", request.clip, 1, family, route, 1, 3, "{}"))
        if request.clip == "sent":
            send(stage, request, WaitReason.PERSON)
        raise dg.DagsterExecutionInterruptedError  # as Terminate does, which no clip catches

    with monkeypatch.context() as patched:
        patched.setattr(GenerationQueue, "generate", cut_off)
        for number, clip in enumerate(("sent", "unsent")):
            stage.upload(f"{clip}.png", picture(number))
        (run,) = stage.make()
    assert stage.request("sent").state is State.SUBMITTED
    patch_status(stage.instance, run.run_id, monkeypatch)
    stage.make("dispatch")

    notes = {clip: stage.note(clip, "WAITING.txt") for clip in ("sent", "unsent")}
    for clip, note in notes.items():
        assert stage.clip(clip).wait is WaitReason.PERSON
        assert f"i2v retry {clip}" in note
        check = stage.check("clip_video", "answered", clip)
        assert note.startswith(check.metadata["answer"].value)
    assert "up to $0.60 may be charged" in notes["sent"]
    assert "Nothing was paid yet." in notes["unsent"]


def patch_status(instance: dg.DagsterInstance, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Show a run as one that a person terminated."""
    get_runs: Callable[..., Any] = instance.get_runs

    def canceled(*arguments: Any, **more: Any) -> Any:
        runs = get_runs(*arguments, **more)
        return [run.with_status(dg.DagsterRunStatus.CANCELED) if run.run_id == run_id else run for run in runs]

    monkeypatch.setattr(instance, "get_runs", canceled)
