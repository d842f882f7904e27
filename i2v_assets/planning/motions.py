"""What a prompt sets in motion: its lead, the camera's moves, the subjects' actions, and what contradicts itself. Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from typing import Final

from i2v_assets.planning.inflection import INFLECTED
from i2v_assets.planning.verb_forms import verbs_in
from i2v_assets.planning.vocabulary import LONGEST_WORD, Reading, camera_moves, pattern, read_prompt

LEAD_WORDS: Final = 6
"""Number of first words in which a motion counts as leading; in "the camera slowly pushes in" it is the fourth."""

DESCRIBING_WORDS: Final = 4
"""Fewest words without a motion that describe the picture; fewer name a style or a subject: "macro", "a cat"."""

DESCRIBING_BEFORE: Final = 7
"""The same before a motion, where fewer name the shot: "close-up on the guitar, strings vibrate". Of the labelled prompts
those with 6 words or fewer do not describe, and those with 7 or more do."""

CHARACTERS_OF_WORD: Final = 2
"""Characters of most Chinese and Japanese words: without blanks, their words are counted by it."""

SEVERAL_ACTIONS: Final = 3
"""Actions from which a clip of a few seconds has several motions. Slight ones, such as a blink, count as one together."""

_CJK_CHARACTER = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")


@dataclass(frozen=True)
class Motions:
    """What a prompt sets in motion.

    Attributes:
        lead: Words (in Chinese and Japanese pairs of characters) before the first motion; None if there is none.
        describes: The prompt begins with a description of the picture.
        camera: The camera's moves, by name.
        actions: What subjects do, in the prompt's words.
        slight: A slight action, such as a blink, in the prompt's words; empty if there is none.
        sequences: The words that put one motion after another.
        counted: An action is named by a noun, such as "three burpees", and so may be those that follow it.
        shots: The shots or scenes that the prompt numbers.
        contradiction: Two things that cannot both be, as the end of "asks for"; empty if there are none.
    """

    lead: int | None
    describes: bool
    camera: tuple[str, ...]
    actions: tuple[str, ...]
    slight: str
    sequences: int
    contradiction: str
    shots: int = 1
    counted: bool = False

    @property
    def leads(self) -> bool:
        """True if the prompt leads with a motion."""
        return self.lead is not None and self.lead <= LEAD_WORDS

    @property
    def several(self) -> bool:
        """True if the prompt asks for more than one primary motion."""
        actions = len(self.actions) + bool(self.slight)
        moves = {name for name in self.camera if name != "other moves"}  # "handheld" is not a move beside "push in"
        return (
            self.shots > 1
            or len(moves) > 1
            or actions >= SEVERAL_ACTIONS
            or (self.sequences > 1 and (self.counted or len(self.camera) + actions > 1))
            or (self.sequences > 0 and len(self.camera) + len(self.actions) > 2)
        )


def motions_of(prompt: str) -> Motions:
    """Return what a prompt sets in motion."""
    return motions_in(read_prompt(prompt))


@lru_cache(maxsize=4096)
def motions_in(reading: Reading) -> Motions:
    """Return what a prompt sets in motion, as it is understood."""
    clauses = [rest for clause in reading.clauses if (rest := _without_format(clause)).strip()]
    lead, describes = _lead(reading, clauses)
    segments = list(_segments(_moving(reading, clause) for clause in clauses))
    camera: dict[str, None] = {}
    actions: dict[str, None] = {}
    slight = ""
    sequences = len(pattern("sequence", reading.language).findall(reading.said))
    for segment in segments:
        moves = _camera(reading, segment)
        camera |= dict.fromkeys(moves)
        if not moves:
            big, small = _actions(reading, segment)
            if big and not sequences and _CAMERA_LEADS.match(segment):  # "the camera travels to it": no subject moves
                camera["other moves"] = None
                continue
            actions |= dict.fromkeys(big)
            slight = slight or small
    if reading.find("dolly_zoom"):
        camera = {"dolly zoom": None} | {name: None for name in camera if name not in _IN_DOLLY_ZOOM}
    contradiction = _contradiction(reading, tuple(camera))
    shots = {match[0] for match in pattern("numbered_shots", reading.language).finditer(reading.text)}
    counted = bool(reading.find("counted_actions"))
    return Motions(
        lead, describes, tuple(camera), tuple(actions), slight, sequences, contradiction, len(shots), counted
    )


# The lead


def _lead(reading: Reading, clauses: list[str]) -> tuple[int | None, bool]:
    """Return the words before the first motion, None without one, and whether they describe the picture."""
    first = next(iter(reading.clauses), "")  # with "make me a short clip", which `clauses` lack
    before, whole, commanded = 0, 0, bool(_without_format(first).strip()) and commands(reading, first)
    for clause in clauses:
        place = _first_motion(reading, _moving(reading, clause))
        if place is not None:
            # a Japanese verb stands at its clause's end
            before += 0 if reading.language == "ja" else _length(clause[:place])
            scaled = before // CHARACTERS_OF_WORD if _is_cjk(reading) else before
            return scaled, not commanded and _describing(reading, whole, DESCRIBING_BEFORE)
        loops = pattern("loop", reading.language).search(clause)
        commanded = commanded or bool(loops or commands(reading, clause))
        length = _length(pattern("delivery", reading.language).sub(" ", clause))
        before += length
        whole += length
    return None, not commanded and _describing(reading, whole, DESCRIBING_WORDS)


def commands(reading: Reading, clause: str) -> bool:
    """Return whether a clause asks for a clip, which describes nothing; a Japanese verb stands at its end."""
    words = pattern("commands", reading.language)
    found = words.search(clause) if reading.language == "ja" else words.match(clause)
    return bool(found or pattern("animates", reading.language).search(clause))


def _moving(reading: Reading, clause: str) -> str:
    """Return a clause in which the words that only look like a motion, such as "turn this into a video", are blanks."""
    for concept in ("animates", "no_motion"):
        clause = pattern(concept, reading.language).sub(lambda match: " " * len(match[0]), clause)
    return clause


def _describing(reading: Reading, length: int, words: int) -> bool:
    return length >= (words * CHARACTERS_OF_WORD if _is_cjk(reading) else words)


def _is_cjk(reading: Reading) -> bool:
    return reading.language in {"ja", "zh"}


def _length(text: str) -> int:
    return len(_CJK_CHARACTER.findall(text)) + len(re.findall(r"[a-z0-9][\w'-]*", _CJK_CHARACTER.sub(" ", text)))


def _first_motion(reading: Reading, clause: str) -> int | None:
    found = [
        match.start()
        for each in _MOTION
        if (match := next(_verbs(reading, pattern(each, reading.language), clause), None))
    ]
    found += [match.start() for match in verbs_in(reading, clause)]
    for move in camera_moves(reading.language):
        found += [match.start() for each in (move.sure, move.maybe) if (match := each.search(clause))]
    first = min(found, default=None)
    if first is None:
        shaped = pattern("unknown_verbs", reading.language).search(clause)
        return shaped.start() if shaped else None
    # "the camera on its rail beside the table moves": the camera leads
    return min([first, *(match.end() for match in _CAMERA_LEADS.finditer(clause[:first]))])


_CAMERA_LEADS = re.compile(
    r"^\W*(?:(?:the|a|die|eine?|la|el|un|une|a|o|uma?) )?(?:camera|kamera|camara|drone?|drohne|カメラ|ドローン|镜头|无人机)"
)


def _verbs(reading: Reading, words: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Yield the matches of words that are verbs; a noun or an adjective may have the same form."""
    language = reading.language or ""
    adjective, before_noun = _ADJECTIVE.get(language), _BEFORE_NOUN_CJK.get(language)
    for match in words.finditer(text):
        noun = reading.language == "en" and _is_noun_or_adjective(text, match)
        noun = noun or bool(before_noun and before_noun.match(text, match.end()))
        if not noun and not (adjective and adjective.search(match[0])):
            yield match


