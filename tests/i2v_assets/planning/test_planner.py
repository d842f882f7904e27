"""A plan states everything before anything is paid, and a refusal states every problem."""

from collections.abc import Callable
from typing import Any

import pytest

from i2v_assets.briefs.brief import Brief
from i2v_assets.planning.media import MeasuredMedium
from i2v_assets.planning.planner import (
    Plan,
    PlanOffer,
    PlanOptions,
    Refusal,
    Waiting,
    derived_seed,
    make_plan,
    plan_hash,
)
from i2v_assets.planning.prompts import load_presets
from resources.schemas.endpoints import ENDPOINTS, ids_for, to_body
from resources.schemas.families import default_families
from resources.schemas.families.happyhorse_1_0 import NAME as HAPPYHORSE_I2V
from resources.schemas.families.seedance_2_0 import NAME as SEEDANCE_PRO
from resources.schemas.families.wan_2_7_image import NAME as WAN_I2V
from resources.schemas.families.wan_2_7_text import NAME as WAN_T2V
from resources.schemas.inputs import MAX_SEED, Family, Route, fingerprint

Make = Callable[..., MeasuredMedium]
HORSE, T2V, I2V, DANCE = HAPPYHORSE_I2V, WAN_T2V, WAN_I2V, SEEDANCE_PRO
OFFERS: dict[Family, PlanOffer | None] = {
    family: PlanOffer(ids_for(family)[-1], 100_000, "second") for family in default_families()
}
OPTIONS = PlanOptions(service="sandbox")


def decide(
    media: list[MeasuredMedium],
    brief: dict[str, Any] | None = None,
    *,
    offers: dict[Family, PlanOffer | None] | None = None,
    options: PlanOptions = OPTIONS,
    **more: Any,
) -> Plan | Refusal | Waiting:
    return make_plan(
        "hero", Brief.model_validate(brief or {}), media, OFFERS if offers is None else offers, options, **more
    )


def planned(media: list[MeasuredMedium], brief: dict[str, Any] | None = None, **more: Any) -> Plan:
    decided = decide(media, brief, **more)
    assert isinstance(decided, Plan), decided
    return decided


def refused(media: list[MeasuredMedium], brief: dict[str, Any] | None = None, **more: Any) -> Refusal:
    decided = decide(media, brief, **more)
    assert isinstance(decided, Refusal), decided
    return decided


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


class TestDuration:
    @pytest.mark.parametrize(
        ("seconds", "duration", "code"),
        [
            (6.2, 7, "voice_shorter"),
            (6.6, 7, None),
            (7.0, 7, None),
            (7.05, 7, None),  # what an MP3 encoder adds
            (7.1, 8, "voice_shorter"),
            (3.0, 3, None),
            (15.0, 15, None),
            (15.4, 15, None),
            (15.6, 15, "voice_cut"),
            (28.0, 15, "voice_cut"),
        ],
    )
    def test_lip_sync_matches_the_voice(self, audio: Make, seconds: float, duration: int, code: str | None) -> None:
        plan = planned([audio(seconds=seconds)], {"prompt": "A host speaks"})
        assert plan.inputs.duration == duration
        told = [advice.code for advice in plan.advice if advice.code.startswith("voice_")]
        assert told == ([code] if code else [])

    def test_a_given_duration_is_used_and_the_difference_is_advised(self, audio: Make) -> None:
        plan = planned([audio(seconds=9)], {"duration": 5})
        assert plan.inputs.duration == 5
        (told,) = [each.words for each in plan.advice if each.code == "voice_cut"]
        assert "last 4.0 s of the voice are cut" in told
        assert "longest" not in told

    def test_match_audio_within_the_range_of_other_routes(self, image: Make, audio: Make, video: Make) -> None:
        media = [image(), video(), audio(seconds=2.5)]
        assert planned(media, {"duration": "match_audio"}).inputs.duration == 4
        (problem,) = refused([image()], {"duration": "match_audio"}).problems
        assert "needs a voiceover" in problem.what

    @pytest.mark.parametrize(("kinds", "low", "high"), [("i", 3, 15), ("a", 2, 15), ("ia", 2, 15), ("iv", 4, 15)])
    def test_the_range_from_both_sides(
        self, kinds: str, low: int, high: int, image: Make, audio: Make, video: Make
    ) -> None:
        media = [{"i": image, "a": audio, "v": video}[kind]() for kind in kinds]
        for fine in (low, high):
            assert planned(media, {"duration": fine}).inputs.duration == fine
        for bad in (low - 1, high + 1):
            if bad >= 1:
                (problem,) = refused(media, {"duration": bad}).problems
                assert f"{bad} s" in problem.what
                assert f"{low} to {high}" in problem.limit


