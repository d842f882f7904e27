"""What a person asks of a clip that is there: another take, or another choice among its takes."""

from i2v_assets.upload_types import Candidate
from resources.errors import I2VError
from resources.ledger.registry import ClipRow, Registry
from resources.schemas.inputs import MAX_SEED


class NoSuchClip(I2VError):
    """No upload of this name is known."""


class NoSuchTake(I2VError):
    """The clip has no take of this number, or a seed that no endpoint takes was given."""


def known_clip(registry: Registry, clip: str) -> ClipRow:
    """A clip's row.

    Raises:
        NoSuchClip: there is none.
    """
    row = registry.get(clip)
    if row is None:
        raise NoSuchClip(f"No clip is called {clip!r}.", remedy="`i2v status` lists the clips.")
    return row


def takes_of(row: ClipRow) -> int:
    """How many takes a clip has, those included that were asked for and are not made yet."""
    return (Candidate.from_content(row.content).brief.takes or 1) + row.extra_takes


def retake_clip(registry: Registry, clip: str, seed: int | None) -> int:
    """Ask for another take; it becomes due. Returns its number.

    Raises:
        NoSuchClip: there is none; NoSuchTake: the seed is outside 1 to `MAX_SEED`.
    """
    row = known_clip(registry, clip)
    if seed is not None and not 1 <= seed <= MAX_SEED:
        raise NoSuchTake(f"{seed} is no seed.", remedy=f"Use a whole number from 1 to {MAX_SEED}, or leave it out.")
    take = takes_of(row) + 1
    registry.add_take(clip, take=take, seed=seed)
    return take


def choose_take(registry: Registry, clip: str, take: int) -> None:
    """Make a take the clip's video; the clip becomes due, which costs nothing.

    Raises:
        NoSuchClip: there is none; NoSuchTake: the clip has no take of this number.
    """
    row = known_clip(registry, clip)
    count = takes_of(row)
    if not 1 <= take <= count:
        raise NoSuchTake(
            f"{clip} has {count} take{'s' if count > 1 else ''}, and no number {take}.",
            remedy=f"Choose a number from 1 to {count}; `i2v status {clip}` lists them.",
        )
    registry.choose(clip, take)
