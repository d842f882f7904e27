"""What happens to a delivered video while its file is still on local disk: facts, measures, previews."""

import asyncio
import base64
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

from i2v_assets.clip_folder.manifest import read_manifest
from i2v_assets.pipeline.context import PipelineContext
from i2v_assets.pipeline.metadata import Markdown, Metadata
from i2v_assets.pipeline.takes import Take
from resources.errors import SettingsError
from resources.ledger.errors import LedgerError
from resources.ledger.ledger import Ledger
from resources.media.clip_pictures import POSTER_BYTES, ClipPictures, draw_pictures, small_posters
from resources.media.errors import MeasuringFailed, MediaBug, MediaError, OverLimit
from resources.media.limits import HEADER_AND_STILL, PIXELS_OF_4K
from resources.media.pool import MediaPool, measuring_limits, scaled, shared_pool
from resources.media.probe import video_size
from resources.media.quality.judging import judge, score, why_low
from resources.media.quality.measuring import Measured, measure, measure_and_draw
from resources.media.quality.model import Check, Expectation, Finding, Measures, Thresholds
from resources.messages import escape_markdown
from resources.schemas.endpoints import traits_of
from resources.schemas.inputs import GenerationInputs, Medium
from resources.scratch import scratch_folder
from resources.settings import Settings
from resources.storage import keys
from resources.storage.bucket import Bucket
from resources.storage.errors import StorageError

log = logging.getLogger(__name__)


def measure_again(
    clip: str, bucket: Bucket, ledger: Ledger, settings: Settings
) -> dict[Check, tuple[Finding, Measures, float]]:
    """All four findings of a clip's video, with the figures and the quality score.

    Raises:
        ObjectMissing: the clip has no video; LedgerError: the ledger does not know it; MediaError: it cannot be measured.
    """
    manifest = read_manifest(bucket.read(keys.clip_key(clip, keys.MANIFEST)))
    row = ledger.get(manifest.pieces[0].fingerprint if manifest.pieces else manifest.fingerprint)
    if row is None:
        raise LedgerError(f"The ledger does not know the video of {clip}.", remedy="Is it the ledger of this bucket?")
    inputs = GenerationInputs.model_validate_json(row.inputs_json)
    if manifest.pieces:  # its voice is the whole, not the first piece's part
        inputs = inputs.model_copy(update={"audios": tuple(whole_sound(medium) for medium in inputs.audios)})
    with scratch_folder(settings.data_dir) as folder:
        video = fetched(bucket, manifest.video.key, folder)
        image, voice = (fetched(bucket, medium.key, folder) if medium else None for medium in compared_media(inputs))
        asked = expectation(
            inputs,
            image=image,
            voice=voice,
            may_be_silent=manifest.may_be_silent,
            joined_seconds=manifest.pieces_seconds,
        )
        limits = measuring_limits(video, asked)
        measures = shared_pool().run(measure, video, asked, limits=limits, name="The video")
    findings = judge(measures, asked, thresholds(settings.quality))
    total = score(measures, findings)
    return {found.check: (found, measures, total) for found in findings}


_SHOWING = scaled("show", pixels=PIXELS_OF_4K, seconds=15)
"""Pictures of a video of 15 s at 4k, the largest that is made."""

ANIMATION = "preview.webp"


@dataclass(frozen=True)
class PostprocessResult:
    """What was made of a video: size, measures with their verdict, and files for the bucket by name and content type."""

    width: int
    height: int
    seconds: float
    measures: Measures | None = None
    findings: tuple[Finding, ...] = ()
    score: float | None = None
    inline_poster: str | None = None
    glimpse: str | None = None
    files: Mapping[str, tuple[bytes, str]] = field(default_factory=dict)

    @property
    def why_low(self) -> str | None:
        """Why the score is low; None if it is not, or was not measured."""
        if self.measures is None or self.score is None:
            return None
        return why_low(self.measures, self.findings, self.score) or None


