"""Inflect verbs: those of `verbs.yaml` by a table of endings in German, Spanish, French and Portuguese, and English ones. Pure."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml

_VERBS_FILE: Final = Path(__file__).with_name("verbs.yaml")
INFLECTED: Final = ("de", "es", "fr", "pt")
"""Languages whose verbs are recognised by their endings."""

LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml reads a file of words in 14 ms if PyYAML has it; Python alone in 130 ms."""

_ENDINGS: Final[Mapping[str, Mapping[str, str]]] = {
    "es": {
        "ar": "a an aba aban aron ando andose ar arse ara aran aria arian e en ase asen",
        "er": "e en ia ian io ieron yo yeron iendo yendo er erse era eran eria erian a an iera ieran yera yeran",
        "ir": "e en ia ian io ieron yo yeron iendo yendo ir irse ira iran iria irian a an iera ieran yera yeran",
    },
    "pt": {
        "ar": "a am ava avam ou aram ando ar ara arao aria ariam e em asse assem arem a-se",
        "er": "e em ia iam eu eram endo er era erao eria eriam a am esse essem erem e-se",
        "ir": "e em i ia iam iu iram indo ir ira irao iria iriam a am isse issem irem e-se",
    },
    "fr": {
        "er": "e ent er ait aient a erent ant era eront erait eraient eant eait eaient",
        "ir": "it issent ir issait issaient issant isse irent ira iront irait iraient t ent ait aient ant e",
        "re": "re ent ait aient ant e it irent ra ront rait raient t",
    },
}
"""By language and by the end of the infinitive, what follows the stem: first the present, last the subjunctive."""

_Respellings = Mapping[str, tuple[tuple[str, str], ...]]
_BEFORE_E: Final[_Respellings] = {"es": (("c", "qu"), ("g", "gu"), ("z", "c")), "pt": (("c", "qu"), ("g", "gu"))}
"""How a stem in -ar is spelled before an e: "avance", "apague"."""

_BEFORE_A: Final[_Respellings] = {"es": (("c", "zc"), ("g", "j")), "pt": (("g", "j"),)}
"""How a stem in -er or -ir is spelled before an a: "crezca", "recoja"."""

_CONSONANT_Y: Final = re.compile(r"[^aeiou]y$")
_TAKES_ES: Final = re.compile(r"(?:[sxz]|[cs]h|[^aeiou]o)$")
_DOUBLES: Final = re.compile(r"^[^aeiou]*[aeiou][bdgmnprt]$")
"""An English verb of one short syllable, whose last consonant is doubled: "hopping", which is not "hoping"."""

_MAY_DOUBLE: Final = re.compile(r"[aeiou][bdgklmnprstvz]$")
"""A longer one, whose last consonant may be: "unzipping", "traveling" and "travelling"."""


def english(verb: str, ending: Literal["s", "ed", "ing"]) -> tuple[str, ...]:
    """Return a regular English verb with an ending, in each spelling that it may have."""
    if _CONSONANT_Y.search(verb) and ending != "ing":
        return (f"{verb[:-1]}ie{ending[-1]}",)
    if ending == "s":
        return (verb + ("es" if _TAKES_ES.search(verb) else "s"),)
    if verb.endswith("e"):
        return (verb[:-1] + ending,)
    doubled = verb + verb[-1] + ending
    if _DOUBLES.search(verb):
        return (doubled,)
    return (verb + ending, doubled) if _MAY_DOUBLE.search(verb) else (verb + ending,)


@cache
def forms(language: str) -> frozenset[str]:
    """Return the forms of a language's verbs, folded, without those that are common nouns as well."""
    make = _german if language == "de" else _romance
    return frozenset(form for entry in infinitives(language) for form in make(entry, language)) - nouns(language)


def _german(entry: str, _language: str) -> Iterator[str]:
    infinitive, *strong = entry.split(":")
    yield infinitive
    for form in strong:
        yield form
        yield form + ("n" if form.endswith("e") else "en")
    stem = re.sub(r"e?n$", "", infinitive)
    if strong:
        return
    link = "e" if re.search(r"[dt]$|[^lraeiouh][mn]$", stem) else ""
    yield from (stem + link + ending for ending in ("t", "te", "ten"))


def _romance(entry: str, language: str) -> Iterator[str]:
    infinitive, *stems = entry.split(":")
    kind = infinitive[-2:]
    vowel, respelled = ("e", _BEFORE_E) if kind == "ar" else ("a", _BEFORE_A)
    for stem in (infinitive[:-2], *stems):
        for ending in _ENDINGS[language].get(kind, "").split():
            yield stem + ending
            for one, other in respelled.get(language, ()) if ending.startswith(vowel) else ():
                if stem.endswith(one):
                    yield stem[: -len(one)] + other + ending


def infinitives(language: str) -> list[str]:
    """Return a language's verbs as they are listed: infinitives, with further stems or forms after a colon."""
    return str(_listed()[language]).split()


@cache
def nouns(language: str) -> frozenset[str]:
    """Return the forms that are common nouns as well."""
    return frozenset(_listed()["nouns"][language].split())


@cache
def before_nouns(language: str) -> frozenset[str]:
    """Return the words after which a form is a noun or an adjective: articles, prepositions and the like."""
    return frozenset(_listed()["before_nouns"][language].split())


@cache
def _listed() -> Any:
    return yaml.load(_VERBS_FILE.read_text(encoding="utf-8"), Loader=LOADER)  # noqa: S506 - a safe one
