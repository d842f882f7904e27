"""Which document each uploaded object belongs to, and what feeds each top folder of the uploads."""

import sqlalchemy as sa
from alembic import op

from resources.ledger.database import UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables. Documents claim their files, and trees count as new, from the next scan on."""
    op.create_table(
        "registry_claims",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("etag", sa.Text, nullable=False),
        sa.Column("clip", sa.Text),
        sa.Column("version", sa.Text),
        sa.Column("since", UtcDateTime, nullable=False),
        sa.Column("gone_since", UtcDateTime),
    )
    op.create_index("ix_registry_claims_document", "registry_claims", ["document"])
    op.create_table(
        "registry_trees",
        sa.Column("tree", sa.Text, primary_key=True),
        sa.Column("first_seen", UtcDateTime, nullable=False),
        sa.Column("changed_at", UtcDateTime),
        sa.Column("fed_by", sa.String(16)),
        sa.Column("fed_since", UtcDateTime),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("registry_trees")
    op.drop_index("ix_registry_claims_document", "registry_claims")
    op.drop_table("registry_claims")
