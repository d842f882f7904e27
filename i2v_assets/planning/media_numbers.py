"""Read which media a prompt names by number, in seven languages: "image 2", "Bild 1 und 2", "第一张图". Pure."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from resources.schemas.inputs import MediumKind

_WORDS: Final = {
    MediumKind.IMAGE: (
        "image|picture|photo|pic|bild|foto|imagen|fotografia|imagem|photographie|figura",
        "images|pictures|photos|pics|bilder|bildern|fotos|imagenes|imagens|photographies",
        "图片|图像|圖片|圖像|照片|图|圖|画像|写真|イメージ|絵",
    ),
    MediumKind.VIDEO: (
        "video",
        "videos",
        "视频|影片|視頻|動画|ビデオ|映像",
    ),
    MediumKind.AUDIO: (
        "audio|sound|ton|tonspur|audiodatei|sonido|son|som",
        "audios|sounds|sonidos|sons",
        "音频|音頻|音声|オーディオ|音源|声音",
    ),
}
"""For each kind: words for one, words for several, Chinese and Japanese words."""

_NUMBER = r"(?:nr\.?|no\.?|n°|#)?\s*[1-9](?![0-9A-Za-z]|[:.]\d)"
_BETWEEN = r"\s*(?:,|、|&|\+|\b(?:and|or|und|oder|et|ou|y|e|o)\b|和|与|與|及|或|と)\s*"
_RANGE = r"\s*(?:-|~|\b(?:to|bis|a|à|ate|hasta)\b|到|至|から)\s*"
_FUNCTION = (
    "and|or|as|at|by|for|from|in|into|is|are|of|on|onto|over|to|under|with|while|together|respectively"
    "|und|oder|im|am|auf|aus|von|vom|zu|zum|zur|mit|bei|fur|ist|sind|der|die|das"
    "|de|del|du|da|do|des|dans|avec|sur|pour|par|vers|et|ou|est|sont|en|con|para|por|y|o|e|com|na|no|sobre|es|son|sao|se|a|au|aux"
)
# The last number of "image 1 and 2" must not be followed by a noun: "image 1 and 2 people" names one image.
_SAME_IMAGE = rf"(?!\s+(?!(?:{_FUNCTION})\b)[A-Za-z])"

# "image 2", "@image2", "video #1", "images 1 and 2", "image 1, 2 and 3", "images 1-3", "Bilder 1 und 2", "图1、2"; not "video
# 16:9", "audio 1.5" or "video 4k".
_REFERENCES = {
    kind: re.compile(
        rf"(?<![A-Za-z])(?:(?:{many})\s*(?P<many>{_NUMBER}(?:(?:(?:{_BETWEEN})+|{_RANGE}){_NUMBER})*)"
        rf"|(?:{one}|{cjk})\s*(?P<one>{_NUMBER}(?:(?:{_BETWEEN})+{_NUMBER}{_SAME_IMAGE})*))",
        re.IGNORECASE,
    )
    for kind, (one, many, cjk) in _WORDS.items()
}
_DIGIT_OR_RANGE = re.compile(rf"([1-9])(?:{_RANGE}#?\s*([1-9]))?")

_ORDINALS: Final = (
    "first|1st|erste[snmr]?|primer[ao]?|premiere?|1er|1re|primeir[ao]",
    "second|2nd|zweite[snmr]?|segund[ao]|deuxieme|seconde?|2e",
    "third|3rd|dritte[snmr]?|tercer[ao]?|troisieme|terceir[ao]|3e",
    "fourth|4th|vierte[snmr]?|cuart[ao]|quatrieme|quart[ao]|4e",
)
_HAN_NUMBERS: Final = ("一", "二", "三", "四", "五", "六", "七", "八", "九")
_COUNTERS = "张|張|幅|个|個|段|条|條|枚目の|つ目の|番目の|本目の|枚目|番目"
_ORDINAL = {
    kind: re.compile(
        rf"(?<![a-z])(?<!\d[ -])(?<!my )(?<!one )(?:{'|'.join(f'(?P<o{at}>{words})' for at, words in enumerate(_ORDINALS, start=1))})\s+(?:{one})(?![a-z])"
        rf"|第?(?P<han>[一二三四五六七八九1-9])(?:{_COUNTERS})(?:{cjk})",
        re.IGNORECASE,
    )
    for kind, (one, _, cjk) in _WORDS.items()
}

_BARE_PAGE = re.compile(r"第?([一二三四五六七八九1-9])(?:枚目|张|張|幅)|[图圖]片?([一二三四])(?![张張幅个個])")
_PAGE = re.compile(r"第([一二三四五六七八九1-9])[张張幅](?=[的里中上])|([一二三四五六七八九1-9])枚目(?=の(?!順))")
"""A page of which something is taken; "第一张是花苞" only says what it shows."""

_FIRST_OF_TWO = re.compile(
    rf"(?<![a-z])(?:{_ORDINALS[0]})(?= (?:(?:in)?to|zum|zur|a|para|vers|y|e|et|und|and)\b[^.;@]{{0,12}}@2)"
)
_LETTERED = re.compile(
    rf"(?<![a-z])(?:(?:{_WORDS[MediumKind.IMAGE][0]}|frame|shot|still) ?|(?:{_WORDS[MediumKind.IMAGE][2]}) ?)([ab])(?![a-z])"
)
_SECOND_LETTER = re.compile(_LETTERED.pattern.replace("[ab]", "b"))
"""Images by letters, "photo A"; "foto a" alone goes on, as in "foto a la izquierda"."""

_FIRST_PAGE = re.compile("(?:最初|初め|はじめ)の(?:[一1]枚|写真|画像|絵|イラスト)")
NO_NOUN: Final = (
    rf"(?=\W*$|\s*[.,;:!?)、。，]|\s+(?:{_FUNCTION}|over|during|within|smooth|soft|slow|seamless|weich|suave|fluide?|lent[oae]?|throughout|without|then|but|before|until|when|like|innerhalb|wahrend|ohne|ganz"
    r"|langsam|sanft|uber|wie|mientras|sin|poco|como|pendant|tandis|sans|doucement|peu|comme|enquanto|sem|aos|devagar|durante?|\w+ly|\w+mente?"
    r"|it|he|she|they|sie|er|il|elle|ils|ella|ela|ele|esta|zu|offen|geschlossen|leer|voll|an|aus|hell|dunkel|sauber|schmutzig|fertig|open|closed|empty|full|off|clean|dirty"
    r"|(?:abiert|cerrad|subid|bajad|vaci|vazi|llen|limpi|limp|suci|suj|encendid|apagad|abert|fechad|chei|aces)[oa]s?|ouverte?|fermee?|vide|pleine?|allumee?|eteinte?)\b)"
)
"""What follows the name of an image that is none of a noun's attributes, as it is in "the image 2 style"."""

