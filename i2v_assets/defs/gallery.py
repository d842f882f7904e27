"""The gallery: one static page in the bucket that shows every clip and film."""

import hashlib
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from i2v_assets.defs.specs import AT_LOAD, OWNERS
from resources.dagster_resources import BucketResource, LedgerResource
from resources.messages import plain
from resources.registry.rows import ClipState
from resources.schemas.inputs import Service
from resources.scratch import scratch_folder
from resources.settings import Settings, load_settings
from resources.storage import keys

if TYPE_CHECKING:
    from i2v_assets.clip_folder.manifest import Manifest
    from i2v_assets.gallery.collect import TextCache
    from i2v_assets.gallery.entries import Paid, TakeCost
    from resources.ledger.ledger import Ledger
    from resources.registry.registry import Registry
    from resources.storage.bucket import Bucket

log = logging.getLogger(__name__)

SOON_LATE, LATE = timedelta(hours=2), timedelta(hours=24)
"""The schedule builds the page every hour, also if nothing has changed: after two hours it or the daemon is off."""

PAGE = f"{keys.GALLERY}index.html"

DIGEST_TAG = "i2v/gallery_digest"
"""Tag of a build with the digest of what it shows; without it the next build reads everything."""


@dg.asset(
    name="gallery",
    deps=["clip_video", "clip_preview", "film"],
    group_name="library",
    owners=OWNERS,
    kinds={"s3", "html"},
    code_version="1",
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=LATE, warn_window=SOON_LATE),
    description=(
        "One static page, `gallery/index.html`, with every clip and film: the videos, and for all others the state "
        "and remedy. Reads only what changed since the last build. Free."
    ),
)
def gallery(context: dg.AssetExecutionContext, bucket: BucketResource, ledger: LedgerResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Read the registry and the bucket, and write the changed files of the gallery."""
    from i2v_assets.gallery.unchanged import digest_of_build, digest_of_sources

    settings, store, began = load_settings(), bucket.open(), datetime.now(UTC)
    with ledger.open() as (requests, registry):
        sources = digest_of_sources(store, requests.database, registry, settings, began)
        latest = context.instance.get_latest_materialization_event(context.asset_key)
        before = latest.asset_materialization if latest is not None else None
        unchanged = before is not None and (before.tags or {}).get(DIGEST_TAG) == digest_of_build(store, sources)
        made = _made_again(store, settings, began) if unchanged else None
        if made is not None and before is not None:
            return dg.MaterializeResult(
                metadata={**before.metadata, "documents_read": 0, "files_written": len(made)},
                data_version=_version(made),
                tags={DIGEST_TAG: digest_of_build(store, sources)},
            )
        metadata, files, is_still = _build(context, store, requests, registry, settings, began)
    return dg.MaterializeResult(
        metadata=metadata,
        data_version=_version(files),
        tags={DIGEST_TAG: digest_of_build(store, sources)} if is_still else {},
    )


def _version(files: Mapping[str, bytes]) -> dg.DataVersion:
    return dg.DataVersion(hashlib.sha256(files["data/index.js"]).hexdigest()[:16])


def _made_again(bucket: "Bucket", settings: Settings, now: datetime) -> Mapping[str, bytes] | None:
    """Write when the page was made, and return what was written; None if the page has to be built."""
    from i2v_assets.gallery.build import content_type, made_again
    from resources.storage.errors import ObjectMissing

    try:
        index = bucket.read(f"{keys.GALLERY}data/index.js")
    except ObjectMissing:
        return None
    files = made_again(index, now, zone=settings.zone)
    for name, data in sorted((files or {}).items(), key=lambda item: item[0] == "index.html"):
        bucket.write(f"{keys.GALLERY}{name}", data, content_type(name), cache_control=_cached(name))
    return files


def _cached(name: str) -> str:
    """Return how long browsers may keep a file: only the page is requested without a stamp of its content."""
    return "no-cache" if name == "index.html" else ""


def _build(
    context: dg.AssetExecutionContext,
    store: "Bucket",
    requests: "Ledger",
    registry: "Registry",
    settings: Settings,
    began: datetime,
) -> tuple[dict[str, Any], Mapping[str, bytes], bool]:
    """Build the page; return its metadata, its files, and whether another build would show the same as long as nothing changes."""
    from i2v_assets.gallery.build import build_gallery
    from i2v_assets.gallery.collect import IN_WORK, Answers, TextCache, gather
    from i2v_assets.gallery.collect_films import gather_films
    from i2v_assets.gallery.entries import Status
    from i2v_assets.uploads.under_way import uploads_now

    rows, costs, paid = registry.list(), _costs(requests), _paid(requests, settings)
    unmade = [row for row in rows if row.state in (*WITHOUT_VIDEO, *IN_WORK)]
    known = Answers(
        rows=rows,
        refused=registry.refusals.now(),
        money=requests.money_by_clip(unmade),
        costs=costs,
        service=settings.service,
        retries_per_clip=settings.retries_per_clip,
        uploads=uploads_now(store, registry, settings).under_way,
    )
    listed = {info.key: info for prefix in (keys.CLIPS, keys.SEQUENCES) for info in store.list(prefix)}
    cache = TextCache(store, listed)
    contents = gather(known, listed, cache, began)
    for clip in contents.unreadable:
        context.log.warning(plain(f"Clip left out of the gallery: clips/{clip}/{keys.MANIFEST} cannot be read."))
    films, unreadable = gather_films(listed, cache, settings.service)
    for key in unreadable:
        context.log.warning(plain(f"Film left out of the gallery: {key} cannot be read."))
    sheets = language_sheets(store, contents.manifests, cache)
    files = build_gallery((*contents.entries, *films), began, paid=paid, zone=settings.zone)
    written = _write(store, files, cache)
    cache.save()
    counts = {status.value: sum(entry.status is status for entry in contents.entries) for status in Status}
    metadata = {
        "clips": len(contents.entries),
        **counts,
        "films": len(films),
        "documents_read": cache.fetched,
        "files_written": written,
        "bytes": sum(len(data) for data in files.values()),
        "language_sheets": sheets,
        "key": PAGE,
        **_link(settings),
    }
    return metadata, files, not (known.uploads or contents.unreadable or unreadable)


WITHOUT_VIDEO = (ClipState.WAITING, ClipState.FAILED, ClipState.REFUSED)
"""States that have an answer in words."""


def _costs(ledger: "Ledger") -> "dict[str, TakeCost]":
    """Return the cost of each take, by fingerprint."""
    from i2v_assets.gallery.entries import TakeCost

    costs: dict[str, TakeCost] = {}
    for row in ledger.list():
        amount = row.cost_microdollars if row.cost_microdollars is not None else row.price_microdollars
        if amount is not None:
            costs[row.fingerprint] = TakeCost(amount, estimated=row.cost_microdollars is None)
    return costs


def _paid(ledger: "Ledger", settings: Settings) -> "tuple[Paid, ...]":
    """Return every payment of the service and of the sandbox, because a bucket may hold clips of both."""
    from i2v_assets.gallery.entries import Paid

    services: tuple[Service, ...] = ("runcomfy", "sandbox")
    return tuple(
        Paid(line.day, service, line.settled if line.settled is not None else line.reserved or 0)
        for service in services
        for line in ledger.spent(service, zone=settings.zone)
    )


def _link(settings: Settings) -> Mapping[str, dg.MetadataValue[str]]:
    base = settings.video_link_base.rstrip("/")
    return {"page": dg.MetadataValue.url(f"{base}/{PAGE}")} if base else {}


def _write(bucket: "Bucket", files: Mapping[str, bytes], cache: "TextCache") -> int:
    """Write the changed files, the page itself last, delete outdated pages of details, and return how many were written."""
    from i2v_assets.gallery.build import content_type

    present = {info.key for info in bucket.list(keys.GALLERY)}
    written = 0
    for name, data in sorted(files.items(), key=lambda item: item[0] == "index.html"):
        key = f"{keys.GALLERY}{name}"
        if cache.record_version(key, hashlib.sha256(data).hexdigest()) or key not in present:
            bucket.write(key, data, content_type(name), cache_control=_cached(name))
            written += 1
    data_files = f"{keys.GALLERY}data/"
    bucket.delete_many(key for key in present if key.startswith(data_files) and key[len(keys.GALLERY) :] not in files)
    return written


def language_sheets(bucket: "Bucket", manifests: "Mapping[str, Manifest]", cache: "TextCache") -> int:
    """Write a contact sheet for each dub whose languages changed; return the number of dubs."""
    from i2v_assets.gallery.collect import LANGUAGES, dub_groups
    from resources.media.errors import MediaError
    from resources.media.limits import PIXELS_OF_4K
    from resources.media.pool import scaled, shared_pool
    from resources.media.previews import side_by_side
    from resources.storage.errors import BadRequest, ObjectMissing, ObjectTooLarge

    groups = dub_groups(manifests.values())
    for group, languages in groups.items():
        key = keys.clip_key(group, LANGUAGES)
        version = hashlib.sha256("".join(manifest.video.sha256 for manifest in languages.values()).encode()).hexdigest()
        if not cache.record_version(key, version):
            continue
        with scratch_folder() as folder:
            videos = []
            try:
                for number, (language, manifest) in enumerate(languages.items()):
                    path = folder / f"{number}.mp4"  # a language is text of the bucket and never part of a path
                    bucket.download(manifest.video.key, path)
                    videos.append((language, path))
                limits = scaled("show", pixels=PIXELS_OF_4K, seconds=15.0 * len(videos))
                sheet = shared_pool().run(side_by_side, videos, limits=limits, name="The languages")
            except (ObjectMissing, ObjectTooLarge, BadRequest, MediaError) as error:
                log.warning("Contact sheet %s was not made: %s", key, plain(error.message))
                continue
            bucket.write(key, sheet, "image/jpeg")
    return len(groups)


gallery_job = dg.define_asset_job(
    "gallery_job",
    selection=dg.AssetSelection.assets("gallery"),
    description="Builds the gallery page from what changed. Free.",
    executor_def=dg.in_process_executor,
)

gallery_schedule = dg.ScheduleDefinition(
    name="gallery_hourly",
    cron_schedule="7 * * * *",
    execution_timezone=AT_LOAD.timezone,
    job=gallery_job,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every hour: updates the gallery page. Free: it reads the bucket and does not call the service.",
)
