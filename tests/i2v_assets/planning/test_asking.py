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
        ("Use the song in the mp3 and let him dance", {"images": ONE}, "audio_missing"),
        ("mouth should match the wav", {"images": ONE}, "audio_missing"),
        ("Que la foto hable con la nota de voz", {"images": ONE}, "audio_missing"),
        ("Follow the dance in the reference video", {"images": ONE}, "video_missing"),
        ("Remove the logo from this video", {"images": ONE, "videos": ("v.mp4",)}, "edit_of_video"),
        ("把视频里的人换成图片里的人", {"images": ONE, "videos": ("v.mp4",)}, "edit_of_video"),
        (None, {"videos": ("v.mp4",)}, "video_alone"),
        (None, {"images": ONE, "audios": ("talk_en.mp3", "talk_de.mp3")}, "languages"),
        ("dub it in Spanish", {**VOICE, "face": True}, "languages"),
        ("bitte auf Englisch übersetzen", {**VOICE, "face": True}, "languages"),
        ("she should say what is in the recording", {"images": ONE}, "audio_missing"),
        ("让他说录音里的话", {"images": ONE}, "audio_missing"),
        ("Presenter welcomes us", {**VOICE, "images": TWO}, "one_voice_several_images"),
        ("image 1 walks past image 3", {"images": TWO}, "reference_missing"),
        ("Das Pferd aus Bild 2 in der Halle aus Bild 4", {"images": TWO}, "reference_missing"),
        ("rostro de la imagen 1, voz del audio 2", {**VOICE, "face": True}, "reference_missing"),
        ("图1的猫跳上图3的桌子", {"images": TWO}, "reference_missing"),
        ("She says it in Polish and Turkish", {**VOICE, "face": True}, "languages"),
        ("the same line in Korean", {**VOICE, "face": True}, "languages"),
        ("Denselben Text auf Italienisch", {**VOICE, "face": True}, "languages"),
        ("que lo diga en inglés y francés", {**VOICE, "face": True}, "languages"),
        ("le même texte, mais aussi en espagnol", {**VOICE, "face": True}, "languages"),
        ("英語と中国語で話す", {**VOICE, "face": True}, "languages"),
        ("再用日语说一遍", {**VOICE, "face": True}, "languages"),
        ("faites-la chanter sur le titre en pièce jointe", {"images": ONE}, "audio_missing"),
        ("que baile con el tema adjunto", {"images": ONE}, "audio_missing"),
        ("Er singt das Stück im Anhang", {"images": ONE}, "audio_missing"),
        ("a melodia? não, a faixa que enviei", {"images": ONE}, "audio_missing"),
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
        ("The fox in the drawing narrates the story", {**VOICE, "face": False}, Route.LIP_SYNC),
        ("The plush dragon tells us about the library", {**VOICE, "face": False}, Route.LIP_SYNC),
        ("Der Schneemann erklärt die Regeln", {**VOICE, "face": False}, Route.LIP_SYNC),
        ("The fox in the drawing giving a toast", {**VOICE, "face": False}, Route.LIP_SYNC),
        ("El robot da la bienvenida", {**VOICE, "face": False}, Route.LIP_SYNC),
        ("the translator speaks slowly", {**VOICE, "face": True}, Route.LIP_SYNC),
        ("Podcast host in a studio", {"audios": ("v.mp3",), "speech": 0.9}, Route.LIP_SYNC),
        ("the person in image 1 speaks audio 1", {**VOICE, "face": True}, Route.LIP_SYNC),
        ("Make a 20 second video of the first snow", {"images": ONE}, Route.ANIMATE),
        ("He listens to the recording and nods", {"images": ONE}, Route.ANIMATE),
        ("Slow orbit around the mp3 player, buttons unchanged", {"images": ONE}, Route.ANIMATE),
        ("Music plays softly while she dances", {"images": ONE}, Route.ANIMATE),
        ("Copy the dance of the video with my character", {"images": ONE, "videos": ("v.mp4",)}, Route.MULTI_MODAL),
        ("Slow pan over image 4 of our series", {"images": ONE}, Route.ANIMATE),
        ("Slow push in, thank you everyone", {"images": ONE}, Route.ANIMATE),
        ("She speaks in French", {**VOICE, "face": True}, Route.LIP_SYNC),
        ("audio 1 is him, audio 2 is her", {"images": ONE, "audios": ("a.mp3", "b.mp3")}, Route.MULTI_MODAL),
    ],
)
def test_these_are_clear(prompt: str | None, given: dict[str, Any], route: Route) -> None:
    routing = routed(prompt, **given)
    assert (routing.route, routing.asks) == (route, ())


