"""`i2v cancel` for many at once, `i2v pause` and `i2v resume`, and the launchpad's jobs of the same names."""

import dagster as dg
import pytest

from i2v_assets.definitions import defs
from resources.ledger.records import State
from resources.registry.registry import ClipState

BRIEF = b"prompt: Slow push in\nresolution: 720p\n"


def clips(world, *names):
    for name in names:
        world.upload(f"{name}/image.jpg", world.image(f"{name.replace('/', '-')}.jpg").read_bytes())
        world.upload(f"{name}/brief.yaml", BRIEF)
    world.admit()


def states(world):
    with world.session() as (_, registry):
        return {row.clip: row.waiting_for or row.state.value for row in registry.list()}


def launch(job, **config):
    definition = defs.resolve_job_def(job)
    (op,) = definition.graph.node_dict
    return definition.execute_in_process(run_config={"ops": {op: {"config": config}}} if config else {})


def test_all_at_once(world):
    clips(world, "a", "b", "done")
    world.make("done")
    before = world.operator.charges
    ran = world("cancel", "--all", "--json")
    assert ran.code == 0, ran.err
    assert {each["clip"]: [step["code"] for step in each["done"]] for each in ran.json} == {
        "a": ["held"],
        "b": ["held"],
    }
    world.make("a", "b")
    assert states(world) == {"a": "person", "b": "person", "done": "delivered"}
    assert world.operator.charges == before
    assert world("retry", "a", "b").code == 0
    world.make("a", "b")
    assert world.operator.charges == before + 2


def test_a_folder_and_not_its_neighbour(world):
    for name in ("spring/1.jpg", "spring/2.jpg", "springtime/3.jpg"):
        world.upload(name, world.image(name.replace("/", "-")).read_bytes())
    world.admit()
    ran = world("cancel", "--folder", "spring")
    assert ran.code == 0, ran.err
    assert states(world) == {"spring--1": "person", "spring--2": "person", "springtime--3": "due"}
    assert "2 clips cancelled" in ran.err
    assert world("cancel", "--folder", "uploads/autumn/").code == 64


def test_a_list(world):
    for number in (1, 2, 3):
        world.upload(f"img/{number}.jpg", world.image(f"{number}.jpg").read_bytes())
    world.upload("looks.csv", b"clip,image,prompt\ncup,img/1.jpg,Slow push in\nmug,img/2.jpg,Slow push in\n")
    world.admit()
    made = states(world)
    assert {"cup", "mug"} <= set(made), made
    assert world("cancel", "--list", "looks.csv").code == 0
    after = states(world)
    assert (after["cup"], after["mug"]) == ("person", "person")
    assert [name for name, state in after.items() if state == "person"] == ["cup", "mug"]
    assert world("cancel", "--list", "other.csv").code == 64


@pytest.mark.parametrize(
    "arguments", [(), ("a", "--all"), ("--all", "--folder", "x"), ("--list", "x", "--folder", "x")]
)
def test_exactly_one_choice(world, arguments):
    assert world("cancel", *arguments).code == 64


def test_a_clip_that_a_run_works_on_is_stopped_before_it_sends(world):
    clips(world, "hero")
    with world.session() as (_, registry):
        registry.mark_running(["hero"], "run")
    ran = world("cancel", "hero", "--json")
    assert (ran.code, [step["code"] for step in ran.json["done"]]) == (0, ["held"])
    with world.session() as (_, registry):
        row = registry.get("hero")
        assert row is not None
        assert row.state is ClipState.WORKING
    assert "stopped by" in world("status").out
    assert world("retry", "hero").code == 0, "and let go again before the run came to it"
    with world.session() as (_, registry):
        row = registry.get("hero")
        assert row is not None
        assert row.stopped_by is None


def test_what_is_at_the_service_is_marked_and_still_fetched(world, monkeypatch):
    clips(world, "hero")
    world.operator.fault("submit", "stuck")
    monkeypatch.setenv("I2V_DEADLINE_SECONDS", "1.5")
    world.make("hero")
    ran = world("cancel", "hero", "--json")
    assert ran.code == 75
    assert ran.json["done"][0]["sent"]
    with world.session() as (ledger, registry):
        (request,) = ledger.list(clip="hero")
        assert request.state is State.SUBMITTED
        row = registry.get("hero")
        assert row is not None
        assert (row.state, row.waiting_for) == (ClipState.WAITING, "deadline"), "it is not abandoned"
        assert row.stopped_by


def test_a_failed_clip_that_would_be_retried_tonight_is_cancelled(world):
    clips(world, "hero")
    world.operator.fault("submit", "failed_result", message="The GPU caught fire")
    world.make("hero")
    assert states(world) == {"hero": "retry"}
    assert world("cancel", "hero").code == 0
    assert states(world) == {"hero": "person"}
    note = world.bucket.read("clips/hero/WAITING.txt").decode()
    assert "cancelled by" in note


def test_approving_a_cancelled_clip_says_that_it_is_cancelled(world):
    clips(world, "hero")
    asked = world("plan", "hero", "--json").json["plan_hash"]
    assert world("cancel", "hero").code == 0
    ran = world("approve", asked, "hero")
    assert ran.code == 64
    assert "hero is cancelled" in ran.err
    assert "i2v retry hero" in " ".join(ran.err.split())
    note = world.bucket.read("clips/hero/WAITING.txt").decode()
    assert "was sent" not in note
    assert "Nothing was paid yet." in note


def test_pause_and_resume(world):
    clips(world, "a", "b")
    before = world.operator.charges
    assert world("pause").code == 0
    assert "paused all paid work" in world("status").out
    assert world("status", "--json").json["paused"]["by"]
    world.make("a", "b")
    assert states(world) == {"a": "paused", "b": "paused"}
    assert world.operator.charges == before
    ran = world("run", "animate", "--image", str(world.image("c.jpg")), "--json")
    assert ran.code == 75, "the shell's own runs wait too"
    assert world.operator.charges == before
    ran = world("resume", "--json")
    assert ran.json == {"paused": False, "was_paused": True, "clips": ["a", "b"]} or set(ran.json["clips"]) == {
        "a",
        "b",
    }
    world.make("a", "b")
    assert world.operator.charges == before + 2
    assert "not paused" in world("resume").out
    assert world("status", "--json").json["paused"] is None


def test_the_launchpad_pauses_resumes_and_cancels_many(world):
    clips(world, "a", "b")
    assert launch("pause_job").success
    world.make("a")
    assert states(world)["a"] == "paused"
    assert launch("resume_job").success
    assert launch("cancel_job", everything=True).success
    assert states(world) == {"a": "person", "b": "person"}
    with pytest.raises(dg.Failure, match="More than one"):
        launch("cancel_job", everything=True, clip="a")
