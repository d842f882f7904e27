"""Kinds of requests in seven languages, each from a table: one rule of the router holds for all that people write of it."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import pytest

from i2v_assets.briefs.brief import Brief
from i2v_assets.planning.prompt_advice import PromptFacts, advise
from i2v_assets.planning.routing import route_of_names
from resources.schemas.inputs import MediumKind, Route

TWO = ("a.jpg", "b.jpg")
LANGUAGES = ("en", "de", "es", "fr", "pt", "ja", "zh")

_Parts = Mapping[str, Sequence[Sequence[str]]]


def asks(prompt: str, images: Sequence[str], audios: Sequence[str] = ()) -> list[str]:
    names = {MediumKind.IMAGE: images, MediumKind.AUDIO: audios, MediumKind.VIDEO: ()}
    return [ask.code for ask in route_of_names(Brief(prompt=prompt), names).asks]


def advice(prompt: str) -> set[str]:
    return {each.code for each in advise(prompt, Route.ANIMATE, PromptFacts(family="happyhorse-1-1", images=1))}


def sentences(parts: Sequence[Sequence[str]]) -> Iterator[str]:
    for words in product(*parts):
        yield "".join(words)


# One image becomes the other

BECOMES: _Parts = {
    "en": (
        ("The first image", "Image 1"),
        ("", " (the bare walls)"),
        (" turns into ", " slowly becomes ", " dissolves into ", " gives way to "),
        ("the second", "the second one", "image 2", "the other"),
        ("", " (the finished bath)"),
        ("", ", camera fixed", " while the camera stays still", " without a cut"),
    ),
    "de": (
        ("Das erste Bild", "Bild 1"),
        ("", " (Rohbau)"),
        (" verwandelt sich in ", " wird langsam zu ", " geht über in ", " blendet über in "),
        ("das zweite", "das zweite Bild", "Bild 2", "das andere"),
        ("", " (fertiges Bad)"),
        ("", ", Kamera bleibt", " während die Kamera steht", " mit weichem Übergang"),
    ),
    "es": (
        ("La primera imagen", "La imagen 1"),
        ("", " (el solar)"),
        (" se convierte en ", " pasa a ser ", " se va transformando en ", " se funde con "),
        ("la segunda", "la segunda foto", "la 2", "la otra"),
        ("", " (la casa acabada)"),
        ("", ", cámara fija", " mientras nada más se mueve", " poco a poco"),
    ),
    "fr": (
        ("La première image", "L'image 1"),
        ("", " (la friche)"),
        (" se transforme en ", " devient ", " se fond dans ", " laisse place à "),
        ("la deuxième", "la seconde image", "l'image 2", "l'autre"),
        ("", " (le parc)"),
        ("", ", caméra fixe", " pendant que la caméra reste fixe", " en douceur"),
    ),
    "pt": (
        ("A primeira imagem", "A imagem 1"),
        ("", " (o terreno)"),
        (" se transforma na ", " vira a ", " dá lugar à ", " vai virando a "),
        ("segunda", "segunda foto", "imagem 2", "outra"),
        ("", " (a casa pronta)"),
        ("", ", câmera fixa", " enquanto a câmera fica parada", " aos poucos"),
    ),
    "ja": (
        ("1枚目", "画像1", "最初の写真"),
        ("", "（更地）"),
        ("が", "がゆっくり"),
        ("二枚目", "2枚目", "画像2"),
        ("", "（家）"),
        ("に変わる", "へ変化する", "になっていく。カメラは固定"),
    ),
    "zh": (
        ("第一张", "图1", "第一张照片"),
        ("", "（毛坯房）"),
        ("变成", "慢慢变成", "过渡到"),
        ("第二张", "图2", "第二张照片"),
        ("", "（客厅）"),
        ("", "，镜头不动"),
    ),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_second_image_is_known_without_its_noun(language: str) -> None:
    assert [each for each in sentences(BECOMES[language]) if asks(each, TWO) != ["last_image"]] == []


STATES: _Parts = {
    "en": (("In image 1 the door is closed, ",), ("in the second open", "and on image 2 it is open", "in the second it is open")),
    "de": (("Auf dem ersten Bild ist die Tür zu, ",), ("auf dem zweiten offen", "auf Bild 2 ist sie offen")),
    "es": (("En la imagen 1 el vaso está vacío, ",), ("en la segunda lleno", "en la 2 está lleno")),
    "fr": (("Sur l'image 1 la lampe est éteinte, ",), ("sur la deuxième allumée", "sur la 2 elle est allumée")),
    "pt": (("Na imagem 1 a porta está fechada, ",), ("na segunda aberta", "na foto 2 está aberta")),
    "ja": (("1枚目はドアが閉まっていて、",), ("2枚目は開いている", "画像2では開いている")),
    "zh": (("第一张门是关着的，",), ("第二张是开着的", "图2里门开着")),
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_two_states_of_one_thing_are_a_first_and_a_last_image(language: str) -> None:
    assert [each for each in sentences(STATES[language]) if asks(each, TWO) != ["last_image"]] == []


LAST: _Parts = {
    "en": (("First picture: the shop before", "The first image is the old shop"), (", last picture the finished one", ". Last image: after", ", the last one is the new")),
    "de": (("Erstes Bild ist der Laden vor dem Umbau", "Das erste Foto zeigt den alten Laden"), (", letztes Bild der fertige", ", das letzte den fertigen")),
    "es": (("La primera imagen es la tienda antes", "Primera foto: la obra"), (", la última la tienda terminada", ", última imagen: la casa")),
    "fr": (("Première image : le magasin avant", "La première photo est le chantier"), (", dernière image : le magasin fini", ", la dernière la maison")),
    "pt": (("A primeira imagem é a loja antes", "Primeira foto: a obra"), (", a última a loja pronta", ", última imagem: a casa")),
    "ja": (("最初の画像は改装前", "1枚目は工事中"), ("、最後の画像は改装後",)),
    "zh": (("第一张是装修前", "第一张图是工地"), ("，最后一张是装修后", "，最后一张图是房子")),
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_last_of_two_images_is_a_last_frame(language: str) -> None:
    assert [each for each in sentences(LAST[language]) if "last_image" not in asks(each, TWO)] == []


@pytest.mark.parametrize(
    "prompt",
    [
        "1枚目は古い家、2枚目は新しい家", "1枚目と2枚目を動画にして", "画像1のつぼみが画像2の花になる", "第一张是花苞，第二张是盛开的花",
        "第1張是舊房子，第2張是新房子", "第一张到第二张", "A foto 1 vira pra foto 2", "Bild 1 soll sich in Bild 2 verwandeln",
        "Que la imagen 1 se convierta en la imagen 2", "The clip should finish looking exactly like image 2",
        "The first photo shows the door closed, the second photo shows it open",
        "La première photo montre la porte fermée, la deuxième photo ouverte",
    ],
)  # fmt: skip
def test_pages_and_wishes_of_a_change_ask(prompt: str) -> None:
    assert "last_image" in asks(prompt, TWO)


@pytest.mark.parametrize(
    "prompt",
    [
        "La mujer de la imagen 1 baila en la playa de la imagen 2 y al final la cámara se aleja",
        "O atleta da imagem 1 vence a final e levanta a taça da imagem 2",
        "图1的女孩走进图2的房间，最后一个镜头是特写",
        "图1的两个人在图2的海边，最后一起挥手",
        "1枚目の人物が2枚目の服を着て歩く",
        "A menina da foto 1 vira para a câmera na praia da foto 2",
        "The dancer from image 1 turns to the other and bows",
        "Put the shoes of image 1 on the table of image 2 and hold to the last second",
        "Die Frau aus Bild 1 trinkt in Bild 2 das Glas bis zum letzten Tropfen leer",
        "The man in image 1 walks to the house in image 2 and stops at the door",
        "The woman from image 1 closes the open laptop of image 2",
        "Image 1 is the new phone, image 2 is the old desk, put it down there",
        "Der Mann aus Bild 1 geht über die Straße von Bild 2",
        "Der Mann aus Bild 1 wird von der Frau aus Bild 2 umarmt",
        "La mujer de la primera imagen se sienta en el sillón de la segunda",
        "Le chien (image 1) court dans le jardin (image 2)",
        "A mulher da imagem 1 se vira para a outra",
        "1枚目の猫が2枚目の庭で遊ぶ",
        "第一张的人走进第二张的房间",
    ],
)
def test_images_that_are_put_together_do_not_ask(prompt: str) -> None:
    assert asks(prompt, TWO) == []


def test_what_comes_from_an_image_that_is_not_there_asks() -> None:
    assert asks("Die Frau aus Bild 2 trägt den Hut", ("hut.jpg",)) == ["reference_missing"]
    assert asks("Image 4 of our series, slow push in", ("hat.jpg",)) == []


# One voice in several languages

SPEAKS: Mapping[str, tuple[Sequence[str], Sequence[str], Sequence[str]]] = {
    "en": (
        ("She speaks {}", "we need this in {}", "He says the line in {}, calm light"),
        ("{} and {}", "{}, {} and {}", "{}/{}", "{}, then {}", "{} first and then {}", "both {} and {}"),
        ("English", "German", "Portuguese", "Japanese"),
    ),
    "de": (
        ("Sie spricht {}", "bitte auf {}", "Er redet auf {} in die Kamera"),
        ("{} und {}", "{}, {} und {}", "{}/{}", "{} und dann {}", "{} sowie {}"),
        ("Deutsch", "Englisch", "Französisch", "Türkisch"),
    ),
    "es": (
        ("Habla {} a cámara", "Quiero que lo diga en {}", "en {} por favor"),
        ("{} y {}", "{}, {} y {}", "{}/{}", "{} y luego en {}", "{} e {}"),
        ("español", "inglés", "alemán", "catalán"),
    ),
    "fr": (
        ("Elle parle {} face caméra", "Je veux qu'il le dise en {}", "en {} s'il vous plaît"),
        ("{} et {}", "{}, {} et {}", "{}/{}", "{} puis {}", "{} et en {}"),
        ("français", "anglais", "portugais", "japonais"),
    ),
    "pt": (
        ("Quero ela falando em {}", "Ela fala {} para a câmera", "em {} por favor"),
        ("{} e {}", "{}, {} e {}", "{}/{}", "{} e depois em {}"),
        ("português", "espanhol", "inglês", "francês"),
    ),
    "ja": (
        ("{}で話す", "彼女が{}で挨拶する"),
        ("{}と{}", "{}、{}、{}", "{}・{}", "{}、それから{}"),
        ("日本語", "英語", "フランス語", "中国語"),
    ),
    "zh": (
        ("用{}说", "她用{}介绍产品"),
        ("{}和{}", "{}、{}和{}", "{}、{}", "{}，再用{}"),
        ("中文", "英文", "日语", "西班牙语"),
    ),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_list_of_languages_asks_and_one_language_does_not(language: str) -> None:
    frames, lists, names = SPEAKS[language]
    listed = [
        frame.format(each.format(*(*names, *names)[first:]))
        for frame, each in product(frames, lists)
        for first in range(len(names))
    ]
    assert [each for each in listed if asks(each, ["host.jpg"], ["voice.mp3"]) != ["languages"]] == []
    alone = [frame.format(name) for frame, name in product(frames, names)]
    assert [each for each in alone if asks(each, ["host.jpg"], ["voice.mp3"])] == []


@pytest.mark.parametrize(
    "prompt",
    [
        "She presents Italian and French pastries to the camera",
        "She speaks English with a French accent",
        "Die deutsche Moderatorin spricht, hinter ihr französische und italienische Weine",
        "eine realistische Version, sie spricht",
        "Presenta quesos franceses e italianos a cámara",
        "Elle présente des vins italiens et espagnols",
        "フランスとイタリアのワインを紹介する",
        "她用中文介绍法国和意大利的红酒",
    ],
)
def test_nations_are_no_languages(prompt: str) -> None:
    assert asks(prompt, ["host.jpg"], ["voice.mp3"]) == []


# What describes and what does not

PICTURES: Mapping[str, Sequence[str]] = {
    "en": ("this photo of my grandparents in the garden", "this old picture of our school", "the illustration"),
    "de": ("dieses Foto von meinen Großeltern im Garten", "das alte Bild unserer Schule", "die Zeichnung"),
    "es": ("esta foto de mis abuelos en el jardín", "la imagen antigua de nuestra escuela", "la ilustración"),
    "fr": ("cette photo de mes grands-parents dans le jardin", "l'ancienne image de notre école", "le dessin"),
    "pt": ("essa foto dos meus avós no jardim", "a imagem antiga da nossa escola", "o desenho"),
    "ja": ("このイラスト", "祖父母の古い写真", "この絵"),
    "zh": ("这张爷爷奶奶的老照片", "图片里的小女孩", "这幅画"),
}
WISHES: Mapping[str, Sequence[str]] = {
    "en": ("animate {}", "can you bring {} to life", "make {} come alive", "breathe some life into {}", "make {} move", "turn {} into a video"),
    "de": ("animiere {}", "{} bitte animieren", "{} zum Leben erwecken", "hauche {} Leben ein", "mach {} lebendig", "setz {} in Bewegung"),
    "es": ("anima {}", "dale vida a {}", "puedes animar {}", "haz que {} cobre vida", "pon {} en movimiento"),
    "fr": ("anime {}", "redonne vie à {}", "peux-tu animer {}", "fais bouger {}", "mets {} en mouvement", "transforme {} en vidéo"),
    "pt": ("anima {}", "dê vida a {}", "pode animar {}", "faz {} ganhar vida", "coloca {} em movimento", "transforma {} em vídeo"),
    "ja": ("{}を動かしてください", "{}に命を吹き込んで", "{}をアニメ化してほしいです", "{}を動画にしてください"),
    "zh": ("让{}动起来", "请把{}做成视频", "给{}加点动态", "麻烦让{}活起来"),
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_wish_for_a_clip_says_no_motion_and_describes_nothing(language: str) -> None:
    wishes = [wish.format(picture) for wish, picture in product(WISHES[language], PICTURES[language])]
    given = {each: advice(each) & {"no_motion_verb", "describes_still"} for each in wishes}
    assert {each: codes for each, codes in given.items() if codes != {"no_motion_verb"}} == {}


WAYS: _Parts = {
    "en": (("Slowly towards the old clock", "a bit closer to the oven", "Very gently around the vase", "Forward through the hall"), (", tiles and walls stay exactly as they are",)),
    "de": (("Langsam auf den Kamin zu", "näher an den Brunnen", "Ruhig am alten Brunnen vorbei", "Ganz sachte nach rechts", "noch näher ran"), (", Fliesen und Wände bleiben ganz gerade",)),
    "es": (("Muy despacio hacia el altar", "más cerca del reloj", "Suavemente alrededor del horno"), (", las paredes quedan rectas y los colores iguales",)),
    "fr": (("Tout doucement jusqu'au salon", "plus près du moulin", "Lentement vers la droite"), (", les murs restent droits et les couleurs constantes",)),
    "pt": (("Bem devagar até a porta", "mais perto do forno", "Aos poucos em volta da mesa"), (", as paredes ficam retas e as cores iguais",)),
    "ja": (("ゆっくりと塔へ", "もっと時計の近くへ", "左から右へゆっくり"), ("、壁の線と色はそのまま",)),
    "zh": (("慢慢向前", "再靠近塔一点", "从左到右"), ("，墙面和颜色保持不变",)),
}  # fmt: skip
STILLS: Mapping[str, Sequence[str]] = {
    "en": ("Slightly out of focus background, red roses in a vase", "Softly lit old church with tall windows and candles", "cyberpunk samurai, glowing katana, heavy rain, ultra detailed"),
    "de": ("Ruhig am See gelegenes Haus mit rotem Dach und großem Garten", "Alter Leuchtturm auf einer Klippe, rotes Dach, dramatisches Licht"),
    "es": ("Muy cerca del mar, pueblo blanco con puertas azules", "Suave sobre la piel, crema hidratante con aloe y miel"),
    "fr": ("Tout près de la mer, village blanc aux portes bleues", "samouraï cyberpunk, katana brillant, pluie battante, très détaillé"),
    "pt": ("Bem perto do mar, vila branca com portas azuis", "Barco de madeira na areia branca, mar turquesa, céu limpo"),
    "ja": ("海の近くの白い村、青いドア、赤い屋根、晴れた空", "サイバーパンクの侍、光る刀、激しい雨、最高画質"),
    "zh": ("海边的白色村庄，蓝色的门，红色的屋顶，晴朗的天空", "赛博朋克武士，发光的武士刀，大雨，超高清"),
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_way_without_a_verb_is_a_motion(language: str) -> None:
    given = {each: advice(each) & {"no_motion_verb", "describes_still"} for each in sentences(WAYS[language])}
    assert {each: codes for each, codes in given.items() if codes} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_place_or_a_look_is_none(language: str) -> None:
    assert [each for each in STILLS[language] if not advice(each) >= {"no_motion_verb", "describes_still"}] == []


MOVES: Mapping[str, str] = {
    "en": " Espresso drips into the cup.",
    "de": " Espresso tropft in die Tasse.",
    "es": " El café gotea en la taza.",
    "fr": " Le café coule dans la tasse.",
    "pt": " O café pinga na xícara.",
    "ja": "コーヒーがカップに滴る。",
    "zh": "咖啡滴入杯中。",
}
DELIVERY: Mapping[str, Sequence[str]] = {
    "en": ("Needs to be 1:1 for the feed.", "For the landing page of our shop.", "This is for my 6th graders."),
    "de": ("Muss 1:1 sein für den Feed.", "Für die Startseite von unserem Shop.", "Das ist für meine 6. Klasse."),
    "es": ("Tiene que ser 1:1 para el feed.", "Para la portada de nuestra tienda.", "Es para mis alumnos de sexto."),
    "fr": ("Doit être en 1:1 pour le feed.", "Pour la page d'accueil de notre boutique.", "C'est pour mes élèves de sixième."),
    "pt": ("Precisa ser 1:1 para o feed.", "Para a página inicial da nossa loja.", "É para meus alunos do sexto ano."),
    "ja": ("フィード用に1:1で。", "ウェブサイト用です。", "6年生の授業用です。"),
    "zh": ("用于首页，1:1比例。", "给我们网站用。", "给六年级学生看。"),
}  # fmt: skip
SIZES: Mapping[str, Sequence[str]] = {
    "en": ("Close-up of the old barista.", "Wide shot of the coffee bar."),
    "de": ("Nahaufnahme der alten Maschine.", "Totale von der Bar."),
    "es": ("Primer plano de la vieja cafetera.", "Plano general del bar."),
    "fr": ("Gros plan sur la vieille cafetière.", "Plan large du bar."),
    "pt": ("Close da velha cafeteira.", "Plano geral do bar."),
    "ja": ("古いマシンのクローズアップ。",),
    "zh": ("老咖啡机的特写。",),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_delivery_and_the_size_of_a_shot_describe_nothing(language: str) -> None:
    prompts = [each + MOVES[language] for each in (*DELIVERY[language], *SIZES[language])]
    assert [each for each in prompts if "describes_still" in advice(each)] == []


SHOTS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "en": (("Shot {}: ", "Scene {}: ", "SHOT {} - "), ("the lighthouse in the storm. ", "the keeper on the stairs. ")),
    "de": (("Szene {}: ", "Einstellung {}: "), ("der Leuchtturm im Sturm. ", "der Wärter auf der Treppe. ")),
    "es": (("Toma {}: ", "Escena {}: "), ("el faro en la tormenta. ", "el farero en la escalera. ")),
    "fr": (("Plan {} : ", "Scène {}: "), ("le phare dans la tempête. ", "le gardien dans l'escalier. ")),
    "pt": (("Cena {}: ", "Tomada {}: "), ("o farol na tempestade. ", "o faroleiro na escada. ")),
    "ja": (("カット{}：", "シーン{}、"), ("嵐の灯台。", "階段の灯台守。")),
    "zh": (("镜头{}：", "场景{}："), ("暴风雨中的灯塔。", "楼梯上的看守人。")),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_numbered_shots_are_several_motions_and_one_number_is_not(language: str) -> None:
    heads, bodies = SHOTS[language]
    for head in heads:
        both = "".join(head.format(number) + body for number, body in enumerate(bodies, start=1))
        assert "several_motions" in advice(both), both
        assert "several_motions" not in advice(head.format(7) + bodies[0])


@pytest.mark.parametrize("prompt", ["0-2s: the door, 2-5s: the garden", "0-2秒：门。2-5秒：花园", "[00:00-00:02] the door [00:02-00:05] the garden"])  # fmt: skip
def test_a_storyboard_by_its_seconds_has_several_motions(prompt: str) -> None:
    assert "several_motions" in advice(prompt)


def test_a_person_is_no_model() -> None:
    assert "model_in_words" not in advice("The model turns once, fabric pattern stays the same")
    assert "no_motion_verb" not in advice("Seedance 2.0: the model turns once, fabric pattern stays the same")


# What is handed over and not there

HANDED: _Parts = {
    "en": (("Match the motion to the ",), ("attached", "enclosed", "accompanying", "supplied"), (" song", " recording", " video", " footage")),
    "de": (("Bewegung passend zum ",), ("beigelegten", "mitgelieferten", "angehängten", "zugesandten"), (" Track", " Lied", " Video", " Clip")),
    "es": (("Muévelo según ",), ("la canción", "la grabación", "el vídeo"), (" incluida", " adjunta", " enviada")),
    "fr": (("Bouge selon ",), ("la chanson", "le morceau", "la vidéo"), (" fournie", " jointe", " transmise")),
    "pt": (("Mova conforme ",), ("a faixa", "a gravação", "o vídeo"), (" anexa", " enviada", " fornecida")),
    "ja": (("添付の", "同封の", "送った"), ("曲", "録音", "動画"), ("に合わせて動かす",)),
    "zh": (("按照附上的", "按照随附的", "按照上传的"), ("音频", "录音", "视频"), ("来动",)),
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_handed_over_and_not_there_asks(language: str) -> None:
    found = {each: asks(each, ["car.jpg"]) for each in sentences(HANDED[language])}
    assert {
        each: codes for each, codes in found.items() if set(codes) - {"audio_missing", "video_missing"} or not codes
    } == {}


# What is one motion, and what is several

ONE_MOTION: Mapping[str, Sequence[str]] = {
    "en": ("The camera slowly moves towards the table, steam rises, plates stay unchanged",),
    "de": (
        "Die Kamera fährt langsam auf das Schnitzel zu, Dampf steigt auf, Teller bleiben unverändert",
        "Tropfen fallen ins Becken, Flammen flackern",
        "Der Hund kommt gelaufen, das Gras wiegt sich",
    ),
    "es": ("La cámara viaja hacia la mesa, el vapor sube", "Sigue caminando, el pelo ondea"),
    "fr": ("La caméra vole vers la table, la vapeur monte",),
    "pt": ("A câmera voa até a mesa, o vapor sobe", "Continua caminhando, o cabelo balança"),
    "ja": ("カメラがゆっくりテーブルへ移動し、湯気が立ち上る",),
    "zh": ("镜头慢慢移向桌子，蒸汽升起",),
}
COUNTED: Mapping[str, Sequence[str]] = {
    "en": ("Trainer does three burpees, then kettlebell swings, then a box jump", "She performs a split, then a bridge, then a headstand"),
    "de": ("Der Sportler macht drei Kniebeugen, dann Liegestütze, dann einen Kopfstand",),
    "es": ("Hace tres sentadillas, luego flexiones, luego un puente",),
    "fr": ("Elle fait trois pompes, puis dix abdos, puis le grand écart",),
    "pt": ("Faz três flexões, depois dez agachamentos, depois uma ponte",),
    "ja": ("腕立て伏せを3回、次にスクワット、最後に逆立ち",),
    "zh": ("做三个俯卧撑，然后十个深蹲，最后倒立",),
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_move_of_the_camera_and_one_of_its_subject_are_not_several(language: str) -> None:
    assert [each for each in ONE_MOTION[language] if "several_motions" in advice(each)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_counted_actions_in_a_sequence_are_several_and_describe_nothing(language: str) -> None:
    given = {each: advice(each) & {"several_motions", "describes_still"} for each in COUNTED[language]}
    assert {each: codes for each, codes in given.items() if codes != {"several_motions"}} == {}


@pytest.mark.parametrize(
    "prompt",
    [
        "Can you make a 10 second clip of it",
        "Fais une vidéo animée de la photo",
        "Faz uma animação da foto",
        "Haz un vídeo de la foto",
        "做一个好看的视频",
        "Make me a short clip from my dog photo",
    ],
)
def test_a_clip_that_is_wanted_is_no_action_and_no_description(prompt: str) -> None:
    assert advice(prompt) & {"no_motion_verb", "describes_still"} == {"no_motion_verb"}


def test_a_place_after_just_is_described() -> None:
    assert "describes_still" in advice("Just over the hill a small white house, red roof, blue sky")
    assert "describes_still" not in advice("Just a nice clip of my old cat in the garden")


# What speaks and what is drawn

MADE_FOR: Mapping[str, Sequence[str]] = {
    "en": ("bring this one to life for our annual report please", "a short clip for the comments of our last report"),
    "de": ("Belebe das Foto für unseren Bericht", "Animiere das Bild für die Beschreibung im Shop"),
    "es": ("anima la foto para nuestro informe anual", "que se mueva, es para un anuncio", "anímala para nuestra cuenta de Instagram"),
    "fr": ("Anime cette photo pour notre annonce", "Je souhaite animer cette photo pour une invitation"),
    "pt": ("dê vida a essa foto para a nossa conta do Instagram", "anima a foto, é para informações do clube"),
    "ja": ("商品紹介用に動かしてください", "お礼のカードに、写真を動かしてください"),
    "zh": ("让照片动起来，用于产品介绍", "做成邀请函用的动画，让照片动起来"),
}  # fmt: skip
SPEAK: Mapping[str, Sequence[str]] = {
    "en": ("The reporter reports live", "She gives the weather report", "In the studio she reports"),
    "de": ("Sie berichtet vom Spiel", "Er soll berichten"),
    "es": ("La presentadora informa del tiempo", "Ella cuenta una historia", "Anuncia las ofertas"),
    "fr": ("Elle annonce les résultats", "Il souhaite la bienvenue"),
    "pt": ("Ela conta uma história", "Ela conta a novidade"),
    "ja": ("彼女が商品を紹介する", "感謝を伝える"),
    "zh": ("她介绍这个产品", "她邀请大家来"),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_clip_is_made_for_does_not_speak(language: str) -> None:
    def needs_voice(prompt: str) -> bool:
        facts = PromptFacts(family="happyhorse-1-1", images=1, portrait=True)
        return "talking_without_voice" in {each.code for each in advise(prompt, Route.ANIMATE, facts)}

    assert [each for each in MADE_FOR[language] if needs_voice(each)] == []
    assert [each for each in SPEAK[language] if not needs_voice(each)] == []


@pytest.mark.parametrize(
    "prompt",
    ["Transforme ma photo en dessin animé", "Anime la photo en style aquarelle", "Anime a foto em estilo cartoon", "Portrait animé en aquarelle"],
)  # fmt: skip
def test_to_animate_is_no_style(prompt: str) -> None:
    assert "conflicting_styles" not in advice(prompt)


def test_two_styles_conflict() -> None:
    assert "conflicting_styles" in advice("Anime style, watercolor look, she turns")
    assert "conflicting_styles" in advice("Style anime et aquarelle, elle tourne la tête")
