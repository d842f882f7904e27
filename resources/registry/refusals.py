"""Uploads that cannot become clips, as last reported: each refusal is reported once, and once when it is resolved."""

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
        """Record the refusals of a scan; return the new and the resolved ones.

        Args:
            refused: the uploads that the scan refused.
            covers: returns True for a key that the scan covered. Covered uploads that were not refused are resolved.
                None: all uploads.
        """
        with self._database.write() as connection:
            known = {row.key: row for row in connection.execute(sa.select(refused_uploads))}
            news = [row for row in refused if row.source not in known or known[row.source].version != row.version]
            refused_now = {row.source for row in refused}
            resolved = tuple(key for key in known if key not in refused_now and (covers is None or covers(key)))
            for part in chunks(resolved):
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
        left = {key: row.clip for key, row in known.items() if key not in resolved} | {
            row.source: row.clip for row in news
        }
        freed = {row.clip for row in known.values() if row.clip is not None} - set(left.values())
        return Refusals(tuple(row.source for row in news), resolved, tuple(sorted(freed)))

    def now(self, clip: str | None = None) -> tuple[RefusedRow, ...]:
        """Return the current refusals, all or those of one clip."""
        query = sa.select(refused_uploads).order_by(refused_uploads.c.key)
        if clip is not None:
            query = query.where(refused_uploads.c.clip == clip)
        with self._database.read() as connection:
            return tuple(
                RefusedRow(row.key, row.version, row.words or "", row.remedy or "", row.clip)
                for row in connection.execute(query)
            )
