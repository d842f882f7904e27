"""A loopback server for links in the Dagster UI: bucket keys as URLs, read only, with range requests.

Run it beside the UI: ``python -m resources.storage.link_server --port 3001``. It reads the bucket of the settings with
the process' own S3 credentials and serves only the folders of finished work.
"""

import argparse
import logging
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC
from email.utils import format_datetime, parsedate_to_datetime
from typing import IO, TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from resources.own_origin import OwnOriginOnly
from resources.settings import load_settings
from resources.storage.bucket import Bucket, ObjectInfo
from resources.storage.errors import AccessDenied, ObjectMissing, StorageError
from resources.storage.keys import CLIPS, GALLERY, SEQUENCES, VIDEOS

if TYPE_CHECKING:
    from types import FrameType

    from uvicorn import Server

SERVED = (CLIPS, VIDEOS, SEQUENCES, GALLERY)
"""Folders that are served; uploads are not."""

_CHUNK_BYTES = 256 * 1024
_PAST_EVERY_SIZE = 10**18
"""Bytes; S3 objects have at most 5 * 10**12."""
_TYPES = {
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".json": "application/json",
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".yaml": "text/plain; charset=utf-8",
    ".vtt": "text/vtt; charset=utf-8",
}
_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")

_PAGE = f"{GALLERY}index.html"
"""The only file that may run as a page, with scripts and styles of its folder. Uploaders write below ``sequences/``."""

_ACTIVE = frozenset({".html", ".svg"})
"""What a browser shows as a page that may run scripts."""

_OF_A_PAGE = frozenset({".css", ".js"})
"""What takes part in another page; as text it does not."""


@dataclass(frozen=True)
class _Span:
    """Bytes ``first`` to ``last``, both included."""

    first: int
    last: int


def links_app(bucket: Bucket, prefixes: Sequence[str] = SERVED) -> Starlette:
    """Return the app: GET and HEAD of ``/<key>`` for keys below the prefixes.

    Requests for a host name other than this machine's are refused, so that another web page cannot read the videos
    through a name that it points here.
    """

    async def serve(request: Request) -> Response:
        key = request.path_params["key"]
        if not _is_served(key, prefixes):
            return PlainTextResponse("This address does not exist.\n", 404)
        try:
            info = await run_in_threadpool(bucket.head, key)
            if info is None:
                return PlainTextResponse(f"{key} does not exist.\n", 404)
            return await _answer(request, bucket, info)
        except ObjectMissing:
            return PlainTextResponse(f"{key} does not exist.\n", 404)
        except StorageError as error:
            return PlainTextResponse(f"{error.text}\n", 403 if isinstance(error, AccessDenied) else 503)

    return Starlette(
        routes=[Route("/{key:path}", serve, methods=["GET"])],  # Starlette adds HEAD
        middleware=[Middleware(OwnOriginOnly)],
    )


def _is_served(key: str, prefixes: Sequence[str]) -> bool:
    """Return True for a plain key below a served folder.

    S3 servers differ on ``..`` and ``//``, so neither is passed on.
    """
    parts = key.split("/")
    return (
        key.startswith(tuple(prefixes))
        and all(part not in ("", ".", "..") for part in parts)
        and key.isprintable()
        and "\\" not in key
    )


async def _answer(request: Request, bucket: Bucket, info: ObjectInfo) -> Response:
    etag = f'"{info.etag}"'
    headers = {
        "ETag": etag,
        "Last-Modified": format_datetime(info.modified_at, usegmt=True),
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-cache",
        "Content-Type": _content_type(info),
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",  # no page of another origin or port takes it as its own part
    }
    if _suffix(info.key) in _ACTIVE and info.key != _PAGE:
        headers["Content-Security-Policy"] = "sandbox"
    if _unchanged(request, info, etag):
        return Response(status_code=304, headers=headers)
    span, status = _Span(0, info.size_bytes - 1), 200
    wanted = request.headers.get("range")
    if wanted and _range_applies(request, info, etag) and (match := _RANGE.fullmatch(wanted.strip())):
        cut = _cut(match, info.size_bytes)
        if cut is None:
            return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{info.size_bytes}"})
        span, status = cut, 206
        headers["Content-Range"] = f"bytes {span.first}-{span.last}/{info.size_bytes}"
    headers["Content-Length"] = str(span.last - span.first + 1)
    if request.method == "HEAD" or info.size_bytes == 0:
        return Response(status_code=status, headers=headers)
    stream = await run_in_threadpool(bucket.open_range, info.key, span.first, span.last)
    return StreamingResponse(_chunks(stream), status, headers)


