"""Build the gallery's files: the static page, and the data as scripts.

The data are scripts and not JSON, because a page opened from a local copy (``file:``) may load scripts but not fetch.
``data/index.js`` holds one short row per clip or film, ``data/prompts.js`` the searchable prompts (loaded at the first
search), ``data/page-NNN.js`` the details (loaded when one is opened). Amounts paid come from the ledger and not from the
entries: clips of the same inputs share a payment, and failed requests may have cost something too.
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from i2v_assets.clip_folder.manifest import SANDBOX_NOTE
from i2v_assets.gallery.entries import GalleryEntry, Paid, Status
from resources.messages import lines
from resources.redact import redact
from resources.schemas.inputs import Route

PAGE_SIZE = 100
"""Clips per file of details: about 100 KB, which a phone loads while a dialog opens."""

CHART_DAYS = 30
"""Days in the chart."""

TEASER = 160
"""Maximum characters of the problem and of the remedy on a card; the details hold the full text."""

STATIC = (
    "index.html",
    "style.css",
    "details.css",
    "data.js",
    "filters.js",
    "cards.js",
    "chart.js",
    "details.js",
    "app.js",
)
"""The files that do not depend on the clips."""

_MADE = re.compile(rb'"made":"[0-9: -]*"')
"""Where ``data/index.js`` says when it was made: its first member that can match."""

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
_STATUSES = tuple(Status)
_ROUTES = tuple(Route)


def content_type(name: str) -> str:
    """Return the media type of one of the gallery's files."""
    return _TYPES[Path(name).suffix]


def build_gallery(
    entries: Iterable[GalleryEntry], now: datetime, *, paid: Iterable[Paid] = (), zone: tzinfo = UTC
) -> dict[str, bytes]:
    """Return every file of the gallery, by its name below ``gallery/``; the result is deterministic.

    Args:
        entries: The clips and films, in any order.
        now: The build time; shown on the page, and the end of the chart.
        paid: Every payment with its day in ``zone``, for the totals and the chart.
        zone: The time zone of all days and times.
    """
    ordered = sorted(entries, key=lambda entry: entry.key)
    ordered.sort(key=lambda entry: entry.moment, reverse=True)
    clips, paid = [entry for entry in ordered if not entry.film], tuple(paid)
    prompt_of = {entry.clip: entry.prompt for entry in clips}
    prompts: dict[str, int] = {}
    rows = [_row(entry, _searched(entry, prompt_of), prompts, zone) for entry in ordered]
    data: dict[str, bytes] = {}
    groups, films = _groups(clips), _films(ordered)
    for number, start in enumerate(range(0, len(ordered), PAGE_SIZE)):
        details = {entry.key: _details(entry, groups, films) for entry in ordered[start : start + PAGE_SIZE]}
        data[f"data/page-{number:03d}.js"] = _script(f"page-{number:03d}", details)
    data["data/prompts.js"] = _script("prompts", list(prompts))
    index = {
        "version": _digest(data.values()),
        "made": _made(now, zone),
        "zone": str(zone),
        "pageSize": PAGE_SIZE,
        "statuses": [status.value for status in _STATUSES],
        "routes": [route.value for route in _ROUTES],
        "sandboxNote": SANDBOX_NOTE,
        "totals": _totals(clips, paid),
        "chart": _chart(paid, now, zone),
        "rows": rows,
    }
    data["data/index.js"] = _script("index", index)
    return {**_static(data["data/index.js"]), **data}


def made_again(index: bytes, now: datetime, *, zone: tzinfo = UTC) -> dict[str, bytes] | None:
    """Return the two files that say when the page was made, for a page that shows the same; None if that is not found.

    Args:
        index: The ``data/index.js`` of the page.
        now: The build time.
        zone: The time zone of all days and times.
    """
    again, found = _MADE.subn(f'"made":"{_made(now, zone)}"'.encode(), index, count=1)
    return {"index.html": _static(again)["index.html"], "data/index.js": again} if found else None


def release() -> str:
    """Return a text that changes with the page's own files and with this version of the program."""
    return f"{version('i2v-assets')} {_digest(_read(name) for name in STATIC)}"


def _read(name: str) -> bytes:
    return (Path(__file__).parent / "static" / name).read_bytes()


def _made(now: datetime, zone: tzinfo) -> str:
    return now.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def _static(index: bytes) -> dict[str, bytes]:
    files = {name: _read(name) for name in STATIC}
    stamp = _digest([*files.values(), index])
    # The stamp prevents a browser from combining a new page with a cached old script.
    files["index.html"] = files["index.html"].replace(b"?v=0", b"?v=" + stamp.encode())
    return files


def _searched(entry: GalleryEntry, prompt_of: Mapping[str, str]) -> str:
    """Return the searchable text besides the name; for a film, the names and prompts of its shots."""
    if not entry.film:
        return entry.prompt
    return "\n".join(
        dict.fromkeys(text for shot in entry.shots for text in (shot.clip, prompt_of.get(shot.clip, "")) if text)
    )


