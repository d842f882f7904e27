"""Requests that do not say what several pictures, voices or files are for, and those that look alike and are clear."""

from typing import Any

import pytest

from i2v_assets.briefs.brief import Brief
from i2v_assets.planning.routing import route_of_names
from resources.schemas.inputs import MediumKind

ONE, TWO, THREE = ("a.jpg",), ("a.jpg", "b.jpg"), ("a.jpg", "b.jpg", "c.jpg")
PAIR = ("x.mp3", "y.mp3")


def codes(prompt: str | None, images: tuple[str, ...] = (), audios: tuple[str, ...] = (), **given: Any) -> list[str]:
    names = {MediumKind.IMAGE: images, MediumKind.AUDIO: audios, MediumKind.VIDEO: ()}
    return [ask.code for ask in route_of_names(Brief(prompt=prompt, **given), names, None, None).asks]


@pytest.mark.parametrize(
    ("prompt", "images", "code"),
    [
        ("do something nice with these two", TWO, "last_image"),
        ("Hier sind zwei Bilder vom Ausflug, mit besten Grüßen", TWO, "last_image"),
        ("Adjunto dos fotos de la fiesta", TWO, "last_image"),
        ("Ci-joint deux photos de la kermesse, merci", TWO, "last_image"),
        ("Envio duas fotos da festa", TWO, "last_image"),
        ("两张照片发给你们", TWO, "last_image"),
        ("here are three pics of the party", THREE, "parts_unsaid"),
        ("Drei Fotos vom Umzug, danke", THREE, "parts_unsaid"),
        ("a separate clip for each picture", TWO, "parts_unsaid"),
        ("Für jedes Bild? Ja: ein Video pro Foto, langsamer Zoom", TWO, "parts_unsaid"),
        ("un vídeo por foto, zoom lento", THREE, "parts_unsaid"),
        ("un clip par photo, zoom lent", THREE, "parts_unsaid"),
        ("um vídeo por foto, zoom lento", THREE, "parts_unsaid"),
        ("1枚ずつ動画にして", THREE, "parts_unsaid"),
        ("每张图单独做视频", THREE, "parts_unsaid"),
        ("just the second one, slow pan", TWO, "parts_unsaid"),
    ],
)
def test_pictures_without_a_part_ask(prompt: str, images: tuple[str, ...], code: str) -> None:
    assert codes(prompt, images) == [code]
    assert codes(prompt, images, route="multi_modal") == []


@pytest.mark.parametrize(
    ("prompt", "images"),
    [
        ("two dancers spin on the stage", TWO),
        ("Both vases side by side, slow orbit", TWO),
        ("Las dos hermanas se abrazan", TWO),
        ("One film out of these three photos, slow zoom", THREE),
        ("The three bottles rotate slowly", THREE),
    ],
)
def test_pictures_that_are_put_together_do_not_ask(prompt: str, images: tuple[str, ...]) -> None:
    assert codes(prompt, images) == []


@pytest.mark.parametrize(
    ("prompt", "images", "audios"),
    [
        ("The host asks us, the guest replies", TWO, PAIR),
        ("Erst spricht sie, dann er", TWO, PAIR),
        ("Ella habla y él contesta", ONE, PAIR),
        ("Elle parle, puis il parle", TWO, PAIR),
        ("Ela fala e depois ele fala", TWO, PAIR),
        ("二人が話す", TWO, PAIR),
        ("他们交谈", TWO, PAIR),
        ("x.mp3 is hers and y.mp3 is his", ONE, PAIR),
        (None, ("tom.jpg", "lea.jpg"), ("Lea.mp3", "Tom.mp3")),
    ],
)
def test_several_voices_of_somebody_ask(prompt: str | None, images: tuple[str, ...], audios: tuple[str, ...]) -> None:
    assert codes(prompt, images, audios) == ["several_voices"]
    assert codes(prompt, images, audios, route="multi_modal") == []


@pytest.mark.parametrize(
    ("prompt", "images"),
    [("image 1 says audio 1, image 2 says audio 2", TWO), ("Cut to the beat", TWO), (None, TWO), (None, ONE)],
)
def test_numbered_voices_and_other_sounds_do_not_ask(prompt: str | None, images: tuple[str, ...]) -> None:
    assert "several_voices" not in codes(prompt, images, PAIR)


def test_a_voice_with_nothing_that_says_who_speaks_asks() -> None:
    assert codes(None, (), ("memo.mp3",)) == ["voice_alone"]
    assert codes("A baker in his bakery speaks to us", (), ("memo.mp3",)) == []
    assert codes(None, (), ("memo.mp3",), route="lip_sync") == []


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ("Take the pattern of fabric_07.webp for the dress", "reference_missing"),
        ("Das Muster aus stoff.tiff auf das Kleid", "reference_missing"),
        ("Der Himmel wie auf DSC_0421", "reference_missing"),
        ("Put the mark from brand.eps on her bag", "reference_missing"),
        ("她唱 refrain.m4a", "audio_missing"),
        ("Il danse comme dans danse.mov", "video_missing"),
        ("image 1 beside image 2", "reference_missing"),
    ],
)
def test_a_file_that_is_named_and_not_there_asks(prompt: str, code: str) -> None:
    assert codes(prompt, ONE)[0] == code


@pytest.mark.parametrize(
    "prompt",
    [
        "a.png drifts slowly",
        "photo.jpg: the leaves sway",
        "Slow push in, save as spring.mp4",
        "Langsame Fahrt, Ausgabe: final.mov",
        "slow push in on image 2",
        "Slow push in, colours as in guide.pdf, made for shop.ai",
    ],
)
def test_a_renamed_file_and_the_clip_itself_are_not_missing(prompt: str) -> None:
    assert codes(prompt, ONE) == []


def test_a_file_that_the_brief_lays_under_the_clip_is_there() -> None:
    assert codes("slow push in, song.mp3 plays", ONE) == ["audio_missing"]
    assert codes("slow push in, song.mp3 plays", ONE, music="song.mp3") == []
