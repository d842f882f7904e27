"""Any model of the catalogue: recorded schemas of many shapes, planned, refused and made in the sandbox that serves the same files."""

import json

import pytest

from resources.registry.registry import ClipState
from resources.sandbox.recorded import recorded_entries

PROMPT = "prompt: Slow push in, geometry stable\n"
TWO = {"a.jpg": "image", "b.jpg": "image"}
ONE = {"a.jpg": "image"}

GOOD = {
    "alibaba/happyhorse-1.1/image-to-video": (ONE, "duration: 3\nresolution: 720p\n", {"duration": 3, "resolution": "720P"}),
    "alibaba/happyhorse-1.1/reference-to-video": (TWO, "duration: 3\nresolution: 720p\n", {"duration": 3}),
    "bytedance/seedance-2.5/image-to-video/480p": (ONE, "duration: 4\n", {"duration": 4}),
    "bytedance/seedance-2.5/image-to-video/720p": (ONE, "duration: 4\ngenerate_audio: false\n", {"generate_audio": False}),
    "bytedance/seedance-2.5/image-to-video/1080p": (ONE, "duration: 4\nresolution: 1080p\n", {"duration": 4}),
    "bytedance/seedance-2.5/image-to-video/4k": (ONE, "duration: 4\nresolution: 4k\n", {"duration": 4}),
    "bytedance/seedance-2.5/first-last-frame/720p": (TWO, "duration: 4\n", {"duration": 4}),
    "bytedance/seedance-2.5/reference-to-video/720p": (TWO, "duration: 4\naspect_ratio: '1:1'\n", {"aspect_ratio": "1:1"}),
    "wan-ai/wan-3.0/image-to-video": (TWO, "duration: 2\nresolution: 480p\n", {"resolution": "480p", "prompt_extend": True}),
    "wan-ai/wan-3.0-prime/image-to-video": (ONE, "duration: 2\nresolution: 480p\n", {"aspect_ratio": "adaptive"}),
    "kling/kling-3.0/pro/image-to-video": (
        ONE,
        "duration: 3\ninputs:\n  cfg_scale: 0.7\n  elements: [{name: hat, weight: 0.5}]\n",
        {"cfg_scale": 0.7, "elements": [{"name": "hat", "weight": 0.5}], "sound": False},
    ),
    "kling/kling-video-o3/standard/reference-to-video": (
        TWO,
        "duration: 5\ngenerate_audio: true\ninputs:\n  shot_code: AB-12\n",
        {"duration": "5", "sound": "on", "shot_code": "AB-12"},
    ),
    "blackforestlabs/flux-3/image-to-video": (ONE, "inputs:\n  duration: '5'\n  safety_tolerance: 1\n", {"duration": "5"}),
    "blackforestlabs/flux-3/first-last-frame-to-video": (TWO, "duration: 5\n", {"duration": 5}),
    "google/gemini-omni-flash/reference-to-video": (TWO, "duration: 3\n", {"duration": 3}),
    "minimax/minimax-h3/image-to-video": (ONE, "inputs:\n  resolution: 768P\n", {"duration": 6, "resolution": "768P"}),
    "pixverse/pixverse-v6/transition": (TWO, "duration: 1\nresolution: 720p\n", {"quality": "720p"}),
    "lightricks/ltx-2.5/audio-to-video/pro": ({"a.jpg": "image", "v.mp3": "voice"}, "inputs: {guidance_scale: 5}\n", {"guidance_scale": 5}),
    "runwayml/runway-aleph-2": ({"a.jpg": "image", "c.mp4": "video"}, "aspect_ratio: '16:9'\n", {"aspect_ratio": "16:9"}),
    "bytedance/seedance-2.5/reference-to-video/4k": ({"a.jpg": "image", "c.mp4": "video"}, "duration: 4\n", {"duration": 4}),
    "wan-ai/wan-2.2/image-to-video": (ONE, "resolution: 480p\ninputs: {num_frames: 90}\n", {"num_frames": 90, "resolution": "480p"}),
    "wavespeed-ai/framepack": (ONE, "aspect_ratio: '9:16'\n", {"aspect_ratio": "9:16", "resolution": "720p"}),
    "minimax/minimax-h3-lite": (TWO, "duration: 2\n", {"duration": 2}),
    "kling/kling-v1/pro/image-to-video": (
        ONE,
        "duration: 5\ninputs:\n  camera_control: {type: simple, config: {pan: 2.5}}\n",
        {"duration": "5", "camera_control": {"type": "simple", "config": {"pan": 2.5}}},
    ),
    "zsxkib/pyramid-flow": (ONE, "duration: 2\ninputs: {frames_per_second: 24}\n", {"duration": 2, "frames_per_second": 24}),
    "luma/ray-2/image-to-video": (TWO, "duration: 5\nresolution: 720p\n", {"duration": "5s", "resolution": "720p"}),
    "google/veo-3.1/image-to-video": (ONE, "duration: 4\ngenerate_audio: false\n", {"durationSeconds": 4, "generateAudio": False}),
    "vidu/q2/reference-to-video": (ONE, "duration: 2\ngenerate_audio: true\n", {"duration": 2, "audio": True}),
}  # fmt: skip
"""For each model: the files of a clip, its brief, and part of the body that is sent."""

