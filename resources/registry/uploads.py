"""What is remembered of uploads: the document that each belongs to, what feeds each tree, what was read, what was refused.

Each call is one transaction.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from resources.ledger.database import Database, chunks, rows_in
from resources.ledger.records import utc_now
from resources.registry.rows import ClaimChange, ClipState, KnownTree, ObjectClaim, Refusals, RefusedRow
from resources.registry.tables import claims, clips, media_facts, refused_uploads, texts, trees
from resources.storage.keys import UPLOADS

FORGET_AFTER = timedelta(days=90)
"""Time after which the claim on an object that is gone, by a document that is gone, is forgotten: a quarter's re-upload is new."""

_MAY_BE_PAID = ("unknown", "deadline", "download", "stopped")
"""What a clip may wait for after money may have moved."""


class UploadClaims:
    """The claims of documents on objects."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    def all(self) -> dict[str, ObjectClaim]:
        """Return the claim of each object."""
        paid = sa.or_(
            clips.c.delivered_version == claims.c.version,
            sa.and_(
                clips.c.version == claims.c.version,
                sa.or_(
                    clips.c.state.in_([ClipState.DISPATCHED.value, ClipState.WORKING.value]),
                    clips.c.waiting_for.in_(_MAY_BE_PAID),
                ),
            ),
        )
        query = sa.select(
            claims.c.key, claims.c.document, claims.c.etag, claims.c.since, claims.c.gone_since,
            sa.func.coalesce(paid, sa.false()), claims.c.clip, claims.c.version,
        ).select_from(claims.outerjoin(clips, clips.c.clip == claims.c.clip))  # fmt: skip
        with self._database.read() as connection:
            return {
                key: ObjectClaim(document, etag, since, gone, bool(is_paid), clip, version)
                for key, document, etag, since, gone, is_paid, clip, version in connection.execute(query)
            }

    def update(
        self, known: Mapping[str, ObjectClaim], changes: Iterable[ClaimChange], gone: Callable[[str], bool | None]
    ) -> None:
        """Write what a scan saw.

        Args:
            known: The claims before the scan.
            changes: What documents order now.
            gone: Returns whether a document is gone; None if the scan does not know.
        """
        now = self._clock()
        rows: dict[str, dict[str, object]] = {}
        for each in changes:
            before = known.get(each.key)
            same = before is not None and before.document == each.document
            clip, version = each.clip, each.version
            if clip is None and before is not None and same:
                clip, version = before.clip, before.version  # its row is faulty now; what was paid stays known
            wanted = (each.document, each.etag if each.clip is not None or not same else before.etag, clip, version)  # type: ignore[union-attr]
            if (
                before is None
                or wanted != (before.document, before.etag, before.clip, before.version)
                or before.gone_since
            ):
                since = before.since if before is not None and same else now
                rows[each.key] = dict(
                    zip(("document", "etag", "clip", "version"), wanted, strict=True)
                ) | {"key": each.key, "since": since, "gone_since": None}  # fmt: skip
        missing: dict[str, bool | None] = {}
        for key, claim in known.items():
            if key in rows:
                continue
            if claim.document not in missing:
                missing[claim.document] = gone(claim.document)
            is_gone = missing[claim.document]
            if is_gone is not None and is_gone != (claim.gone_since is not None):
                rows[key] = {
                    "key": key, "document": claim.document, "etag": claim.etag, "clip": claim.clip,
                    "version": claim.version, "since": claim.since, "gone_since": now if is_gone else None,
                }  # fmt: skip
        if rows:
            with self._database.write() as connection:
                connection.execute(self._database.upsert(claims), [rows[key] for key in sorted(rows)])

    def objects_of(self, documents: Collection[str]) -> dict[str, str]:
        """Return the objects that belong to some documents: key -> document."""
        return self._documents_by_key(claims.c.document, documents)

    def documents_of(self, keys: Collection[str]) -> dict[str, str]:
        """Return the documents that some objects belong to: key -> document."""
        return self._documents_by_key(claims.c.key, keys)

    def _documents_by_key(self, column: "sa.Column[str]", names: Collection[str]) -> dict[str, str]:
        query = sa.select(claims.c.key, claims.c.document)
        with self._database.read() as connection:
            return {row.key: row.document for row in rows_in(connection, query, column, names)}

    def forget(self, present: Collection[str]) -> int:
        """Forget old claims on objects that are gone, by documents that are gone. Return how many."""
        before = self._clock() - FORGET_AFTER
        query = sa.select(claims.c.key).where(claims.c.gone_since < before)
        with self._database.write() as connection:
            old = [key for key in connection.execute(query).scalars() if key not in present]
            for part in chunks(old):
                connection.execute(claims.delete().where(claims.c.key.in_(part)))
        return len(old)

    # Trees

    def trees(self) -> dict[str, KnownTree]:
        """Return every tree that was seen."""
        with self._database.read() as connection:
            return {
                row.tree: KnownTree(row.first_seen, row.changed_at, row.fed_by, row.fed_since)
                for row in connection.execute(sa.select(trees))
            }

    def remember_trees(self, known: Mapping[str, KnownTree]) -> None:
        """Write what a scan saw of some trees."""
        rows = [
            {
                "tree": name, "first_seen": tree.first_seen, "changed_at": tree.changed_at,
                "fed_by": tree.fed_by, "fed_since": tree.fed_since,
            }
            for name, tree in sorted(known.items())
        ]  # fmt: skip
        if rows:
            with self._database.write() as connection:
                connection.execute(self._database.upsert(trees), rows)

    def delivered_loose(self) -> frozenset[str]:
        """Return the images in trees that were delivered as loose clips."""
        query = sa.select(clips.c.source).where(
            clips.c.delivered_at.is_not(None),
            clips.c.source.like(f"{UPLOADS}%/%"),
            clips.c.source.not_like("%#%"),
            clips.c.source.not_like("%/"),
            clips.c.content.like('%"said_in": null%'),
        )
        with self._database.read() as connection:
            return frozenset(connection.execute(query).scalars())


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
        gone = set(resolved)
        left = {key: row.clip for key, row in known.items() if key not in gone} | {row.source: row.clip for row in news}
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


_FACTS = sa.select(media_facts.c.facts).where(
    media_facts.c.key == sa.bindparam("the_key"), media_facts.c.etag == sa.bindparam("the_etag")
)


class UploadMemory:
    """Media facts and document texts by key and ETag; may be emptied at any time. Each call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def facts(self, key: str, etag: str) -> dict[str, Any] | None:
        """Return the cached facts of a file with this ETag, or None."""
        with self._database.read() as connection:
            found = connection.execute(_FACTS, {"the_key": key, "the_etag": etag}).scalar()
        return None if found is None else json.loads(found)

    def remember_facts(self, key: str, etag: str, facts: Mapping[str, Any]) -> None:
        """Cache the facts of a file."""
        with self._database.write() as connection:
            connection.execute(
                self._database.upsert(media_facts), {"key": key, "etag": etag, "facts": json.dumps(facts)}
            )

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
