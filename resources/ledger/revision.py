"""Telling cheaply that no money has moved."""

import sqlalchemy as sa

from resources.ledger.database import Database
from resources.ledger.tables import requests, submissions


def ledger_revision(database: Database) -> str:
    """Return a text that changes with every request, submission, price and cost."""
    by_state = sa.select(
        requests.c.service,
        requests.c.state,
        sa.func.count(),
        sa.func.sum(requests.c.price_microdollars),
        sa.func.sum(requests.c.cost_microdollars),
    ).group_by(requests.c.service, requests.c.state)
    of_submissions = sa.select(
        submissions.c.service,
        submissions.c.returned,
        sa.func.count(),
        sa.func.max(submissions.c.id),
        sa.func.sum(submissions.c.reserved_microdollars),
        sa.func.sum(submissions.c.cost_microdollars),
        sa.func.sum(submissions.c.told_microdollars),
    ).group_by(submissions.c.service, submissions.c.returned)
    with database.read() as connection:
        found = [*connection.execute(by_state), *connection.execute(of_submissions)]
    return repr(sorted(" ".join(map(str, row)) for row in found))
