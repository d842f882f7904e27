"""What the sensors and the watch over waiting clips have to remember between two looks."""

import sqlalchemy as sa
from alembic import op

from resources.ledger.database import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "registry_pending_uploads",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("look_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_registry_pending_uploads_look_at", "registry_pending_uploads", ["look_at"])
    op.create_table(
        "registry_waits",
        sa.Column("clip", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("since", UtcDateTime, nullable=False),
        sa.Column("told_at", UtcDateTime),
    )


def downgrade() -> None:
    """Drop the tables; the nightly sweep finds again what they held."""
    for table in ("registry_waits", "registry_pending_uploads"):
        op.drop_table(table)