_BEFORE_NOUN_CJK: Final = {
    "ja": re.compile("(?:[いっんしきちりび]?[ただ]|(?<=光る)|(?<=輝)く|(?<=きらめ)く)(?=[\u4e00-\u9fff\u30a1-\u30f6])"),
    "zh": re.compile("(?<![飘落飞流燃涌滚])的(?=[\u4e00-\u9fff])"),
}
"""What makes a verb describe the noun after it: "焼いたパン", "打开的书"; "飘落的雪" moves."""

_ADJECTIVE: Final = {
    "de": re.compile(r"nde[mnrs]?$|^(?:warmes|fades|landes)$"),
    "es": re.compile(r"(?:[ai]d[oa]s?|antes?|ientes?|adora?s?)$"),
    "pt": re.compile(r"(?:[ai]d[oa]s?|antes?|entes?|adora?s?)$"),
    "fr": re.compile(r"(?:ees?|antes?|ants)$"),
}
"""Endings of adjectives made of verbs: "pelo ondulado", "piel brillante", "une femme souriante"."""


def _is_noun_or_adjective(text: str, match: re.Match[str]) -> bool:
    """Return True for the form of a verb that is not used as one, as in "a smiling woman" or "in soft curls"."""
    before = _LAST_WORD.search(text, max(0, match.start() - LONGEST_WORD), match.start())
    if before is None and _SHINES.fullmatch(match[0]) and match.start() == 0:
        return bool(_NOUN_AHEAD.match(text, match.end()))
    if before is None or " " in match[0]:
        return False
    if match[0].endswith("ing"):
        return before[1] in _BEFORE_NOUN and bool(_NOUN_AHEAD.match(text, match.end()))
    moving = before[1].endswith("ing") and not _THING.fullmatch(before[1])  # "crashing waves" is one motion
    plural = moving or before[1] in _BEFORE_NOUN | _BEFORE_PLURAL
    return match[0].endswith("s") and plural