class TestSwitches:
    def test_the_watermark_is_always_explicit_if_the_endpoint_has_the_switch(self, image: Make, audio: Make) -> None:
        marked = PlanOptions(service="sandbox", watermark=True)
        assert planned([image()]).inputs.watermark is False
        assert planned([image()], options=marked).inputs.watermark is True
        assert planned([image()], {"watermark": False}, options=marked).inputs.watermark is False
        assert planned([audio()], options=marked).inputs.watermark is None
        assert "no_watermark_switch" in [each.code for each in planned([audio()], {"watermark": True}).advice]

    @pytest.mark.parametrize(
        ("brief", "key"),
        [
            ({"negative_prompt": "text"}, "negative_prompt"),
            ({"aspect_ratio": "16:9"}, "aspect_ratio"),
            ({"generate_audio": False}, "generate_audio"),
            ({"prompt_expansion": True}, "prompt_expansion"),
            ({"resolution": "480p"}, "resolution"),
            ({"resolution": "4k"}, "resolution"),
        ],
    )
    def test_what_the_endpoint_cannot_do_is_refused(self, image: Make, brief: dict[str, Any], key: str) -> None:
        (problem,) = refused([image()], brief).problems
        assert f"`{key}`" in problem.what
        assert problem.limit
        assert problem.remedy

    def test_shots_in_a_brief_are_refused_with_the_film_s_place(self, image: Make) -> None:
        found = refused([image()], {"shots": ["push in", "orbit"]})
        assert "sequences/hero.yaml" in found.problems[0].remedy

    @pytest.mark.parametrize("brief", [{"generate_audio": True}, {"prompt_expansion": False}, {"resolution": "720p"}])
    def test_what_it_does_anyway_is_fine(self, image: Make, brief: dict[str, Any]) -> None:
        assert planned([image()], brief)

    def test_values_that_an_endpoint_has(self, image: Make, audio: Make, video: Make) -> None:
        assert planned([image(), video()], {"generate_audio": False}).inputs.generate_audio is False
        assert planned([audio()], {"prompt_expansion": False}).inputs.prompt_expansion is False
        assert planned([audio()], {"aspect_ratio": "9:16"}).inputs.aspect_ratio == "9:16"
        assert "16:9" in refused([audio()], {"aspect_ratio": "21:9"}).problems[0].limit
        assert planned([image(), video()], {"aspect_ratio": "21:9"}).inputs.aspect_ratio == "21:9"

    @pytest.mark.parametrize(("length", "fine"), [(500, True), (501, False)])
    def test_the_length_of_a_negative_prompt(self, audio: Make, length: int, fine: bool) -> None:
        assert isinstance(decide([audio()], {"negative_prompt": "x" * length}), Plan) is fine

    def test_all_problems_are_reported_at_once(self, image: Make) -> None:
        found = refused([image(width=100, height=100)], {"duration": 99, "resolution": "4k", "negative_prompt": "x"})
        assert len(found.problems) == 4
        assert found.route is Route.ANIMATE


