"""`i2v status FILM`: one film in detail, with its shots."""

from typing import Any

from i2v_assets.cli.console import out, print_json, print_table
from i2v_assets.cli.status_words import local_time, paid_words, plain_paid
from i2v_assets.operations.films import FilmStatus
from i2v_assets.session import Session
from resources.money import MICRO, dollars
from resources.registry.registry import ClipRow


def print_film(session: Session, film: FilmStatus, as_json: bool) -> None:
    """Print a film: its state, why it is not joined, its files and its shots."""
    shots = _shots(session, film)
    spent = session.ledger.spend_by_clip({str(each["clip"]) for each in shots})
    answer = film.answer
    if as_json:
        print_json(
            {
                "film": film.name,
                "state": film.state,
                "since": film.since,
                "source": film.source,
                "answer": answer.title if answer else None,
                "next": answer.next if answer else None,
                "problems": [problem.text for problem in answer.problems] if answer else [],
                "paid": plain_paid(*spent.values()),
                "shots": shots,
                "answers": [info.key for info in film.files.values()],
            }
        )
        return
    facts = [
        ("film", film.name),
        ("state", f"{film.state}{f' since {local_time(film.since)}' if film.since else ''}"),
        ("answer", answer.title if answer else ""),
        ("reason", "\n".join(problem.text for problem in answer.problems) if answer else ""),
        ("what happens next", answer.next if answer else ""),
        ("paid for its shots", paid_words(*spent.values()) if shots else ""),
        ("made from", film.source),
        ("in the bucket", "\n".join(info.key for info in film.files.values())),
    ]
    print_table(("", ""), [fact for fact in facts if fact[1]])
    if shots:
        print_table(
            ("shot", "clip", "state", "at most", "paid", "reason"),
            [
                (
                    each["number"],
                    each["clip"],
                    each["state"],
                    dollars(each["price_microdollars"]),
                    paid_words(*(spent[name] for name in [each["clip"]] if name in spent)),
                    each["reason"],
                )
                for each in shots
            ],
        )
    elif film.state == "found":
        out.print("Its shots are not known yet: the sensor `sequences` reads the file next.", highlight=False)


def _shots(session: Session, film: FilmStatus) -> list[dict[str, Any]]:
    """Return the shots with the present states of their clips."""
    rows = session.registry.many([str(shot.get("clip")) for shot in film.shots])
    return [_shot(shot, rows.get(str(shot.get("clip")))) for shot in film.shots]


def _shot(shot: Any, row: ClipRow | None) -> dict[str, Any]:
    price = shot.get("price_usd")
    return {
        "number": shot.get("number"),
        "clip": shot.get("clip"),
        "state": row.state if row is not None else shot.get("state"),
        "price_microdollars": round(price * MICRO) if isinstance(price, int | float) else None,
        "reason": (row.reason if row is not None else shot.get("reason")) or "",
    }
