"""Decide how long the demo waits: while anything moves, until each clip has ended or something is wrong. Pure."""

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from i2v_assets.cli.wait_words import wait_words
from resources.ledger.records import RequestRow, State
from resources.messages import counted
from resources.registry.rows import ClipRow, ClipState

STILL_SECONDS = 300.0
"""Seconds without any movement after which something is wrong. A run shows a sign of life every 15 s, a dead one is replaced
after 3 minutes, and a process starts in 10 s on two idle cores: this is more than each of them on a busy machine."""

_ENDED = (ClipState.DELIVERED, ClipState.REFUSED, ClipState.FAILED, ClipState.WITHDRAWN)


@dataclass(frozen=True)
class DemoView:
    """What the registry and the ledger say of the demo's clips at one moment.

    Attributes:
        clips: The names of the clips that are to be made.
        rows: The clips that are registered, by name.
        requests: The requests of all clips.
        beats: When each run of them last showed that it is alive.
    """

    clips: Collection[str]
    rows: Mapping[str, ClipRow]
    requests: Collection[RequestRow] = ()
    beats: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def ended(self) -> tuple[str, ...]:
        """The clips that nothing more happens to by itself."""
        return tuple(clip for clip in self.clips if clip in self.rows and _has_ended(self.rows[clip]))

    @property
    def waits_for(self) -> str:
        """What has to happen next, in words that complete "waiting for ..."; empty if all clips have ended."""
        stages: dict[str, list[str]] = {}
        for clip in self.clips:
            if clip not in self.ended:
                stages.setdefault(self._stage(clip), []).append(clip)
        return "; ".join(f"{stage} ({', '.join(clips)})" for stage, clips in stages.items())

    @property
    def signature(self) -> Hashable:
        """A value that differs between two views if anything has moved between them."""
        clips = sorted((row.clip, row.state, row.updated_at, row.run_id or "") for row in self.rows.values())
        requests = sorted(
            (each.fingerprint, each.state, each.attempt, str(each.started_at), str(each.delivered_at))
            for each in self.requests
        )
        return (tuple(clips), tuple(requests), tuple(sorted(self.beats.items())))

    def _stage(self, clip: str) -> str:
        row = self.rows.get(clip)
        if row is None:
            return "the upload sensor to find its files"
        match row.state:
            case ClipState.DUE:
                return "a run to be requested"
            case ClipState.DISPATCHED:
                return "its run to start"
            case ClipState.WAITING:
                return f"the next run, since it {wait_words(row.waiting_for or '')}" if row.waiting_for else "its run"
        states = {each.state for each in self.requests if each.clip == clip}
        if states & {State.SUBMITTING, State.SUBMITTED, State.UNKNOWN}:
            return "the sandbox to make it"
        return "quality checks and previews" if State.SUCCEEDED in states else "its plan and price"


def _has_ended(row: ClipRow) -> bool:
    if row.state is ClipState.WAITING:
        return row.wait is not None and not row.wait.resumes_by_itself
    return row.state in _ENDED


@dataclass
class StillnessWatch:
    """Measure how long nothing has moved.

    Attributes:
        seconds: How long is too long.
    """

    seconds: float = STILL_SECONDS
    _signature: Hashable = None
    _since: float | None = None

    def stands_still(self, view: DemoView, now: float) -> bool:
        """Return whether nothing has moved for too long; ``now`` is a monotonic clock's time in seconds."""
        if self._since is None or view.signature != self._signature:
            self._signature, self._since = view.signature, now
        return now - self._since > self.seconds


def problem_words(clip: str, row: ClipRow | None) -> str:
    """Return one sentence about a clip without a video: its state, the reason, and what to do."""
    if row is None:
        return f"{clip}: the upload sensor did not find its files."
    reason = row.reason or "No reason was noted."
    return " ".join(part for part in (f"{clip} is {row.state}.", reason, row.remedy or "") if part)


def still_words(view: DemoView, seconds: float) -> str:
    """Return that nothing has moved, and what was waited for."""
    open_clips = len(view.clips) - len(view.ended)
    return f"Nothing has moved for {seconds:.0f} s. {counted(open_clips, 'clip')} waited for {view.waits_for}."
