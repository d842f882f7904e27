"""Which of a clip's further takes a low quality score asked for, and not a person."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Further takes of before count as asked for by a person: they are made already."""
    op.add_column("registry_clips", sa.Column("rerolls", sa.Text))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("registry_clips", "rerolls")
