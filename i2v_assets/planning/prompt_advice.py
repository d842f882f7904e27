"""Advice about a prompt, from the prompting pages of the models' makers.

Advice never blocks a clip, because a person may know better. The pages say: the image fixes the look and the prompt drives the
motion; start with a motion; use one primary motion; say what must hold; number the references; do not mix styles. A rule about
verbs speaks only where the prompt's language has a list, and what a prompt denies is cut out before it is compared.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel, ConfigDict

from i2v_assets.planning.asking import Ask
from i2v_assets.planning.media_numbers import references
from i2v_assets.planning.motions import commands, motions_of
from i2v_assets.planning.speaking import words_of_talking
from i2v_assets.planning.vocabulary import Reading, pattern, read_prompt
from i2v_assets.planning.words_against_fields import Fields, words_against
from resources.schemas.endpoints import LIMITS, prompt_units
from resources.schemas.inputs import Family, MediumKind, Route
from resources.schemas.limits import DEFAULT_DURATION

NEAR = 0.9
"""Share of the limit from which a prompt counts as long."""

SMALL_FACE = 0.05
"""Minimum share of the frame that a face should fill on the default route (model page of HappyHorse)."""


class Advice(BaseModel):
    """One piece of advice: a stable code and a text for people."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    words: str


class PromptFacts(BaseModel):
    """Inputs of the advice besides the prompt.

    Attributes:
        family: The endpoint.
        images: Number of images sent.
        videos: Number of reference videos sent.
        audios: Number of sounds sent.
        face_share: Share of the frame that the largest face fills; None if unchecked or without a face.
        portrait: The image is a portrait.
        large_faces: Number of large faces in the image.
        subject: The preset of the subject that the image's name speaks of; empty if it speaks of none.
        written: A person wrote the prompt; presets are not compared with the fields.
        duration: Seconds of the clip.
        resolution: The tier; empty if it is not decided.
        resolutions: The tiers that the endpoint makes.
        aspect_ratio: The brief's own ratio; None if it gives none.
        image_aspect: Width over height of the first image; None without one.
        takes_aspect: The endpoint has an `aspect_ratio`.
        loops: The brief says that the clip loops.
        silent: The sound is switched off, or another one is laid under the clip.
        switches_sound: The endpoint can leave the sound out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Family
    images: int = 0
    videos: int = 0
    audios: int = 0
    face_share: float | None = None
    portrait: bool = False
    large_faces: int = 0
    subject: str = ""
    written: bool = True
    duration: int = DEFAULT_DURATION
    resolution: str = ""
    resolutions: tuple[str, ...] = ()
    aspect_ratio: str | None = None
    image_aspect: float | None = None
    takes_aspect: bool = False
    loops: bool = False
    silent: bool = False
    switches_sound: bool = False


_CAMERA = re.compile(
    r"\b(?:track|doll|pan|tilt|orbit|crane|truck|zoom|push|pull|follow|drift|glid|fl(?:y|ies)|arc|mov)\w*"
)
"""Words that make a shot a motion: "tracking shot of the car" does not describe a still."""

_WAYS: Final[tuple[tuple[str, str, str, str], ...]] = (("left", "right", "左", "右"), ("up", "down", "上", "下"))
"""Directions that exclude each other, in English and in Chinese."""
_TURNS = tuple(
    (
        words,
        re.compile(
            rf"\b(?:pan|tilt|track|truck|orbit|drift|glid|mov|swing|crane)\w*(?:\s+[\w-]+){{0,3}}?\s+({words[0]}|{words[1]})\b"
            rf"(?:(?:\s*,\s*|\s+(?:and|then)\b\s*)+(?:back\s+)?(?:to\s+)?(?:the\s+)?({words[0]}|{words[1]})\b)?"
            rf"|向?({words[2]}|{words[3]})[方侧边]?(?:平|横)?[摇移转]",
            re.IGNORECASE,
        ),
    )
    for words in _WAYS
)
"""A camera motion with its direction and the next one: "pan left then pan right", "tilt up and down". "Pan from left to
right" is one motion."""

_ANIMATED = "".join(
    f"(?<!{noun} )"
    for noun in (
        "dessin",
        "dessins",
        "film",
        "films",
        "gif",
        "logo",
        "fond",
        "portrait",
        "tableau",
        "texte",
        "personnage",
    )
)
_OBJECT = (
    r"(?:l'|(?:la|le|les|los|las|el|o|a|os|as|cette|ce|cet|ces|est[ae]|ess[ae]|mon|ma|mes|notre|nos|minha|meu|nossa|nosso|mi|nuestr[oa]"
    r"|su|sua|seu|de forma|lentamente|doucement|suavemente)\b)"
)
"""What shows that "anime" is French, Spanish or Portuguese for "animated" or "animate": "dessin animé", "anime a foto"."""

