"""Presets are picked for a reason, and advice follows the prompting pages of the models' makers."""

from typing import Any

import pytest

from i2v_assets.briefs.brief import Brief, MediaRef
from i2v_assets.briefs.brief_reader import BriefError
from i2v_assets.briefs.yaml_reader import DocumentError
from i2v_assets.planning.prompts import (
    NEUTRAL,
    SHIPPED_PRESETS,
    SPEAKER,
    SPEAKER_WITHOUT_IMAGE,
    PromptFacts,
    advise,
    has_roles,
    load_presets,
    reference_line,
)
from i2v_assets.planning.take_planner import pick_preset
from resources.schemas.endpoints import LIMITS, prompt_problem
from resources.schemas.families.happyhorse_1_0 import NAME as HAPPYHORSE_I2V
from resources.schemas.families.seedance_2_0 import NAME as SEEDANCE_PRO
from resources.schemas.families.wan_2_7_image import NAME as WAN_I2V
from resources.schemas.inputs import Route

MOVING = ("neutral", "portrait", "group", "product", "food", "environment", "character", "graphic")

ANIMATE = PromptFacts(family=HAPPYHORSE_I2V, images=1)


class TestPresets:
    def test_the_shipped_ones(self) -> None:
        assert set(SHIPPED_PRESETS) == {*MOVING, SPEAKER, SPEAKER_WITHOUT_IMAGE}

    @pytest.mark.parametrize("name", MOVING)
    def test_they_follow_the_advice_themselves(self, name: str) -> None:
        prompt = SHIPPED_PRESETS[name]
        for family in LIMITS:  # the planner does not ask about them
            for faces in (0, 1, 3):
                facts = PromptFacts(family=family, images=1, large_faces=faces, written=False)
                assert advise(prompt, Route.ANIMATE, facts) == ()
        assert all(prompt_problem(family, prompt) is None for family in LIMITS)

    def test_presets_state_what_must_stay(self) -> None:
        presets = SHIPPED_PRESETS
        assert "identity-stable" in presets["portrait"]
        assert "lettering" in presets["product"]
        assert all("unchanged" in text or "keeps" in text or "stable" in text for text in presets.values())
        assert "geometry stable" in presets["environment"]
        assert "one calm action" in presets["character"]

    def test_a_project_replaces_some_and_adds_others(self) -> None:
        own = load_presets("product: Tilt up along the product\nwave: >-\n  Waves\n  roll in", "own.yaml")
        assert own["product"] == "Tilt up along the product"
        assert own["wave"] == "Waves roll in"
        assert own["portrait"] == SHIPPED_PRESETS["portrait"]

    @pytest.mark.parametrize(
        "text",
        ["product: 5", "product: ''", "Product X: pan", "product: [a]", f"product: {'x' * 2001}", "- a", "a: b: c"],
    )
    def test_a_broken_file_is_refused(self, text: str) -> None:
        with pytest.raises(DocumentError, match=r"own\.yaml"):
            load_presets(text, "own.yaml")

    @pytest.mark.parametrize(
        ("brief", "face", "names", "extra", "preset"),
        [
            ({"motion": "environment"}, True, ["shoe.jpg"], {}, "environment"),
            ({}, True, ["shoe.jpg"], {}, "portrait"),
            ({}, None, ["shoes--0001"], {}, "product"),
            ({}, False, ["my Bottle 3.png"], {}, "product"),
            ({}, False, ["redSneakers.jpg"], {}, "product"),
            ({}, None, ["beach.jpg"], {}, "environment"),
            ({}, None, ["dog_01.jpg"], {}, "character"),
            ({}, None, ["headshot.jpg"], {}, "portrait"),
            ({}, False, ["headshot.jpg"], {}, NEUTRAL),
            ({}, None, ["x.jpg"], {}, NEUTRAL),
            ({}, True, ["x.jpg"], {}, "portrait"),
            ({}, True, ["x.jpg"], {"large_faces": 1}, "portrait"),
            ({}, True, ["x.jpg"], {"large_faces": 2}, "group"),
            ({}, False, ["team.jpg"], {"large_faces": 3}, "group"),
            ({}, None, ["canvas.jpg"], {}, NEUTRAL),
            ({}, None, ["catalogue.jpg"], {}, NEUTRAL),
            ({}, None, ["bathroom-scan.png"], {}, "graphic"),
            ({}, None, ["Screenshot 2026-01-01.png"], {}, "graphic"),
            ({}, None, ["dog_on_the_beach.jpg"], {}, "character"),
            ({}, None, ["hund-im-garten.jpg"], {}, "character"),
            ({}, None, ["dog_at_beach.jpg"], {}, "character"),
            ({}, None, ["dog-house.jpg"], {}, "environment"),
            ({}, None, ["woman_in_kitchen.jpg"], {}, "environment"),
            ({}, None, ["hot-dog.jpg"], {}, "food"),
            ({}, None, ["phone_screenshot.png"], {}, "graphic"),
            ({}, None, ["car-invoice.png"], {}, "graphic"),
            ({}, None, ["商品截图.png"], {}, "graphic"),
            ({}, None, ["perfume-logo.png"], {}, "graphic"),
            ({}, None, ["logo-bottle.jpg"], {}, "product"),
            ({}, None, ["海报.png"], {}, "graphic"),
            ({}, None, ["海鲜.jpg"], {}, "food"),
            ({}, None, ["IMG_0001.png"], {"graphic": True}, "graphic"),
            ({}, True, ["IMG_0001.png"], {"graphic": True}, "portrait"),
            ({"motion": "product"}, None, ["IMG_0001.png"], {"graphic": True}, "product"),
            ({}, None, ["beach_dogs.jpg"], {}, "character"),
            ({}, None, ["shoe_in_forest.jpg"], {}, "product"),
            ({}, None, ["Wohnzimmer_02.jpg"], {}, "environment"),
            ({}, None, ["sneakers.jpg"], {}, "product"),
            ({}, None, ["zapatos-3.jpg"], {}, "product"),
            ({}, None, ["gateau.jpg"], {}, "food"),
            ({}, None, ["cachorro.jpg"], {}, "character"),
            ({}, None, ["猫.jpg"], {}, "character"),
            ({}, None, ["産品_製品1.jpg"], {}, "product"),
            ({}, False, ["model.jpg"], {}, NEUTRAL),
            ({}, True, ["x.jpg"], {"route": Route.LIP_SYNC}, SPEAKER),
            ({}, None, ["x.mp3"], {"route": Route.LIP_SYNC, "with_image": False}, SPEAKER_WITHOUT_IMAGE),
            ({"motion": "portrait"}, True, ["x.jpg"], {"route": Route.LIP_SYNC}, "portrait"),
        ],
    )
    def test_which_one(
        self, brief: dict[str, Any], face: bool | None, names: list[str], extra: dict[str, Any], preset: str
    ) -> None:
        picked, why = pick_preset(Brief(**brief), face, names, **extra)
        assert picked == preset
        assert why.endswith(".")

    def test_an_unknown_one_is_refused_with_a_suggestion(self) -> None:
        with pytest.raises(BriefError) as caught:
            pick_preset(Brief(motion="portait"), None, [])
        assert "Did you mean `portrait`?" in caught.value.remedy

    def test_the_project_s_own_presets_are_available(self) -> None:
        assert pick_preset(Brief(motion="wave"), None, [], presets=load_presets("wave: Waves roll"))[0] == "wave"


