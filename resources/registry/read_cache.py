"""Cache of what was read from uploaded files, so that the same bytes are not fetched and measured twice."""

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from resources.ledger.database import Database
from resources.registry.tables import media_facts, texts


class UploadMemory:
    """Media facts and document texts by key and ETag; may be emptied at any time. Each call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def facts(self, key: str, etag: str) -> dict[str, Any] | None:
        """Return the cached facts of a file with this ETag, or None."""
        with self._database.read() as connection:
            found = connection.execute(
                sa.select(media_facts.c.facts).where(media_facts.c.key == key, media_facts.c.etag == etag)
            ).scalar()
        return None if found is None else json.loads(found)

    def remember_facts(self, key: str, etag: str, facts: Mapping[str, Any]) -> None:
        """Cache the facts of a file."""
        with self._database.write() as connection:
            connection.execute(self._database.upsert(media_facts).values(key=key, etag=etag, facts=json.dumps(facts)))

    def texts(self) -> dict[str, tuple[str, str]]:
        """Return the cached briefs, defaults and lists: key -> (ETag, text).

        Texts with a replacement character are omitted and read again: earlier versions cached damaged ones.
        """
        query = sa.select(texts).where(texts.c.text.not_like("%\N{REPLACEMENT CHARACTER}%"))
        with self._database.read() as connection:
            return {row.key: (row.etag, row.text) for row in connection.execute(query)}

    def remember_texts(self, read: Mapping[str, tuple[str, str]]) -> None:
        """Cache texts by key and ETag.

        A text with a NUL is skipped and read again each time: Postgres stores no NUL.
        """
        # Every process uses the same order, so that two of them never deadlock.
        rows = [
            {"key": key, "etag": etag, "text": text} for key, (etag, text) in sorted(read.items()) if "\0" not in text
        ]
        if not rows:
            return
        with self._database.write() as connection:
            connection.execute(self._database.upsert(texts), rows)
