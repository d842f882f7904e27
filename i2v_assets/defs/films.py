"""The film asset: clips joined into one video, a partition per file below ``sequences/``."""

import base64
import traceback
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING, Any

import dagster as dg

from i2v_assets.defs.failures import signs_of_life
from i2v_assets.defs.partitions import sequences
from i2v_assets.defs.specs import CLIP_VIDEO, OWNERS
from resources.dagster_resources import BucketResource, LedgerResource
from resources.errors import I2VError
from resources.messages import escape_markdown, lines, plain
from resources.problem import Problem
from resources.redact import redact
from resources.scratch import scratch_folder
from resources.settings import Settings, load_settings
from resources.storage import keys

if TYPE_CHECKING:
    from i2v_assets.films.join import JoinedFilm
    from i2v_assets.films.resolve import ResolvedFilm
    from resources.storage.bucket import Bucket


@dg.asset(
    name="film",
    partitions_def=sequences,
    # Any clip can be a shot; the metadata lists the actual shots with their data versions.
    deps=[dg.AssetDep(CLIP_VIDEO, partition_mapping=dg.AllPartitionMapping())],
    group_name="films",
    owners=OWNERS,
    kinds={"mp4", "s3"},
    code_version="1",
    pool="film",
    description=(
        "The clips of `sequences/<name>.yaml` joined into one video: cuts, crossfades, music or voice, and levelled "
        "loudness. Free: its shots are paid for as clips."
    ),
)
def film(context: dg.AssetExecutionContext, bucket: BucketResource, ledger: LedgerResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Resolve the shots again, and join them if all have a video."""
    settings, store, name = load_settings(), bucket.open(), context.partition_key
    try:
        resolved, joined = _joined(store, ledger, name, settings, context.run.run_id)
    except dg.Failure:
        raise
    except Exception as raised:  # noqa: BLE001
        # The shots are paid for, so an unexpected error gets a note beside the film like any other failure.
        error = raised if isinstance(raised, I2VError) else _unexpected(raised)
        if error is not raised:
            # The traceback may hold an address that grants access.
            context.log.error(lines(redact("".join(traceback.format_exception(raised)))))  # noqa: TRY400
        _note_failure(context, store, name, error, settings)
        raise dg.Failure(
            description=plain(error.message), metadata={"what to do": plain(error.remedy)}, allow_retries=False
        ) from None
    return dg.MaterializeResult(
        metadata=metadata(resolved, joined, settings), data_version=dg.DataVersion(joined.sha256[:16])
    )


def _joined(
    store: "Bucket", ledger: LedgerResource, name: str, settings: Settings, run_id: str
) -> "tuple[ResolvedFilm, JoinedFilm]":
    """Resolve a film and join it.

    Raises:
        dg.Failure: a shot is missing, or the film is refused.
    """
    from i2v_assets.films.join import join_film
    from i2v_assets.films.scan import scan_film
    from resources.registry.agreed_prices import CatalogueMemory

    with ledger.open() as (requests, registry):
        agreed = CatalogueMemory(requests.database).agreed(settings.service)
        resolved = scan_film(store, registry, agreed, name)
        version = resolved.version
        if version is None:
            raise _not_ready(resolved)
        with signs_of_life(registry, run_id), scratch_folder() as folder:
            return resolved, join_film(store, resolved, version, folder, settings, tool=version_of("i2v-assets"))


def _unexpected(error: Exception) -> I2VError:
    """Return an unexpected error as a message for people."""
    return I2VError(
        f"Joining stopped with an unexpected error ({type(error).__name__}). Its file and its shots are not the cause.",
        remedy="Materialize the film again. If it fails again, this is a bug in i2v-assets; report it with the run log. "
        "A cut instead of a crossfade, or other shots, may avoid it.",
    )


def _not_ready(resolved: "ResolvedFilm") -> dg.Failure:
    from i2v_assets.films.resolve import pending

    if resolved.problems:
        words, remedy = resolved.problems[0].what, resolved.problems[0].remedy
    else:
        missing = pending(resolved.shots)
        words = f"{len(missing)} of its shots have no video yet: {', '.join(shot.clip for shot in missing[:5])}."
        remedy = "The film is joined automatically when the last shot is delivered."
    return dg.Failure(description=f"{resolved.name}: {words}", metadata={"what to do": remedy}, allow_retries=False)


def _note_failure(
    context: dg.AssetExecutionContext, bucket: "Bucket", name: str, error: I2VError, settings: Settings
) -> None:
    """Write FAILED.txt; if the bucket does not take it, the sensor writes it once the bucket answers."""
    from i2v_assets.films.notes import write_film_failure

    try:
        write_film_failure(bucket, name, Problem(error.message, remedy=error.remedy), sandbox=settings.is_sandbox)
    except I2VError as unwritten:
        context.log.warning(plain(f"The film's note could not be written: {unwritten.message}"))


def metadata(resolved: "ResolvedFilm", joined: "JoinedFilm", settings: Settings) -> dict[str, Any]:
    """Return the metadata of a joined film for the UI."""
    from i2v_assets.films.manifest import SANDBOX_FILM_NOTE
    from i2v_assets.pipeline.metadata import inline_jpeg

    base = settings.video_link_base.rstrip("/")
    key = keys.sequence_key(resolved.name, keys.VIDEO)
    link = f"{base}/{key}" if base else ""
    rows = ["| shot | clip | data version | seconds | transition |", "|---|---|---|---|---|"]
    rows += [
        f"| {shot.number} | {escape_markdown(shot.clip)} | `{shot.video.sha256[:16]}` | {shot.video.seconds:.2f} | "
        + (f"crossfade {shot.crossfade:g} s" if shot.crossfade else "cut")
        + (", from its last frame |" if shot.from_last_frame else " |")
        for shot in resolved.shots
        if shot.video
    ]
    seams = ["| at | between | colour step | picture step |", "|---|---|---|---|"]
    seams += [
        f"| {seam.at_seconds:.2f} s | {escape_markdown(seam.before)}, {escape_markdown(seam.after)} | {seam.colour_step} | {seam.picture_step} |"
        for seam in joined.film.seams
    ]
    picture = inline_jpeg(base64.b64encode(joined.inline_poster).decode(), f"poster of {resolved.name}", link)
    shown: dict[str, Any] = {
        "poster": dg.MetadataValue.md(picture),
        "key": key,
        "shots": len(resolved.shots),
        "table": dg.MetadataValue.md("\n".join(rows)),
        "seams": dg.MetadataValue.md("\n".join(seams)) if joined.film.seams else "none",
        "shot_data_versions": dg.MetadataValue.json(
            {f"{shot.number:02d} {shot.clip}": shot.video.sha256[:16] for shot in resolved.shots if shot.video}
        ),
        "largest_colour_step": max((seam.colour_step for seam in joined.film.seams), default=0.0),
        "duration_seconds": round(joined.film.seconds, 3),
        "width": joined.film.width,
        "height": joined.film.height,
        "fps": joined.film.fps,
        "size_bytes": joined.film.size_bytes,
        "sha256": joined.sha256,
        "version": joined.manifest.version,
        "shots_cost_usd": joined.manifest.cost_microdollars / 1e6,
        "provenance": joined.provenance,
    }
    if joined.film.loudness_lufs is not None:
        shown["loudness_lufs"] = round(joined.film.loudness_lufs, 1)
    if link:
        shown["video"] = dg.MetadataValue.url(link)
    if settings.is_sandbox:
        shown["sandbox"] = SANDBOX_FILM_NOTE
    return shown


film_job = dg.define_asset_job(
    "film_job",
    selection=dg.AssetSelection.assets("film"),
    description="Joins the delivered clips of a film. Free.",
    executor_def=dg.in_process_executor,
)