class TestReferenceLine:
    def test_by_number_with_roles_where_they_are_given(self) -> None:
        line = reference_line([None, MediaRef(file="b", role="lighting")], [None], [None])
        assert line == "Subject from image 1, lighting from image 2, camera motion from video 1, voice from audio 1."

    def test_nothing_for_nothing(self) -> None:
        assert reference_line([], [], []) == ""

    def test_roles_of_a_brief(self) -> None:
        assert not has_roles(Brief(images=(MediaRef(file="a"),)))
        assert has_roles(Brief(audio=(MediaRef(file="a", role="voice"),)))


def codes(prompt: str, route: Route = Route.ANIMATE, **facts: Any) -> list[str]:
    defaults: dict[Route, dict[str, Any]] = {
        Route.ANIMATE: {"family": HAPPYHORSE_I2V, "images": 1},
        Route.LIP_SYNC: {"family": WAN_I2V, "images": 1, "audios": 1},
        Route.MULTI_MODAL: {"family": SEEDANCE_PRO, "images": 2},
    }
    found = advise(prompt, route, PromptFacts(**(defaults[route] | facts)))
    assert all(each.words.endswith(".") for each in found)
    return [each.code for each in found]


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ("a red shoe on a white table", "no_motion_verb"),
        ("A photo of a woman in a red dress", "describes_still"),
        ("a beautiful close-up portrait of a woman", "describes_still"),
        ("the image shows a dog", "describes_still"),
        ("slow push in, photorealistic, 8k", "describes_still"),
        ("pan left, then orbit around and zoom in", "several_motions"),
        ("Pan left then pan right", "several_motions"),
        ("tilt up, then down; geometry stable", "several_motions"),
        ("1) the lid lifts 2) the spoon turns 3) the lid closes", "several_motions"),
        ("La caméra recule puis pivote vers la porte", "several_motions"),
        ("The camera pans slowly to the left and then back to the right", "several_motions"),
        ("rise, then descend", "several_motions"),
        ("A close-up shot of the car", "describes_still"),
        ("Tracking shot of the car, photorealistic", "describes_still"),
        ("一个穿红裙子的女人站在白色桌子旁边", "no_motion_verb"),
        ("一个穿红裙子的女人站在白色桌子旁边，镜头缓慢推近", "no_motion_verb"),
        ("镜头推近，然后环绕产品", "several_motions"),
        ("镜头向左摇，再向右摇", "several_motions"),
        ("一张女人的照片，镜头推近", "describes_still"),
        ("push in in anime style, realistic lighting", "conflicting_styles"),
        ("drift; the woman is talking to us", "talking_without_voice"),
        ("drift towards image 2", "reference_missing"),
        ("drift " + "x" * 4494, "near_limit"),
    ],
)
def test_advice_on_the_default_route(prompt: str, code: str) -> None:
    assert code in codes(prompt)


