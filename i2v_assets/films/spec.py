"""Parse ``sequences/<name>.yaml``: the shots of a film, their transitions and its sound tracks. Pure.

A film is read as strictly as a brief, because a misspelt key would pay for an unwanted film.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from i2v_assets.briefs.brief import FILE_FIELDS, Brief, MediaRef, merge, relative_name
from i2v_assets.briefs.brief_reader import brief_from, suggestion
from i2v_assets.briefs.yaml_reader import Document, DocumentError, DocumentFormat, plain_type, read_document
from resources.schemas.limits import DEFAULT_DURATION
from resources.storage.keys import SEQUENCES, UPLOADS, slug

MAX_SHOTS = 100
"""Maximum shots of a film: 25 minutes at 15 s per shot, the longest that a route makes without another model."""

MAX_CROSSFADE = 10.0
"""Maximum crossfade in seconds: the longest shot has 15 s, and both its ends may fade."""

CONTINUITY = ("last_frame", "none")
TOP_KEYS = ("shots", "image", "continuity", "crossfade", "music", "voice", "defaults")
SHOT_KEYS = ("clip", "crossfade", *(name for name in Brief.model_fields if name not in {"dub", "shots"}))
_NOT_IN_DEFAULTS = (*FILE_FIELDS, "shots")


class FilmError(DocumentError):
    """A film's file cannot be used until it is corrected."""


@dataclass(frozen=True, slots=True)
class ClipShot:
    """An existing clip; ``crossfade`` is its overlap with the previous shot in seconds (0: a cut)."""

    clip: str
    crossfade: float


@dataclass(frozen=True, slots=True)
class InlineShot:
    """A shot that the film's file defines; it becomes the clip ``<film>--<number>``."""

    brief: Brief
    crossfade: float
    from_last_frame: bool
    """True if it starts from the last frame of the previous shot."""


@dataclass(frozen=True, slots=True)
class TrackSpec:
    """A sound track of the whole film; ``key`` is its key in the bucket."""

    key: str
    gain_db: float
    loop: bool
    fade_out: float


@dataclass(frozen=True, slots=True)
class FilmSpec:
    """The content of a film's file. Files in its briefs are keys of the bucket."""

    shots: tuple[ClipShot | InlineShot, ...]
    tracks: tuple[TrackSpec, ...] = ()


USUAL_TRACKS: Final[Mapping[str, TrackSpec]] = MappingProxyType(
    {
        # Music plays 12 dB below the shots' own sound and lasts as long as the film.
        "music": TrackSpec("", -12.0, loop=True, fade_out=2.0),
        "voice": TrackSpec("", 0.0, loop=False, fade_out=0.0),
    }
)
"""The gain, loop and fade of a track whose document gives none, by its role."""


def film_name(key: str) -> str:
    """Return the partition key of ``sequences/<name>.yaml``."""
    return slug(UPLOADS + key.removeprefix(SEQUENCES))


def shot_name(film: str, number: int) -> str:
    """Return the clip name of a shot that the film's file defines."""
    return f"{film}--{number:02d}"


def file_key(name: str) -> str:
    """Return the key of a file that a film names; a bare name is beside the film's file."""
    return name if name.startswith((UPLOADS, SEQUENCES)) else f"{SEQUENCES}{name}"


def parse_film(text: str, name: str, kind: DocumentFormat) -> FilmSpec:
    """Parse a film's file.

    Args:
        text: The file's text.
        name: What to call the file in messages.
        kind: The format of the text.

    Raises:
        FilmError: the file cannot be read or used; names the key, the limit and the remedy.
    """
    try:
        return _parsed(text, name, kind)
    except FilmError:
        raise
    except DocumentError as error:
        raise FilmError(error.message, remedy=error.remedy) from None


