"""What the gallery shows of one clip."""

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
    """Where a clip stands."""

    DELIVERED = "delivered"
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
    """One payment of the ledger, on the day on which it was made; a price counts until the cost is reported."""

    day: date
    service: Service
    microdollars: int


@dataclass(frozen=True)
class TakeCost:
    """What one take cost, or, where ``estimated``, what was reserved for it."""

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
    """One shot of a film; ``what`` is where it starts in the film, or why it is not there yet."""

    clip: str
    what: str
    cost_microdollars: int | None = None


@dataclass(frozen=True)
class GalleryEntry:
    """One clip of the gallery, or one film (``film``), whose cost is what its ``shots`` cost: counted there already.

    ``moment`` is when it was delivered, or when the answer was written; ``cost_microdollars`` what its takes cost or, where
    ``estimated``, what that or the clip would cost. Clips of the same inputs share a payment, so costs are not added up:
    sums are the ledger's. ``folder_key`` is where its files lie, ``clips/<clip>/`` unless said otherwise;
    ``poster`` False shows the video's own first frame instead of ``poster.jpg``.
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
    shots: tuple[GalleryShot, ...] = ()

    @property
    def key(self) -> str:
        """What the page knows it by: a film may have the name of a clip."""
        return f"film:{self.clip}" if self.film else self.clip

    @property
    def folder(self) -> str:
        """The key of the clip's folder, with a slash at its end."""
        return self.folder_key or f"clips/{self.clip}/"


def entry_of_manifest(
    manifest: Manifest,
    *,
    poster: bool = True,
    costs: Mapping[str, TakeCost] = MappingProxyType({}),
    note: Answer | None = None,
) -> GalleryEntry:
    """The entry of a delivered clip; what is shown comes from its manifest.

    Args:
        manifest: the clip's.
        poster: it has a poster.jpg.
        costs: of takes, by their fingerprints; where the chosen one's is missing, the manifest's counts.
        note: why a newer version of it is not there, while this one is shown.
    """
    cost = _cost(manifest, costs)
    chosen = GalleryTake(manifest.take, manifest.seed, manifest.video.key, manifest.quality, chosen=True)
    others = (GalleryTake(take.take, take.seed, take.video_key, take.quality) for take in manifest.other_takes)
    facts = [
        ("Model", manifest.model_id),
        ("Seed", str(manifest.seed)),
        ("Asked for", _asked(manifest)),
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
    """What all of a clip's takes cost, each once; None where nobody knows."""
    own = manifest.cost_microdollars
    told = own if own is not None else manifest.price_microdollars
    known = {} if told is None else {manifest.fingerprint: TakeCost(told, estimated=own is None)}
    takes = (manifest.fingerprint, *(take.fingerprint for take in manifest.other_takes))
    known |= {each: costs[each] for each in takes if each in costs}
    if not known:
        return None
    return TakeCost(sum(cost.microdollars for cost in known.values()), any(cost.estimated for cost in known.values()))


def entry_of_film(manifest: FilmManifest, *, poster: bool = True, note: Answer | None = None) -> GalleryEntry:
    """The entry of a joined film; ``note`` is there while it is being made again, or cannot be."""
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
    """The entry of a clip without a video; ``note_file`` where its text is no file of the clip's folder."""
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


def _asked(manifest: Manifest) -> str:
    parts = (f"{manifest.duration} s", manifest.resolution, manifest.aspect_ratio or "")
    return ", ".join(part for part in parts if part)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} s"
