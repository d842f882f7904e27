"""A voice of another name beside an image: is it meant to be spoken? Pure.

It may be if the image is the one of its folder, or if the names differ in nothing but what people and systems add:
``hero.jpg`` and ``hero_voice (1).mp3``.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from i2v_assets.uploads.noise import COPY_OF, COPY_WORDS, COPY_WORDS_OF_ASIA
from i2v_assets.uploads.roles import media_kind, shown_name, split_name, stem_key
from i2v_assets.uploads.tree import Entry
from i2v_assets.uploads.types import HoldReason, UploadHold
from resources.schemas.inputs import MediumKind


def other_voices(loose: Mapping[tuple[str, str], Sequence[Entry]]) -> dict[str, UploadHold]:
    """Return the holds of images beside a voice of another name that may be theirs, by the image's key.

    Args:
        loose: The loose files, by folder and stem.
    """
    by_folder: dict[str, list[Entry]] = {}
    for (folder, _), entries in loose.items():
        by_folder.setdefault(folder, []).extend(entries)
    holds: dict[str, UploadHold] = {}
    for entries in by_folder.values():
        images = [entry for entry in entries if entry.kind is MediumKind.IMAGE]
        voices = [entry for entry in entries if entry.kind is MediumKind.AUDIO]
        if len(images) == 1 and voices and stem_key(images[0].name) not in {stem_key(each.name) for each in voices}:
            holds[images[0].object.key] = _hold(images[0], sorted(voices, key=lambda each: each.name))
        elif len(images) > 1 and voices:
            holds |= _nearly_named(images, voices)
    return holds


def _nearly_named(images: Sequence[Entry], voices: Sequence[Entry]) -> dict[str, UploadHold]:
    """Return the holds of images without a voice that nearly have the name of a voice without an image."""
    pictured, spoken = ({stem_key(each.name) for each in entries} for entries in (images, voices))
    alone: dict[str, list[Entry]] = {}
    for voice in sorted(voices, key=lambda each: each.name):
        if stem_key(voice.name) not in pictured and (bare := bare_stem(stem_key(voice.name))):
            alone.setdefault(bare, []).append(voice)
    if not alone:
        return {}
    return {
        image.object.key: _near_hold(image, alone[bare])
        for image in images
        if stem_key(image.name) not in spoken and (bare := bare_stem(stem_key(image.name))) in alone
    }


def stems_beside(names: Iterable[str], wanted: Collection[str]) -> frozenset[str]:
    """Return the stems of the voices of a folder that may belong to the images of the wanted stems, or to its one image."""
    kinds = [(name, media_kind(name)) for name in names]
    voices = {stem_key(name) for name, kind in kinds if kind is MediumKind.AUDIO}
    if not voices:
        return frozenset()
    images = {stem_key(name) for name, kind in kinds if kind is MediumKind.IMAGE}
    if len(images) == 1:
        return frozenset(voices)
    bare = {bare_stem(stem) for stem in wanted} - {""}
    return frozenset(stem for stem in voices if bare_stem(stem) in bare)


def _plain(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))


_ADDED: Final = frozenset(
    _plain(word)
    for line in (
        "voice voices voiceover vo audio sound speech narration narrator speaker talk spoken recording rec music song jingle track tts",
        "stimme ton sprecher sprecherin sprache aufnahme musik lied audiodatei",
        "voz audio locucion locutor grabacion sonido musica cancion",
        "voix son narration enregistrement musique chanson",
        "locucao narracao gravacao som",
        "en de es fr pt ja zh it english german deutsch spanish espanol french francais portuguese portugues japanese chinese",
        "koe onsei yuyin luyin 音声 声 録音 ナレーション 语音 声音 录音 配音 旁白 音频",
        "image img picture pic photo photos still portrait bild foto imagen imagem fotografia 画像 写真 图片 图 照片",
        "copy1 final finale neu new nuevo nouveau novo last draft master mix export edit edited clean raw web low",
        "high hd hq mono stereo 最终",
    )
    for word in line.split()
) | {_plain(word) for word in (*COPY_WORDS, *COPY_WORDS_OF_ASIA)}
"""Words for sounds, for pictures and for copies, and languages."""
_COPY_NUMBER = re.compile(r"[(\[]\d{1,3}[)\]]|(?<![a-z0-9])v(?:er)?\.?\d{1,3}(?![a-z0-9])")
_COPY_OF = re.compile(rf"^(?:{'|'.join(map(_plain, COPY_OF))}) ")
_WORD = re.compile(r"[^\W_]+")


@lru_cache(maxsize=65_536)
def bare_stem(stem: str) -> str:
    """Return a folded stem without what people and systems add to a name; empty if that is all of it.

    ``hero_voice (1)``, ``hero-final`` and ``hero v2`` are all ``hero``; ``hero 2`` is another picture.
    """
    plain = _COPY_OF.sub("", _COPY_NUMBER.sub(" ", _plain(stem)))
    return " ".join(word for word in _WORD.findall(plain) if word not in _ADDED)


def _near_hold(image: Entry, voices: Sequence[Entry]) -> UploadHold:
    voice, picture = voices[0], shown_name(image.name)
    spoken = f"{shown_name(split_name(image.name)[0])}{split_name(voice.name)[1]}"
    words = f"{shown_name(voice.name)} may be the voice of {picture}, and has another name."
    remedy = f"If the image is to speak it, rename it to {spoken}. If not, move it to another folder."
    return UploadHold(HoldReason.OTHER_VOICE, words, remedy, voice.object.key)


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