@pytest.mark.parametrize(
    "prompt",
    [
        "Bild 1 verwandelt sich in Bild 2",
        "Beginne mit Bild 1 und ende mit Bild 2",
        "Aus dem ersten Foto wird langsam das zweite",
        "Das erste Bild geht langsam in das zweite über",
        "Transición suave de la primera imagen a la segunda",
        "La imagen 1 se convierte en la imagen 2",
        "Empieza con la imagen 1 y acaba con la imagen 2",
        "L'image 1 se transforme en image 2",
        "Commence par l'image 1 et termine par l'image 2",
        "Transition fluide de la première à la deuxième image",
        "A imagem 1 se transforma na imagem 2",
        "Comece com a imagem 1 e termine com a imagem 2",
        "Transição suave da primeira imagem para a segunda",
        "1枚目から2枚目へなめらかに変化する",
        "最初のフレームは画像1、最後は画像2",
        "画像1を画像2に変化させる",
        "图片1逐渐变成图片2",
        "第一张图是开头，第二张图是结尾",
        "把图1变成图2",
        "图一渐变为图二",
        "Start on image 1 and finish on image 2, smooth camera move",
        "Turn image 1 into image 2",
        "Day turns into night: a.jpg becomes b.jpg",
        "image 1 should become image 2 over the clip",
        "Transform the caterpillar in image 1 into the butterfly in image 2",
        "The sapling grows until it looks like the second picture",
        "Her hair turns from brown (photo 1) to blonde (photo 2)",
        "Start: image 1. End: image 2.",
        "Aus der Raupe auf Bild 1 wird der Falter auf Bild 2",
        "Morph from the sketch to the finished house",
        "Blend the day photo into the night photo",
        "Timelapse from construction site to finished tower",
        "From the empty room to the furnished one",
        "Empty room -> furnished room",
        "use img A as opening frame and img B as closing frame",
        "Vom leeren Regal zum vollen Regal überblenden",
        "Passer de la première image à la dernière en douceur",
        "De la sala vacía a la sala amueblada",
        "Winter turns into spring",
        "The ice cube melts until only the puddle from the second image is left",
        "La oruga se convierte en mariposa",
        "毛毛虫慢慢变成蝴蝶",
        "The ruins rebuild themselves into the palace",
        "she ages from girl to grandmother",
        "match cut, photo one into photo two",
        "he trains hard and arrives at the second photo",
        "Das Haus wird vor unseren Augen saniert",
        "El coche viejo de la foto 1 acaba siendo el coche restaurado de la foto 2",
        "La chenille laisse place au papillon",
        "da foto antiga para a foto nova, transição suave",
        "つぼみがだんだん開いて満開になる",
        "毛坯房最后变成装修好的样子",
        "Frame A is the closed box, frame B the open one. Morph A into B.",
        "Überblenden von A nach B",
        "us then and us now",
        "flat pack to finished chair, everything falls into place",
        "Stein auf Stein, bis niemand mehr das Feld erkennt",
        "something magical happens here",
        "Ich möchte sehen, wie er erwachsen wird",
        "same street, noon in picture 1, midnight in picture 2",
        "Bild 1 im Sommer, Bild 2 im Winter",
        "la misma plaza, mañana en la imagen 1 y noche en la imagen 2",
    ],
)
def test_one_image_that_becomes_the_other_asks(prompt: str) -> None:
    assert [ask.code for ask in routed(prompt, images=TWO).asks] == ["last_image"]


