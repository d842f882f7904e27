"""The checks `price` and `model` of a delivered clip: what its takes cost, and which model answered. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from resources.ledger.records import RequestRow
from resources.money import dollars
from resources.runcomfy.model_names import same_model

PRICE, MODEL = "price", "model"

Details = Mapping[str, str | int | None]


def price_and_model(rows: Sequence[RequestRow]) -> Iterator[tuple[str, bool, Details]]:
    """Yield each check that has something to compare: its name, whether it passes, and its details.

    Each is about the first of the requests that does not pass, else about the first that was compared.
    """
    priced = [row for row in rows if told_cost(row) is not None and row.price_microdollars]
    if priced:
        row = next((each for each in priced if each.price_surprise), priced[0])
        yield PRICE, not row.price_surprise, price_details(row)
    named = [row for row in rows if row.answered_model_id is not None and row.model_id is not None]
    if named:
        row = next((each for each in named if is_substituted(each)), named[0])
        why = "More of this family waits until a person has agreed to it"
        details = {"take": row.take, "paid for": row.model_id, "answered": row.answered_model_id}
        yield (
            MODEL,
            not is_substituted(row),
            {**details, "what to do": _agree(row, why) if is_substituted(row) else None},
        )


def is_substituted(row: RequestRow) -> bool:
    """Return whether another model answered than was paid for."""
    return row.model_id != row.answered_model_id and not same_model(row.model_id, row.answered_model_id)


def told_cost(row: RequestRow) -> int | None:
    """Return the cost as the service reported it, also if another one counts."""
    return row.cost_microdollars if row.told_microdollars is None else row.told_microdollars


def price_details(row: RequestRow) -> Details:
    """Return what a request cost beside what was reserved for it, and what to do if it is too much."""
    over = row.price_surprise
    return {
        "take": row.take,
        "cost": dollars(told_cost(row)),
        "at most": dollars(row.price_microdollars),
        "surprise": dollars(over) if over else None,
        "what to do": _agree(row, "More of its kind waits until a person has agreed to the price") if over else None,
    }


def _agree(row: RequestRow, why: str) -> str:
    return (
        f"{why}. Compare it with the service's console, then: i2v models --accept {row.family}. If the bill has another"
        f" cost: i2v ledger cost {row.fingerprint[:12]} USD"
    )
