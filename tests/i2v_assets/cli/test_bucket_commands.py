"""Files in the bucket that approve and cancel: once, exactly what was shown, and only where that is allowed."""

import json

import pytest

from i2v_assets.gallery.collect import Answers, TextCache, gather
from i2v_assets.operations.bucket_commands import CommandAnswer, run_bucket_commands
from i2v_assets.session import Session
from resources.ledger.approvals import ApprovalWay
from resources.registry.registry import ClipState
from resources.settings import load_settings
from resources.storage import keys

BRIEF = b"prompt: Slow push in\nresolution: 720p\n"


@pytest.fixture
def act(world):
    def act() -> tuple[CommandAnswer, ...]:
        with world.session() as (ledger, registry):
            return run_bucket_commands(Session(load_settings(), ledger, registry))

    return act


@pytest.fixture
def waiting(world, monkeypatch):
    """The clip `hero`, which waits for an approval."""
    monkeypatch.setenv("I2V_REQUIRE_APPROVAL", "true")
    world.upload("hero/image.jpg", world.image().read_bytes())
    world.upload("hero/brief.yaml", BRIEF)
    world.make("hero")
    assert row(world).waiting_for == "approval"


def command(world, name: str, data: bytes = b"") -> None:
    """Write a command after the second in which the clip's note was written: the bucket's times are whole seconds."""
    noted = world.bucket.head("clips/hero/WAITING.txt").modified_at
    written = noted
    while written <= noted:
        world.upload(name, data)
        written = world.bucket.head(f"uploads/{name}").modified_at


def row(world, clip="hero"):
    with world.session() as (_, registry):
        return registry.get(clip)


def text(world, key: str) -> str:
    return world.bucket.read(key).decode()


@pytest.mark.usefixtures("waiting")
def test_a_file_approves_what_the_note_said_and_acts_once(world, act):
    assert "uploads/_do/approve-hero" in text(world, "clips/hero/WAITING.txt")
    command(world, "_do/approve-hero")
    (answer,) = act()
    assert answer.done
    assert text(world, "clips/hero/APPROVE.txt").startswith("APPROVED: hero. It costs at most $1.00")
    assert act() == ()
    world.upload("_do/approve-hero", b"")  # the same bytes again, as a sync does
    assert act() == ()
    world.make("hero")
    assert row(world).state is ClipState.DELIVERED
    assert world("status", "--json").json["refused_uploads"] == [], "the command is no upload"


@pytest.mark.usefixtures("waiting")
def test_what_was_planned_anew_is_not_approved_by_an_older_file(world, act):
    world.upload("_do/approve-hero.txt", b"yes")
    world.upload("hero/brief.yaml", BRIEF + b"duration: 15\n")
    world.admit()
    (answer,) = act()
    assert not answer.done
    assert "NOT APPROVED" in text(world, "clips/hero/APPROVE.txt")
    world.make("hero")
    assert row(world).waiting_for == "approval"
    assert act() == ()
    world.bucket.delete("uploads/_do/approve-hero.txt")
    assert act() == ()
    command(world, "_do/approve-hero.txt", b"yes")
    assert [each.done for each in act()] == [True]


@pytest.mark.usefixtures("waiting")
def test_a_plan_that_no_note_names_yet_is_not_approved(world, act):
    """A run writes the plan before the note; the note that a person has read is of another plan."""
    stored = json.loads(world.bucket.read("clips/hero/plan.json"))
    stored["takes"][0]["fingerprint"] = "f" * 64
    world.bucket.write("clips/hero/plan.json", json.dumps(stored).encode(), "application/json")
    command(world, "_do/approve-hero")
    (answer,) = act()
    assert not answer.done
    assert "was planned after the command was written" in answer.text


@pytest.mark.usefixtures("waiting")
def test_a_file_cancels(world, act):
    world.upload("_do/cancel-hero", b"no")
    (answer,) = act()
    assert answer.done
    assert row(world).waiting_for == "person"
    assert "CANCELLED: hero" in text(world, "clips/hero/CANCEL.txt")
    assert world("retry", "hero").code == 0
    assert act() == ()
    assert row(world).state is ClipState.DUE


@pytest.mark.usefixtures("waiting")
def test_they_are_off_where_nobody_allowed_them_and_allowing_them_carries_out_no_old_one(world, act, monkeypatch):
    monkeypatch.setenv("I2V_BUCKET_COMMANDS", "false")
    world.upload("_do/approve-hero", b"")
    (answer,) = act()
    assert not answer.done
    assert "I2V_BUCKET_COMMANDS=true" in text(world, "clips/hero/APPROVE.txt")
    monkeypatch.setenv("I2V_BUCKET_COMMANDS", "true")
    assert act() == ()
    assert row(world).state is ClipState.WAITING


