"""The registry's uploads and clips as plain data."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from resources.wait_reason import WaitReason, wait_reason


class ClipState(StrEnum):
    """The state of a clip."""

    DUE = "due"
    DISPATCHED = "dispatched"
    WORKING = "working"
    DELIVERED = "delivered"
    REFUSED = "refused"
    FAILED = "failed"
    WAITING = "waiting"
    WITHDRAWN = "withdrawn"


UNMADE = (ClipState.DUE, ClipState.WAITING, ClipState.REFUSED)

WITH_RUN = (ClipState.DISPATCHED, ClipState.WORKING)

FRESH = {"extra_takes": 0, "retries": 0, "lost_runs": 0}

NO_TAKES = {"extra_takes": 0, "take_seeds": None, "chosen_take": None, "rerolls": None}
"""What a new version starts with: takes, seeds and choices belong to the old bytes."""


@dataclass(frozen=True)
class Upload:
    """A complete upload: one clip and its inputs.

    ``version`` is a hash over its files' names and ETags; ``content`` is JSON for the planner (files, brief).
    """

    clip: str
    source: str
    version: str
    content: str
    priority: int = 0
    held: bool = False


@dataclass(frozen=True)
class ClipRow:
    """One clip with its upload and its latest result; times are UTC.

    ``extra_takes`` were made beyond what the brief asks for. ``take_seeds`` is JSON of what a person asked of them: a
    seed, or of a video of several pieces also the first one to make anew, ``rerolls`` a JSON list of the numbers of those that a low quality score asked for. ``waiting_for`` is a
    `WaitReason`; ``reason`` and ``remedy`` say the same in words. ``retries`` counts failed
    generations that were tried again, ``lost_runs`` runs that ended without a result. ``answered_version`` is the
    version of the upload that the latest result is about, ``delivered_version`` the one that the video is of.
    ``arrived_at`` is when the present version was admitted; None if an earlier release admitted it.
    ``stopped_by`` is who stopped the clip: nothing more is paid for it, what was paid for is still fetched.
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
    arrived_at: datetime | None = None
    stopped_by: str | None = None

    @property
    def came_at(self) -> datetime:
        """When this version of the upload was admitted."""
        return self.arrived_at or self.admitted_at

    @property
    def wait(self) -> WaitReason | None:
        """Why the clip waits, or what follows its failure; None for neither and for a later version's word."""
        return wait_reason(self.waiting_for)


@dataclass(frozen=True)
class Admission:
    """The changes that one scan of the uploads made."""

    new: tuple[str, ...]
    changed: tuple[str, ...]
    withdrawn: tuple[str, ...]


@dataclass(frozen=True)
class RefusedRow:
    """An upload that cannot become a clip.

    Attributes:
        source: the key that is at fault, with the line of a list.
        version: changes when the refusal changes.
        words: what is wrong.
        remedy: what to do.
        clip: the clip that it would be, if that name is known.
    """

    source: str
    version: str
    words: str
    remedy: str
    clip: str | None = None


@dataclass(frozen=True)
class Refusals:
    """The changes that a scan made to the refused uploads.

    Attributes:
        refused: sources refused for the first time, or for another reason than before.
        resolved: sources that are no longer refused.
        freed: clip names that no refused upload uses any longer.
    """

    refused: tuple[str, ...]
    resolved: tuple[str, ...]
    freed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ObjectClaim:
    """An object and the document that it belongs to.

    Attributes:
        document: The document's key.
        etag: The object's ETag when the document claimed it last.
        since: When it was claimed.
        gone_since: When the document was first missed; None while it is there.
        paid: A clip of these bytes was paid for under the claim.
        clip: A clip that it is a file of.
        version: That clip's version.
    """

    document: str
    etag: str
    since: datetime
    gone_since: datetime | None = None
    paid: bool = False
    clip: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class KnownTree:
    """A top folder of the uploads as earlier scans saw it.

    Attributes:
        first_seen: When a scan saw it first.
        changed_at: The newest object that any scan saw in it; a partial scan does not see them all.
        fed_by: What feeds it: documents or loose images; None while it is new.
        fed_since: Since when.
    """

    first_seen: datetime
    changed_at: datetime | None = None
    fed_by: Literal["documents", "loose"] | None = None
    fed_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ClaimChange:
    """What one scan says of an object's claim.

    Attributes:
        key: The object.
        document: The document that orders it.
        etag: The object's ETag.
        clip: A clip that it is a file of; None while there is none.
        version: That clip's version.
    """

    key: str
    document: str
    etag: str
    clip: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a clip is, without what it is made from.

    ``owed``: it has no answer yet, and money may have moved for it.
    """

    version: str
    source: str
    state: ClipState
    delivered_version: str | None
    owed: bool = False

    @property
    def paid(self) -> bool:
        """True if its present version was paid for, or a run may be paying for it."""
        return self.delivered_version == self.version or self.state is ClipState.WORKING or self.owed