@lru_cache(maxsize=1024)  # a sensor reads the same unchanged files at every tick
def _parsed(text: str, name: str, kind: DocumentFormat) -> FilmSpec:
    data = read_document(text, name, kind).data
    _check_keys(data, TOP_KEYS, name, "a film")
    listed = data.get("shots")
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_SHOTS:
        raise FilmError(
            f"{name}: `shots` is {_length(listed)}.",
            remedy=f"`shots` must be a list of 1 to {MAX_SHOTS}: prompts, or `clip: <name>`, or the keys of a brief.",
        )
    image = None if data.get("image") is None else _file(data["image"], f"{name}: `image`")
    defaults = _defaults(data.get("defaults"), name)
    only_prompts = all(isinstance(shot, str) for shot in listed)
    chained = _continuity(data.get("continuity"), name, default=image is not None and only_prompts)
    usual = _number(data.get("crossfade", 0), f"{name}: `crossfade`", 0, MAX_CROSSFADE, "seconds")
    shots = tuple(
        _shot(shot, f"{name} shot {number}", number, _Film(defaults, image, chained, usual))
        for number, shot in enumerate(listed, start=1)
    )
    tracks = tuple(_track(data[part], part, name) for part in USUAL_TRACKS if data.get(part) is not None)
    _check_crossfades(shots, name)
    return FilmSpec(shots, tracks)


@dataclass(frozen=True, slots=True)
class _Film:
    """Values that the shots of a film share."""

    defaults: Brief
    image: str | None
    chained: bool
    crossfade: float


def _shot(written: object, where: str, number: int, film: _Film) -> ClipShot | InlineShot:
    plain = {"prompt": written} if isinstance(written, str) else written
    if not isinstance(plain, dict):
        raise FilmError(
            f"{where} is {plain_type(written)}.", remedy="Write a prompt, `clip: <name>`, or the keys of a brief."
        )
    _check_keys(plain, SHOT_KEYS, where, "a shot")
    own_keys = dict(plain)
    crossfade = _number(own_keys.pop("crossfade", film.crossfade), f"{where}: `crossfade`", 0, MAX_CROSSFADE, "seconds")
    if number == 1:
        crossfade = 0.0  # the first shot has no previous shot to fade from
    if "clip" in own_keys:
        clip = own_keys.pop("clip")
        if own_keys:
            raise FilmError(
                f"{where} names a clip and also `{next(iter(own_keys))}`.",
                remedy="A clip has its own brief. Keep only `clip` and `crossfade`, or write a new shot without `clip`.",
            )
        if not isinstance(clip, str) or not clip.strip():
            raise FilmError(f"{where}: `clip` is {plain_type(clip)}.", remedy="`clip` must be the name of a clip.")
        return ClipShot(clip.strip(), crossfade)
    own = _with_keys(brief_from(Document(own_keys), where))
    first_frame = film.chained and number > 1 and own.images is None
    if own.images is None and not first_frame:
        if film.image is not None:
            own = _with(own, images=(MediaRef(file=film.image, role=None),))
        elif own.audio is None and own.videos is None:
            raise FilmError(
                f"{where} has no image to start from.",
                remedy="Write `image: <file>` for the whole film, or `images: <file>` in the shot.",
            )
    return InlineShot(merge(film.defaults, own), crossfade, first_frame)


def _with_keys(brief: Brief) -> Brief:
    """Return the brief with the keys of its files instead of their names."""
    changes = {
        field: tuple(ref.model_copy(update={"file": file_key(ref.file)}) for ref in refs)
        for field in ("images", "audio", "videos")
        if (refs := getattr(brief, field)) is not None
    }
    return _with(brief, **changes, **{field: file_key(name) for field, name in brief.single_files.items()})


def _with(brief: Brief, **changes: object) -> Brief:
    given = {**brief.given, **changes}
    return Brief.model_construct(_fields_set=set(given), **given)


def with_image(brief: Brief, name: str) -> Brief:
    """Return a shot's brief with the image that it starts from."""
    return _with(brief, images=(MediaRef(file=name, role=None),))


