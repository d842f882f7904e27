"""Find the files that a prompt names and a clip does not have: "the logo from sponsor.png", "put IMG_1190 beside it". Pure."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from i2v_assets.planning.names import folded
from resources.schemas.inputs import MediumKind

_ENDINGS: Final = {
    MediumKind.IMAGE: "jpe?g|png|webp|hei[cf]|gif|tiff?|bmp|svg|avif",
    MediumKind.AUDIO: "mp3|wav|m4a|ogg|opus|flac|aac|aiff?",
    MediumKind.VIDEO: "mp4|mov|webm|mkv|avi|m4v",
}
_NAMED: Final = {
    kind: re.compile(rf"([\w-]+(?:\.[\w-]+)*)\.(?:{endings})(?![a-z0-9])") for kind, endings in _ENDINGS.items()
}
_OF_CAMERA: Final = re.compile(r"(?<![\w-])((?:img|dscn?|dscf|pxl)[_-]\d{3,8}(?:[_-]\d+)*)(?![\w-]|\.[a-z])")
"""What cameras and phones call a picture, as people write it without its ending."""

_MADE: Final = re.compile(
    r"(?:save|export|output|render|deliver|filename|speicher|ausgabe|guard|export|enregistr|salv|entreg|保存|输出|导出|書き出|出力)\w*\W[^.;]{0,25}$"
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
    there = [re.sub(r"\.[a-z0-9]{2,5}$", "", folded(name)) for name in names]
    for match in _files(prompt, kind):
        stem = match[1]
        made = (kind is MediumKind.VIDEO or match[0].endswith(".gif")) and _MADE.search(prompt[: match.start()])
        stands = bool(names) and _ANY.fullmatch(stem)
        if not made and not stands and not any(each.endswith(stem) or stem.endswith(each) for each in there):
            return match[0]
    return ""


def _files(prompt: str, kind: MediumKind) -> Iterator[re.Match[str]]:
    yield from _NAMED[kind].finditer(prompt)
    if kind is MediumKind.IMAGE:
        yield from _OF_CAMERA.finditer(prompt)
