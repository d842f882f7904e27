"""Convert I2VError into dagster.Failure so that the UI shows the remedy."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from resources.errors import I2VError
from resources.outside_text import lines
from resources.own_commands import pasteable


@contextmanager
def as_dagster_failure() -> Iterator[None]:
    """Raise errors of the project as a failure that says what to do.

    Raises:
        dagster.Failure: in place of the error, which stays its cause; never retried by itself.
    """
    try:
        yield
    except I2VError as error:
        raise dg.Failure(description=lines(pasteable(error.text)), allow_retries=False) from error
    except BaseExceptionGroup as group:  # the clips of a step run side by side
        found = _first(group)
        if found is None:
            raise
        raise dg.Failure(description=lines(pasteable(found.text)), allow_retries=False) from group


def _first(group: BaseExceptionGroup[BaseException]) -> I2VError | None:
    """Return an error of the project in the group, if nothing else is in it; an interrupt or a bug is not converted."""
    ours, others = group.split(I2VError)
    if ours is None or others is not None:
        return None
    leaf: BaseException = ours
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    return leaf if isinstance(leaf, I2VError) else None