def _row(entry: GalleryEntry, searched: str, prompts: dict[str, int], zone: tzinfo) -> list[Any]:
    """Return the index row of one clip or film; ``I2V.row`` in data.js has the same column order."""
    first = entry.problems[0] if entry.problems else None
    flags = (
        (1 if entry.service == "sandbox" else 0)
        | (2 if entry.estimated else 0)
        | (4 if entry.poster else 0)
        | (8 if entry.signed else 0)
        | (16 if entry.film else 0)
        | (32 if entry.picture else 0)
    )
    return [
        entry.clip,
        _STATUSES.index(entry.status),
        -1 if entry.route is None else _ROUTES.index(entry.route),
        entry.moment.astimezone(zone).strftime("%Y-%m-%d %H:%M"),
        entry.cost_microdollars,
        flags,
        None if entry.seconds is None else round(entry.seconds, 2),
        entry.width,
        entry.height,
        None if entry.quality is None else round(entry.quality, 2),
        max(1, len(entry.takes)),
        entry.language or "",
        prompts.setdefault(searched, len(prompts)),
        _link(entry.folder),
        _teaser(first.what) if first else "",
        _teaser(first.remedy) if first else "",
        lines(entry.command),
    ]


def _details(
    entry: GalleryEntry, groups: Mapping[str, Sequence[GalleryEntry]], films: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    folder = _link(entry.folder)
    details: dict[str, Any] = {
        "prompt": entry.prompt,
        "facts": [[name, redact(value)] for name, value in entry.facts],
        "reasons": [redact(reason) for reason in entry.reasons],
        "findings": [redact(finding) for finding in entry.findings],
        "media": list(entry.media),
        "takes": [
            [take.take, take.seed, _link(take.video_key), take.quality, 1 if take.chosen else 0] for take in entry.takes
        ],
        "languages": [
            [other.language, other.clip, f"{_link(other.folder)}video.mp4" if other.status is Status.DELIVERED else ""]
            for other in groups.get(entry.dub_group or "", ())
        ],
        "shots": [[shot.clip, redact(shot.what), shot.cost_microdollars] for shot in entry.shots],
        "films": [] if entry.film else films.get(entry.clip, []),
        "title": redact(entry.title),
        "problems": [[redact(text) for text in (p.what, p.limit, p.remedy)] for p in entry.problems],
        "next": redact(entry.next),
        "note": f"{folder}{quote(entry.note_file)}" if entry.note_file else "",
    }
    return {name: value for name, value in details.items() if value}


def _groups(entries: Sequence[GalleryEntry]) -> dict[str, list[GalleryEntry]]:
    groups: dict[str, list[GalleryEntry]] = defaultdict(list)
    for entry in sorted(entries, key=lambda entry: (entry.language or "", entry.clip)):
        if entry.dub_group:
            groups[entry.dub_group].append(entry)
    return groups


def _films(entries: Sequence[GalleryEntry]) -> dict[str, list[str]]:
    """Return the films that use each clip as a shot, by the clip's name."""
    films: dict[str, list[str]] = defaultdict(list)
    for entry in sorted(entries, key=lambda entry: entry.clip):
        for clip in dict.fromkeys(shot.clip for shot in entry.shots):
            films[clip].append(entry.clip)
    return films


def _totals(entries: Sequence[GalleryEntry], paid: Sequence[Paid]) -> dict[str, Any]:
    return {
        "paid": sum(each.microdollars for each in paid if each.service == "runcomfy"),
        "play": sum(each.microdollars for each in paid if each.service == "sandbox"),
        "sandbox": sum(1 for entry in entries if entry.service == "sandbox"),
        "seconds": round(sum(entry.seconds or 0 for entry in entries)),
    }


def _chart(paid: Iterable[Paid], now: datetime, zone: tzinfo) -> list[list[Any]]:
    """Return one row per day, oldest first: the day, and micro-dollars paid to the service and to the sandbox."""
    today = now.astimezone(zone).date().toordinal()
    days = {day: [0, 0] for day in range(today - CHART_DAYS + 1, today + 1)}
    for each in paid:
        sums = days.get(each.day.toordinal())
        if sums is not None:
            sums[1 if each.service == "sandbox" else 0] += each.microdollars
    return [[datetime.fromordinal(day).strftime("%Y-%m-%d"), *sums] for day, sums in days.items()]


def _link(key: str) -> str:
    """Return a key of the bucket as an address relative to ``gallery/index.html``."""
    return "../" + "/".join(quote(part) for part in key.split("/"))


def _teaser(text: str) -> str:
    line = redact(" ".join(text.split()))
    return line if len(line) <= TEASER else line[: TEASER - 1].rstrip() + "…"


def _script(name: str, value: object) -> bytes:
    """Return ``I2V.put(name, value)`` in ASCII without ``<``, so that no text can end the script or start another."""
    text = json.dumps(_harmless(value), ensure_ascii=True, separators=(",", ":"), allow_nan=False).replace(
        "<", "\\u003c"
    )
    return f"I2V.put({json.dumps(name)},{text});\n".encode("ascii")


def _harmless(value: object) -> object:
    """Return the value with texts in which no character hides or turns the direction of writing."""
    match value:
        case str():
            return lines(value)
        case Mapping():
            return {name: _harmless(part) for name, part in value.items()}
        case list() | tuple():
            return [_harmless(part) for part in value]
    return value


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:12]
