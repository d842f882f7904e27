"""What changed since a clip was admitted, and whether the change may order anything by itself."""

from collections.abc import Callable, Mapping, Sequence

from i2v_assets.uploads.doubt import taken_away
from i2v_assets.uploads.memory import IntakeMemory
from i2v_assets.uploads.roles import shown_name
from i2v_assets.uploads.types import Candidate, HoldReason, UploadHold, UploadKind
from resources.registry.rows import ClipState, Standing
from resources.schemas.inputs import MediumKind
from resources.storage.keys import SEQUENCES, UPLOADS, slug

Contents = Callable[[Sequence[str]], Mapping[str, str]]
"""Returns the stored contents of clips, by name."""


def with_history(
    candidates: Sequence[Candidate],
    standing: Mapping[str, Standing],
    waiting: Mapping[str, str],
    contents: Contents,
    memory: IntakeMemory,
    gone: Callable[[str], bool],
) -> tuple[Candidate, ...]:
    """Return the candidates, each with the hold that its change brings.

    Args:
        candidates: The complete uploads of a scan.
        standing: How far each known clip is.
        waiting: The content of each clip that has no video and no run.
        contents: Reads the content of other clips.
        memory: The claims of earlier scans.
        gone: Returns whether an object is certainly gone.
    """
    fresh = [
        each
        for each in candidates
        if _is_fresh(each, standing.get(each.clip)) or _was_doubted(each, waiting.get(each.clip))
    ]
    loose = {each.clip: tuple(_loose_rivals(each, standing)) for each in fresh}
    asked = {each.clip for each in fresh if each.clip in standing} | {
        name for names in loose.values() for name in names
    }
    before = {clip: Candidate.from_content(text) for clip, text in contents(sorted(asked)).items()} if asked else {}
    names = {each.clip for each in fresh}
    found: list[Candidate] = []
    for each in candidates:
        if each.hold is not None:
            found.append(each)
        elif each.clip in names:
            rivals = [before[name] for name in loose[each.clip] if name in before]
            found.append(each.with_hold(_fresh_hold(each, before.get(each.clip), standing, rivals, memory, gone)))
        else:
            found.append(each.with_hold(_kept_hold(each, waiting.get(each.clip), gone)))
    return tuple(found)


def _is_fresh(candidate: Candidate, known: Standing | None) -> bool:
    return known is None or known.version != candidate.version or known.state is ClipState.WITHDRAWN


def _was_doubted(candidate: Candidate, content: str | None) -> bool:
    """Return whether a clip waited in doubt and no longer does: what else it is to be asked was not asked meanwhile."""
    if candidate.hold is not None or content is None or HoldReason.DOUBT not in content:
        return False
    before = Candidate.from_content(content)
    return before.hold is not None and before.hold.reason is HoldReason.DOUBT


def _loose_rivals(candidate: Candidate, standing: Mapping[str, Standing]) -> list[str]:
    """Return the clips of the candidate's images that were paid for without its document."""
    if candidate.document_key is None:
        return []
    found = []
    for file in candidate.files:
        if file.kind is not MediumKind.IMAGE or not file.key.startswith(UPLOADS):
            continue
        known = standing.get(slug(file.key))
        if known is not None and known.source == file.key and known.paid:
            found.append(slug(file.key))
    return found


def _fresh_hold(
    candidate: Candidate,
    before: Candidate | None,
    standing: Mapping[str, Standing],
    rivals: Sequence[Candidate],
    memory: IntakeMemory,
    gone: Callable[[str], bool],
) -> UploadHold | None:
    if before is not None:
        if (hold := taken_away(before, candidate, gone)) is not None:
            return hold
        if standing[candidate.clip].paid and (hold := _late_to(candidate, before)) is not None:
            return hold
        was_late = before.hold is not None and before.hold.reason is HoldReason.LATE
        if was_late and _files_of(before, MediumKind.IMAGE) & _files_of(candidate):
            return before.hold  # what came late and was corrected since is still late
    for rival in rivals:
        if rival.clip != candidate.clip and (hold := _late_to(candidate, rival)) is not None:
            return hold
    had: set[tuple[str, str]] = set()
    if before is not None and before.document_key == candidate.document_key:
        ordered = before.hold is None or standing[candidate.clip].paid
        had = _files_of(before) if ordered else had
    for file in candidate.files:
        claim = memory.claims.get(file.key)
        if file.kind is not MediumKind.IMAGE or claim is None or claim.document == candidate.document_key:
            continue
        if (file.key, file.etag) in had:
            continue  # its document ordered this clip of this image before, so it is not what came later
        if claim.paid and claim.etag == file.etag and candidate.document_key is not None:
            return _late(file.key, claim.clip or "", candidate.document_key)
    return None


def _late_to(candidate: Candidate, paid: Candidate) -> UploadHold | None:
    """Return the hold of a candidate that brings a document or a voice to an image of a clip that is paid for."""
    had = _files_of(paid, MediumKind.IMAGE)
    shared = [file.key for file in candidate.files if file.kind is MediumKind.IMAGE and (file.key, file.etag) in had]
    if not shared:
        return None
    if candidate.document_key != paid.document_key:
        if candidate.document_key is None:
            return None  # its document is gone, which is a claim's matter
        return _late(shared[0], paid.clip, candidate.document_key)
    added = _added_without_a_word(candidate, paid)
    return _late(shared[0], paid.clip, added[0]) if added else None


def _added_without_a_word(candidate: Candidate, paid: Candidate) -> list[str]:
    """Return the files that a clip has now, and had not when it was paid for, although its document says nothing new.

    A loose image takes the voice of its name, and a folder whose brief lists no files all media in it.
    """
    known = {file.key for file in paid.files}
    added = [file for file in candidate.files if file.key not in known]
    match candidate.kind:
        case UploadKind.LOOSE | UploadKind.SIDECAR:
            return [file.key for file in added if file.kind is MediumKind.AUDIO]
        case UploadKind.FOLDER if candidate.brief == paid.brief:
            return [file.key for file in added]
        case _:
            return []


def _files_of(candidate: Candidate, kind: MediumKind | None = None) -> set[tuple[str, str]]:
    return {(file.key, file.etag) for file in candidate.files if kind in (None, file.kind)}


def _late(image: str, clip: str, late: str) -> UploadHold:
    words = f"{shown_name(image)} was paid for already, as the clip {clip}; {shown_name(late)} came later."
    remedy = "An approval pays for it again."
    if late.startswith(SEQUENCES):
        remedy = f"The shot `clip: {clip}` uses the video that is there, at no cost. An approval pays for a new one."
    return UploadHold(HoldReason.LATE, words, remedy, late)


def _kept_hold(candidate: Candidate, content: str | None, gone: Callable[[str], bool]) -> UploadHold | None:
    """Return the hold of an unchanged clip: one that a change brought stays, and defaults may be gone."""
    if content is None or content == candidate.content():
        return None
    before = Candidate.from_content(content)
    if before.hold is not None and before.hold.reason is HoldReason.LATE:
        return before.hold
    if before.hold is not None and before.hold.reason is HoldReason.TAKEN_AWAY and gone(before.hold.key):
        return before.hold
    return taken_away(before, candidate, gone)
