"""Pipeline context, the scope of a run, and the result per clip."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from i2v_assets.pipeline.film_watch import FilmWatch
from i2v_assets.pipeline.heap_watch import HeapWatch
from i2v_assets.planning.plan import PlanOptions
from resources.generation.types import GenerationRequest, Outcome
from resources.ledger.ledger import Ledger
from resources.media.pool import MediaPool
from resources.registry.registry import ClipState, Registry
from resources.runcomfy.offers import Offers
from resources.settings import Settings
from resources.storage.bucket import Bucket


@dataclass(frozen=True)
class Result:
    """One clip's line in the run's table."""

    clip: str
    state: ClipState
    reason: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class RunScope:
    """What this run was asked for.

    Attributes:
        run_id: Dagster's.
        budget_run: the run that the cap of a run counts for, if another: of an automatic retry, the first one.
        by_hand: a person started it, which approves its clips at their plans' prices; no other run does.
        retried: Dagster started it again after a crash: what was approved stays so, and no failure is paid for anew.
        plan: plan the clips.
        make: make the videos (the only part that costs money).
        dispatched: one of the project's own sensors asked for it, which distinguishes its clips from others of the range.
    """

    run_id: str
    by_hand: bool
    retried: bool = False
    plan: bool = True
    make: bool = True
    dispatched: bool = True
    budget_run: str = ""


@dataclass(frozen=True)
class PipelineContext:
    """What the pipeline of a clip works with."""

    settings: Settings
    bucket: Bucket
    ledger: Ledger
    registry: Registry
    offers: Offers
    options: PlanOptions
    generate: Callable[[GenerationRequest], Awaitable[Outcome]]
    scratch: Path
    pool: MediaPool
    heaps: HeapWatch | None = None
    """None if loose clips never ask."""
    films: FilmWatch | None = None
    """None if no clip of the run is a shot of a film."""
