"""Notes in the ledger which deliveries were answered by an earlier payment: what not paying twice has saved."""

import asyncio
from collections.abc import Sequence

from i2v_assets.making.takes import Take
from resources.ledger import Ledger
from resources.ledger.registry import ClipRow


async def note_reuse(ledger: Ledger, row: ClipRow, takes: Sequence[Take]) -> None:
    """Note the takes of a new upload that nobody had to pay for; a delivered clip that is told again saves nothing."""
    if row.delivered_version == row.version:
        return
    for take in takes:
        # A clip that finds its own video there (its earlier run died after the payment) has saved nothing either.
        of_another = take.row.clip != row.clip or row.delivered_at is not None
        if take.outcome.already and of_another:
            await asyncio.to_thread(ledger.reused, take.plan.fingerprint, clip=row.clip, version=row.version)
