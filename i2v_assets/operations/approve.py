"""Approve: agree to pay for exactly what was shown, by the hash of a plan, by clips or by folders."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from i2v_assets.films.spec import film_name
from i2v_assets.operations.cancelled import refuse_cancelled
from i2v_assets.operations.clips import NoSuchClip, NotPossible, PlanChanged, find_clip
from i2v_assets.operations.preview import Preview, open_clips, preview
from i2v_assets.operations.stored_plan import stored_at_most, stored_plan
from i2v_assets.pipeline.plan import Planned, approve_planned
from i2v_assets.planning.plan import Plan, Refusal, expected_price, plan_hash, total_price
from i2v_assets.session import Session
from resources.errors import I2VError
from resources.ledger.approvals import ApprovalWay
from resources.messages import counted
from resources.money import dollars
from resources.registry.registry import ClipRow
from resources.storage.bucket import Bucket
from resources.storage.keys import SEQUENCES, UPLOADS

SHORTEST_HASH = 12
"""Characters of a plan hash that a person may type; fewer could mean another plan."""


@dataclass(frozen=True)
class Approval:
    """What was approved; money in micro-dollars, rerolls included.

    Attributes:
        fingerprints: The requests that may be paid for now.
        clips: The clips they belong to.
        total_microdollars: The most that they cost together, as far as the prices are known.
        plan_hash: The hash that was given; empty if names or folders were.
        cancelled: Those of the clips that are not made all the same, because a person cancelled them.
    """

    fingerprints: tuple[str, ...]
    clips: tuple[str, ...]
    total_microdollars: int
    plan_hash: str = ""
    cancelled: tuple[str, ...] = ()


@dataclass(frozen=True)
class ApprovalOffer:
    """What names and folders stand for now: what a person is shown before agreeing; money in micro-dollars.

    Attributes:
        planned: The clips with something to pay for.
        most_microdollars: The most that they cost together, rerolls included, as far as the prices are known.
        unpriced: How many of their takes have no known price.
        left_out: Clips of the folders that cannot be approved now, each with the reason.
    """

    planned: tuple[Planned, ...]
    most_microdollars: int
    unpriced: int
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def expected(self) -> dict[str, int]:
        """What each clip is expected to cost, rerolls included, as far as the prices are known."""
        return {each.row.clip: expected_price(takes_to_pay(each)) for each in self.planned}

    @property
    def prices(self) -> tuple[tuple[str, int, str], ...]:
        """Each clip with the most that it may cost, and what is in doubt about it."""
        return tuple((each.row.clip, total_price(takes_to_pay(each)), _in_doubt(each)) for each in self.planned)


def _in_doubt(planned: Planned) -> str:
    asks = planned.plans[0].asks if planned.plans else ()
    hold = planned.candidate.hold
    return " ".join([*([hold.words] if hold else []), *(ask.words for ask in asks)])


def is_hash(word: str) -> bool:
    """Return whether a word looks like a plan hash or its beginning."""
    word = word.strip().lower()
    return len(word) >= SHORTEST_HASH and all(char in "0123456789abcdef" for char in word)


def approve_plan(
    session: Session,
    plan_hash: str,
    clips: Sequence[str] = (),
    *,
    by: str,
    way: ApprovalWay = ApprovalWay.COMMAND,
    at_most_microdollars: int | None = None,
) -> Approval:
    """Approve the plan with this hash, of all open clips or of one. Everything is planned again first.

    Args:
        session: The ledger, the registry and the bucket.
        plan_hash: The hash, or at least its first `SHORTEST_HASH` characters.
        clips: The clips that were planned together; empty for all that are to be made.
        by: Who approves.
        way: By which way.
        at_most_microdollars: Nothing is approved if it may cost more.

    Raises:
        NoSuchClip: a clip is unknown.
        NotPossible: it is not a plan hash, it costs more, or all of its clips are cancelled.
        PlanChanged: no plan of now has this hash; says what has changed, if that is known.
    """
    asked = plan_hash.strip().lower()
    if not is_hash(asked):
        what = f"{plan_hash!r} is not a plan hash." if asked else "No plan hash was given."
        raise NotPossible(
            what,
            remedy=f"`i2v plan` and a clip's WAITING.txt show it; its first {SHORTEST_HASH} characters are enough.",
        )
    shown = preview(session, open_clips(session, clips))
    planned = _planned_as(shown, asked) or _cheaper_since(session.bucket, shown, asked)
    if planned is None:
        changes = (_what_changed(session.bucket, each, asked) for each in shown.planned)
        change = next((words for words in changes if words), None)
        raise PlanChanged(
            f"No plan of now has this hash{f': {change}' if change else ''}. Nothing was approved.",
            remedy="The media, the brief, the price or the catalogue have changed since; look at `i2v plan` again.",
        )
    return _record(session, planned, by=by, way=way, at_most_microdollars=at_most_microdollars, plan_hash=asked)


def offer_approval(session: Session, names: Sequence[str]) -> ApprovalOffer:
    """Plan what clip names and folders of uploads stand for, and return what approving it would cost. Nothing is written.

    Args:
        session: The ledger, the registry and the bucket.
        names: Names of clips, folders such as ``uploads/shoes/`` or ``shoes`` (``uploads/`` stands for all), and films
            such as ``sequences/harbour`` or ``harbour``.

    Raises:
        NoSuchClip: a name is neither a clip nor a folder with clips that are to be made.
        NotPossible: a clip that was named cannot be made as it is, or needs no approval.
    """
    rows, named = _rows_of(session, names)
    shown = preview(session, rows)
    left_out = [(clip, error.text) for clip, error in shown.unreadable]
    planned = []
    to_pay = {take.plan.fingerprint for take in (*shown.takes, *shown.rerolls) if take.to_pay}
    for each in shown.planned:
        if each.stopped is not None:
            left_out.append((each.row.clip, _why_stopped(each)))
        elif any(plan.fingerprint in to_pay for plan in each.plans):
            planned.append(each)
        else:
            left_out.append((each.row.clip, "nothing of it is to be paid for"))
    for clip, why in left_out:
        if clip in named:
            raise NotPossible(f"{clip} cannot be approved: {why} Nothing was approved.".replace("..", "."),
                              remedy=f"See: i2v plan {clip}")  # fmt: skip
    takes = [plan for each in planned for plan in takes_to_pay(each)]
    unpriced = sum(plan.at_most_microdollars is None for plan in takes)
    return ApprovalOffer(tuple(planned), total_price(takes), unpriced, tuple(left_out))


def approve_offer(
    session: Session,
    offer: ApprovalOffer,
    *,
    by: str,
    way: ApprovalWay = ApprovalWay.COMMAND,
    at_most_microdollars: int | None = None,
) -> Approval:
    """Approve what was shown, at the prices that were shown.

    Raises:
        NotPossible: it may cost more than the most that was given, or there is nothing to approve.
    """
    if not offer.planned:
        why = "".join(f" {clip}: {words}" for clip, words in offer.left_out[:3])
        raise NotPossible(
            f"There is nothing to approve.{why}", remedy="`i2v status` lists the clips and what they wait for."
        )
    return _record(session, offer.planned, by=by, way=way, at_most_microdollars=at_most_microdollars)


def takes_to_pay(planned: Planned) -> tuple[Plan, ...]:
    """Return the takes of a clip that an approval covers: those that are asked for, and the rerolls."""
    return (*planned.plans, *planned.rerolls)


def _record(
    session: Session,
    planned: Sequence[Planned],
    *,
    by: str,
    way: ApprovalWay,
    at_most_microdollars: int | None,
    plan_hash: str = "",
) -> Approval:
    names = tuple(dict.fromkeys(each.row.clip for each in planned))
    cancelled = refuse_cancelled(session, names)
    takes = [plan for each in planned for plan in takes_to_pay(each)]
    total = total_price(takes)
    if at_most_microdollars is not None:
        if any(plan.price_microdollars is None for plan in takes):
            raise NotPossible("The price of a take is not known. Nothing was approved.", remedy="Look at: i2v models")
        if total > at_most_microdollars:
            raise NotPossible(
                f"It may cost {dollars(total)}, more than {dollars(at_most_microdollars) or '$0'}. Nothing was approved.",
                remedy="Raise --at-most, or approve fewer clips.",
            )
    for each in planned:
        approve_planned(session.ledger, each, by=by, way=way)
    return Approval(tuple(plan.fingerprint for plan in takes), names, total, plan_hash, cancelled)


def _rows_of(session: Session, names: Sequence[str]) -> tuple[list[ClipRow], frozenset[str]]:
    """Return the clips that names and folders stand for, and which of them were named one by one."""
    rows: dict[str, ClipRow] = {}
    named: set[str] = set()
    for name in names:
        is_path = name.endswith("/") or name.startswith((UPLOADS, SEQUENCES))
        row = None if is_path else session.registry.get(name)
        if row is not None:
            rows[row.clip] = row
            named.add(row.clip)
            continue
        to_be_made = open_clips(session, ())
        below = [each for each in to_be_made if _lies_in(each, name)]
        below = below or [each for each in to_be_made if _is_shot_of(each, name)]
        if not below:
            if is_path:
                raise NoSuchClip(f"No clip of {name} is to be made.", remedy="`i2v status` lists the clips.")
            find_clip(session.registry, name)  # raises, with the names that it could mean
        rows |= {each.clip: each for each in below}
    return list(rows.values()), frozenset(named)


def _lies_in(row: ClipRow, folder: str) -> bool:
    """Return whether a clip's upload lies in a folder or below it; also as the folder itself, or as a row of a list."""
    if folder.startswith(SEQUENCES):
        return False
    path = folder.strip().removeprefix(UPLOADS).strip("/")
    return row.source.startswith(f"{UPLOADS}{path}/" if path else UPLOADS)


