"""A voice of another name beside the one image of its folder: is it meant to be spoken? Pure."""

from collections.abc import Iterable, Mapping, Sequence

from i2v_assets.uploads.tree import Entry
from i2v_assets.uploads.types import (
    CONVERTIBLE,
    MEDIA_ENDINGS,
    HoldReason,
    UploadHold,
    shown_name,
    split_name,
    stem_key,
)
from resources.schemas.inputs import MediumKind


def other_voices(loose: Mapping[tuple[str, str], Sequence[Entry]]) -> dict[str, UploadHold]:
    """Return the holds of images that are alone in their folder with voices of other names, by the image's key.

    Args:
        loose: The loose files, by folder and stem.
    """
    by_folder: dict[str, list[Entry]] = {}
    for (folder, _), entries in loose.items():
        by_folder.setdefault(folder, []).extend(entries)
    holds: dict[str, UploadHold] = {}
    for entries in by_folder.values():
        images = [entry for entry in entries if _kind(entry.name) is MediumKind.IMAGE]
        voices = [entry for entry in entries if _kind(entry.name) is MediumKind.AUDIO]
        if len(images) == 1 and voices and stem_key(images[0].name) not in {stem_key(each.name) for each in voices}:
            holds[images[0].object.key] = _hold(images[0], sorted(voices, key=lambda each: each.name))
    return holds


def stems_beside_lone_image(names: Iterable[str]) -> frozenset[str]:
    """Return the stems of the voices of a folder that has one image; empty if it has none or several."""
    kinds = [(name, _kind(name)) for name in names]
    if sum(kind is MediumKind.IMAGE for _, kind in kinds) != 1:
        return frozenset()
    return frozenset(stem_key(name) for name, kind in kinds if kind is MediumKind.AUDIO)


def _kind(name: str) -> MediumKind | None:
    ending = split_name(name)[1]
    return MEDIA_ENDINGS.get(ending) or CONVERTIBLE.get(ending)


def _hold(image: Entry, voices: Sequence[Entry]) -> UploadHold:
    picture, key = shown_name(image.name), voices[0].object.key
    names = [shown_name(each.name) for each in voices]
    if len(names) == 1:
        spoken = f"{shown_name(split_name(image.name)[0])}{split_name(voices[0].name)[1]}"
        words = f"{names[0]} lies beside {picture}, the one image of its folder, and has another name."
        remedy = f"If the image is to speak it, rename it to {spoken}. If not, move it to another folder."
        return UploadHold(HoldReason.OTHER_VOICE, words, remedy, key)
    words = f"{' and '.join(names[:5])} lie beside {picture}, the one image of its folder, and have other names."
    languages = ", ".join(f"{code}: {name}" for code, name in zip(("en", "de"), names, strict=False))
    remedy = (
        f"If each is a language of one clip, write a brief.yaml with `images: {picture}` and `dub: {{{languages}}}`. If one is "
        "to be spoken, give it the image's name. If none, move them to another folder."
    )
    return UploadHold(HoldReason.OTHER_VOICE, words, remedy, key)
