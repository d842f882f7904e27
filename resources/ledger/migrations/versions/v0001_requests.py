"""Requests, submissions, events, approvals, services."""

import sqlalchemy as sa
from alembic import op

from resources.ledger.database import UtcDateTime

revision = "0001"
down_revision = None

ALLOWED = {
    "planned": ("submitting", "cancelled"),
    "submitting": ("submitted", "planned", "failed", "unknown"),
    "submitted": ("succeeded", "failed", "cancelled"),
    "failed": ("planned",),
    "cancelled": ("planned",),
    "unknown": ("submitted", "planned", "failed"),
}

SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables, and the triggers that hold the two rules whoever writes."""
    _requests()
    _submissions()
    _events()
    _approvals()
    _services()
    if op.get_context().dialect.name == "sqlite":
        _sqlite_triggers()
    else:
        _postgres_triggers()


def _requests() -> None:
    op.create_table(
        "ledger_requests",
        sa.Column("fingerprint", sa.String(64), primary_key=True),
        sa.Column("service", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("clip", sa.Text, nullable=False),
        sa.Column("take", sa.Integer, nullable=False),
        sa.Column("family", sa.Text, nullable=False),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("price_unit", sa.Text),
        sa.Column("model_id", sa.Text),
        sa.Column("request_id", sa.Text),
        sa.Column("owner", sa.Text),
        sa.Column("lease_until", UtcDateTime),
        sa.Column("run_id", sa.Text),
        sa.Column("price_microdollars", sa.BigInteger),
        sa.Column("cost_microdollars", sa.BigInteger),
        sa.Column("reason", sa.Text),
        sa.Column("final", sa.Boolean, nullable=False),
        sa.Column("lost", sa.Boolean, nullable=False),
        sa.Column("video_key", sa.Text),
        sa.Column("video_sha256", sa.String(64)),
        sa.Column("video_bytes", sa.BigInteger),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("duration", sa.Integer, nullable=False),
        sa.Column("inputs_json", sa.Text, nullable=False),
        sa.Column("resubmissions", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("claimed_at", UtcDateTime),
        sa.Column("submitted_at", UtcDateTime),
        sa.Column("started_at", UtcDateTime),
        sa.Column("finished_at", UtcDateTime),
        sa.Column("delivered_at", UtcDateTime),
    )
    _index("ledger_requests", "service", "state", "lease_until")
    _index("ledger_requests", "owner", "lease_until")
    _index("ledger_requests", "clip")
    _index("ledger_requests", "created_at")
    _index("ledger_requests", "service", "model_id", "duration", "state", "finished_at")


def _submissions() -> None:
    op.create_table(
        "ledger_submissions",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("fingerprint", sa.String(64), sa.ForeignKey("ledger_requests.fingerprint"), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("service", sa.String(16), nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("model_id", sa.Text, nullable=False),
        sa.Column("claimed_at", UtcDateTime, nullable=False),
        sa.Column("reserved_microdollars", sa.BigInteger),
        sa.Column("cost_microdollars", sa.BigInteger),
        sa.Column("returned", sa.Boolean, nullable=False),
        sa.Column("request_id", sa.Text),
    )
    _index("ledger_submissions", "fingerprint", "attempt")
    _index("ledger_submissions", "service", "claimed_at", "returned", "cost_microdollars", "reserved_microdollars")
    _index("ledger_submissions", "run_id")
    _index("ledger_submissions", "request_id")


def _events() -> None:
    op.create_table(
        "ledger_events",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("fingerprint", sa.String(64), sa.ForeignKey("ledger_requests.fingerprint"), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("what", sa.String(32), nullable=False),
        sa.Column("from_state", sa.String(16)),
        sa.Column("to_state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("reason", sa.Text),
    )
    _index("ledger_events", "fingerprint", "id")


def _approvals() -> None:
    op.create_table(
        "ledger_approvals",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("plan_hash", sa.Text, nullable=False),
        sa.Column("price_microdollars", sa.BigInteger),
        sa.Column("approved_by", sa.Text, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
    )
    _index("ledger_approvals", "fingerprint")


def _services() -> None:
    op.create_table(
        "ledger_services",
        sa.Column("service", sa.String(16), primary_key=True),
        sa.Column("paused_until", UtcDateTime),
        sa.Column("probed_at", UtcDateTime),
    )


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}"[:63], table, columns)


def _allowed(old: str, new: str) -> str:
    return " OR ".join(
        f"({old} = '{source}' AND {new} IN ({', '.join(repr(target) for target in targets)}))"
        for source, targets in ALLOWED.items()
    )


def _sqlite_triggers() -> None:
    op.execute(
        "CREATE TRIGGER ledger_requests_transitions BEFORE UPDATE OF state ON ledger_requests"
        f" WHEN OLD.state <> NEW.state AND NOT ({_allowed('OLD.state', 'NEW.state')})"
        " BEGIN SELECT RAISE(ABORT, 'the ledger has no such transition'); END"
    )
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER ledger_events_no_{change.lower()} BEFORE {change} ON ledger_events"
            " BEGIN SELECT RAISE(ABORT, 'events are only ever added'); END"
        )


def _postgres_triggers() -> None:
    op.execute(
        "CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(
        "CREATE TRIGGER ledger_requests_transitions BEFORE UPDATE OF state ON ledger_requests FOR EACH ROW"
        f" WHEN (OLD.state <> NEW.state AND NOT ({_allowed('OLD.state', 'NEW.state')}))"
        " EXECUTE FUNCTION ledger_refuse('the ledger has no such transition')"
    )
    op.execute(
        "CREATE TRIGGER ledger_events_only_added BEFORE UPDATE OR DELETE ON ledger_events FOR EACH ROW"
        " EXECUTE FUNCTION ledger_refuse('events are only ever added')"
    )
