"""What the registry knows of uploads and clips, as data."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from resources.wait_reason import WaitReason, wait_reason


class ClipState(StrEnum):
    """How far a clip has come."""

    DUE = "due"
    DISPATCHED = "dispatched"
    WORKING = "working"
    DELIVERED = "delivered"
    REFUSED = "refused"
    FAILED = "failed"
    WAITING = "waiting"
    WITHDRAWN = "withdrawn"


UNMADE = (ClipState.DUE, ClipState.WAITING, ClipState.REFUSED)

FRESH = {"extra_takes": 0, "retries": 0, "lost_runs": 0}

NO_TAKES = {"extra_takes": 0, "take_seeds": None, "chosen_take": None, "rerolls": None}
"""What a new version starts with: the takes, seeds and choices that were made belong to the old bytes."""


@dataclass(frozen=True)
class Upload:
    """A complete upload: one clip and what it is made from.

    ``version`` is a hash over its files' names and ETags; ``content`` is JSON that the planner understands (files, brief).
    """

    clip: str
    source: str
    version: str
    content: str
    priority: int = 0


@dataclass(frozen=True)
class ClipRow:
    """One clip with its upload and its latest answer; times are UTC.

    ``extra_takes`` were made beyond what the brief asks for; ``take_seeds`` is JSON of the seeds that a person gave them,
    ``rerolls`` a JSON list of the numbers of those that a low quality score asked for.
    ``waiting_for`` is a `WaitReason`; ``reason`` and ``remedy`` say the same in words.
    ``retries`` counts failed generations that were tried again, ``lost_runs`` runs that ended without an answer.
    ``answered_version`` is the version of the upload that the latest answer is about, ``delivered_version`` the one that the
    video is of.
    """

    clip: str
    source: str
    version: str
    content: str
    priority: int
    state: ClipState
    batch: str | None
    run_id: str | None
    answered_version: str | None
    waiting_for: str | None
    reason: str | None
    fingerprint: str | None
    planned_fingerprint: str | None
    price_microdollars: int | None
    chosen_take: int | None
    extra_takes: int
    take_seeds: str | None
    retries: int
    lost_runs: int
    admitted_at: datetime
    updated_at: datetime
    delivered_at: datetime | None
    delivered_version: str | None
    archived_at: datetime | None
    rerolls: str | None = None
    remedy: str | None = None

    @property
    def wait(self) -> WaitReason | None:
        """Why the clip waits, or what follows its failure; None for neither and for a later version's word."""
        return wait_reason(self.waiting_for)


@dataclass(frozen=True)
class Admission:
    """What one look at the uploads changed."""

    new: tuple[str, ...]
    changed: tuple[str, ...]
    withdrawn: tuple[str, ...]


@dataclass(frozen=True)
class RefusedRow:
    """An upload that cannot become a clip.

    Attributes:
        source: the key that is to blame, with the line of a list.
        version: changes with what is said of it.
        words: what is wrong.
        remedy: what to do.
        clip: the clip that it would be, where that name is its own.
    """

    source: str
    version: str
    words: str
    remedy: str
    clip: str | None = None


@dataclass(frozen=True)
class Refusals:
    """What a look changed among the refused uploads.

    Attributes:
        refused: sources that are refused since then, or for another reason than before.
        gone: sources that are refused no more.
        freed: clips that no refused upload would be any more.
    """

    refused: tuple[str, ...]
    gone: tuple[str, ...]
    freed: tuple[str, ...]
