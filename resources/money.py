"""Money as text and as a number. Inside the project money is always integer micro-dollars."""

MICRO = 1_000_000
"""Micro-dollars in a US dollar."""


def dollars(microdollars: int | None) -> str:
    """Return an amount for people, in US dollars: two places, more if the amount needs them; empty for None."""
    if microdollars is None:
        return ""
    sign = "-" if microdollars < 0 else ""
    whole, rest = divmod(abs(microdollars), MICRO)  # exact: no float touches money
    return f"{sign}${whole:,}.{f'{rest:06d}'.rstrip('0').ljust(2, '0')}"


def price_words(expected: int | None, at_most: int | None) -> str:
    """Return a price for people: what is expected, and the most that is agreed to where that is more."""
    if expected is None or at_most is None:
        return "an unknown price"
    most = dollars(at_most) or "$0"
    return most if expected >= at_most else f"about {dollars(expected)}, at most {most}"


def usd(microdollars: int | None) -> float | None:
    """Return an amount in US dollars as a number, for plots and comparisons; None for None."""
    return None if microdollars is None else microdollars / MICRO
