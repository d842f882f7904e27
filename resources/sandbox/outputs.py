"""Serves the videos, whole or in ranges, and with the faults of a download."""

import asyncio
import mimetypes
import time
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from resources.sandbox import odd_files, wire_errors
from resources.sandbox.core import Sandbox
from resources.sandbox.drawing.render import RenderFailed, RenderStopped
from resources.sandbox.faults import FILE_KINDS, VIDEO_KINDS, Kind, Where
from resources.sandbox.generation import Generation, State
from resources.sandbox.wire_errors import Cut, WireError, answer_of

ANNOUNCED_BYTES = 3 * 1024**3
"""Content-Length of the fault too_large: above the 2 GiB that a client accepts."""

_TYPE = mimetypes.types_map.get(".mp4", "video/mp4")


class Outputs:
    """The public storage: whoever has the URL may read; no token is needed.

    Args:
        sandbox: The sandbox of the videos.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[BaseRoute]:
        """Return the one route."""
        return [Route("/outputs/{name}", self.download, methods=["GET"])]

    async def download(self, request: Request) -> Response:
        """Handle ``GET /outputs/{request_id}.mp4``, and ``{request_id}.cover.jpg`` beside it."""
        sandbox = self._sandbox
        name = request.path_params["name"]
        generation = sandbox.requests.get(name.removesuffix(".cover.jpg").removesuffix(".mp4"))
        if generation is None or generation.state(time.time()) is not State.SUCCEEDED:
            raise WireError(404, wire_errors.UNKNOWN_REQUEST, "There is no such file.")
        if name.endswith(".cover.jpg"):
            return Response(odd_files.picture("JPEG"), media_type="image/jpeg")
        fault = sandbox.take_fault(Where.DOWNLOAD, generation.model_id, generation.request_id, method=request.method)
        if fault is not None:
            if fault.kind is Kind.HOSTILE_URL:
                return RedirectResponse(fault.url or "https://files.runcomfy.net.evil.example/video.mp4", 302)
            if fault.kind is Kind.TRUNCATED:
                return await self._truncated(generation)
            if fault.kind is Kind.TOO_LARGE:
                return Cut({"Content-Type": _TYPE, "Content-Length": str(ANNOUNCED_BYTES)}, bytes(65536))
            if fault.kind is Kind.SLOW:
                return await self._slow(generation, fault.bytes_per_second)
            if fault.kind in VIDEO_KINDS | FILE_KINDS:
                sandbox.mark(generation, fault)
            else:
                return answer_of(fault, sandbox.switches, request)
        if generation.mark in FILE_KINDS:
            whole = (await sandbox.video(generation)).read_bytes()
            return Response(odd_files.instead_of(generation.mark, whole), media_type=_TYPE)
        return FileResponse(await self._path(generation), media_type=_TYPE)

    async def _slow(self, generation: Generation, bytes_per_second: int) -> Response:
        whole = (await self._sandbox.video(generation)).read_bytes()

        async def drip() -> AsyncIterator[bytes]:
            for start in range(0, len(whole), bytes_per_second):
                yield whole[start : start + bytes_per_second]
                await asyncio.sleep(1)

        return StreamingResponse(drip(), media_type=_TYPE, headers={"Content-Length": str(len(whole))})

    async def _path(self, generation: Generation) -> str:
        try:
            return str(await self._sandbox.video(generation))
        except (RenderFailed, RenderStopped):
            raise WireError(503, wire_errors.UNAVAILABLE, "The file cannot be had.") from None

    async def _truncated(self, generation: Generation) -> Response:
        path = await self._sandbox.video(generation)
        whole = path.read_bytes()
        return Cut({"Content-Type": _TYPE, "Content-Length": str(len(whole))}, whole[: len(whole) // 2])
