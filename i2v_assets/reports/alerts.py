"""What the webhook reports to people: what there is to report, and what of it is new. Pure.

`alert_words` puts it into one message.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

OVERLAP = timedelta(minutes=5)
"""Answers are looked for so far back again: their times come from several machines, whose clocks differ."""

MOST_MEMORY = 5_000
"""Marks of one kind that a memory holds. Of what has a time the newest ones, should more be reported within the overlap; of
what is refused now the first ones, and no others are reported."""

FOR_PEOPLE: Mapping[str, str] = {
    "budget": "Today's budget is reached. Raise I2V_BUDGET_USD_PER_DAY or I2V_BUDGET_REQUESTS_PER_DAY, or wait for tomorrow. "
    "Where it is a run's, WAITING.txt names the setting.",
    "account": "The service refuses the account. Check the token and the balance: `i2v doctor`, `i2v whoami`.",
    "paused": "A person paused all paid work. `i2v resume` lets it go on.",
    "approval": "They wait for a person. Look at `i2v plan`, then `i2v approve HASH`.",
    "heap": "They are many loose images that cost much together. `i2v approve FOLDER` shows them with their sum and asks.",
    "film": "Their film cannot be made as it is. `i2v status FILM` says which shot is to blame; they go on once it is corrected.",
    "price": "Their price cannot be learned. Look at `i2v models`.",
    "price_agreement": "A cost, or the model that answered, was a surprise. Compare with the service's console, then "
    "`i2v models --accept FAMILY`.",
    "catalogue": "The service's catalogue does not have their model, or has changed it. Look at `i2v models`.",
    "outage": "The service does not know requests that it accepted. Nothing is submitted or given up; it goes on by itself.",
    "no_video": "The service gave files that are not videos. They lie below videos/_rejected/, and are asked for again.",
    "storage": "The bucket or the ledger's database does not answer. Run `i2v doctor`.",
    "ledger": "The bucket belongs to another ledger, so nothing is submitted. Run `i2v doctor`.",
}
"""What clips may wait for that a person can do something about; told when it begins, not for each clip."""


@dataclass(frozen=True)
class FailedClip:
    """A clip whose answer is that it failed."""

    clip: str
    at: datetime
    reason: str
    remedy: str

    @property
    def mark(self) -> str:
        """Tells this answer apart from the clip's others."""
        return hashlib.sha256(f"{self.clip}|{self.at.isoformat()}".encode()).hexdigest()[:10]


@dataclass(frozen=True)
class UnknownRequest:
    """A request whose outcome is unknown."""

    fingerprint: str
    attempt: int
    clip: str
    price_microdollars: int | None

    @property
    def mark(self) -> str:
        """Tells this attempt apart from the request's others."""
        return f"{self.fingerprint[:12]}.{self.attempt}"


@dataclass(frozen=True)
class DoubtedCost:
    """A request whose reported cost cannot be right: the reserved price is counted instead."""

    fingerprint: str
    attempt: int
    clip: str
    counted_microdollars: int | None

    @property
    def mark(self) -> str:
        """Tells this attempt apart from the request's others."""
        return f"{self.fingerprint[:12]}.{self.attempt}"


@dataclass(frozen=True)
class PriceSurprise:
    """A request that cost more than was agreed to: more of its kind waits for a person."""

    fingerprint: str
    attempt: int
    clip: str
    family: str
    reserved_microdollars: int
    told_microdollars: int

    @property
    def mark(self) -> str:
        """Tells this cost apart from the request's others."""
        return f"{self.fingerprint[:12]}.{self.attempt}.{self.told_microdollars}"


@dataclass(frozen=True)
class FamilyHold:
    """A family that waits for a person because another model answered than was paid for."""

    family: str
    clip: str
    reason: str
    since: datetime

    @property
    def mark(self) -> str:
        """Tells this hold apart from the family's others."""
        return hashlib.sha256(f"{self.family}|{self.since.isoformat()}".encode()).hexdigest()[:10]


@dataclass(frozen=True)
class FailedRun:
    """A run of a job that failed and is not tried again by itself."""

    job: str
    run_id: str
    at: datetime
    why: str = ""

    @property
    def mark(self) -> str:
        """Tells this run apart from others."""
        return self.run_id[:12]


@dataclass(frozen=True)
class FailingTicks:
    """A sensor or schedule whose evaluations fail."""

    name: str
    why: str


@dataclass(frozen=True)
class LateClips:
    """Clips that have been without an answer for too long, by since when, earliest first."""

    since: Sequence[datetime] = ()
    minutes: int = 0


@dataclass(frozen=True)
class RefusedUpload:
    """An upload that cannot become a clip, or a clip that cannot be made from it."""

    name: str
    said: str

    @property
    def mark(self) -> str:
        """Tells this refusal apart from one for another reason."""
        return hashlib.sha256(f"{self.name}|{self.said}".encode()).hexdigest()[:10]


