"""A request that contradicts what would be sent waits for a person's word; one key or an approval settles it."""

import json
from pathlib import Path

import av
import numpy as np

from i2v_assets.operations.approve import approve_offer, offer_approval
from i2v_assets.session import open_session
from resources.registry.registry import ClipState
from resources.schemas.inputs import Route
from resources.storage import keys
from resources.wait_reason import WaitReason


def cup_with_noise(stage, brief: str = "") -> None:
    stage.upload("cup/brief.yaml", brief or "prompt: Slow push in on the cup, everything else unchanged\n")
    stage.upload("cup/cup.webp", Path("product.webp"))
    stage.upload("cup/jingle.mp3", Path("ambience.mp3"))


def test_a_sound_that_nobody_speaks_waits_and_an_approval_makes_it_as_it_is(stage) -> None:
    cup_with_noise(stage)
    stage.make()
    assert stage.clip("cup").wait is WaitReason.APPROVAL
    assert stage.charges() == []
    note = stage.note("cup", "WAITING.txt")
    assert "needs your word" in note
    assert "A voice is heard in 0% of jingle.mp3" in note
    assert "`music: jingle.mp3`" in note
    assert "`route: lip_sync`" in note
    plan = json.loads(stage.bucket.read(keys.clip_key("cup", keys.PLAN)))
    assert [ask["code"] for ask in plan["takes"][0]["asks"]] == ["nobody_speaks"]

    with open_session() as session:
        offer = offer_approval(session, ["cup"])
        assert "jingle.mp3" in offer.prices[0][2]
        approve_offer(session, offer, by="ann")
    stage.make("dispatch")
    assert stage.delivered() == {"cup"}
    assert len(stage.charges()) == 1


def test_the_route_settles_it(stage) -> None:
    cup_with_noise(stage, "prompt: Slow push in on the cup\nroute: lip_sync\n")
    stage.make()
    assert stage.delivered() == {"cup"}
    assert stage.request("cup").route == Route.LIP_SYNC


def test_music_is_laid_under_an_animate_clip_at_no_cost(stage, tmp_path) -> None:
    cup_with_noise(stage, "prompt: Slow push in on the cup\nmusic: jingle.mp3\n")
    stage.make()
    assert stage.clip("cup").state is ClipState.DELIVERED
    assert stage.request("cup").route == Route.ANIMATE
    assert len(stage.charges()) == 1
    manifest = json.loads(stage.bucket.read(keys.clip_key("cup", keys.MANIFEST)))
    assert [(each["role"], each["name"]) for each in manifest["under"]] == [("music", "jingle.mp3")]
    shown, made = (tmp_path / name for name in ("shown.mp4", "made.mp4"))
    shown.write_bytes(stage.bucket.read(keys.clip_key("cup", keys.VIDEO)))
    made.write_bytes(stage.bucket.read(manifest["video"]["key"]))
    assert abs(_seconds(shown) - _seconds(made)) < 0.1
    assert _spectrum_differs(shown, made)

    stage.upload("cup/brief.yaml", "prompt: Slow push in on the cup\nnarration: jingle.mp3\n")
    stage.make()
    manifest = json.loads(stage.bucket.read(keys.clip_key("cup", keys.MANIFEST)))
    assert [each["role"] for each in manifest["under"]] == ["narration"]
    assert len(stage.charges()) == 1


def _seconds(path: Path) -> float:
    with av.open(str(path)) as container:
        return float(container.duration or 0) / av.time_base


def _spectrum_differs(one: Path, other: Path) -> bool:
    """Return whether two videos' sounds differ: the sandbox's tone alone, and the same with noise under it."""
    flat = []
    for path in (one, other):
        with av.open(str(path)) as container:
            resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
            waves = [part.to_ndarray()[0] for frame in container.decode(audio=0) for part in resampler.resample(frame)]
        power = np.abs(np.fft.rfft(np.concatenate(waves))) ** 2 + 1e-9
        flat.append(float(np.exp(np.mean(np.log(power))) / np.mean(power)))
    return flat[0] > 2 * flat[1]


def test_an_end_image_and_a_loop_go_to_the_endpoint_that_holds_them(stage) -> None:
    stage.upload("bud/brief.yaml", "prompt: The bud opens slowly\nend_image: z_last.jpg\n")
    stage.upload("bud/bud.webp", Path("product.webp"))
    stage.upload("bud/z_last.jpg", Path("pet.jpg"))
    stage.upload("sea/brief.yaml", "prompt: Waves roll in\nloop: true\n")
    stage.upload("sea/sea.jpg", Path("environment.jpg"))
    stage.make()
    assert stage.delivered() == {"bud", "sea"}
    for clip, same in (("bud", False), ("sea", True)):
        row = stage.request(clip)
        assert row.route == Route.ANIMATE
        assert row.model_id == "wan-ai/wan-2.7/image-to-video"
        inputs = json.loads(row.inputs_json)
        assert (inputs["end_image"]["sha256"] == inputs["images"][0]["sha256"]) is same
    (bud,) = [each for each in stage.requests() if "bud" in each["body"]["prompt"]]
    assert bud["body"]["end_image_url"] != bud["body"]["image_url"]


def test_two_pictures_by_name_first_and_last_wait_for_a_word(stage) -> None:
    stage.upload("room/brief.yaml", "duration: 4\n")
    stage.upload("room/room_before.jpg", Path("environment.jpg"))
    stage.upload("room/room_after.jpg", Path("pet.jpg"))
    stage.make()
    assert stage.charges() == []
    assert "`end_image: room_after.jpg`" in stage.note("room", "WAITING.txt")


def test_a_number_of_the_one_picture_chooses_nothing(stage) -> None:
    stage.upload("cup/brief.yaml", "prompt: 'Image 1: slow push in on the cup, logo unchanged'\n")
    stage.upload("cup/cup.webp", Path("product.webp"))
    stage.make()
    assert stage.request("cup").route == Route.ANIMATE
