"""Which family makes a clip: the first preferred one that is there and can express the brief; never another after a submit."""

from collections.abc import Callable
from typing import Any

import pytest

from i2v_assets.briefs.brief import Brief
from i2v_assets.planning.media import MeasuredMedium
from i2v_assets.planning.plan import Plan, PlanOffer, PlanOptions, Refusal, Waiting
from i2v_assets.planning.planner import expand, make_plan
from resources.sandbox.recorded import recorded_entries
from resources.schemas.endpoints import LIMITS, ids_for, to_body
from resources.schemas.families import default_families
from resources.schemas.inputs import Route
from resources.schemas.live_schema import LiveEndpoint, read_schema

Make = Callable[..., MeasuredMedium]


def live(model_id: str) -> PlanOffer:
    (entry,) = [each for each in recorded_entries() if each["model_id"] == model_id]
    return PlanOffer(
        model_id, 100_000, "second", live=LiveEndpoint(model_id, model_id, read_schema(entry["input_schema"]))
    )


HORSE, NEW, WAN = (
    "happyhorse-1.0/image-to-video",
    "alibaba/happyhorse-1.1/image-to-video",
    "wan-ai/wan-3.0/image-to-video",
)
OFFERS: dict[str, PlanOffer | None] = {
    **{family: PlanOffer(ids_for(family)[-1], 100_000, "second") for family in default_families()},
    NEW: live(NEW),
    WAN: live(WAN),
}
OPTIONS = PlanOptions("sandbox", routes={Route.ANIMATE: expand(["happyhorse-1.1", "happyhorse-1.0", "wan-3.0"])})


def decide(
    media: list[MeasuredMedium], brief: dict[str, Any], offers: dict[str, PlanOffer | None] | None = None, **more: Any
) -> Any:
    options = more.pop("options", OPTIONS)
    return make_plan("hero", Brief.model_validate(brief), media, offers or OFFERS, options, **more)


@pytest.mark.parametrize(
    ("missing", "brief", "family"),
    [
        ((), {}, NEW),
        ((NEW,), {}, HORSE),
        ((NEW, HORSE), {}, WAN),
        ((), {"duration": 20}, WAN),
        ((), {"aspect_ratio": "16:9"}, WAN),
        ((), {"model": "happyhorse-1.0"}, HORSE),
        ((), {"model": "wan-ai/wan-3.0/image-to-video"}, WAN),
    ],
)
def test_the_first_that_is_there_and_can_express_the_brief(
    image: Make, missing: tuple[str, ...], brief: dict[str, Any], family: str
) -> None:
    plan = decide([image()], brief, {**OFFERS, **dict.fromkeys(missing)})
    assert isinstance(plan, Plan)
    assert plan.family == plan.inputs.family == family


def test_the_reasons_say_which_were_passed_over_and_why(image: Make) -> None:
    plan = decide([image()], {"duration": 20})
    said = [reason for reason in plan.reasons if "was preferred" in reason]
    assert len(said) == 2
    assert "3 to 15 s" in said[0]


def test_if_none_can_the_first_refusal_is_told(image: Make) -> None:
    refusal = decide([image()], {"duration": 31})
    assert isinstance(refusal, Refusal)
    assert NEW in refusal.problems[0].limit


def test_a_family_that_waits_for_an_agreement_is_there(image: Make) -> None:
    """A changed price of the preferred one is a person's decision, not a reason to buy elsewhere."""
    changed = PlanOffer(NEW, 100_000, "second", trouble="the price is now 9", live=live(NEW).live)
    waiting = decide([image()], {}, {**OFFERS, NEW: changed})
    assert isinstance(waiting, Waiting)
    assert NEW in waiting.words


def test_what_was_sent_stays_what_it_was(image: Make) -> None:
    sent = decide([image()], {}, {**OFFERS, NEW: None})
    again = decide([image()], {}, was_sent={sent.fingerprint}.__contains__)
    assert again.fingerprint == sent.fingerprint
    further = decide([image()], {}, take=2, was_sent={sent.fingerprint}.__contains__)
    assert further.family == HORSE, "the takes of a clip are of one model"


