"""`i2v status` without a name: what is on its way, the clips, the films, and what was refused."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from i2v_assets.cli.console import err, out, print_json, print_table
from i2v_assets.cli.status_words import local_time, plain_clip, plain_refused, print_refused, reason_words
from i2v_assets.operations.budget import BudgetToday, budget_opens_at, budget_today
from i2v_assets.operations.clips import takes_of
from i2v_assets.operations.films import FilmStatus, list_films, with_plan
from i2v_assets.session import Session
from i2v_assets.uploads.under_way import (
    MOST_AT_A_GLANCE,
    MOST_OBJECTS,
    UploadsNow,
    UploadState,
    UploadUnderWay,
    uploads_now,
)
from resources.errors import I2VError
from resources.ledger.records import Spend, utc_now
from resources.messages import counted
from resources.money import dollars
from resources.registry.overview import ClipOverview, read_overview_of_clips
from resources.registry.rows import ClipRow, ClipState, RefusedRow
from resources.wait_reason import WaitReason

OLD_REFUSAL = timedelta(days=1)
"""A refusal is shown for a day unasked; who wants to correct it has seen it by then."""


@dataclass(frozen=True)
class Overview:
    """What `i2v status` shows; ``clips`` has the newest rows, and of all that were asked for the number and the money.

    ``older`` counts the refusals that are left out for their age. ``opens`` says when the budget has room again for clips
    that wait for it. ``most_objects`` are the uploads that were listed at most.
    """

    clips: ClipOverview
    refused: tuple[RefusedRow, ...]
    older: int
    paused: Any
    spent: Mapping[str, Spend]
    opens: Mapping[str, str]
    uploads: UploadsNow = field(default_factory=UploadsNow)
    films: tuple[FilmStatus, ...] = ()
    most_objects: int = MOST_OBJECTS

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        known = self.clips.counts or self.refused or self.older or self.uploads.under_way or self.films
        return not known and self.uploads.whole


def read_overview(session: Session, states: Collection[ClipState], limit: int, *, everything: bool) -> Overview:
    """Read the overview: of clips in these states alone, if any are given.

    Args:
        session: The ledger, the registry and the bucket.
        states: Only clips in these states; empty for all, with films and uploads that are under way.
        limit: At most so many clips, the newest.
        everything: Old refusals too, and more of the uploads.
    """
    registry = session.registry
    since = None if everything or states else utc_now() - OLD_REFUSAL
    clips = read_overview_of_clips(session.ledger.database, states, limit, since)
    wants_refused = not states or ClipState.REFUSED in states
    refused = registry.refusals.now() if wants_refused else ()
    most = MOST_OBJECTS if everything else MOST_AT_A_GLANCE
    uploads, films = (UploadsNow(), ()) if states else _bucket(session, most)
    fresh = refused if since is None else tuple(row for row in refused if not _is_old_upload(row, uploads, since))
    older = clips.older + len(refused) - len(fresh)
    spent = session.ledger.spend_by_clip([row.clip for row in clips.rows])
    hold = session.ledger.held_service(session.settings.service)
    return Overview(clips, fresh, older, hold, spent, _opens(session, clips.rows), uploads, films, most)


def _bucket(session: Session, most: int) -> tuple[UploadsNow, tuple[FilmStatus, ...]]:
    """Return what only the bucket knows; if it does not answer, say so and go on without it."""
    try:
        uploads = uploads_now(session.bucket, session.registry, session.settings, most)
        return uploads, list_films(session.bucket)
    except I2VError as error:
        err.print(f"The bucket was not read: {error.text}", markup=False, highlight=False)
        return UploadsNow(), ()


def _is_old_upload(row: RefusedRow, uploads: UploadsNow, since: datetime) -> bool:
    written = uploads.modified_at.get(row.source.partition("#")[0])
    return written is not None and written < since


def _opens(session: Session, rows: Sequence[ClipRow]) -> dict[str, str]:
    waiting = [row for row in rows if row.state is ClipState.WAITING and row.wait is WaitReason.BUDGET]
    today: BudgetToday | None = budget_today(session) if waiting else None
    found: dict[str, str] = {}
    for row in waiting:
        moment = budget_opens_at(session, row.price_microdollars or 0, today) if today is not None else None
        if moment is not None:
            found[row.clip] = f"The day's budget starts anew at {local_time(moment)}."
    return found


def print_plain(shown: Overview, session: Session, limit: int) -> None:
    """Print the overview for programs: times are UTC, money is in micro-dollars.

    Films, uploads that are under way and older refusals have their keys only if there are any.
    """
    films = [with_plan(session.bucket, film) for film in shown.films[:limit]]
    more = {
        "under_way": [asdict(each) for each in shown.uploads.under_way[:limit]],
        "films": [_plain_film(film) for film in films],
        "older_refusals": shown.older,
    }
    print_json(
        {
            "counts": shown.clips.counts,
            "clips": [
                {
                    **plain_clip(row),
                    "takes": takes_of(row),
                    "price_of_all_takes_microdollars": _total(row),
                    "paid_microdollars": _paid(shown, row),
                }
                for row in shown.clips.rows
            ],
            "refused_uploads": plain_refused(shown.refused[:limit]),
            "paused": {"by": shown.paused.by, "since": shown.paused.since} if shown.paused else None,
            **{name: value for name, value in more.items() if value},
        }
    )


def _plain_film(film: FilmStatus) -> dict[str, Any]:
    answer = film.answer
    return {
        "film": film.name,
        "state": film.state,
        "since": film.since,
        "source": film.source,
        "has_video": film.has_video,
        "answer": answer.title if answer else None,
        "shots": [{"clip": shot.get("clip"), "state": shot.get("state")} for shot in film.shots],
    }


def print_overview(shown: Overview, session: Session, limit: int) -> None:
    """Print the overview for people: times are this machine's."""
    if shown.paused is not None:
        out.print(f"{shown.paused.text} `i2v resume` lets it go on.", markup=False, highlight=False)
    if shown.is_empty:
        out.print("No clips yet: `i2v upload` puts files into the bucket, the upload sensor finds them.")
        return
    _print_under_way(shown.uploads.under_way[:limit])
    if shown.clips.rows:
        print_table(
            ("clip", "state", "since", "at most", "paid", "reason"),
            [
                (
                    row.clip,
                    row.state,
                    local_time(row.updated_at),
                    dollars(_total(row)),
                    dollars(_paid(shown, row)) if row.clip in shown.spent else "",
                    " ".join(part for part in (reason_words(row), shown.opens.get(row.clip)) if part),
                )
                for row in shown.clips.rows
            ],
        )
    _print_films(session, shown.films[:limit])
    print_refused(shown.refused, limit)
    out.print(", ".join(_count_words(shown)), highlight=False)
    if shown.clips.spent.requests:
        out.print(_money_words(shown), markup=False, highlight=False)
    _print_left_out(shown, limit)