_SHINES = re.compile(
    r"(?:glow|shin|sparkl|glitter|gleam|shimmer|glisten|twinkl|glimmer|blaz|radiat|flow|smil|laugh|grinn|sleep)ing"
)
"""At a clause's start before a noun it tells how that looks, "glowing katana"; of other verbs it is done to the noun."""

_THING = re.compile(
    r"[^aeiou]*ing|building|ceiling|painting|drawing|railing|awning|earring|evening|morning|stocking|clothing|lightning|icing|frosting"
    r"|viking|\w+[bdptr]ling"
)
"""Nouns that end like a verb: "the swing sways", "a duckling waddles"."""
_LAST_WORD = re.compile(r"([a-z]+) $")
_BEFORE_NOUN: Final = frozenset(
    ["a", "an", "the", "his", "her", "its", "their", "my", "our", "your", "with", "of", "in", "on", "by", "no"]
)
_BEFORE_PLURAL: Final = frozenset(
    [
        "from",
        "for",
        "like",
        "as",
        "without",
        "two",
        "three",
        "many",
        "few",
        "some",
        "soft",
        "small",
        "tiny",
        "little",
        "gentle",
        "big",
        "bright",
        "thin",
        "slow",
    ]
)
_NOUN_AHEAD = re.compile(
    r" (?!(?:in|on|at|to|into|onto|from|off|out|up|down|over|under|around|along|across|through|past|by|with|towards?|away|back"
    r"|and|while|as|then|or|but|for|behind|beside|between|a|an|the|his|her|its|their|it|him|them|gently|slowly|softly|\w+ly"
    # what moves by itself: "falling snow" is a motion
    r"|waves?|snow|rain|lea(?:f|ves)|clouds?|water|smoke|steam|flames?|fire|petals?|sparks?|fog|mist|grass|traffic|lava)\b)[a-z]"
)


_IN_DOLLY_ZOOM: Final = frozenset({"push in", "pull out", "track", "other moves"})

_MOTION: Final = (
    "motions",
    "moved",
    "bare_moves",
    "dolly_zoom",
    "still_camera",
    "steady_camera",
    "speech",
    "sings",
    "counted_actions",
)

