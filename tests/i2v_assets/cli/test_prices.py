"""What a person sees of a price on the command line, and how they agree to a surprise."""

from resources.registry.registry import ClipState
from resources.wait_reason import WaitReason
from tests.i2v_assets.cli.conftest import HTTP

FAMILY = "happyhorse-1.0/image-to-video"
ASKS = b"prompt: Slow push in\nresolution: 720p\nneeds_approval: true\n"
GOES = b"prompt: Slow push in\nresolution: 720p\n"


def clip(world, name, brief=GOES):
    world.upload(f"{name}/image.jpg", world.image(f"{name}.jpg").read_bytes())
    world.upload(f"{name}/brief.yaml", brief)


def state_of(world, name):
    with world.session() as (_, registry):
        return registry.get(name)


def test_a_surprise_is_shown_and_agreed_to(world, monkeypatch):
    monkeypatch.setenv("I2V_PRICE_HEADROOM", "2")
    HTTP.put(f"{world.operator.url}/_sandbox/prices", json={"factor": 2.5}).raise_for_status()
    clip(world, "one")
    world.make("one")
    clip(world, "two")
    world.make("two")
    assert state_of(world, "two").wait is WaitReason.PRICE_AGREEMENT
    shown = world("models")
    assert "A request of happyhorse-1.0/image-to-video for clip one cost $2.50, and at most $2.00" in shown.out
    assert f"i2v models --accept {FAMILY}" in shown.err
    assert "720p, 5 s: $2.50 expected, at most $2.75 (1 request)" in shown.out
    (row,) = [each for each in world("models", "--json").json if each["family"] == FAMILY]
    assert (row["quotes"][0]["base_microdollars"], row["quotes"][0]["known"]) == (1_000_000, 1)
    assert len(row["held"]) == 1

    planned = world("plan", "two")
    assert "1 to pay for, $2.50, at most $2.75; balance" in planned.out
    assert "720p, 5 s was billed at 2.5 x in 1 earlier request" in planned.err

    agreed = world("models", "--accept", FAMILY)
    assert "Agreed to: A request of" in agreed.err
    world.make("two")
    assert state_of(world, "two").state is ClipState.DELIVERED
    assert world("models", "--json").json[0]["held"] == []


def test_a_hash_still_approves_what_may_only_cost_less_by_now(world, monkeypatch):
    clip(world, "hero", ASKS)
    monkeypatch.setenv("I2V_PRICE_HEADROOM", "3")
    world.make("hero")
    note = world.bucket.read("clips/hero/WAITING.txt").decode()
    assert "It will cost about $1.00, and at most $3.00." in note
    (line,) = [line for line in note.splitlines() if "i2v approve" in line]
    asked = line.split("i2v approve ")[1].split()[0]
    monkeypatch.setenv("I2V_PRICE_HEADROOM", "2")
    ran = world("approve", asked)
    assert ran.code == 0, ran.err
    assert "at most $2.00" in ran.out
    monkeypatch.setenv("I2V_PRICE_HEADROOM", "4")
    ran = world("approve", asked)
    assert ran.code == 65
    assert "hero was $3.00 and is $4.00" in ran.err


def test_a_doubted_cost_is_corrected_by_the_bill(world):
    HTTP.put(f"{world.operator.url}/_sandbox/prices", json={"factor": 50}).raise_for_status()
    clip(world, "one")
    world.make("one")
    with world.session() as (ledger, _):
        (row,) = ledger.list()
    assert row.cost_doubted
    assert "Proven." in world("verify", "one").out
    for typed in ("a lot", "-1", "1,25", "nan", "2000000"):
        ran = world("ledger", "cost", "--", row.fingerprint[:12], typed)
        assert ran.code != 0
        assert "amount in US dollars" in ran.err
    ran = world("ledger", "cost", row.fingerprint[:12].upper(), "$1.25", "--by", "ann")
    assert ran.code == 0, ran.err
    assert f"{row.fingerprint[:12]} of clip one cost $1.25; it counted as $1.00." in ran.out
    assert f"i2v models --accept {FAMILY}" in ran.err
    assert "720p, 5 s: $1.25 expected" in world("models").out
    shown = world("ledger", "show", row.request_id)
    assert "cost_corrected" in shown.out
    assert "ann" in shown.out
    assert world("ledger", "cost", row.request_id, "1.30", "--json").json["cost_microdollars"] == 1_300_000
    proof = world("verify", "one")
    assert "Proven." in proof.out, "its manifest has the cost of the delivery"
    assert "paid $1.30" in proof.out


def test_a_video_is_proven_after_a_person_agreed_to_its_doubted_cost(world):
    HTTP.put(f"{world.operator.url}/_sandbox/prices", json={"factor": 50}).raise_for_status()
    clip(world, "one")
    world.make("one")
    assert world("models", "--accept", FAMILY).code == 0
    proof = world("verify", "one")
    assert "Proven." in proof.out
    assert "paid $50.00" in proof.out
