"""What an entry of the catalogue says that its model makes; pure."""

import re
from typing import Final

from resources.redact import redact_line
from resources.runcomfy.wire import CatalogueEntry

OTHER_MODEL: Final = "Name a model that makes a video: `i2v models` shows which there are."

_MAKES = re.compile(r"(?:^|[^a-z])to[-_ ](image|video|audio|speech|music|3d|text|model)(?![a-z])")
_PLAIN: Final = {"image": "an image", "image-edit": "an image", "audio": "sound", "music": "sound", "speech": "sound",
                 "3d": "a 3D model", "text": "text"}  # fmt: skip
_WORDS: Final = {"image": "an image", "audio": "sound", "speech": "sound", "music": "sound", "3d": "a 3D model",
                 "model": "a 3D model", "text": "text"}  # fmt: skip


def output_of(entry: CatalogueEntry) -> str | None:
    """Return what a model makes in words if its entry says that it is not a video; None if it is one, or nothing says so."""
    raw = entry.raw
    stated = str(raw.get("output_type") or "").strip().lower()
    if stated:
        return None if "video" in stated else _PLAIN.get(stated, redact_line(stated, limit=40))
    listed = raw.get("categories")
    categories = [str(each).lower() for each in listed] if isinstance(listed, list) else []
    if any("video" in each.rpartition("to-")[2] or each == "video" for each in categories):
        return None
    for text in (*categories, entry.model_id.lower()):
        if found := _MAKES.findall(text):
            return None if "video" in found else _WORDS[found[-1]]
    return next((_PLAIN[each] for each in categories if each in _PLAIN), None)
