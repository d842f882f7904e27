"""What would be made and what it would cost: the numbers behind `i2v plan` and `i2v approve`."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from i2v_assets.session import Session, open_client
from resources.errors import I2VError
from resources.money import dollars
from resources.plurals import counted

if TYPE_CHECKING:
    from i2v_assets.pipeline.plan import Planned
    from i2v_assets.planning.plan import Plan
    from resources.registry.registry import ClipRow
    from resources.storage.bucket import Bucket


@dataclass(frozen=True)
class PlannedTake:
    """One take of a clip as `i2v plan` shows it; ``to_pay`` is False for what was sent before or cannot go on."""

    plan: "Plan"
    to_pay: bool
    note: str


@dataclass(frozen=True)
class Preview:
    """All that would be made; money in micro-dollars.

    Attributes:
        planned: Each clip with its decision, in the registry's order.
        lines: Each take.
        rerolls: Each take that a low quality score may add.
        unreadable: Clips that could not be planned now, with the error.
        balance_microdollars: Of the account; None where it was not told.
    """

    planned: "tuple[Planned, ...]"
    lines: tuple[PlannedTake, ...]
    unreadable: tuple[tuple[str, I2VError], ...]
    balance_microdollars: int | None
    rerolls: tuple[PlannedTake, ...] = ()

    @property
    def plans(self) -> "tuple[Plan, ...]":
        """Every take of every clip."""
        return tuple(line.plan for line in self.lines)

    @property
    def total_microdollars(self) -> int:
        """What would be paid, as far as the prices are known."""
        return sum(line.plan.price_microdollars or 0 for line in self.lines if line.to_pay)

    @property
    def most_microdollars(self) -> int:
        """What would be paid with every reroll."""
        return self.total_microdollars + self.most_for_rerolls()

    def most_for_rerolls(self, clip: str | None = None) -> int:
        """What the rerolls may cost, of one clip or of all."""
        plans = [line.plan for line in self.rerolls if line.to_pay and clip in (None, line.plan.clip)]
        return sum(plan.price_microdollars or 0 for plan in plans)

    @property
    def unpriced(self) -> int:
        """Takes to pay for whose price is not known."""
        return sum(line.to_pay and line.plan.price_microdollars is None for line in self.lines)

    @property
    def hash(self) -> str | None:
        """What an approval of all of it approves."""
        from i2v_assets.planning.plan import plan_hash

        return plan_hash(self.plans, [line.plan for line in self.rerolls]) if self.plans else None


def scan_for_uploads(session: Session, bucket: "Bucket") -> None:
    """Take note of what was uploaded since the sensor's last look; the same look, so nothing happens twice."""
    from i2v_assets.uploads.ingest import scan_uploads

    scan_uploads(bucket, session.registry, session.settings)


def open_clips(session: Session, names: Sequence[str]) -> "list[ClipRow]":
    """The clips of these names, or all that are still to be made.

    Raises:
        UsageProblem: a name is unknown.
    """
    from i2v_assets.operations.clips import find_clip
    from resources.registry.registry import ClipState

    if names:
        return [find_clip(session.registry, name) for name in dict.fromkeys(names)]
    return list(session.registry.list((ClipState.DUE, ClipState.WAITING)))


def preview(session: Session, bucket: "Bucket", rows: "Sequence[ClipRow]") -> Preview:
    """Plan these clips as a run would; pays nothing, tells nobody.

    Raises:
        I2VError: the token is not accepted, or no clip can be planned since the bucket does not answer.
    """
    with TemporaryDirectory(prefix="i2v-") as scratch:
        return asyncio.run(_preview(session, bucket, rows, Path(scratch)))


async def _preview(session: Session, bucket: "Bucket", rows: "Sequence[ClipRow]", scratch: Path) -> Preview:
    from i2v_assets.pipeline.offers import Offers
    from i2v_assets.pipeline.plan import ClipPlanner, plan_options
    from i2v_assets.pipeline.read_media import MediaReader
    from resources.registry.agreed_prices import CatalogueMemory
    from resources.runcomfy.catalogue import Catalogue

    async with open_client(session.settings) as client:
        settings = session.settings
        offers = Offers(
            Catalogue(client, settings.model_ids, settings.price_max_age_seconds),
            CatalogueMemory(session.ledger.database),
            settings.service,
        )
        await offers.now()  # a token that is not accepted is told once, not for every clip
        planner = ClipPlanner(
            MediaReader(bucket, session.registry, scratch), offers.now, plan_options(session.settings)
        )
        found = await asyncio.gather(*(_one(planner, row) for row in rows))
        try:
            left = (await client.balance()).microdollars
        except I2VError:
            left = None
    planned = tuple(each for each in found if not isinstance(each, tuple))
    lines = tuple(_line(session, plan) for each in planned for plan in each.plans)
    rerolls = tuple(_line(session, plan) for each in planned for plan in each.rerolls)
    return Preview(planned, lines, tuple(each for each in found if isinstance(each, tuple)), left, rerolls)


async def _one(planner: Any, row: "ClipRow") -> "Planned | tuple[str, I2VError]":
    try:
        found: Planned = await planner.plan(row)
    except I2VError as error:
        return row.clip, error
    return found


def _line(session: Session, plan: "Plan") -> PlannedTake:
    from resources.ledger.records import State

    known = session.ledger.get(plan.fingerprint)
    if known is None or known.state is State.PLANNED:
        return PlannedTake(plan, True, "")
    match known.state:
        case State.SUCCEEDED:
            return PlannedTake(plan, False, "made before, costs nothing")
        case State.FAILED if known.final:
            return PlannedTake(plan, False, f"refused for good: {known.reason}")
        case State.FAILED:
            return PlannedTake(plan, False, f"failed before ({known.reason}): i2v retry {plan.clip}")
        case State.CANCELLED:
            return PlannedTake(plan, False, f"cancelled before: i2v retry {plan.clip}")
        case State.UNKNOWN:
            return PlannedTake(plan, False, "outcome unknown: i2v ledger resolve")
        case _:
            return PlannedTake(plan, False, "sent before, paid for already")


def what_changed(bucket: "Bucket", planned: "Planned", asked_hash: str) -> str | None:
    """What differs between a clip's stored plan of this hash and the plan of now; None where that was not its plan."""
    from resources.storage import keys

    try:
        stored = json.loads(bucket.read(keys.clip_key(planned.row.clip, keys.PLAN), max_bytes=5_000_000))
    except (I2VError, ValueError):
        return None
    if not isinstance(stored, dict) or not str(stored.get("plan_hash", "")).startswith(asked_hash):
        return None
    clip, now = planned.row.clip, {plan.take: plan for plan in (*planned.plans, *planned.rerolls)}
    if planned.stopped is not None:
        return f"{clip} cannot be made as it is any more"
    takes = [*stored.get("takes", ()), *stored.get("rerolls", ())]
    then = {take.get("take"): take for take in takes if isinstance(take, dict)}
    if set(then) != set(now):
        return f"{clip} had {counted(len(then), 'take')}, its rerolls counted, and has {len(now)}"
    for number, plan in now.items():
        before = then[number]
        if before.get("price_microdollars") != plan.price_microdollars:
            was = dollars(before.get("price_microdollars")) or "an unknown price"
            return f"{clip} was {was} and is {dollars(plan.price_microdollars) or 'an unknown price'}"
        if before.get("model_id") != plan.model_id:
            return f"{clip} was for {before.get('model_id')} and is for {plan.model_id}"
        if before.get("fingerprint") != plan.fingerprint:
            return f"the media or the brief of {clip} have changed"
    return f"the catalogue's entry for {clip} has changed"
