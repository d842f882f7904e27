"""The copy of a film that its folder shows: signed with Content Credentials where a certificate is configured."""

import logging
from collections.abc import Mapping
from pathlib import Path

from i2v_assets.films.resolve import Resolved, ShotVideo
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
    found: Resolved,
    joined: Path,
    composition: Composition,
    local: Mapping[str, Path],
    settings: Settings,
) -> Signing:
    """A signed copy of a joined film, with its shots as ingredients: each with its own manifest where it is signed.

    What cannot be signed stays unsigned, and says so.

    Args:
        bucket: where the signed copies of the shots lie.
        found: the film.
        joined: the file; the signed copy is made beside it.
        composition: what the film says of itself.
        local: the shots' delivered files, by their keys.
        settings: the certificate.

    Raises:
        StorageError: the bucket does not answer.
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
            for shot in found.shots
            if shot.video is not None
        }
        path = joined.with_name("signed.mp4")
        sha256 = sign(joined, path, composition, list(sources.values()), certificate)
    except ProvenanceError as error:
        log.warning("The film %s stays unsigned: %s %s", found.name, error.message, error.remedy)
        return Signing(f"{UNSIGNED}: {error.message} {error.remedy}")
    return Signing("signed with Content Credentials (C2PA)", path, sha256, path.stat().st_size)


def _signed_shot(bucket: Bucket, clip: str, video: ShotVideo, scratch: Path) -> Path | None:
    """The signed copy of these very bytes; None where there is none, or where it has been made again since."""
    if video.signed_sha256 is None:
        return None
    path = scratch / f"signed-{clip}.mp4"
    try:
        bucket.download(keys.clip_key(clip, keys.VIDEO), path)
    except ObjectMissing:
        return None
    return path if sha256_file(path) == video.signed_sha256 else None
