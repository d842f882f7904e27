"""The ledger's id, the nonce of each claim, and when an approval ended."""

import secrets
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from resources.ledger.database import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Name this ledger. Claims of before have no nonce: the bucket holds no record of them."""
    identity = op.create_table(
        "ledger_identity",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    op.bulk_insert(identity, [{"id": secrets.token_hex(16), "created_at": datetime.now(UTC)}])
    op.add_column("ledger_submissions", sa.Column("nonce", sa.String(32)))
    op.add_column("ledger_approvals", sa.Column("voided_at", UtcDateTime))


def downgrade() -> None:
    """Drop what was added."""
    op.drop_column("ledger_approvals", "voided_at")
    op.drop_column("ledger_submissions", "nonce")
    op.drop_table("ledger_identity")
