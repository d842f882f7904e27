"""The ledger's tables as the code uses them. Migrations create them in a database."""

import sqlalchemy as sa

from resources.ledger.database import UtcDateTime

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""All tables of the ledger's database. The names begin with ``ledger_`` because Dagster's tables may be in it too."""

requests = sa.Table(
    "ledger_requests",
    metadata,
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
    sa.Column("not_found_since", UtcDateTime),
    sa.Column("not_found_at", UtcDateTime),
    sa.Column("ask_after", UtcDateTime),
    sa.Column("video_checked", sa.Boolean),
    sa.Column("replaced_sha256", sa.String(64)),
    sa.Column("cost_doubted", sa.Boolean),
    sa.Column("told_microdollars", sa.BigInteger),
    sa.Column("answered_model_id", sa.Text),
    sa.Index(None, "service", "state", "lease_until"),
    sa.Index(None, "owner", "lease_until"),
    sa.Index(None, "clip"),
    sa.Index(None, "created_at"),
    sa.Index(None, "service", "model_id", "duration", "state", "finished_at"),
)
"""One row per fingerprint."""

submissions = sa.Table(
    "ledger_submissions",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
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
    sa.Column("nonce", sa.String(32)),
    sa.Column("cost_doubted", sa.Boolean),
    sa.Column("is_double", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("billed", sa.Text),
    sa.Column("base_microdollars", sa.BigInteger),
    sa.Column("expected_microdollars", sa.BigInteger),
    sa.Column("terms", sa.String(16)),
    sa.Column("told_microdollars", sa.BigInteger),
    sa.Column("settled_at", UtcDateTime),
    sa.Index(None, "fingerprint", "attempt"),
    sa.Index(
        "ix_ledger_submissions_of_day",
        "service",
        "claimed_at",
        "returned",
        "cost_microdollars",
        "reserved_microdollars",
        "told_microdollars",
    ),
    sa.Index(None, "run_id"),
    sa.Index(None, "request_id"),
    sa.Index(None, "service", "settled_at"),
    sa.Index(None, "service", "billed", "settled_at"),
    sa.Index(
        "uq_ledger_submissions_service_request_id",
        "service",
        "request_id",
        unique=True,
        sqlite_where=sa.text("request_id IS NOT NULL AND NOT is_double"),
        postgresql_where=sa.text("request_id IS NOT NULL AND NOT is_double"),
    ),
)
"""One row per claim: what it reserved and what it cost. The budget is the sum of those that were not returned.

``billed`` is what decides its price (`resources.prices.billed`), ``terms`` what the catalogue said about it. ``told`` is the
cost as the service reported it, also if it is doubted and another one counts."""

price_holds = sa.Table(
    "ledger_price_holds",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("service", sa.String(16), nullable=False),
    sa.Column("family", sa.Text, nullable=False),
    sa.Column("billed", sa.Text),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("clip", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("ended_by", sa.Text),
    sa.Index("ix_ledger_price_holds_service", "service", "ended_at", "family"),
)
"""Families that wait for a person's agreement, because a cost or the model that answered was a surprise. Without ``billed``
the whole family waits."""

film_rooms = sa.Table(
    "ledger_film_room",
    metadata,
    sa.Column("fingerprint", sa.String(64), primary_key=True),
    sa.Column("service", sa.String(16), nullable=False),
    sa.Column("holder", sa.String(32), primary_key=True),
    sa.Column("run_id", sa.Text),
    sa.Column("reserved_microdollars", sa.BigInteger, nullable=False),
    sa.Column("lease_until", UtcDateTime, nullable=False),
    sa.Index("ix_ledger_film_room_service", "service"),
)
"""What the budget keeps for each request of each film under way (`resources.ledger.film_room`). A request that is sent counts by
its submission, and its row here no longer."""

events = sa.Table(
    "ledger_events",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("fingerprint", sa.String(64), sa.ForeignKey("ledger_requests.fingerprint"), nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("what", sa.String(32), nullable=False),
    sa.Column("from_state", sa.String(16)),
    sa.Column("to_state", sa.String(16), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("owner", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Index(None, "fingerprint", "id"),
)
"""One row per change; rows are only added."""

approvals = sa.Table(
    "ledger_approvals",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("clip", sa.Text),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("plan_hash", sa.Text, nullable=False),
    sa.Column("price_microdollars", sa.BigInteger),
    sa.Column("model_id", sa.Text),
    sa.Column("doubt", sa.Text, nullable=False, server_default=""),
    sa.Column("approved_by", sa.Text, nullable=False),
    sa.Column("way", sa.String(16), nullable=False, server_default="command"),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("voided_at", UtcDateTime),
    sa.Column("void_reason", sa.Text),
    sa.Index(None, "fingerprint"),
    sa.Index(None, "clip"),
)
"""What people agreed to pay: one row for each take, with the most that it may cost. Rows are only added, or made void."""

identity = sa.Table(
    "ledger_identity",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
)
"""One row: the id under which buckets know this ledger."""

services = sa.Table(
    "ledger_services",
    metadata,
    sa.Column("service", sa.String(16), primary_key=True),
    sa.Column("paused_until", UtcDateTime),
    sa.Column("probed_at", UtcDateTime),
    sa.Column("resumes", sa.Integer, nullable=False, server_default="0"),
    sa.Column("held_by", sa.Text),
    sa.Column("held_since", UtcDateTime),
)
"""One row per service. Locking it serialises claims; it also holds the pause that the service asked for, how many times a
person ended one, and the pause that a person put (`held_by`)."""
