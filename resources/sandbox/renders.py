"""Renders videos beside the event loop, at most two at a time."""

import asyncio
import contextlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from resources.sandbox.drawing.job import MediaFolder, RenderJob
from resources.sandbox.drawing.render import RenderFailed, RenderStopped, render
from resources.sandbox.faults import Kind

AT_ONCE = 2
"""Renderings at the same time; each takes one core."""

_log = logging.getLogger(__name__)


class Renders:
    """Renders files, each once.

    Threads, not processes: decoding, warping and encoding leave the interpreter's lock, threads start at once, and
    they cannot outlive a killed server.
    """

    def __init__(self, media: MediaFolder) -> None:
        self._media = media
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="render")
        self._stop = threading.Event()
        self._making: dict[Path, asyncio.Future[None]] = {}

    async def ensure(self, job: RenderJob, mark: Kind | None, path: Path) -> None:
        """Return once the file exists; render it unless it exists or is in progress.

        Raises:
            RenderFailed: the media cannot be drawn.
            RenderStopped: the server is stopping.
        """
        if path.exists():  # noqa: ASYNC240 - one stat
            return
        making = self._making.get(path)
        if making is None:
            loop = asyncio.get_running_loop()
            making = loop.run_in_executor(self._pool, self._make, job, mark, path)
            self._making[path] = making
            making.add_done_callback(lambda done: self._done(path, done))
        # Shielded: a caller that stops waiting must not cancel the rendering for the others.
        await asyncio.shield(making)

    def _done(self, path: Path, done: "asyncio.Future[None]") -> None:
        self._making.pop(path, None)
        if not done.cancelled() and (error := done.exception()) is not None:
            _log.debug("Rendering failed: %s", error)

    def _make(self, job: RenderJob, mark: Kind | None, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.stem}.part.mp4")
        try:
            render(job, self._media, part, mark=mark, stop=self._stop)
            part.replace(path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()

    def close(self) -> None:
        """Stop between two frames and end the threads."""
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)


__all__ = ["AT_ONCE", "RenderFailed", "RenderStopped", "Renders"]
