"""A family is one record in one file, and what was delivered before there were such files is not paid for again."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import i2v_assets
import resources
import resources.schemas.families as families
from resources.generation.poll_schedule import prior
from resources.schemas.endpoints import ENDPOINTS, LIMITS, input_schema, to_body, traits_of
from resources.schemas.families import FAMILIES, default_families, named, preferred, record_of
from resources.schemas.inputs import GenerationInputs, Route, fingerprint

BEFORE = json.loads((Path(__file__).parent / "before_families.json").read_text(encoding="utf-8"))
"""Bodies, fingerprints and schemas of the four families as they were when their facts were in eight places."""

HOME = Path(families.__path__[0])


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for package in (i2v_assets, resources):
        assert isinstance(package, ModuleType)
        for file in Path(package.__path__[0]).rglob("*.py"):
            if HOME not in file.parents:
                yield file, ast.parse(file.read_text(encoding="utf-8"))


def code_words(tree: ast.Module) -> Iterator[str]:
    """Yield every string and name of the code, without what only people read: docstrings, descriptions, help, remedies."""
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            said |= {
                id(part)
                for word in node.keywords
                if word.arg in ("description", "help", "remedy")
                for part in ast.walk(word)
            }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.value
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_nothing_outside_the_folder_is_keyed_by_family() -> None:
    names = {name for record in FAMILIES.values() for name in (record.name, *record.ids)}
    modules = {f"resources.schemas.families.{file.stem}" for file in HOME.glob("*.py") if file.stem != "__init__"}
    found = [
        f"{file}: {word}"
        for file, tree in sources()
        for word in code_words(tree)
        if word in names or any(word == module or word.startswith(f"{module}.") for module in modules)
    ]
    assert not found


def test_every_file_of_the_folder_is_one_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Adding a family is adding a file: this one is found without any other change."""
    files = [file for file in HOME.glob("*.py") if file.stem != "__init__"]
    assert len(files) == len(FAMILIES)
    (tmp_path / "made_up_9.py").write_text(
        "from resources.schemas.families import FamilyRecord\nfrom resources.schemas.inputs import Route\n"
        "FAMILY = FamilyRecord(name='made-up-9/x', title='Made up', description='-', category='image-to-video',\n"
        "    route=Route.ANIMATE, sources=('a test',), live_ids=('made/up-9/x',))\n"
    )
    monkeypatch.setattr(families, "__path__", [*families.__path__, str(tmp_path)])
    assert "made-up-9/x" in {record.name for record in families._records()}


@pytest.mark.parametrize("case", BEFORE["cases"], ids=lambda case: f"{case['family']} {case['inputs']['seed']}")
def test_the_bodies_and_fingerprints_of_before_stay_byte_equal(case: dict[str, Any]) -> None:
    inputs = GenerationInputs.model_validate(case["inputs"])
    assert json.loads(inputs.model_dump_json(exclude_none=True)) == case["inputs"]
    assert [fingerprint("sandbox", inputs, 1), fingerprint("runcomfy", inputs, 2)] == case["fingerprints"]
    for model_id, body in case["bodies"].items():
        made = to_body(ENDPOINTS[model_id], inputs, lambda medium: f"https://h.example/{medium.sha256[:4]}")
        assert json.dumps(made) == body


@pytest.mark.parametrize("model_id", BEFORE["schemas"])
def test_the_schemas_of_before_stay(model_id: str) -> None:
    assert input_schema(ENDPOINTS[model_id]) == BEFORE["schemas"][model_id]


TABLE = {
    "happyhorse-1.0/image-to-video": (Route.ANIMATE, 1, True, False, False, 40.0),
    "wan-2.7/image-to-video": (Route.LIP_SYNC, 1, True, True, False, 90.0),
    "wan-2.7/text-to-video": (Route.LIP_SYNC, 2, False, True, False, 90.0),
    "seedance-2.0/pro": (Route.MULTI_MODAL, 1, False, False, True, 65.0),
    "happyhorse-1.1/image-to-video": (Route.ANIMATE, None, True, False, False, 40.0),
    "wan-3.0/image-to-video": (Route.ANIMATE, None, True, False, False, 90.0),
    "wan-3.0-prime/image-to-video": (Route.ANIMATE, None, True, False, False, 90.0),
    "seedance-2.5": (Route.MULTI_MODAL, None, None, None, None, 65.0),
}


@pytest.mark.parametrize("name", TABLE)
def test_what_is_known_of_each_family(name: str) -> None:
    record = FAMILIES[name]
    traits = record.traits
    known = (None, None, None) if traits is None else (traits.keeps_image, traits.speaks, traits.cuts)
    assert (record.route, record.rank, *known, record.prior_seconds) == TABLE[name]
    assert record.sources
    assert record.ids
    assert (record.limits is None) == (not record.endpoints), "either the code knows the body, or the live schema does"
    for model_id in record.ids:
        assert record_of(model_id) is record
        assert prior(model_id, 5) == (record.prior_seconds, record.prior_spread)


def test_the_table_names_every_family() -> None:
    assert set(TABLE) == set(FAMILIES)


def test_without_a_setting_the_families_of_before_are_used() -> None:
    assert preferred(Route.ANIMATE) == ("happyhorse-1.0/image-to-video",)
    assert preferred(Route.LIP_SYNC) == ("wan-2.7/image-to-video", "wan-2.7/text-to-video")
    assert preferred(Route.MULTI_MODAL) == ("seedance-2.0/pro",)
    assert set(default_families()) == set(LIMITS)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("happyhorse-1.0", ("happyhorse-1.0/image-to-video",)),
        ("happyhorse-1.0/image-to-video", ("happyhorse-1.0/image-to-video",)),
        ("happyhorse/happyhorse-1-0/image-to-video", ("happyhorse-1.0/image-to-video",)),
        ("wan-2.7", ("wan-2.7/image-to-video", "wan-2.7/text-to-video")),
        ("happyhorse-1.1", ("alibaba/happyhorse-1.1/image-to-video",)),
        ("bytedance/seedance-2.5/image-to-video/4k", ("bytedance/seedance-2.5/image-to-video/4k",)),
        ("kling/kling-3.0/pro/image-to-video", ()),
        ("happyhorse", ()),
    ],
)
def test_what_a_name_means(name: str, meant: tuple[str, ...]) -> None:
    assert named(name) == meant


def test_seedance_2_5_has_its_14_ids() -> None:
    ids = named("seedance-2.5")
    assert len(ids) == len(set(ids)) == 14
    assert ids[0] == "bytedance/seedance-2.5/image-to-video/720p"


def test_traits_of_a_live_body_are_those_of_its_fields() -> None:
    def traits(body: dict[str, Any], family: str = "a/b") -> tuple[bool, bool, bool]:
        inputs = GenerationInputs(family=family, prompt="x", duration=5, resolution="", seed=1, body=body)
        found = traits_of(inputs)
        return found.keeps_image, found.speaks, found.cuts

    image, voice = {"$medium": "image 1"}, {"$medium": "audio 1"}
    assert traits({"image": image}) == (True, False, False)
    assert traits({"image": image, "voice": voice}) == (True, True, False)
    assert traits({"images": [image], "voice": voice}) == (False, False, True)
    assert traits({"images": [image]}, "alibaba/happyhorse-1.1/image-to-video") == (True, False, False)