@pytest.mark.parametrize(
    "prompt",
    [
        "El coche de la imagen 1 pasa por la calle de la imagen 2.",
        "Die Person aus Bild 1 geht über die Brücke aus Bild 2",
        "图1的人变成图2的风格",
        "Change image 1 to the style of image 2",
        "The man in image 1 turns to the woman in image 2.",
        "画像1の車が画像2の街を走る。",
        "La femme de l'image 1 devient danseuse dans le décor de l'image 2",
        "A mulher da imagem 1 vira a cabeça na cena da imagem 2",
        "From left to right, the camera passes both products",
        "She turns from the window to the door and wears the coat",
        "Make one video out of these two product photos",
        "The singer of image 1 in the street of image 2 at night",
        "Slow orbit around the sneaker, logo unchanged",
        "The firefighter lifts the hose",
        "La danseuse prend le bouquet",
        "The dog splashes through the puddle",
        "Der Ritter reitet durch den Wald",
        "La niña corre por la playa",
        "Le danseur saute sur la scène",
        "猫が屋根を走る",
        "女孩在沙滩上跳舞",
        "고양이가 지붕 위를 달린다",
        "picture A is the singer, picture B the club; she comes on stage",
        "put the new sofa in the empty room, slow pan",
        "Show the old and the new model side by side",
        "pon el bolso nuevo sobre la mesa vieja",
        "新しい靴を古い木の上に置いて、カメラが回る",
        "把新包放在旧桌子上，镜头环绕",
    ],
)
def test_what_the_images_show_may_change(prompt: str) -> None:
    assert routed(prompt, images=TWO).asks == ()


@pytest.mark.parametrize(
    "prompt",
    [
        "die Person bewegt die Lippen nicht",
        "Sein Mund bewegt sich nicht",
        "Locução por cima da imagem, ela não mexe a boca",
        "口を動かさないで、音声は背景に流すだけ",
        "画面配上这段录音作为背景，人物不张嘴",
        "She walks through the field; the voiceover plays over it",
        "Her mouth stays closed while the voiceover explains the product",
        "Her thoughts are heard as an inner monologue",
        "Sans bouger les lèvres, elle regarde la mer",
        "No lip movement, just the wind in her hair",
        "No mueve la boca",
        "Der Sprecher ist nur zu hören, man sieht die Landschaft",
        "The presenter is never seen, waves roll in",
        "只听见声音，人物不出镜",
        "Lip-sync her to the voice, mouth closed the whole time",
        "Er spricht die Aufnahme, die Lippen bleiben geschlossen",
        "que hable con la voz pero que no se le muevan los labios",
        "ela fala, mas não se mexe a boca",
    ],
)
def test_a_voice_that_nobody_in_the_picture_has_asks(prompt: str) -> None:
    assert [ask.code for ask in routed(prompt, **{**VOICE, "face": True}).asks] == ["nobody_speaks"]


@pytest.mark.parametrize(
    "prompt",
    [
        "She says exactly what is in the audio, without lip-sync errors",
        "Nicht zu hektisch sprechen, ruhig in die Kamera schauen",
        "The narrator, an old man, looks into the camera and tells the story.",
        "The mouth is closed at first, then she begins to speak.",
        "ナレーターの女性がカメラに語りかける",
        "He speaks to us without moving his lips unnaturally",
        "La narratrice parle face caméra",
        "Don't let her talk too fast",
    ],
)
def test_words_beside_the_speaking_leave_it_clear(prompt: str) -> None:
    assert routed(prompt, **{**VOICE, "face": True}).asks == ()


@pytest.mark.parametrize(
    "prompt",
    [
        "Travelling avant vers le chat endormi",
        "Une goutte de sang coule lentement, plan fixe",
        "Slow orbit that introduces the product, label unchanged",
        "Acercamiento lento al frasco, presenta el producto",
        "Aproximação lenta, apresenta o produto",
        "镜头缓缓推近，介绍产品外观",
        "Camera moves in to the lake as the wind whispers",
        "Push in on the speaker at home",
    ],
)
def test_things_do_not_speak(prompt: str) -> None:
    assert [ask.code for ask in routed(prompt, **{**VOICE, "face": False}).asks] == ["nobody_speaks"]


