"""Approve a plan: agree to pay for exactly what was shown."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from i2v_assets.operations.cancelled import refuse_cancelled
from i2v_assets.operations.clips import NotPossible, PlanChanged
from i2v_assets.operations.preview import Preview, open_clips, preview
from i2v_assets.pipeline.plan import Planned
from i2v_assets.planning.plan import Plan
from i2v_assets.session import Session
from resources.errors import I2VError
from resources.money import dollars
from resources.plurals import counted
from resources.storage import keys
from resources.storage.bucket import Bucket

SHORTEST_HASH = 12
"""Characters of a plan hash that a person may type; fewer could mean another plan."""

MAX_PLAN_BYTES = 5_000_000
"""Largest stored plan that is read for a comparison: 1,000 times the size of a usual one."""


@dataclass(frozen=True)
class Approval:
    """What was approved; money in micro-dollars, rerolls included.

    Attributes:
        plan_hash: The hash, as it was given.
        fingerprints: The requests that may be paid for now.
        clips: The clips they belong to.
        total_microdollars: The most that they cost together, as far as the prices are known.
        cancelled: Those of the clips that are not made all the same, because a person cancelled them.
    """

    plan_hash: str
    fingerprints: tuple[str, ...]
    clips: tuple[str, ...]
    total_microdollars: int
    cancelled: tuple[str, ...] = ()


def approve_plan(session: Session, plan_hash: str, clips: Sequence[str] = (), *, by: str) -> Approval:
    """Approve the plan with this hash, of all open clips or of one. Everything is planned again first.

    Args:
        session: The ledger, the registry and the bucket.
        plan_hash: The hash, or at least its first `SHORTEST_HASH` characters.
        clips: The clips that were planned together; empty for all that are to be made.
        by: Who approves.

    Raises:
        NoSuchClip: a clip is unknown.
        NotPossible: it is not a plan hash, or all of its clips are cancelled.
        PlanChanged: no plan of now has this hash; says what has changed, if that is known.
    """
    asked = plan_hash.strip().lower()
    if len(asked) < SHORTEST_HASH or any(char not in "0123456789abcdef" for char in asked):
        what = f"{plan_hash!r} is not a plan hash." if asked else "No plan hash was given."
        raise NotPossible(
            what,
            remedy=f"`i2v plan` and a clip's WAITING.txt show it; its first {SHORTEST_HASH} characters are enough.",
        )
    shown = preview(session, open_clips(session, clips))
    plans = _plans_of(shown, asked)
    if plans is None:
        changes = (_what_changed(session.bucket, planned, asked) for planned in shown.planned)
        change = next((words for words in changes if words), None)
        raise PlanChanged(
            f"No plan of now has this hash{f': {change}' if change else ''}. Nothing was approved.",
            remedy="The media, the brief, the price or the catalogue have changed since; look at `i2v plan` again.",
        )
    cancelled = refuse_cancelled(session, list(dict.fromkeys(plan.clip for plan in plans)))
    prices = {plan.fingerprint: plan.price_microdollars for plan in plans}
    session.ledger.approve(asked, prices, by)
    names = tuple(dict.fromkeys(plan.clip for plan in plans))
    return Approval(asked, tuple(prices), names, sum(price or 0 for price in prices.values()), cancelled)


def _plans_of(shown: Preview, asked: str) -> tuple[Plan, ...] | None:
    """Return the plans that a hash stands for, with their rerolls: those of all clips, or of one."""
    if shown.hash and shown.hash.startswith(asked):
        return (*shown.plans, *(take.plan for take in shown.rerolls))
    for planned in shown.planned:
        if planned.hash and planned.hash.startswith(asked):
            return (*planned.plans, *planned.rerolls)
    return None


def _what_changed(bucket: Bucket, planned: Planned, asked: str) -> str | None:
    """Return what differs between a clip's stored plan of this hash and its plan of now; None if it had another hash."""
    try:
        stored = json.loads(bucket.read(keys.clip_key(planned.row.clip, keys.PLAN), max_bytes=MAX_PLAN_BYTES))
    except (I2VError, ValueError):
        return None
    if not isinstance(stored, dict) or not str(stored.get("plan_hash", "")).startswith(asked):
        return None
    clip, now = planned.row.clip, {plan.take: plan for plan in (*planned.plans, *planned.rerolls)}
    if planned.stopped is not None:
        return f"{clip} can no longer be made as it is"
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