class TestPrompt:
    def test_a_preset_stands_in_for_a_missing_prompt(self, image: Make) -> None:
        plan = planned([image()], face=True)
        assert plan.preset == "portrait"
        assert plan.preset_reason
        assert plan.inputs.prompt == OPTIONS.presets["portrait"]

    def test_the_name_of_the_upload_helps(self, image: Make) -> None:
        assert planned([image("1.jpg")], name="uploads/beach/1.jpg").preset == "environment"

    def test_the_projects_own_presets(self, image: Make) -> None:
        own = PlanOptions(service="sandbox", presets=load_presets("wave: Waves roll in"))
        assert planned([image()], {"motion": "wave"}, options=own).inputs.prompt == "Waves roll in"
        (problem,) = refused([image()], {"motion": "wavy"}, options=own).problems
        assert "Did you mean `wave`?" in problem.remedy

    @pytest.mark.parametrize(
        ("kinds", "prompt", "fine"),
        [
            ("i", "x" * 5000, True),
            ("i", "x" * 5001, False),
            ("i", "走" * 2500, True),
            ("i", "走" * 2501, False),
            ("iv", "word " * 1000, True),
            ("iv", "word " * 1001, True),  # for references the length is only recommended
            ("iv", "走" * 500, True),
            ("iv", "走" * 501, True),
        ],
    )
    def test_limits_are_blocking(self, kinds: str, prompt: str, fine: bool, image: Make, video: Make) -> None:
        decided = decide([{"i": image, "v": video}[kind]() for kind in kinds], {"prompt": prompt})
        assert isinstance(decided, Plan) is fine
        if isinstance(decided, Refusal):
            assert "cut" in decided.problems[0].what

    def test_roles_become_numbered_references(self, image: Make, video: Make) -> None:
        media = [image("a.jpg"), image("b.jpg"), video("m.mp4")]
        brief = {"prompt": "push in", "images": ["a.jpg", {"file": "b.jpg", "role": "lighting"}], "videos": "m.mp4"}
        assert planned(media, brief).inputs.prompt == (
            "push in Subject from image 1, lighting from image 2, camera motion from video 1."
        )
        own = {**brief, "prompt": "push in on image 1"}
        assert planned(media, own).inputs.prompt == "push in on image 1"

    def test_without_a_prompt_or_roles_the_media_are_numbered_too(self, image: Make, video: Make) -> None:
        prompt = planned([image(), video()]).inputs.prompt
        assert prompt.endswith("Subject from image 1, camera motion from video 1.")

    def test_a_persons_prompt_is_not_touched(self, image: Make, video: Make) -> None:
        plan = planned([image(), video()], {"prompt": "push in"})
        assert plan.inputs.prompt == "push in"
        assert "references_not_numbered" in [each.code for each in plan.advice]

    def test_advice_comes_with_the_plan(self, image: Make) -> None:
        codes = [each.code for each in planned([image()], {"prompt": "a red shoe"}, face_share=0.01).advice]
        assert codes == ["no_motion_verb", "small_face"]


class TestSeeds:
    def test_derived_seeds_are_stable_and_never_zero(self) -> None:
        seeds = [derived_seed(["a" * 64], "pan", take) for take in range(1, 2000)]
        assert seeds[0] == 123342742  # stays, or every planned clip is paid for again
        assert all(1 <= seed <= MAX_SEED for seed in seeds)
        assert len(set(seeds)) == len(seeds)

    def test_they_depend_on_media_prompt_and_take_alone(self, image: Make) -> None:
        seed = planned([image()], {"prompt": "pan"}).inputs.seed
        assert planned([image()], {"prompt": "pan", "duration": 8}, face=True).inputs.seed == seed
        assert planned([image("other.jpg")], {"prompt": "pan"}).inputs.seed != seed
        assert planned([image()], {"prompt": "tilt"}).inputs.seed != seed
        assert planned([image()], {"prompt": "pan"}, take=2).inputs.seed != seed

    def test_a_given_seed_is_the_first_takes(self, image: Make) -> None:
        takes = [planned([image()], {"seed": 7}, take=take) for take in (1, 2, 3)]
        assert takes[0].inputs.seed == 7
        assert len({plan.inputs.seed for plan in takes}) == 3
        assert len({plan.fingerprint for plan in takes}) == 3
        assert takes[1] == planned([image()], {"seed": 7}, take=2)

    def test_languages_of_a_dub_share_one(self, image: Make, audio: Make) -> None:
        english = planned([image(), audio("en.mp3")], {"dub": {"en": "en.mp3"}})
        german = planned([image(), audio("de.mp3", 9.0)], {"dub": {"de": "de.mp3"}})
        assert english.inputs.seed == german.inputs.seed
        assert english.fingerprint != german.fingerprint
        assert (english.inputs.duration, german.inputs.duration) == (7, 9)


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
