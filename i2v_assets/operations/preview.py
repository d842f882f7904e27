"""Plan clips before anything is paid: what would be made, by which model, and at what price."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from i2v_assets.operations.clips import find_clip
from i2v_assets.pipeline.plan import ClipPlanner, Planned, plan_offers, plan_options
from i2v_assets.pipeline.read_media import MediaReader
from i2v_assets.planning.plan import Plan, PlanOffer, plan_hash
from i2v_assets.session import Session
from i2v_assets.uploads.ingest import scan_uploads
from resources.errors import I2VError, UnforeseenError
from resources.ledger.records import State
from resources.registry.registry import ClipRow, ClipState
from resources.runcomfy.factory import OpenService
from resources.schemas.inputs import Family
from resources.scratch import scratch_folder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlannedTake:
    """One take of a plan.

    Attributes:
        plan: The plan.
        to_pay: False if it was sent before, or cannot go on.
        note: Why it is not paid for, for people; empty if it is.
        paid_microdollars: What of its price is paid for already: the pieces of a long voice that were made before.
    """

    plan: Plan
    to_pay: bool
    note: str
    paid_microdollars: int = 0


@dataclass(frozen=True)
class Preview:
    """All that would be made; money in micro-dollars.

    Attributes:
        planned: Each clip with its decision, in the registry's order.
        takes: Each take of these clips.
        unreadable: Clips that could not be planned now, with the error.
        balance_microdollars: The account's balance; None if the service did not tell it.
        rerolls: Each take that a low quality score may add.
    """

    planned: tuple[Planned, ...]
    takes: tuple[PlannedTake, ...]
    unreadable: tuple[tuple[str, I2VError], ...]
    balance_microdollars: int | None
    rerolls: tuple[PlannedTake, ...] = ()

    @property
    def plans(self) -> tuple[Plan, ...]:
        """Return the plan of every take of every clip."""
        return tuple(take.plan for take in self.takes)

    @property
    def total_microdollars(self) -> int:
        """Return what is expected to be paid, as far as the prices are known."""
        return sum((take.plan.price_microdollars or 0) - take.paid_microdollars for take in self.takes if take.to_pay)

    @property
    def at_most_microdollars(self) -> int:
        """Return the most that may be paid without rerolls, as far as the prices are known."""
        return sum(take.plan.at_most_microdollars or 0 for take in self.takes if take.to_pay)

    @property
    def most_microdollars(self) -> int:
        """Return the most that may be paid with every reroll."""
        return self.at_most_microdollars + self.most_for_rerolls()

    def most_for_rerolls(self, clip: str | None = None) -> int:
        """Return the most that the rerolls may cost, of one clip or of all."""
        plans = [take.plan for take in self.rerolls if take.to_pay and clip in (None, take.plan.clip)]
        return sum(plan.at_most_microdollars or 0 for plan in plans)

    @property
    def unpriced(self) -> int:
        """Return how many takes to pay for have no known price."""
        return sum(take.to_pay and take.plan.price_microdollars is None for take in self.takes)

    @property
    def hash(self) -> str | None:
        """Return what an approval of all of it approves; None if nothing is planned."""
        return plan_hash(self.plans, [take.plan for take in self.rerolls]) if self.plans else None


@dataclass(frozen=True)
class OpenPlanner:
    """The pipeline's planner with the service that it asks."""

    planner: ClipPlanner
    service: OpenService

    async def offers(self, families: Collection[Family] | None = None) -> dict[Family, PlanOffer | None]:
        """Return each family's id and price, as `plan_offers` does."""
        return await plan_offers(self.service.offers, families)


@asynccontextmanager
async def open_planner(session: Session, scratch: Path) -> AsyncIterator[OpenPlanner]:
    """Open the pipeline's planner for the length of the block.

    Raises:
        MissingToken, TokenMalformed: no usable token.
        SettingsError: a base address or a pinned id does not fit, or the presets cannot be read.
    """
    async with session.open_service() as service:
        reader = MediaReader(session.bucket, session.registry, scratch)
        offers = partial(plan_offers, service.offers)
        past = partial(session.ledger.past_costs, session.settings.service)
        planner = ClipPlanner(reader, offers, plan_options(session.settings), session.ledger.was_sent, past)
        yield OpenPlanner(planner, service)


