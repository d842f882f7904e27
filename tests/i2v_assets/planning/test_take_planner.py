"""The prompt and the seed of one take."""

import pytest

from i2v_assets.planning.planner import (
    Plan,
    PlanOptions,
    Refusal,
    derived_seed,
)
from i2v_assets.planning.prompts import load_presets
from resources.schemas.inputs import MAX_SEED
from tests.i2v_assets.planning.plans import OPTIONS, Make, decide, planned, refused


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