BAD = {
    "alibaba/happyhorse-1.1/image-to-video": (ONE, "duration: 16\n", "makes 3 to 15 s"),
    "alibaba/happyhorse-1.1/reference-to-video": (ONE, "resolution: 4k\n", "720p, 1080p"),
    "bytedance/seedance-2.5/image-to-video/480p": (ONE, "resolution: 1080p\n", "480p"),
    "bytedance/seedance-2.5/image-to-video/720p": (ONE, "negative_prompt: blur\n", "no such input"),
    "bytedance/seedance-2.5/image-to-video/1080p": (TWO, "", "at most 1 image"),
    "bytedance/seedance-2.5/image-to-video/4k": (ONE, "inputs: {fps: 24}\n", "`fps`"),
    "bytedance/seedance-2.5/first-last-frame/720p": (ONE, "", "needs at least 2"),
    "bytedance/seedance-2.5/reference-to-video/720p": (TWO, "duration: 31\n", "makes 4 to 30 s"),
    "bytedance/seedance-2.5/reference-to-video/4k": (ONE, "", "needs at least 1"),
    "wan-ai/wan-3.0/image-to-video": (ONE, "inputs: {end_image_url: c.jpg}\n", "'c.jpg'"),
    "wan-ai/wan-3.0-prime/image-to-video": (ONE, "aspect_ratio: '21:9'\n", "adaptive, 16:9"),
    "kling/kling-3.0/pro/image-to-video": (ONE, "inputs: {cfg_scale: 2}\n", "cfg_scale: the schema says maximum 1"),
    "kling/kling-video-o3/standard/reference-to-video": (ONE, "inputs: {shot_code: nonsense}\n", "the schema says pattern"),
    "blackforestlabs/flux-3/image-to-video": (ONE, "inputs: {duration: auto}\n", "whole seconds"),
    "blackforestlabs/flux-3/first-last-frame-to-video": (TWO, "duration: 4\n", "makes 5 to 20 s"),
    "blackforestlabs/flux-3/keyframes-to-video": (ONE, "", "takes no image"),
    "google/gemini-omni-flash/reference-to-video": (ONE, "seed: 5\ninputs: {images: 5}\n", "'5'"),
    "minimax/minimax-h3/image-to-video": (ONE, "duration: 7\n", "makes 6, 10 s"),
    "pixverse/pixverse-v6/transition": (TWO, "seed: 70000\nduration: 1\n", "seed: the schema says maximum 65535"),
    "lightricks/ltx-2.5/audio-to-video/pro": (ONE, "", "no audio file"),
    "runwayml/runway-aleph-2": (TWO, "", "no video file"),
    "google/nano-banana-2-lite/edit": (ONE, "", "makes an image and no video"),
    "acestep-ai/ace-step-1.5/text-to-audio": (ONE, "", "makes sound and no video"),
    "wan-ai/wan-2.2/image-to-video": (ONE, "inputs: {num_frames: 400}\n", "num_frames: the schema says maximum 100"),
    "wavespeed-ai/framepack": (ONE, "aspect_ratio: '1:1'\n", "16:9, 9:16"),
    "minimax/minimax-h3-lite": (ONE, "inputs: {reference_image_urls: [x.jpg]}\n", "'x.jpg'"),
    "kling/kling-v1/pro/image-to-video": (
        ONE,
        "inputs:\n  camera_control: {type: simple, config: {pan: 50}}\n",
        "camera_control.config.pan: the schema says maximum 10",
    ),
    "zsxkib/pyramid-flow": (ONE, "inputs: {frames_per_second: 12}\n", "frames_per_second: the schema says enum [8, 24]"),
    "alibaba/wan-3.0/frames-to-video": (ONE, "", "takes no image"),
    "luma/ray-2/image-to-video": (ONE, "duration: 7\n", "makes 5, 9 s"),
    "google/veo-3.1/image-to-video": (ONE, "duration: 5\n", "makes 4, 6, 8 s"),
    "vidu/q2/reference-to-video": (ONE, "inputs: {movement_amplitude: wild}\n", "movement_amplitude: the schema says enum"),
    "bytedance/seedream-4/edit": (ONE, "", "makes an image and no video"),
}  # fmt: skip
"""For each model: the files of a clip, a brief that it cannot express, and words of the refusal."""


