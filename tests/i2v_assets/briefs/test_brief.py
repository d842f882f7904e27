"""A brief is refused with a clear message, and never means anything other than its text."""

import json
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from i2v_assets.briefs.brief import Brief, MediaRef, merge
from i2v_assets.briefs.brief_reader import BriefError, brief_from, parse_brief, parse_defaults
from i2v_assets.briefs.schema import SCHEMA_FILE, schema_text
from i2v_assets.briefs.yaml_reader import Document
from resources.errors import Verdict
from resources.schemas.inputs import MAX_SEED, Route

EVERYTHING = """
prompt: "  slow push in, packaging unchanged "
motion: Product
route: Multi_Modal
images:
  - hero.jpg
  - {file: ./light/lamp.png, role: lighting}
audio: voice.mp3
videos: [move.mp4]
duration: match_audio
resolution: 1080P
aspect_ratio: 16:9
seed: 7
takes: 3
choose: best
negative_prompt: text overlays
prompt_expansion: false
watermark: false
generate_audio: true
keep_face: auto
priority: -5
needs_approval: true
may_be_silent: true
dub: {no: voice-no.mp3, pt-BR: voice-pt.mp3}
reroll: {below: 0.6, at_most: 2}
shots: [push in, orbit]
fit: pad
background: white
end_image: last.jpg
loop: false
music: bed.mp3
narration: words.mp3
model: wan-3.0
inputs: {cfg_scale: 0.5}
voice: split
"""


def test_every_key_is_read() -> None:
    brief = parse_brief(EVERYTHING, "brief.yaml", "yaml")
    assert brief.prompt == "slow push in, packaging unchanged"
    assert brief.route is Route.MULTI_MODAL
    assert brief.images == (MediaRef(file="hero.jpg"), MediaRef(file="light/lamp.png", role="lighting"))
    assert brief.audio == (MediaRef(file="voice.mp3"),)
    assert (brief.motion, brief.resolution, brief.aspect_ratio) == ("product", "1080p", "16:9")
    assert brief.dub == {"no": "voice-no.mp3", "pt-BR": "voice-pt.mp3"}
    assert set(brief.given) == set(Brief.model_fields)


def test_yaml_and_json_mean_the_same() -> None:
    data: dict[str, Any] = {"prompt": "x", "duration": 5, "images": ["a.jpg"], "watermark": True}
    briefs = [parse_brief(json.dumps(data), "b", "json"), parse_brief(yaml.safe_dump(data), "b", "yml")]
    assert briefs[0] == briefs[1]


def test_an_empty_brief_asks_for_nothing() -> None:
    assert parse_brief("", "b", "yaml") == Brief()
    assert not Brief().names_media


