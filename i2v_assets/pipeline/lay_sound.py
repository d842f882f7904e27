"""The sounds of a brief laid under a delivered take with the films' mixer: music below, a narration over the picture.

The take itself stays as the service made it; only the copy in the clip's folder has the sounds. It costs nothing.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final
from uuid import uuid4

from i2v_assets.films.spec import USUAL_TRACKS
from i2v_assets.pipeline.context import PipelineContext
from i2v_assets.pipeline.postprocess import fetched
from i2v_assets.pipeline.takes import Take
from resources.media import joining, mixing
from resources.media.limits import JOIN
from resources.schemas.inputs import sha256_file

_FILM_ROLE: Final[Mapping[str, str]] = MappingProxyType({"music": "music", "narration": "voice"})
"""The films' names of the two roles, which give each its gain, loop and fade."""


@dataclass(frozen=True)
class LaidSound:
    """A take with the brief's sounds; its file is the caller's to delete."""

    path: Path
    sha256: str
    size_bytes: int


async def laid_under(context: PipelineContext, take: Take) -> LaidSound:
    """Return a take with the brief's sounds laid under it.

    Raises:
        StorageError: a file cannot be fetched; MediaError: a file cannot be mixed.
    """
    copies: list[Path] = []

    def copy(key: str) -> Path:
        copies.append(fetched(context.bucket, key, context.scratch))
        return copies[-1]

    try:
        local = take.outcome.local_path
        video = local if local is not None and local.exists() else await asyncio.to_thread(copy, take.outcome.video_key)
        tracks = []
        for sound in take.plan.under:
            usual = USUAL_TRACKS[_FILM_ROLE[sound.role]]
            path = await asyncio.to_thread(copy, sound.medium.key)
            tracks.append(
                mixing.Track(
                    path=path,
                    name=sound.name,
                    gain_db=usual.gain_db,
                    loop=usual.loop,
                    fade_out_seconds=usual.fade_out,
                )
            )
        output = context.scratch / f"{uuid4().hex}.mp4"
        shots = [joining.Shot(path=video, name="The video")]
        options = joining.FilmOptions(tracks=tuple(tracks))
        await context.pool.run_async(joining.join, shots, output, options, limits=JOIN, name="The video")
        return LaidSound(output, await asyncio.to_thread(sha256_file, output), output.stat().st_size)
    finally:
        for path in copies:
            path.unlink(missing_ok=True)