_OTHER_ONE = re.compile(
    r"(?<![a-z@])(?!(?<=\ba )second\b)(?<!one )(?<!per )(?<!each )(?<!every )(?<!half )(?<!une )"
    rf"(?:{_ORDINALS[1]}|other|andere[snmr]?|otra|outra|autre)(?: one)?{NO_NOUN}"
)
_OTHER_NUMBER = re.compile(
    rf"(?<=\b(?:la|le|na|el|en|to|zu|in|as) )2{NO_NOUN}|(?<=\b(?:die|das|auf|the|sur) )2{NO_NOUN}"
)
"""Images that are named without their noun: "1枚目", "the first" before the second image, "the second" at the end, "la 2"."""


_SPELLED: Final = {
    "one": "1", "two": "2", "three": "3", "four": "4", "eins": "1", "zwei": "2", "drei": "3", "vier": "4", "uno": "1", "tres": "3",
}  # fmt: skip
_NUMBER_WORD: Final = re.compile(
    rf"\b(image|picture|photo|pic|shot|video|clip|audio|bild|foto|imagen) ({'|'.join(_SPELLED)})\b(?! of\b)",
    re.IGNORECASE,
)


def _in_figures(text: str) -> str:
    """Return a text in which "photo one" is written as "photo 1"."""
    return _NUMBER_WORD.sub(lambda match: f"{match[1]} {_SPELLED[match[2].lower()]}", text)


