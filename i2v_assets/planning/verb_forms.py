"""Recognise a verb by its inflection: the forms that a table of endings makes of the infinitives in `verbs.yaml`. Pure.

A form counts as a verb by its place too, as a noun or an adjective may be spelled alike: "la caza" and "das Laufen" follow an
article. English has few endings, so its plain form is a verb only after another verb or a word that calls for one: "make the
flag wave", "he could turn".
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

from i2v_assets.planning.inflection import forms, infinitives, nouns
from i2v_assets.planning.vocabulary import Reading, listed_verbs

_WORD: Final = re.compile(r"[a-z][a-z'-]*")

_NOUN_AFTER: Final[Mapping[str, frozenset[str]]] = {
    "de": frozenset(
        [
            "der",
            "die",
            "das",
            "den",
            "dem",
            "des",
            "ein",
            "eine",
            "einen",
            "einem",
            "einer",
            "eines",
            "im",
            "am",
            "vom",
            "zum",
            "zur",
            "beim",
            "ins",
            "ans",
            "mein",
            "meine",
            "dein",
            "sein",
            "seine",
            "ihr",
            "ihre",
            "unser",
            "kein",
            "keine",
            "mit",
            "aus",
            "von",
            "bei",
            "fur",
            "ohne",
            "in",
            "an",
        ]
    ),
    "es": frozenset(
        [
            "el",
            "la",
            "los",
            "las",
            "un",
            "una",
            "unos",
            "unas",
            "de",
            "del",
            "al",
            "con",
            "en",
            "su",
            "sus",
            "mi",
            "mis",
            "por",
            "sin",
            "sobre",
            "y-la",
            "este",
            "esta",
            "ese",
            "esa",
        ]
    ),
    "fr": frozenset(
        [
            "le",
            "la",
            "les",
            "un",
            "une",
            "des",
            "de",
            "du",
            "au",
            "aux",
            "en",
            "son",
            "sa",
            "ses",
            "mon",
            "ma",
            "mes",
            "ce",
            "cette",
            "par",
            "sans",
            "sur",
            "avec",
            "pour",
            "dans",
            "l",
            "d",
        ]
    ),
    "pt": frozenset(
        [
            "o",
            "os",
            "as",
            "um",
            "uma",
            "uns",
            "umas",
            "de",
            "do",
            "da",
            "dos",
            "das",
            "no",
            "na",
            "nos",
            "nas",
            "com",
            "em",
            "seu",
            "sua",
            "meu",
            "minha",
            "por",
            "sem",
            "sobre",
            "este",
            "esta",
        ]
    ),
}
"""Words after which a form is a noun; in Portuguese not "a", which is a preposition and a pronoun as well."""


def verbs_in(reading: Reading, clause: str) -> Iterator[re.Match[str]]:
    """Yield the words of a clause that are verbs by their form and place, in the prompt's own language."""
    language = reading.language
    if language == "en":
        yield from _english(clause)
    elif language is not None and language in _NOUN_AFTER:
        known, alike, before = forms(language), nouns(language), ""
        for match in _WORD.finditer(clause):
            *elided, word = match[0].rsplit("'", 1)
            reflexive = before in {"se", "sich"} or elided == ["s"]
            if (word in known and before not in _NOUN_AFTER[language]) or (reflexive and word in alike):
                yield match
            before = match[0]


# English

_CAUSES: Final = frozenset(
    ["make", "makes", "making", "let", "lets", "letting", "have", "having", "get", "watch", "gonna", "wanna"]
)
_MODALS: Final = frozenset(["can", "could", "may", "might", "must", "shall", "should", "will", "would"])
_ASKS_US: Final = frozenset(["you", "u", "we", "i", ""])
"""A modal after one of these asks for a clip: "can you bring this to life" moves nothing."""

