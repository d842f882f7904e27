"""A plan states everything before anything is paid, and a refusal states every problem."""

import pytest

from i2v_assets.planning.planner import (
    Plan,
    PlanOffer,
    PlanOptions,
    Refusal,
    Waiting,
    plan_hash,
)
from resources.schemas.endpoints import ENDPOINTS, ids_for, to_body
from resources.schemas.inputs import Family, Route, fingerprint
from tests.i2v_assets.planning.plans import DANCE, HORSE, I2V, OFFERS, T2V, Make, decide, planned, refused


class TestRoutes:
    def test_animate(self, image: Make) -> None:
        plan = planned([image()], {"prompt": "slow push in"})
        assert (plan.route, plan.family, plan.model_id) == (Route.ANIMATE, HORSE, ids_for(HORSE)[-1])
        inputs = plan.inputs
        assert (inputs.duration, inputs.resolution, inputs.aspect_ratio, inputs.watermark) == (5, "1080p", None, False)
        assert (inputs.generate_audio, inputs.prompt_expansion, inputs.negative_prompt) == (None, None, None)
        assert plan.price_microdollars == 500_000
        assert plan.fingerprint == fingerprint("sandbox", inputs, 1)
        assert plan.preset is None

    def test_lip_sync_keeps_the_face(self, image: Make, audio: Make) -> None:
        plan = planned([image(), audio()], {"prompt": "She speaks"})
        assert (plan.route, plan.family) == (Route.LIP_SYNC, I2V)
        assert (len(plan.inputs.images), len(plan.inputs.audios)) == (1, 1)
        assert (plan.inputs.aspect_ratio, plan.inputs.prompt_expansion, plan.inputs.watermark) == (None, True, None)

    def test_lip_sync_without_an_image(self, audio: Make) -> None:
        plan = planned([audio()], {"prompt": "A host speaks", "negative_prompt": "text"})
        assert (plan.family, plan.inputs.aspect_ratio, plan.inputs.negative_prompt) == (T2V, "16:9", "text")

    def test_multi_modal(self, image: Make, audio: Make, video: Make) -> None:
        plan = planned([image(), video(), audio()], {"prompt": "image 1 moves as in video 1"})
        assert (plan.family, plan.inputs.resolution, plan.inputs.aspect_ratio) == (DANCE, "720p", "adaptive")
        assert plan.inputs.generate_audio is True

    @pytest.mark.parametrize("kinds", ["i", "ia", "a", "iv"])
    def test_every_plan_fits_every_id_of_its_family(self, kinds: str, image: Make, audio: Make, video: Make) -> None:
        plan = planned([{"i": image, "a": audio, "v": video}[kind]() for kind in kinds])
        for model_id in ids_for(plan.family):
            assert to_body(ENDPOINTS[model_id], plan.inputs, lambda medium: f"https://host.example/{medium.sha256}")

    def test_nothing_to_make_a_clip_from(self) -> None:
        (problem,) = refused([]).problems
        assert "no image, audio or video" in problem.what
        assert problem.remedy

    def test_shots_are_a_film(self, image: Make) -> None:
        assert "film" in refused([image()], {"shots": ["a", "b"]}).problems[0].what

    def test_the_briefs_order_counts(self, image: Make) -> None:
        media = [image("a.jpg"), image("b.jpg"), image("c.jpg")]
        plan = planned(media, {"images": ["c.jpg", "a.jpg", "b.jpg"], "prompt": "push in on image 1"})
        assert [medium.key for medium in plan.inputs.images] == [f"uploads/{name}.jpg" for name in "cab"]


class TestKeepFace:
    WITHOUT: dict[Family, PlanOffer | None] = {**OFFERS, I2V: None}  # noqa: RUF012

    def test_waits_where_no_endpoint_shows_the_face(self, image: Make, audio: Make) -> None:
        for brief in ({}, {"keep_face": True}, {"keep_face": "auto"}):
            decided = decide([image(), audio()], brief, offers=self.WITHOUT)
            assert isinstance(decided, Waiting)
            assert decided.kind == "keep_face"
            assert "takes no image" in decided.words
            assert "would not appear" in decided.words
            assert "keep_face: false" in decided.remedy
            assert decided.route is Route.LIP_SYNC

    @pytest.mark.parametrize("offers", [WITHOUT, OFFERS], ids=["without", "with"])
    def test_false_does_without_the_image(
        self, image: Make, audio: Make, offers: dict[Family, PlanOffer | None]
    ) -> None:
        plan = planned([image(), audio()], {"keep_face": False}, offers=offers)
        assert plan.family is T2V
        assert plan.inputs.images == ()
        assert "does not appear" in plan.reasons[-1]

    def test_the_setting_decides_where_the_brief_is_silent(self, image: Make, audio: Make) -> None:
        never = PlanOptions(service="sandbox", keep_face="never")
        assert planned([image(), audio()], options=never).family is T2V
        assert planned([image(), audio()], {"keep_face": True}, options=never).family is I2V

    def test_it_does_not_matter_elsewhere(self, audio: Make) -> None:
        assert planned([audio()], {"keep_face": True}, offers=self.WITHOUT).family is T2V

    def test_an_image_that_is_not_sent_is_not_checked(self, image: Make, audio: Make) -> None:
        assert planned([image(mode="CMYK"), audio()], {"keep_face": False})


