"""Uploads that can be no clip, and what their owners were told: so that nobody is told twice, and each when it is over."""

from collections.abc import Callable, Collection

import sqlalchemy as sa

from resources.ledger.database import Database, chunks
from resources.registry.rows import Refusals, RefusedRow
from resources.registry.tables import refused_uploads


class UploadRefusals:
    """The refused uploads of one bucket. Each call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def replace(self, refused: Collection[RefusedRow], *, covers: Callable[[str], bool] | None = None) -> Refusals:
        """Take note of what a look refused, and tell what is news and what is refused no more.

        Args:
            refused: what a look refused.
            covers: what the look covered: what it did not refuse of that is refused no more. None: all uploads.
        """
        with self._database.write() as connection:
            known = {row.key: row for row in connection.execute(sa.select(refused_uploads))}
            news = [row for row in refused if row.source not in known or known[row.source].version != row.version]
            there = {row.source for row in refused}
            gone = tuple(key for key in known if key not in there and (covers is None or covers(key)))
            for part in chunks(gone):
                connection.execute(refused_uploads.delete().where(refused_uploads.c.key.in_(part)))
            if news:
                rows = [
                    {
                        "key": row.source,
                        "version": row.version,
                        "clip": row.clip,
                        "words": row.words,
                        "remedy": row.remedy,
                    }
                    for row in sorted(news, key=lambda row: row.source)
                ]
                connection.execute(self._database.upsert(refused_uploads), rows)
        left = {key: row.clip for key, row in known.items() if key not in gone} | {row.source: row.clip for row in news}
        freed = {row.clip for row in known.values() if row.clip is not None} - set(left.values())
        return Refusals(tuple(row.source for row in news), gone, tuple(sorted(freed)))

    def now(self, clip: str | None = None) -> tuple[RefusedRow, ...]:
        """The uploads that are refused now, all or those that would be one clip."""
        query = sa.select(refused_uploads).order_by(refused_uploads.c.key)
        if clip is not None:
            query = query.where(refused_uploads.c.clip == clip)
        with self._database.read() as connection:
            return tuple(
                RefusedRow(row.key, row.version, row.words or "", row.remedy or "", row.clip)
                for row in connection.execute(query)
            )
