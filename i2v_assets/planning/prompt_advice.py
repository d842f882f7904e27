"""Advice about a prompt, from the prompting pages of the models' makers.

Advice never blocks a clip, because a person may know better. The pages say: the image fixes the look and the prompt drives the
motion; start with a motion verb; use one primary motion; number the references; do not mix styles.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel, ConfigDict

from i2v_assets.planning.routing import mentions_speech, references
from resources.schemas.endpoints import LIMITS, prompt_units
from resources.schemas.inputs import Family, MediumKind, Route

NEAR = 0.9
"""Share of the limit from which a prompt counts as long."""

SMALL_FACE = 0.05
"""Minimum share of the frame that a face should fill on the default route (model page of HappyHorse)."""

_LEAD_WORDS = 6
"""Number of first words in which a verb counts as leading; in "the camera slowly pushes in" it is the fourth."""

_LEAD_CHINESE = 2 * _LEAD_WORDS
"""The same limit in characters for Chinese, which has no spaces; most of its words have two characters."""


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
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Family
    images: int = 0
    videos: int = 0
    audios: int = 0
    face_share: float | None = None


_MOTIONS: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        name: re.compile(rf"\b(?:{pattern})\b|{chinese}", re.IGNORECASE)
        for name, (pattern, chinese) in {
            "push in": (
                r"push(?:es|ing)?[- ]?in|doll(?:y|ies|ying)[- ]?in|zoom(?:s|ing)?[- ]?in|move(?:s)? closer",
                r"推近|推进|推向|推镜|拉近",
            ),
            "pull out": (
                r"pull(?:s|ing)?[- ]?(?:out|back)|doll(?:y|ies|ying)[- ]?(?:out|back)|zoom(?:s|ing)?[- ]?out",
                r"拉远|拉出|后拉|推远",
            ),
            "pan": (r"pan(?:s|ning)?", r"左摇|右摇|横摇|摇镜|摇摄|[左右]移|平移"),
            "tilt": (r"tilt(?:s|ing)?", r"上摇|下摇|俯仰"),
            "orbit": (r"orbit(?:s|ing)?|circl(?:e|es|ing)|arc(?:s|ing)? around|rotat(?:e|es|ing)", r"环绕|绕拍|旋转"),
            "track": (r"track(?:s|ing)?|follow(?:s|ing)?|truck(?:s|ing)?", r"跟拍|跟随|跟踪"),
            "rise": (r"crane(?:s)?|ris(?:e|es|ing)|ascend(?:s|ing)?", r"上升|升起|抬升"),
            "descend": (r"descend(?:s|ing)?", r"下降|降落"),
            "drift": (r"drift(?:s|ing)?|glid(?:e|es|ing)|float(?:s|ing)?", r"漂移|飘移|滑行"),
        }.items()
    }
)
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
_VERBS = re.compile(
    r"\b(?:push|pull|doll(?:y|ie)|zoom|pan(?:n)?|tilt|orbit|circl|arc|rotat|track|follow|truck|cran|ris|ascend|descend"
    r"|drift|glid|float|reveal|blink|breath|turn|walk|run|danc|wav|smil|nod|look|open|clos|pour|spin|fly|flies|jump|fall"
    r"|swing|swa(?:y|ys)|sweep|mov|lift|lower|rais|reach|step|flow|rippl|flicker|fade|approach|lean|laugh|sing|talk"
    r"|speak|shake|stretch|settl|unfold|ignit|explod|melt|grow|shrink|morph|blow|roll|slid|shift|lunge|sit|stand|bend)"
    r"(?:e|es|s|ed|ing|ning|n)?\b|推|拉|摇|移|跟|环绕|旋转|升|降|转|走|跑|跳|眨|呼吸|飘|飞",
    re.IGNORECASE,
)
_STILL = re.compile(
    r"^\W*(?:(?:an?|the|this)\s+)?(?:[\w-]+\s+){0,3}(?:photo|photograph|image|picture|portrait|shot|close-?up|still)\s+of\b"
    r"|\b(?:the|this) (?:image|picture|photo) (?:shows|depicts)\b"
    r"|^\W*(?:一张|一幅|这张|这幅|这是)[^，。,.]{0,20}(?:照片|图片|图像|肖像|特写|画面)|(?:照片|图片|图像)(?:中|里|上)?(?:显示|展示|是|有)"
    r"|\b(?:photorealistic|masterpiece|ultra[- ]detailed|highly detailed|best quality|award[- ]winning|8k|uhd|trending on)\b",
    re.IGNORECASE,
)
_CAMERA = re.compile(
    r"\b(?:track|doll|pan|tilt|orbit|crane|truck|zoom|push|pull|follow|drift|glid|fl(?:y|ies)|arc|mov)\w*"
)
"""Words that make a shot a motion: "tracking shot of the car" does not describe a still."""
_STYLES: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        name: re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE)
        for name, pattern in {
            "photographic": r"photo-?realis(?:tic|m)|realistic|documentary|live[- ]action|lifelike",
            "anime": r"anime|manga|ghibli",
            "cartoon": r"cartoon|comic(?: book)?|cel[- ]shaded",
            "3D render": r"3d render(?:ed|ing)?|pixar|cgi|unreal engine",
            "painting": r"watercolou?r|oil painting|impressionis(?:t|m)|gouache",
            "clay": r"claymation|stop[- ]motion|plasticine",
            "pixel art": r"pixel art|8-bit|voxel",
            "drawing": r"(?:pencil|charcoal) (?:sketch|drawing)|line art|sketch style",
        }.items()
    }
)


def advise(prompt: str, route: Route, facts: PromptFacts) -> tuple[Advice, ...]:
    """Return everything that could be better about a prompt.

    Args:
        prompt: The prompt as it would be sent.
        route: The clip's route.
        facts: The other inputs.
    """
    advice = [*_length(prompt, facts), *_references(prompt, route, facts), *_styles(prompt)]
    if route is not Route.LIP_SYNC:  # lip-sync prompts describe the shot; the voice drives the motion
        advice += _motion(prompt)
    if route is Route.ANIMATE:
        advice += _animate(prompt, facts)
    return tuple(Advice(code=code, words=words) for code, words in advice)


def _motion(prompt: str) -> Iterator[tuple[str, str]]:
    lead = _lead(prompt)
    if not _VERBS.search(lead):
        yield (
            "no_motion_verb",
            "The prompt does not begin with a motion. Start with one verb: drift, dolly in, orbit, tilt up, blink, breathe.",
        )
    motions = [name for name, pattern in _MOTIONS.items() if pattern.search(prompt)] + list(_turns(prompt))
    if len(motions) > 1 or list(_turns(prompt)):
        yield (
            "several_motions",
            f"The prompt asks for several motions ({', '.join(motions)}). One primary motion per clip works best.",
        )


def _lead(prompt: str) -> str:
    words = " ".join(prompt.split()[:_LEAD_WORDS])
    chinese = [match.end() for match in re.finditer("[\u4e00-\u9fff]", words)]
    return words[: chinese[_LEAD_CHINESE - 1]] if len(chinese) > _LEAD_CHINESE else words


def _turns(prompt: str) -> Iterator[str]:
    """Yield the pairs of opposite directions that the prompt names."""
    for words, pattern in _TURNS:
        directions = {part.lower() for match in pattern.findall(prompt) for part in match if part}
        for one, other in (words[:2], words[2:]):
            if {one, other} <= directions:
                yield f"{one} and {other}"


def _animate(prompt: str, facts: PromptFacts) -> Iterator[tuple[str, str]]:
    if any(not (match[0].endswith("of") and _CAMERA.search(match[0].lower())) for match in _STILL.finditer(prompt)):
        yield (
            "describes_still",
            "The prompt describes the picture, which the image already fixes. Describe what moves and what must stay.",
        )
    if mentions_speech(prompt) and not facts.audios:
        yield (
            "talking_without_voice",
            "The prompt describes speech, but the clip has no voiceover, so lips will not match words. Upload one.",
        )
    if facts.face_share is not None and 0 < facts.face_share < SMALL_FACE:
        yield (
            "small_face",
            f"The face fills {facts.face_share:.1%} of the frame; below {SMALL_FACE:.0%} it may change. Crop closer to it.",
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


def _styles(prompt: str) -> Iterator[tuple[str, str]]:
    styles = [name for name, pattern in _STYLES.items() if pattern.search(prompt)]
    if len(styles) > 1:
        yield ("conflicting_styles", f"The prompt mixes styles ({', '.join(styles)}). Keep one.")


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
