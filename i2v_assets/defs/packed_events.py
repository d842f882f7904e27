"""Pack the events of Dagster's Postgres tables: each as what differs from an example, in a tenth to a third of its bytes.

The events of clips are alike, but Postgres compresses each by itself, and most of it stays: a check's event of 1,500 bytes
takes 770. Here it is compressed against `event_examples.jsonl`, and takes 150. A packed event is still text: a mark, and a raw
deflate stream (RFC 1951) in base64 whose preset dictionary is that file. Whatever reads through `i2v_assets.pooled_storage` sees the
event as it was. Nothing else does, so before `storage: postgres`, or a release before this one, takes over:

    python -m i2v_assets.defs.packed_events     # DAGSTER_HOME names the instance; writes every event in full again

The file is part of what was stored and never changes; better examples are another file with another mark.
"""

import binascii
import sys
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2.extensions
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).with_name("event_examples.jsonl")
"""Shortened events of each kind, one a line (27 kB; deflate looks back 32 kB)."""

MARK = "~1:"
"""How a packed event begins; the number is that of the examples."""

TEXT = 25
"""Postgres' number of the type `text`."""

ROWS_AT_ONCE = 500
"""Events that are written in full in one transaction: about 1 MB."""

COLUMNS = (("event_logs", "event"), ("asset_check_executions", "evaluation_event"))
"""Where Dagster keeps events."""


@cache
def _examples() -> bytes:
    return EXAMPLES.read_bytes()


@cache
def _packer() -> Any:
    """The compressor that knows the examples; a copy of it costs less than another one."""
    return zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_DEFAULT_STRATEGY, _examples())


def pack(event: str) -> str:
    """Return an event's text in fewer bytes."""
    packer = _packer().copy()
    return MARK + b64encode(packer.compress(event.encode()) + packer.flush()).decode()


def unpack(text: str) -> str:
    """Return what was packed; ``text`` if it is something else."""
    if not text.startswith(MARK):
        return text
    try:
        packed = b64decode(text[len(MARK) :], validate=True)
        return zlib.decompressobj(-zlib.MAX_WBITS, _examples()).decompress(packed).decode()
    except (binascii.Error, zlib.error, ValueError):
        return text  # somebody's own words, such as a tag of a run


def unpack_when_read(engine: sa.Engine) -> None:
    """Let every connection that an engine opens from now on return packed texts as they were."""
    sa.event.listen(engine, "connect", _read_through)


def _read_through(connection: Any, _record: object) -> None:
    reader = psycopg2.extensions.new_type((TEXT,), "PACKED", lambda text, _cursor: text and unpack(text))
    psycopg2.extensions.register_type(reader, connection)


def write_in_full(url: str) -> int:
    """Write each packed event of a database as it was, and return how many there were. Going on after a break is safe.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    engine = sa.create_engine(url, poolclass=NullPool)
    try:
        return sum(1 for table, column in COLUMNS for _ in _written_in_full(engine, table, column))
    finally:
        engine.dispose()


def _written_in_full(engine: sa.Engine, table: str, column: str) -> "Iterator[Mapping[str, Any]]":
    stored = sa.table(table, sa.column("id"), sa.column(column))
    event, last = stored.c[column], 0
    packed = sa.select(stored.c.id, event).where(event.startswith(MARK, autoescape=True)).order_by(stored.c.id)
    update = stored.update().where(stored.c.id == sa.bindparam("which")).values({column: sa.bindparam("text")})
    while True:
        with engine.begin() as connection:
            rows = connection.execute(packed.where(stored.c.id > last).limit(ROWS_AT_ONCE)).all()
            found = [{"which": number, "text": unpack(text)} for number, text in rows]
            if not found:
                return
            connection.execute(update, found)
        last = rows[-1][0]
        yield from found


def main() -> int:
    """Write the events of the instance in full."""
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        url = getattr(instance.event_log_storage, "postgres_url", None)
    if url is None:
        sys.stderr.write("This Dagster instance does not keep its events in Postgres: nothing to do.\n")
        return 0
    sys.stdout.write(f"{write_in_full(url)} events are written in full.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