def put(world, samples, name, files, brief):
    made = {"voice": lambda _: (samples / "voiceover-en.mp3").read_bytes(), "video": lambda _: (samples / "scene.mp4").read_bytes(),
            "image": lambda file: world.image(f"{name}-{file}").read_bytes()}  # fmt: skip
    for file, kind in files.items():
        world.upload(f"{name}/{file}", made[kind](file))
    world.upload(f"{name}/brief.yaml", brief.encode())


def slug_of(model_id):
    return model_id.replace("/", "-").replace(".", "-").lower()


def test_every_recorded_model_has_its_cases():
    ids = {entry["model_id"] for entry in recorded_entries()}
    assert set(BAD) == ids
    assert len(GOOD) >= 20
    assert set(GOOD) <= ids


def test_all_are_planned_refused_and_made(world, samples):
    for model_id, (files, brief, _) in GOOD.items():
        put(world, samples, f"good-{slug_of(model_id)}", files, f"model: {model_id}\n{PROMPT}{brief}")
    for model_id, (files, brief, _) in BAD.items():
        put(world, samples, f"bad-{slug_of(model_id)}", files, f"model: {model_id}\n{PROMPT}{brief}")
    before = world.operator.charges
    planned = {each["clip"]: each for each in world("plan", "--json").json["clips"]}
    assert world.operator.charges == before
    for model_id, (_, _, words) in BAD.items():
        text = json.dumps(planned[f"bad-{slug_of(model_id)}"])
        assert words in text, (model_id, text)
        assert not planned[f"bad-{slug_of(model_id)}"].get("takes"), model_id
    for model_id, (_, _, part) in GOOD.items():
        takes = planned[f"good-{slug_of(model_id)}"].get("takes")
        assert takes, (model_id, planned[f"good-{slug_of(model_id)}"])
        assert takes[0]["model_id"] == takes[0]["family"] == model_id
        assert len(takes[0]["schema_sha256"]) == 64
        body = takes[0]["inputs"]["body"]
        assert {name: body.get(name) for name in part} == part, model_id
    names = [f"good-{slug_of(model_id)}" for model_id in GOOD]
    world.make(*names, by_hand=True)
    with world.session() as (_, registry):
        states = {name: registry.get(name) for name in names}
    assert {name: row.state for name, row in states.items() if row.state is not ClipState.DELIVERED} == {}
    assert world.operator.charges == before + len(GOOD)
    sent = {request["model_id"]: request["body"] for request in world.operator.requests[-len(GOOD) :]}
    for model_id, (_, _, part) in GOOD.items():
        assert {name: sent[model_id].get(name) for name in part} == part
    manifest = json.loads(world.bucket.read("clips/good-kling-kling-3-0-pro-image-to-video/manifest.json"))
    assert len(manifest["schema_sha256"]) == 64
    assert manifest["family"] == "kling/kling-3.0/pro/image-to-video"


def test_one_model_from_the_shell_under_the_services_names(world):
    """The model's own names, and files of this machine."""
    asked = {"prompt": "Slow push in", "duration": 3, "cfg_scale": 0.3}
    arguments = (
        "run",
        "kling/kling-3.0/pro/image-to-video",
        "--image",
        str(world.image()),
        "--input",
        json.dumps(asked),
    )
    ran = world(*arguments, "--no-download", "--json")
    assert ran.code == 0, ran.err
    assert world.operator.requests[-1]["body"]["cfg_scale"] == 0.3
    again = world(*arguments, "--no-download", "--json")
    assert again.json["paid_now"] is False
    refused = world("run", arguments[1], "--image", arguments[3], "--input", json.dumps({**asked, "fps": 24}))
    assert refused.code == 65
    assert "`fps`" in refused.err
    nobody = world("run", "nobody/knows/it", "--image", arguments[3], "--input", "{}")
    assert nobody.code == 64


