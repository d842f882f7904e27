"""The order of a folder's files where its brief lists none: by the roles in their names, then as people count. Pure.

A prompt numbers files ("from image 1 to image 2"), so the order decides what is made. `start.jpg` comes before `end.jpg`,
and `IMG_8.jpg` before `IMG_10.jpg`.
"""

import re
import unicodedata
from typing import TypeAlias

from resources.composed import composed

OrderKey: TypeAlias = tuple[int, tuple[tuple[int, int, str], ...], str]


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


_FIRST_WORDS = _words(
    "start first begin beginning before subject opening initial",
    "anfang beginn erste erster erstes zuerst vorher motiv startbild anfangsbild",
    "inicio primero primera antes sujeto principio comienzo",
    "debut premier premiere avant sujet commencement",
    "primeiro primeira sujeito comeco",
    "saisho kaishi",
)
_LAST_WORDS = _words(
    "end last after background ending bg",
    "ende letzte letzter letztes nachher danach hintergrund schluss endbild",
    "fin ultimo ultima despues fondo",
    "dernier derniere apres fond arriereplan",
    "fim depois fundo",
    "saigo haikei",
)
"""English, German, Spanish, French, Portuguese, Japanese in Latin letters; without accents."""

_FIRST_PARTS = ("開始", "开始", "最初", "始め", "はじめ", "先頭", "冒頭", "スタート", "ビフォー", "使用前", "被写体", "首帧", "首幀", "第一", "起始", "之前", "主体", "主體", "开头", "開頭")  # fmt: skip
_LAST_PARTS = ("終了", "最後", "最后", "終わり", "おわり", "ラスト", "エンド", "アフター", "使用後", "使用后", "背景", "结束", "結束", "尾帧", "尾幀", "之后", "之後", "结尾", "結尾")  # fmt: skip
"""Japanese and Chinese write no blanks between words, so these are looked for anywhere in a name."""

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_A-Za-z]+")
_NUMBER = re.compile(r"(\d+)")


def order_key(name: str) -> OrderKey:
    """Return the key that sorts the names of a folder's files: first roles, other names, last roles; numbers by value."""
    return (_role(name), _natural(name), name)


def names_first(name: str) -> bool:
    """Return whether a name says that its picture comes first, such as ``room_first_frame.jpg``."""
    return _role(name) == 0


def names_last(name: str) -> bool:
    """Return whether a name says that its picture comes last; one of a background does not."""
    return _role(name) == 2 and not _names_background(name)


def _names_background(name: str) -> bool:
    plain = "".join(char for char in unicodedata.normalize("NFKD", name.lower()) if not unicodedata.combining(char))
    return any(word in plain for word in _BACKGROUND)


_BACKGROUND = ("background", "hintergrund", "fondo", "fond", "arriereplan", "fundo", "haikei", "背景", "bg")


def _role(name: str) -> int:
    """Return 0 for a name that says first, 2 for one that says last, 1 for neither and for both."""
    stem = name.rpartition("/")[2].rpartition(".")[0] or name
    plain = "".join(char for char in composed(stem, "NFKD") if not unicodedata.combining(char))
    words = {word.lower() for word in _WORD.findall(plain)} | {word.lower() for word in re.split(r"[\W\d_]+", plain)}
    compatible = composed(stem, "NFKC")
    first = bool(words & _FIRST_WORDS) or any(part in compatible for part in _FIRST_PARTS)
    last = bool(words & _LAST_WORDS) or any(part in compatible for part in _LAST_PARTS)
    return 1 if first == last else (0 if first else 2)


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a name in pieces: numbers compare by their value and come before letters, the ending comes last."""
    folded = composed(name).casefold()
    stem, dot, ending = folded.rpartition(".")
    pieces = [piece for piece in _NUMBER.split(stem if dot else folded) if piece]
    numbered = [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces]
    return (*numbered, (-1, 0, ending))
