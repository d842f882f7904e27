"""`i2v status` and `i2v fetch`: how far the clips are, and their files."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from i2v_assets.cli.console import AsJson, err, out, print_json, print_table
from i2v_assets.cli.exit_codes import Exit, TryLater, UsageProblem, exit_code
from i2v_assets.cli.wait_words import wait_words
from i2v_assets.clip_folder.notes import Answer, answer_of
from i2v_assets.operations.clips import find_clip
from i2v_assets.session import Session, open_session
from i2v_assets.uploads.types import Candidate
from resources.errors import I2VError
from resources.ledger.records import Spend
from resources.money import dollars
from resources.plurals import counted
from resources.registry.registry import ClipRow, ClipState, RefusedRow
from resources.storage import keys
from resources.storage.errors import StorageError


def print_refused(refused: Sequence[RefusedRow], limit: int) -> None:
    """Print a table of refused uploads, by name."""
    if not refused:
        return
    print_table(
        ("refused upload", "clip", "reason", "what to do"),
        [(row.source, row.clip or "", row.words, row.remedy) for row in refused[:limit]],
    )
    if len(refused) > limit:
        err.print(f"The first {limit} of {len(refused)} refused uploads; --limit shows more.", highlight=False)


def plain_refused(refused: Sequence[RefusedRow]) -> list[dict[str, Any]]:
    """Return refused uploads for programs."""
    return [{"upload": row.source, "clip": row.clip, "reason": row.words, "remedy": row.remedy} for row in refused]


app = typer.Typer()

_MONEY = ("settled_microdollars", "reserved_microdollars")
SHOWN = 50
"""Clips that the table lists unless asked for more; the newest are at its end."""


@app.command()
def status(
    clip: Annotated[str | None, typer.Argument(help="One clip in detail; all in short.")] = None,
    state: Annotated[list[str] | None, typer.Option(help="Only clips in this state; may be given again.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = SHOWN,
    as_json: AsJson = False,
) -> None:
    """Show how far the clips are, why those that wait do, and which uploads were refused.

    i2v status

    i2v status hero

    i2v status --state failed --state refused --json
    """
    with open_session() as session:
        if clip is not None:
            _named(session, clip, as_json)
            return
        states = _states(state or ())
        rows = session.registry.list(states)
        counts = session.registry.counts()
        refused = session.registry.refusals.now() if not states or "refused" in states else ()
        hold = session.ledger.held_service(session.settings.service)
        err.print(f"Ledger: {session.ledger.name}", markup=False, highlight=False, soft_wrap=True)
    if as_json:
        plain = [_plain(row) for row in rows[-limit:]]
        paused = {"by": hold.by, "since": hold.since} if hold else None
        refused_uploads = plain_refused(refused[:limit])
        print_json({"counts": counts, "clips": plain, "refused_uploads": refused_uploads, "paused": paused})
        return
    if hold is not None:
        out.print(f"{hold.text} `i2v resume` lets it go on.", markup=False, highlight=False)
    if not (counts or refused):
        out.print("No clips yet: `i2v upload` puts files into the bucket, the upload sensor finds them.")
        return
    if rows:
        print_table(
            ("clip", "state", "since", "price", "reason"),
            [
                (row.clip, row.state, _time(row.updated_at), dollars(row.price_microdollars), _reason(row))
                for row in rows[-limit:]
            ],
        )
    print_refused(refused, limit)
    words = [f"{count} {name}" for name, count in sorted(counts.items())]
    words += [f"{counted(len(refused), 'upload')} refused"] if refused else []
    out.print(", ".join(words), highlight=False)
    if len(rows) > limit:
        err.print(f"The newest {limit} of {len(rows)}; --limit shows more.", highlight=False)


def _states(names: "list[str] | tuple[()]") -> list[Any]:
    unknown = [name for name in names if name not in list(ClipState)]
    if unknown:
        raise UsageProblem(f"There is no state {unknown[0]!r}.", remedy=f"States: {', '.join(ClipState)}.")
    return [ClipState(name) for name in names]


def _reason(row: ClipRow) -> str:
    if row.state in ("dispatched", "working"):
        # What it waited for is out of the way.
        return f"stopped by {row.stopped_by}; what was sent is fetched" if row.stopped_by else ""
    waits = f"{wait_words(row.waiting_for)}: " if row.state == "waiting" and row.waiting_for else ""
    return f"{waits}{row.reason or ''}"


def _named(session: Session, clip: str, as_json: bool) -> None:
    """Print one clip, or the refused uploads that would be it."""
    row, refused = session.registry.get(clip), session.registry.refusals.now(clip)
    if row is not None or not refused:
        _one(session, row or find_clip(session.registry, clip), refused, as_json)
    elif as_json:
        print_json({"clip": clip, "state": "refused", "refused_uploads": plain_refused(refused)})
    else:
        out.print(
            f"{clip} is not a clip yet: its upload was refused. Nothing was sent and nothing was paid.", highlight=False
        )
        print_refused(refused, len(refused))


def _one(session: Session, row: ClipRow, refused: Sequence[RefusedRow], as_json: bool) -> None:
    candidate = Candidate.from_content(row.content)
    requests = sorted(session.ledger.list(clip=row.clip, newest_first=False), key=lambda request: request.take)
    events = {request.fingerprint: session.ledger.events(request.fingerprint) for request in requests}
    paid = session.ledger.spend_of(row.clip)
    answers, answer = _answers(session, row.clip), _answer(session, row)
    if as_json:
        print_json(
            {
                **_plain(row),
                "answer": answer.title if answer else None,
                "next": answer.next if answer else None,
                "resumes_by_itself": row.wait.resumes_by_itself if row.wait else None,
                "files": [{"name": file.name, "key": file.key, "kind": file.kind} for file in candidate.files],
                "brief": candidate.brief.model_dump(mode="json", exclude_unset=True),
                "answers": [info.key for info in answers],
                "refused_uploads": plain_refused(refused),
                "paid": _plain_paid(*paid.values()),
                "requests": [
                    {
                        **asdict(request),
                        "paid": _plain_paid(*(paid[name] for name in [request.fingerprint] if name in paid)),
                        "events": [asdict(event) for event in events[request.fingerprint]],
                    }
                    for request in requests
                ],
            }
        )
        return
    facts = [
        ("clip", row.clip),
        ("state", f"{row.state} since {_time(row.updated_at)}"),
        ("reason", _reason(row)),
        ("what to do", row.remedy or ""),
        ("answer", answer.title if answer else ""),
        ("what happens next", answer.next if answer else ""),
        ("its upload now", "\n".join(f"refused: {found.words} {found.remedy}" for found in refused)),
        ("uploaded as", row.source),
        ("made from", "\n".join(file.key for file in candidate.files)),
        ("brief", json.dumps(candidate.brief.model_dump(mode="json", exclude_unset=True), ensure_ascii=False)),
        ("price of a take", dollars(row.price_microdollars)),
        ("paid in all", _paid(*paid.values()) if requests else ""),
        ("run", row.run_id or ""),
        ("answers in the bucket", "\n".join(f"{info.key}  ({_size(info.size_bytes)})" for info in answers)),
    ]
    print_table(("", ""), [(name, shown) for name, shown in facts if shown and shown != "{}"])
    if requests:
        print_table(
            ("take", "state", "price", "paid", "model", "fingerprint"),
            [
                (
                    request.take,
                    request.state,
                    dollars(request.price_microdollars),
                    _paid(*(paid[name] for name in [request.fingerprint] if name in paid)),
                    request.model_id or request.family,
                    request.fingerprint[:12],
                )
                for request in requests
            ],
        )
    for request in requests:
        print_table(
            ("when", "what", "state", "reason"),
            [(_time(each.at), each.what, each.to_state, each.reason) for each in events[request.fingerprint]],
            title=f"take {request.take}: {request.state}, {request.model_id or request.family},"
            f" {request.request_id or 'no request yet'} ({request.fingerprint[:12]})",
        )


def _answer(session: Session, row: ClipRow) -> Answer | None:
    """Return what the clip's note in the bucket says too."""
    settings = session.settings
    money = session.ledger.money_of(row.clip, row.planned_fingerprint)
    return answer_of(row, money, service=settings.service, retries_per_clip=settings.retries_per_clip)


