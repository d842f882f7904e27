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


def usd(microdollars: int | None) -> float | None:
    """Return an amount in US dollars as a number, for plots and comparisons; None for None."""
    return None if microdollars is None else microdollars / MICRO
