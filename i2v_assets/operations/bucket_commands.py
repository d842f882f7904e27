"""Commands of people who have only the bucket: any file at ``uploads/_do/approve-<clip>`` or ``uploads/_do/cancel-<clip>``.

The clip may be named as its upload is (``approve-Blue Vase.jpg``). Each acts once. A record below ``clips/_do/`` names the command's ETag, so that neither a second look nor a lost ledger acts
again; it goes once the command is deleted. The answer lies beside the clip, as APPROVE.txt or CANCEL.txt. A command about
no clip is answered below ``clips/_refused/``, until it is deleted.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from i2v_assets.clip_folder.writer import JSON, TEXT
from i2v_assets.operations.approve import approve_plan
from i2v_assets.operations.cancel import cancel_clip
from i2v_assets.operations.clips import NotPossible, find_clip
from i2v_assets.operations.stored_plan import stored_at_most, stored_plan
from i2v_assets.session import Session
from i2v_assets.uploads.noise import is_noise_name, originals_of
from i2v_assets.uploads.roles import CONVERTIBLE, MEDIA_ENDINGS, SIDECAR_ENDINGS, split_name
from resources.errors import I2VError, Verdict
from resources.ledger.approvals import ApprovalWay
from resources.messages import pasteable, plain
from resources.money import dollars
from resources.redact import redact
from resources.registry.rows import ClipRow, ClipState
from resources.storage import keys
from resources.storage.bucket import Bucket, ObjectInfo

MOST_SECONDS = 20.0
"""Of one look: planning a clip takes about a second, and a sensor's evaluation has 60. The next look goes on."""

MOST_PAGES = 20
"""Of 1,000 commands each, which only people remove; a look with fewer pages would pass over every `cancel`."""

_VERBS_REMEDY = "Upload a file as uploads/_do/approve-<clip> or uploads/_do/cancel-<clip>."
_NAME_REMEDY = "Name the clip as its folder below clips/ is called, without an ending."

_OFF = "Commands in the bucket are off."
_OFF_REMEDY = (
    "Whoever runs the service can allow them with I2V_BUCKET_COMMANDS=true; upload the command again after that."
)


@dataclass(frozen=True)
class BucketCommand:
    """One command as it lies in the bucket.

    Attributes:
        verb: its first word in lower case; only `approve` and `cancel` do something.
        named: the clip, as the person wrote it, with an ending or without.
        file: where it lies.
    """

    verb: str
    named: str
    file: ObjectInfo

    @property
    def clips(self) -> tuple[str, ...]:
        """Return the clips that may be meant: an ending such as ``.txt`` may belong to the name, and need not."""
        if keys.is_slug(self.named):
            return (self.named,)
        names = [self.named]
        for _ in range(2):  # the upload's own ending, and the one that an editor adds to it
            stem, ending = split_name(names[-1])
            if ending in _ENDINGS:
                names.append(stem)
        return tuple(dict.fromkeys(map(keys.slug, reversed(names))))

    @property
    def originals(self) -> tuple[str, ...]:
        """Return the clips of which it may be a copied command: systems call one ``hero (1).txt`` or ``hero 2.txt``."""
        if keys.is_slug(self.named):
            return ()
        file = self.named if split_name(self.named)[1] in _ENDINGS else f"{self.named}.txt"
        copied = (*originals_of(file), _NUMBERED.sub("", file))
        return tuple(dict.fromkeys(keys.slug(split_name(name)[0]) for name in copied if name != file))


@dataclass(frozen=True)
class CommandAnswer:
    """What became of a command: what happened to which clip, and whether it was done."""

    command: BucketCommand
    clip: str
    done: bool
    text: str


