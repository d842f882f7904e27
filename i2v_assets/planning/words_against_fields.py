"""What a prompt says in words that only a key of the brief decides: length, shape, resolution, loop, sound, model. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from i2v_assets.planning.vocabulary import Reading, whole_words

_SECONDS = r"(?P<{0}>\d{{1,3}})(?:\.0)?[- ]?(?:seconds?|secs?|s|sekunden?|sek|segundos?|secondes?)"
_DURATION = re.compile(
    whole_words(
        "|".join(
            (
                _SECONDS.format("a") + r"(?:[- ](?:long|lang|langer?s?|de duracion|de long|de duree|de duracao))?"
                r"[- ]+(?:\w+ ){0,2}(?:clip|video|loop|reel|film|shot|animation|spot|ad|gif|schleife|bucle|boucle|anuncio|animacion|animacao)s?",
                _SECONDS.format("b") + r"[- ](?:long|lang|de duracion|de long|de duree|de duracao)",
                r"(?:clip|video|film|loop|reel|animation|animacion|animacao|bucle|boucle)(?: \w+){0,2}? (?:of|von|de|for|mit|lasts?|lasting|dauert) "
                + _SECONDS.format("c"),
                r"(?:duration|length|lasts?|dauer|lange|duracion|duree|duracao)\W{1,3}(?:(?:is|of|von|de|ist|:) ?)?"
                + _SECONDS.format("d"),
                r"(?:make it|make this|mach es|hazlo|fais-le|faca) " + _SECONDS.format("e"),
            )
        ),
        "en",
    )
    + r"|(?:时长|長さ|长度|時間)\W{0,2}(?:は|为|是)?\s*(?P<f>\d{1,3})\s*秒|(?P<g>\d{1,3})\s*秒(?:钟|間)?(?:の|的)?(?:动画|動画|视频|影片|クリップ|ビデオ|循环|ループ)"
)
_SPELLED = {
    word: str(number)
    for number, words in enumerate(
        (
            "five funf cinco cinq", "six sechs seis", "seven sieben siete sept sete", "eight acht ocho huit oito",
            "nine neun nueve neuf nove", "ten zehn diez dix dez", "eleven elf once onze", "twelve zwolf doce douze doze",
            "thirteen", "fourteen", "fifteen funfzehn quince quinze",
        ),
        start=5,
    )
    for word in words.split()
} | {"twenty": "20", "zwanzig": "20", "veinte": "20", "vingt": "20", "vinte": "20", "thirty": "30", "dreissig": "30", "treinta": "30"}  # fmt: skip
_SPELLED_SECONDS = re.compile(rf"(?<![a-z])({'|'.join(_SPELLED)})(?=[- ](?:sec|sek|seg))")
"""A length in words, "fifteen seconds long"."""

_FILLERS = (
    r"(?:\W+(?:pls|plz|please|max|long|lang|total|thx|thanks|ok|bitte|por favor|porfa|svp|s'il (?:te|vous) plait))*"
)
_ABOUT = r"(?:(?:about|around|only|just|exactly|max|ca|circa|etwa|nur|genau|solo|unos|exactamente|environ|seulement|uns|apenas)\W+)?"
_ALONE = re.compile(rf"^\W*{_ABOUT}{_SECONDS.format('a')}{_FILLERS}\W*$|^\W*(?P<b>\d{{1,3}})\s*秒(?:钟|間)?\W*$")
"""A clause that is nothing but a length: "6 sec pls"."""

_RATIO = re.compile(r"(?<![\d:])(\d{1,2})\s?[:x]\s?([1-9]\d?)(?![\d:])(?!\s?(?:am|pm|uhr))")
_RATIOS = {(16, 9), (9, 16), (1, 1), (4, 3), (3, 4), (21, 9), (4, 5), (5, 4), (3, 2), (2, 3), (2, 1), (1, 2)}
_OF_CLIP = r"(?=[のな的]?(?:視|视频|影片|画面|动画|動画|映像|フォーマット|クリップ|ビデオ|格式|构图|比例)|で|\W*(?:$|[，。、,.;]))"
"""Beside a word for the clip or at a clause's end: a square bottle is none."""

