"""The fields of a request are what the brief says, within the endpoint's limits."""

from typing import Any

import pytest

from i2v_assets.planning.planner import (
    Plan,
    PlanOptions,
)
from resources.schemas.inputs import Route
from tests.i2v_assets.planning.plans import Make, decide, planned, refused


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
