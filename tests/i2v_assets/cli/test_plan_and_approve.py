from i2v_assets.pipeline.clip import ClipPipeline
from i2v_assets.pipeline.report import ClipReporter
from resources.registry.registry import ClipState
from resources.storage.errors import StorageUnavailable

ID = "happyhorse/happyhorse-1-0/image-to-video"
APPROVAL = b"prompt: Slow push in\nresolution: 720p\nneeds_approval: true\n"


def clip(world, name="hero", brief=APPROVAL):
    picture = world.image(name.replace("/", "-") + ".jpg")
    world.upload(f"{name}/image.jpg", picture.read_bytes())
    world.upload(f"{name}/brief.yaml", brief)


def state_of(world, name):
    with world.session() as (_, registry):
        return registry.get(name)


def test_the_plan_says_everything_before_any_money(world):
    clip(world)
    world.upload("loose.jpg", world.image("loose.jpg").read_bytes())
    world.upload("broken.jpg", b"no image at all")
    world.upload("tiny.png", world.image("tiny.png", size=(40, 40)).read_bytes())
    before = world.operator.charges
    ran = world("plan")
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert any("hero" in line and "animate" in line and ID in line and "$1.00" in line for line in lines)
    assert any(line.startswith("refused  broken: ") for line in lines)
    assert any(line.startswith("refused  tiny: ") and "300" in line for line in lines)
    assert "2 to pay for, $2.00, at most $2.00; balance $100,000.00." in ran.out
    assert "Today $0.00 of at most" in ran.err
    told = world("plan", "--json").json
    assert told["plan_hash"] in ran.out
    assert told["total_microdollars"] == 2_000_000
    assert {each["clip"] for each in told["clips"]} == {"hero", "loose", "broken", "tiny"}
    assert world.operator.charges == before


def test_the_plan_of_one_clip_and_of_a_delivered_one(world):
    clip(world)
    world.make("hero", by_hand=True)
    assert state_of(world, "hero").state is ClipState.DELIVERED
    assert "Nothing is to be made" in world("plan").out
    ran = world("plan", "hero")
    assert "made before, costs nothing" in " ".join(ran.out.replace("│", " ").split())
    assert "Nothing to pay for; balance $" in ran.out
    assert world("plan", "nobody").code == 64
    assert "Did you mean hero?" in world("plan", "heroo").err


def test_an_approved_clip_is_made_and_another_waits(world):
    clip(world)
    clip(world, "other")
    world.make("hero", "other")
    assert state_of(world, "hero").waiting_for == "approval"
    note = world.bucket.read("clips/hero/WAITING.txt").decode()
    told = world("plan", "hero", "--json").json
    assert told["clips"][0]["plan_hash"] == told["plan_hash"]
    assert f"i2v approve {told['plan_hash'][:16]} " in note
    ran = world("approve", told["plan_hash"])
    assert ran.code == 0, ran.err
    assert "hero" in ran.out
    assert "other" not in ran.out
    before = world.operator.charges
    world.make("hero", "other")
    assert state_of(world, "hero").state is ClipState.DELIVERED
    assert state_of(world, "other").waiting_for == "approval"
    assert world.operator.charges == before + 1


def test_the_whole_plan_is_approved_by_its_beginning(world):
    clip(world)
    clip(world, "other")
    told = world("plan", "--json").json
    ran = world("approve", told["plan_hash"][:16], "--json")
    assert ran.json["clips"] == ["hero", "other"]
    assert ran.json["total_microdollars"] == 2_000_000
    world.make("hero", "other")
    assert state_of(world, "other").state is ClipState.DELIVERED


def test_an_approval_is_refused_when_the_price_changed(world):
    clip(world)
    world.make("hero")
    asked = world("plan", "hero", "--json").json["plan_hash"]
    world.operator.entry(ID, {"base_price_usd": 0.5})
    world("models", "--accept", "happyhorse-1.0/image-to-video")
    ran = world("approve", asked)
    assert ran.code == 65
    assert "hero was $1.00 and is $2.50" in ran.err
    world.make("hero")
    assert state_of(world, "hero").waiting_for == "approval"


def test_an_approval_is_refused_when_the_catalogue_has_another_id(world):
    clip(world)
    world.make("hero")
    asked = world("plan", "hero", "--json").json["plan_hash"]
    world.operator.switch(documented_ids=False)
    ran = world("approve", asked)
    assert ran.code == 65
    assert "happyhorse-1.0" in ran.err


def test_an_approval_is_refused_when_the_media_or_the_brief_changed(world):
    clip(world)
    world.make("hero")
    asked = world("plan", "hero", "--json").json["plan_hash"]
    world.upload("hero/image.jpg", world.image("new.jpg").read_bytes())
    world.admit()
    ran = world("approve", asked)
    assert ran.code == 65
    assert "the media or the brief of hero have changed" in ran.err
    fresh = world("plan", "hero", "--json").json["plan_hash"]
    world.upload("hero/brief.yaml", APPROVAL + b"duration: 7\n")
    world.admit()
    assert world("approve", fresh).code == 65


def test_what_is_no_hash(world):
    assert world("approve", "hero").code == 64
    assert world("approve", "abc").code == 64
    assert world("approve", "ab" * 32).code == 65