_SHAPES = re.compile(
    whole_words(
        r"(?P<tall>(?:vertical|upright) for (?:\w+ )?(?:reels?|stor(?:y|ies)|shorts|phones?|mobile|social\w*)|(?:vertical|upright|portrait) (?:\w+ )?(?:reel|video|clip|format|orientation|mode)|hochformat|hochkant|formato vertical"
        r"|en vertical|format vertical|(?:for|fur|para|pour|on|as|als|como) (?:an? |ein )?(?:\w+ )?tiktok|tiktok (?:format|video|clip|style|size|reel|shape|post)|^tiktok|instagram (?:reel|story)|youtube shorts?)"
        r"|(?P<square>square (?:\w+ )?(?:video|clip|format|crop)|quadratisch\w* (?:video|clip|format|reel)|formato cuadrado|format carre|formato quadrado)"
        r"|(?P<wide>(?:wide ?screen|landscape) (?:\w+ )?(?:video|clip|format|orientation|mode)|widescreen|querformat|breitbild"
        r"|formato horizontal|format paysage)",
        "en",
    )
    + rf"|(?P<tall2>竖屏|竖版|縦動画|(?:縦型|縦長){_OF_CLIP})|(?P<wide2>横屏|横版|(?:横長|横型){_OF_CLIP})|(?P<square2>正?方形{_OF_CLIP})"
)
_SHAPE_RATIO = {
    "tall": (9, 16),
    "tall2": (9, 16),
    "square": (1, 1),
    "square2": (1, 1),
    "wide": (16, 9),
    "wide2": (16, 9),
}
_NEAR = 0.1
"""Relative difference of shapes below which no difference is seen."""

_CLIP = (
    "videos?|clips?|films?|reels?|footage|output|format\\w*|aspect|ratio|orientation|vertical|horizontal|portrait|landscape|widescreen|square"
    "|querformat|hochformat|hochkant|seitenverhaltnis|bildformat|relacion|proporcion|proporcao|paysage|ar|resolution|auflosung|resolucion"
    "|resolucao|quality|qualitat|calidad|qualite|qualidade|cinematic|render\\w*|ultra|uhd|hd|detail\\w*|hdr|photorealistic|make it|animation"
)
_CLIP_CJK = "画面|比例|视频|影片|動画|映像|比率|アスペクト|格式|尺寸|サイズ|横|竖|縦|分辨率|解像度|画质|画質|清"
_BESIDE_CLIP = (
    re.compile(rf"(?<![a-z])(?:{_CLIP})(?: (?:in|is|of|ist|de|en))?\W*$|(?:{_CLIP_CJK}).{{0,3}}$"),
    re.compile(rf"^\W*(?:\w+ )?(?:{_CLIP})(?![a-z])|^\W*.{{0,3}}(?:{_CLIP_CJK})"),
)
_PLACE = r"(?:for|fur|para|pour) (?:youtube|tiktok|insta\w*|facebook|linkedin|tv)"
_OWN_CLAUSE = (
    re.compile(rf"(?:^|[.,;!?|、。，]\s*)\W*$|(?<![a-z])(?:in|en|im|als|em|to|at)\W*$|(?<![a-z]){_PLACE}\W*$"),
    re.compile(rf"^\s*(?:$|[.,;:!?|、。，]|[-–—] |{_PLACE}(?![a-z]))"),
)


def _about_clip(text: str, match: re.Match[str]) -> bool:
    """Return whether words stand beside a word for the clip, or are a clause: not the 4K monitor or a clock at 9:16."""
    sides = text[: match.start()], text[match.end() :]
    beside, clause = (
        [bool(pattern.search(side)) for pattern, side in zip(patterns, sides, strict=True)]
        for patterns in (_BESIDE_CLIP, _OWN_CLAUSE)
    )
    return any(beside) or all(clause)


_RESOLUTION = re.compile(r"(?<![a-z0-9])(?:(4k|uhd|2160p)|(1080p|full ?hd)|(720p)|(480p))(?![a-z0-9])")
_TIERS = ("4k", "1080p", "720p", "480p")


