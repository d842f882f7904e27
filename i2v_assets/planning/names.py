"""What the names of uploads say of their pictures and sounds: a subject, a first or last frame, a language. Pure.

Names are read as words in six languages, with plurals; the last word about a subject is the noun in most of them, so it
wins, and a word about a product wins over all others: `product_cat_food.jpg` shows a product. Only the medium wins over
that: `phone_screenshot.png` shows a screen. Prompts are folded here too, so that both are compared in one form.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Final

import yaml

_SUBJECTS_FILE: Final = Path(__file__).with_name("subjects.yaml")


def folded(text: str) -> str:
    """Return text for comparisons: small letters of full width, without the accents of Latin letters, ss for the German s."""
    plain = []
    for char in unicodedata.normalize("NFKC", text).replace("\u2019", "'").casefold():
        parts = unicodedata.normalize("NFD", char)
        plain.append(parts[0] if len(parts) > 1 and parts[0].isascii() else char)
    return "".join(plain)


def words_of(name: str) -> list[str]:
    """Return the words of a file's or folder's name, folded; a change from small to capital letters parts two words."""
    stem = re.sub(r"\.[A-Za-z0-9]{2,5}$", "", name)
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", stem)
    return re.findall(r"[a-z]+|[\u3040-\u30ff\u4e00-\u9fff]+", folded(parted))


def subject_in(names: Sequence[str], *, face: bool | None) -> tuple[str, str]:
    """Return the preset of the subject that names speak of, with the word that says so; empty strings if none does.

    Args:
        names: The upload's name and its files' names.
        face: Whether the image is a portrait; a name alone makes none of a picture in which no face was found.
    """
    unfit = {"person", "portrait"} if face is False else {"person"}
    found = [each for name in names for each in _shown(name, unfit)]
    media = [each for each in found if each[0] == "medium"]
    products = [each for each in found if each[0] == "product" and found[-1][0] != "graphic"]
    preset, word = (media or products or found or [("", "")])[-1]
    return ("graphic" if preset == "medium" else preset), word


def names_person(names: Iterable[str]) -> str:
    """Return the word by which a name says that a picture shows a person; empty if none does.

    The last word of a subject must be the person, and none a product: `guest-room.jpg` and `model-car.jpg` show nobody.
    """
    for name in names:
        found = [(subject, word) for subject, word in _subjects(name) if subject]
        if found and found[-1][0] in _PEOPLE and all(subject != "product" for subject, _ in found):
            return found[-1][1]
    return ""


_PEOPLE: Final = frozenset({"portrait", "person"})


def names_somebody(text: str) -> str:
    """Return the first word of a text for a person, an animal or a figure, who may speak; empty if there is none."""
    return next((word for subject, word in _subjects(text) if subject in {"person", "character"}), "")


_WHERE: Final = re.compile(
    "in|on|at|by|near|under|inside|outside|im|am|auf|an|unter|bei|neben|vor|en|sobre|junto|dans|sur|au|aux|devant|na|no|em|sob"
)


def _shown(name: str, unfit: Set[str]) -> list[tuple[str, str]]:
    """Return the subjects of a name; a place that tells where another one is, such as the beach of dog_at_beach, is none."""
    found: list[tuple[str, str]] = []
    where = False
    for subject, word in _subjects(name):
        if _WHERE.fullmatch(word):
            where = bool(found)
        elif subject and subject not in unfit and not (where and subject == "environment"):
            found.append((subject, word))
            where = False
    return found


def _subjects(text: str) -> Iterator[tuple[str, str]]:
    """Yield each word of a text with its subject, empty for one without; of Chinese and Japanese the longest parts."""
    words = words_of(text)
    joined = False
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        if joined:  # the second half of "hot-dog"
            joined = False
        elif not word.isascii():
            yield from ((_by_part()[part], part) for part in _part().findall(word))
        elif joined := min(len(word), len(following)) > 2 and word + following in _by_word():
            yield _by_word()[word + following], word + following
        else:
            yield _subject(word), word


def _subject(word: str) -> str:
    return next((_by_word()[form] for form in (word, *_singulars(word)) if form in _by_word()), "")


def _singulars(word: str) -> Iterable[str]:
    for ending, single in (("ies", "y"), ("es", ""), ("s", ""), ("en", ""), ("n", ""), ("e", ""), ("er", "")):
        if word.endswith(ending) and len(word) - len(ending) + len(single) > 2:
            yield word[: -len(ending)] + single


@cache
def _words() -> Mapping[str, Sequence[str]]:
    loaded: dict[str, str] = yaml.safe_load(_SUBJECTS_FILE.read_text(encoding="utf-8"))
    return {preset: text.split() for preset, text in loaded.items()}


@cache
def _by_word() -> Mapping[str, str]:
    return {word: preset for preset, listed in _words().items() for word in listed if word.isascii()}


@cache
def _by_part() -> Mapping[str, str]:
    """Return the Chinese and Japanese words, which are found anywhere in a name."""
    return {word: preset for preset, listed in _words().items() for word in listed if not word.isascii()}


@cache
def _part() -> re.Pattern[str]:
    return re.compile("|".join(sorted(_by_part(), key=len, reverse=True)))


# Sounds and frames

_LANGUAGES: Final = frozenset(
    [
        "en",
        "de",
        "es",
        "fr",
        "pt",
        "ja",
        "jp",
        "zh",
        "cn",
        "it",
        "nl",
        "pl",
        "ru",
        "ko",
        "kr",
        "sv",
        "da",
        "fi",
        "no",
        "nb",
        "tr",
        "ar",
        "hi",
        "cs",
        "uk",
        "el",
        "he",
        "ro",
        "hu",
        "bg",
        "th",
        "vi",
        "id",
        "ms",
        "ca",
        "eng",
        "ger",
        "deu",
        "spa",
        "fra",
        "fre",
        "por",
        "jpn",
        "chi",
        "zho",
        "ita",
        "nld",
        "pol",
        "rus",
        "kor",
        "english",
        "german",
        "deutsch",
        "spanish",
        "espanol",
        "castellano",
        "french",
        "francais",
        "portuguese",
        "portugues",
        "japanese",
        "nihongo",
        "chinese",
        "zhongwen",
        "mandarin",
        "italian",
        "italiano",
        "dutch",
        "polish",
        "polski",
        "russian",
        "korean",
        "swedish",
        "danish",
        "finnish",
        "norwegian",
        "turkish",
        "arabic",
        "hindi",
        "czech",
        "ukrainian",
        "greek",
        "hebrew",
    ]
)


def languages_in(names: Sequence[str]) -> tuple[str, ...]:
    """Return the language that each name ends or begins with, if all of them differ in nothing else; else nothing."""
    spoken, rests = [], set()
    for name in names:
        words = words_of(name)
        place = next((at for at in (-1, 0) if words and words[at] in _LANGUAGES), None)
        if place is None:
            return ()
        spoken.append(words[place])
        rests.add(tuple(words[:-1] if place == -1 else words[1:]))
    return tuple(spoken) if len(rests) == 1 and len(set(spoken)) == len(spoken) > 1 else ()
