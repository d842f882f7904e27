"""Join a film whose shots are all delivered, and store it beside its file."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from i2v_assets.films.manifest import (
    SANDBOX_FILM_NOTE,
    FilmManifest,
    FilmSeam,
    FilmShot,
    FilmTrack,
    FilmVideo,
)
from i2v_assets.films.resolve import ResolvedFilm, ShotVideo
from i2v_assets.films.sign import signed_film
from resources.media import joining, mixing
from resources.media.limits import JOIN
from resources.media.pool import shared_pool
from resources.media.previews import contact_sheet, poster
from resources.provenance import documents
from resources.schemas.inputs import sha256_file
from resources.settings import Settings
from resources.storage import keys
from resources.storage.bucket import Bucket

POSTER_BYTES = 200_000
INLINE_POSTER_BYTES = 10_000
"""Same as a clip's poster: base64 adds a third, and an event holds at most 15 KB."""


@dataclass(frozen=True)
class JoinedFilm:
    """A joined and stored film."""

    film: joining.Film
    inline_poster: bytes
    manifest: FilmManifest
    provenance: str
    """Whether the film is signed, in one line for people."""

    @property
    def sha256(self) -> str:
        """Hash of the joined film before signing."""
        return self.manifest.video.sha256


def join_film(
    bucket: Bucket, film: ResolvedFilm, version: str, scratch: Path, settings: Settings, *, tool: str
) -> JoinedFilm:
    """Download the shots, join them in a process of their own, then sign and store the film.

    The manifest is written last, so that it never names a missing object.

    Raises:
        CannotJoin: the crossfades do not fit.
        Unreadable: a file is damaged.
        StorageError: the bucket does not respond.
    """
    sandbox = settings.is_sandbox
    videos = [shot.video for shot in film.shots if shot.video is not None]
    local = {video.key: scratch / f"{number:03d}.mp4" for number, video in enumerate(videos)}
    for key, path in local.items():
        bucket.download(key, path)
    tracks = _tracks(bucket, film, scratch)
    options = joining.FilmOptions(tracks=tuple(tracks), metadata={"comment": SANDBOX_FILM_NOTE} if sandbox else {})
    shots = [
        joining.Shot(path=local[video.key], name=shot.clip, crossfade=shot.crossfade)
        for shot, video in zip(film.shots, videos, strict=True)
    ]
    output = scratch / "film.mp4"
    pool = shared_pool()
    joined = pool.run(joining.join, shots, output, options, limits=JOIN, name="The film")
    manifest = _manifest(film, videos, tracks, joined, version, sha256_file(output), sandbox=sandbox, tool=tool)
    signing = signed_film(bucket, film, output, _composition(manifest, tool), local, settings)
    signed = {"signed_sha256": signing.sha256, "signed_size_bytes": signing.size_bytes}
    manifest = manifest.model_copy(update={"video": manifest.video.model_copy(update=signed)})
    name = film.name
    bucket.upload(signing.path or output, keys.sequence_key(name, keys.VIDEO), "video/mp4")
    picture, sheet, small = pool.run(_pictures, output, limits=JOIN, name="The film")
    bucket.write(keys.sequence_key(name, keys.POSTER), picture, "image/jpeg")
    bucket.write(keys.sequence_key(name, keys.CONTACT_SHEET), sheet, "image/jpeg")
    bucket.write(keys.sequence_key(name, keys.MANIFEST), manifest.to_json(), "application/json")
    bucket.delete_many(keys.sequence_key(name, note) for note in keys.NOTES)
    return JoinedFilm(joined, small, manifest, signing.line)


def _pictures(film: Path) -> tuple[bytes, bytes, bytes]:
    """Return the poster, the contact sheet and the small poster of a film; runs in a process of the pool."""
    picture = poster(film, max_bytes=POSTER_BYTES, longer_side=1280)
    return picture, contact_sheet(film), poster(film, max_bytes=INLINE_POSTER_BYTES, longer_side=320)


def _composition(manifest: FilmManifest, tool: str) -> documents.Composition:
    return documents.Composition(
        title=f"{manifest.film}.mp4",
        tool_version=tool,
        version=manifest.version,
        joined_sha256=manifest.video.sha256,
        sandbox=manifest.sandbox,
        shots=tuple(documents.FilmShot(shot.clip, shot.sha256, shot.fingerprint) for shot in manifest.shots),
    )


def _tracks(bucket: Bucket, film: ResolvedFilm, scratch: Path) -> Sequence[mixing.Track]:
    tracks = []
    for number, track in enumerate(film.tracks):
        path = scratch / f"track-{number}"
        bucket.download(track.spec.key, path)
        name = track.spec.key.rpartition("/")[2]
        tracks.append(
            mixing.Track(
                path=path,
                name=name,
                gain_db=track.spec.gain_db,
                loop=track.spec.loop,
                fade_out_seconds=track.spec.fade_out,
            )
        )
    return tracks


def _manifest(
    film: ResolvedFilm,
    videos: Sequence[ShotVideo],
    tracks: Sequence[mixing.Track],
    joined: joining.Film,
    version: str,
    sha256: str,
    *,
    sandbox: bool,
    tool: str,
) -> FilmManifest:
    starts = [0.0, *(seam.at_seconds for seam in joined.seams)]
    return FilmManifest(
        film=film.name,
        version=version,
        sandbox=sandbox,
        made_at=datetime.now(UTC).replace(microsecond=0),
        shots=tuple(
            FilmShot(
                clip=shot.clip,
                video_key=video.key,
                sha256=video.sha256,
                fingerprint=video.fingerprint,
                seconds=video.seconds,
                starts_at=start,
                transition=f"crossfade {shot.crossfade:g} s" if shot.crossfade else "cut",
                starts_from_last_frame=shot.from_last_frame,
                cost_microdollars=video.cost,
                pieces=video.pieces,
            )
            for shot, video, start in zip(film.shots, videos, starts, strict=True)
        ),
        tracks=tuple(
            FilmTrack(
                key=track.spec.key,
                etag=track.etag,
                sha256=sha256_file(local.path),
                gain_db=track.spec.gain_db,
                loop=track.spec.loop,
            )
            for track, local in zip(film.tracks, tracks, strict=True)
        ),
        seams=tuple(FilmSeam(**seam.model_dump()) for seam in joined.seams),
        video=FilmVideo(
            key=keys.sequence_key(film.name, keys.VIDEO),
            sha256=sha256,
            size_bytes=joined.size_bytes,
            width=joined.width,
            height=joined.height,
            fps=joined.fps,
            frames=joined.frames,
            seconds=joined.seconds,
            loudness_lufs=joined.loudness_lufs,
        ),
        versions={"i2v-assets": tool},
    )