_STYLES: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        name: re.compile(rf"\b(?:{latin})\b|{cjk}")
        for name, (latin, cjk) in {
            "photographic": (
                r"photo-?realis(?:tic|m)|realistic|documentary|live[- ]action|lifelike|fotorealistisch\w*|realistisch\w*"
                r"|fotorrealista|realista|photorealiste|realiste",
                "写实|照片级|真实感|実写|リアル|フォトリアル",
            ),
            "anime": (rf"{_ANIMATED}anime(?! {_OBJECT})|manga|ghibli", "动漫|日漫|アニメ調|アニメ風|アニメスタイル|二次元"),
            "cartoon": (r"cartoons?|comic(?: book)?|cel[- ]shaded|zeichentrick\w*|dibujos animados|dessin anime", "卡通|漫画风"),
            "3D render": (r"3d[- ]render(?:ed|ing)?|pixar|cgi|unreal engine", "3d渲染|三维渲染|3dcg"),
            "painting": (
                r"watercolou?r|oil painting|impressionis(?:t|m)|gouache|aquarell\w*|olgemalde|acuarela|oleo|aquarelle"
                r"|peinture a l'huile|aquarela|pintura a oleo",
                "水彩|油画|油絵",
            ),
            "clay": (r"claymation|stop[- ]motion|plasticine|knetanimation|plastilina|pate a modeler", "黏土|粘土|クレイ"),
            "pixel art": (r"pixel art|8-bit|voxel", "像素风|像素画|ドット絵"),
            "drawing": (r"(?:pencil|charcoal) (?:sketch|drawing)|line art|sketch style|bleistiftzeichnung|dibujo a lapiz", "素描|鉛筆画|线稿"),
        }.items()
    }
)  # fmt: skip

HELD: Final[Mapping[str, str]] = MappingProxyType(
    {
        "portrait": "“identity-stable features”",
        "product": "“shape and lettering unchanged”",
        "character": "“markings and proportions unchanged”",
    }
)
"""What to hold of the subjects that change most easily."""


def advise(prompt: str, route: Route, facts: PromptFacts) -> tuple[Advice, ...]:
    """Return everything that could be better about a prompt.

    Args:
        prompt: The prompt as it would be sent.
        route: The clip's route.
        facts: The other inputs.
    """
    reading = read_prompt(prompt)
    advice = [*_length(prompt, facts), *_references(prompt, route, facts), *_styles(reading)]
    if route is not Route.LIP_SYNC:  # lip-sync prompts describe the shot; the voice drives the motion
        advice += _several(prompt, route)
    if route is Route.ANIMATE:
        advice += _animate(prompt, reading, facts)
    if facts.written:
        advice += words_against(reading, _fields(facts))
    advice += _sound(route, facts)
    return tuple(Advice(code=code, words=words) for code, words in advice)


def still_due(advice: Iterable[Advice], asks: Iterable[Ask]) -> tuple[Advice, ...]:
    """Return the advice without what a clip is held for already, and what a sound that is missing will settle."""
    codes = {ask.code for ask in asks}
    settled = {"reference_missing"} if any(code.endswith("_missing") for code in codes) else set()
    settled |= {"nothing_held"} if "audio_missing" in codes else set()
    return tuple(each for each in advice if each.code not in settled)


def _several(prompt: str, route: Route) -> Iterator[tuple[str, str]]:
    motions, turns = motions_of(prompt), list(_turns(prompt))
    if turns or (motions.several and (route is Route.ANIMATE or len(motions.camera) > 1)):
        named = [*motions.camera, *turns, *motions.actions, *([motions.slight] if motions.slight else [])]
        yield (
            "several_motions",
            f"The prompt asks for several motions ({', '.join(named[:6])}). One primary motion per clip works best.",
        )
    if motions.contradiction:
        yield "contradiction", f"The prompt asks for {motions.contradiction}. Keep one of them."


def _turns(prompt: str) -> Iterator[str]:
    """Yield the pairs of opposite directions that the prompt names."""
    for words, turn in _TURNS:
        directions = {part.lower() for match in turn.findall(prompt) for part in match if part}
        for one, other in (words[:2], words[2:]):
            if {one, other} <= directions:
                yield f"{one} and {other}"