def test_a_route_is_a_list_of_preferences(world, samples, monkeypatch):
    monkeypatch.setenv("I2V_ROUTES", json.dumps({"animate": ["happyhorse-1.1", "happyhorse-1.0"]}))
    put(world, samples, "plain", ONE, PROMPT + "duration: 3\nresolution: 720p\n")
    plan = world("plan", "plain", "--json").json["clips"][0]["takes"][0]
    assert plan["model_id"] == "alibaba/happyhorse-1.1/image-to-video"
    rows = {row["family"]: row for row in world("models", "animate", "--json").json}
    assert rows["alibaba/happyhorse-1.1/image-to-video"]["preference"] == 1
    assert rows["happyhorse-1.0/image-to-video"]["preference"] == 2
    assert rows["wan-ai/wan-3.0/image-to-video"]["preference"] is None

    world.operator.switch(missing_models=["alibaba/happyhorse-1.1/image-to-video"])
    other = world("plan", "plain", "--json").json["clips"][0]["takes"][0]
    assert other["family"] == "happyhorse-1.0/image-to-video"
    assert any("happyhorse-1.1" in reason and "preferred" in reason for reason in other["reasons"])
    world.make("plain", by_hand=True)
    before = world.operator.charges

    world.operator.switch(missing_models=[])  # the preferred one is back: what was sent stays what it was
    again = world("plan", "plain", "--json").json["clips"][0]["takes"][0]
    assert again["fingerprint"] == other["fingerprint"]
    world.make("plain", by_hand=True)
    assert world.operator.charges == before


def test_the_first_that_can_express_the_brief(world, samples, monkeypatch):
    monkeypatch.setenv("I2V_ROUTES", json.dumps({"animate": ["seedance-2.5", "wan-3.0"]}))
    put(world, samples, "large", ONE, PROMPT + "duration: 4\nresolution: 1080p\n")
    put(world, samples, "seeded", ONE, PROMPT + "duration: 20\nprompt_expansion: true\n")
    clips = {each["clip"]: each["takes"][0] for each in world("plan", "--json").json["clips"]}
    assert clips["large"]["model_id"] == "bytedance/seedance-2.5/image-to-video/1080p"
    assert clips["seeded"]["model_id"] == "wan-ai/wan-3.0/image-to-video"


@pytest.mark.parametrize(
    ("brief", "words"),
    [
        ("model: happyhorse-1.0\ninputs: {fps: 24}\n", "no inputs beside the keys"),
        ("model: seedance-2.6\n", "Did you mean `seedance-2.5`?"),
        ("model: nobody/knows/it\n", "has no model nobody/knows/it now"),
        ("model: kling/kling-3.0/pro/image-to-video\nduration: 3\ninputs: {duration: 5}\n", "say the same"),
        ("model: kling/kling-3.0/pro/image-to-video\ninputs: {$medium: x}\n", "inputs"),
    ],
)
def test_what_a_brief_cannot_say(world, samples, brief, words):
    put(world, samples, "odd", ONE, PROMPT + brief)
    ran = world("plan")
    assert words in " ".join(f"{ran.out} {ran.err}".split())


def test_a_preference_that_is_no_family_is_told(world, samples, monkeypatch):
    monkeypatch.setenv("I2V_ROUTES", json.dumps({"animate": ["happy-horse-1.0"]}))
    ran = world("plan")
    assert ran.code == 64
    assert "I2V_ROUTES, animate, names 'happy-horse-1.0'" in ran.err
    monkeypatch.setenv("I2V_ROUTES", json.dumps({"animated": ["happyhorse-1.0"]}))
    assert "I2V_ROUTES" in world("plan").err


def test_a_schema_that_changed_between_plan_and_submit_is_not_sent(world, samples):
    model = "alibaba/happyhorse-1.1/image-to-video"
    world.operator.entry(
        model,
        {
            "input_schema": {
                "$ref": "https://elsewhere.example/x",
                "properties": {"x": {"$ref": "https://elsewhere.example/x"}},
            }
        },
    )
    put(world, samples, "remote", ONE, f"model: {model}\n{PROMPT}")
    before = world.operator.charges
    text = json.dumps(world("plan", "--json").json["clips"][0])
    assert "never fetched" in text
    world.operator.entry(model, {"input_schema": {"properties": {"prompt": {"type": "string", "pattern": "^(a+)+$"}}}})
    put(world, samples, "slow", ONE, f"model: {model}\nprompt: {'a' * 60}!\n")
    text = json.dumps(world("plan", "slow", "--json").json["clips"])
    assert "cannot be used" in text
    assert world.operator.charges == before