def test_the_paid_service_has_them_off(monkeypatch):
    monkeypatch.setenv("I2V_SERVICE", "runcomfy")
    for name in ("RUNCOMFY_MODEL_API_BASE", "I2V_BUCKET_COMMANDS", "I2V_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert load_settings().takes_bucket_commands is False
    monkeypatch.setenv("I2V_BUCKET_COMMANDS", "true")
    assert load_settings().takes_bucket_commands is True


def test_what_is_no_clip_is_answered_by_its_key_and_the_rest_ignored(world, act):
    for name in ("approve-nobody", "approve-", "hello.txt", ".DS_Store", "cancel-../x"):
        world.upload(f"_do/{name}", b"")
    (answer,) = act()
    assert (answer.clip, answer.done) == ("nobody", False)
    (note,) = [info.key for info in world.bucket.list("clips/_refused/")]
    assert "There is no clip" in text(world, note)
    world.admit()
    listed = {info.key: info for info in world.bucket.list("clips/")}
    assert note in listed
    known = Answers((), (), {}, {}, "sandbox", retries_per_clip=1)
    assert gather(known, listed, TextCache(world.bucket, listed)).entries == (), (
        "an answer is not an upload of the gallery"
    )
    world.bucket.delete("uploads/_do/approve-nobody")
    assert act() == ()
    assert list(world.bucket.list("clips/_refused/")) == [], "goes with its command"
    assert world("status", "--json").json["refused_uploads"] == []


@pytest.mark.parametrize(
    "name",
    ["approve-Blue Väse.v2", "approve-Blue Väse.v2.jpg", "APPROVE-Blue Väse.v2.txt", "approve_Blue-Vase-v2",
     "Approve Blue-Vase-v2.txt", "approve-Blue-Vase-v2.jpg.txt"],
)  # fmt: skip
def test_a_clip_may_be_named_as_its_upload_is(world, act, monkeypatch, name):
    monkeypatch.setenv("I2V_REQUIRE_APPROVAL", "true")
    world.upload("Blue Väse.v2.jpg", world.image().read_bytes())
    world.make("Blue-Vase-v2")
    world.upload(f"_do/{name}", b"")
    (answer,) = act()
    assert answer.clip == "Blue-Vase-v2"
    assert world.bucket.head("clips/Blue-Vase-v2/APPROVE.txt") is not None, "answered, whatever the second it came in"


def another_waits(world, folder):
    """Another clip that waits for an approval; return its name."""
    clip = keys.slug(folder)
    world.upload(f"{folder}/image.jpg", world.image().read_bytes())
    world.upload(f"{folder}/brief.yaml", BRIEF)
    world.make(clip)
    return clip


@pytest.mark.usefixtures("waiting")
def test_a_name_that_may_mean_two_clips_approves_neither(world, act):
    another_waits(world, "hero.txt")
    command(world, "_do/approve-hero.txt")
    (answer,) = act()
    assert not answer.done
    assert "It may mean hero or hero-txt." in answer.text
    assert row(world).state is ClipState.WAITING
    assert row(world, "hero-txt").waiting_for == "approval"


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize("name", ["approve-hero.v2", "approve-hero.v2.txt", "approve-hero.final.jpg"])
def test_another_version_of_a_clip_is_another_clip(world, act, name):
    world.upload(f"_do/{name}", b"")
    (answer,) = act()
    assert not answer.done
    assert answer.clip != "hero"
    assert row(world).state is ClipState.WAITING


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize("name", ["hero 2.txt", "hero (2).txt", "hero - Copy.txt", "hero 2", "hero Kopie.txt"])
def test_a_copied_command_approves_no_clip_of_a_series(world, act, name):
    other = another_waits(world, name.partition(".")[0])
    command(world, f"_do/approve-{name}")
    (answer,) = act()
    assert not answer.done
    assert f"It may mean hero or {other}." in answer.text
    assert {row(world).state, row(world, other).state} == {ClipState.WAITING}


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize("name", ["aprove-hero", "retry-hero", "approved hero.txt"])
def test_another_word_is_answered_and_does_nothing(world, act, name):
    world.upload(f"_do/{name}", b"")
    (answer,) = act()
    assert not answer.done
    (note,) = [info.key for info in world.bucket.list("clips/_refused/")]
    assert "is not a command in the bucket. Upload a file as uploads/_do/approve-<clip>" in text(world, note)
    assert row(world).state is ClipState.WAITING
    assert act() == ()


def test_the_way_is_kept():
    assert ApprovalWay("bucket") is ApprovalWay.BUCKET
