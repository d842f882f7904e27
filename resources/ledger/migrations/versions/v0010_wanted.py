"""Who stopped a clip, who paused paid work, and when each run was last seen alive."""

import sqlalchemy as sa
from alembic import op

from resources.ledger.database import UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them. Clips that a person cancelled before stay so by their state; runs of before are known by their leases."""
    op.add_column("registry_clips", sa.Column("stopped_by", sa.Text))
    op.add_column("ledger_services", sa.Column("held_by", sa.Text))
    op.add_column("ledger_services", sa.Column("held_since", UtcDateTime))
    op.create_table(
        "registry_runs",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("seen_at", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("registry_runs")
    op.drop_column("ledger_services", "held_since")
    op.drop_column("ledger_services", "held_by")
    op.drop_column("registry_clips", "stopped_by")