def _paid(*spent: Spend) -> str:
    """Return what the service charged, and what it has not settled yet, for people."""
    settled, still_open = (sum(getattr(each, name) for each in spent) for name in _MONEY)
    if not still_open:
        return dollars(settled) or "$0.00"
    said = f"{dollars(settled)} and " if settled else ""
    return f"{said}{dollars(still_open)} that the service has not settled yet"


def _plain_paid(*spent: Spend) -> dict[str, int]:
    return {name: sum(getattr(each, name) for each in spent) for name in _MONEY}


def _answers(session: Session, clip: str) -> list[Any]:
    """Return the clip's files in the bucket; if the bucket does not answer, say so and go on without them."""
    try:
        return list(session.bucket.list(keys.clip_key(clip, "x")[:-1]))
    except StorageError as error:
        err.print(f"The bucket was not read: {error.text}", markup=False, highlight=False)
        return []


def _plain(row: ClipRow) -> dict[str, Any]:
    names = ("clip", "state", "source", "priority", "waiting_for", "reason", "remedy", "run_id", "fingerprint", "planned_fingerprint",
             "price_microdollars", "chosen_take", "extra_takes", "retries", "stopped_by", "admitted_at", "updated_at", "delivered_at")  # fmt: skip
    return {name: getattr(row, name) for name in names}


