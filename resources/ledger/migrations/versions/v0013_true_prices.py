"""What each claim expected to pay and why, what was told of its cost, which model answered, and what a person must agree to."""

import sqlalchemy as sa
from alembic import op

from resources.ledger.database import UtcDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_SUMMED = [
    "service",
    "claimed_at",
    "returned",
    "cost_microdollars",
    "reserved_microdollars",
    "told_microdollars",
]
_SUM_BEFORE = f"ix_ledger_submissions_{'_'.join(_SUMMED[:-1])}"[:63]


def upgrade() -> None:
    """Add the columns and the table. Costs of before were claimed without a quote, so nothing is learned from them."""
    op.add_column("ledger_submissions", sa.Column("billed", sa.Text))
    op.add_column("ledger_submissions", sa.Column("base_microdollars", sa.BigInteger))
    op.add_column("ledger_submissions", sa.Column("expected_microdollars", sa.BigInteger))
    op.add_column("ledger_submissions", sa.Column("terms", sa.String(16)))
    op.add_column("ledger_submissions", sa.Column("told_microdollars", sa.BigInteger))
    op.add_column("ledger_submissions", sa.Column("settled_at", UtcDateTime))
    op.add_column("ledger_requests", sa.Column("told_microdollars", sa.BigInteger))
    op.add_column("ledger_requests", sa.Column("answered_model_id", sa.Text))
    op.create_index("ix_ledger_submissions_service_settled_at", "ledger_submissions", ["service", "settled_at"])
    by_kind = ["service", "billed", "settled_at"]
    op.create_index("ix_ledger_submissions_service_billed_settled_at", "ledger_submissions", by_kind)
    # The sum of a day is read from the index alone; it includes now what was told beyond a counted cost.
    op.drop_index(_SUM_BEFORE, "ledger_submissions")
    op.create_index("ix_ledger_submissions_of_day", "ledger_submissions", _SUMMED)
    op.create_table(
        "ledger_price_holds",
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
    )
    op.create_index("ix_ledger_price_holds_service", "ledger_price_holds", ["service", "ended_at", "family"])


def downgrade() -> None:
    """Drop the table and the columns."""
    op.drop_index("ix_ledger_price_holds_service", "ledger_price_holds")
    op.drop_table("ledger_price_holds")
    op.drop_index("ix_ledger_submissions_service_billed_settled_at", "ledger_submissions")
    op.drop_index("ix_ledger_submissions_service_settled_at", "ledger_submissions")
    op.drop_index("ix_ledger_submissions_of_day", "ledger_submissions")
    op.create_index(_SUM_BEFORE, "ledger_submissions", _SUMMED[:-1])
    for name in ("answered_model_id", "told_microdollars"):
        op.drop_column("ledger_requests", name)
    for name in ("settled_at", "told_microdollars", "terms", "expected_microdollars", "base_microdollars", "billed"):
        op.drop_column("ledger_submissions", name)