class _Record(BaseModel):
    """What was done for a command: the ETag and time of its file."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    etag: str
    modified_at: datetime
    done: bool


_ENDINGS = frozenset(
    {*MEDIA_ENDINGS, *CONVERTIBLE, *SIDECAR_ENDINGS, ".text", ".md", ".rtf", ".html", ".doc", ".docx", ".odt"}
)
"""Endings of an upload and of what editors save. What follows another dot belongs to the name: `hero.v2` is not `hero`."""

_NUMBERED = re.compile(r" \d{1,3}(?=\.\w+$)")
"""How macOS names a second file of the same name."""

_MOST_CHARACTERS = 200
"""Of a command's name: no clip's is longer, and a key of S3 ends at 1,024 bytes, of which a character may take four."""

_NAME = re.compile(r"([^\W_]+)[-_ ]+(.+)", re.DOTALL)
"""A word and what it is about; any other file in the folder is not a command."""

_seen: dict[tuple[str, str, str], _Record] = {}
"""Records that this process has read or written, by bucket, key and the record's ETag. May be lost at any time."""

_MOST_SEEN = 10_000


def run_bucket_commands(session: Session) -> tuple[CommandAnswer, ...]:
    """Carry out the commands in the bucket that were not carried out yet, oldest first, and answer each beside its clip.

    Raises:
        StorageError, LedgerError: the bucket or the ledger does not respond; the next look goes on.
    """
    bucket, give_up = session.bucket, time.monotonic() + MOST_SECONDS
    listed = bucket.list_folder(keys.COMMANDS, pages=MOST_PAGES)
    recorded = bucket.list_folder(keys.COMMAND_RECORDS, pages=MOST_PAGES)
    commands = [each for each in map(_command, listed.objects) if each is not None]
    records = {info.key: info for info in recorded.objects}
    if listed.complete:
        wanted = {_record_key(each) for each in commands}
        over = [key for key in records if key not in wanted]
        bucket.delete_many([*over, *map(keys.command_answer_key, over)])
    answers: list[CommandAnswer] = []
    for command in sorted(commands, key=lambda each: (each.file.modified_at, each.verb)):
        if time.monotonic() > give_up:
            break
        key = _record_key(command)
        known = records.get(key) or (None if recorded.complete else bucket.head(key))
        if known is None or not _is_answered(command, _read(bucket, known)):
            answers += _carry_out(session, command)
    return tuple(answers)


def _command(info: ObjectInfo) -> BucketCommand | None:
    """Return the command of a file by its name; None if it is not a command."""
    name = info.key.removeprefix(keys.COMMANDS)
    found = None if is_noise_name(name) or len(name) > _MOST_CHARACTERS else _NAME.fullmatch(name)
    return BucketCommand(found[1].lower(), found[2], info) if found is not None else None


def _record_key(command: BucketCommand) -> str:
    return f"{keys.COMMAND_RECORDS}{command.file.key.removeprefix(keys.COMMANDS)}.json"


def _is_answered(command: BucketCommand, record: _Record | None) -> bool:
    """Return whether nothing is to be done: the same file was carried out, or answered and not written again since."""
    if record is None or record.etag != command.file.etag:
        return False
    return record.done or command.file.modified_at <= record.modified_at


def _read(bucket: Bucket, info: ObjectInfo) -> _Record | None:
    place = (bucket.name, info.key, info.etag)
    if place not in _seen:
        try:
            record = _Record.model_validate_json(bucket.read(info.key, max_bytes=10_000))
        except ValidationError:
            return None
        if len(_seen) >= _MOST_SEEN:
            _seen.clear()
        _seen[place] = record
    return _seen[place]


