"""Read a prompt: its language, its clauses without what it denies, and the words that it has of a concept. Pure.

The words are in `words.yaml` beside this file. A prompt is compared with the list of its own language and with the
English one, because terms of the camera are English everywhere; a language without a list has the English one alone.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

import yaml

from i2v_assets.planning.inflection import INFLECTED, LOADER, english, forms
from i2v_assets.planning.names import folded

WORDS_FILE: Final = Path(__file__).with_name("words.yaml")

LANGUAGES: Final = ("en", "de", "es", "fr", "pt", "ja", "zh")
"""Languages with lists."""

READ_CHARACTERS: Final = 10_000
"""Characters of a prompt that are read; no endpoint takes more than 6,000 (`resources.schemas.endpoints`)."""

LONGEST_WORD: Final = 40
"""Characters within which the end of any word is searched, so that a long text without blanks is read in linear time; words are shorter."""

_CJK: Final = frozenset({"ja", "zh"})
_CLAUSE = re.compile(r"[;!?\n\u3002\u3001\u2014\u2013]|[.,:](?!\d)|\s-\s|(?<![\w(])\d{1,2}\)\s")
"""What ends a clause: not the point of 1.5, nor the colon of 9:16. The numbers of a list begin one."""

_KANA, _HAN = re.compile("[\u3040-\u30ff]"), re.compile("[\u4e00-\u9fff]")
_OTHER_SCRIPT = re.compile("[\u0370-\u03ff\u0400-\u04ff\u0590-\u06ff\u0900-\u0e7f\uac00-\ud7a3]")
"""Greek, Cyrillic, Hebrew, Arabic, the scripts of India, Thai and Korean."""


@dataclass(frozen=True)
class Reading:
    """A prompt as it is understood.

    Attributes:
        text: The folded prompt.
        language: One of `LANGUAGES`; None if it is another one, or cannot be determined.
        clauses: The folded clauses, without what is denied in them; empty ones are left out.
    """

    text: str
    language: str | None
    clauses: tuple[str, ...]

    @property
    def said(self) -> str:
        """The text without what it denies."""
        return ", ".join(self.clauses)

    def find(self, concept: str) -> str:
        """Return the first words of a concept, outside of what is denied; empty if there are none."""
        return _first(concept, self.language, self.said)

    def without(self, concept: str) -> "Reading":
        """Return the prompt without the words of a concept; a mark in their place parts what stood around them."""
        return replace(self, clauses=(pattern(concept, self.language).sub(" | ", self.said),))

    def find_anywhere(self, concept: str) -> str:
        """Return the first words of a concept, also of what is denied; empty if there are none."""
        return _first(concept, self.language, self.text)


@lru_cache(maxsize=4096)
def read_prompt(prompt: str) -> Reading:
    """Return a prompt as it is understood."""
    text = " ".join(folded(prompt[:READ_CHARACTERS]).split())
    language = language_of(text, prompt)
    whole, rest = pattern("whole_clause_negation", language), pattern("negation", language)
    clauses = []
    for clause in _CLAUSE.split(_without_lines(_avoided().sub(". ", _without_switches(text)), language)):
        if whole.search(clause):
            continue
        cut = rest.split(clause, maxsplit=1)[0].strip()
        if cut:
            clauses.append(cut)
    return Reading(text, language, tuple(clauses))


_SWITCH = re.compile(
    r"(?<!\S)--[a-z]\w*(?:[ =][\w.:/-]*\d[\w.:/-]*| (?:raw|low|high|fast|quiet)(?!\w))?|^/\w+(?: prompt:)?|<(?:lora|lyco|hypernet):[^>]{1,80}>"
)
"""Switches of other tools: `/imagine prompt:`, `--ar 16:9`, `--motion low`, `<lora:grain:0.8>`."""
_LEFT_OUT = re.compile(r"(?<!\S)--no ")
_WEIGHT = re.compile(r"(?<=[\w\)]):\d\.\d{1,2}(?=[)\]])")


def _without_switches(text: str) -> str:
    """Return a text without the switches and weights of other tools, which say nothing about what moves."""
    return _WEIGHT.sub("", _SWITCH.sub(" ", _LEFT_OUT.sub("; no ", text)))


_OPEN, _CLOSE = '"“„«「『', '"”“»」』'
_QUOTED = f"[{_OPEN}][^{_OPEN}{_CLOSE}]{{1,400}}[{_CLOSE}]"


def _without_lines(text: str, language: str | None) -> str:
    """Return a text without the lines that somebody speaks in it: nothing moves as they tell."""
    for words in _lines(language):
        text = words.sub(lambda match: match[0].replace(match["line"], " "), text)
    return text


@cache
def _lines(language: str | None) -> tuple[re.Pattern[str], ...]:
    speech = f"(?:{pattern('speech', language).pattern}|{pattern('presents', language).pattern})"
    return (
        re.compile(rf"{speech}[^.;{_OPEN}]{{0,30}}(?P<line>{_QUOTED})"),
        re.compile(rf"(?P<line>{_QUOTED})[^.;{_OPEN}]{{0,12}}{speech}"),
        re.compile(rf"{speech}\s?:(?P<line>[^.;!?{_OPEN}]+)"),
    )


@cache
def _avoided() -> re.Pattern[str]:
    """Return the pattern of a list of what is not wanted: "Avoid: hands, text", "[negative] blur, text"."""
    return re.compile(rf"(?:^|(?<=[\s.,;\[(。]))(?:{_words()['avoided']['all']}) ?(?:\] ?:?|\) ?:?|:)[^.;!?。\[|]*")


def language_of(text: str, written: str = "") -> str | None:
    """Return the language of a text by its script, frequent words and verbs; None if it has no list or cannot be determined.

    Args:
        text: The folded text.
        written: The text with its accents, which tell a language too.
    """
    if _KANA.search(text):
        return "ja"
    if _OTHER_SCRIPT.search(text):
        return None
    if _HAN.search(text):
        return "zh"
    words = re.findall(r"[a-z]+", text)
    scores = {
        language: sum(bool(frequent.fullmatch(word)) for word in words) for language, frequent in _frequent().items()
    }
    for language in LANGUAGES:
        if language not in _CJK:
            scores[language] += sum(
                len(_own(concept, language).findall(text)) for concept in ("motions", "speech", "sings")
            )
    for language in INFLECTED:
        scores[language] += sum(word in forms(language) for word in set(words))
    lowered = written.lower()
    for letters, languages in _LETTERS.items():
        for language in languages:
            scores[language] += any(letter in lowered for letter in letters)
    best = max(scores.values(), default=0)
    if not best:
        return None
    winners = [language for language, score in scores.items() if score == best]
    if len(winners) > 1 and "en" in winners:
        return "en"
    return winners[0] if winners[0] in LANGUAGES else None


_LETTERS: Final[Mapping[str, tuple[str, ...]]] = {
    "ñ¿¡": ("es",),
    "ãõ": ("pt",),
    "ßäöü": ("de",),
    "èùœî": ("fr",),
    "ç": ("fr", "pt"),
    "áíóú": ("es", "pt"),
    "âêô": ("fr", "pt"),
}
"""Letters that only some languages write."""

_OWN_LANGUAGE: Final = frozenset(
    {"speech", "sings", "speaker", "presents", "people", "voice_alone", "to_camera", "unknown_verbs"}
)
"""Concepts that are not terms of the camera: a prompt's own language counts alone, as "chat" and "sang" are French nouns."""