def _is_shot_of(row: ClipRow, film: str) -> bool:
    """Return whether a clip is a shot that a film's file defines; ``film`` is its name or the key of its file."""
    source = row.source.partition("#")[0]
    wanted = film.strip().rstrip("/")
    if not source.startswith(SEQUENCES) or wanted.startswith(UPLOADS):
        return False
    return wanted in (source, source.removeprefix(SEQUENCES)) or wanted.removeprefix(SEQUENCES) == film_name(source)


def _why_stopped(planned: Planned) -> str:
    if isinstance(planned.stopped, Refusal):
        return " ".join(problem.text for problem in planned.stopped.problems)
    return f"{planned.stopped.words} {planned.stopped.remedy}" if planned.stopped is not None else ""


def _planned_as(shown: Preview, asked: str) -> tuple[Planned, ...] | None:
    """Return the clips whose plans a hash stands for: all of them, or one."""
    if shown.hash and shown.hash.startswith(asked):
        return tuple(each for each in shown.planned if each.plans)
    return next(((each,) for each in shown.planned if each.hash and each.hash.startswith(asked)), None)


def _cheaper_since(bucket: Bucket, shown: Preview, asked: str) -> tuple[Planned, ...] | None:
    """Return the clip whose stored plan has this hash, if it may only cost less now: what was shown covers that."""
    for planned in shown.planned:
        try:
            then = [Plan.model_validate(take) for take in (_stored_takes(bucket, planned, asked) or {}).values()]
        except ValidationError:
            continue
        rerolls = {plan.take for plan in planned.rerolls}
        made = plan_hash([p for p in then if p.take not in rerolls], [p for p in then if p.take in rerolls])
        if not then or not made.startswith(asked):  # the file says what was shown only if its content has the hash
            continue
        now = {plan.take: plan for plan in takes_to_pay(planned)}
        if {plan.take for plan in then} == set(now) and all(_covers(plan, now[plan.take]) for plan in then):
            return (planned,)
    return None


