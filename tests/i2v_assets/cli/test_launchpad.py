"""The jobs of the launchpad do what the commands of the same names do, by the same operations."""

import dagster as dg
import pytest

from i2v_assets.definitions import defs
from resources.ledger.records import State
from resources.registry.registry import ClipState

BRIEF = b"prompt: Slow push in\nresolution: 720p\n"


@pytest.fixture
def clip(world):
    world.upload("hero/image.jpg", world.image().read_bytes())
    world.upload("hero/brief.yaml", BRIEF)
    world.admit()


def launch(job, **config):
    """Run a job of one op as the launchpad does."""
    definition = defs.resolve_job_def(job)
    (op,) = definition.graph.node_dict
    return definition.execute_in_process(run_config={"ops": {op: {"config": config}}} if config else {})


def row(world):
    with world.session() as (_, registry):
        return registry.get("hero")


@pytest.mark.parametrize("job", ["cancel_job", "retry_job", "retake_job", "choose_job"])
def test_a_job_without_a_clip_says_what_to_give(world, job):
    with pytest.raises(dg.Failure, match=r"No clip was given\. Give its partition key as `clip`"):
        launch(job)


@pytest.mark.parametrize("job", ["cancel_job", "retry_job", "retake_job", "choose_job"])
def test_a_job_with_an_unknown_clip_names_the_one_that_is_meant(world, clip, job):
    with pytest.raises(dg.Failure, match="Did you mean hero"):
        launch(job, clip="heroo")


def test_an_approval_without_a_hash_says_where_it_is(world):
    with pytest.raises(dg.Failure, match=r"No plan hash was given\. `i2v plan`"):
        launch("approve_job")
    with pytest.raises(dg.Failure, match="'hero' is not a plan hash"):
        launch("approve_job", plan_hash="hero")


def test_cancel_holds_a_clip_and_retry_lets_it_go(world, clip):
    assert launch("cancel_job", clip="hero").success
    assert row(world).waiting_for == "person"
    assert "i2v retry hero" in world.bucket.read("clips/hero/WAITING.txt").decode()
    with pytest.raises(dg.Failure, match="nothing to cancel"):
        launch("cancel_job", clip="hero")
    assert launch("retry_job", clip="hero").success
    assert row(world).state is ClipState.DUE
    world.make("hero")
    with pytest.raises(dg.Failure, match="i2v retake hero"):
        launch("retry_job", clip="hero")


def test_cancel_at_the_service(world, clip, monkeypatch):
    world.operator.fault("submit", "stuck_in_queue")
    monkeypatch.setenv("I2V_DEADLINE_SECONDS", "1.5")
    world.make("hero")
    ran = launch("cancel_job", clip="hero")
    assert world.operator.requests[-1]["state"] == "cancelled"
    with world.session() as (ledger, _):
        (request,) = ledger.list(clip="hero")
    assert request.state is State.CANCELLED
    assert request.reason == f"cancelled by run {ran.run_id}"


def test_approve_lets_a_plan_go_and_refuses_another(world, clip):
    world.upload("hero/brief.yaml", BRIEF + b"needs_approval: true\n")
    world.make("hero")
    assert row(world).waiting_for == "approval"
    asked = world("plan", "hero", "--json").json["plan_hash"]
    with pytest.raises(dg.Failure, match="Nothing was approved"):
        launch("approve_job", plan_hash="ab" * 32)
    assert launch("approve_job", plan_hash=asked, clips=["hero"]).success
    world.make("hero")
    assert row(world).state is ClipState.DELIVERED


def test_a_retake_is_refused_as_at_the_command_line(world, clip):
    with pytest.raises(dg.Failure, match="hero is due: a run makes it first"):
        launch("retake_job", clip="hero")
    world.make("hero")
    assert launch("retake_job", clip="hero", seed=42).success
    assert row(world).extra_takes == 1
    world.make("hero")
    with pytest.raises(dg.Failure, match="Takes that are there: 1, 2"):
        launch("choose_job", clip="hero")
    assert launch("choose_job", clip="hero", take=2).success


def test_what_is_withdrawn_after_a_charged_failure_does_not_claim_that_nothing_was_paid(world, clip):
    world.operator.fault("submit", "failed_result", message="The GPU caught fire")
    world.make("hero")
    assert world("retry", "hero").code == 0
    ran = world("cancel", "hero", "--json")
    assert ran.code == 0, ran.err
    assert "nothing was paid" not in ran.out
    assert ran.json["done"][0]["what"] == "take 1 is cancelled before it was sent; earlier attempts cost $1.00."
