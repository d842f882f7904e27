"""Runs the migrations on the connection, and in the transaction, that the ledger opened for them."""

from alembic import context

from resources.ledger.database import VERSION_TABLE
from resources.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
