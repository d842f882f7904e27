"""The room that the budget has for films of pieces: a film is begun only if all of it fits beside those under way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from i2v_assets.planning.plan import Plan
from resources.generation.caps import caps_of
from resources.generation.types import GenerationRequest, Held
from resources.ledger.ledger import Ledger
from resources.ledger.records import State
from resources.money import dollars
from resources.plurals import counted
from resources.settings import Settings
from resources.wait_reason import WaitReason


def unsent(ledger: Ledger, plan: Plan) -> tuple[Plan, ...]:
    """Return those requests of a take that are still to be paid."""
    rows = [ledger.get(each.fingerprint) for each in plan.requests]
    return tuple(
        each for each, row in zip(plan.requests, rows, strict=True) if row is None or row.state is State.PLANNED
    )


class FilmBudget:
    """What a run may still spend on films; each claim asks the budget once more."""

    def __init__(self, ledger: Ledger, settings: Settings, run_id: str) -> None:
        """``run_id`` is the run that the cap of a run counts for: of an automatic retry, the first one."""
        self._ledger = ledger
        self._settings = settings
        self._run_id = run_id
        self._under_way: list[Plan] = []
        self._asking = asyncio.Lock()

    @asynccontextmanager
    async def room_for(self, plan: Plan, order: GenerationRequest) -> AsyncIterator[Held | None]:
        """Keep room for a film during the block; yield why no piece of it is sent, or None.

        Raises:
            LedgerError: the ledger does not answer.
        """
        if order.adopt_only:
            yield None
            return
        async with self._asking:  # of two films that ask at once, the second one sees the first
            held = await asyncio.to_thread(self._beyond, plan, order)
            if held is None:
                self._under_way.append(plan)
        try:
            yield held
        finally:
            if held is None:
                self._under_way.remove(plan)

    def _beyond(self, plan: Plan, order: GenerationRequest) -> Held | None:
        to_send = unsent(self._ledger, plan)
        price = sum(piece.at_most_microdollars or 0 for piece in to_send)
        kept = self._kept_for_others(plan)
        settings, caps = self._settings, caps_of(self._settings)
        today = self._ledger.spent_today(settings.service, settings.zone).microdollars
        in_run = self._ledger.spend_of_run(self._run_id, settings.service).microdollars
        left = min(caps.usd_per_day_microdollars - today, caps.usd_per_run_microdollars - in_run) - kept
        if len(to_send) < 2 or price <= left:
            return None
        what = f"Its {counted(len(to_send), 'piece')} cost at most {dollars(price)} together, and the budget has"
        what += f" {dollars(max(0, left)) or '$0'} left{' beside the other videos of this run' if kept else ''}."
        variables = "I2V_BUDGET_USD_PER_DAY and I2V_BUDGET_USD_PER_RUN"
        if settings.service == "sandbox":
            variables = "I2V_SANDBOX_BUDGET_USD_PER_DAY"
        never = price > min(caps.usd_per_day_microdollars, caps.usd_per_run_microdollars)
        way_out = f"Raise {variables}." if never else f"It starts by itself then, or raise {variables}."
        return Held(order, WaitReason.BUDGET, what, f"Nothing of it is sent before there is room for all. {way_out}")

    def _kept_for_others(self, plan: Plan) -> int:
        """Return what the films under way have still to pay; pieces that this film shares with them are paid once."""
        own = {piece.fingerprint for piece in plan.pieces}
        others = {piece.fingerprint: piece for film in self._under_way for piece in unsent(self._ledger, film)}
        return sum(piece.at_most_microdollars or 0 for name, piece in others.items() if name not in own)
