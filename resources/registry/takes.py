"""Takes of a clip beyond what its brief asks for: requested by a person or a low score, taken back, and chosen."""

import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from resources.registry.base import RegistryBase, lock_rows
from resources.registry.rows import ClipRow, ClipState
from resources.registry.tables import clips


class Takes(RegistryBase):
    """The takes that are asked for."""

    def add_take(
        self,
        clip: str,
        *,
        take: int,
        seed: int | None = None,
        seen: ClipRow | None = None,
        most: int | None = None,
        after: tuple[int, int] | None = None,
    ) -> int | None:
        """Request one more take of a clip than its brief asks for; the clip becomes due.

        Args:
            clip: the clip.
            take: its number, by what was read of the clip; the next free one if another take was requested meanwhile.
            seed: a seed that a person chose; None derives one.
            seen: the clip as it was read; it may have become due since only for another take.
            most: the highest number that a take may have.
            after: of a video of several pieces: the take whose first pieces are kept, and the first piece that is made anew.

        Returns:
            The number of the take; None if the clip has changed otherwise, or has ``most`` takes. Nothing is changed then.
        """
        with self._database.write() as connection:
            row = next(iter(lock_rows(connection, [clip])), None)
            if row is None:
                return None
            if seen is not None:
                further = row["extra_takes"] - seen.extra_takes
                same = row["state"] == seen.state and row["updated_at"] == seen.updated_at
                if row["version"] != seen.version or not (same or (row["state"] == ClipState.DUE and further > 0)):
                    return None
                take += further
            if most is not None and take > most:
                return None
            values: dict[str, Any] = {"extra_takes": clips.c.extra_takes + 1, "updated_at": self._clock()}
            order = seed if after is None else {"seed": seed, "base": after[0], "from_piece": after[1]}
            if order is not None:
                values["take_seeds"] = json.dumps(json.loads(row["take_seeds"] or "{}") | {str(take): order})
            values |= {"state": ClipState.DUE, "batch": None, "stopped_by": None}
            connection.execute(clips.update().where(clips.c.clip == clip).values(**values))
        return take

    def add_reroll(self, clip: str, *, version: str, take: int, extra_takes: int) -> bool:
        """Record a take that a low quality score asks for, before it is submitted, so that its number stays reserved.

        Args:
            clip: the clip.
            version: the version of the upload that it is a take of.
            take: its number.
            extra_takes: the number of extra takes without this one.

        Returns:
            False if the upload changed, or a person requested a take, since those were counted.
        """
        return self._reroll(clip, version, extra_takes, 1, lambda takes: [*takes, take])

    def take_back_reroll(self, clip: str, *, version: str, take: int, extra_takes: int) -> bool:
        """Drop a reroll that cost no money; ``extra_takes`` includes it. Returns False as `add_reroll` does."""
        return self._reroll(clip, version, extra_takes, -1, lambda takes: [each for each in takes if each != take])

    def _reroll(
        self, clip: str, version: str, extra_takes: int, more: int, change: Callable[[list[int]], list[int]]
    ) -> bool:
        with self._database.write() as connection:
            found = connection.execute(sa.select(clips.c.rerolls).where(clips.c.clip == clip)).scalar()
            values = {
                "rerolls": json.dumps(change(json.loads(found or "[]"))),
                "extra_takes": extra_takes + more,
                "updated_at": self._clock(),
            }
            counted = sa.and_(clips.c.clip == clip, clips.c.version == version, clips.c.extra_takes == extra_takes)
            return connection.execute(clips.update().where(counted).values(**values)).rowcount == 1

    def take_back(self, row: ClipRow, *, last: int, extra: int) -> bool:
        """Drop the takes above ``last`` that a person requested and no run has made; the clip is delivered as before.

        Args:
            row: the clip as it was read.
            last: the number of the last take to keep.
            extra: how many of the kept takes exceed what the brief asks for.

        Returns:
            False if the clip has changed meanwhile; nothing is changed then.
        """
        seeds = {number: seed for number, seed in json.loads(row.take_seeds or "{}").items() if int(number) <= last}
        values: dict[str, Any] = {
            "extra_takes": extra,
            "take_seeds": json.dumps(seeds) if seeds else None,
            "updated_at": self._clock(),
        }
        if row.state is not ClipState.WORKING:  # its run delivers it without them
            values |= {"state": ClipState.DELIVERED, "waiting_for": None, "reason": None, "remedy": None}
            values |= {"batch": None, "stopped_by": None}
        states = [ClipState.WORKING] if row.state is ClipState.WORKING else [ClipState.DUE, ClipState.WAITING]
        untouched = (
            clips.c.state.in_(states),
            clips.c.version == row.version,
            clips.c.extra_takes == row.extra_takes,
        )
        return bool(self._update(clips.update().where(clips.c.clip == row.clip, *untouched).values(**values)))

    def void_takes(self, row: ClipRow, *, last: int, extra: int) -> bool:
        """Take back the takes above ``last`` after a backup was restored, whatever the clip's state; False if it changed."""
        seeds = {number: seed for number, seed in json.loads(row.take_seeds or "{}").items() if int(number) <= last}
        values: dict[str, Any] = {"extra_takes": extra, "take_seeds": json.dumps(seeds) if seeds else None}
        if row.delivered_version == row.version and row.state is not ClipState.DELIVERED:
            values |= {"state": ClipState.DELIVERED, "waiting_for": None, "reason": None, "remedy": None, "batch": None}
        unchanged = (clips.c.state == row.state, clips.c.version == row.version, clips.c.extra_takes == row.extra_takes)
        return bool(self._update(clips.update().where(clips.c.clip == row.clip, *unchanged).values(**values)))

    def choose(self, clip: str, take: int) -> bool:
        """Choose which take is a delivered clip's video; the clip becomes due.

        Failures are not retried for it, so that it costs nothing if the takes exist.

        Returns:
            False if the clip is not (or no longer) delivered: a run that starts now could make other takes.
        """
        values = {"chosen_take": take, "state": ClipState.DUE, "batch": None, "retries": 0, "updated_at": self._clock()}
        delivered = clips.c.state == ClipState.DELIVERED
        return bool(self._update(clips.update().where(clips.c.clip == clip, delivered).values(**values)))