@dataclass(frozen=True)
class AlertState:
    """What there is to tell of.

    Attributes:
        now: the time.
        failed: clips that failed lately, oldest first.
        unknown: all requests of unknown outcome.
        waiting: how many clips wait, by what they wait for.
        spent: today's spend in micro-dollars.
        cap: today's cap in micro-dollars.
        runs: runs of jobs that failed lately.
        ticks: sensors and schedules that fail now.
        late: all clips that wait too long.
        refused: all uploads that are refused now.
        doubted: requests of the last days whose reported cost cannot be right.
        surprises: requests of the last days that cost more than was agreed to.
        substituted: families that wait because another model answered.
    """

    now: datetime
    failed: Sequence[FailedClip] = ()
    unknown: Sequence[UnknownRequest] = ()
    waiting: Mapping[str, int] = field(default_factory=dict)
    spent: int = 0
    cap: int = 0
    runs: Sequence[FailedRun] = ()
    ticks: Sequence[FailingTicks] = ()
    late: LateClips = LateClips()
    refused: Sequence[RefusedUpload] = ()
    doubted: Sequence[DoubtedCost] = ()
    surprises: Sequence[PriceSurprise] = ()
    substituted: Sequence[FamilyHold] = ()


_SETS = ("failed", "unknown", "waiting", "runs", "ticks", "refused", "doubted", "surprises", "substituted")


@dataclass(frozen=True)
class AlertCursor:
    """What was reported already; travels as the sensor's cursor.

    Attributes:
        since: answers before this were reported, or are older than the first message.
        failed: marks of the answers since then that were reported.
        unknown: marks of the unknown requests that were reported.
        waiting: what clips waited for when it was reported last.
        runs: marks of the failed runs since then that were reported.
        ticks: which sensors and schedules failed when it was reported last.
        refused: marks of the refused uploads that were reported.
        doubted: marks of the doubted costs that were reported.
        surprises: marks of the surprising costs that were reported.
        substituted: marks of the families' holds that were reported.
        late: clips that wait since then or longer were reported as late: a clip is late the sooner the longer it waits.
    """

    since: datetime
    failed: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()
    runs: frozenset[str] = frozenset()
    ticks: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    doubted: frozenset[str] = frozenset()
    surprises: frozenset[str] = frozenset()
    substituted: frozenset[str] = frozenset()
    late: datetime | None = None

    @classmethod
    def read(cls, text: str | None, now: datetime) -> "AlertCursor":
        """From a cursor; without one, what happened in the last hour is new."""
        if not text:
            return cls(now - timedelta(hours=1))
        found = json.loads(text)
        parts = {name: frozenset(found.get(name, ())) for name in _SETS}  # an earlier version's has fewer
        late = found.get("late")
        return cls(datetime.fromisoformat(found["since"]), **parts, late=datetime.fromisoformat(late) if late else None)

    @property
    def text(self) -> str:
        """As a cursor."""
        parts = {name: sorted(getattr(self, name)) for name in _SETS}
        late = self.late.isoformat() if self.late else None
        return json.dumps({"since": self.since.isoformat(), "late": late, **parts})


def news(situation: AlertState, memory: AlertCursor) -> tuple[AlertState, AlertCursor]:
    """What of the situation was not told yet, and the memory once it is."""
    refused = situation.refused[:MOST_MEMORY]
    late = situation.late.since
    fresh = replace(
        situation,
        failed=[found for found in situation.failed if found.at > memory.since and found.mark not in memory.failed],
        unknown=[found for found in situation.unknown if found.mark not in memory.unknown],
        waiting={kind: count for kind, count in _for_people(situation).items() if kind not in memory.waiting},
        runs=[found for found in situation.runs if found.at > memory.since and found.mark not in memory.runs],
        ticks=[found for found in situation.ticks if found.name not in memory.ticks],
        late=replace(situation.late, since=[since for since in late if memory.late is None or since > memory.late]),
        refused=[found for found in refused if found.mark not in memory.refused],
        doubted=[found for found in situation.doubted if found.mark not in memory.doubted],
        surprises=[found for found in situation.surprises if found.mark not in memory.surprises],
        substituted=[found for found in situation.substituted if found.mark not in memory.substituted],
    )
    since = max(memory.since, situation.now - OVERLAP)
    told = AlertCursor(
        since,
        _marks(situation.failed, since),
        frozenset(found.mark for found in situation.unknown[-MOST_MEMORY:]),
        frozenset(_for_people(situation)),
        _marks(situation.runs, since),
        frozenset(found.name for found in situation.ticks),
        frozenset(found.mark for found in refused),
        frozenset(found.mark for found in situation.doubted[-MOST_MEMORY:]),
        frozenset(found.mark for found in situation.surprises[-MOST_MEMORY:]),
        frozenset(found.mark for found in situation.substituted[-MOST_MEMORY:]),
        max((since for since in (*late, memory.late) if since is not None), default=None),
    )
    return fresh, told


def _for_people(situation: AlertState) -> dict[str, int]:
    return {kind: count for kind, count in situation.waiting.items() if kind in FOR_PEOPLE and count}


def _marks(found: Sequence[FailedClip] | Sequence[FailedRun], since: datetime) -> frozenset[str]:
    """Of what is so new that it will be found again."""
    recent = sorted((each for each in found if each.at > since), key=lambda each: each.at)
    return frozenset(each.mark for each in recent[-MOST_MEMORY:])