@pytest.mark.parametrize(
    ("text", "words", "remedy"),
    [
        ("promt: x", "`promt` is not a key of a brief (line 1)", "Did you mean `prompt`?"),
        ("Negative Prompt: x", "not a key of a brief", "Did you mean `negative_prompt`?"),
        ("prompt: x\nkeepface: true", "(line 2)", "Did you mean `keep_face`?"),
        ("qqq: 1", "`qqq`", "Allowed: prompt, motion"),
        ("prompt: 5", "`prompt` is 5 (line 1)", "must be text"),
        ("prompt: [a, b]", "`prompt` is a list of 2", "must be text"),
        ("route: fancy", "`route` is 'fancy'", "animate, lip_sync or multi_modal"),
        ("duration: 0", "`duration` is 0", "whole number of seconds"),
        ("duration: 5.5", "`duration` is 5.5", "whole number of seconds"),
        ("duration: '5'", "`duration` is '5'", "whole number of seconds"),
        ("duration: long", "`duration` is 'long'", "match_audio"),
        ("duration: true", "`duration` is true", "whole number"),
        ("resolution: 999p", "`resolution` is '999p'", "480p, 720p, 1080p or 4k"),
        ("aspect_ratio: 2:1", "`aspect_ratio` is '2:1'", "21:9"),
        ("seed: 0", "`seed` is 0", "0 means random"),
        (f"seed: {MAX_SEED + 1}", "`seed` is", str(MAX_SEED)),
        ("takes: 0", "`takes` is 0", "1 to 20"),
        ("takes: 21", "`takes` is 21", "1 to 20"),
        ("takes: true", "`takes` is true", "1 to 20"),
        ("watermark: yes", "`watermark` is 'yes'", "true or false"),
        ("keep_face: always", "`keep_face` is 'always'", "true, false or auto"),
        ("priority: 101", "`priority` is 101", "-100 to 100"),
        ("choose: worst", "`choose` is 'worst'", "first or best"),
        ("images: []", "`images` is an empty list", "file name"),
        ("images: 5", "`images` is 5", "file name"),
        ("images: [1]", "`images` holds 1 (line 1)", "a list of file names"),
        ("shots: [pan, 2]", "`shots` holds 2 (line 1)", "2 to 40 prompts"),
        ("images: [a.jpg, b.jpg, ./a.jpg]", "`images` names 'a.jpg' twice (line 1)", "Keep one"),
        ("audio: [{file: a.mp3, role: voice}, a.mp3]", "`audio` names 'a.mp3' twice", "Keep one"),
        ("videos: [a.mp4, a.mp4]", "`videos` names 'a.mp4' twice", "Keep one"),
        ("images: ../other/a.jpg", "without a leading / and without ..", "inside the brief's folder"),
        ("images: a/../../b.jpg", "without ..", "inside the brief's folder"),
        ("images: /etc/passwd", "without a leading /", "inside the brief's folder"),
        ("images: '..\\\\x.jpg'", "without ..", "inside the brief's folder"),
        ("images: folder/", "does not name a file", "file name"),
        ("audio: 'https://host.example/v.mp3'", "must name a file", "inside the brief's folder"),
        ("videos: [{fil: a.mp4}]", "`fil` is not a key under `videos`", "Did you mean `file`?"),
        ("videos: [{role: camera}]", "`videos` lacks `file`", "file name"),
        ("dub: {english please: a.mp3}", "language code", "voice-en.mp3"),
        ("dub: {en: ../a.mp3}", "without ..", "language codes"),
        ("dub: {}", "`dub` is", "language codes"),
        ("reroll: {below: 2}", "`reroll.below` is 2", "up to 1"),
        ("reroll: {below: 0.5, at_most: 6}", "`reroll.at_most` is 6", "1 to 5"),
        ("reroll: {bellow: 0.5}", "`bellow` is not a key under `reroll`", "Did you mean `below`?"),
        ("reroll: {at_most: 2}", "`reroll` lacks `below`", "`below`"),
        ("shots: [one]", "`shots` is a list", "2 to 40 prompts"),
        ("shots: hello", "`shots` is 'hello'", "2 to 40 prompts"),
        ("a: b: c", "line 1, column 5", "indentation"),
    ],
)
def test_refusals_name_the_problem_and_the_remedy(text: str, words: str, remedy: str) -> None:
    with pytest.raises(BriefError) as caught:
        parse_brief(text, "shoes/brief.yaml", "yaml")
    error = caught.value
    assert error.verdict is Verdict.FINAL
    assert "shoes/brief.yaml" in error.message
    assert words in error.message
    assert remedy in error.remedy


@pytest.mark.parametrize(
    "text",
    [
        "duration: 1",
        f"seed: {MAX_SEED}",
        "seed: 1",
        "takes: 20",
        "priority: 100",
        "priority: -100",
        "reroll: {below: 1}",
        "reroll: {below: 0.1, at_most: 5}",
        "images: a..b.jpg",
        "images: 'with space & ünïcode \"quotes\".jpg'",
        "keep_face: false",
        "resolution: 4K",
    ],
)
def test_the_other_side_of_the_limits(text: str) -> None:
    assert parse_brief(text, "b", "yaml").given


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(BriefError) as caught:
        parse_brief("promt: x\nduration: long\ntakes: 0", "b", "yaml")
    assert [word in caught.value.message for word in ("promt", "duration", "takes")] == [True] * 3


