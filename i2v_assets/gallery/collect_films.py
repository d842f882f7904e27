"""Collect the films of the gallery: their manifests, and the notes and plans of unfinished films."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from i2v_assets.clip_folder.manifest import ManifestError
from i2v_assets.clip_folder.notes import Answer, AnswerKind
from i2v_assets.films.manifest import read_film_manifest
from i2v_assets.films.notes import read_film_answer
from i2v_assets.gallery.collect import TextCache
from i2v_assets.gallery.entries import GalleryEntry, GalleryShot, entry_of_answer, entry_of_film
from resources.bounded_json import read_json
from resources.schemas.inputs import Service
from resources.storage import keys
from resources.storage.bucket import ObjectInfo

MOST_DOLLARS = 1_000_000
"""Largest price of a shot that is believed; no video costs as much, and larger numbers overflow."""

_FILES = (keys.MANIFEST, keys.PLAN, *keys.NOTES)


def gather_films(
    listed: Mapping[str, ObjectInfo], seen: TextCache, service: Service
) -> tuple[tuple[GalleryEntry, ...], tuple[str, ...]]:
    """Return one entry per film that is joined or has a note, and the keys of unreadable manifests."""
    folders = sorted({film for film, _ in _films(listed)})
    wanted = [keys.sequence_key(film, name) for film in folders for name in _FILES]
    texts = seen.texts(wanted)
    entries: list[GalleryEntry] = []
    unreadable: list[str] = []
    for film in folders:
        key = keys.sequence_key(film, keys.MANIFEST)
        told = _note(film, texts, listed)
        if key in texts and keys.sequence_key(film, keys.VIDEO) in listed:
            try:
                manifest = read_film_manifest(texts[key].encode(errors="replace"), name=key)
            except ManifestError:
                unreadable.append(key)
                continue
            if manifest.film != film:
                unreadable.append(key)
                continue
            there = keys.sequence_key(film, keys.POSTER) in listed
            entries.append(entry_of_film(manifest, poster=there, note=told))
        elif told is not None:
            moment = listed[keys.sequence_key(film, told.kind.value)].modified_at
            entry = entry_of_answer(
                film, told, moment, service=service, folder_key=f"{keys.SEQUENCES}{film}/", note_file=told.kind.value
            )
            entries.append(_planned(entry, texts.get(keys.sequence_key(film, keys.PLAN), "")))
    return tuple(entries), tuple(unreadable)


def _films(listed: Mapping[str, ObjectInfo]) -> Iterator[tuple[str, str]]:
    """Yield the folders that hold a film's files; other folders of media do not count."""
    for key in listed:
        folder, _, name = key.removeprefix(keys.SEQUENCES).partition("/")
        if key.startswith(keys.SEQUENCES) and name in _FILES and folder == keys.slug(folder):
            yield folder, name


def _note(film: str, texts: Mapping[str, str], listed: Mapping[str, ObjectInfo]) -> Answer | None:
    """Return the film's answer as its `plan.json` keeps it, while the note of its kind is there."""
    for kind in (AnswerKind.REFUSED, AnswerKind.FAILED, AnswerKind.WAITING):
        key = keys.sequence_key(film, kind.value)
        if key in listed:
            found = read_film_answer(texts.get(keys.sequence_key(film, keys.PLAN), ""))
            if found is not None and found.kind is kind:
                return found
            return Answer(kind, f"{kind.name}: {film}. See {key}.", (), "")
    return None


def _planned(entry: GalleryEntry, plan: str) -> GalleryEntry:
    """Return the entry with the shots of its plan and their known costs."""
    try:
        read = read_json(plan)["shots"]
        shots = tuple(_shot(each) for each in read)
    except (ValueError, KeyError, TypeError, AttributeError):
        shots = ()
    costs = {shot.clip: shot.cost_microdollars for shot in shots if shot.cost_microdollars is not None}
    price = sum(costs.values()) if costs else None
    return replace(entry, film=True, poster=False, shots=shots, cost_microdollars=price, estimated=True)


def _shot(plain: dict[str, Any]) -> GalleryShot:
    clip, price = plain["clip"], plain.get("price_usd")
    words, reason = plain.get("state") or "", plain.get("reason") or ""
    if not (isinstance(clip, str) and isinstance(words, str) and isinstance(reason, str)):
        raise TypeError("a shot's name, state or reason is not text")
    return GalleryShot(clip, f"{words}: {reason}" if reason else words, _microdollars(price))


def _microdollars(dollars: object) -> int | None:
    if isinstance(dollars, int | float) and not isinstance(dollars, bool) and 0 <= dollars <= MOST_DOLLARS:
        return round(dollars * 1e6)
    return None
