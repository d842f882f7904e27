"""The room that the budget keeps for films whose requests are sent one after the other."""

import sqlalchemy as sa
from alembic import op

from resources.ledger.database import UtcDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table. Films that an earlier version is making keep no room; their next run does."""
    op.create_table(
        "ledger_film_room",
        sa.Column("fingerprint", sa.String(64), primary_key=True),
        sa.Column("service", sa.String(16), nullable=False),
        sa.Column("holder", sa.String(32), primary_key=True),
        sa.Column("run_id", sa.Text),
        sa.Column("reserved_microdollars", sa.BigInteger, nullable=False),
        sa.Column("lease_until", UtcDateTime, nullable=False),
    )
    op.create_index("ix_ledger_film_room_service", "ledger_film_room", ["service"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_index("ix_ledger_film_room_service", "ledger_film_room")
    op.drop_table("ledger_film_room")
