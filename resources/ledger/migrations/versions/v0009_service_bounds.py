"""What the service said and is not believed at once: requests not found, doubted costs, ids given twice, ended pauses."""

import sqlalchemy as sa
from alembic import op

from resources.ledger.database import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

DOUBLES = (
    "UPDATE ledger_submissions SET is_double = {true} WHERE request_id IS NOT NULL AND EXISTS (SELECT 1 FROM"
    " ledger_submissions AS first WHERE first.service = ledger_submissions.service AND first.request_id ="
    " ledger_submissions.request_id AND first.id < ledger_submissions.id)"
)
"""Of submissions that share an id, the first one keeps it; the others are marked, since a database has them already."""


def upgrade() -> None:
    """Add the columns, mark ids that were given twice, and refuse new ones."""
    for column in (
        sa.Column("not_found_since", UtcDateTime),
        sa.Column("not_found_at", UtcDateTime),
        sa.Column("ask_after", UtcDateTime),
        sa.Column("video_checked", sa.Boolean),
        sa.Column("replaced_sha256", sa.String(64)),
        sa.Column("cost_doubted", sa.Boolean),
    ):
        op.add_column("ledger_requests", column)
    op.add_column("ledger_submissions", sa.Column("cost_doubted", sa.Boolean))
    op.add_column("ledger_submissions", sa.Column("is_double", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("ledger_services", sa.Column("resumes", sa.Integer, nullable=False, server_default="0"))
    op.execute(DOUBLES.format(true="1" if op.get_context().dialect.name == "sqlite" else "TRUE"))
    one = sa.text("request_id IS NOT NULL AND NOT is_double")
    op.create_index(
        "uq_ledger_submissions_service_request_id", "ledger_submissions", ["service", "request_id"], unique=True,
        sqlite_where=one, postgresql_where=one,
    )  # fmt: skip


def downgrade() -> None:
    """Drop what was added."""
    op.drop_index("uq_ledger_submissions_service_request_id", "ledger_submissions")
    for table, names in (
        ("ledger_services", ("resumes",)),
        ("ledger_submissions", ("is_double", "cost_doubted")),
        (
            "ledger_requests",
            ("cost_doubted", "replaced_sha256", "video_checked", "ask_after", "not_found_at", "not_found_since"),
        ),
    ):
        for name in names:
            op.drop_column(table, name)
