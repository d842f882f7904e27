"""The copy of a video that a clip's folder shows: signed with Content Credentials where a certificate is configured."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from i2v_assets.pipeline.context import PipelineContext
from i2v_assets.pipeline.postprocess import fetched
from i2v_assets.pipeline.read_media import ReadFile
from i2v_assets.pipeline.takes import Take
from resources.prices.billed import is_substituted
from resources.provenance.credentials import UNSIGNED, Certificate, ProvenanceError, Signing, sign
from resources.provenance.documents import Generation, Source
from resources.schemas.inputs import MediumKind

log = logging.getLogger(__name__)


async def signed_copy(
    context: PipelineContext, clip: str, take: Take, files: Sequence[ReadFile], laid: Path | None = None
) -> Signing:
    """A signed copy of a delivered take, or of its copy with the brief's sounds, with its source images as ingredients.

    What cannot be signed is delivered unsigned, and says so: the video is paid for.

    Raises:
        StorageError: the video or an image cannot be fetched.
    """
    try:
        certificate = Certificate.from_settings(context.settings)
        if certificate is None:
            return Signing(UNSIGNED)
        return await asyncio.to_thread(_sign, context, clip, take, files, certificate, laid)
    except ProvenanceError as error:
        log.warning("Clip %s is delivered unsigned: %s %s", clip, error.message, error.remedy)
        return Signing(f"{UNSIGNED}: {error.message} {error.remedy}")


def _sign(
    context: PipelineContext,
    clip: str,
    take: Take,
    files: Sequence[ReadFile],
    certificate: Certificate,
    laid: Path | None,
) -> Signing:
    outcome = take.outcome
    copies: list[Path] = []

    def copy(key: str) -> Path:
        copies.append(fetched(context.bucket, key, context.scratch))
        return copies[-1]

    try:
        local = outcome.local_path
        there = local is not None and local.exists()
        video = laid or (local if local is not None and there else copy(outcome.video_key))
        sources = [
            Source(copy(found.key), found.name, found.medium.content_type)
            for found in files
            if found.medium is not None and found.medium.kind is MediumKind.IMAGE
        ]
        sources = _with_prepared(sources, files, take, copy)
        generation = Generation(
            title=f"{clip}.mp4",
            tool_version=context.options.version,
            model_id=take.row.model_id or take.plan.model_id or take.plan.inputs.family,
            answered_model_id=(take.row.answered_model_id or "") if is_substituted(take.row) else "",
            fingerprint=take.plan.fingerprint,
            request_id=take.row.request_id or "",
            delivered_sha256=outcome.sha256,
            sandbox=context.settings.is_sandbox,
            media_sha256=tuple(found.medium.sha256 for found in files if found.medium is not None),
            prepared_sha256=tuple(medium.sha256 for medium in take.plan.inputs.media if medium.preparation),
        )
        path = context.scratch / f"{uuid4().hex}.mp4"
        sha256 = sign(video, path, generation, sources, certificate)
        return Signing("signed with Content Credentials (C2PA)", path, sha256, path.stat().st_size)
    finally:
        for found in copies:
            found.unlink(missing_ok=True)


def _with_prepared(
    sources: Sequence[Source], files: Sequence[ReadFile], take: Take, copy: Callable[[str], Path]
) -> list[Source]:
    """Return the sources with what was prepared from them beside each, told apart by their hashes."""
    prepared = {medium.original_sha256: medium for medium in take.plan.inputs.images if medium.preparation}
    found: list[Source] = []
    images = [each.medium for each in files if each.medium is not None and each.medium.kind is MediumKind.IMAGE]
    for source, original in zip(sources, images, strict=True):
        sent = prepared.get(original.sha256)
        if sent is None:
            found.append(source)
            continue
        found.append(replace(source, sha256=original.sha256))
        found.append(Source(copy(sent.key), f"{source.title} (prepared)", sent.content_type, sent.sha256))
    return found
