"""Documents that were saved twice: a copy of a brief, a list or a sidecar that says something else holds their clips. Pure.

A copy with the same text changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence

from i2v_assets.uploads.noise import originals_of
from i2v_assets.uploads.roles import looks_steering, role_of, shown_name, split_name, stem_key
from i2v_assets.uploads.tree import Entry, Texts, Tree
from i2v_assets.uploads.types import Doubt


def copy_doubt(copy: Entry, original: Entry) -> Doubt:
    """Return the doubt of a copy that says something else than the document beside it."""
    words = f"{shown_name(copy.path)} lies beside {shown_name(original.name)} and says something else."
    return Doubt(copy.object.key, words, "Keep one of them.")


def says_the_same(one: Entry, other: Entry, texts: Texts) -> bool:
    """Return whether two documents have the same content; line ends do not count."""
    if one.object.etag == other.object.etag:
        return True
    first, second = texts.get(one.object.key), texts.get(other.object.key)
    if isinstance(first, str) and isinstance(second, str):
        return first.rstrip().splitlines() == second.rstrip().splitlines()
    return first is not None and first == second


def copies_of_lists(tree: Tree) -> dict[str, Entry]:
    """Return the first list that each copy in its folder is one of, by the copy's key: ``looks (1).csv`` of ``looks.csv``."""
    found: dict[str, Entry] = {}
    for entry in tree.batches:
        for original in originals_of(entry.name):
            beside = tree.find(entry.object.key.removesuffix(entry.name) + original)
            if beside is not None and beside.role == "batch":
                found[entry.object.key] = beside
    return found


def copies_of_sidecars(
    sidecars: Mapping[tuple[str, str], Sequence[Entry]], others: Iterable[Entry], texts: Texts
) -> dict[tuple[str, str], Doubt]:
    """Return the doubts of images whose sidecar was saved twice, by folder and stem: ``hero (1).yaml`` of ``hero.yaml``."""
    found: dict[tuple[str, str], Doubt] = {}
    for entry in others:
        for original in originals_of(entry.name):
            place, ending = (entry.folder, stem_key(original)), split_name(original)[1]
            for sidecar in sidecars.get(place, ()):
                if split_name(sidecar.name)[1] == ending and not says_the_same(entry, sidecar, texts):
                    found.setdefault(place, copy_doubt(entry, sidecar))
    return found


def copies_of_briefs(tree: Tree, texts: Texts) -> dict[str, Doubt]:
    """Return the doubts of folders whose brief was saved twice, by folder: ``brief (1).yaml`` of ``brief.yaml``."""
    found: dict[str, Doubt] = {}
    for entry in tree.documents:
        briefs = tree.briefs.get(entry.folder, ())
        if len(briefs) == 1 and _is_of_a_brief(entry.name) and not says_the_same(entry, briefs[0], texts):
            found.setdefault(entry.folder, copy_doubt(entry, briefs[0]))
    return found


def _is_of_a_brief(name: str) -> bool:
    if split_name(name)[1] not in _OF_BRIEFS:
        return False
    names = (name, *originals_of(name))
    return any("brief" in each.lower() and (role_of(each) == "brief" or looks_steering(each)) for each in names)


_OF_BRIEFS = frozenset({".yaml", ".yml", ".json"})
