"""Every rule of the route with its reason, and the invalid combinations."""

from collections.abc import Callable
from typing import Any

import pytest

from i2v_assets.briefs.brief import Brief
from i2v_assets.planning.media import MeasuredMedium
from i2v_assets.planning.routing import RouteImpossible, choose_route, mentions_speech, references
from resources.schemas.families.happyhorse_1_0 import NAME as HAPPYHORSE_I2V
from resources.schemas.families.seedance_2_0 import NAME as SEEDANCE_PRO
from resources.schemas.families.wan_2_7_image import NAME as WAN_I2V
from resources.schemas.families.wan_2_7_text import NAME as WAN_T2V
from resources.schemas.inputs import Family, MediumKind, Route

Make = Callable[..., MeasuredMedium]


@pytest.fixture
def media(image: Make, audio: Make, video: Make) -> Callable[[str], list[MeasuredMedium]]:
    """``iiav``: two images, one sound, one video."""
    makers: dict[str, tuple[Make, str]] = {"i": (image, "jpg"), "a": (audio, "mp3"), "v": (video, "mp4")}
    return lambda kinds: [makers[kind][0](f"{at}.{makers[kind][1]}") for at, kind in enumerate(kinds)]


@pytest.mark.parametrize(
    ("kinds", "brief", "route", "families", "reason"),
    [
        ("i", {}, "animate", (HAPPYHORSE_I2V,), "one image and no voiceover"),
        ("i", {"prompt": "the host talks"}, "animate", (HAPPYHORSE_I2V,), "no voiceover"),
        ("ia", {}, "lip_sync", (WAN_I2V, WAN_T2V), "one voiceover"),
        ("a", {}, "lip_sync", (WAN_T2V,), "one voiceover"),
        ("ia", {"prompt": "She speaks warmly"}, "lip_sync", (WAN_I2V, WAN_T2V), "lets somebody talk"),
        ("iv", {}, "multi_modal", (SEEDANCE_PRO,), "a reference video"),
        ("vv", {}, "multi_modal", (SEEDANCE_PRO,), "2 reference videos"),
        ("ii", {}, "multi_modal", (SEEDANCE_PRO,), "2 images"),
        ("iaa", {}, "multi_modal", (SEEDANCE_PRO,), "2 sounds"),
        ("iaa", {"prompt": "two people talking"}, "multi_modal", (SEEDANCE_PRO,), "2 sounds"),
        (
            "ia",
            {"prompt": "subject from image 1, voice from audio 1"},
            "lip_sync",
            (WAN_I2V, WAN_T2V),
            "one voiceover",
        ),
        ("i", {"prompt": "Image 1: slow push in on the cup"}, "animate", (HAPPYHORSE_I2V,), "one image"),
        ("ii", {"prompt": "Bild 1 vor Bild 2"}, "multi_modal", (SEEDANCE_PRO,), "image 1, image 2"),
        ("i", {"loop": True}, "animate", (WAN_I2V,), "it loops"),
        ("ia", {"end_image": "z.jpg"}, "lip_sync", (WAN_I2V,), "ends on an image"),
        ("ia", {"prompt": "like image 2"}, "lip_sync", (WAN_I2V, WAN_T2V), "voiceover"),
        ("i", {"prompt": "like image 2"}, "animate", (HAPPYHORSE_I2V,), "one image"),
        ("ia", {"route": "multi_modal"}, "multi_modal", (SEEDANCE_PRO,), "`route: multi_modal`"),
        ("i", {"route": "animate"}, "animate", (HAPPYHORSE_I2V,), "`route: animate`"),
        ("a", {"route": "lip_sync"}, "lip_sync", (WAN_T2V,), "`route: lip_sync`"),
        ("i", {"route": "multi_modal", "prompt": "x"}, "multi_modal", (SEEDANCE_PRO,), "`route: multi_modal`"),
        (
            "ia",
            {"route": "lip_sync", "prompt": "image 1"},
            "lip_sync",
            (WAN_I2V, WAN_T2V),
            "`route: lip_sync`",
        ),
    ],
)
def test_the_rules(
    media: Callable[[str], list[MeasuredMedium]],
    kinds: str,
    brief: dict[str, Any],
    route: str,
    families: tuple[Family, ...],
    reason: str,
) -> None:
    routing = choose_route(Brief(**brief), media(kinds))
    assert routing.route == route
    assert routing.family_preference == families
    assert reason in " ".join(routing.reasons)