def test_a_key_that_pydantic_itself_cannot_read_is_refused_in_words() -> None:
    """Its error then has no place."""
    with pytest.raises(BriefError, match="the input"):
        brief_from(Document({"\ud800": 5}), "the input")


def test_messages_stay_short_and_on_one_line() -> None:
    with pytest.raises(BriefError) as caught:
        parse_brief(json.dumps({"route": "x\ny" * 5000}), "b", "json")
    assert "\n" not in caught.value.text
    assert len(caught.value.text) < 300


def test_blank_text_counts_as_missing() -> None:
    assert parse_brief("prompt: '  '", "b", "yaml").prompt is None


class TestMerge:
    def test_the_brief_wins_and_the_rest_comes_from_the_defaults(self) -> None:
        defaults = parse_defaults("prompt: pan\nduration: 5\nwatermark: true", "_defaults.yaml", "yaml")
        merged = merge(defaults, parse_brief("duration: 8\nimages: a.jpg", "b", "yaml"))
        assert merged.given == {
            "prompt": "pan",
            "images": (MediaRef(file="a.jpg"),),
            "duration": 8,
            "watermark": True,
        }
        assert merged == Brief.model_validate(merged.given)

    def test_an_empty_key_takes_a_default_back(self) -> None:
        merged = merge(Brief(prompt="pan"), parse_brief("prompt:", "b", "yaml"))
        assert merged.prompt is None

    def test_nested_folders_nearest_wins(self) -> None:
        outer, inner = Brief(prompt="a", duration=5), Brief(prompt="b")
        merged = merge(merge(outer, inner), Brief())
        assert (merged.prompt, merged.duration) == ("b", 5)

    @pytest.mark.parametrize("text", ["images: a.jpg", "audio: a.mp3", "videos: a.mp4", "dub: {en: a.mp3}"])
    def test_defaults_name_no_files(self, text: str) -> None:
        with pytest.raises(BriefError, match="cannot name files"):
            parse_defaults(text, "shoes/_defaults.yaml", "yaml")


class TestSchema:
    def test_the_committed_schema_is_up_to_date(self) -> None:
        assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), "run `python -m i2v_assets.briefs.schema`"

    def test_it_accepts_what_the_reader_accepts(self) -> None:
        schema = json.loads(schema_text())
        lowered = EVERYTHING.replace("Multi_Modal", "multi_modal").replace("1080P", "1080p")
        jsonschema.validate(yaml.load(lowered.replace("16:9", '"16:9"'), yaml.BaseLoader) | BASE_TYPES, schema)

    def test_it_refuses_unknown_keys_and_wrong_types(self) -> None:
        schema = json.loads(schema_text())
        for bad in ({"promt": "x"}, {"duration": "long"}, {"seed": 0}, {"images": []}):
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(bad, schema)


BASE_TYPES: dict[str, Any] = {
    "seed": 7,
    "takes": 3,
    "loop": False,
    "inputs": {"cfg_scale": 0.5},
    "prompt_expansion": False,
    "watermark": False,
    "generate_audio": True,
    "priority": -5,
    "needs_approval": True,
    "may_be_silent": True,
    "reroll": {"below": 0.6, "at_most": 2},
}

ROOT = Path(__file__).parents[3]


def pure_modules() -> list[str]:
    """The modules of the purity contract, those of its packages one by one."""
    contract = ConfigParser()
    contract.read(ROOT / ".importlinter")
    names = contract["importlinter:contract:pure"]["source_modules"].split()
    files = [file for name in names for file in (ROOT / name.replace(".", "/")).glob("*.py")]
    modules = [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files]
    return sorted({*names, *modules})


def test_the_pure_modules_load_nothing_of_the_outside_world() -> None:
    """No orchestrator, network, database or decoder comes in with them, not even through another module."""
    code = (
        "import importlib, sys\n"
        f"for name in {pure_modules()!r}: importlib.import_module(name)\n"
        "print(sorted({'dagster', 'httpx', 'boto3', 'sqlalchemy', 'av', 'PIL', 'cv2', 'numpy', 'typer'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
