"""The record in the bucket that stands beside the ledger: what is written, when, and what another ledger makes of it.

The judge is the sandbox's own list of charges.
"""

import getpass
import json
import random
import shutil
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from resources.devservers.start import RunningSandbox
from resources.generation.types import Delivered, Failed, Held
from resources.ledger.ledger import Ledger
from resources.ledger.records import State
from resources.storage import keys
from resources.storage.bucket import Bucket
from resources.storage.errors import StorageUnavailable
from resources.wait_reason import WaitReason
from resources.witness.reconcile import reconcile
from resources.witness.record import RecordState, WitnessRecord
from resources.witness.store import Place


def records(house: Any) -> dict[str, WitnessRecord]:
    found = {}
    for name, attempt in Place(house.bucket).attempts():
        read = Place(house.bucket).read(name, attempt)
        assert read is not None
        assert read.record is not None
        found[f"{name}/{attempt}"] = read.record
    return found


def record(house: Any, order: Any, attempt: int = 1) -> WitnessRecord:
    return records(house)[f"{order.fingerprint}/{attempt}"]


@contextmanager
def another_ledger(house: Any, path: Path) -> Iterator[Ledger]:
    """The house over a ledger of its own, as in another working folder."""
    before = house.ledger
    with Ledger.open(f"sqlite:///{path}") as ledger:
        house.ledger = ledger
        try:
            yield ledger
        finally:
            house.ledger = before


def take_over(house: Any, ledger: Ledger) -> None:
    reconcile(ledger, Place(house.bucket), "sandbox")
    Place(house.bucket).hand_over("sandbox", ledger.id)


@pytest.fixture
def writes(bucket: Bucket) -> Counter[str]:
    """How often each key below requests/ was put."""
    count: Counter[str] = Counter()

    def heard(params: dict[str, Any], **_: object) -> None:
        key = params["url"].rpartition("/requests/")[2]
        if key != params["url"] and not key.startswith("_ledgers/"):
            count[key] += 1

    bucket._quick = None  # all through boto3, whose calls are heard
    bucket._client.meta.events.register("before-call.s3.PutObject", heard)
    return count


# What is written


def test_a_delivered_request_has_a_record_of_two_writes_with_its_id_and_no_secret(house, writes):
    orders = house.orders(5)
    outcomes = house.run(orders)
    assert all(isinstance(outcome, Delivered) for outcome in outcomes)
    for order in orders:
        found = record(house, order)
        assert (found.state, found.request_id) == (RecordState.SENT, house.row(order).request_id)
        assert (found.ledger, found.clip, found.price_microdollars) == (house.ledger.id, order.clip, 600_000)
        text = house.bucket.read(keys.request_key(order.fingerprint, 1)).decode()
        for word in ("http", socket.gethostname(), "127.0.0.1", house.settings.runcomfy_token.get_secret_value()):
            assert word not in text
        assert not json.loads(text).keys() & {"owner", "host", "user", getpass.getuser()}
    assert writes == {f"{order.fingerprint}/1.json": 2 for order in orders}


def test_a_refused_request_ends_in_the_bucket_with_one_more_write(house):
    order = house.order(1)
    house.fault("submit", "http_422")
    outcome = house.one(order)
    assert isinstance(outcome, Failed)
    assert (record(house, order).state, record(house, order).end) == (RecordState.ENDED, "refused")


def test_a_failed_request_ends_in_the_bucket_and_its_retry_has_a_record_of_its_own(house):
    order = house.order(1)
    house.fault("submit", "failed_result", message="The worker ran out of memory.")
    assert isinstance(house.one(order), Failed)
    assert (record(house, order).state, record(house, order).end) == (RecordState.ENDED, "failed")
    house.ledger.retry(order.fingerprint, by="me", attempt=1)
    assert isinstance(house.one(order), Delivered)
    assert record(house, order, 2).state is RecordState.SENT
    assert len(house.charges()) == 2


def test_a_submit_that_was_not_accepted_is_free_for_any_ledger(house, tmp_path):
    order = house.order(1)
    house.fault("submit", "http_402")
    assert isinstance(house.one(order), Held)
    assert record(house, order).state is RecordState.FREE
    with another_ledger(house, tmp_path / "another.sqlite") as ledger:
        take_over(house, ledger)
        assert isinstance(house.one(order), Delivered)
    assert len(house.charges()) == 1


# Another ledger


def test_a_second_ledger_submits_nothing_until_it_is_joined_and_the_first_nothing_afterwards(house, tmp_path):
    first, second, third = house.orders(3)
    house.one(first)
    with another_ledger(house, tmp_path / "another.sqlite") as ledger:
        for order in (first, second):
            held = house.one(order)
            assert isinstance(held, Held)
            assert held.kind is WaitReason.LEDGER
        assert len(house.charges()) == 1
        take_over(house, ledger)
        assert isinstance(house.one(first), Delivered)
        assert isinstance(house.one(second), Delivered)
        assert len(house.charges()) == 2
    held = house.one(third)
    assert isinstance(held, Held)
    assert "retired" in held.reason
    assert isinstance(house.one(first), Delivered)  # what it has paid for is still fetched
    assert house.charged_twice() == []
    assert len(house.charges()) == 2


