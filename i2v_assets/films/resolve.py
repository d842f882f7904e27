"""How far each shot of a film is, and what becomes a clip now. Pure: the world is asked through `Surroundings`."""

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from i2v_assets.briefs.brief import Brief
from i2v_assets.films.spec import ClipShot, FilmAsked, InlineShot, TrackAsked, shot_name, with_image
from i2v_assets.uploads.snapshot import version_of
from i2v_assets.uploads.types import MEDIA_ENDINGS, Candidate, UploadFile, UploadKind, UploadObject, split_name
from resources.problem import Problem
from resources.registry.rows import ClipRow, ClipState
from resources.schemas.inputs import MediumKind

FILM_VERSION = 1
"""Rises when the same shots would be joined into another film."""

HALF_A_FRAME = 0.02
"""Seconds, at 25 frames a second: joining rounds to whole frames, so this much too long still fits."""


@dataclass(frozen=True, slots=True)
class ShotVideo:
    """A delivered video: where it lies and what it is. ``cost`` in micro-dollars, None while it is not settled.

    ``signed_sha256`` is of the copy in its clip's folder, None where that is not signed.
    """

    key: str
    sha256: str
    fingerprint: str
    seconds: float
    cost: int | None
    signed_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Shot:
    """One shot of a film and how far it is.

    Attributes:
        number: From 1.
        clip: The clip that it is.
        crossfade: Seconds that it overlaps with the shot before.
        inline: It is written in the film's file.
        from_last_frame: It starts from the last frame of the shot before.
        video: Its delivered video, None while there is none for what is asked for now.
        state: How far its clip is, in a word.
        reason: Why it has no video.
        price: What it costs (planned) or will cost (estimated), in micro-dollars; None where that is not known yet.
        estimated: The price is an estimate, since the shot cannot be planned before its first frame is known. Nobody
            approves it and no order carries it: with the frame the shot becomes a clip, whose plan has its own price.
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


@dataclass(frozen=True, slots=True)
class Track:
    """A sound under the film, as it lies in the bucket."""

    asked: TrackAsked
    etag: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """A film as it stands.

    Attributes:
        name: The partition key.
        shots: All of its shots, in order.
        tracks: Its sounds.
        uploads: The shots that become clips now.
        problems: What has to be mended before anything is made or paid.
    """

    name: str
    shots: tuple[Shot, ...]
    tracks: tuple[Track, ...] = ()
    uploads: tuple[Candidate, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def clips(self) -> frozenset[str]:
        """Every clip that its own shots are or will be."""
        return frozenset(shot.clip for shot in self.shots if shot.inline)

    @property
    def version(self) -> str | None:
        """Hash over all that the film is joined from; None while a shot is missing."""
        videos = [shot.video for shot in self.shots]
        if self.problems or any(video is None for video in videos):
            return None
        plain = [
            FILM_VERSION,
            [[shot.video.sha256 if shot.video else "", shot.crossfade] for shot in self.shots],
            [
                [track.asked.key, track.etag, track.asked.gain_db, track.asked.loop, track.asked.fade_out]
                for track in self.tracks
            ],
        ]
        return hashlib.sha256(json.dumps(plain).encode()).hexdigest()


class FilmSource(Protocol):
    """What is asked of the world while a film is looked at."""

    def file(self, key: str) -> UploadObject | None:
        """An object of the bucket, or None."""

    def video(self, row: ClipRow) -> ShotVideo:
        """The video of a delivered clip."""

    def last_frame(self, film: str, video: ShotVideo) -> UploadObject | None:
        """The last frame of a video as an image in the bucket; None when it is left for the next look."""

    def estimate(self, brief: Brief) -> int | None:
        """What a shot over one image will cost about, in micro-dollars; None where nobody knows."""


def resolve(
    name: str,
    source: str,
    asked: FilmAsked,
    rows: Mapping[str, ClipRow],
    sources: Mapping[str, str],
    world: FilmSource,
) -> Resolved:
    """Looks at every shot in order.

    Args:
        name: the film.
        source: the key of its file.
        asked: what the file asks for.
        rows: the clips that its shots are, as far as they are known.
        sources: whose every known clip is, by its name.
        world: the bucket.
    """
    shots: list[Shot] = []
    uploads: list[Candidate] = []
    problems: list[Problem] = []
    for number, shot in enumerate(asked.shots, start=1):
        if isinstance(shot, ClipShot):
            shots.append(_existing(number, shot, rows, sources, world, problems))
            continue
        clip = shot_name(name, number)
        own = f"{source}#{number:02d}"
        if sources.get(clip, own).partition("#")[0] != source:
            what = f"Shot {number} would be the clip {clip}, which is {sources[clip]} already."
            problems.append(Problem(what, remedy="Rename one of them."))
        candidate = _candidate(name, clip, own, shot, shots[-1] if shots else None, world, problems)
        if candidate is not None:
            uploads.append(candidate)
        shots.append(_inline(number, shot, clip, candidate, rows.get(clip), world))
    tracks = []
    for track in asked.tracks:
        found = world.file(track.key)
        if found is None:
            problems.append(_missing(track.key, "The film"))
        else:
            tracks.append(Track(track, found.etag))
    problems += _too_long_crossfades(shots)
    # Nothing is paid for a film that cannot be joined.
    return Resolved(name, tuple(shots), tuple(tracks), () if problems else tuple(uploads), tuple(problems))


def _existing(
    number: int,
    shot: ClipShot,
    rows: Mapping[str, ClipRow],
    sources: Mapping[str, str],
    world: FilmSource,
    problems: list[Problem],
) -> Shot:
    row = rows.get(shot.clip)
    if row is None or row.state is ClipState.WITHDRAWN:
        near = difflib.get_close_matches(shot.clip, list(sources), 1)
        remedy = f"Did you mean {near[0]}?" if near else "`i2v status` lists the clips."
        problems.append(Problem(f"Shot {number} is the clip {shot.clip}, and there is none of this name.", "", remedy))
        return Shot(number, shot.clip, shot.crossfade, False, False, None, "missing")
    video = _video(row, row.version, world)
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
    world: FilmSource,
) -> Shot:
    video, state, reason, price = None, "due", "", None
    if candidate is None:
        state = "planned"
        if shot.from_last_frame:
            reason = f"It starts from the last frame of shot {number - 1}, which is not known yet."
    elif row is not None and row.version == candidate.version:
        video = _video(row, candidate.version, world)
        state = "delivered" if video else row.state.value
        reason = "" if video else row.reason or ""
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
        price=world.estimate(shot.brief) if estimated else price,
        estimated=estimated,
    )


def _video(row: ClipRow, version: str, world: FilmSource) -> ShotVideo | None:
    """The clip's video, when it is of what is asked for now."""
    if row.state is not ClipState.DELIVERED or row.answered_version != version:
        return None
    return world.video(row)


