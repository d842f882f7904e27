"""Joins a film whose shots are all there, and writes it beside its file."""

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
from i2v_assets.films.resolve import Resolved, ShotVideo
from i2v_assets.films.sign import signed_film
from resources.media import joining, mixing
from resources.media.previews import contact_sheet, poster
from resources.media.probe import sha256_file
from resources.provenance import documents
from resources.settings import Settings
from resources.storage import keys
from resources.storage.bucket import Bucket

POSTER_BYTES = 200_000
INLINE_POSTER_BYTES = 10_000
"""As of a clip: base64 takes a third more, and 15 KB at most go into an event."""


@dataclass(frozen=True)
class MadeFilm:
    """A film that was joined and stored."""

    film: joining.Film
    inline_poster: bytes
    manifest: FilmManifest
    provenance: str
    """One line for people."""

    @property
    def sha256(self) -> str:
        """Of the film as it was joined, before it was signed."""
        return self.manifest.video.sha256


def make_film(
    bucket: Bucket, found: Resolved, version: str, scratch: Path, settings: Settings, *, tool: str
) -> MadeFilm:
    """Fetch the shots, join them, sign and store the film; the manifest comes last, so that it never speaks of what is not there.

    Raises:
        CannotJoin: the crossfades do not fit; Unreadable: a file is damaged; StorageError: the bucket does not answer.
    """
    sandbox = settings.service == "sandbox"
    videos = [shot.video for shot in found.shots if shot.video is not None]
    local = {video.key: scratch / f"{number:03d}.mp4" for number, video in enumerate(videos)}
    for key, path in local.items():
        bucket.download(key, path)
    tracks = _tracks(bucket, found, scratch)
    options = joining.FilmOptions(tracks=tuple(tracks), metadata={"comment": SANDBOX_FILM_NOTE} if sandbox else {})
    shots = [
        joining.Shot(path=local[video.key], name=shot.clip, crossfade=shot.crossfade)
        for shot, video in zip(found.shots, videos, strict=True)
    ]
    output = scratch / "film.mp4"
    film = joining.join(shots, output, options)
    manifest = _manifest(found, videos, tracks, film, version, sha256_file(output), sandbox=sandbox, tool=tool)
    signing = signed_film(bucket, found, output, _composition(manifest, tool), local, settings)
    signed = {"signed_sha256": signing.sha256, "signed_size_bytes": signing.size_bytes}
    manifest = manifest.model_copy(update={"video": manifest.video.model_copy(update=signed)})
    name = found.name
    bucket.upload(signing.path or output, keys.sequence_key(name, keys.VIDEO), "video/mp4")
    picture = poster(output, max_bytes=POSTER_BYTES, longer_side=1280)
    bucket.write(keys.sequence_key(name, keys.POSTER), picture, "image/jpeg")
    bucket.write(keys.sequence_key(name, keys.CONTACT_SHEET), contact_sheet(output), "image/jpeg")
    bucket.write(keys.sequence_key(name, keys.MANIFEST), manifest.to_json(), "application/json")
    bucket.delete_many(keys.sequence_key(name, note) for note in keys.NOTES)
    small = poster(output, max_bytes=INLINE_POSTER_BYTES, longer_side=320)
    return MadeFilm(film, small, manifest, signing.line)


def _composition(manifest: FilmManifest, tool: str) -> documents.Composition:
    return documents.Composition(
        title=f"{manifest.film}.mp4",
        tool_version=tool,
        version=manifest.version,
        joined_sha256=manifest.video.sha256,
        sandbox=manifest.sandbox,
        shots=tuple(documents.FilmShot(shot.clip, shot.sha256, shot.fingerprint) for shot in manifest.shots),
    )


def _tracks(bucket: Bucket, found: Resolved, scratch: Path) -> Sequence[mixing.Track]:
    tracks = []
    for number, track in enumerate(found.tracks):
        path = scratch / f"track-{number}"
        bucket.download(track.asked.key, path)
        name = track.asked.key.rpartition("/")[2]
        tracks.append(
            mixing.Track(
                path=path,
                name=name,
                gain_db=track.asked.gain_db,
                loop=track.asked.loop,
                fade_out_seconds=track.asked.fade_out,
            )
        )
    return tracks


def _manifest(
    found: Resolved,
    videos: Sequence[ShotVideo],
    tracks: Sequence[mixing.Track],
    film: joining.Film,
    version: str,
    sha256: str,
    *,
    sandbox: bool,
    tool: str,
) -> FilmManifest:
    starts = [0.0, *(seam.at_seconds for seam in film.seams)]
    return FilmManifest(
        film=found.name,
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
            )
            for shot, video, start in zip(found.shots, videos, starts, strict=True)
        ),
        tracks=tuple(
            FilmTrack(
                key=track.asked.key,
                etag=track.etag,
                sha256=sha256_file(local.path),
                gain_db=track.asked.gain_db,
                loop=track.asked.loop,
            )
            for track, local in zip(found.tracks, tracks, strict=True)
        ),
        seams=tuple(FilmSeam(**seam.model_dump()) for seam in film.seams),
        video=FilmVideo(
            key=keys.sequence_key(found.name, keys.VIDEO),
            sha256=sha256,
            size_bytes=film.size_bytes,
            width=film.width,
            height=film.height,
            fps=film.fps,
            frames=film.frames,
            seconds=film.seconds,
            loudness_lufs=film.loudness_lufs,
        ),
        versions={"i2v-assets": tool},
    )
