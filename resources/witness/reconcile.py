"""Bring a ledger up to what the bucket knows: after a loss, beside another ledger, or after a backup was restored."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from resources.ledger.ledger import Ledger
from resources.ledger.records import CameToLight, NewRequest, Sighting, State
from resources.storage.keys import video_key
from resources.witness.record import FoundRecord, sighting_of
from resources.witness.store import Place

READERS = 16
"""Records read at once; each is one small GET."""


def reconcile(
    ledger: Ledger, place: Place, service: str, made: Mapping[str, Sighting] | None = None
) -> tuple[CameToLight, ...]:
    """Take everything from the bucket that the ledger does not know; nothing is sent and nothing is written there.

    Args:
        ledger: the ledger to bring up to date.
        place: the bucket's records and videos.
        service: the service whose requests count.
        made: what is known of videos from elsewhere (their manifests), by fingerprint.

    Returns:
        What came to light, in the order of fingerprints.
    """
    made = made or {}
    videos = set(place.videos())
    rows = {row.fingerprint: row for row in ledger.list(service=service)}
    over = {name for name, row in rows.items() if row.state is State.SUCCEEDED}
    wanted = sorted(
        (name, attempt)
        for name, attempt in place.attempts()
        if name not in over and (name not in rows or attempt >= rows[name].attempt)
    )
    light: list[CameToLight] = []
    for seen in _sightings(place, wanted, service):
        light += _take(ledger, seen)
    for name in sorted(videos - over):
        if (seen_video := _video(ledger, place, service, name, made.get(name))) is not None:
            light += _take(ledger, seen_video)
    return _merged(light)


def _sightings(place: Place, wanted: Iterable[tuple[str, int]], service: str) -> Iterator[Sighting]:
    """The records' sightings in the order of their attempts; those of another service are none of this ledger's."""
    with ThreadPoolExecutor(READERS) as readers:
        found: Iterator[FoundRecord | None] = readers.map(lambda name: place.read(*name), wanted)
        for record in found:
            if record is None or (record.record is not None and record.record.service != service):
                continue
            yield sighting_of(record, service)


def _video(ledger: Ledger, place: Place, service: str, name: str, made: Sighting | None) -> Sighting | None:
    """What a video in the bucket proves, with all that is known of it; None if it is another service's."""
    row = ledger.get(name)
    if made is not None:
        if row is None:
            return made
        return replace(made, attempt=row.attempt, request_id=row.request_id or made.request_id)
    info = place.bucket.head(video_key(name))
    if info is None or info.metadata.get("service", service) != service:
        return None
    sha256 = info.metadata.get("sha256", "")
    video = (video_key(name), sha256, info.size_bytes) if len(sha256) == 64 else None
    reason = "its video is in the bucket"
    if row is None:
        new = NewRequest(name, service, ":found", 0, "", "", 0, 0, "{}")
        return Sighting(
            new, 1, State.SUCCEEDED, reason, claimed_at=info.modified_at, finished_at=info.modified_at, video=video
        )
    new = NewRequest(
        name,
        service,
        row.clip,
        row.take,
        row.family,
        row.route,
        row.seed,
        row.duration,
        row.inputs_json,
        row.price_unit,
    )
    return Sighting(
        new, row.attempt, State.SUCCEEDED, reason, request_id=row.request_id, model_id=row.model_id,
        price_microdollars=row.price_microdollars, cost_microdollars=row.cost_microdollars,
        claimed_at=row.claimed_at or info.modified_at, sent_at=row.submitted_at, finished_at=info.modified_at,
        video=video,
    )  # fmt: skip


def _take(ledger: Ledger, seen: Sighting) -> list[CameToLight]:
    before, row = ledger.sighted(seen)
    if before is row.state:
        return []
    return [CameToLight(row.fingerprint, row.clip, before, row.state, row.request_id, seen.reason)]


def _merged(light: Iterable[CameToLight]) -> tuple[CameToLight, ...]:
    """One line for each request: from what the ledger knew to what it knows now."""
    merged: dict[str, CameToLight] = {}
    for line in light:
        earlier = merged.get(line.fingerprint)
        merged[line.fingerprint] = line if earlier is None else replace(line, before=earlier.before)
    return tuple(merged[name] for name in sorted(merged))