def _covers(shown: Plan, now: Plan) -> bool:
    price, was = now.at_most_microdollars, shown.at_most_microdollars
    same = (shown.fingerprint, shown.model_id, shown.price_unit) == (now.fingerprint, now.model_id, now.price_unit)
    return same and price is not None and was is not None and price <= was


def _stored_takes(bucket: Bucket, planned: Planned, asked: str) -> dict[object, dict[str, object]] | None:
    """Return the takes of a clip's stored plan by their numbers; None if it does not have this hash."""
    try:
        stored = stored_plan(bucket, planned.row.clip)
    except I2VError:
        return None
    if not stored or not stored["plan_hash"].startswith(asked):
        return None
    takes = [*stored.get("takes", ()), *stored.get("rerolls", ())]
    return {take.get("take"): take for take in takes if isinstance(take, dict)}


def _what_changed(bucket: Bucket, planned: Planned, asked: str) -> str | None:
    """Return what differs between a clip's stored plan of this hash and its plan of now; None if it had another hash."""
    then = _stored_takes(bucket, planned, asked)
    if then is None:
        return None
    clip, now = planned.row.clip, {plan.take: plan for plan in (*planned.plans, *planned.rerolls)}
    if planned.stopped is not None:
        return f"{clip} can no longer be made as it is"
    if set(then) != set(now):
        return f"{clip} had {counted(len(then), 'take')}, its rerolls counted, and has {len(now)}"
    for number, plan in now.items():
        before = then[number]
        if (price := stored_at_most(before)) != plan.at_most_microdollars:
            was = dollars(price) or "an unknown price"
            return f"{clip} was {was} and is {dollars(plan.at_most_microdollars) or 'an unknown price'}"
        if before.get("model_id") != plan.model_id:
            return f"{clip} was for {before.get('model_id')} and is for {plan.model_id}"
        if before.get("fingerprint") != plan.fingerprint:
            return f"the media or the brief of {clip} have changed"
    return f"the catalogue's entry for {clip} has changed"