def _carry_out(session: Session, command: BucketCommand) -> Iterator[CommandAnswer]:
    """Carry out one command and record it; an outage leaves it for the next look."""
    known = [clip for clip in command.clips if session.registry.get(clip) is not None]
    clip = (known or command.clips)[0]
    try:
        if not session.settings.takes_bucket_commands:
            raise NotPossible(_OFF, remedy=_OFF_REMEDY)
        if command.verb not in _DOING:
            raise NotPossible(f"{command.verb!r} is not a command in the bucket.", remedy=_VERBS_REMEDY)
        copied = [each for each in command.originals if session.registry.get(each) is not None]
        if copied or len(known) > 1:
            meant = dict.fromkeys([*copied, *known])
            raise NotPossible(f"It may mean {' or '.join(meant)}.", remedy=_NAME_REMEDY)
        words, done = _DOING[command.verb](session, command, clip), True
    except I2VError as error:
        if error.verdict is not Verdict.FINAL:
            return
        words, done = error.text, False
    record = _Record(etag=command.file.etag, modified_at=command.file.modified_at, done=done)
    answer = CommandAnswer(command, clip, done, words)
    _answer(session, answer)
    session.bucket.write(_record_key(command), record.model_dump_json().encode(), JSON)
    yield answer


def _approve(session: Session, command: BucketCommand, clip: str) -> str:
    """Approve exactly the plan that WAITING.txt spoke of when the command was written."""
    row = find_clip(session.registry, clip)
    if row.state is not ClipState.WAITING or row.wait is None or not row.wait.is_approvable:
        raise NotPossible(f"{row.clip} does not wait for an approval: it is {row.state}.")
    plan = stored_plan(session.bucket, row.clip)
    if not _was_shown(session.bucket, row, plan, command.file.modified_at):
        raise NotPossible(
            f"{row.clip} was planned after the command was written.",
            remedy=f"Read clips/{row.clip}/{keys.WAITING_NOTE} with the price, then upload the command again.",
        )
    by = f"{command.file.key} in the bucket"
    approved = approve_plan(session, str(plan["plan_hash"]), [row.clip], by=by, way=ApprovalWay.BUCKET)
    return f"It costs at most {dollars(approved.total_microdollars) or '$0'}, and starts within a minute."


def _was_shown(bucket: Bucket, row: ClipRow, plan: Mapping[str, Any], at: datetime) -> bool:
    """Return whether the clip's note spoke of this stored plan before that time.

    The bucket's times are whole seconds, so what was written in the same second may have come after. The registry has the
    request and the price of the note; a plan that differs from them was not shown to anyone yet.
    """
    written = [bucket.head(keys.clip_key(row.clip, name)) for name in (keys.PLAN, keys.WAITING_NOTE)]
    if not plan or plan != stored_plan(bucket, row.clip):  # written anew since it was read
        return False
    first = plan["takes"][0]
    shown = first.get("fingerprint") == row.planned_fingerprint and stored_at_most(first) == row.price_microdollars
    return shown and all(info is not None and info.modified_at < at for info in written)


def _cancel(session: Session, command: BucketCommand, clip: str) -> str:
    cancelled = cancel_clip(session, clip, by=f"{command.file.key} in the bucket")
    return " ".join(step.text for step in cancelled.steps)


_DOING: Mapping[str, Callable[[Session, BucketCommand, str], str]] = {"approve": _approve, "cancel": _cancel}
_TITLES = {"approve": "APPROVED", "cancel": "CANCELLED"}


def _answer(session: Session, answer: CommandAnswer) -> None:
    command, clip = answer.command, answer.clip
    name = keys.CANCEL_NOTE if command.verb == "cancel" else keys.APPROVE_NOTE
    is_beside = command.verb in _DOING and session.registry.get(clip) is not None
    key = keys.clip_key(clip, name) if is_beside else keys.refused_key(command.file.key)
    title = _TITLES.get(command.verb, "DONE")
    lines: Sequence[str] = (
        f"{title if answer.done else f'NOT {title}'}: {clip}. {answer.text}",
        f"Command: {command.file.key}. It acts once. To give it again, delete it, and upload it again a minute later.",
    )
    text = "\n\n".join(plain(line) for line in lines)
    session.bucket.write(key, f"{pasteable(redact(text))}\n".encode(), TEXT)
