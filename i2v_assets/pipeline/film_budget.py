"""The room that the budget has for films of pieces: a film is begun only if all of it fits beside those under way."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

from i2v_assets.films.held import fits_caps
from i2v_assets.planning.plan import Plan
from resources.generation.types import GenerationRequest, Held
from resources.ledger.errors import LedgerError
from resources.ledger.film_room import Film, NoRoom
from resources.ledger.ledger import Ledger
from resources.ledger.records import State, caps_of
from resources.messages import counted
from resources.money import dollars
from resources.registry.rows import ClipRow
from resources.registry.uploads import UploadMemory
from resources.settings import Settings
from resources.wait_reason import WaitReason

log = logging.getLogger(__name__)

LEASE_SECONDS = 300.0
"""Seconds that a film keeps its room after its process last renewed it. A film keeps its room while the ledger is away for
minutes, and a process that died does not hold up the others for longer."""
RENEW_SECONDS = 60.0
"""Four renewals may fail before the room is lost."""


def unsent(ledger: Ledger, plan: Plan) -> tuple[Plan, ...]:
    """Return those requests of a take that are still to be paid."""
    rows = [ledger.get(each.fingerprint) for each in plan.requests]
    return tuple(
        each for each, row in zip(plan.requests, rows, strict=True) if row is None or row.state is State.PLANNED
    )


def remember_requests_to_come(memory: UploadMemory, clip: str, fingerprint: str, requests: int) -> None:
    """Remember how many requests a clip that waits for the budget still needs: of a voice in pieces, several."""
    memory.remember_facts(_requests_key(clip), fingerprint, {"requests": requests})


def requests_to_come(memory: UploadMemory, row: ClipRow) -> int:
    """Return how many requests a clip that waits for the budget still needs, as its run knew it; at least 1.

    A run that found all its pieces claimed by another said 0, and the budget is asked about the clip all the same.
    """
    known = memory.facts(_requests_key(row.clip), row.planned_fingerprint or "")
    return max(1, int(known["requests"])) if known else 1


def _requests_key(clip: str) -> str:
    return f"requests:{clip}"


class FilmBudget:
    """What a run may still spend on films, beside those of all other runs; each claim asks the budget once more."""

    def __init__(self, ledger: Ledger, settings: Settings, run_id: str) -> None:
        """``run_id`` is the run that the cap of a run counts for: of an automatic retry, the first one."""
        self._ledger = ledger
        self._settings = settings
        self._run_id = run_id

    @asynccontextmanager
    async def room_for(self, plan: Plan, order: GenerationRequest) -> AsyncIterator[Held | None]:
        """Keep room for a film during the block; yield why no piece of it is sent, or None.

        Raises:
            LedgerError: the ledger does not answer.
        """
        if order.adopt_only:
            yield None
            return
        prices = {piece.fingerprint: piece.at_most_microdollars or 0 for piece in plan.requests}
        film = Film(uuid4().hex, self._settings.service, self._run_id, prices)
        refused = await asyncio.to_thread(self._ledger.keep_room, film, caps_of(self._settings), LEASE_SECONDS)
        if refused is not None:
            yield self._held(refused, order)
            return
        renewing = asyncio.create_task(self._renew(film))
        try:
            yield None
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing
            await self._quietly(self._ledger.release_room, film)

    async def _renew(self, film: Film) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            await self._quietly(self._ledger.renew_room, film, LEASE_SECONDS)

    @staticmethod
    async def _quietly(change: Callable[..., None], *arguments: object) -> None:
        """Change a film's room; a ledger that does not answer stops no film, since the lease ends the room."""
        try:
            await asyncio.to_thread(change, *arguments)
        except LedgerError as error:
            log.warning("A film's room in the budget could not be changed: %s", error.message)

    def _held(self, refused: NoRoom, order: GenerationRequest) -> Held:
        settings, caps, price = self._settings, caps_of(self._settings), refused.price_microdollars
        pieces = f"Its {counted(refused.unsent, 'piece')}"
        if refused.unsent > refused.left_requests:
            unit, kept = "REQUESTS", refused.kept_requests
            left = counted(max(0, refused.left_requests), "request")
            what = f"{pieces} need {counted(refused.unsent, 'request')}, and the budget has {left} left"
        else:
            unit, kept = "USD", refused.kept_microdollars
            left = dollars(max(0, refused.left_microdollars)) or "$0"
            what = f"{pieces} cost at most {dollars(price)} together, and the budget has {left} left"
        what += " beside the other videos under way." if kept else "."
        variables = f"I2V_BUDGET_{unit}_PER_DAY and I2V_BUDGET_{unit}_PER_RUN"
        if settings.is_sandbox:
            variables = f"I2V_SANDBOX_BUDGET_{unit}_PER_DAY"
        never = not fits_caps(price, refused.unsent, caps)
        way_out = f"Raise {variables}." if never else f"It starts by itself then, or raise {variables}."
        return Held(order, WaitReason.BUDGET, what, f"Nothing of it is sent before there is room for all. {way_out}")
