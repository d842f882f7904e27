"""Entries of the gallery: one per clip or film."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType

from i2v_assets.clip_folder.manifest import Manifest
from i2v_assets.clip_folder.notes import Answer, AnswerKind
from i2v_assets.films.manifest import FilmManifest
from resources.problem import Problem
from resources.schemas.inputs import Route, Service


class Status(StrEnum):
    """State of a clip in the gallery."""

    DELIVERED = "delivered"
    WORKING = "working"
    SETTLING = "settling"
    WAITING = "waiting"
    FAILED = "failed"
    REFUSED = "refused"


_STATUS = {
    AnswerKind.REFUSED: Status.REFUSED,
    AnswerKind.FAILED: Status.FAILED,
    AnswerKind.WAITING: Status.WAITING,
}


@dataclass(frozen=True)
class Paid:
    """One payment of the ledger and its day; the reserved price counts until the cost is reported."""

    day: date
    service: Service
    microdollars: int


@dataclass(frozen=True)
class TakeCost:
    """The cost of one take; if ``estimated``, the amount reserved for it."""

    microdollars: int
    estimated: bool = False


@dataclass(frozen=True)
class GalleryTake:
    """One generation of a clip; ``video_key`` is its key in the bucket."""

    take: int
    seed: int
    video_key: str
    quality: float | None = None
    chosen: bool = False


@dataclass(frozen=True)
class GalleryShot:
    """One shot of a film; ``what`` is its start in the film, or why it has no video yet."""

    clip: str
    what: str
    cost_microdollars: int | None = None


@dataclass(frozen=True)
class GalleryEntry:
    """One clip of the gallery, or one film (``film``). A film's cost is that of its ``shots``, which count as clips already.

    ``moment`` is when the video or the note was written. ``cost_microdollars`` is the cost of the takes; if ``estimated``,
    the reserved or expected cost. Clips of the same inputs share a payment, so the gallery never sums these costs: totals
    come from the ledger. ``folder_key`` is the folder of its files, by default ``clips/<clip>/``. If ``poster`` is False,
    the page shows the video's first frame instead of ``poster.jpg``. ``command`` is what a person copies to let the clip go
    on, and ``picture`` is set if there is a small copy of its first image.
    """

    clip: str
    status: Status
    moment: datetime
    service: Service = "runcomfy"
    route: Route | None = None
    prompt: str = ""
    cost_microdollars: int | None = None
    estimated: bool = False
    folder_key: str = ""
    poster: bool = True
    signed: bool = False
    seconds: float | None = None
    width: int = 0
    height: int = 0
    quality: float | None = None
    takes: tuple[GalleryTake, ...] = ()
    dub_group: str | None = None
    language: str | None = None
    title: str = ""
    problems: tuple[Problem, ...] = ()
    next: str = ""
    note_file: str = ""
    facts: tuple[tuple[str, str], ...] = field(default=())
    reasons: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    media: tuple[str, ...] = ()
    film: bool = False
    command: str = ""
    picture: bool = False
    shots: tuple[GalleryShot, ...] = ()

    @property
    def key(self) -> str:
        """The entry's unique key on the page; a film may have the name of a clip."""
        return f"film:{self.clip}" if self.film else self.clip

    @property
    def folder(self) -> str:
        """The key of the clip's folder, with a trailing slash."""
        return self.folder_key or f"clips/{self.clip}/"


def entry_of_manifest(
    manifest: Manifest,
    *,
    poster: bool = True,
    costs: Mapping[str, TakeCost] = MappingProxyType({}),
    note: Answer | None = None,
) -> GalleryEntry:
    """Return the entry of a delivered clip, from its manifest.

    Args:
        manifest: The clip's manifest.
        poster: True if it has a poster.jpg.
        costs: Costs of takes, by fingerprint; the manifest's cost is used if the chosen take is missing.
        note: The note on a newer version that has no video yet.
    """
    cost = _cost(manifest, costs)
    chosen = GalleryTake(manifest.take, manifest.seed, manifest.video.key, manifest.quality, chosen=True)
    others = (GalleryTake(take.take, take.seed, take.video_key, take.quality) for take in manifest.other_takes)
    facts = [
        ("Model", manifest.model_id),
        ("Answered by", manifest.answered_model_id or ""),
        ("Seed", str(manifest.seed)),
        ("Asked for", _requested(manifest)),
        ("Motion preset", manifest.preset or ""),
        ("Negative prompt", manifest.negative_prompt or ""),
        ("In the queue", _seconds(manifest.queue_seconds)),
        ("Generation", _seconds(manifest.generation_seconds)),
        ("Request", manifest.request_id or ""),
        ("Fingerprint", manifest.fingerprint),
        ("SHA-256", manifest.video.sha256),
    ]
    return GalleryEntry(
        clip=manifest.clip,
        status=Status.DELIVERED,
        moment=manifest.times.delivered,
        service=manifest.service,
        route=manifest.route,
        prompt=manifest.prompt,
        cost_microdollars=cost.microdollars if cost is not None else None,
        estimated=cost is None or cost.estimated,
        poster=poster,
        signed=manifest.video.signed_sha256 is not None,
        seconds=manifest.video.seconds,
        width=manifest.video.width,
        height=manifest.video.height,
        quality=manifest.quality,
        takes=tuple(sorted((chosen, *others), key=lambda take: take.take)),
        dub_group=manifest.dub.group if manifest.dub else None,
        language=manifest.dub.language if manifest.dub else None,
        facts=tuple((name, value) for name, value in facts if value),
        reasons=manifest.reasons,
        findings=manifest.findings,
        media=tuple(medium.key for medium in manifest.media),
        title=note.title if note else "",
        problems=note.problems if note else (),
        next=note.next if note else "",
        note_file=note.kind.value if note else "",
    )