_OTHER_MEANING: Final = frozenset({("negation", "pt")})
"""Concepts of which a language has an English word for something else: "no jardim" is in the garden."""


@cache
def pattern(concept: str, language: str | None) -> re.Pattern[str]:
    """Return the pattern of a concept in a language and, for most, in English; one that matches nothing if neither has words."""
    entry = _words()[concept]
    camera_terms = () if concept in _OWN_LANGUAGE or (concept, language) in _OTHER_MEANING else ("en",)
    lists = dict.fromkeys(("all", language or "en", *camera_terms))
    return _any_of([_alternatives(concept, each) for each in lists if each in entry])


def _any_of(patterns: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(patterns) if patterns else r"(?!)")


@cache
def _own(concept: str, language: str) -> re.Pattern[str]:
    return re.compile(_alternatives(concept, language))


def _first(concept: str, language: str | None, text: str) -> str:
    match = pattern(concept, language).search(text)
    return match[0].strip(" ,.;:") if match else ""


def _alternatives(concept: str, language: str) -> str:
    entry = _words()[concept]
    words = entry[language]
    while "parts" in entry and _PART.search(words):
        words = _PART.sub(lambda name: entry["parts"][name[1]], words)
    if language == "en" and "en_verbs" in entry:
        words = "|".join([words, *(_inflected(verb) for verb in entry["en_verbs"].split("|"))])
    return whole_words(words, language)


