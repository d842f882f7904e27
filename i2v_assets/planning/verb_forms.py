"""Recognise a verb by its inflection: the forms that a table of endings makes of the infinitives in `verbs.yaml`. Pure.

A form counts as a verb by its place too, as a noun or an adjective may be spelled alike: "la caza" and "das Laufen" follow an
article. English has few endings, so its plain form is a verb only after another verb or a word that calls for one: "make the
flag wave", "he could turn".
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from i2v_assets.planning.inflection import INFLECTED, before_nouns, english, forms, infinitives, nouns
from i2v_assets.planning.names import names_somebody
from i2v_assets.planning.vocabulary import Reading, listed_verbs

_WORD: Final = re.compile(r"(?<![\w-])[a-z][a-z'-]*")


def verbs_in(reading: Reading, clause: str) -> Iterator[re.Match[str]]:
    """Yield the words of a clause that are verbs by their form and place, in the prompt's own language."""
    language = reading.language
    if language == "en":
        yield from _english(clause)
    elif language in INFLECTED:
        verbs, alike, before = forms(language), nouns(language), ""
        for match in _WORD.finditer(clause):
            *elided, word = match[0].rsplit("'", 1)
            reflexive = before in {"se", "sich"} or elided == ["s"]
            if (word in verbs and before not in before_nouns(language)) or (reflexive and word in alike):
                yield match
            before = match[0]


# English

_CAUSES: Final = frozenset(
    ["make", "makes", "making", "let", "lets", "letting", "have", "having", "get", "watch", "gonna", "wanna"]
)
_MODALS: Final = frozenset(["can", "could", "may", "might", "must", "shall", "should", "will", "would"])
_ASKS_US: Final = frozenset(["you", "u", "we", "i", ""])
"""A modal after one of these asks for a clip: "can you bring this to life" moves nothing."""

_FILMS: Final = frozenset(["clip", "reel"])
"""Nouns of what is made, which are verbs too: "make a 10 second clip"."""

_SUBJECT: Final = frozenset(["he", "she", "it", "they", "who", "we", "you", "i", "and", "then"])
_SUPPOSED: Final = re.compile(r"\b(?:if|as though|wish|until|while|when|so that)\b")


def _english(clause: str) -> Iterator[re.Match[str]]:
    base, third, past, ing = _english_forms()
    called, before = False, ""
    supposed = _SUPPOSED.search(clause)
    for match in _WORD.finditer(clause):
        word = match[0]
        if before not in before_nouns("en") and (
            (called and word in base and word not in _FILMS)
            or (word in past and (before in _SUBJECT or (supposed and supposed.end() < match.start())))
            or (word in third and before in _SUBJECT)
            or (word in ing and before in _GOES_ON)
            or (word in base and names_somebody(before) and _GOES_WITH.match(clause, match.end()))
            or (word.rstrip("'").endswith("in") and word.rstrip("'") + "g" in ing)  # "hair blowin in the wind"
        ):
            yield match
        called = called or word in _CAUSES or (word in _MODALS and before not in _ASKS_US)
        before = word


_GOES_WITH: Final = re.compile(
    r" (?:(?:his|her|its|their|the|one|both) )?(?:head|eyes?|face|hands?|arms?|legs?|tail|ears?|wings?|mouth|body|hair|to|into|towards?|around"
    r"|away|up|down|back|off|out|forward|left|right|very|so|fast|loud|\w+ly)\b"
)
"""What follows an uninflected verb after a person or an animal: "the old woman turn head", and not "a dog show"."""

_GOES_ON: Final = frozenset(["keep", "keeps", "start", "starts", "begin", "begins", "been", "be"])


@cache
def _english_forms() -> tuple[frozenset[str], frozenset[str], frozenset[str], frozenset[str]]:
    """Return the plain forms, those in -s, the past ones and those in -ing."""
    base = frozenset(infinitives("en")) | listed_verbs()
    irregular = {verb: past.split("/") for verb, _, past in (each.partition(":") for each in infinitives("en_past"))}
    regular = (english(verb, "ed") for verb in base - irregular.keys())
    return (
        base,
        frozenset(form for verb in base for form in english(verb, "s")),
        frozenset(form for past in (*irregular.values(), *regular) for form in past),
        frozenset(form for verb in base for form in english(verb, "ing")),
    )
