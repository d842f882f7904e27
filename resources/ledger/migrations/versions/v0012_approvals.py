"""What an approval is for and since when it no longer holds; when each version of an upload was admitted."""

import sqlalchemy as sa
from alembic import op

from resources.ledger.database import UtcDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. Approvals of before name no clip: their fingerprint alone says what they are for."""
    op.add_column("ledger_approvals", sa.Column("clip", sa.Text))
    op.add_column("ledger_approvals", sa.Column("model_id", sa.Text))
    op.add_column("ledger_approvals", sa.Column("doubt", sa.Text, nullable=False, server_default=""))
    op.add_column("ledger_approvals", sa.Column("way", sa.String(16), nullable=False, server_default="command"))
    op.add_column("ledger_approvals", sa.Column("void_reason", sa.Text))
    op.create_index("ix_ledger_approvals_clip", "ledger_approvals", ["clip"])
    op.add_column("registry_clips", sa.Column("arrived_at", UtcDateTime))
    op.create_index("ix_registry_clips_arrived_at", "registry_clips", ["arrived_at"])


def downgrade() -> None:
    """Drop the columns."""
    op.drop_index("ix_registry_clips_arrived_at", "registry_clips")
    op.drop_column("registry_clips", "arrived_at")
    op.drop_index("ix_ledger_approvals_clip", "ledger_approvals")
    for name in ("void_reason", "way", "doubt", "model_id", "clip"):
        op.drop_column("ledger_approvals", name)
