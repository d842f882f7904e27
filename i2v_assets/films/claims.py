"""What films take of the uploads: their claims, the loose clips that they replace, and the films that come late."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from i2v_assets.films.resolve import FilmSource, ResolvedFilm
from i2v_assets.films.spec import ClipShot, FilmSpec
from i2v_assets.uploads.history import with_history
from i2v_assets.uploads.memory import IntakeMemory
from i2v_assets.uploads.types import Candidate
from resources.registry.registry import Registry
from resources.registry.rows import ClaimChange, ObjectClaim
from resources.storage.keys import SEQUENCES, UPLOADS, slug

Claims = Mapping[str, ObjectClaim]


def claim_uploads(
    registry: Registry,
    specs: Mapping[str, FilmSpec],
    resolved: Mapping[str, ResolvedFilm],
    documents: Mapping[str, str],
    known: Claims,
    film_source: FilmSource,
    is_gone: Callable[[str], bool],
) -> None:
    """Remember which uploads belong to which film, so that none of them becomes a loose clip, also after the film is gone.

    What a document among the uploads claims stays its own, and so does what another document has paid for.

    Args:
        registry: Keeps the claims.
        specs: The content of each film's file, by the film's name.
        resolved: The films.
        documents: The key of each film's file.
        known: The claims of earlier scans.
        film_source: Reads the bucket.
        is_gone: Returns whether a film's file is gone.
    """
    changes: dict[str, ClaimChange] = {}
    for name, spec in specs.items():
        document = documents[name]
        for key in _uploads_named(spec):
            before = known.get(key)
            if before is None or not _stays(key, before, document, film_source):
                changes[key] = ClaimChange(key, document, before.etag if before is not None else "")
        for upload in resolved[name].uploads if name in resolved else ():
            for file in upload.files:
                if file.key in changes and changes[file.key].document == document:
                    changes[file.key] = ClaimChange(file.key, document, file.etag, upload.clip, upload.version)
    if known or changes:
        registry.claims.update(
            known,
            changes.values(),
            lambda document: is_gone(document) if document.startswith(SEQUENCES) else None,
        )


def _stays(key: str, claim: ObjectClaim, document: str, film_source: FilmSource) -> bool:
    """Return whether a claim stays with its document although a film names the object too."""
    if not claim.document.startswith(SEQUENCES) and claim.gone_since is None:
        return True
    now = film_source.file(key)
    return claim.document != document and claim.paid and now is not None and now.etag == claim.etag


def withdraw_loose(registry: Registry, specs: Iterable[FilmSpec], sources: Mapping[str, str]) -> Sequence[str]:
    """Withdraw the loose clips of images that a film claims now, unless money may have moved for them; return which.

    The next scan of the uploads would do the same; until then a run could still pay for one of them.
    """
    claims = registry.claims.all()
    named = frozenset[str]().union(*map(_uploads_named, specs))
    ours = {key for key in named if key in claims and claims[key].document.startswith(SEQUENCES)}
    loose = {clip for clip, source in sources.items() if source in ours}
    return registry.withdraw(loose) if loose else ()


def held_shots(
    registry: Registry,
    specs: Mapping[str, FilmSpec],
    resolved: Mapping[str, ResolvedFilm],
    claims: Claims,
    film_source: FilmSource,
) -> dict[str, tuple[Candidate, ...]]:
    """Return the shots of each film, each with the hold that it brings: a film that comes late asks before it pays.

    A film that names the paid clip itself as a shot is not late to it: its author knows the clip.

    Args:
        registry: The clips.
        specs: The content of each film's file, by the film's name.
        resolved: The films.
        claims: The claims of earlier scans.
        film_source: Reads the bucket.
    """
    standing, waiting = registry.standing(), registry.contents_without_video()
    held: dict[str, tuple[Candidate, ...]] = {}
    for name, film in resolved.items():
        known = _clips_named(specs[name])
        held[name] = with_history(
            film.uploads,
            {clip: each for clip, each in standing.items() if clip not in known},
            waiting,
            lambda names: {clip: row.content for clip, row in registry.many(names).items()},
            IntakeMemory(claims={key: claim for key, claim in claims.items() if claim.clip not in known}),
            lambda key: film_source.file(key) is None,
        )
    return held


def _clips_named(film: FilmSpec) -> Collection[str]:
    return {shot.clip for shot in film.shots if isinstance(shot, ClipShot)}


def _uploads_named(film: FilmSpec) -> frozenset[str]:
    """Return the uploads that belong to a film: those it names, but the image of a clip that it names as a shot."""
    named = {track.key for track in film.tracks}
    for shot in film.shots:
        if not isinstance(shot, ClipShot):
            for refs in (shot.brief.images, shot.brief.videos, shot.brief.audio):
                named |= {ref.file for ref in refs or ()}
            named |= set(shot.brief.single_files.values())
    clips = _clips_named(film)
    return frozenset(key for key in named if key.startswith(UPLOADS) and slug(key) not in clips)