def _animate(prompt: str, reading: Reading, facts: PromptFacts) -> Iterator[tuple[str, str]]:
    motions = motions_of(prompt)
    if reading.language is not None and not motions.leads:
        yield (
            "no_motion_verb",
            "The prompt does not begin with a motion. Start with one verb: drift, dolly in, orbit, tilt up, blink, breathe.",
        )
    if describes := (_says_still(reading) or (reading.language is not None and motions.describes)):
        yield (
            "describes_still",
            "The prompt describes the picture, which the image already fixes. Describe what moves and what must stay.",
        )
    seen = facts.portrait or bool(facts.large_faces or facts.face_share)
    if words_of_talking(reading, seen=seen) and not facts.audios:
        yield (
            "talking_without_voice",
            "The prompt lets somebody speak, and the clip has no voiceover. The model makes up voice and words by itself;"
            " it cannot follow a recording. For your own voice upload a WAV or MP3 beside the image.",
        )
    subject = "portrait" if facts.portrait else facts.subject
    if facts.written and subject in HELD and not describes and not reading.find_anywhere("holds"):
        yield "nothing_held", f"The prompt does not say what must stay. Add what matters, such as {HELD[subject]}."
    if facts.face_share is not None and 0 < facts.face_share < SMALL_FACE:
        yield (
            "small_face",
            f"The face fills {facts.face_share:.1%} of the frame; below {SMALL_FACE:.0%} it may change. Crop closer to it.",
        )


def _says_still(reading: Reading) -> bool:
    asks = bool(reading.clauses) and commands(reading, reading.clauses[0])
    return any(
        not (asks and match.start() == 0) and not (match[0].endswith(" of") and _CAMERA.search(match[0]))
        for match in pattern("still_phrases", reading.language).finditer(reading.said)
    )


def _references(prompt: str, route: Route, facts: PromptFacts) -> Iterator[tuple[str, str]]:
    named = references(prompt)
    counts = {MediumKind.IMAGE: facts.images, MediumKind.VIDEO: facts.videos, MediumKind.AUDIO: facts.audios}
    if route is Route.MULTI_MODAL and not named and sum(counts.values()) > 1:
        yield (
            "references_not_numbered",
            "The prompt does not refer to its media by number. Number them:"
            " “subject from image 1, camera motion from video 1, voice from audio 1”.",
        )
    missing = [f"{kind} {number}" for kind, number in named if number > counts[kind]]
    if missing:
        yield ("reference_missing", f"The prompt names {', '.join(missing)}, which this clip does not have.")


def _styles(reading: Reading) -> Iterator[tuple[str, str]]:
    styles = [name for name, words in _STYLES.items() if words.search(reading.said)]
    if len(styles) > 1:
        yield ("conflicting_styles", f"The prompt mixes styles ({', '.join(styles)}). Keep one.")


def _sound(route: Route, facts: PromptFacts) -> Iterator[tuple[str, str]]:
    if route is Route.LIP_SYNC and facts.large_faces > 1:
        yield (
            "voice_of_group",
            f"The image shows {facts.large_faces} large faces and there is one voice: more than one mouth may move."
            " Crop to the person who speaks.",
        )


def _fields(facts: PromptFacts) -> Fields:
    aspect = facts.image_aspect
    if facts.aspect_ratio is not None and ":" in facts.aspect_ratio:
        width, _, height = facts.aspect_ratio.partition(":")
        aspect = int(width) / int(height)
    limits = LIMITS.get(facts.family)  # a family that is used by its live schema has none of its own
    return Fields(
        duration=facts.duration,
        aspect=aspect,
        takes_aspect=facts.takes_aspect,
        resolution=facts.resolution or (limits.default_resolution if limits else ""),
        resolutions=facts.resolutions or (limits.resolutions if limits else ()),
        loops=facts.loops,
        silent=facts.silent or facts.audios > 0,
        switches_sound=facts.switches_sound,
        model=facts.family,
    )


def _length(prompt: str, facts: PromptFacts) -> Iterator[tuple[str, str]]:
    if facts.family not in LIMITS:
        return
    limits = LIMITS[facts.family].prompt
    units = prompt_units(limits, prompt)
    if NEAR * limits.max_units <= units <= limits.max_units:
        yield (
            "near_limit",
            f"The prompt has {units} of at most {limits.max_units} {limits.unit}. Shorter ones steer better.",
        )
