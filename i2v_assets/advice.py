"""Advice about a prompt: what the models' makers say makes good clips, as far as it can be read off the words.

Never blocking: a person may know better. The sources are the models' prompting pages: the image fixes the look and the
prompt drives the motion, a motion verb leads, one primary motion, references are numbered, styles are not mixed.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel, ConfigDict

from i2v_assets.routing import references, speaks_of_talking
from resources.schemas.endpoints import LIMITS, prompt_units
from resources.schemas.inputs import Family, MediumKind, Route

NEAR = 0.9
"""Part of the limit from which a prompt is called long."""

SMALL_FACE = 0.05
"""Part of the frame that a face should fill on the default route (model page of HappyHorse)."""

_LEAD_WORDS = 6
"""A verb among these many first words counts as leading: "the camera slowly pushes in" has it in the fourth."""


class Advice(BaseModel):
    """One piece of advice; the code is stable, the words are for people."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    words: str


class PromptFacts(BaseModel):
    """What advice needs to know beside the prompt.

    Attributes:
        family: The endpoint.
        images: Number of images sent.
        videos: Number of reference videos sent.
        audios: Number of sounds sent.
        face_share: Part of the frame of the largest face, None where nobody looked or there is none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Family
    images: int = 0
    videos: int = 0
    audios: int = 0
    face_share: float | None = None


_MOTIONS: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        name: re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE)
        for name, pattern in {
            "push in": r"push(?:es|ing)?[- ]?in|doll(?:y|ies|ying)[- ]?in|zoom(?:s|ing)?[- ]?in|move(?:s)? closer",
            "pull out": r"pull(?:s|ing)?[- ]?(?:out|back)|doll(?:y|ies|ying)[- ]?(?:out|back)|zoom(?:s|ing)?[- ]?out",
            "pan": r"pan(?:s|ning)?",
            "tilt": r"tilt(?:s|ing)?",
            "orbit": r"orbit(?:s|ing)?|circl(?:e|es|ing)|arc(?:s|ing)? around|rotat(?:e|es|ing)",
            "track": r"track(?:s|ing)?|follow(?:s|ing)?|truck(?:s|ing)?",
            "rise": r"crane(?:s)?|ris(?:e|es|ing)|ascend(?:s|ing)?|descend(?:s|ing)?",
            "drift": r"drift(?:s|ing)?|glid(?:e|es|ing)|float(?:s|ing)?",
        }.items()
    }
)
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
    r"|\b(?:photorealistic|masterpiece|ultra[- ]detailed|highly detailed|best quality|award[- ]winning|8k|uhd|trending on)\b",
    re.IGNORECASE,
)
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
    """Everything that could be better about a prompt.

    Args:
        prompt: As it would be sent.
        route: The clip's route.
        facts: What is sent beside it.
    """
    found = [*_length(prompt, facts), *_references(prompt, route, facts), *_styles(prompt)]
    if route is not Route.LIP_SYNC:  # there the shot is described and the voice moves it
        found += _motion(prompt)
    if route is Route.ANIMATE:
        found += _animate(prompt, facts)
    return tuple(Advice(code=code, words=words) for code, words in found)


def _motion(prompt: str) -> Iterator[tuple[str, str]]:
    lead = " ".join(prompt.split()[:_LEAD_WORDS])
    if not _VERBS.search(lead):
        yield (
            "no_motion_verb",
            "The prompt does not begin with a motion. Lead with one verb: drift, dolly in, orbit, tilt up, blink, breathe.",
        )
    motions = [name for name, pattern in _MOTIONS.items() if pattern.search(prompt)]
    if len(motions) > 1:
        yield (
            "several_motions",
            f"The prompt asks for several motions ({', '.join(motions)}). One primary motion for each clip holds best.",
        )


def _animate(prompt: str, facts: PromptFacts) -> Iterator[tuple[str, str]]:
    if _STILL.search(prompt):
        yield (
            "describes_still",
            "The prompt describes the picture. The image already fixes the look: say what moves and what must hold.",
        )
    if speaks_of_talking(prompt) and not facts.audios:
        yield (
            "talking_without_voice",
            "The prompt lets somebody talk, but there is no voiceover: nobody's lips will follow words. Upload one.",
        )
    if facts.face_share is not None and 0 < facts.face_share < SMALL_FACE:
        yield (
            "small_face",
            f"The face fills {facts.face_share:.1%} of the frame; under {SMALL_FACE:.0%} it may change. Crop closer to it.",
        )


def _references(prompt: str, route: Route, facts: PromptFacts) -> Iterator[tuple[str, str]]:
    named = references(prompt)
    counts = {MediumKind.IMAGE: facts.images, MediumKind.VIDEO: facts.videos, MediumKind.AUDIO: facts.audios}
    if route is Route.MULTI_MODAL and not named and sum(counts.values()) > 1:
        yield (
            "references_not_numbered",
            "The prompt does not say what to take from where. Number the media:"
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
    limits = LIMITS[facts.family].prompt
    units = prompt_units(limits, prompt)
    if NEAR * limits.max_units <= units <= limits.max_units:
        yield (
            "near_limit",
            f"The prompt has {units} of at most {limits.max_units} {limits.unit}. Shorter ones steer better.",
        )
