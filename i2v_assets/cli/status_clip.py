"""`i2v status CLIP`: one clip in detail, with its takes, its money and its files."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from i2v_assets.cli.console import err, print_json, print_table
from i2v_assets.cli.status_words import local_time, paid_words, plain_clip, plain_paid, plain_refused, reason_words
from i2v_assets.clip_folder.notes import Answer, answer_of
from i2v_assets.operations.clips import takes_of
from i2v_assets.session import Session
from i2v_assets.uploads.types import Candidate
from resources.money import dollars
from resources.registry.registry import ClipRow, RefusedRow
from resources.storage import keys
from resources.storage.errors import StorageError


def print_clip(session: Session, row: ClipRow, refused: Sequence[RefusedRow], as_json: bool) -> None:
    """Print a clip: its state, its answer, its files, and each take with its price, its cost and its events."""
    candidate = Candidate.from_content(row.content)
    requests = sorted(session.ledger.list(clip=row.clip, newest_first=False), key=lambda request: request.take)
    events = {request.fingerprint: session.ledger.events(request.fingerprint) for request in requests}
    paid = session.ledger.spend_of(row.clip)
    answers, answer = _files(session, row.clip), _answer(session, row)
    if as_json:
        print_json(
            {
                **plain_clip(row),
                "answer": answer.title if answer else None,
                "next": answer.next if answer else None,
                "resumes_by_itself": row.wait.resumes_by_itself if row.wait else None,
                "files": [{"name": file.name, "key": file.key, "kind": file.kind} for file in candidate.files],
                "brief": candidate.brief.model_dump(mode="json", exclude_unset=True),
                "answers": [info.key for info in answers],
                "refused_uploads": plain_refused(refused),
                "paid": plain_paid(*paid.values()),
                "requests": [
                    {
                        **asdict(request),
                        "paid": plain_paid(*(paid[name] for name in [request.fingerprint] if name in paid)),
                        "events": [asdict(event) for event in events[request.fingerprint]],
                    }
                    for request in requests
                ],
            }
        )
        return
    facts = [
        ("clip", row.clip),
        ("state", f"{row.state} since {local_time(row.updated_at)}"),
        ("reason", reason_words(row)),
        ("what to do", row.remedy or ""),
        ("answer", answer.title if answer else ""),
        ("what happens next", answer.next if answer else ""),
        ("its upload now", "\n".join(f"refused: {found.words} {found.remedy}" for found in refused)),
        ("uploaded as", row.source),
        ("made from", "\n".join(file.key for file in candidate.files)),
        ("brief", json.dumps(candidate.brief.model_dump(mode="json", exclude_unset=True), ensure_ascii=False)),
        ("price of a take", dollars(row.price_microdollars)),
        ("price of all takes", _all_takes(row)),
        ("paid in all", paid_words(*paid.values()) if requests else ""),
        ("run", row.run_id or ""),
        ("answers in the bucket", "\n".join(f"{info.key}  ({_size(info.size_bytes)})" for info in answers)),
    ]
    print_table(("", ""), [(name, shown) for name, shown in facts if shown and shown != "{}"])
    if requests:
        print_table(
            ("take", "state", "at most", "paid", "model", "fingerprint"),
            [
                (
                    request.take,
                    request.state,
                    dollars(request.price_microdollars),
                    paid_words(*(paid[name] for name in [request.fingerprint] if name in paid)),
                    request.model_id or request.family,
                    request.fingerprint[:12],
                )
                for request in requests
            ],
        )
    for request in requests:
        print_table(
            ("when", "what", "state", "reason"),
            [(local_time(each.at), each.what, each.to_state, each.reason) for each in events[request.fingerprint]],
            title=f"take {request.take}: {request.state}, {request.model_id or request.family},"
            f" {request.request_id or 'no request yet'} ({request.fingerprint[:12]})",
        )


def _all_takes(row: ClipRow) -> str:
    """Return what all takes cost together, if there is more than one."""
    takes = takes_of(row)
    return f"{dollars(row.price_microdollars * takes)} for {takes}" if row.price_microdollars and takes > 1 else ""


def _answer(session: Session, row: ClipRow) -> Answer | None:
    """Return what the clip's note in the bucket says too."""
    settings = session.settings
    money = session.ledger.money_of(row)
    return answer_of(row, money, service=settings.service, retries_per_clip=settings.retries_per_clip)


def _files(session: Session, clip: str) -> list[Any]:
    """Return the clip's files in the bucket; if the bucket does not answer, say so and go on without them."""
    try:
        return list(session.bucket.list(keys.clip_key(clip, "x")[:-1]))
    except StorageError as error:
        err.print(f"The bucket was not read: {error.text}", markup=False, highlight=False)
        return []


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"