def _defaults(written: object, name: str) -> Brief:
    if written is None:
        return Brief()
    if not isinstance(written, dict):
        raise FilmError(f"{name}: `defaults` is {plain_type(written)}.", remedy="Write keys of a brief below it.")
    naming = [key for key in _NOT_IN_DEFAULTS if key in written]
    if naming:
        raise FilmError(
            f"{name}: `defaults` sets `{naming[0]}`, which belongs to one shot.", remedy="Move it to its shot."
        )
    return brief_from(Document(written), f"{name} `defaults`")


def _continuity(written: object, name: str, *, default: bool) -> bool:
    if written is None:
        return default
    if written not in CONTINUITY:
        raise FilmError(
            f"{name}: `continuity` is {written!r}."[:200],
            remedy="`continuity` must be last_frame (each shot starts from the last frame of the previous one) or none.",
        )
    return written == "last_frame"


def _track(written: object, part: str, name: str) -> TrackSpec:
    usual = USUAL_TRACKS[part]
    plain: object = {"file": written} if isinstance(written, str) else written
    where = f"{name}: `{part}`"
    if not isinstance(plain, dict) or "file" not in plain:
        raise FilmError(f"{where} does not name a file.", remedy=f"Write `{part}: <file>`, or `file:` below `{part}:`.")
    _check_keys(plain, ("file", "gain_db", "loop", "fade_out"), where, "a track")
    loop = plain.get("loop", usual.loop)
    if not isinstance(loop, bool):
        raise FilmError(f"{where}: `loop` is {plain_type(loop)}.", remedy="`loop` must be true or false.")
    return TrackSpec(
        key=_file(plain["file"], where),
        gain_db=_number(plain.get("gain_db", usual.gain_db), f"{where}: `gain_db`", -60, 20, "decibels"),
        loop=loop,
        fade_out=_number(plain.get("fade_out", usual.fade_out), f"{where}: `fade_out`", 0, 60, "seconds"),
    )


def _check_crossfades(shots: tuple[ClipShot | InlineShot, ...], name: str) -> None:
    """Refuse crossfades that are longer than a shot of known length, before anything is paid."""
    for number, shot in enumerate(shots, start=1):
        if not isinstance(shot, InlineShot) or shot.brief.duration == "match_audio" or shot.brief.audio:
            continue
        seconds = shot.brief.duration or DEFAULT_DURATION
        taken = shot.crossfade + (shots[number].crossfade if number < len(shots) else 0)
        if taken > seconds:
            raise FilmError(
                f"{name} shot {number} has {seconds} s, but its crossfades need {taken:g} s.",
                remedy="Shorten the crossfades, or lengthen the shot by `duration`.",
            )


def _check_keys(data: Mapping[str, Any], allowed: tuple[str, ...], where: str, what: str) -> None:
    for key in data:
        if key not in allowed:
            raise FilmError(f"{where}: `{key}` is not a key of {what}.", remedy=suggestion(str(key), allowed))


def _file(written: object, where: str) -> str:
    try:
        name = relative_name(written)
    except ValueError as error:
        raise FilmError(
            f"{where} {error}.", remedy="Name a file beside the film's file, or a key below uploads/."
        ) from None
    if not isinstance(name, str):
        raise FilmError(f"{where} is {plain_type(written)}.", remedy="It must be the name of a file.")
    return file_key(name)


def _number(written: object, where: str, low: float, high: float, unit: str) -> float:
    if isinstance(written, bool) or not isinstance(written, int | float) or not low <= written <= high:
        shown = written if isinstance(written, int | float) else plain_type(written)
        raise FilmError(f"{where} is {shown}.", remedy=f"It must be a number of {unit} from {low:g} to {high:g}.")
    return float(written)


def _length(written: object) -> str:
    return f"a list of {len(written)}" if isinstance(written, list) else plain_type(written)