def test_a_route_that_the_catalogue_closed_waits_with_words(world):
    clip(world)
    world("models")
    world.operator.entry(ID, {"base_price_usd": 0.5})
    ran = world("plan")
    assert ran.code == 0
    assert "waits  hero" in ran.out
    assert "i2v models --accept" in ran.out


def test_no_token_and_no_bucket(world, monkeypatch):
    clip(world)
    monkeypatch.delenv("RUNCOMFY_TOKEN")
    assert world("plan").code == 77
    monkeypatch.setenv("I2V_BUCKET", "nobody-made-this")
    assert world("plan").code == 64


def test_a_plan_and_its_approval_name_the_most_that_it_may_cost(world, monkeypatch):
    monkeypatch.setenv("I2V_MEASURE", "true")
    world.upload("hero/image.jpg", world.image().read_bytes())
    world.upload("hero/brief.yaml", APPROVAL + b"images: image.jpg\nreroll: {below: 0.6, at_most: 2}\n")
    ran = world("plan")
    assert "1 to pay for, $1.00, at most $3.00 with rerolls; balance" in ran.out
    assert "and at most 2 rerolls for $2.00" in " ".join(ran.out.replace("│", " ").split())
    told = world("plan", "--json").json
    assert (told["total_microdollars"], told["most_microdollars"]) == (1_000_000, 3_000_000)
    assert [take["take"] for take in told["clips"][0]["rerolls"]] == [2, 3]
    ran = world("approve", told["plan_hash"])
    assert "Approved: hero, at most $3.00." in ran.out
    with world.session() as (ledger, _):
        takes = [*told["clips"][0]["takes"], *told["clips"][0]["rerolls"]]
        assert all(ledger.is_approved(take["fingerprint"], 1_000_000) for take in takes)

    world.upload("hero/brief.yaml", APPROVAL + b"images: image.jpg\nreroll: {below: 0.6, at_most: 3}\n")
    assert world("plan", "--json").json["plan_hash"] != told["plan_hash"], "it may cost more"


def test_clips_and_folders_are_approved_after_they_were_shown_with_their_sum(world, monkeypatch):
    clip(world, "shoes/one")
    clip(world, "shoes/two")
    clip(world, "hero")
    world.make("shoes--one", "shoes--two", "hero")
    ran = world("approve", "hero", "shoes/")
    assert ran.code == 64, "nobody is there to answer"
    assert "3 clips, at most $3.00" in ran.out
    assert "--yes" in ran.err
    world.make("hero")
    assert state_of(world, "hero").waiting_for == "approval"

    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    assert world("approve", "uploads/shoes/").code == 1
    assert world("approve", "shoes", "--at-most", "1.99").code == 64
    world.make("shoes--one")
    assert state_of(world, "shoes--one").waiting_for == "approval"

    ran = world("approve", "shoes", "--at-most", "2", "--json")
    assert sorted(ran.json["clips"]) == ["shoes--one", "shoes--two"]
    assert ran.json["total_microdollars"] == 2_000_000
    assert world("approve", "hero", "--yes").code == 0
    world.make("shoes--one", "shoes--two", "hero")
    assert state_of(world, "shoes--two").state is ClipState.DELIVERED
    assert state_of(world, "hero").state is ClipState.DELIVERED
    assert "nothing of it is to be paid for" in world("approve", "hero", "--yes").err
    assert world("approve", "uploads/nowhere/").code == 64
    assert "Did you mean hero" in world("approve", "heroo", "--yes").err


def test_a_record_is_for_its_clip_alone(world):
    clip(world)
    clip(world, "twin")
    world.upload("twin/image.jpg", world.image("hero.jpg").read_bytes())
    world.make("hero", "twin")
    assert world("approve", "hero", "--yes").code == 0
    with world.session() as (ledger, registry):
        row = registry.get("hero")
        assert ledger.is_approved(row.planned_fingerprint, 1_000_000, clip="hero")
        assert not ledger.is_approved(row.planned_fingerprint, 1_000_000, clip="twin")
        assert not ledger.is_approved(row.planned_fingerprint, 1_000_000, clip="hero", model_id="another/model")
        assert not ledger.is_approved(row.planned_fingerprint, 1_000_000, clip="hero", doubt="something")


async def cannot_be_written(*_):
    raise StorageUnavailable("the bucket does not answer")


def test_a_plan_that_could_not_be_shown_is_not_agreed_to(world, monkeypatch):
    clip(world)
    before = world.operator.charges
    with monkeypatch.context() as broken:
        broken.setattr(ClipReporter, "planned", cannot_be_written)
        world.make("hero", by_hand=True)
    assert state_of(world, "hero").waiting_for == "storage"
    world.make("hero")
    assert state_of(world, "hero").waiting_for == "approval"
    assert world.operator.charges == before


def test_a_clip_s_price_is_noted_for_its_heap_though_its_files_cannot_be_reported(world, monkeypatch):
    clip(world)
    notes = []
    note = ClipPipeline._note_planned
    monkeypatch.setattr(
        ClipPipeline, "_note_planned", lambda pipeline, *given: (notes.append(given), note(pipeline, *given))
    )
    monkeypatch.setattr(ClipReporter, "files", cannot_be_written)
    world.make("hero")
    (first, *_) = notes
    assert first[0] == "hero"
    assert first[1].plans[0].at_most_microdollars == 1_000_000
