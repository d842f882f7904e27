"""The registry's tables: uploads and clips, beside the ledger's requests. None of them holds money or an address."""

import sqlalchemy as sa

from resources.ledger.database import UtcDateTime
from resources.ledger.tables import metadata

clips = sa.Table(
    "registry_clips",
    metadata,
    sa.Column("clip", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("sensor", sa.String(32)),
    sa.Column("tick", sa.BigInteger),
    sa.Column("batch", sa.Text),
    sa.Column("run_id", sa.Text),
    sa.Column("answered_version", sa.Text),
    sa.Column("waiting_for", sa.String(32)),
    sa.Column("reason", sa.Text),
    sa.Column("remedy", sa.Text),
    sa.Column("fingerprint", sa.String(64)),
    sa.Column("planned_fingerprint", sa.String(64)),
    sa.Column("price_microdollars", sa.BigInteger),
    sa.Column("chosen_take", sa.Integer),
    sa.Column("extra_takes", sa.Integer, nullable=False),
    sa.Column("take_seeds", sa.Text),
    sa.Column("rerolls", sa.Text),
    sa.Column("retries", sa.Integer, nullable=False),
    sa.Column("lost_runs", sa.Integer, nullable=False),
    sa.Column("admitted_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("delivered_at", UtcDateTime),
    sa.Column("delivered_version", sa.Text),
    sa.Column("archived_at", UtcDateTime),
    sa.Column("arrived_at", UtcDateTime),
    sa.Column("stopped_by", sa.Text),
    sa.Index(None, "state", "priority", "admitted_at"),
    sa.Index(None, "arrived_at"),
    sa.Index(None, "batch"),
    sa.Index(None, "run_id"),
)
"""One row per clip: its upload and its state."""

media_facts = sa.Table(
    "registry_media_facts",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("etag", sa.Text, nullable=False),
    sa.Column("facts", sa.Text, nullable=False),
)
"""Measured facts of uploaded files."""

texts = sa.Table(
    "registry_texts",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("etag", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
)
"""Briefs, defaults and lists as last read."""

refused_uploads = sa.Table(
    "registry_refused_uploads",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("clip", sa.Text),
    sa.Column("words", sa.Text),
    sa.Column("remedy", sa.Text),
)
"""Refused uploads as last reported: the problem, the remedy, and the clip that each would be, if known."""

catalogue = sa.Table(
    "registry_catalogue",
    metadata,
    sa.Column("service", sa.String(16), primary_key=True),
    sa.Column("family", sa.Text, primary_key=True),
    sa.Column("model_id", sa.Text, nullable=False),
    sa.Column("price_microdollars", sa.BigInteger),
    sa.Column("price_unit", sa.Text, nullable=False),
    sa.Column("accepted", sa.Text, nullable=False),
    sa.Column("accepted_by", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)
"""Accepted catalogue entries by endpoint family: the price, and differences that a person accepted."""

pending_uploads = sa.Table(
    "registry_pending_uploads",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("look_at", UtcDateTime, nullable=False),
    sa.Index(None, "look_at"),
)
"""Keys whose event arrived and whose clip is incomplete: they are scanned again even if no event comes."""

waits = sa.Table(
    "registry_waits",
    metadata,
    sa.Column("clip", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("told_at", UtcDateTime),
)
"""When each unanswered clip started waiting, and when that was reported as overdue."""

claims = sa.Table(
    "registry_claims",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("etag", sa.Text, nullable=False),
    sa.Column("clip", sa.Text),
    sa.Column("version", sa.Text),
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("gone_since", UtcDateTime),
    sa.Index(None, "document"),
)
"""The document that each object belongs to, also after the document is gone."""

trees = sa.Table(
    "registry_trees",
    metadata,
    sa.Column("tree", sa.Text, primary_key=True),
    sa.Column("first_seen", UtcDateTime, nullable=False),
    sa.Column("changed_at", UtcDateTime),
    sa.Column("fed_by", sa.String(16)),
    sa.Column("fed_since", UtcDateTime),
)
"""The top folders of the uploads: whether each is new, fed by documents or fed with loose images."""

runs = sa.Table(
    "registry_runs",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("seen_at", UtcDateTime, nullable=False),
)
"""When each run that makes clips was last seen alive."""

tables = (claims, trees, catalogue, clips, media_facts, texts, refused_uploads, pending_uploads, runs, waits)