def _print_under_way(uploads: Sequence[UploadUnderWay]) -> None:
    if uploads:
        print_table(
            ("upload", "state", "left", "what it waits for"),
            [
                (each.name, each.state, f"{each.seconds_left} s" if each.seconds_left else "", each.words)
                for each in uploads
            ],
        )


def _print_films(session: Session, films: Sequence[FilmStatus]) -> None:
    if not films:
        return
    rows = []
    for film in (with_plan(session.bucket, each) for each in films):
        answer = film.answer
        reason = answer.problems[0].what if answer and answer.problems else ""
        rows.append(
            (film.name, film.state, local_time(film.since) if film.since else "", len(film.shots) or "", reason)
        )
    print_table(("film", "state", "since", "shots", "reason"), rows)


def _count_words(shown: Overview) -> list[str]:
    words = [f"{count} {name}" for name, count in sorted(shown.clips.counts.items())]
    for state in UploadState:
        found = [each for each in shown.uploads.under_way if each.state is state]
        left = max((each.seconds_left or 0 for each in found), default=0)
        if found:
            words.append(f"{len(found)} {state}{f', {left} s left' if left else ''}")
    words += [f"{counted(len(shown.films), 'film')}"] if shown.films else []
    words += [f"{counted(len(shown.refused), 'upload')} refused"] if shown.refused else []
    return words


def _money_words(shown: Overview) -> str:
    spent = shown.clips.spent
    settled, still_open = spent.settled_microdollars, spent.reserved_microdollars
    more = f", and {dollars(still_open)} that the service has not settled yet" if still_open else ""
    return f"Paid for these clips, all takes: {dollars(settled) or '$0.00'}{more}."


def _print_left_out(shown: Overview, limit: int) -> None:
    if shown.clips.listed > limit:
        err.print(f"The newest {limit} of {shown.clips.listed}; --limit shows more.", highlight=False)
    if shown.older:
        out.print(f"{counted(shown.older, 'older refusal')} left out: `i2v status --all` shows them.", highlight=False)
    if not shown.uploads.whole:
        more = "" if shown.most_objects == MOST_OBJECTS else f" `i2v status --all` shows it up to {MOST_OBJECTS:,}."
        err.print(
            f"More than {shown.most_objects:,} objects lie below uploads/, so what settles is not shown here; the upload"
            f" sensor in the Dagster UI says it.{more}",
            markup=False,
            highlight=False,
        )


def _total(row: ClipRow) -> int | None:
    """Return the price of all takes of a clip, as far as it is known."""
    return None if row.price_microdollars is None else row.price_microdollars * takes_of(row)


def _paid(shown: Overview, row: ClipRow) -> int:
    spend = shown.spent.get(row.clip)
    return spend.settled_microdollars + spend.reserved_microdollars if spend else 0
