"""Media that lie where no sensor looks: in ``Uploads/``, ``upload/`` or at the root of the bucket."""

from itertools import islice

from i2v_assets.uploads.noise import is_noise
from i2v_assets.uploads.roles import media_kind
from resources.storage.bucket import Bucket
from resources.storage.keys import UPLOADS

PLACES = ("Uploads/", "UPLOADS/", "upload/", "Upload/", "UPLOAD/", "/uploads/")
"""Prefixes that people write for ``uploads/``; keys of S3 tell upper from lower case."""

MOST = 20
"""Files that are named; one shows the mistake."""


def misplaced_media(bucket: Bucket) -> list[str]:
    """Return media outside ``uploads/`` that somebody probably meant to upload there, at most `MOST`.

    Raises:
        StorageError: the bucket does not respond.
    """
    found: list[str] = []
    for place in PLACES:
        first = islice(bucket.list(place), MOST)
        found += [info.key for info in first if info.key.startswith(place)]  # SeaweedFS takes /uploads/ for uploads/
    found += [info.key for info in bucket.list_folder("", pages=1).objects]
    return [key for key in found if media_kind(key) is not None and not is_noise(key, 1)][:MOST]


def misplaced_words(keys: list[str]) -> str:
    """Return one sentence on misplaced media."""
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return f"Media outside {UPLOADS} are not read: {', '.join(keys[:3])}{more}. Move them below {UPLOADS}."
