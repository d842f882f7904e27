"""The film asset: clips joined into one video, a partition per file below ``sequences/``."""

import base64
import traceback
from importlib.metadata import version as version_of
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg

from i2v_assets.clip_folder.notes import Answer, AnswerKind, Problem
from i2v_assets.defs.partitions import sequences
from i2v_assets.defs.specs import CLIP_VIDEO, OWNERS
from i2v_assets.films.join import MadeFilm, make_film
from i2v_assets.films.manifest import SANDBOX_FILM_NOTE
from i2v_assets.films.notes import FilmAnswers
from i2v_assets.films.resolve import Resolved, pending
from i2v_assets.films.scan import scan_film
from i2v_assets.pipeline.metadata import inline_jpeg
from resources.errors import I2VError
from resources.outside_text import escape_markdown, lines, plain
from resources.redact import redact
from resources.registry.agreed_prices import CatalogueMemory
from resources.registry.resource import LedgerResource
from resources.settings import Settings, load_settings
from resources.storage import keys
from resources.storage.bucket import Bucket
from resources.storage.resource import BucketResource


@dg.asset(
    name="film",
    partitions_def=sequences,
    # Any clip can be a shot; which ones are is said in the metadata, with their data versions.
    deps=[dg.AssetDep(CLIP_VIDEO, partition_mapping=dg.AllPartitionMapping())],
    group_name="films",
    owners=OWNERS,
    kinds={"mp4", "s3"},
    code_version="1",
    pool="film",
    description=(
        "The clips of `sequences/<name>.yaml` joined into one video: cuts, crossfades, music or voice, loudness levelled "
        "once. Free: its shots are paid for as clips."
    ),
)
def film(context: dg.AssetExecutionContext, bucket: BucketResource, ledger: LedgerResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Looks at the shots again, and joins them when all are there."""
    settings, store, name = load_settings(), bucket.open(), context.partition_key
    try:
        found, made = _joined(store, ledger, name, settings)
    except dg.Failure:
        raise
    except Exception as raised:  # noqa: BLE001
        # Nobody foresaw it, but the shots are paid for, and their owner looks here: the film says so like any other failure.
        error = raised if isinstance(raised, I2VError) else _unforeseen(raised)
        if error is not raised:
            # A message may hold an address that grants access (rule 5 of the house).
            context.log.error(lines(redact("".join(traceback.format_exception(raised)))))  # noqa: TRY400
        _tell(store, name, error, settings)
        raise dg.Failure(
            description=plain(error.message), metadata={"what to do": plain(error.remedy)}, allow_retries=False
        ) from None
    return dg.MaterializeResult(metadata=metadata(found, made, settings), data_version=dg.DataVersion(made.sha256[:16]))


def _joined(store: Bucket, ledger: LedgerResource, name: str, settings: Settings) -> tuple[Resolved, MadeFilm]:
    """Look at a film and join it.

    Raises:
        dg.Failure: a shot is missing, or the film is refused.
    """
    with ledger.open() as (requests, registry):
        agreed = CatalogueMemory(requests.database).agreed(settings.service)
        found = scan_film(store, registry, agreed, name)
    version = found.version
    if version is None:
        raise _not_ready(found)
    with TemporaryDirectory(prefix="i2v-") as folder:
        return found, make_film(store, found, version, Path(folder), settings, tool=version_of("i2v-assets"))


def _unforeseen(error: Exception) -> I2VError:
    """An error that only a programmer understands, for people."""
    return I2VError(
        f"Joining stopped with a fault of the program ({type(error).__name__}), not of its file or its shots.",
        remedy="Make the film again in the UI; if it fails again, report it with the run's log. A cut in place of a "
        "crossfade, or other shots, may get around it.",
    )


def _not_ready(found: Resolved) -> dg.Failure:
    if found.problems:
        words, remedy = found.problems[0].what, found.problems[0].remedy
    else:
        waits = pending(found.shots)
        words = f"{len(waits)} of its shots have no video yet: {', '.join(shot.clip for shot in waits[:5])}."
        remedy = "It is joined by itself when the last one is delivered."
    return dg.Failure(description=f"{found.name}: {words}", metadata={"what to do": remedy}, allow_retries=False)


def _tell(bucket: Bucket, name: str, error: I2VError, settings: Settings) -> None:
    """FAILED.txt beside the film; nothing was paid for the joining."""
    answer = Answer(
        AnswerKind.FAILED,
        f"FAILED: the film {name} could not be joined. Its shots are there and stay; joining costs nothing.",
        (Problem(error.message, remedy=error.remedy),),
        "it is tried again when its file or one of its shots changes, or by hand in the UI.",
    )
    FilmAnswers(bucket, {}, {}, sandbox=settings.service == "sandbox").note(name, answer)


def metadata(found: Resolved, made: MadeFilm, settings: Settings) -> dict[str, Any]:
    """What people look at in the UI."""
    base = settings.video_link_base.rstrip("/")
    key = keys.sequence_key(found.name, keys.VIDEO)
    link = f"{base}/{key}" if base else ""
    rows = ["| shot | clip | data version | seconds | from the one before |", "|---|---|---|---|---|"]
    rows += [
        f"| {shot.number} | {escape_markdown(shot.clip)} | `{shot.video.sha256[:16]}` | {shot.video.seconds:.2f} | "
        + (f"crossfade {shot.crossfade:g} s" if shot.crossfade else "cut")
        + (", from its last frame |" if shot.from_last_frame else " |")
        for shot in found.shots
        if shot.video
    ]
    seams = ["| at | between | colour step | picture step |", "|---|---|---|---|"]
    seams += [
        f"| {seam.at_seconds:.2f} s | {escape_markdown(seam.before)}, {escape_markdown(seam.after)} | {seam.colour_step} | {seam.picture_step} |"
        for seam in made.film.seams
    ]
    picture = inline_jpeg(base64.b64encode(made.inline_poster).decode(), f"first look at {found.name}", link)
    shown: dict[str, Any] = {
        "poster": dg.MetadataValue.md(picture),
        "key": key,
        "shots": len(found.shots),
        "table": dg.MetadataValue.md("\n".join(rows)),
        "seams": dg.MetadataValue.md("\n".join(seams)) if made.film.seams else "none",
        "shot_data_versions": dg.MetadataValue.json(
            {f"{shot.number:02d} {shot.clip}": shot.video.sha256[:16] for shot in found.shots if shot.video}
        ),
        "largest_colour_step": max((seam.colour_step for seam in made.film.seams), default=0.0),
        "duration_seconds": round(made.film.seconds, 3),
        "width": made.film.width,
        "height": made.film.height,
        "fps": made.film.fps,
        "size_bytes": made.film.size_bytes,
        "sha256": made.sha256,
        "version": made.manifest.version,
        "shots_cost_usd": made.manifest.cost_microdollars / 1e6,
        "provenance": made.provenance,
    }
    if made.film.loudness_lufs is not None:
        shown["loudness_lufs"] = round(made.film.loudness_lufs, 1)
    if link:
        shown["video"] = dg.MetadataValue.url(link)
    if settings.service == "sandbox":
        shown["sandbox"] = SANDBOX_FILM_NOTE
    return shown


film_job = dg.define_asset_job(
    "film_job",
    selection=dg.AssetSelection.assets("film"),
    description="Joins a film of clips that are there. Free.",
    executor_def=dg.in_process_executor,
)