@pytest.mark.parametrize(
    "prompt",
    [
        "slow push in, packaging unchanged",
        "The camera slowly drifts left",
        "blink and breathe, identity-stable features",
        "Tilt up; background geometry stable",
        "缓慢推近，包装不变",
        "镜头缓慢环绕产品，包装和标签不变，背景稳定",
        "她眨眼并轻轻呼吸，面部特征稳定",
        "Tracking shot of the car",
        "Slow dolly-in shot of the cup",
        "Pan slowly from left to right",
        "Pan left across the room, the lamp on the right stays lit",
        "Pan slowly to the right across the room; geometry stable, verticals straight, light constant.",
        "gentle zoom in while the light warms",
        "drift " + "x" * 4493,
    ],
)
def test_a_good_prompt_gets_none(prompt: str) -> None:
    assert codes(prompt) == []


@pytest.mark.parametrize(("share", "told"), [(None, False), (0.0, False), (0.01, True), (0.0499, True), (0.05, False)])
def test_a_small_face(share: float | None, told: bool) -> None:
    assert ("small_face" in codes("blink", face_share=share)) is told
    assert "small_face" not in codes("he speaks", Route.LIP_SYNC, face_share=share)


def test_references_on_the_multi_modal_route() -> None:
    assert "references_not_numbered" in codes("push in on her", Route.MULTI_MODAL)
    assert codes("push in on image 1 with light from image 2", Route.MULTI_MODAL) == []
    assert "references_not_numbered" not in codes("push in on her", Route.MULTI_MODAL, images=1)
    assert "reference_missing" in codes("push in on image 1, voice from audio 1", Route.MULTI_MODAL)


def test_a_talking_head_is_described() -> None:
    assert codes("Medium shot of a presenter at a desk, soft key light", Route.LIP_SYNC) == []


def test_near_the_limit_of_words() -> None:
    assert "near_limit" in codes("push " + "word " * 899 + "image 1", Route.MULTI_MODAL)
    assert "near_limit" not in codes("push " + "word " * 880 + "image 1", Route.MULTI_MODAL)


@pytest.mark.parametrize(
    "prompt",
    [
        "O rótulo não muda, giro lento",
        "A expressão muda devagar",
        "Slow push in, muted colour palette",
        "Clouds drift over a silent valley",
        "The model walks down the runway",
        "A plane lifts off from the runway",
        "方形的香水瓶缓缓旋转",
        "Slow push in on the 16:9 poster",
        "Der Regen tropft, die Uhr zeigt 16:09",
        "The clock moves from 9:16 to 9:17",
        "The 4K monitor glows",
        "Schnee fällt lautlos",
        "The ribbon loops gently",
        "Race through the loop",
    ],
)
def test_words_of_the_picture_speak_of_no_field(prompt: str) -> None:
    told = codes(prompt, image_aspect=1.4, resolution="720p")
    assert [code for code in told if code.endswith("_in_words")] == []


@pytest.mark.parametrize(
    "prompt",
    [
        "The loop earrings swing slightly",
        "Fruit loops tumble into the bowl",
        "Ses boucles d'oreilles brillent",
        "Ella gira, pelo con bucles",
        "模特转身，无缝内衣",
    ],
)
def test_loops_of_things_ask_for_none(prompt: str) -> None:
    assert "loop_in_words" not in codes(prompt)


