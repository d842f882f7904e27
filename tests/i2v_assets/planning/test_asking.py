"""Which requests need a person's word, which do not, and what the word is; in several languages."""

from typing import Any

import pytest

from i2v_assets.briefs.brief import Brief
from i2v_assets.planning.routing import Routing, route_of_names
from resources.schemas.inputs import MediumKind, Route

ONE, TWO = ("a.jpg",), ("a.jpg", "b.jpg")


def routed(
    prompt: str | None = None, *, face: bool | None = None, speech: float | None = None, **given: Any
) -> Routing:
    names = {
        MediumKind.IMAGE: given.pop("images", ()),
        MediumKind.AUDIO: given.pop("audios", ()),
        MediumKind.VIDEO: given.pop("videos", ()),
    }
    return route_of_names(Brief(prompt=prompt, **given), names, face, speech)


VOICE: dict[str, Any] = {"images": ONE, "audios": ("v.mp3",), "speech": 0.9}
MUSIC: dict[str, Any] = {"images": ONE, "audios": ("v.mp3",), "speech": 0.02}


@pytest.mark.parametrize(
    ("prompt", "given", "code"),
    [
        ("Morph from the first picture to the second", {"images": TWO}, "last_image"),
        ("Übergang von Bild 1 zu Bild 2", {"images": TWO}, "last_image"),
        ("transición de la imagen 1 a la imagen 2", {"images": TWO}, "last_image"),
        ("Transition de l'image 1 vers l'image 2", {"images": TWO}, "last_image"),
        ("图1为首帧，图2为尾帧", {"images": TWO}, "last_image"),
        ("画像1から画像2へ変化", {"images": TWO}, "last_image"),
        (None, {"images": ("start.png", "end.png")}, "last_image"),
        (None, {"images": ("vorher.png", "nachher.png")}, "last_image"),
        ("Slow push in", {**MUSIC, "face": True}, "nobody_speaks"),
        ("She speaks to us", {**MUSIC, "face": True}, "nobody_speaks"),
        (None, {**VOICE, "face": False}, "nobody_speaks"),
        ("Push in. Voiceover only, do not show anybody speaking", {**VOICE, "face": True}, "nobody_speaks"),
        ("Der Erzähler erklärt die Maschine", {**VOICE, "face": False}, "nobody_speaks"),
        ("旁白介绍产品，镜头推近", {**VOICE, "face": False}, "nobody_speaks"),
        ("Lip sync to the attached audio", {"images": ONE}, "audio_missing"),
        ("voice from audio 1", {"images": ONE}, "audio_missing"),
        ("Follow the dance in the reference video", {"images": ONE}, "video_missing"),
        ("Remove the logo from this video", {"images": ONE, "videos": ("v.mp4",)}, "edit_of_video"),
        ("把视频里的人换成图片里的人", {"images": ONE, "videos": ("v.mp4",)}, "edit_of_video"),
        (None, {"videos": ("v.mp4",)}, "video_alone"),
        (None, {"images": ONE, "audios": ("talk_en.mp3", "talk_de.mp3")}, "languages"),
        ("Presenter welcomes us", {**VOICE, "images": TWO}, "one_voice_several_images"),
    ],
)
def test_these_ask_and_the_route_settles_them(prompt: str | None, given: dict[str, Any], code: str) -> None:
    (ask, *_) = routed(prompt, **given).asks
    assert ask.code == code
    assert ask.words.endswith(".")
    assert "`" in ask.remedy
    assert routed(prompt, route=routed(prompt, **given).route, **given).asks == ()


@pytest.mark.parametrize(
    ("prompt", "given", "route"),
    [
        ("The man in image 1 wears the coat of image 2", {"images": TWO}, Route.MULTI_MODAL),
        ("storyboard: use frames 1 to 6 in order", {"images": TWO}, Route.MULTI_MODAL),
        ("the person of image 1 in the room of image 2", {"images": ("before.jpg", "after.jpg")}, Route.MULTI_MODAL),
        (None, {"images": ("person.jpg", "background.jpg")}, Route.MULTI_MODAL),
        ("She sings along", {**MUSIC, "face": False}, Route.LIP_SYNC),
        ("Il chante", {**MUSIC, "face": False}, Route.LIP_SYNC),
        ("The cat speaks to the camera", {**VOICE, "face": False}, Route.LIP_SYNC),
        (None, {**VOICE, "face": True}, Route.LIP_SYNC),
        (None, {**VOICE, "face": None}, Route.LIP_SYNC),
        (None, {**VOICE, "images": ("selfie.jpg",), "face": False}, Route.LIP_SYNC),
        ("She talks to the camera, soft background music", {**VOICE, "face": True}, Route.LIP_SYNC),
        ("Podcast host in a studio", {"audios": ("v.mp3",), "speech": 0.9}, Route.LIP_SYNC),
        ("the person in image 1 speaks audio 1", {**VOICE, "face": True}, Route.LIP_SYNC),
        ("Make a 20 second video of the first snow", {"images": ONE}, Route.ANIMATE),
        ("He listens to the recording and nods", {"images": ONE}, Route.ANIMATE),
        ("Music plays softly while she dances", {"images": ONE}, Route.ANIMATE),
        ("Copy the dance of the video with my character", {"images": ONE, "videos": ("v.mp4",)}, Route.MULTI_MODAL),
        ("audio 1 is him, audio 2 is her", {"images": ONE, "audios": ("a.mp3", "b.mp3")}, Route.MULTI_MODAL),
    ],
)
def test_these_are_clear(prompt: str | None, given: dict[str, Any], route: Route) -> None:
    routing = routed(prompt, **given)
    assert (routing.route, routing.asks) == (route, ())


def test_a_dub_is_clear() -> None:
    assert routed(dub={"en": "v.mp3"}, **{**MUSIC, "face": False}).asks == ()