_PART = re.compile(r"<([a-z_]+)>")
"""A part that several patterns of a concept or other parts share, by its name."""


_ANY_WORD = re.compile(r"(\\w|\[\\w[^\]]*\])\+ ")
"""A word of any length and the blank after it, in a pattern."""


def whole_words(words: str, language: str) -> str:
    """Return a pattern of whole words; of any place in the text in a language that writes no blanks."""
    words = _ANY_WORD.sub(rf"\1{{1,{LONGEST_WORD}}} ", unicodedata.normalize("NFKC", words))
    return f"(?:{words})" if language in _CJK else rf"(?<![a-z0-9])(?:{words})(?![a-z0-9])"


def _inflected(verb: str) -> str:
    base, *rest = verb.split(" ")
    plain = base
    if base in _verbs("en_nouns_first"):
        plain = rf"(?:(?<=s )|(?<=and )|(?<=to )|(?<=then )){base}"
    elif base in _verbs("en_nouns_too"):
        plain = rf"(?:^|(?<=, )|(?<=s )|(?<=and )|(?<=to )|(?<=then )|(?<=ly )|(?<=slow )){base}"
    spellings = "|".join((*english(base, "s"), *english(base, "ing"), plain))
    return " ".join((f"(?:{spellings})", *rest))


@cache
def _verbs(kind: str) -> frozenset[str]:
    return frozenset(_words()["motions"][kind].split("|"))


def listed_verbs() -> frozenset[str]:
    """Return the English verbs of motion that `words.yaml` lists, as infinitives of one word."""
    return frozenset(verb for verb in _verbs("en_verbs") if " " not in verb)


@cache
def _frequent() -> dict[str, re.Pattern[str]]:
    return {language: re.compile(words) for language, words in _words()["languages"].items()}


@cache
def _words() -> dict[str, Any]:
    loaded = yaml.load(WORDS_FILE.read_text(encoding="utf-8"), Loader=LOADER)  # noqa: S506 - a safe one, whichever it is
    return {concept: _as_patterns(entry) for concept, entry in loaded.items()}


def _as_patterns(entry: Any) -> Any:
    """Return an entry of the file with each list as one pattern: its alternatives, of which a list is one in pieces."""
    if isinstance(entry, dict):
        return {name: _as_patterns(each) for name, each in entry.items()}
    if isinstance(entry, list):
        return "|".join("".join(each) if isinstance(each, list) else each for each in entry)
    return entry


@dataclass(frozen=True)
class CameraMove:
    """A kind of camera move: its name, and the patterns of those that are always meant and those that may be."""

    name: str
    sure: re.Pattern[str]
    maybe: re.Pattern[str]


@cache
def camera_moves(language: str | None) -> tuple[CameraMove, ...]:
    """Return the camera's moves in a language and in English."""
    return tuple(
        CameraMove(name, _moves(words.get("sure", {}), language), _moves(words.get("maybe", {}), language))
        for name, words in _words()["camera"].items()
    )


def _moves(words: dict[str, str], language: str | None) -> re.Pattern[str]:
    lists = dict.fromkeys((language or "en", "en"))
    return _any_of([whole_words(words[each], each) for each in lists if each in words])
