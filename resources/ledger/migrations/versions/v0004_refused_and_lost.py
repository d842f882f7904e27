"""What an upload was refused for and whose clip it would be, and how many runs each clip has lost."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; the next look at the uploads fills those of the refused ones."""
    for name in ("clip", "words", "remedy"):
        op.add_column("registry_refused_uploads", sa.Column(name, sa.Text))
    op.add_column("registry_clips", sa.Column("lost_runs", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop the columns; nothing depends on what they held."""
    op.drop_column("registry_clips", "lost_runs")
    for name in ("remedy", "words", "clip"):
        op.drop_column("registry_refused_uploads", name)
