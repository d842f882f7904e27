"""Resolve the state of each shot of a film, and which shots become clips now. Pure: `FilmSource` reads the bucket."""

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from i2v_assets.briefs.brief import Brief
from i2v_assets.clip_folder.manifest import ManifestPiece
from i2v_assets.films.spec import ClipShot, FilmSpec, InlineShot, TrackSpec, shot_name, with_image
from i2v_assets.uploads.roles import MEDIA_ENDINGS, split_name
from i2v_assets.uploads.snapshot import version_of
from i2v_assets.uploads.types import Candidate, UploadFile, UploadKind, UploadObject
from resources.problem import Problem
from resources.registry.rows import ClipRow, ClipState
from resources.schemas.inputs import MediumKind
from resources.storage.keys import INPUTS
from resources.wait_reason import WaitReason

FILM_VERSION = 1
"""Increment when joining the same shots would produce a different film."""

HALF_A_FRAME = 0.02
"""Tolerance in seconds at 25 frames per second, because joining rounds to whole frames."""


_SINGLE_KINDS = {"end_image": MediumKind.IMAGE, "music": MediumKind.AUDIO, "narration": MediumKind.AUDIO}
"""The kind of each file that a brief names for one purpose."""


@dataclass(frozen=True, slots=True)
class ShotVideo:
    """A delivered video. ``cost`` is in micro-dollars; None until it is settled.

    ``signed_sha256`` is the hash of the copy in its clip's folder; None if that copy is not signed. ``pieces`` are the
    requests of a video that was joined of several.
    """

    key: str
    sha256: str
    fingerprint: str
    seconds: float
    cost: int | None
    signed_sha256: str | None = None
    pieces: tuple[ManifestPiece, ...] = ()


@dataclass(frozen=True, slots=True)
class Shot:
    """One shot of a film and its state.

    Attributes:
        number: From 1.
        clip: The clip of the shot.
        crossfade: Seconds of overlap with the previous shot.
        inline: True if the film's file defines the shot.
        from_last_frame: True if it starts from the last frame of the previous shot.
        video: Its delivered video; None until there is one for the current version.
        state: The state of its clip, in one word.
        reason: Why it has no video.
        price: Planned or estimated cost in micro-dollars; None if unknown.
        estimated: True if the price is an estimate, because the shot cannot be planned before its first frame exists.
            An estimate is never approved or submitted: once the frame exists, the clip's plan has its own price.
        asks: True if its clip waits for an approval.
    """

    number: int
    clip: str
    crossfade: float
    inline: bool
    from_last_frame: bool
    video: ShotVideo | None
    state: str
    reason: str = ""
    price: int | None = None
    estimated: bool = False
    asks: bool = False


@dataclass(frozen=True, slots=True)
class Track:
    """A sound track of the film, with its current ETag and size in the bucket."""

    spec: TrackSpec
    etag: str
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ResolvedFilm:
    """A film in its current state.

    Attributes:
        name: The partition key.
        shots: All of its shots, in order.
        tracks: Its sound tracks.
        uploads: The shots that become clips now.
        problems: What must be corrected before any shot is made or paid.
        foreseen: The shots that become clips once the one before is made: with all of their files but its last frame.
    """

    name: str
    shots: tuple[Shot, ...]
    tracks: tuple[Track, ...] = ()
    uploads: tuple[Candidate, ...] = ()
    problems: tuple[Problem, ...] = ()
    foreseen: tuple[Candidate, ...] = ()

    @property
    def mark(self) -> str:
        """Hash over what its new shots and its tracks are made from, so that a correction of them is noticed."""
        plain = [
            [[each.clip, each.version] for each in (*self.uploads, *self.foreseen)],
            [[track.spec.key, track.etag] for track in self.tracks],
            [shot.crossfade for shot in self.shots],
            [problem.what for problem in self.problems],
        ]
        return hashlib.sha256(json.dumps(plain).encode()).hexdigest()

    @property
    def clips(self) -> frozenset[str]:
        """The clips of the shots that the film's file defines."""
        return frozenset(shot.clip for shot in self.shots if shot.inline)

    @property
    def version(self) -> str | None:
        """Hash over the film's inputs; None while a shot is missing."""
        videos = [shot.video for shot in self.shots]
        if self.problems or any(video is None for video in videos):
            return None
        plain = [
            FILM_VERSION,
            [[shot.video.sha256 if shot.video else "", shot.crossfade] for shot in self.shots],
            [
                [track.spec.key, track.etag, track.spec.gain_db, track.spec.loop, track.spec.fade_out]
                for track in self.tracks
            ],
        ]
        return hashlib.sha256(json.dumps(plain).encode()).hexdigest()


