"""A clip's plan as it lies in the bucket: what was shown when it was written. Others can write there, so it is data."""

from collections.abc import Mapping
from typing import Any

from resources.bounded_json import read_json
from resources.storage import keys
from resources.storage.bucket import Bucket
from resources.storage.errors import ObjectMissing

MAX_PLAN_BYTES = 5_000_000
"""Largest stored plan that is read: 1,000 times the size of a usual one."""


def stored_plan(bucket: Bucket, clip: str) -> dict[str, Any]:
    """Return a clip's stored plan, with a text as `plan_hash` and a list of objects as `takes`; empty if none can be read.

    Raises:
        StorageError: the bucket does not respond, or the object is larger than a plan.
    """
    try:
        found = read_json(bucket.read(keys.clip_key(clip, keys.PLAN), max_bytes=MAX_PLAN_BYTES))
    except (ObjectMissing, ValueError):
        return {}
    if not isinstance(found, dict) or not isinstance(found.get("plan_hash"), str):
        return {}
    takes = found.get("takes")
    usable = isinstance(takes, list) and bool(takes) and all(isinstance(take, dict) for take in takes)
    return found if usable else {}


def stored_at_most(stored: Mapping[str, object]) -> int | None:
    """Return the most that a stored take or piece says it may cost; None if its price was unknown."""
    quote = stored.get("quote")
    amount = quote.get("at_most") if isinstance(quote, dict) else stored.get("price_microdollars")
    return amount if isinstance(amount, int) else None
