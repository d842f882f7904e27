"""Why a clip cannot go on now: the one list of reasons, and what each one means for the next step.

A reason never says whether money moved: that is read from the ledger (`resources.ledger.records.Money`).
"""

from datetime import timedelta
from enum import StrEnum


class WaitReason(StrEnum):
    """Why a clip or a request has to wait. The values are stored in the registry, so they stay as they are."""

    BUDGET = "budget"
    """A cap of the day or of the run is reached."""
    PRICE = "price"
    """The price cannot be read."""
    PRICE_CHANGED = "price_changed"
    """The service asks for more than the plan showed, so the clip is planned, and agreed to, again."""
    PRICE_AGREEMENT = "price_agreement"
    """A cost or the model that answered was a surprise, so a person has to agree before more of the family is paid for."""
    APPROVAL = "approval"
    """A person has to approve it first."""
    HEAP = "heap"
    """It came with many loose clips that cost much together; a person approves them as one. It goes
    on by itself if they are fewer than it seemed."""
    FILM = "film"
    """Another shot of its film was refused or would be, so the film cannot be made as it is."""
    WINDOW = "window"
    """The hours in which paid work may start are over."""
    CATALOGUE = "catalogue"
    """The service's catalogue does not have the model, or has changed its entry."""
    KEEP_FACE = "keep_face"
    """No endpoint takes both the image and the voice now."""
    ACCOUNT = "account"
    """The token is not accepted, or the balance is used up."""
    SERVICE = "service"
    """The service or its catalogue does not answer, or refuses for now."""
    STORAGE = "storage"
    """The bucket or the ledger does not answer."""
    LEDGER = "ledger"
    """The bucket knows another ledger than this one; a person has to point to it, join or rebuild."""
    REPLACED = "replaced"
    """A file has other bytes than were planned, so the new ones are another request."""
    UNKNOWN = "unknown"
    """It may have been submitted; a person has to find out."""
    DEADLINE = "deadline"
    """Submitted, and not ended within the time that a run waits."""
    STOPPED = "stopped"
    """The run was stopped before the end."""
    DOWNLOAD = "download"
    """Made at the service, but not fetched yet."""
    LOST = "lost"
    """Made at the service once, and gone from there and from the bucket."""
    NOT_FOUND = "not_found"
    """The service does not know a request that it accepted; it is asked for every hour."""
    OUTAGE = "outage"
    """The service does not know many of the requests that it accepted, so nothing is submitted."""
    NO_VIDEO = "no_video"
    """What the service gives as the video is none; it is asked for again every hour."""
    PAUSED = "paused"
    """A person paused all paid work."""
    PERSON = "person"
    """A person stopped the clip."""
    RETRY = "retry"
    """Failed; the retry schedule tries it again."""
    NEVER = "never"
    """Failed; only a person tries it again."""
    FINAL = "final"
    """Failed, and the same request would fail again: only a new take or a changed upload helps."""

    @property
    def resumes_by_itself(self) -> bool:
        """True if a sensor or schedule lets the clip go on without a person's command."""
        return self not in _NEEDS_COMMAND

    @property
    def retry_after(self) -> timedelta | None:
        """How long the dispatch sensor leaves the clip alone before it tries again; None if it looks at a gate."""
        return _RETRY_AFTER.get(self)

    @property
    def is_decision(self) -> bool:
        """True if the clip was set aside on purpose, so that its wait is not overdue."""
        return self in (
            WaitReason.APPROVAL,
            WaitReason.HEAP,
            WaitReason.FILM,
            WaitReason.PAUSED,
            WaitReason.PERSON,
        )

    @property
    def is_approvable(self) -> bool:
        """True if the clip waits for nothing but a person's approval, which lets it go on at once."""
        return self in (WaitReason.APPROVAL, WaitReason.HEAP, WaitReason.FILM)

    @property
    def is_error(self) -> bool:
        """True if something went wrong that only a person can put right, so that the UI's check fails, not warns."""
        return self in (WaitReason.UNKNOWN, WaitReason.LOST)


_NEEDS_COMMAND = frozenset(
    {
        WaitReason.APPROVAL,
        WaitReason.HEAP,
        WaitReason.UNKNOWN,
        WaitReason.LOST,
        WaitReason.PERSON,
        WaitReason.NEVER,
        WaitReason.FINAL,
    }
)

_RETRY_AFTER = {
    # The request is paid for and only has to be fetched, or the clip only has to be planned again.
    WaitReason.DEADLINE: timedelta(minutes=1),
    WaitReason.STOPPED: timedelta(minutes=1),
    WaitReason.PRICE_CHANGED: timedelta(minutes=1),
    # The upload sensor usually is faster: it sees the new bytes.
    WaitReason.REPLACED: timedelta(minutes=5),
    # Outages of minutes.
    WaitReason.DOWNLOAD: timedelta(minutes=5),
    WaitReason.STORAGE: timedelta(minutes=5),
    WaitReason.SERVICE: timedelta(minutes=5),
    # A person has to act, and the next try shows whether they did.
    WaitReason.PRICE: timedelta(minutes=15),
    WaitReason.PRICE_AGREEMENT: timedelta(minutes=15),
    WaitReason.ACCOUNT: timedelta(minutes=15),
    WaitReason.LEDGER: timedelta(minutes=15),
    # It is paid for, and the service may give it yet.
    WaitReason.OUTAGE: timedelta(minutes=2),
    WaitReason.NOT_FOUND: timedelta(hours=1),
    WaitReason.NO_VIDEO: timedelta(hours=1),
    WaitReason.KEEP_FACE: timedelta(hours=1),
    WaitReason.CATALOGUE: timedelta(hours=1),
}


def wait_reason(value: str | None) -> WaitReason | None:
    """Return the reason that the registry stored; None for none, and for one that a later version wrote."""
    return WaitReason(value) if value in set(WaitReason) else None
