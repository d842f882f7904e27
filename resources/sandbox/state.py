"""The state that survives a restart: requests, faults, switches and the account, in one SQLite file.

Everything is also in memory, and a poll reads only that. The file is written on each event: a request is accepted,
rendered or cancelled, a fault hits, a switch changes.
"""

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from resources.sandbox.generation import Generation

_SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (number INTEGER PRIMARY KEY, request_id TEXT NOT NULL UNIQUE, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


def without_grants(value: Any) -> Any:
    """Return a JSON value whose web addresses have lost user, query and fragment: the parts that let their holder in."""
    if isinstance(value, dict):
        return {name: without_grants(part) for name, part in value.items()}
    if isinstance(value, list):
        return [without_grants(part) for part in value]
    if isinstance(value, str) and value.lower().startswith(("http://", "https://")):
        parts = urlsplit(value)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    return value


class StateFile:
    """The SQLite file; used from the event loop only, each write takes well under a millisecond."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite's files beside it take its mode
        path.chmod(0o600)  # of an earlier version's file too
        self._connection = sqlite3.connect(path, isolation_level=None)
        # NORMAL in WAL survives the death of the process, which is all that a sandbox guarantees.
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute("PRAGMA secure_delete=ON")
        self._connection.executescript(_SCHEMA)

    def load(self) -> Iterator[Generation]:
        """Yield every request in the order of acceptance."""
        for (record,) in self._connection.execute("SELECT record FROM requests ORDER BY number").fetchall():
            generation = Generation.model_validate_json(record)
            if without_grants(generation.body) != generation.body:  # an earlier version kept them
                self.save(generation)
            yield generation

    def save(self, generation: Generation) -> None:
        """Write a request, new or changed, without what its addresses grant."""
        kept = generation.model_copy(update={"body": without_grants(generation.body)})
        self._connection.execute(
            "INSERT INTO requests VALUES (?, ?, ?) ON CONFLICT (number) DO UPDATE SET record = excluded.record",
            (generation.number, generation.request_id, kept.model_dump_json()),
        )

    def setting(self, name: str) -> Any:
        """Return a stored value, or None."""
        row = self._connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def store_setting(self, name: str, value: Any) -> None:
        """Store a JSON value under a name."""
        self._connection.execute(
            "INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, json.dumps(value)),
        )

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
