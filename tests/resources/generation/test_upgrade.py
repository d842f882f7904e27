"""A ledger and a bucket of before the records, with requests in flight: nothing is paid again."""

from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from resources.generation.types import Delivered
from resources.ledger.database import MIGRATIONS
from resources.ledger.ledger import Ledger
from resources.ledger.records import State
from resources.storage import keys
from resources.witness.store import Place


def to_before(house: Any) -> None:
    """Take the ledger's tables and the bucket back to what the version without records left."""
    path = house.ledger.database.file
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with house.ledger.database.write() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0006")
        assert "nonce" not in {column["name"] for column in sa.inspect(connection).get_columns("ledger_submissions")}
    house.ledger.close()
    house.bucket.delete_many([info.key for info in house.bucket.list(keys.REQUESTS)])
    house.ledger = Ledger.open(f"sqlite:///{path}")


def test_a_ledger_and_bucket_of_before_go_on_with_what_is_in_flight(build_house, make_sandbox):
    house = build_house(make_sandbox(generation_seconds=2.0))
    done, flying, new = house.orders(2), house.orders(3, first=10), house.orders(2, first=20)
    house.run(done)
    house.run(flying, deadline_seconds=0.2)
    assert house.states(flying) == [State.SUBMITTED] * 3
    to_before(house)
    outcomes = house.run([*done, *flying, *new])
    assert all(isinstance(outcome, Delivered) for outcome in outcomes)
    assert len(house.charges()) == 7
    assert house.charged_twice() == []
    for order in flying:  # a loss of the ledger from now on loses nothing of them
        found = Place(house.bucket).read(order.fingerprint, 1)
        assert found is not None
        assert found.record is not None
        assert found.record.request_id == house.row(order).request_id
    document = Place(house.bucket).document("sandbox")
    assert document is not None
    assert document.active == house.ledger.id