class FilmSource(Protocol):
    """Reads what resolving a film needs."""

    def file(self, key: str) -> UploadObject | None:
        """Return an object of the bucket, or None."""

    def video(self, row: ClipRow) -> ShotVideo:
        """Return the video of a delivered clip."""

    def last_frame(self, film: str, video: ShotVideo) -> UploadObject | None:
        """Return the last frame of a video as an image in the bucket; None if the next scan has to extract it."""

    def estimate(self, brief: Brief) -> int | None:
        """Return the estimated cost of a shot over one image in micro-dollars; None if the price is unknown."""


def resolve(
    name: str,
    source: str,
    spec: FilmSpec,
    rows: Mapping[str, ClipRow],
    sources: Mapping[str, str],
    film_source: FilmSource,
) -> ResolvedFilm:
    """Resolve every shot of a film in order.

    Args:
        name: The film's name.
        source: The key of its file.
        spec: The content of its file.
        rows: The registered clips of its shots, by name.
        sources: The source of every registered clip, by name.
        film_source: Reads the bucket.
    """
    shots: list[Shot] = []
    uploads: list[Candidate] = []
    foreseen: list[Candidate] = []
    problems: list[Problem] = []
    for number, shot in enumerate(spec.shots, start=1):
        if isinstance(shot, ClipShot):
            shots.append(_existing(number, shot, rows, sources, film_source, problems))
            continue
        clip = shot_name(name, number)
        own = f"{source}#{number:02d}"
        if sources.get(clip, own).partition("#")[0] != source:
            what = f"Shot {number} maps to the clip name {clip}, which {sources[clip]} already has."
            problems.append(Problem(what, remedy="Rename one of them."))
        candidate = _candidate(name, clip, own, shot, shots[-1] if shots else None, film_source, problems)
        later = shot.from_last_frame and candidate is not None and not _has_first_frame(candidate)
        if candidate is not None:
            (foreseen if later else uploads).append(candidate)
        shots.append(_inline(number, shot, clip, None if later else candidate, rows.get(clip), film_source))
    tracks = []
    for track in spec.tracks:
        sound = film_source.file(track.key)
        if sound is None:
            problems.append(_missing(track.key, "The film"))
        else:
            tracks.append(Track(track, sound.etag, sound.size_bytes))
    problems += _too_long_crossfades(shots)
    # A film that cannot be joined must not pay for any shot.
    if problems:
        uploads, foreseen = [], []
    return ResolvedFilm(
        name, tuple(shots), tuple(tracks), tuple(uploads), problems=tuple(problems), foreseen=tuple(foreseen)
    )


def _existing(
    number: int,
    shot: ClipShot,
    rows: Mapping[str, ClipRow],
    sources: Mapping[str, str],
    film_source: FilmSource,
    problems: list[Problem],
) -> Shot:
    row = rows.get(shot.clip)
    if row is None or row.state is ClipState.WITHDRAWN:
        near = difflib.get_close_matches(shot.clip, list(sources), 1)
        remedy = f"Did you mean {near[0]}?" if near else "`i2v status` lists the clips."
        problems.append(Problem(f"Shot {number} names the clip {shot.clip}, which does not exist.", "", remedy))
        return Shot(number, shot.clip, shot.crossfade, False, False, None, "missing")
    if row.state is ClipState.REFUSED:
        what = f"Shot {number} names the clip {shot.clip}, which was refused: {row.reason or ''}".strip()
        problems.append(Problem(what, remedy=f"See clips/{shot.clip}/REFUSED.txt."))
    video = _video(row, row.version, film_source)
    return Shot(
        number,
        shot.clip,
        shot.crossfade,
        inline=False,
        from_last_frame=False,
        video=video,
        state="delivered" if video else row.state.value,
        reason="" if video else row.reason or "",
        price=(video.cost if video else None) or row.price_microdollars,
    )


def _inline(
    number: int,
    shot: InlineShot,
    clip: str,
    candidate: Candidate | None,
    row: ClipRow | None,
    film_source: FilmSource,
) -> Shot:
    video, state, reason, price, asks = None, "due", "", None, False
    if candidate is None:
        state = "planned"
        if shot.from_last_frame:
            reason = f"It starts from the last frame of shot {number - 1}, which does not exist yet."
    elif row is not None and row.version == candidate.version:
        video = _video(row, candidate.version, film_source)
        state = "delivered" if video else row.state.value
        reason = "" if video else row.reason or ""
        asks = row.state is ClipState.WAITING and row.wait in (WaitReason.APPROVAL, WaitReason.HEAP)
        price = video.cost if video else None
        price = price if price is not None else row.price_microdollars
    estimated = price is None
    return Shot(
        number,
        clip,
        shot.crossfade,
        inline=True,
        from_last_frame=shot.from_last_frame,
        video=video,
        state=state,
        reason=reason,
        price=film_source.estimate(shot.brief) if estimated else price,
        estimated=estimated,
        asks=asks,
    )