def test_a_live_model_without_a_catalogue_waits_and_a_known_one_does_not(image: Make) -> None:
    only_new = PlanOptions("sandbox", routes={Route.ANIMATE: expand(["happyhorse-1.1"])})
    offers = {HORSE: OFFERS[HORSE]}
    assert isinstance(decide([image()], {}, offers, options=only_new), Waiting)
    assert isinstance(decide([image()], {}, {WAN: None}, options=PlanOptions("sandbox")), Plan)


def test_one_more_family_changes_no_fingerprint(image: Make) -> None:
    before = make_plan("hero", Brief(), [image()], {HORSE: OFFERS[HORSE]}, PlanOptions("sandbox"))
    after = make_plan("hero", Brief(), [image()], OFFERS, PlanOptions("sandbox"))
    named = make_plan("hero", Brief(model="happyhorse-1.0"), [image()], OFFERS, PlanOptions("sandbox"))
    assert isinstance(before, Plan)
    assert isinstance(after, Plan)
    assert isinstance(named, Plan)
    assert before.fingerprint == after.fingerprint == named.fingerprint


def test_only_recommended_limits_are_advice(image: Make, audio: Make) -> None:
    small = image(width=320, height=320)
    plan = decide([small, audio()], {"prompt": "She speaks."})
    assert isinstance(plan, Plan)
    assert any("360 on each side are recommended" in each.words for each in plan.advice)
    long = decide([image(), image("b.jpg")], {"prompt": "word " * 1001})
    assert isinstance(long, Plan)
    assert any(each.code == "prompt_long" for each in long.advice)
    assert {limits.images.kind for limits in LIMITS.values()} == {"hard"}
    assert {limits.prompt.kind for limits in LIMITS.values()} == {"hard", "advice"}


@pytest.mark.parametrize(
    ("model", "field"),
    [
        ("kling/kling-3.0/pro/image-to-video", "end_image"),
        ("blackforestlabs/flux-3/first-last-frame-to-video", "end_image"),
        ("wan-ai/wan-3.0/image-to-video", "end_image_url"),
    ],
)
def test_the_brief_s_last_image_goes_into_the_field_of_that_meaning(image: Make, model: str, field: str) -> None:
    brief = {"model": model, "images": ["hero.jpg"], "end_image": "b.jpg"}
    offers = {**OFFERS, model: live(model)}
    plan = decide([image(), image("b.jpg")], brief, offers)
    assert isinstance(plan, Plan), plan
    assert plan.inputs.body is not None
    assert plan.inputs.body[field] == {"$medium": "image 0"}
    offer = offers[model]
    assert offer is not None
    assert offer.live is not None
    sent = to_body(offer.live, plan.inputs, lambda medium: f"https://host.example/{medium.key}")
    assert sent[field] == "https://host.example/uploads/b.jpg"
    loop = decide([image()], {"model": model, "loop": True}, offers)
    assert isinstance(loop, Plan), loop
    again = to_body(offer.live, loop.inputs, lambda medium: f"https://host.example/{medium.key}")
    assert again[field] == "https://host.example/uploads/hero.jpg"
    none = decide([image()], {"model": NEW, "loop": True})
    assert isinstance(none, Refusal)
    assert "no such input" in none.problems[0].limit


def test_the_seed_of_a_live_model_is_within_its_schema(image: Make) -> None:
    model = "pixverse/pixverse-v6/transition"
    plan = decide([image(), image("b.jpg")], {"model": model, "duration": 1}, {**OFFERS, model: live(model)})
    assert isinstance(plan, Plan)
    assert 1 <= plan.inputs.seed <= 65535
    assert plan.inputs.body is not None
    assert plan.inputs.body["seed"] == plan.inputs.seed
