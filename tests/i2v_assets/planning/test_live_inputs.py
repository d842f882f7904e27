"""The seconds that are sent to a model that is used by its live schema are the seconds that are priced."""

from collections.abc import Callable
from typing import Any

import pytest

from i2v_assets.briefs.brief import Brief
from i2v_assets.planning.media import MeasuredMedium
from i2v_assets.planning.plan import Plan, PlanOffer, PlanOptions, Refusal
from i2v_assets.planning.planner import make_plan
from resources.schemas.live_schema import LiveEndpoint, read_schema

Make = Callable[..., MeasuredMedium]
MODEL = "somebody/new/image-to-video"
SECOND = 100_000
AUTO = {"anyOf": [{"type": "integer", "minimum": 3, "maximum": 30}, {"type": "string", "enum": ["auto"]}]}
ODD = {"type": "object", "properties": {"seconds": {"type": "integer"}}}
DEFS = {
    "Seconds": {"type": "string", "enum": ["5 seconds", "30 seconds"]},
    "Size": {"type": "string", "enum": ["720p", "4k"]},
}


def planned(image: MeasuredMedium, fields: dict[str, Any], **brief: Any) -> Plan | Refusal:
    schema = read_schema(
        {
            "properties": {
                "prompt": {"type": "string"},
                "image": {"type": "string", "format": "image_uri"},
                **fields,
            },
            "required": ["prompt"],
            "$defs": DEFS,
        }
    )
    offer = PlanOffer(MODEL, SECOND, "second", live=LiveEndpoint(MODEL, MODEL, schema))
    made = make_plan(
        "hero", Brief.model_validate({"model": MODEL, **brief}), [image], {MODEL: offer}, PlanOptions("sandbox")
    )
    assert isinstance(made, Plan | Refusal)
    return made


LONG = [
    ({"duration": AUTO}, {"duration": 30}),
    ({"duration": {"allOf": [{"$ref": "#/$defs/Seconds"}], "default": "5 seconds"}}, {"duration": "30 seconds"}),
    ({"duration": {"type": ["integer", "string"]}}, {"duration": 30}),
    ({"duration": {"type": "integer"}, "video_length": {"type": "integer"}}, {"video_length": 30}),
    ({"duration": {"type": "integer"}, "Seconds": {}}, {"duration": 4, "Seconds": "30"}),
    ({"duration": {}}, {"duration": 30}),
    ({"duration": ODD}, {"duration": {"seconds": 30}}),
    ({"shots": {"type": "array"}}, {"shots": [{"duration": 10}, {"duration": "20"}]}),
    ({"seconds": {"type": "array"}}, {"seconds": [10, 20]}),
]


@pytest.mark.parametrize(("fields", "inputs"), LONG)
def test_the_seconds_of_inputs_are_priced(image: Make, fields: dict[str, Any], inputs: dict[str, Any]) -> None:
    plan = planned(image(), fields, inputs=inputs)
    assert isinstance(plan, Plan), plan
    assert (plan.price_microdollars, plan.inputs.duration) == (30 * SECOND, 30)
    assert plan.billed is not None
    assert plan.billed.duration == 30
    assert plan.inputs.body is not None
    assert {name: plan.inputs.body[name] for name in inputs} == inputs


def test_the_other_field_of_the_duration_is_sent_as_it_was_written(image: Make) -> None:
    plan = planned(image(), LONG[4][0], inputs=LONG[4][1])
    assert isinstance(plan, Plan)
    assert plan.inputs.body is not None
    assert plan.inputs.body["duration"] == 4


@pytest.mark.parametrize(
    ("fields", "inputs", "name"),
    [
        ({"duration": AUTO}, {"duration": "auto"}, "duration"),
        ({"duration": {"type": "integer"}, "video_length": {}}, {"video_length": "long"}, "video_length"),
        ({"duration": {}}, {"duration": True}, "duration"),
        ({"shots": {}}, {"shots": [{"duration": 5}, {"duration": "auto"}]}, "shots.1.duration"),
    ],
)
def test_seconds_that_cannot_be_read_are_refused(
    image: Make, fields: dict[str, Any], inputs: dict[str, Any], name: str
) -> None:
    refusal = planned(image(), fields, inputs=inputs)
    assert isinstance(refusal, Refusal)
    (problem,) = refusal.problems
    assert f"`inputs.{name}`" in problem.what
    assert "the price depends on the seconds" in problem.what


@pytest.mark.parametrize("where", ["key", "inputs"])
@pytest.mark.parametrize(
    ("part", "sent"), [({"allOf": [{"$ref": "#/$defs/Size"}], "default": "720p"}, "4k"), ({"type": "string"}, "4k")]
)
def test_a_resolution_is_a_billed_parameter(image: Make, where: str, part: dict[str, Any], sent: str) -> None:
    brief: dict[str, Any] = {"resolution": "4k"} if where == "key" else {"inputs": {"resolution": "4k"}}
    plan = planned(image(), {"resolution": part}, **brief)
    assert isinstance(plan, Plan), plan
    assert plan.billed is not None
    assert plan.billed.resolution == "4k"
    assert plan.inputs.body is not None
    assert plan.inputs.body["resolution"] == sent


def test_the_plain_keys_reach_fields_of_several_types(image: Make) -> None:
    plan = planned(image(), {"duration": AUTO}, duration=8)
    assert isinstance(plan, Plan), plan
    assert plan.inputs.body is not None
    assert (plan.inputs.body["duration"], plan.price_microdollars) == (8, 8 * SECOND)


@pytest.mark.parametrize(("word", "value"), [("duration", 8), ("resolution", "720p")])
def test_a_field_that_cannot_be_read_is_not_said_to_be_missing(image: Make, word: str, value: object) -> None:
    there, missing = planned(image(), {word: ODD}, **{word: value}), planned(image(), {}, **{word: value})
    assert isinstance(there, Refusal)
    assert isinstance(missing, Refusal)
    assert f"`{word}`" in there.problems[0].limit
    assert f"`inputs.{word}`" in there.problems[0].remedy
    assert f"`{word}`" not in missing.problems[0].limit