class Postprocessor:
    """Measures and draws videos in the pool's processes; what this run downloaded is not fetched again."""

    def __init__(self, context: PipelineContext) -> None:
        self._context = context
        self._thresholds = thresholds(context.settings.quality)

    async def finish(self, take: Take) -> PostprocessResult:
        """Return the size of a take's video, with measures and previews if the settings say so.

        Raises:
            StorageError: it cannot be fetched.
        """
        local = take.outcome.local_path
        if local is None or not local.exists():
            local = await asyncio.to_thread(self._fetched, take.outcome.video_key)
        try:
            if self._context.settings.measure:
                return await self._measured(take, local)
            return await self._drawn(take, local, await self._sized(take, local))
        except OverLimit as error:
            # It is paid for: a limit refuses no video that was made.
            raise MeasuringFailed(
                f"{error.message} It is kept as {take.outcome.video_key}, and the clip is held.",
                remedy="Look at that file. The clip goes on when it can be measured; I2V_MEASURE=off delivers unmeasured.",
            ) from None
        finally:
            if local != take.outcome.local_path:
                local.unlink(missing_ok=True)

    async def _sized(self, take: Take, local: Path) -> PostprocessResult:
        try:
            size = await self._context.pool.run_async(
                video_size, local, "the video", limits=HEADER_AND_STILL, name="The video"
            )
            return PostprocessResult(*size)
        except MediaError as error:
            log.warning("Clip %s: the size of its video cannot be read (%s).", take.plan.clip, error.message)
            return PostprocessResult(0, 0, 0.0)

    async def _drawn(self, take: Take, local: Path, finished: PostprocessResult) -> PostprocessResult:
        if not self._context.settings.previews:
            return finished
        try:
            drawn = await self._context.pool.run_async(draw_pictures, local, limits=_SHOWING, name="The video")
        except MediaError as error:
            _warn_undrawn(take, error.message)
            return finished
        return _with_pictures(finished, drawn)

    async def _measured(self, take: Take, local: Path) -> PostprocessResult:
        compared = compared_media(take.plan.inputs)
        copies = await asyncio.gather(*(asyncio.to_thread(self._copy, medium) for medium in compared))
        try:
            plan = take.plan
            asked = expectation(
                plan.inputs,
                image=copies[0],
                voice=copies[1],
                may_be_silent=plan.may_be_silent,
                joined_seconds=plan.seconds if plan.pieces else None,
            )
            found = await self._from_one_decode(take, local, asked)
            measures, findings = found.measures, judge(found.measures, asked, self._thresholds)
            size = (measures.width, measures.height, measures.seconds)
            return _with_pictures(
                PostprocessResult(*size, measures, findings, score(measures, findings)), found.pictures
            )
        finally:
            for copy in copies:
                if copy is not None:
                    copy.unlink(missing_ok=True)

    async def _from_one_decode(self, take: Take, local: Path, asked: Expectation) -> Measured:
        """Return the figures and the pictures; if both together fail, the figures alone: the pictures may be to blame."""
        pool = self._context.pool
        if not self._context.settings.previews:
            return Measured(await pool.measure(local, asked))
        limits = measuring_limits(local, asked, draws=True)
        try:
            found = await pool.run_async(measure_and_draw, local, asked, limits=limits, name="The video")
            if found.why_none:
                _warn_undrawn(take, found.why_none)
            return found
        except (OverLimit, MeasuringFailed, MediaBug) as error:
            measures = await pool.measure(local, asked)
            _warn_undrawn(take, error.message)
            return Measured(measures)

    def _copy(self, medium: Medium | None) -> Path | None:
        return None if medium is None else self._fetched(medium.key)

    def _fetched(self, key: str) -> Path:
        return fetched(self._context.bucket, key, self._context.scratch)


def fetched(bucket: Bucket, key: str, scratch: Path) -> Path:
    """A local copy of an object, the caller's to delete."""
    path = scratch / uuid4().hex
    bucket.download(key, path)
    return path


async def poster_again(bucket: Bucket, clip: str, pool: MediaPool) -> tuple[str | None, str | None]:
    """The small and the tiny poster of a clip that was delivered before, from the one in the bucket; None where it is gone.

    A picture is not a reason for a delivered clip to fail: whatever is in the way, it is reported without one.
    """
    try:
        kept = await asyncio.to_thread(bucket.read, keys.clip_key(clip, keys.POSTER), max_bytes=POSTER_BYTES)
        small = await pool.run_async(small_posters, kept, limits=HEADER_AND_STILL, name="The poster")
        return _base64(small[0]), _base64(small[1])
    except (StorageError, MediaError):
        return None, None


def _warn_undrawn(take: Take, why: str) -> None:
    # It is paid for, and can be played: it is delivered without pictures.
    log.warning("Clip %s: its previews could not be drawn (%s).", take.plan.clip, why)