def _time(value: datetime) -> str:
    return value.strftime("%Y-%m-%d %H:%M UTC")


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


@app.command()
def fetch(
    clips: Annotated[list[str], typer.Argument(help="Clips that have a video.")],
    output_dir: Annotated[Path, typer.Option(help="Folder for the files (made when missing).")],
    everything: Annotated[bool, typer.Option("--all", help="Also posters, previews and the manifest.")] = False,
    as_json: AsJson = False,
) -> None:
    """Download clips' videos from the bucket, as CLIP.mp4.

    i2v fetch hero --output-dir .

    i2v fetch hero shoes--0001 --output-dir videos --all
    """
    fetched: list[dict[str, Any]] = []
    worst = Exit.OK
    with open_session() as session:
        rows = [find_clip(session.registry, name) for name in dict.fromkeys(clips)]
        for row in rows:
            try:
                fetched.append({"clip": row.clip, **_fetch(session, row, output_dir, everything=everything)})
            except I2VError as error:
                worst = _worse(worst, error)
                fetched.append({"clip": row.clip, "files": [], "reason": error.message, "remedy": error.remedy})
                err.print(f"{row.clip}: {error.text}", markup=False, highlight=False)
    if as_json:
        print_json(fetched)
    else:
        for file in (file for found in fetched for file in found["files"]):
            out.print(file, markup=False, highlight=False)
    raise typer.Exit(worst)


def _worse(worst: Exit, error: Any) -> Exit:
    return worst or exit_code(error)


def _fetch(session: Session, row: ClipRow, folder: Path, *, everything: bool) -> dict[str, Any]:
    bucket = session.bucket
    key = keys.clip_key(row.clip, keys.VIDEO)
    if bucket.head(key) is None:
        words, remedy = f"It has no video: it is {row.state}.", row.reason or f"`i2v status {row.clip}` says more."
        if row.state in (ClipState.REFUSED, ClipState.FAILED):
            raise I2VError(words, remedy=remedy)
        raise TryLater(words, remedy=remedy)
    base = key.removesuffix(keys.VIDEO)
    wanted = [info.key for info in bucket.list(base)] if everything else [key]
    files = []
    for each in wanted:
        name = each.removeprefix(base)
        path = folder / f"{row.clip}.mp4" if name == keys.VIDEO else folder / f"{row.clip}.{name}"
        _download(bucket, each, path)
        files.append(str(path))
    return {"files": files, "state": row.state}


def _download(bucket: Any, key: str, path: Path) -> None:
    try:
        bucket.download(key, path)
    except OSError as error:
        raise UsageProblem(
            f"{path} cannot be written: {error.strerror or type(error).__name__}.",
            remedy="Name another --output-dir, or free some space.",
        ) from None