def test_a_portrait_is_one_of_the_reasons(media: Callable[[str], list[MeasuredMedium]]) -> None:
    assert "portrait" in choose_route(Brief(), media("ia"), face=True).reasons[1]
    assert len(choose_route(Brief(), media("ia"), face=False).reasons) == 1


@pytest.mark.parametrize(
    ("kinds", "route", "words", "remedy"),
    [
        ("", None, "no image, audio or video", "Upload an image"),
        ("", Route.ANIMATE, "no image, audio or video", "Upload an image"),
        ("a", Route.ANIMATE, "exactly one image, and the clip has 0", "Upload an image"),
        ("ii", Route.ANIMATE, "the clip has 2", "multi_modal"),
        ("ia", Route.ANIMATE, "no voiceover", "remove `route`"),
        ("iv", Route.ANIMATE, "no reference video", "remove `route`"),
        ("i", Route.LIP_SYNC, "exactly one voiceover, and the clip has 0", "Upload a WAV or MP3"),
        ("iaa", Route.LIP_SYNC, "the clip has 2", "Name one under `audio`"),
        ("iia", Route.LIP_SYNC, "at most one image", "multi_modal"),
        ("iav", Route.LIP_SYNC, "no video", "multi_modal"),
    ],
)
def test_what_cannot_be(
    media: Callable[[str], list[MeasuredMedium]], kinds: str, route: Route | None, words: str, remedy: str
) -> None:
    with pytest.raises(RouteImpossible) as caught:
        choose_route(Brief(route=route), media(kinds))
    assert words in caught.value.message
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("subject from image 2", [(MediumKind.IMAGE, 2)]),
        ("Image #1 and @image3, video1", [(MediumKind.IMAGE, 1), (MediumKind.IMAGE, 3), (MediumKind.VIDEO, 1)]),
        ("voice from audio 1. Then", [(MediumKind.AUDIO, 1)]),
        ("photo 1, picture 2", [(MediumKind.IMAGE, 1), (MediumKind.IMAGE, 2)]),
        ("image 1 with image 1", [(MediumKind.IMAGE, 1)]),
        ("图1的主体，视频1的镜头", [(MediumKind.IMAGE, 1), (MediumKind.VIDEO, 1)]),
        ("Blend images 1 and 2", [(MediumKind.IMAGE, 1), (MediumKind.IMAGE, 2)]),
        ("image 1, 2 and 3 in one room", [(MediumKind.IMAGE, 1), (MediumKind.IMAGE, 2), (MediumKind.IMAGE, 3)]),
        ("Images #1, #2, and #3.", [(MediumKind.IMAGE, 1), (MediumKind.IMAGE, 2), (MediumKind.IMAGE, 3)]),
        ("photos 1-3", [(MediumKind.IMAGE, 1), (MediumKind.IMAGE, 2), (MediumKind.IMAGE, 3)]),
        ("images 2 to 4", [(MediumKind.IMAGE, 2), (MediumKind.IMAGE, 3), (MediumKind.IMAGE, 4)]),
        ("videos 1 & 2, audio 1", [(MediumKind.VIDEO, 1), (MediumKind.VIDEO, 2), (MediumKind.AUDIO, 1)]),
        ("图1、2的主体", [(MediumKind.IMAGE, 1), (MediumKind.IMAGE, 2)]),
        ("image 1 and video 2", [(MediumKind.IMAGE, 1), (MediumKind.VIDEO, 2)]),
        ("subject of image 1 and 2 people beside it", [(MediumKind.IMAGE, 1)]),
        ("image 1, 2 people walk", [(MediumKind.IMAGE, 1)]),
        ("image 1, 16:9", [(MediumKind.IMAGE, 1)]),
        ("video 16:9 in 4k", []),
        ("video 4k, audio 1.5x, image 10", []),
        ("images of 2 people", []),
        ("image 0", []),
        ("reimage 1", []),
    ],
)
def test_numbered_references(prompt: str, found: list[tuple[MediumKind, int]]) -> None:
    assert list(references(prompt)) == found


@pytest.mark.parametrize(
    "prompt", ["She is talking", "he speaks", "lip-sync", "lip synced", "a presenter", "他在说话", "SINGING"]
)
def test_talking(prompt: str) -> None:
    assert mentions_speech(prompt)


@pytest.mark.parametrize("prompt", ["slow push in", "a speaker on the desk", "stalking cat", "ghosts", ""])
def test_not_talking(prompt: str) -> None:
    assert not mentions_speech(prompt)
