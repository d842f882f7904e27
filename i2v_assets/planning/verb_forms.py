"""Recognise a verb by its inflection: the forms that a table of endings makes of the infinitives in `verbs.yaml`. Pure.

A form counts as a verb by its place too, as a noun or an adjective may be spelled alike: "la caza" and "das Laufen" follow an
article. English has few endings, so its plain form is a verb only after another verb or a word that calls for one: "make the
flag wave", "he could turn".
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

import yaml

from i2v_assets.planning.vocabulary import LOADER, WORDS_FILE, Reading, listed_verbs

_VERBS_FILE: Final = WORDS_FILE.with_name("verbs.yaml")
_WORD: Final = re.compile(r"[a-z][a-z'-]*")

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

_BEFORE_E: Final = {"es": (("c", "qu"), ("g", "gu"), ("z", "c")), "pt": (("c", "qu"), ("g", "gu"))}
"""How a stem in -ar is spelled before an e: "avance", "apague"."""

_BEFORE_A: Final = {"es": (("c", "zc"), ("g", "j")), "pt": (("g", "j"),)}
"""How a stem in -er or -ir is spelled before an a: "crezca", "recoja"."""

_NOUN_AFTER: Final[Mapping[str, frozenset[str]]] = {
    "de": frozenset(
        "der die das den dem des ein eine einen einem einer eines im am vom zum zur beim ins ans mein meine dein sein seine ihr ihre"
        " unser kein keine mit aus von bei fur ohne in an".split()
    ),
    "es": frozenset(
        "el la los las un una unos unas de del al con en su sus mi mis por sin sobre y-la este esta ese esa".split()
    ),
    "fr": frozenset(
        "le la les un une des de du au aux en son sa ses mon ma mes ce cette par sans sur avec pour dans l d".split()
    ),
    "pt": frozenset(
        "o os as um uma uns umas de do da dos das no na nos nas com em seu sua meu minha por sem sobre este esta".split()
    ),
}
"""Words after which a form is a noun; in Portuguese not "a", which is a preposition and a pronoun as well."""


def verbs_in(reading: Reading, clause: str) -> Iterator[re.Match[str]]:
    """Yield the words of a clause that are verbs by their form and place, in the prompt's own language."""
    language = reading.language
    if language == "en":
        yield from _english(clause)
    elif language in _NOUN_AFTER:
        forms, nouns, before = _forms(language), _NOUN_AFTER[language], ""
        for match in _WORD.finditer(clause):
            word = match[0].rsplit("'", 1)[-1]
            if word in forms and before not in nouns:
                yield match
            before = match[0]


# English

_CAUSES: Final = frozenset("make makes making let lets letting have having get watch gonna wanna".split())
_MODALS: Final = frozenset("can could may might must shall should will would".split())
_ASKS_US: Final = frozenset(["you", "u", "we", "i", ""])
"""A modal after one of these asks for a clip: "can you bring this to life" moves nothing."""

_NO_VERB_AFTER: Final = frozenset(
    "a an the this that these those my your our his her its their some any no every each of in on at by with from into onto for as"
    " than very more most over under through near behind along across against between around before after without like make have"
    " get is are was were".split()
)
_SUBJECT: Final = frozenset("he she it they who we you i and then".split())
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


_GOES_ON: Final = frozenset("keep keeps start starts begin begins been be".split())


@cache
def _english_forms() -> tuple[frozenset[str], frozenset[str], frozenset[str], frozenset[str]]:
    """Return the plain forms, and those in -s, -ed and -ing."""
    base = frozenset(_infinitives("en")) | listed_verbs()
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
        for each in (
            "run:ran fly:flew swim:swam rise:rose fall:fell blow:blew throw:threw catch:caught swing:swung spin:spun sink:sank grow:grew"
            " drink:drank eat:ate take:took give:gave bring:brought break:broke tear:tore shake:shook speak:spoke ride:rode drive:drove"
            " write:wrote draw:drew sing:sang come:came go:went sit:sat stand:stood turn:turned leave:left creep:crept sweep:swept"
            " weep:wept leap:leapt/leaped kneel:knelt/kneeled slide:slid shine:shone/shined burst:burst bite:bit hide:hid wake:woke"
            " freeze:froze steal:stole weave:wove shoot:shot sew:sewed dig:dug cling:clung fling:flung bend:bent wind:wound"
        ).split()
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


# Other languages


@cache
def _forms(language: str) -> frozenset[str]:
    make = _german if language == "de" else _romance
    return frozenset(form for entry in _infinitives(language) for form in make(entry, language)) - _nouns(language)


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
    for stem in (infinitive[:-2], *stems):
        for ending in _ENDINGS[language].get(kind, "").split():
            yield stem + ending
            respelled = _BEFORE_E if kind == "ar" and ending[0] == "e" else _BEFORE_A if kind != "ar" and ending[0] == "a" else {}
            for one, other in respelled.get(language, ()):
                if stem.endswith(one):
                    yield stem[: -len(one)] + other + ending


def _infinitives(language: str) -> list[str]:
    return str(_listed()[language]).split()


def _nouns(language: str) -> frozenset[str]:
    return frozenset(_listed()["nouns"][language].split())


@cache
def _listed() -> Any:
    return yaml.load(_VERBS_FILE.read_text(encoding="utf-8"), Loader=LOADER)  # noqa: S506 - a safe one
