"""Fetches the media of a body as the service would: one plain GET of a URL, or a ``data:`` URI."""

import asyncio
import base64
import binascii
import hashlib
import os
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

import httpx
from httpx_aiohttp import HttpxAiohttpClient

from resources.sandbox.drawing.job import MediaFolder
from resources.sandbox.faults import HTTP_KINDS, Fault, Kind
from resources.schemas.inputs import MediumKind

MEBIBYTE = 1024 * 1024
INLINE_LIMITS = {
    MediumKind.IMAGE: 6 * MEBIBYTE,
    MediumKind.AUDIO: 16 * MEBIBYTE,
    MediumKind.VIDEO: 32 * MEBIBYTE,
}
"""Largest ``data:`` URIs that the vendor's partner nodes send (docs/runcomfy-api.md, section 5)."""

FETCH_LIMIT = 200 * MEBIBYTE
"""A limit for endless answers; no medium of any model is nearly this large."""

FETCH_SECONDS = 30.0
AT_ONCE = 32


class FetchFailed(Exception):
    """The bytes could not be fetched; the text is for the ``detail`` list and contains no URL."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A fetched medium.

    Attributes:
        sha256: Hash of its bytes.
        size_bytes: Their number.
    """

    sha256: str
    size_bytes: int


class Fetcher:
    """Fetches media into a folder."""

    def __init__(self, folder: MediaFolder) -> None:
        self._folder = folder
        self._client = HttpxAiohttpClient(timeout=FETCH_SECONDS, follow_redirects=True, trust_env=False)
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def fetch(self, url: str, kind: MediumKind, fault: Fault | None) -> Fetched:
        """Fetch the bytes of one medium.

        Args:
            url: http(s) address or ``data:`` URI.
            kind: The expected kind, for the limit of inline data.
            fault: A fault that hits this fetch.

        Raises:
            FetchFailed: no bytes arrived, or too many.
        """
        if fault is not None:
            self._fail(fault)
        if url.startswith("data:"):
            data = _inline(url, kind)
        else:
            async with self._slots:
                data = await self._get(url)
        if fault is not None and fault.kind is Kind.GARBAGE:
            data = b"\x00garbage" + data[:64]
        return await asyncio.to_thread(self._keep, data)

    @staticmethod
    def _fail(fault: Fault) -> None:
        if fault.kind in HTTP_KINDS:
            raise FetchFailed(f"the address answered {HTTP_KINDS[fault.kind]}")
        if fault.kind is Kind.TIMEOUT:
            raise FetchFailed(f"the address did not answer within {FETCH_SECONDS:.0f} s")
        if fault.kind is Kind.DISCONNECT_BEFORE:
            raise FetchFailed("the address could not be reached")

    async def _get(self, url: str) -> bytes:
        chunks: list[bytes] = []
        size = 0
        try:
            async with self._client.stream("GET", url) as answer:
                if answer.status_code != 200:
                    raise FetchFailed(f"the address answered {answer.status_code}")
                async for chunk in answer.aiter_bytes():
                    size += len(chunk)
                    if size > FETCH_LIMIT:
                        raise FetchFailed(f"the file is larger than {FETCH_LIMIT // MEBIBYTE} MiB")
                    chunks.append(chunk)
        except httpx.ConnectTimeout:  # the transport also reports a refused connection so
            raise FetchFailed("the address could not be reached") from None
        except httpx.TimeoutException:
            raise FetchFailed(f"the address did not answer within {FETCH_SECONDS:.0f} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            raise FetchFailed("the address could not be reached") from None
        return b"".join(chunks)

    def _keep(self, data: bytes) -> Fetched:
        sha256 = hashlib.sha256(data).hexdigest()
        path = self._folder.path(sha256)
        if not path.exists():
            part = path.with_name(f"{sha256}.{os.getpid()}.{id(data)}.part")
            part.write_bytes(data)
            part.replace(path)
        return Fetched(sha256, len(data))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _inline(url: str, kind: MediumKind) -> bytes:
    head, comma, payload = url.partition(",")
    if not comma:
        raise FetchFailed("the data: URI has no comma")
    try:
        data = base64.b64decode(payload, validate=True) if head.endswith(";base64") else unquote_to_bytes(payload)
    except (binascii.Error, ValueError):
        raise FetchFailed("the data: URI is not valid base64") from None
    if len(data) > INLINE_LIMITS[kind]:
        raise FetchFailed(f"inline {kind} data is larger than {INLINE_LIMITS[kind] // MEBIBYTE} MiB")
    return data
