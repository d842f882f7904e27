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
from i2v_assets.briefs.brief_reader import BriefError, parse_brief, parse_defaults
from i2v_assets.briefs.schema import SCHEMA_FILE, schema_text
from resources.schemas.inputs import Route

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