class TestCatalogue:
    def test_a_route_without_an_id_waits_and_the_others_go_on(self, image: Make, audio: Make) -> None:
        offers = {**OFFERS, HORSE: None}
        decided = decide([image()], offers=offers)
        assert isinstance(decided, Waiting)
        assert decided.kind == "catalogue"
        assert planned([audio()], offers=offers)

    def test_a_plan_without_the_catalogue_has_no_price(self, image: Make, audio: Make) -> None:
        plan = planned([image()], offers={})
        assert (plan.price_microdollars, plan.model_id) == (None, None)
        assert planned([image(), audio()], offers={}).family is I2V

    @pytest.mark.parametrize(("unit", "price"), [("second", 70_000), ("output", 10_000), ("image", 10_000)])
    def test_prices_by_their_unit(self, image: Make, unit: str, price: int) -> None:
        offers = {HORSE: PlanOffer("x/y", 10_000, unit)}
        assert planned([image()], {"duration": 7}, offers=offers).price_microdollars == price

    @pytest.mark.parametrize(("base", "unit"), [(10_000, "megapixel"), (None, "second")])
    def test_a_price_that_cannot_be_read_refuses_unless_allowed(self, image: Make, base: int | None, unit: str) -> None:
        offers = {HORSE: PlanOffer("x/y", base, unit)}
        (problem,) = refused([image()], offers=offers).problems
        assert problem.file == "catalogue"
        assert problem.remedy
        allowed = PlanOptions(service="sandbox", allow_unknown_price=True)
        assert planned([image()], offers=offers, options=allowed).price_microdollars is None

    def test_resolutions_of_the_available_model_id(self, image: Make) -> None:
        brief = {"route": "multi_modal", "resolution": "4k"}
        documented, catalogue = ids_for(DANCE)
        assert planned([image()], brief, offers={DANCE: PlanOffer(catalogue, 1, "second")}).inputs.resolution == "4k"
        (problem,) = refused([image()], brief, offers={DANCE: PlanOffer(documented, 1, "second")}).problems
        assert "480p, 720p" in problem.limit


class TestFingerprint:
    def test_what_does_not_matter(self, image: Make) -> None:
        first = planned([image()], {"prompt": "pan"})
        more = planned(
            [image()], {"prompt": "pan", "priority": 5, "takes": 3}, offers={HORSE: PlanOffer("x/y", 5, "output")}
        )
        assert more.fingerprint == first.fingerprint

    def test_what_matters(self, image: Make) -> None:
        first = planned([image()], {"prompt": "pan"})
        others = [
            planned([image()], {"prompt": "pan", "duration": 6}),
            planned([image()], {"prompt": "pan", "resolution": "720p"}),
            planned([image()], {"prompt": "pan", "watermark": True}),
            planned([image("x.jpg")], {"prompt": "pan"}),
            planned([image()], {"prompt": "pan"}, options=PlanOptions(service="runcomfy")),
            planned([image()], {"prompt": "pan"}, take=2),
        ]
        assert len({first.fingerprint, *(plan.fingerprint for plan in others)}) == 7


class TestPlanHash:
    def test_order_and_words_do_not_matter(self, image: Make) -> None:
        one, two = planned([image()]), planned([image()], take=2)
        assert plan_hash([one, two]) == plan_hash([two, one])
        assert plan_hash([one.model_copy(update={"advice": (), "reasons": ()})]) == plan_hash([one])

    def test_price_model_and_inputs_do(self, image: Make) -> None:
        one = planned([image()])
        changed = [
            planned([image()], {"duration": 6}),
            planned([image()], offers={HORSE: PlanOffer(ids_for(HORSE)[-1], 100_001, "second")}),
            planned([image()], offers={HORSE: PlanOffer(ids_for(HORSE)[0], 100_000, "second")}),
            planned([image()], offers={}),
        ]
        assert len({plan_hash([plan]) for plan in [one, *changed]}) == 5
        assert plan_hash([one]) != plan_hash([one, one])


def test_every_outcome_round_trips_through_json(image: Make, audio: Make) -> None:
    plan = planned([image()])
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    refusal = refused([])
    assert Refusal.model_validate_json(refusal.model_dump_json()) == refusal
    waiting = decide([image(), audio()], offers={I2V: None})
    assert isinstance(waiting, Waiting)
    assert Waiting.model_validate_json(waiting.model_dump_json()) == waiting


def test_a_refusal_from_plain_words() -> None:
    made = Refusal.of("hero", [("hero.jpg is damaged.", "Upload it again.")])
    assert (made.problems[0].what, made.problems[0].remedy) == ("hero.jpg is damaged.", "Upload it again.")