@dataclass(frozen=True, slots=True)
class Fields:
    """What the fields decide.

    Attributes:
        duration: Seconds of the clip.
        aspect: Width over height of the clip; None if it is not known.
        takes_aspect: The endpoint has an `aspect_ratio`.
        resolution: The tier.
        resolutions: The tiers that the endpoint makes.
        loops: The brief says `loop: true`.
        silent: The sound is switched off or laid under the clip, or a voice is sent, which is heard.
        switches_sound: The endpoint can leave the sound out.
        model: The family that makes it.
    """

    duration: int
    aspect: float | None
    takes_aspect: bool
    resolution: str
    resolutions: tuple[str, ...]
    loops: bool
    silent: bool
    switches_sound: bool
    model: str


def words_against(reading: Reading, fields: Fields) -> Iterator[tuple[str, str]]:
    """Yield a code and a sentence for each thing that the words say and the fields decide otherwise."""
    yield from _duration(reading, fields)
    yield from _shape(reading, fields)
    yield from _resolution(reading, fields)
    if not fields.loops and (words := reading.find("loop") or reading.find_anywhere("unseen_cut")):
        yield "loop_in_words", f"The prompt says “{words}”, but words make no loop. Write `loop: true`."
    if not fields.silent and (words := reading.find_anywhere("silent")):
        way = "Write `generate_audio: false`." if fields.switches_sound else _ALWAYS_SOUND
        yield "silence_in_words", f"The prompt says “{words}”, but the model makes sound. {way}"
    if (words := reading.find("models")) and words.replace(" ", "") not in fields.model.replace("-", ""):
        yield (
            "model_in_words",
            f"The prompt names “{words}”, but words choose no model: this clip is made by {fields.model}. Write `model:` and its name.",
        )


_ALWAYS_SOUND = "This endpoint has no switch for it: lay your own sound over it with `music` or `narration`."


def _duration(reading: Reading, fields: Fields) -> Iterator[tuple[str, str]]:
    text = _SPELLED_SECONDS.sub(lambda each: _SPELLED[each[1]], reading.text)
    match = _DURATION.search(text)
    if match is None:
        clauses = (_SPELLED_SECONDS.sub(lambda each: _SPELLED[each[1]], clause) for clause in reading.clauses)
        match = next((found for clause in clauses if (found := _ALONE.match(clause))), None)
    if match is None:
        return
    seconds = int(next(value for value in match.groupdict().values() if value))
    if seconds and seconds != fields.duration:
        yield (
            "duration_in_words",
            f"The prompt says {seconds} s, but the clip has {fields.duration} s. Write `duration: {seconds}`.",
        )


def _shape(reading: Reading, fields: Fields) -> Iterator[tuple[str, str]]:
    if fields.aspect is None:
        return
    named = ((int(each[1]), int(each[2])) for each in _RATIO.finditer(reading.text) if _about_clip(reading.text, each))
    ratio = next((each for each in named if each in _RATIOS), None)
    if ratio is None and (match := _SHAPES.search(reading.text)):
        ratio = next(_SHAPE_RATIO[name] for name, value in match.groupdict().items() if value)
    if ratio is None or abs(ratio[0] / ratio[1] / fields.aspect - 1) <= _NEAR:
        return
    words = f"{ratio[0]}:{ratio[1]}"
    way = (
        f'Write `aspect_ratio: "{words}"`.'
        if fields.takes_aspect
        else "The clip keeps the image's shape: crop the image."
    )
    yield "shape_in_words", f"The prompt asks for {words}, but words change no shape. {way}"


def _resolution(reading: Reading, fields: Fields) -> Iterator[tuple[str, str]]:
    match = next((each for each in _RESOLUTION.finditer(reading.said) if _about_clip(reading.said, each)), None)
    if match is None:
        return
    tier = next(tier for tier, value in zip(_TIERS, match.groups(), strict=True) if value)
    if tier == fields.resolution or not fields.resolution:
        return
    if tier in fields.resolutions:
        way = f"Write `resolution: {tier}`."
    else:
        way = f"{fields.model} makes {', '.join(fields.resolutions)}."
    yield "resolution_in_words", f"The prompt says “{match[0]}”, but the clip is made at {fields.resolution}. {way}"
