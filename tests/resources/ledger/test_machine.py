"""Two owners, lost responses, late responses, dead owners, clock jumps: nothing is ever paid twice.

The model is the service's side: which POSTs arrived, and what they may still do. The promise is checked where money
moves, at each POST: no earlier POST for the same fingerprint may still be charged or deliver, but for those that the
configured `on_unknown=resubmit` knowingly risks.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from resources.generation.context import Hold
from resources.ledger.errors import IllegalTransition, StaleClaim
from resources.ledger.leases import GRACE_SECONDS, LONGEST_LEASE
from resources.ledger.ledger import Ledger
from resources.ledger.records import Caps, Claimed, NewRequest, State

NAMES = ("1" * 64, "2" * 64)
OWNERS = ("a", "b")
PRICE = 1_000_000
CAP = 4
LEASE = 60
GIVEN_UP = LEASE + int(GRACE_SECONDS) + 1
"""Seconds after which a claim without a heartbeat counts as dead."""
CAPS = Caps(CAP * PRICE, 10**6, 10**12, 10**6, UTC)

names = st.sampled_from(NAMES)
owners = st.sampled_from(OWNERS)


@dataclass
class Post:
    """One claim that was won, and what became of the POST that it allowed."""

    number: int
    name: str
    attempt: int
    owner: str
    hold: Hold
    """The owner sends while this is valid, without reading the ledger again."""
    sent: bool = False
    arrived: bool = False
    may_charge: bool = False
    """The service has it or may have it, and has not ended it."""
    charged: bool = False
    heard: bool = False
    """Its owner has recorded the outcome, or is dead."""
    risked: bool = False
    """`on_unknown=resubmit` decided to send again although this one may be charged."""

    @property
    def unsent(self) -> bool:
        return not self.sent and not self.heard

    @property
    def unheard(self) -> bool:
        return self.sent and not self.heard

    @property
    def request_id(self) -> str:
        return f"r{self.number}"


def in_state(*states: State) -> Callable[["LedgerMachine"], bool]:
    return lambda machine: any(state in states for state in machine.states())


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.now = datetime(2026, 3, 10, 12, tzinfo=UTC)
        self.monotonic = 0.0
        template = _template()
        path = Path(self.folder.name) / "ledger.sqlite"
        path.write_bytes(template)
        self.ledger = Ledger.open(f"sqlite:///{path}", clock=lambda: self.now)
        sa.event.listen(self.ledger.engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
        self.ledger.engine.dispose()  # the machine's power stays on, so nothing has to wait for the disk
        self.posts: list[Post] = []
        self.events_seen = 0
        self.strays = 0
        self.known: tuple[State, ...] | None = None
        for name in NAMES:
            self.ledger.plan(NewRequest(name, "sandbox", "hero", 1, "f", "animate", 1, 5, "{}"))

    def teardown(self) -> None:
        self.ledger.close()
        self.folder.cleanup()

    def states(self) -> tuple[State, ...]:
        """Where the two requests stand; read once a step, since preconditions ask for it many times."""
        if self.known is None:
            self.known = tuple(self.row(name).state for name in NAMES)
        return self.known

    def row(self, name: str):
        row = self.ledger.get(name)
        assert row is not None
        return row

    def pick(self, data: st.DataObject, wanted: Callable[[Post], bool]) -> Post:
        return data.draw(st.sampled_from([post for post in self.posts if wanted(post)]))

    def pick_name(self, data: st.DataObject, *states: State) -> str:
        return data.draw(
            st.sampled_from([name for name, state in zip(NAMES, self.states(), strict=True) if state in states])
        )

    # The owners

    def claim_what_is_planned(self, data: st.DataObject) -> None:
        owner = data.draw(owners)
        self.claim(self.pick_name(data, State.PLANNED), owner)

    def claim(self, name: str, owner: str) -> None:
        before = self.row(name)
        outcome = self.ledger.claim(
            name,
            owner=owner,
            run_id=None,
            lease_seconds=LEASE,
            price_microdollars=PRICE,
            model_id="m",
            caps=CAPS,
            max_in_flight=100,
        )
        if isinstance(outcome, Claimed):
            assert before.state is State.PLANNED
            assert not [post for post in self.posts if post.name == name and post.may_charge and not post.risked]
            hold = Hold.of(outcome.row.lease_until, LEASE, since=self.monotonic)
            self.posts.append(Post(len(self.posts), name, outcome.row.attempt, owner, hold))

    def send(self, data: st.DataObject) -> None:
        arrives = data.draw(st.sampled_from([True, True, False]))
        post = self.pick(data, lambda post: post.unsent)
        if not post.hold.good(self.now, self.monotonic):  # held up for long: as the engine does, look again
            row = self.ledger.renew(post.name, attempt=post.attempt, owner=post.owner, lease_seconds=LEASE)
            if row is None:
                post.heard = True
                return
            post.hold = Hold.of(row.lease_until, LEASE, since=self.monotonic)
        others = [p for p in self.posts if p.name == post.name and p is not post and not p.risked]
        assert not any(other.may_charge for other in others), "paid twice"
        post.sent = True
        post.arrived = post.may_charge = arrives

    def hear(self, data: st.DataObject) -> None:
        """The owner hears, perhaps long after its lease ran out."""
        answer = data.draw(st.sampled_from(["id", "id", "id", "429", "422", "lost", "dies"]))
        post = self.pick(data, lambda post: post.unheard)
        post.heard = True
        if answer == "dies":
            return
        who = {"attempt": post.attempt, "owner": post.owner}
        before = self.row(post.name)
        try:
            if answer == "lost":
                self.ledger.outcome_unknown(post.name, **who, reason="timeout")
            elif not post.arrived:
                self.ledger.never_delivered(post.name, **who, reason="refused connection")
            elif answer == "id":
                row = self.ledger.submitted(post.name, **who, request_id=post.request_id)
                assert (row.state, row.request_id) == (State.SUBMITTED, post.request_id)
            else:
                post.may_charge = False  # the service answers that it did not take it
                if answer == "429":
                    self.ledger.refused_for_now(post.name, **who, reason="429")
                else:
                    self.ledger.refused(post.name, **who, reason="422", final=False)
        except (StaleClaim, IllegalTransition):
            assert before.attempt != post.attempt or before.state is not State.SUBMITTING or before.owner != post.owner
            after = self.row(post.name)
            if answer == "id" and post.arrived:
                self.strays += 1
                known = self.ledger.find(post.request_id)
                assert known is not None, "a request id was lost"
                assert known.fingerprint == post.name
                assert after.state is not State.PLANNED or before.state is not State.PLANNED
            else:
                assert after == before
        else:
            assert before.attempt == post.attempt
            assert before.owner == post.owner

    def heartbeat_or_release(self, owner: str, keep: bool) -> None:
        if keep:
            self.ledger.heartbeat(owner, LEASE)
        else:
            self.ledger.release(owner)

    def adopt_what_was_submitted(self, data: st.DataObject) -> None:
        owner = data.draw(owners)
        self.adopt(self.pick_name(data, State.SUBMITTED, State.SUCCEEDED), owner)

    def adopt(self, name: str, owner: str) -> None:
        before = self.row(name)
        row = self.ledger.adopt(name, owner=owner, run_id=None, lease_seconds=LEASE)
        until = before.lease_until
        dead = until is None or not self.now <= until <= self.now + LONGEST_LEASE  # the clock may have been put back
        wanted = before.state in (State.SUBMITTED, State.SUCCEEDED) and before.delivered_at is None
        assert (row is not None) == (wanted and (dead or before.owner == owner))
        if row is not None:
            assert (row.owner, row.state, row.request_id) == (owner, before.state, before.request_id)

    # The clock

    def time_passes_or_jumps(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.monotonic += max(seconds, 0)

    def everybody_seems_dead(self) -> None:
        self.time_passes_or_jumps(GIVEN_UP)
        self.expire()

    def expire(self) -> None:
        for row in self.ledger.expire():
            assert row.state is State.UNKNOWN

    # The service, told by whoever polls

    def ends(self, data: st.DataObject) -> None:
        end = data.draw(st.sampled_from(["succeeded", "failed", "cancelled"]))
        name = self.pick_name(data, State.SUBMITTED)
        row = self.row(name)
        post = self.posts[int(row.request_id[1:])]
        assert post.arrived, "a request id that never was"
        post.may_charge = False
        post.charged = end == "succeeded"
        more = {} if end == "succeeded" else {"reason": "no"}
        if end == "failed":
            more["final"] = False
        getattr(self.ledger, end)(name, attempt=row.attempt, **more)

    def delivered(self, data: st.DataObject) -> None:
        name = self.pick_name(data, State.SUCCEEDED)
        self.ledger.delivered(name, video_key="k", sha256="0" * 64, size_bytes=1)

    # People and rules

    def retry(self, data: st.DataObject) -> None:
        name = self.pick_name(data, State.FAILED, State.CANCELLED)
        self.ledger.retry(name, by="ann", attempt=self.row(name).attempt)

    def a_person_resolves_truthfully(self, data: st.DataObject) -> None:
        name = self.pick_name(data, State.UNKNOWN)
        row = self.row(name)
        post = next(p for p in reversed(self.posts) if p.name == name and p.attempt == row.attempt)
        if post.arrived and post.may_charge:
            self.ledger.resolve(name, by="ann", request_id=post.request_id)
            post.heard = True
        else:  # perhaps the owner has not sent it yet and still believes that it may
            self.ledger.resolve(name, by="ann", not_charged=True)

    def the_settings_resubmit(self, data: st.DataObject) -> None:
        name = self.pick_name(data, State.UNKNOWN)
        row = self.row(name)
        if self.ledger.resubmit_unknown(name, cap=1, attempt=row.attempt) is not None:
            for post in self.posts:
                if post.name == name and post.attempt == row.attempt:
                    post.risked = True

    # Rules: few, since Hypothesis switches rules off at random and a long story needs all of its steps

    @precondition(lambda self: State.PLANNED in self.states() or any(p.unsent or p.unheard for p in self.posts))
    @rule(data=st.data())
    def the_owners_go_on(self, data: st.DataObject) -> None:
        steps = [
            (self.claim_what_is_planned, State.PLANNED in self.states()),
            (self.send, any(post.unsent for post in self.posts)),
            (self.hear, any(post.unheard for post in self.posts)),
        ]
        data.draw(st.sampled_from([step for step, possible in steps if possible]))(data)

    @precondition(in_state(State.SUBMITTED, State.SUCCEEDED))
    @rule(data=st.data())
    def the_service_goes_on(self, data: st.DataObject) -> None:
        steps = [
            (self.ends, State.SUBMITTED in self.states()),
            (self.adopt_what_was_submitted, True),
            (self.delivered, State.SUCCEEDED in self.states()),
        ]
        data.draw(st.sampled_from([step for step, possible in steps if possible]))(data)

    @precondition(in_state(State.FAILED, State.CANCELLED, State.UNKNOWN))
    @rule(data=st.data())
    def somebody_decides(self, data: st.DataObject) -> None:
        steps = [
            (self.retry, bool({State.FAILED, State.CANCELLED} & set(self.states()))),
            (self.a_person_resolves_truthfully, State.UNKNOWN in self.states()),
            (self.the_settings_resubmit, State.UNKNOWN in self.states()),
        ]
        data.draw(st.sampled_from([step for step, possible in steps if possible]))(data)

    @rule(
        name=names,
        owner=owners,
        what=st.sampled_from(["claim", "adopt", "heartbeat", "release", "expire", "time", "deaths"]),
        seconds=st.sampled_from([1, 30, 61, GIVEN_UP, 86_400, -30, -7200]),
    )
    def anything_at_any_time(self, name: str, owner: str, what: str, seconds: int) -> None:
        match what:
            case "claim":
                self.claim(name, owner)
            case "adopt":
                self.adopt(name, owner)
            case "heartbeat" | "release":
                self.heartbeat_or_release(owner, what == "heartbeat")
            case "expire":
                self.expire()
            case "deaths":
                self.everybody_seems_dead()
            case "time":
                self.time_passes_or_jumps(seconds)

    # What always holds

    @invariant()
    def the_states_are_read_again(self) -> None:
        self.known = None

    @invariant()
    def a_row_that_may_be_sent_has_nothing_at_the_service(self) -> None:
        for name in NAMES:
            if self.row(name).state is State.PLANNED:
                assert not [p for p in self.posts if p.name == name and p.may_charge and not p.risked]

    @invariant()
    def at_most_one_charge_but_for_risks_taken(self) -> None:
        for name in NAMES:
            assert len([p for p in self.posts if p.name == name and p.charged and not p.risked]) <= 1

    @invariant()
    def the_caps_hold_and_what_may_cost_is_reserved(self) -> None:
        with self.ledger.engine.connect() as connection:
            counted = connection.exec_driver_sql(
                "SELECT count(*) FROM ledger_submissions WHERE NOT returned"
            ).scalar_one()
            per_day = connection.exec_driver_sql(
                "SELECT max(n) FROM (SELECT count(*) AS n FROM ledger_submissions WHERE NOT returned"
                " GROUP BY substr(claimed_at, 1, 10))"
            ).scalar()
            events = connection.exec_driver_sql("SELECT count(*) FROM ledger_events").scalar_one()
        assert counted >= len([post for post in self.posts if post.may_charge or post.charged])
        assert (per_day or 0) <= CAP + self.strays
        assert events >= self.events_seen
        self.events_seen = events


_made: list[bytes] = []


def _template() -> bytes:
    """An empty ledger, migrated once."""
    if not _made:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "ledger.sqlite"
            ledger = Ledger.open(f"sqlite:///{path}")
            ledger.close()
            _made.append(path.read_bytes())
    return _made[0]


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],  # explaining a long story takes minutes
)