def _with_pictures(finished: PostprocessResult, drawn: ClipPictures | None) -> PostprocessResult:
    if drawn is None:
        return finished
    files = {
        keys.POSTER: (drawn.poster, "image/jpeg"),
        keys.CONTACT_SHEET: (drawn.contact_sheet, "image/jpeg"),
        ANIMATION: (drawn.animation, "image/webp"),
    }
    return replace(finished, inline_poster=_base64(drawn.inline_poster), glimpse=_base64(drawn.glimpse), files=files)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def thresholds(overrides: Mapping[str, object]) -> Thresholds:
    """The limits in force.

    Raises:
        SettingsError: I2V_QUALITY names a limit that there is not, or gives it a wrong value.
    """
    try:
        return Thresholds.model_validate(dict(overrides))
    except ValueError as error:
        raise SettingsError(f"I2V_QUALITY: {error}", remedy="docs/quality.md lists the limits.") from None


def compared_media(inputs: GenerationInputs) -> tuple[Medium | None, Medium | None]:
    """The image that the first frame should resemble, and the voiceover that should be heard; None where there is none."""
    traits = traits_of(inputs)
    image = inputs.images[0] if traits.keeps_image and inputs.images else None
    voice = inputs.audios[0] if traits.speaks and inputs.audios else None
    return image, voice


def whole_sound(part: Medium) -> Medium:
    """The uploaded sound that a piece's part was taken from."""
    return part.model_copy(
        update={"sha256": part.uploaded_sha256, "key": part.uploaded_key, "size_bytes": part.uploaded_size_bytes}
    )


def expectation(
    inputs: GenerationInputs,
    *,
    image: Path | None,
    voice: Path | None,
    may_be_silent: bool = False,
    joined_seconds: float | None = None,
) -> Expectation:
    """What the video of these inputs should be like.

    Args:
        inputs: what was asked of the model.
        image: a local copy of the first of `compared_media`.
        voice: a local copy of the second.
        may_be_silent: the brief accepts a video without sound.
        joined_seconds: the length of a video that was joined of several requests; None for one request.
    """
    aspect = inputs.aspect_ratio if inputs.aspect_ratio != "adaptive" else None
    return Expectation(
        duration=joined_seconds if joined_seconds is not None else float(inputs.duration),
        resolution=inputs.resolution or None,
        aspect=aspect,
        sound=_has_sound(inputs),
        voice=voice,
        source_image=image,
        silence_allowed=may_be_silent,
        cuts_allowed=traits_of(inputs).cuts or joined_seconds is not None,
    )


def _has_sound(inputs: GenerationInputs) -> bool:
    """Return True if the model should make sound: a live schema has to say so, by a switch or by a voice that it takes."""
    if inputs.body is None:
        return inputs.generate_audio is not False
    return bool(inputs.generate_audio) or bool(inputs.audios)


FIGURES: Mapping[str, tuple[str, ...]] = {
    "technical": (
        "seconds",
        "seconds_off",
        "width",
        "height",
        "aspect_off",
        "tier_off",
        "fps",
        "frames",
        "unsteadiness",
        "rate_change",
    ),
    "sound": ("sound_seconds", "loudness_lufs", "peak_dbfs", "clipped", "silent", "voice_match", "voice_offset"),
    "motion": ("black", "motion", "still", "longest_still_seconds", "changes", "wander", "jumps"),
    "likeness": ("first_frame_match", "sharpness_kept"),
}
"""Which measures are shown with which check; numbers, so that Dagster plots them."""


def finding_metadata(finding: Finding, measures: Measures, score: float) -> Metadata:
    """A check's words and figures."""
    shown = figures_of(finding.check, measures)
    problems = "\n".join(f"* **{problem.severity}** {escape_markdown(problem.words)}" for problem in finding.problems)
    return {"words": finding.words, "problems": Markdown(problems) if problems else None, "quality": score, **shown}


def figures_of(check: Check, measures: Measures) -> dict[str, int | float]:
    """Return the figures that are shown with a check, by name."""
    figures = measures.model_dump(mode="json") | {"jumps": len(measures.jumps)}
    return {name: figures[name] for name in FIGURES[check.value] if isinstance(figures.get(name), int | float)}


def in_words(findings: Sequence[Finding]) -> tuple[str, ...]:
    """The findings that did not pass, for the manifest."""
    return tuple(f"{finding.check.value}: {finding.words}" for finding in findings if not finding.passed)
