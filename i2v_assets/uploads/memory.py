"""What is remembered of earlier scans, as the rules need it. Pure data; the registry keeps it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from i2v_assets.briefs.brief import LooseImages
from resources.registry.rows import KnownTree, ObjectClaim

__all__ = ["IntakeMemory", "KnownTree", "ObjectClaim"]


def _nothing() -> frozenset[str]:
    return frozenset()


@dataclass(frozen=True, slots=True)
class IntakeMemory:
    """What a scan knows of the scans before it, and the owner's settings.

    Attributes:
        claims: The claim of each object, by key.
        trees: The trees that were seen before, by name.
        delivered_loose: Returns the sources of the loose clips that were paid for.
        prompt_trees: Trees in which a clip with a text file as its prompt was delivered.
        loose_images: What becomes of loose images where no defaults file says so.
        ignore: Patterns of further noise.
    """

    claims: Mapping[str, ObjectClaim] = field(default_factory=dict)
    trees: Mapping[str, KnownTree] = field(default_factory=dict)
    delivered_loose: Callable[[], frozenset[str]] = _nothing
    prompt_trees: frozenset[str] = frozenset()
    loose_images: LooseImages = "order"
    ignore: tuple[str, ...] = ()
