"""The gallery sensor: builds the page soon after something on it has changed, and when it is missing."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from i2v_assets.defs.gallery import PAGE, gallery_job
from i2v_assets.defs.partitions import PRIORITY_TAG
from resources.dagster_resources import BucketResource, LedgerResource
from resources.settings import Settings, load_settings

if TYPE_CHECKING:
    from resources.ledger.ledger import Ledger
    from resources.registry.registry import Registry
    from resources.storage.bucket import Bucket

NAME = "gallery_follows"

LOOK_SECONDS = 15
PAUSE = timedelta(seconds=30)
"""At least this long between two builds: a night changes something at each look, and a build takes 2.5 s of CPU or more."""

SHARE = 4
"""A build that takes long is asked for less often: it rests this many times its own duration."""

FIRST = "100"
"""Priority: a build takes seconds, and must not queue behind runs of clips, which take minutes."""

AT_WORK = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Asked:
    """The last build that was asked for; ``seen`` is a digest of what it shows."""

    seen: str = ""
    at: datetime = _NEVER

    @classmethod
    def read(cls, cursor: str | None) -> "Asked":
        """Return what the cursor holds; one that cannot be read counts as none."""
        try:
            found = json.loads(cursor or "")
            return cls(str(found["seen"]), datetime.fromisoformat(found["at"]))
        except (ValueError, TypeError, KeyError):
            return cls()

    @property
    def cursor(self) -> str:
        """Return it as a cursor."""
        return json.dumps({"seen": self.seen, "at": self.at.isoformat()})


@dg.sensor(
    name=NAME,
    job=gallery_job,
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Builds the gallery page within a minute after a clip, an upload, a film or a cost has changed, and when the page is "
        "missing. Free: it does not call the service."
    ),
)
def gallery_sensor(
    context: dg.SensorEvaluationContext, bucket: BucketResource, ledger: LedgerResource
) -> dg.SensorResult | dg.SkipReason:
    """Ask for a build if what the page shows has changed since the last one was asked for."""
    settings, store, now = load_settings(), bucket.open(), datetime.now(UTC)
    asked = Asked.read(context.cursor)
    with ledger.open() as (requests, registry):
        seen = digest(context.instance, store, requests, registry, settings)
    if seen == asked.seen and store.head(PAGE) is not None:
        return dg.SkipReason("Nothing on the page has changed.")
    if context.instance.get_runs(dg.RunsFilter(job_name=gallery_job.name, statuses=AT_WORK), limit=1):
        return dg.SkipReason("The page is being built.")
    rest = asked.at + pause_after(context.instance) - now
    if rest > timedelta(0):
        return dg.SkipReason(f"The page has just been built; the next build is in {rest.total_seconds():.0f} s.")
    request = dg.RunRequest(run_key=now.isoformat(), tags={PRIORITY_TAG: FIRST})
    return dg.SensorResult(run_requests=[request], cursor=Asked(seen, now).cursor)


def digest(
    instance: dg.DagsterInstance, bucket: "Bucket", ledger: "Ledger", registry: "Registry", settings: Settings
) -> str:
    """Return a text that changes with what the page shows: clips, refusals, uploads that settle, films and money."""
    from i2v_assets.uploads.idle import latest_look

    film = instance.get_latest_materialization_event(dg.AssetKey("film"))
    spent = ledger.spent_today(settings.service, settings.zone)
    look = latest_look(bucket)
    uploads = (look.objects, look.settling, look.held) if look is not None else None
    parts = (registry.revision(), spent, uploads, film.timestamp if film is not None else None)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def pause_after(instance: dg.DagsterInstance) -> timedelta:
    """Return how long after a build was asked for the next one may be."""
    built = instance.get_run_records(
        dg.RunsFilter(job_name=gallery_job.name, statuses=[dg.DagsterRunStatus.SUCCESS]), limit=1
    )
    took = (built[0].end_time or 0) - (built[0].start_time or 0) if built else 0
    return max(PAUSE, timedelta(seconds=SHARE * took))
