"""Long lists of keys in statements."""

from collections.abc import Iterator, Sequence

CHUNK = 500
"""Keys per statement with an IN list: below SQLite's smallest limit of 999 bound variables."""


def chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """The names in parts that one statement takes."""
    for start in range(0, len(names), CHUNK):
        yield names[start : start + CHUNK]