@pytest.mark.parametrize(
    "prompt",
    ["She introduces the product", "La presentadora presenta el producto", "她介绍产品", "Sie stellt das Produkt vor"],
)
def test_people_present_things(prompt: str) -> None:
    assert routed(prompt, **{**VOICE, "face": False}).asks == ()


@pytest.mark.parametrize("name", ["model-car.jpg", "kids-shoes.jpg", "guest-room.jpg", "women-dress.jpg"])
def test_a_name_of_a_thing_names_no_person(name: str) -> None:
    assert [ask.code for ask in routed("Slow push in", **{**VOICE, "images": (name,), "face": False}).asks] == [
        "nobody_speaks"
    ]


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ("Lip sync her to the song I sent", "audio_missing"),
        ("Match the beat of the track attached", "audio_missing"),
        ("Sie spricht meinen Text aus der Sprachnachricht im Anhang", "audio_missing"),
        ("Usa la canción adjunta", "audio_missing"),
        ("Elle chante la chanson jointe", "audio_missing"),
        ("Use a música anexada", "audio_missing"),
        ("跟着我上传的歌跳舞", "audio_missing"),
        ("Dance exactly like the guy in the TikTok I attached", "video_missing"),
        ("Tanzt wie in der Vorlage, siehe mitgeschicktes Video", "video_missing"),
        ("Que baile como en el vídeo que te mandé", "video_missing"),
        ("Fais-la danser comme dans la vidéo que j'ai envoyée", "video_missing"),
        ("按照我发的视频里的动作跳舞", "video_missing"),
        ("この動画の踊りをさせて", "video_missing"),
    ],
)
def test_what_was_sent_and_is_not_there_asks(prompt: str, code: str) -> None:
    assert [ask.code for ask in routed(prompt, images=ONE).asks] == [code]


@pytest.mark.parametrize(
    "prompt",
    [
        "这个视频的镜头缓慢推近",
        "この動画の主役は猫、カメラがゆっくり近づく",
        "A menina dança com a música",
        "Elle danse sur la chanson",
        "La niña baila con la canción",
        "She dances to the rhythm of the music",
        "A clip attached to his tie glints",
    ],
)
def test_the_clip_itself_and_its_music_are_not_missing(prompt: str) -> None:
    assert routed(prompt, images=ONE).asks == ()


@pytest.mark.parametrize(
    "prompt",
    [
        "Tausche den Hintergrund im Clip gegen das Bild",
        "Troque a pessoa do vídeo pela da imagem",
        "Reemplace la persona del video por la imagen",
        "Change the camera movement of the video",
        "把视频里的动作换成跳舞",
        "Put her face on the dancer",
    ],
)
def test_an_edit_of_a_video_asks(prompt: str) -> None:
    assert [ask.code for ask in routed(prompt, images=ONE, videos=("v.mp4",)).asks] == ["edit_of_video"]


@pytest.mark.parametrize(
    "prompt",
    [
        "Add the camera move of video 1 to the scene in image 1",
        "Remove the background from image 1 and follow the moves in video 1",
        "Change the dancer in image 1 to move as in the video",
        "Cambia el fondo de la imagen 1 y sigue los movimientos del video 1",
        "Ändere die Haltung der Person aus Bild 1 wie im Video 1",
        "Troque o fundo da imagem 1 e siga os movimentos do vídeo 1",
        "替换图1的背景，按照视频1的动作跳舞",
    ],
)
def test_what_is_taken_from_a_video_edits_none(prompt: str) -> None:
    assert routed(prompt, images=ONE, videos=("v.mp4",)).asks == ()


def test_a_dub_is_clear() -> None:
    assert routed(dub={"en": "v.mp3"}, **{**MUSIC, "face": False}).asks == ()