def test_a_ledger_that_knows_nothing_of_the_buckets_videos_is_refused(house, tmp_path):
    order = house.order(1)
    house.one(order)
    house.bucket.delete(keys.ledger_key("sandbox"))
    with another_ledger(house, tmp_path / "another.sqlite"):
        held = house.one(house.order(2))
        assert isinstance(held, Held)
        assert "ledger rebuild" in held.remedy
    assert isinstance(house.one(house.order(2)), Delivered)  # the one that made them is taken
    assert len(house.charges()) == 2


def test_a_ledger_from_a_backup_pays_nothing_again_even_without_being_checked(house, tmp_path):
    """Claimed, sent, failed and retried, and delivered after the backup."""
    orders = house.orders(4)
    house.fault("submit", "failed_result", message="The worker ran out of memory.")
    for order in orders:
        house.ledger.plan(_new(house, order))
    backup = tmp_path / "backup.sqlite"
    _copy(house, backup)
    house.one(orders[0])
    house.ledger.retry(orders[0].fingerprint, by="me", attempt=1)
    house.run(orders[:3])
    house.fault("submit", "disconnect_after")
    held = house.one(orders[3])
    assert isinstance(held, Held)
    assert held.kind is WaitReason.UNKNOWN
    charged = len(house.charges())
    with another_ledger(house, backup) as ledger:
        outcomes = {outcome.order.clip: outcome for outcome in house.run(orders)}
        assert [type(outcomes[order.clip]) for order in orders] == [Delivered, Delivered, Delivered, Held]
        assert ledger.get(orders[3].fingerprint).state is State.UNKNOWN
        assert (ledger.get(orders[0].fingerprint).attempt) == 2
    assert len(house.charges()) == charged


def test_a_video_in_the_bucket_is_never_paid_for_again(house, tmp_path):
    """Whatever is lost: the records too."""
    order = house.order(1)
    house.one(order)
    for info in list(house.bucket.list(keys.REQUESTS)):
        house.bucket.delete(info.key)
    with another_ledger(house, tmp_path / "another.sqlite") as ledger:
        Place(house.bucket).hand_over("sandbox", ledger.id)
        assert isinstance(house.one(order), Delivered)
        assert ledger.get(order.fingerprint).delivered_at is not None
    assert len(house.charges()) == 1


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"state": "free"}', b"x" * 300_000])
def test_a_record_that_cannot_be_read_is_never_a_reason_to_send(house, body):
    order = house.order(1)
    house.bucket.write(keys.request_key(order.fingerprint, 1), body, "application/json")
    house.bucket.write(keys.ledger_key("sandbox"), _document(house), "application/json")
    held = house.one(order)
    assert isinstance(held, Held)
    assert held.kind is WaitReason.UNKNOWN
    assert house.charges() == []


def test_an_id_in_a_record_that_is_anothers_is_not_believed(house):
    first, second = house.orders(2)
    house.one(first)
    forged = record(house, first).model_copy(update={"fingerprint": second.fingerprint})
    house.bucket.write(keys.request_key(second.fingerprint, 1), forged.to_json(), "application/json")
    held = house.one(second)
    assert isinstance(held, Held)
    assert held.kind is WaitReason.UNKNOWN
    assert len(house.charges()) == 1


def test_an_id_that_only_the_bucket_has_settles_an_unknown_outcome(house):
    """As when the ledger's disk was full at that moment."""
    order = house.order(1)
    house.fault("submit", "disconnect_after")
    assert isinstance(house.one(order), Held)
    (asked,) = house.ask("requests")["requests"][-1:]
    found = Place(house.bucket).read(order.fingerprint, 1)
    sent = found.record.sent(asked["request_id"], found.record.claimed_at)
    assert Place(house.bucket).write(sent, found.etag)
    assert isinstance(house.one(order), Delivered)
    assert len(house.charges()) == 1


# A bucket that fails


class Faulty:
    """A bucket whose calls fail at random: not done, done with the answer lost, or a condition that does not hold."""

    def __init__(self, bucket: Bucket, dice: random.Random, rate: float) -> None:
        self._bucket, self._dice, self._rate = bucket, dice, rate

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._bucket, name)
        if name not in ("write_if", "read_tagged", "head", "peek", "list", "upload_new"):
            return real

        def call(*given: Any, **more: Any) -> Any:
            roll = self._dice.random() / self._rate
            if roll < 0.4:
                raise StorageUnavailable("the storage answers 503")
            if roll < 0.6 and name == "write_if":
                return None
            done = real(*given, **more)
            if roll < 1:
                raise StorageUnavailable("the storage's answer was lost")
            return done

        return call


