"""Let a run wait with its clips while a person has paused all paid work, so that it goes on within seconds."""

import asyncio
import time
from dataclasses import dataclass, field

from resources.ledger.ledger import Ledger
from resources.registry.registry import ClipRow, Registry

LOOK_SECONDS = 2.0
"""Seconds between two looks at the pause: a pause has to end within 5 s, and all clips of a run share a look."""

PATIENCE_SECONDS = 600.0
"""How long a run waits with its clips. After a longer pause the dispatch sensor starts them in new runs."""


@dataclass
class PauseWatch:
    """The pause as the clips of one run see it; ``since`` is when the run began, in monotonic seconds."""

    ledger: Ledger
    registry: Registry
    service: str
    run_id: str
    since: float = field(default_factory=time.monotonic)
    _look: asyncio.Task[bool] | None = None

    async def resumed(self, row: ClipRow) -> ClipRow | None:
        """Return the clip once the pause is over and this run goes on with it; None if it is left to another run."""
        if not await asyncio.to_thread(self._held):
            return None  # it has ended already: the dispatch sensor starts the clip
        while await self._paused():
            if time.monotonic() > self.since + PATIENCE_SECONDS:
                return None
        return await asyncio.to_thread(self.registry.stops.go_on, row, self.run_id)

    async def _paused(self) -> bool:
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._next_look())
        return await asyncio.shield(self._look)

    async def _next_look(self) -> bool:
        await asyncio.sleep(LOOK_SECONDS)
        return await asyncio.to_thread(self._held)

    def _held(self) -> bool:
        return self.ledger.held_service(self.service) is not None