_FORMAT = re.compile(
    r"^(?:\W*(?:\d+(?:\.\d+)?[- ]?(?:seconds?|secs?|sekunden?|segundos?|secondes?|s|秒)(?: (?:lang|long|clip|video))*(?:間|钟)?"
    r"|\d+:\d+|(?:portrait|landscape|upright) (?:format|orientation|mode|video|clip)(?![a-z])|[248]k|uhd|hd|\d{3,4}p|(?:vertical|horizontal|square|seamless|perfect|endless|silent|short|cinematic|clip|video"
    r"|reel|loop|film|shot|boucle|parfaite|bucle|perfecto|endlosschleife|a|an|the|make|me|it|format|formato|hochformat|hochkant"
    r"|querformat|quadratisch|vertikal|duration|length|output|aspect|ratio|widescreen|carre|cuadrado|quadrado|instagram|insta|ig"
    r"|tiktok|youtube|reels|stor(?:y|ies)|shorts|for|fur|pour|para|en|im|in|als|de|duree|duracion|duracao|dauer|lange)(?![a-z])"
    r"|竖屏|横屏|竖版|横版|方形|縦動画|縦型|横型|短视频|视频|動画))+"
)
"""Words about the file and not about the picture at a clause's start, such as "10 second vertical clip"."""


def _without_format(clause: str) -> str:
    match = _FORMAT.match(clause)
    if match is None:
        return clause
    rest = clause[match.end() :].strip(" ,.-")
    # "a woman" and "make the flag wave" begin with words that are not a format by themselves
    return rest if re.search(r"\d|[a-z]{4}|秒|[^\x00-\x7f]", _FILLER.sub("", match[0])) else clause


_FILLER = re.compile(r"(?<![a-z])(?:make|para|pour)(?![a-z])")


# Camera and actions


def _segments(clauses: Iterable[str]) -> Iterator[str]:
    joints = pattern("joints", None)
    for clause in clauses:
        yield from (part.strip() for part in joints.split(clause) if part.strip())


def _camera(reading: Reading, segment: str) -> list[str]:
    """Return the camera's moves of a segment, without the turns and drifts of a subject."""
    by_camera = bool(pattern("camera_nouns", reading.language).search(segment))
    found = []
    for move in camera_moves(reading.language):
        maybe = move.maybe.search(segment)
        if move.sure.search(segment) or (maybe and (by_camera or _leads_segment(segment[: maybe.start()]))):
            found.append(move.name)
    named = [name for name in found if name not in {"other moves", "drift"}]
    return (named or found)[:3]


def _leads_segment(before: str) -> bool:
    words = pattern("leading", None).sub(" ", before)
    return not re.search(r"[a-z\u3040-\u30ff\u4e00-\u9fff]", words)


def _actions(reading: Reading, segment: str) -> tuple[list[str], str]:
    big, small, end = [], "", -1
    slight = pattern("small_motions", reading.language)
    listed = list(_verbs(reading, pattern("motions", reading.language), segment))
    covered = {place for each in listed for place in range(each.start(), each.end())}
    formed = [each for each in verbs_in(reading, segment) if covered.isdisjoint(range(each.start(), each.end()))]
    found = sorted([*listed, *formed], key=lambda each: each.start())
    for match, following in zip_longest(found, found[1:]):
        if following and reading.language in INFLECTED and segment[match.end() : following.start()] == " ":
            continue  # one action: "Tropfen fallen", "kommt gelaufen", "sigue caminando"
        if slight.fullmatch(match[0]):
            small = small or match[0]
        else:
            if match.start() != end or not _is_cjk(reading):  # "舞い落ちる" is one action
                big.append(match[0])
            end = match.end()
    return big, small


def _contradiction(reading: Reading, camera: tuple[str, ...]) -> str:
    still = reading.find("still_camera") or reading.find_anywhere("no_camera_move")
    moves = [name for name in camera if name not in {"other moves", "drift"}]
    if still and moves:
        return f"a still camera (“{still}”) and a move ({moves[0]})"
    for one, other in (("push in", "pull out"), ("rise", "descend")):
        if one in camera and other in camera:
            return f"opposite moves ({one} and {other})"
    return ""