@pytest.mark.parametrize("seed", range(3))
def test_a_bucket_that_fails_at_any_step_costs_nothing_twice_and_loses_nothing(house, tmp_path, seed):
    dice = random.Random(seed)
    orders = house.orders(20)
    real = house.bucket
    ledgers = 0
    with suppress(StopIteration):
        for _ in range(40):
            house.bucket = Faulty(real, dice, 0.3)  # type: ignore[assignment]
            house.run(orders, deadline_seconds=5)
            house.bucket = real
            assert house.charged_twice() == []
            if all(row.delivered_at for row in house.ledger.list()) and len(house.ledger.list()) == len(orders):
                raise StopIteration
            if ledgers < 3 and dice.random() < 0.5:
                ledgers += 1
                house.ledger.close()
                house.ledger = Ledger.open(f"sqlite:///{tmp_path / f'rebuilt-{ledgers}.sqlite'}")
                take_over(house, house.ledger)
            _resolve(house)
    assert {house.row(order).state for order in orders} == {State.SUCCEEDED}
    assert len(house.charges()) == len(orders)


def test_without_a_record_nothing_is_sent_and_the_wait_ends_by_itself(house, monkeypatch):
    order = house.order(1)
    house.one(house.order(2))

    def down(*_: object, **__: object) -> None:
        raise StorageUnavailable("the storage answers 503")

    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "write_if", down)
        held = house.one(order)
    assert isinstance(held, Held)
    assert held.kind is WaitReason.STORAGE
    assert held.kind.resumes_by_itself
    assert house.row(order).state is State.PLANNED
    assert len(house.charges()) == 1
    assert isinstance(house.one(order), Delivered)


def test_storage_that_ignores_conditions_still_guards_against_a_stale_ledger(house, tmp_path, monkeypatch):
    def unconditional(self: Bucket, key: str, data: bytes, content_type: str, *, etag: str | None) -> str | None:
        self.write(key, data, content_type)
        return self.head(key).etag

    monkeypatch.setattr(Bucket, "write_if", unconditional)
    order = house.order(1)
    house.ledger.plan(_new(house, order))
    _copy(house, tmp_path / "backup.sqlite")
    house.one(order)
    house.bucket.delete(keys.video_key(order.fingerprint))
    with another_ledger(house, tmp_path / "backup.sqlite"):
        assert isinstance(house.one(order), Delivered)
    assert len(house.charges()) == 1


# The figure


@pytest.mark.slow
def test_a_ledger_destroyed_in_the_middle_of_a_hundred_clips_is_rebuilt_and_goes_on(
    build_house: Callable[..., Any], make_sandbox: Callable[..., RunningSandbox], tmp_path: Path
) -> None:
    house = build_house(make_sandbox(generation_seconds=3.0))
    orders = house.orders(100)
    path = tmp_path / "ledger.sqlite"
    process = house.child(orders, path, options={"prior_seconds": 0.3, "lease_seconds": 10, "max_in_flight": 25})
    for _line in process.stdout:  # half of them are delivered: the rest is in flight or waits
        if len(house.charges()) >= 60:
            break
    process.kill()
    process.wait()
    in_flight = len(house.charges()) - sum(1 for row in house.ledger.list() if row.delivered_at)
    assert in_flight >= 20
    house.ledger.close()
    for file in tmp_path.glob("ledger.sqlite*"):
        file.unlink()
    house.ledger = Ledger.open(f"sqlite:///{path}")
    take_over(house, house.ledger)
    held = house.ledger.list(states=[State.UNKNOWN])
    house.run(orders)
    assert {row.fingerprint for row in house.ledger.list(states=[State.UNKNOWN])} <= {row.fingerprint for row in held}
    _resolve(house)
    house.run(orders)
    assert house.charged_twice() == []
    assert len(house.charges()) == 100
    assert {row.state for row in house.ledger.list()} == {State.SUCCEEDED}
    assert all(row.delivered_at for row in house.ledger.list())


def _resolve(house: Any) -> None:
    """Settle unknown outcomes as a person with the service's console would."""
    known = {
        int(item["body"]["seed"]): item["request_id"] for item in house.ask("requests")["requests"][house.before :]
    }
    house.ledger.expire(grace_seconds=0)
    for row in house.ledger.list(states=[State.UNKNOWN]):
        request_id = known.get(row.seed)
        house.ledger.resolve(row.fingerprint, by="me", request_id=request_id, not_charged=request_id is None)


def _new(house: Any, order: Any) -> Any:
    from resources.ledger.records import NewRequest

    return NewRequest(
        order.fingerprint, "sandbox", order.clip, order.take, order.inputs.family, order.route, order.inputs.seed,
        order.inputs.duration, order.inputs.model_dump_json(exclude_none=True),
    )  # fmt: skip


def _copy(house: Any, path: Path) -> None:
    house.ledger.engine.dispose()
    shutil.copyfile(house.ledger.database.file, path)


def _document(house: Any) -> bytes:
    from datetime import UTC, datetime

    from resources.witness.record import LedgerDocument

    return LedgerDocument(service="sandbox", active=house.ledger.id, since=datetime.now(UTC)).to_json()