def _cost(manifest: Manifest, costs: Mapping[str, TakeCost]) -> TakeCost | None:
    """Return the cost of all takes of a clip, each counted once; None if unknown."""
    own = manifest.cost_microdollars
    recorded = own if own is not None else manifest.price_microdollars
    by_fingerprint = {} if recorded is None else {manifest.fingerprint: TakeCost(recorded, estimated=own is None)}
    takes = (manifest.fingerprint, *(take.fingerprint for take in manifest.other_takes))
    by_fingerprint |= {each: costs[each] for each in takes if each in costs}
    if not by_fingerprint:
        return None
    return TakeCost(
        sum(cost.microdollars for cost in by_fingerprint.values()),
        any(cost.estimated for cost in by_fingerprint.values()),
    )


def entry_of_film(manifest: FilmManifest, *, poster: bool = True, note: Answer | None = None) -> GalleryEntry:
    """Return the entry of a joined film; ``note`` is set while a newer version waits, failed or was refused."""
    video = manifest.video
    unknown = any(shot.cost_microdollars is None for shot in manifest.shots)
    step = max((seam.colour_step for seam in manifest.seams), default=None)
    facts = [
        ("Shots", str(len(manifest.shots))),
        ("Frame rate", f"{video.fps:g} frames per second"),
        ("Loudness", "" if video.loudness_lufs is None else f"{video.loudness_lufs:.1f} LUFS"),
        ("Largest colour step", "" if step is None else f"{step:g}"),
        ("SHA-256", video.signed_sha256 or video.sha256),
    ]
    return GalleryEntry(
        clip=manifest.film,
        status=Status.DELIVERED,
        moment=manifest.made_at,
        service="sandbox" if manifest.sandbox else "runcomfy",
        cost_microdollars=manifest.cost_microdollars,
        estimated=unknown,
        folder_key=f"sequences/{manifest.film}/",
        poster=poster,
        signed=video.signed_sha256 is not None,
        seconds=video.seconds,
        width=video.width,
        height=video.height,
        facts=tuple((name, value) for name, value in facts if value),
        media=tuple(track.key for track in manifest.tracks),
        title=note.title if note else "",
        problems=note.problems if note else (),
        next=note.next if note else "",
        film=True,
        shots=tuple(
            GalleryShot(
                shot.clip, f"{shot.starts_at:.1f} s, {shot.transition}" if at else "0.0 s", shot.cost_microdollars
            )
            for at, shot in enumerate(manifest.shots)
        ),
    )


def entry_under_way(
    clip: str,
    status: Status,
    moment: datetime,
    words: str,
    *,
    service: Service = "runcomfy",
    next_step: str = "",
) -> GalleryEntry:
    """Return the entry of a clip that is being made, or of an upload that settles."""
    problem = Problem(words, remedy=next_step)
    return GalleryEntry(clip=clip, status=status, moment=moment, service=service, poster=False, problems=(problem,))


def entry_of_answer(
    clip: str,
    answer: Answer,
    moment: datetime,
    *,
    service: Service = "runcomfy",
    route: Route | None = None,
    prompt: str = "",
    cost_microdollars: int | None = None,
    folder_key: str = "",
    note_file: str = "",
) -> GalleryEntry:
    """Return the entry of a clip without a video; ``note_file`` is set if its note is outside the clip's folder."""
    return GalleryEntry(
        clip=clip,
        status=_STATUS[answer.kind],
        moment=moment,
        service=service,
        route=route,
        prompt=prompt,
        cost_microdollars=cost_microdollars,
        estimated=answer.kind is AnswerKind.WAITING,
        folder_key=folder_key,
        title=answer.title,
        problems=answer.problems,
        next=answer.next,
        note_file=note_file or answer.kind.value,
    )


def _requested(manifest: Manifest) -> str:
    parts = (f"{manifest.duration} s", manifest.resolution, manifest.aspect_ratio or "")
    return ", ".join(part for part in parts if part)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} s"