def scan_for_uploads(session: Session) -> None:
    """Register what was uploaded since the upload sensor's last tick, as the sensor does."""
    scan_uploads(session.bucket, session.registry, session.settings)


def open_clips(session: Session, names: Sequence[str]) -> list[ClipRow]:
    """Return the clips of these names, or without names all that are still to be made.

    Raises:
        NoSuchClip: a name is unknown.
    """
    if names:
        return [find_clip(session.registry, name) for name in dict.fromkeys(names)]
    return list(session.registry.list((ClipState.DUE, ClipState.WAITING)))


def preview(session: Session, rows: Sequence[ClipRow]) -> Preview:
    """Plan these clips as a run would, and return the plans. Nothing is paid and no note is written.

    Raises:
        I2VError: the token is not accepted, or the bucket does not answer.
    """
    with scratch_folder(session.settings.data_dir) as scratch:
        return asyncio.run(_preview(session, rows, scratch))


async def _preview(session: Session, rows: Sequence[ClipRow], scratch: Path) -> Preview:
    async with open_planner(session, scratch) as opened:
        await opened.offers()  # a token that is not accepted is reported once, not for every clip
        results = await asyncio.gather(*(plan_clip(opened.planner, row) for row in rows))
        try:
            balance = (await opened.service.client.balance()).microdollars
        except I2VError:
            balance = None
    planned = tuple(each for each in results if not isinstance(each, tuple))
    takes = tuple(_planned_take(session, plan) for each in planned for plan in each.plans)
    rerolls = tuple(_planned_take(session, plan) for each in planned for plan in each.rerolls)
    return Preview(planned, takes, tuple(each for each in results if isinstance(each, tuple)), balance, rerolls)


async def plan_clip(planner: ClipPlanner, row: ClipRow) -> Planned | tuple[str, I2VError]:
    """Return the plan of one clip, or why it has none. No error of one clip leaves the others without their plans."""
    try:
        return await planner.plan(row)
    except I2VError as error:
        return row.clip, error
    except Exception as error:  # noqa: BLE001 - whatever one model or file causes, the other clips have their plans
        unforeseen = UnforeseenError("This clip was not planned", error)
        log.error("Clip %s: %s", row.clip, unforeseen.message)  # noqa: TRY400 - its words and traceback stay out
        return row.clip, unforeseen


def _planned_film(plan: Plan, pieces: Sequence[PlannedTake]) -> PlannedTake:
    """Return what is to be paid for a take of several pieces; the first that cannot go on holds those after it."""
    done = [piece for piece in pieces if not piece.to_pay]
    paid = sum(piece.plan.price_microdollars or 0 for piece in done)
    if len(done) == len(pieces):
        return PlannedTake(plan, False, done[0].note)
    note = f"{len(done)} of {len(pieces)} pieces: {done[-1].note}" if done else ""
    return PlannedTake(plan, True, note, paid)


def _planned_take(session: Session, plan: Plan) -> PlannedTake:
    """Compare a plan with the ledger: only what was never sent, or may be sent again, is paid for."""
    if plan.pieces:
        return _planned_film(plan, [_planned_take(session, piece) for piece in plan.pieces])
    request = session.ledger.get(plan.fingerprint)
    if request is None or request.state is State.PLANNED:
        return PlannedTake(plan, True, "")
    match request.state:
        case State.SUCCEEDED:
            note = "made before, costs nothing"
        case State.FAILED if request.final:
            note = f"refused for good: {request.reason}"
        case State.FAILED:
            note = f"failed before ({request.reason}): i2v retry {plan.clip}"
        case State.CANCELLED:
            note = f"cancelled before: i2v retry {plan.clip}"
        case State.UNKNOWN:
            note = "outcome unknown: i2v ledger resolve"
        case _:
            note = "sent before, paid for already"
    return PlannedTake(plan, False, note)