def _video(row: ClipRow, version: str, film_source: FilmSource) -> ShotVideo | None:
    """Return the clip's video if it was made for the current version."""
    if row.state is not ClipState.DELIVERED or row.answered_version != version:
        return None
    return film_source.video(row)


def last_frame_name(before: str) -> str:
    """Return the name of the last frame of a clip among the files of the shot that starts from it."""
    return f"last-frame-of-{before}.png"


def _has_first_frame(candidate: Candidate) -> bool:
    """Return whether a shot that starts from another one's last frame has that frame."""
    there = {file.name for file in candidate.files}
    return all(image.file in there for image in candidate.brief.images or ())


def _candidate(
    film: str,
    clip: str,
    source: str,
    shot: InlineShot,
    before: Shot | None,
    film_source: FilmSource,
    problems: list[Problem],
) -> Candidate | None:
    """Return the shot as an upload, without its first frame while that is missing; None if one of its files is missing."""
    brief, files = shot.brief, []
    if shot.from_last_frame and before is not None:
        name = last_frame_name(before.clip)
        brief = with_image(brief, name)
        frame = film_source.last_frame(film, before.video) if before.video is not None else None
        if frame is not None and before.video is not None:
            of = before.video.fingerprint
            files.append(UploadFile(name, frame.key, frame.etag, MediumKind.IMAGE, frame.size_bytes, of))
    named = [
        (ref.file, kind)
        for refs, kind in (
            (() if shot.from_last_frame else brief.images, MediumKind.IMAGE),
            (brief.videos, MediumKind.VIDEO),
            (brief.audio, MediumKind.AUDIO),
        )
        for ref in refs or ()
    ]
    singles = [(key, _SINGLE_KINDS[field]) for field, key in brief.single_files.items()]
    named += [each for each in singles if each not in named]
    for key, kind in named:
        upload = film_source.file(key)
        if upload is None:
            problems.append(_missing(key, clip))
        elif MEDIA_ENDINGS.get(split_name(key.rpartition("/")[2])[1]) is not kind:
            endings = ", ".join(ending for ending, of in MEDIA_ENDINGS.items() if of is kind)
            problems.append(Problem(f"{clip} names {key}, which is not {endings}.", remedy="Correct the film's file."))
        else:
            files.append(UploadFile(key, upload.key, upload.etag, kind, upload.size_bytes))
    if problems:
        return None
    return Candidate(
        clip=clip,
        source=source,
        kind=UploadKind.ROW,
        files=tuple(files),
        brief=brief,
        version=version_of([_as_counted(file) for file in files], brief),
        document_key=source.partition("#")[0],
    )


def _as_counted(file: UploadFile) -> UploadFile:
    """Return a file as it counts in a shot's version: a frame counts as the shot that it is of, never as its bytes.

    Frames beside the film were cut by earlier versions and count as their bytes, so that shots made from them stay made.
    """
    by_shot = bool(file.frame_of) and file.key.startswith(INPUTS)
    return replace(file, etag=f"last frame of {file.frame_of}") if by_shot else file


def _too_long_crossfades(shots: Sequence[Shot]) -> list[Problem]:
    """Return problems for crossfades that are longer than a delivered video.

    The film's file does not state the length of an existing clip, nor of a shot that matches its sound.
    """
    problems = []
    for shot, after in zip(shots, (*shots[1:], None), strict=True):
        taken = shot.crossfade + (after.crossfade if after is not None else 0.0)
        if shot.video is not None and taken > shot.video.seconds + HALF_A_FRAME:
            what = (
                f"Shot {shot.number} ({shot.clip}) has {shot.video.seconds:.2f} s, but its crossfades need {taken:g} s."
            )
            problems.append(Problem(what, remedy="Shorten the crossfades, or use a longer clip."))
    return problems


def _missing(key: str, who: str) -> Problem:
    return Problem(
        f"{who} needs {key}, which is not in the bucket.",
        remedy="Upload it, or correct its name. A name without a folder is below sequences/.",
    )


def pending(shots: Sequence[Shot]) -> tuple[Shot, ...]:
    """Return the shots that have no video."""
    return tuple(shot for shot in shots if shot.video is None)
