"""Find the files that a prompt names and a clip does not have: "the logo from sponsor.png", "put IMG_1190 beside it". Pure."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from i2v_assets.planning.names import folded
from i2v_assets.uploads.roles import CONVERTIBLE, MEDIA_ENDINGS, split_name
from resources.schemas.inputs import MediumKind

_NOT_NAMED: Final = frozenset({".ai", ".ape", ".mid", ".pdf", ".ra", ".ts"})
"""Endings that a text has without naming a picture or sound: a site, a guide, a sentence begun without its blank."""

_KINDS: Final = {
    ending[1:]: kind for ending, kind in {**MEDIA_ENDINGS, **CONVERTIBLE}.items() if ending not in _NOT_NAMED
}
_NAMED: Final = {
    kind: re.compile(
        rf"(?<![\w-])(?<![\w-]\.)([\w-]+(?:\.[\w-]+)*)\.(?:{'|'.join(each for each in _KINDS if _KINDS[each] is kind)})(?![a-z0-9])"
    )
    for kind in MediumKind
}
"""For each kind the names of its files, from their first letter on: so a long word is read once, and not from each of its letters."""

_OF_CAMERA: Final = re.compile(r"(?<![\w-])((?:img|dscn?|dscf|pxl)[_-]\d{3,8}(?:[_-]\d+)*)(?![\w-]|\.[a-z])")
"""What cameras and phones call a picture, as people write it without its ending."""

_MADE: Final = re.compile(
    r"(?:save|export|output|render|deliver|filename|speicher|ausgabe|guard|enregistr|salv|entreg|保存|输出|导出|書き出|出力)\w*\W[^.;]{0,25}$"
)
"""Before the name of a file that is to be made: a clip is a video, and people say what to call it."""

_ANY: Final = re.compile(
    r"(?:the|my|this)?[_-]?(?:photo|image|picture|pic|img|input|source|file|bild|foto|imagen|imagem|audio|sound|voice|video|clip|图片|画像|写真)"
)
"""Names that stand for whatever there is."""


def absent_file(prompt: str, kind: MediumKind, names: Sequence[str]) -> str:
    """Return the first file of a kind that a folded prompt names and that is not among the names; empty if there is none.

    A file may be named with another ending, or in part: it may have been renamed or prepared for the upload.
    """
    for match in _files(prompt, kind):
        made = (kind is MediumKind.VIDEO or match[0].endswith(".gif")) and _MADE.search(prompt[: match.start()])
        if not made and not _is_there(match[1], names):
            return match[0]
    return ""


def _is_there(stem: str, names: Sequence[str]) -> bool:
    there = [split_name(folded(name))[0] for name in names]
    stands = bool(names) and _ANY.fullmatch(stem) is not None
    return stands or any(each.endswith(stem) or stem.endswith(each) for each in there)


def _files(prompt: str, kind: MediumKind) -> Iterator[re.Match[str]]:
    yield from _NAMED[kind].finditer(prompt)
    if kind is MediumKind.IMAGE:
        yield from _OF_CAMERA.finditer(prompt)
