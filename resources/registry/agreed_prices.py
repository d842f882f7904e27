"""The accepted parts of the live catalogue: prices, and differences that a person accepted."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from resources.ledger.database import Database
from resources.ledger.records import utc_now
from resources.registry.tables import catalogue


@dataclass(frozen=True)
class AgreedOffer:
    """An endpoint family's entry as last accepted; ``accepted`` are the differences that a person accepted.

    ``model_id`` is the id that answered last.
    """

    family: str
    model_id: str
    price_microdollars: int | None
    price_unit: str
    accepted: tuple[str, ...]
    accepted_by: str
    at: datetime


class CatalogueMemory:
    """One row per service and endpoint family. Each call is one transaction."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    def agreed(self, service: str) -> dict[str, AgreedOffer]:
        """Return the accepted entries by family."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(catalogue).where(catalogue.c.service == service)).mappings().all()
        return {
            row["family"]: AgreedOffer(
                row["family"],
                row["model_id"],
                row["price_microdollars"],
                row["price_unit"],
                tuple(json.loads(row["accepted"])),
                row["accepted_by"],
                row["at"],
            )
            for row in rows
        }

    def answered(self, service: str, family: str, model_id: str) -> None:
        """Remember the id that answers now, for the processes that come; what was accepted stays accepted."""
        column = catalogue.c
        with self._database.write() as connection:
            connection.execute(
                catalogue.update().where(column.service == service, column.family == family).values(model_id=model_id)
            )

    def agree(
        self,
        service: str,
        family: str,
        *,
        model_id: str,
        price_microdollars: int | None,
        price_unit: str,
        differences: Sequence[str],
        by: str,
    ) -> None:
        """Accept a family's live entry as it is."""
        with self._database.write() as connection:
            connection.execute(
                self._database.upsert(catalogue).values(
                    service=service,
                    family=family,
                    model_id=model_id,
                    price_microdollars=price_microdollars,
                    price_unit=price_unit,
                    accepted=json.dumps(sorted(differences)),
                    accepted_by=by,
                    at=self._clock(),
                )
            )