def references(prompt: str) -> tuple[tuple[MediumKind, int], ...]:
    """Return the media that a prompt names by number, such as ``image 2`` or ``images 1 and 2``, without duplicates."""
    return numbers_in(prompt) or tuple(dict.fromkeys(_ordinals(_plain(prompt))))


def numbers_in(prompt: str) -> tuple[tuple[MediumKind, int], ...]:
    """Return the media that a prompt names by a figure; a "first video" may be one that is to be made."""
    return tuple(dict.fromkeys(_numbers(_plain(prompt))))


_TAKEN: Final = r"\b(?:from|aus|of|de(?: la| l')?|da|do)\s?@{0}(?!\s*(?:of|from|in|von|aus|de|da|do|du|del)\b)(?=\W|$)|@{0}(?:の|里的|中的|的)"


def takes_from(text: str, number: int) -> bool:
    """Return whether a folded text takes something out of an image by its number: "the woman from image 2"."""
    return re.search(_TAKEN.format(number), marked(text)) is not None


def marked(text: str) -> str:
    """Return a folded text in which each image that it names, also by an ordinal, is written as @ and its number."""
    text = _LETTERED.sub(lambda match: f"@{'ab'.index(match[1]) + 1}", text) if _SECOND_LETTER.search(text) else text
    text = _REFERENCES[MediumKind.IMAGE].sub(
        lambda match: " ".join(f"@{number}" for number in _each_number(match["many"] or match["one"])),
        _in_figures(text),
    )
    text = _ORDINAL[MediumKind.IMAGE].sub(lambda match: f"@{_ordinal(match)}", text)
    text = _FIRST_PAGE.sub("@1", text)
    text = _BARE_PAGE.sub(lambda match: f"@{_value(match[1] or match[2])}", text)
    text = _OTHER_ONE.sub("@2", _FIRST_OF_TWO.sub("@1", text))
    return _OTHER_NUMBER.sub("@2", text) if "@1" in text else text


def _numbers(text: str) -> Iterator[tuple[MediumKind, int]]:
    for kind, pattern in _REFERENCES.items():
        for match in pattern.finditer(text):
            yield from ((kind, number) for number in _each_number(match["many"] or match["one"]))


def _each_number(listed: str) -> Iterator[int]:
    for first, last in _DIGIT_OR_RANGE.findall(listed):
        yield from range(int(first), int(last or first) + 1)


def _ordinals(text: str) -> Iterator[tuple[MediumKind, int]]:
    for kind, pattern in _ORDINAL.items():
        for match in pattern.finditer(text):
            yield kind, _ordinal(match)
    yield from ((MediumKind.IMAGE, _value(match[1] or match[2])) for match in _PAGE.finditer(text))


def _ordinal(match: re.Match[str]) -> int:
    if (han := match["han"]) is not None:
        return _value(han)
    return next(at for at in range(1, len(_ORDINALS) + 1) if match[f"o{at}"])


def _value(digit: str) -> int:
    return int(digit) if digit.isdigit() else _HAN_NUMBERS.index(digit) + 1


def _plain(prompt: str) -> str:
    """Return the prompt in full width and without accents; the length of its parts does not matter here."""
    spread = unicodedata.normalize("NFKC", prompt)
    parts = (unicodedata.normalize("NFD", char) for char in spread)
    plain = "".join(part[0] if part[0].isascii() else char for part, char in zip(parts, spread, strict=True))
    return _in_figures(plain.lower())
