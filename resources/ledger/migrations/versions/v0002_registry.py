"""The registry of uploads and clips."""

import sqlalchemy as sa
from alembic import op

from resources.ledger.database import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "registry_clips",
        sa.Column("clip", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("sensor", sa.String(32)),
        sa.Column("tick", sa.BigInteger),
        sa.Column("batch", sa.Text),
        sa.Column("run_id", sa.Text),
        sa.Column("answered_version", sa.Text),
        sa.Column("waiting_for", sa.String(32)),
        sa.Column("reason", sa.Text),
        sa.Column("fingerprint", sa.String(64)),
        sa.Column("planned_fingerprint", sa.String(64)),
        sa.Column("price_microdollars", sa.BigInteger),
        sa.Column("chosen_take", sa.Integer),
        sa.Column("extra_takes", sa.Integer, nullable=False),
        sa.Column("take_seeds", sa.Text),
        sa.Column("retries", sa.Integer, nullable=False),
        sa.Column("admitted_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("delivered_at", UtcDateTime),
        sa.Column("archived_at", UtcDateTime),
    )
    op.create_index(
        "ix_registry_clips_state_priority_admitted_at", "registry_clips", ["state", "priority", "admitted_at"]
    )
    op.create_index("ix_registry_clips_batch", "registry_clips", ["batch"])
    op.create_index("ix_registry_clips_run_id", "registry_clips", ["run_id"])
    op.create_table(
        "registry_media_facts",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("etag", sa.Text, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
    )
    op.create_table(
        "registry_texts",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("etag", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_table(
        "registry_refused_uploads",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, nullable=False),
    )
    op.create_table(
        "registry_catalogue",
        sa.Column("service", sa.String(16), primary_key=True),
        sa.Column("family", sa.Text, primary_key=True),
        sa.Column("model_id", sa.Text, nullable=False),
        sa.Column("price_microdollars", sa.BigInteger),
        sa.Column("price_unit", sa.Text, nullable=False),
        sa.Column("accepted", sa.Text, nullable=False),
        sa.Column("accepted_by", sa.Text, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables; what they held may be rebuilt from the bucket."""
    for table in (
        "registry_catalogue",
        "registry_refused_uploads",
        "registry_texts",
        "registry_media_facts",
        "registry_clips",
    ):
        op.drop_table(table)
