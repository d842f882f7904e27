"""Sign a joined film with Content Credentials if a certificate is configured."""

import logging
from collections.abc import Mapping
from pathlib import Path

from i2v_assets.films.resolve import ResolvedFilm, ShotVideo
from resources.media.probe import sha256_file
from resources.provenance.credentials import UNSIGNED, Certificate, ProvenanceError, Signing, sign
from resources.provenance.documents import Composition, Source
from resources.settings import Settings
from resources.storage import keys
from resources.storage.bucket import Bucket
from resources.storage.errors import ObjectMissing

log = logging.getLogger(__name__)


def signed_film(
    bucket: Bucket,
    film: ResolvedFilm,
    joined: Path,
    composition: Composition,
    local: Mapping[str, Path],
    settings: Settings,
) -> Signing:
    """Return a signed copy of a joined film, with its shots as ingredients.

    A signed shot keeps its own manifest. If signing fails, the film stays unsigned and the result gives the reason.

    Args:
        bucket: The bucket with the signed copies of the shots.
        film: The film.
        joined: The joined file; the signed copy is written beside it.
        composition: The film's own statement.
        local: The shots' delivered files, by key.
        settings: The certificate's settings.

    Raises:
        StorageError: the bucket does not respond.
    """
    try:
        certificate = Certificate.from_settings(settings)
        if certificate is None:
            return Signing(UNSIGNED)
        sources = {
            shot.clip: Source(
                _signed_shot(bucket, shot.clip, shot.video, joined.parent) or local[shot.video.key],
                f"{shot.clip}.mp4",
                "video/mp4",
            )
            for shot in film.shots
            if shot.video is not None
        }
        path = joined.with_name("signed.mp4")
        sha256 = sign(joined, path, composition, list(sources.values()), certificate)
    except ProvenanceError as error:
        log.warning(
            "Film left unsigned: %s %s",
            error.message,
            error.remedy,
            extra={"action": "film_unsigned", "film": film.name},
        )
        return Signing(f"{UNSIGNED}: {error.message} {error.remedy}")
    return Signing("signed with Content Credentials (C2PA)", path, sha256, path.stat().st_size)


def _signed_shot(bucket: Bucket, clip: str, video: ShotVideo, scratch: Path) -> Path | None:
    """Return the signed copy of exactly this video; None if it is unsigned or was made again since."""
    if video.signed_sha256 is None:
        return None
    path = scratch / f"signed-{clip}.mp4"
    try:
        bucket.download(keys.clip_key(clip, keys.VIDEO), path)
    except ObjectMissing:
        return None
    return path if sha256_file(path) == video.signed_sha256 else None
