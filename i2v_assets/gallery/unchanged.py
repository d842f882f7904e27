"""Knowing that a build would show what the last one shows: then only the time on the page is written anew.

What the page shows depends on the registry, the ledger, the settings, this program, the day, and the objects of the bucket.
A digest of these is kept with each build. What settles changes with the time alone, so a build that shows any has no digest.
"""

import hashlib
from datetime import datetime

from i2v_assets.gallery.build import release
from resources.ledger.database import Database
from resources.ledger.revision import ledger_revision
from resources.registry.registry import Registry
from resources.settings import Settings
from resources.storage import keys
from resources.storage.bucket import Bucket

_SHOWN = (keys.CLIPS, keys.SEQUENCES, keys.UPLOADS)


def digest_of_sources(bucket: Bucket, database: Database, registry: Registry, settings: Settings, now: datetime) -> str:
    """Return a digest of all that the page shows, read before anything else of a build.

    Raises:
        StorageError, LedgerError: the bucket or the database does not respond.
    """
    parts = (
        release(),
        (bucket.endpoint, bucket.name, bucket.prefix),
        settings.model_dump_json(),
        now.astimezone(settings.zone).date(),  # the chart ends today
        registry.revision(),
        ledger_revision(database),
        [bucket.digest(prefix) for prefix in _SHOWN],
    )
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def digest_of_build(bucket: Bucket, sources: str) -> str:
    """Return the digest of a build that is in the bucket: of its sources and of its own files."""
    return hashlib.sha256(f"{sources} {bucket.digest(keys.GALLERY)}".encode()).hexdigest()[:32]
