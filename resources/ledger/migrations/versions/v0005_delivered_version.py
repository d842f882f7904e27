"""Which version of a clip's upload its video was made of."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# A clip that waits to be approved because its video is there was held for its own version, as a delivered one was made of it.
KNOWN = """
UPDATE registry_clips SET delivered_version = answered_version
WHERE delivered_at IS NOT NULL AND (state = 'delivered' OR waiting_for = 'approval')
"""


def upgrade() -> None:
    """Add the column, and fill it where it can be known."""
    op.add_column("registry_clips", sa.Column("delivered_version", sa.Text))
    op.execute(KNOWN)


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("registry_clips", "delivered_version")
