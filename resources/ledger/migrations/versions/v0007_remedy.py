"""What to do about a clip's latest answer, so that nobody reads it back from the note in the bucket."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Answers of before have no remedy there; the next answer of each clip fills it."""
    op.add_column("registry_clips", sa.Column("remedy", sa.Text))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("registry_clips", "remedy")
