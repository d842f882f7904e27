"""What the launchpad's jobs share: the session, who decides, and the words of their fields."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg

from i2v_assets.defs.failures import as_dagster_failure
from resources.dagster_resources import LedgerResource
from resources.runcomfy.resource import RunComfyResource

if TYPE_CHECKING:
    from i2v_assets.session import Session

CLIP = "The clip's partition key, such as hero or shoes--0001."


@contextmanager
def operating(runcomfy: RunComfyResource, ledger: LedgerResource) -> "Iterator[Session]":
    """Open what an operation works with; its errors end the step with their remedy."""
    from i2v_assets.session import Session

    with as_dagster_failure(), ledger.open() as (requests, registry):
        yield Session(runcomfy.settings(), requests, registry)


def by_run(context: dg.OpExecutionContext) -> str:
    """Return who decides, for the ledger's events: whoever started the run."""
    return f"run {context.run_id}"