def _candidate(
    film: str,
    clip: str,
    source: str,
    shot: InlineShot,
    before: Shot | None,
    world: FilmSource,
    problems: list[Problem],
) -> Candidate | None:
    """The shot as an upload; None while its first frame or one of its files is not there."""
    brief, files = shot.brief, []
    if shot.from_last_frame:
        found = world.last_frame(film, before.video) if before is not None and before.video is not None else None
        if found is None or before is None:
            return None
        name = f"last-frame-of-{before.clip}.png"
        brief = with_image(brief, name)
        files.append(UploadFile(name, found.key, found.etag, MediumKind.IMAGE, found.size_bytes))
    named = [
        (ref.file, kind)
        for refs, kind in (
            (() if shot.from_last_frame else brief.images, MediumKind.IMAGE),
            (brief.videos, MediumKind.VIDEO),
            (brief.audio, MediumKind.AUDIO),
        )
        for ref in refs or ()
    ]
    for key, kind in named:
        there = world.file(key)
        if there is None:
            problems.append(_missing(key, clip))
        elif MEDIA_ENDINGS.get(split_name(key.rpartition("/")[2])[1]) is not kind:
            endings = ", ".join(ending for ending, of in MEDIA_ENDINGS.items() if of is kind)
            problems.append(Problem(f"{clip} names {key}, which is not {endings}.", remedy="Correct the film's file."))
        else:
            files.append(UploadFile(key, there.key, there.etag, kind, there.size_bytes))
    if problems:
        return None
    return Candidate(
        clip=clip,
        source=source,
        kind=UploadKind.ROW,
        files=tuple(files),
        brief=brief,
        version=version_of(files, brief),
        said_in=source.partition("#")[0],
    )


def _too_long_crossfades(shots: Sequence[Shot]) -> list[Problem]:
    """Crossfades that a delivered video has no room for: the file tells no length of a clip, nor of a shot that follows its sound."""
    problems = []
    for shot, after in zip(shots, (*shots[1:], None), strict=True):
        taken = shot.crossfade + (after.crossfade if after is not None else 0.0)
        if shot.video is not None and taken > shot.video.seconds + HALF_A_FRAME:
            what = f"Shot {shot.number} ({shot.clip}) has {shot.video.seconds:.2f} s, and its crossfades together {taken:g} s."
            problems.append(Problem(what, remedy="Shorten the crossfades, or take a longer clip."))
    return problems


def _missing(key: str, who: str) -> Problem:
    return Problem(
        f"{who} needs {key}, and there is no such file in the bucket.",
        remedy="Upload it, or correct its name (a name without a folder lies below sequences/).",
    )


def pending(shots: Sequence[Shot]) -> tuple[Shot, ...]:
    """The shots that have no video."""
    return tuple(shot for shot in shots if shot.video is None)