_NO_VERB_AFTER: Final = frozenset(
    [
        "a",
        "an",
        "the",
        "this",
        "that",
        "these",
        "those",
        "my",
        "your",
        "our",
        "his",
        "her",
        "its",
        "their",
        "some",
        "any",
        "no",
        "every",
        "each",
        "of",
        "in",
        "on",
        "at",
        "by",
        "with",
        "from",
        "into",
        "onto",
        "for",
        "as",
        "than",
        "very",
        "more",
        "most",
        "over",
        "under",
        "through",
        "near",
        "behind",
        "along",
        "across",
        "against",
        "between",
        "around",
        "before",
        "after",
        "without",
        "like",
        "make",
        "have",
        "get",
        "is",
        "are",
        "was",
        "were",
    ]
)
_SUBJECT: Final = frozenset(["he", "she", "it", "they", "who", "we", "you", "i", "and", "then"])
_SUPPOSED: Final = re.compile(r"\b(?:if|as though|wish|until|while|when|so that)\b")


def _english(clause: str) -> Iterator[re.Match[str]]:
    base, third, past, ing = _english_forms()
    called, before = False, ""
    supposed = _SUPPOSED.search(clause)
    for match in _WORD.finditer(clause):
        word = match[0]
        if before not in _NO_VERB_AFTER and (
            (called and word in base)
            or (word in past and (before in _SUBJECT or (supposed and supposed.end() < match.start())))
            or (word in third and before in _SUBJECT)
            or (word in ing and before in _GOES_ON)
            or (word.rstrip("'").endswith("in") and word.rstrip("'") + "g" in ing)  # "hair blowin in the wind"
        ):
            yield match
        called = called or word in _CAUSES or (word in _MODALS and before not in _ASKS_US)
        before = word


_GOES_ON: Final = frozenset(["keep", "keeps", "start", "starts", "begin", "begins", "been", "be"])


@cache
def _english_forms() -> tuple[frozenset[str], frozenset[str], frozenset[str], frozenset[str]]:
    """Return the plain forms, and those in -s, -ed and -ing."""
    base = frozenset(infinitives("en")) | listed_verbs()
    return (
        base,
        frozenset(_joined(verb, "s") for verb in base),
        frozenset(form for verb in base for form in _IRREGULAR.get(verb, (_joined(verb, "ed"),))),
        frozenset(_joined(verb, "ing") for verb in base),
    )


_IRREGULAR: Final[Mapping[str, tuple[str, ...]]] = {
    verb: tuple(forms.split("/"))
    for verb, forms in (
        each.split(":")
        for each in [
            "run:ran",
            "fly:flew",
            "swim:swam",
            "rise:rose",
            "fall:fell",
            "blow:blew",
            "throw:threw",
            "catch:caught",
            "swing:swung",
            "spin:spun",
            "sink:sank",
            "grow:grew",
            "drink:drank",
            "eat:ate",
            "take:took",
            "give:gave",
            "bring:brought",
            "break:broke",
            "tear:tore",
            "shake:shook",
            "speak:spoke",
            "ride:rode",
            "drive:drove",
            "write:wrote",
            "draw:drew",
            "sing:sang",
            "come:came",
            "go:went",
            "sit:sat",
            "stand:stood",
            "turn:turned",
            "leave:left",
            "creep:crept",
            "sweep:swept",
            "weep:wept",
            "leap:leapt/leaped",
            "kneel:knelt/kneeled",
            "slide:slid",
            "shine:shone/shined",
            "burst:burst",
            "bite:bit",
            "hide:hid",
            "wake:woke",
            "freeze:froze",
            "steal:stole",
            "weave:wove",
            "shoot:shot",
            "sew:sewed",
            "dig:dug",
            "cling:clung",
            "fling:flung",
            "bend:bent",
            "wind:wound",
        ]
    )
}


def _joined(verb: str, ending: str) -> str:
    vowel = ending[0] != "s"
    if verb.endswith("e") and vowel:
        return verb[:-1] + ending
    if re.search(r"[^aeiou]y$", verb) and ending != "ing":
        return verb[:-1] + "ie" + ending[-1]
    if vowel and re.search(r"^[^aeiou]*[aeiou][bdgmnprt]$", verb):
        return verb + verb[-1] + ending
    return verb + ("es" if not vowel and re.search(r"(?:s|x|z|ch|sh|o)$", verb) else ending)