@pytest.mark.parametrize(
    "prompt",
    [
        "GIF loop, the cat blinks",
        "Waves roll in, it should start over without anybody seeing the cut",
        "Flames dance, the restart must be invisible",
        "Rauch steigt auf, Dauerschleife",
        "Las olas vienen, sin que se note el corte",
        "波が寄せる、つなぎ目がわからないように",
        "Smoke curls up, perfect loop",
        "Make it loop",
        "Bucle perfecto: las olas vienen",
        "云飘过，循环",
    ],
)
def test_loops_of_the_clip_ask_for_the_key(prompt: str) -> None:
    assert "loop_in_words" in codes(prompt)


@pytest.mark.parametrize(
    "prompt",
    [
        "Make a 15 second vertical reel: slow pan across the dunes",
        "Format vertical 9:16, travelling lent vers le flacon",
        "Hochformat für Instagram: langsame Kamerafahrt nach vorn",
        "Start with a close up of the ring, then pull back",
        "The mouth should match the beat",
        "Album cover as a loop for the streaming page, smoke rises",
        "INT. WORKSHOP - DAY. Sparks fly from the grinder.",
        "PP del reloj antiguo, las agujas giran",
        "Hold on the empty stage for a moment, then the curtain opens",
    ],
)
def test_words_about_the_clip_describe_no_picture(prompt: str) -> None:
    assert "describes_still" not in codes(prompt)


@pytest.mark.parametrize(
    "prompt",
    [
        "No camera movement. The camera slowly orbits the statue.",
        "Keine Kamerabewegung. Langsamer Schwenk nach links.",
        "La cámara no se mueve. Zoom lento, travelling de avance.",
    ],
)
def test_a_camera_that_must_not_move_contradicts_a_move(prompt: str) -> None:
    assert "contradiction" in codes(prompt)


@pytest.mark.parametrize(
    "prompt",
    [
        "Steady slow motion, the skater glides and snow sprays",
        "Camera dollies in on the steaming cup. Steam rises in soft curls. Warm light.",
        "Handheld feel. Slow push in on the cup.",
        "Dolly zoom on the hiker: the camera dollies in while zooming out",
        "Vertigo effect, pull back as the lens zooms in, face unchanged",
        "Action: one drop falls. Avoid: hands, bubbles, splashes, turns",
        "[Motion] a leaf falls [Negative] jumps, spins, flips",
        "避免：跳跃，旋转，翻滚。镜头推近",
        "He looks up and says: “Run, jump and dance, my friend!”",
        "Sie nickt und sagt: „Lauf, spring und tanz mit uns!“",
        "“Turn, jump and fly,” she says with a nod",
        "The ball bounces, dust rises, posts stay put",
        "花びらが舞い落ちる。風鈴が揺れる。",
    ],
)
def test_nouns_and_manners_are_not_further_motions(prompt: str) -> None:
    assert "several_motions" not in codes(prompt)


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ("Slow push in, 4k", "resolution_in_words"),
        ("Cinematic 4k slow push in", "resolution_in_words"),
        ("Slow push in in 4K", "resolution_in_words"),
        ("Slow push in, 9:16", "shape_in_words"),
        ("Slow push in, make it 9:16", "shape_in_words"),
        ("16:9 video of a slow push in", "shape_in_words"),
        ("Langsam heranzoomen, Format 9:16", "shape_in_words"),
        ("镜头推近，方形画面", "shape_in_words"),
        ("Slow push in, aspect ratio 9:16", "shape_in_words"),
        ("Slow push in, silent", "silence_in_words"),
        ("Slow push in, no background music", "silence_in_words"),
        ("Zoom lento hacia la botella, video mudo", "silence_in_words"),
        ("镜头推近，静音", "silence_in_words"),
        ("Slow push in, 6 sec pls", "duration_in_words"),
        ("Langsam heranzoomen, nur 8 Sekunden bitte", "duration_in_words"),
        ("Slow push in, 9:16 for Instagram", "shape_in_words"),
        ("Slow push in with Runway", "model_in_words"),
        ("Slow push in, Runway Gen-3", "model_in_words"),
        ("Kling slow push in", "model_in_words"),
    ],
)
def test_words_of_the_clip_speak_of_a_field(prompt: str, code: str) -> None:
    assert code in codes(prompt, image_aspect=1.4, resolution="720p")


def test_no_silence_is_advised_where_a_voice_is_sent() -> None:
    assert "silence_in_words" not in codes("She talks calmly, no music", Route.LIP_SYNC)


@pytest.mark.parametrize(
    "prompt", ["Lent mouvement autour de la bouteille; l'étiquette ne change pas.", "Travelling avant, étiquette fixe"]
)
def test_french_words_hold(prompt: str) -> None:
    assert "nothing_held" not in codes(prompt, subject="product")


