"""The room that the budget keeps for films: all requests of one, from its first claim to its last, over all processes.

The requests of a film are claimed one after the other, minutes apart. Without this, two films could each begin within a
cap that has room for one, and both would stay half made and paid.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from resources.ledger.base import SELECT_ROW, row_of
from resources.ledger.budget import KeptRoom, film_room, spend_today_and_of_run
from resources.ledger.records import Caps, State
from resources.ledger.tables import film_rooms
from resources.ledger.transitions import Claims


@dataclass(frozen=True, slots=True)
class Film:
    """Requests that are of use only together.

    Attributes:
        holder: Who keeps room for them: unique to one attempt to make the film.
        service: The service.
        run_id: The run whose cap counts.
        prices: The most that each request may cost, by fingerprint.
    """

    holder: str
    service: str
    run_id: str
    prices: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class NoRoom:
    """Why no room is kept: the budget has less left than what is still to be paid.

    Attributes:
        unsent: How many requests are still to be paid.
        price_microdollars: The most that they cost together.
        left_microdollars: What the budget has left.
        kept_microdollars: What it keeps for other films.
        left_requests: How many requests it has left.
        kept_requests: How many of them it keeps for other films.
    """

    unsent: int
    price_microdollars: int
    left_microdollars: int
    kept_microdollars: int
    left_requests: int
    kept_requests: int


class FilmRoom(Claims):
    """Keep room for films. The room of a process that died ends with its lease."""

    def keep_room(self, film: Film, caps: Caps, lease_seconds: float) -> NoRoom | None:
        """Keep room for all requests of a film that are still to be paid, in one transaction; return why not, or None.

        A single request asks the budget when it is claimed. Room is kept for it too, as far as there is any.

        Raises:
            LedgerUnavailable: it is unknown whether room is kept; its lease ends it.
        """
        with self.database.write() as connection:
            self._lock_service(connection, film.service)
            now = self._time(connection)
            connection.execute(film_rooms.delete().where(film_rooms.c.lease_until <= now))
            prices = self._unpaid(connection, film)
            price = sum(prices.values())
            today, of_run = spend_today_and_of_run(connection, film.service, film.run_id, caps.zone, now)
            kept, kept_in_run = (
                film_room(connection, film.service, now, run, but=prices) for run in (None, film.run_id)
            )
            left = min(
                caps.usd_per_day_microdollars - today.microdollars - kept.microdollars,
                caps.usd_per_run_microdollars - of_run.microdollars - kept_in_run.microdollars,
            )
            left_requests = min(
                caps.requests_per_day - today.requests - kept.requests,
                caps.requests_per_run - of_run.requests - kept_in_run.requests,
            )
            if price > left or len(prices) > left_requests:
                none = NoRoom(len(prices), price, left, kept.microdollars, left_requests, kept.requests)
                return none if len(prices) > 1 else None
            self._write_room(connection, film, prices, now + timedelta(seconds=lease_seconds))
        return None

    def renew_room(self, film: Film, lease_seconds: float) -> None:
        """Keep a film's room for longer."""
        with self.database.write() as connection:
            self._lock_service(connection, film.service)
            lease = self._time(connection) + timedelta(seconds=lease_seconds)
            connection.execute(film_rooms.update().where(film_rooms.c.holder == film.holder).values(lease_until=lease))

    def release_room(self, film: Film) -> None:
        """Keep no more room for a film."""
        with self.database.write() as connection:
            connection.execute(film_rooms.delete().where(film_rooms.c.holder == film.holder))

    def kept_room(self, service: str) -> KeptRoom:
        """Return what the budget keeps now for films under way."""
        with self.database.read() as connection:
            return film_room(connection, service, self._time(connection), None, but=())

    def _unpaid(self, connection: sa.Connection, film: Film) -> dict[str, int]:
        """Return the prices of those requests of a film that are still to be paid."""
        unpaid = {}
        for name, price in film.prices.items():
            found = connection.execute(SELECT_ROW, {"the_fingerprint": name}).one_or_none()
            if found is None or row_of(found).state is State.PLANNED:
                unpaid[name] = price
        return unpaid

    def _write_room(self, connection: sa.Connection, film: Film, prices: Mapping[str, int], lease: datetime) -> None:
        rows = [
            {
                "fingerprint": name, "service": film.service, "holder": film.holder, "run_id": film.run_id,
                "reserved_microdollars": price, "lease_until": lease,
            }
            for name, price in sorted(prices.items())
        ]  # fmt: skip
        if rows:
            connection.execute(self.database.upsert(film_rooms), rows)
