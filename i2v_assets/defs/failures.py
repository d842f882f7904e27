"""How runs end that do not succeed: an I2VError as dagster.Failure with its remedy, a stop as one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from resources.dagster_runs import stop_kind
from resources.errors import I2VError
from resources.outside_text import lines, plain
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


def interrupted(context: dg.OpExecutionContext | dg.AssetExecutionContext) -> BaseException:
    """Return Dagster's exception for a run that a signal ended, which says who stopped it; the log says it too."""
    by_person = stop_kind(context.instance, context.run.run_id) == "person"
    who = "stopped by a person" if by_person else "stopped from outside (a deploy, a restart or a time limit)"
    words = f"The run was {who}. What was sent to the service is fetched by itself."
    context.log.warning(plain(words))
    return dg.DagsterExecutionInterruptedError(words)


def _first(group: BaseExceptionGroup[BaseException]) -> I2VError | None:
    """Return an error of the project in the group, if nothing else is in it; an interrupt or a bug is not converted."""
    ours, others = group.split(I2VError)
    if ours is None or others is not None:
        return None
    leaf: BaseException = ours
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    return leaf if isinstance(leaf, I2VError) else None