@pytest.mark.parametrize(
    "prompt",
    [
        "The leaf trembles once, shape unchanged",
        "The curtain billows gently",
        "The gate creaks back and forth",
        "Wind tousles her hair",
        "Rain streaks down the glass",
        "He tips his hat once",
        "The sun sets behind the ridge",
        "Das Blatt raschelt sanft im Wind",
        "Die Flamme lodert",
        "Der Hund schnuppert an der Blume",
        "La hoja oscila suavemente con el viento",
        "Las nubes pasan sobre la montaña",
        "El sol se pone",
        "Le chien remue la queue",
        "Les nuages défilent au-dessus de la montagne",
        "Le soleil se couche",
        "O cachorro abana o rabo",
        "A chama cintila",
        "旗がはためく",
        "波が打ち寄せる",
        "小狗摇尾巴",
        "太阳落山",
        "The waiter sets the plate down, dish unchanged",
        "He unlocks the door",
        "Slow lateral slide across the row of bottles, labels locked",
        "The subway train rushes past",
        "Petals rain down around the bottle",
        "Die Wellen brechen an den Felsen",
        "Der Nebel lichtet sich",
        "El chef espolvorea sal sobre el filete",
        "Les vagues se brisent sur les rochers",
        "As luzes da cidade se acendem",
        "カメラがテーブルに沿って左から右へ動く",
        "少女がろうそくを吹き消す",
        "小狗摇着尾巴",
        "Make the flag wave",
        "Barista tamps the coffee",
        "Nothing moves except the second hand",
        "hair blowin in the breeze",
        "The hiker has been unclipping the rope",
        "As though the curtain fell",
        "Der Vorhang bauscht sich",
        "Die Verkäuferin reicht dem Kunden die Tüte",
        "El panadero amasaba la masa",
        "Que las velas parpadearan",
        "Il faudrait que le bateau tangue",
        "Queria que a bandeira tremulasse",
        "火苗窜起",
        "The old man turn his head to us",
        "The swing sways in the yard",
        "Crank the lever a quarter turn",
        "Pasta roller spits out one long sheet",
        "The curtain on the railing billows",
        "フラワーシャワーの花びらがゆっくり舞う",
        "カメラは前進",
        "Que caigan las hojas",
    ],
)
def test_these_lead_with_a_motion(prompt: str) -> None:
    assert {"no_motion_verb", "describes_still"}.isdisjoint(codes(prompt))


@pytest.mark.parametrize(
    "prompt",
    [
        "A house with richly decorated walls, oak floor and tall windows",
        "Steine und Perlen auf rotem Samt, weiches Licht",
        "散落在桌上的珍珠和一只红色的杯子",
        "A red car with glossy black rims on wet asphalt",
        "A smiling woman in a red dress, office",
        "The burning candle on the table",
        "Close-up of running shoes on a wooden floor",
        "Sushi rolls on a black slate, top view",
        "Turn this into a video please",
        "Make it move",
        "A woman in a red coat, slow motion",
        "professional commercial look, premium",
        "Mujer de pelo ondulado y piel brillante",
        "Entrada de un hotel de lujo, suelo brillante",
        "Quarto de criança com móveis brancos, caixa de brinquedos",
        "Une femme souriante sur fond blanc",
        "Un chalet entre deux montagnes",
        "Bougie allumée sur une table en bois",
        "Springbrunnen im Park, Abendlicht",
        "竹林の中の歩道、夕暮れ",
        "漂亮的女孩，长发",
        "旋转楼梯，水晶吊灯",
        "运动鞋在跑道上",
        "Blumenkästen und Pflanzen vor dem Fenster",
        "Sala de estar moderna, sofá cinza, plantas",
        "Un baile de disfraces, trajes de seda",
        "make it pop",
        "Tapes, window panes and paper planes on a desk",
        "动起来",
        "16-bit pixel art, a bit cubist, a fountain",
        "Copper pans and a tiled stove in a farmhouse kitchen",
        "Schwamm, Band und Schliff eines alten Spiegels",
        "昨日焼いたパンの写真です。よろしくお願いします",
        "打开的书和一杯咖啡，暖色调",
        "一位身着长裙的女子，柔光",
    ],
)
def test_these_move_nothing(prompt: str) -> None:
    assert "no_motion_verb" in codes(prompt)


@pytest.mark.parametrize(
    "prompt", ["Can the fireworks go off behind the castle?", "On aimerait voir la vapeur s’échapper"]
)
def test_a_wish_describes_no_picture(prompt: str) -> None:
    assert "describes_still" not in codes(prompt)