def _content_type(info: ObjectInfo) -> str:
    """Return the content type by the name first, so that an uploader's declaration does not control the browser."""
    suffix = _suffix(info.key)
    if suffix in _OF_A_PAGE and not info.key.startswith(GALLERY):
        suffix = ".txt"
    return _TYPES.get(suffix, "application/octet-stream")


def _suffix(key: str) -> str:
    return key[key.rfind(".") :].lower()


def _unchanged(request: Request, info: ObjectInfo, etag: str) -> bool:
    if known := request.headers.get("if-none-match"):
        return known.strip() == "*" or etag in (part.strip().removeprefix("W/") for part in known.split(","))
    return _same_time(request.headers.get("if-modified-since"), info, later=True)


def _range_applies(request: Request, info: ObjectInfo, etag: str) -> bool:
    """Return whether If-Range allows a part: only if the client has the rest of this very object."""
    condition = request.headers.get("if-range")
    return condition is None or condition == etag or _same_time(condition, info, later=False)


def _same_time(text: str | None, info: ObjectInfo, *, later: bool) -> bool:
    try:
        date = parsedate_to_datetime(text or "")
    except (ValueError, TypeError, IndexError, OverflowError):  # strange dates raise any of these
        return False
    if date.tzinfo is None:  # "-0000"
        date = date.replace(tzinfo=UTC)
    modified = info.modified_at.replace(microsecond=0)
    return modified <= date if later else modified == date


def _cut(match: re.Match[str], size: int) -> _Span | None:
    """Return the bytes of a single range (RFC 9110, 14.1.2), or None if the object has none of them.

    Several ranges are answered with the whole object, as the RFC allows.
    """
    first, last = match.groups()
    if first:
        begin, end = _number(first), min(_number(last), size - 1) if last else size - 1
        if last and _number(last) < _number(first):
            return None
    elif last and _number(last) > 0:
        begin, end = max(size - _number(last), 0), size - 1
    else:
        return None
    return _Span(begin, end) if begin <= end else None


def _number(digits: str) -> int:
    """Return the number, or one past every size for more digits than Python converts (4,300)."""
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) < len(str(_PAST_EVERY_SIZE)) else _PAST_EVERY_SIZE


async def _chunks(stream: "IO[bytes]") -> AsyncIterator[bytes]:
    with closing(stream):
        while data := await run_in_threadpool(stream.read, _CHUNK_BYTES):
            yield data


def serve_links(bucket: Bucket, port: int, host: str = "127.0.0.1") -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        SystemExit: the port is taken.
    """
    _server(bucket, port, host).run()


def _server(bucket: Bucket, port: int, host: str) -> "Server":
    import uvicorn

    # No access log: every seek in a video would add a line. A browser that keeps a video open must not delay shutdown.
    config = uvicorn.Config(
        links_app(bucket),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )

    class QuietServer(uvicorn.Server):
        """Does not log as errors what the signal to stop cuts off, such as a video that a browser plays."""

        def handle_exit(self, sig: int, frame: "FrameType | None") -> None:
            """Stop."""
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            super().handle_exit(sig, frame)

    return QuietServer(config)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the bucket of the settings."""
    parser = argparse.ArgumentParser(description="Serve finished work of the bucket on this machine, read only.")
    parser.add_argument("--port", type=int, required=True)
    chosen = parser.parse_args(arguments)
    serve_links(Bucket.from_settings(load_settings()), chosen.port)


if __name__ == "__main__":
    main()
