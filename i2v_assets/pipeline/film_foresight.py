"""Plan every shot of a film before one of them is paid, so that what is known beforehand never ends it half way.

A shot that starts from the last frame of the one before is planned with what is known of that frame: a PNG of the size
that the shot before is planned in.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import zip_longest

from i2v_assets.films.held import fits_caps, hold_film, release_film
from i2v_assets.films.resolve import HALF_A_FRAME, ResolvedFilm, Shot, Track, last_frame_name
from i2v_assets.films.scan import scan_film
from i2v_assets.films.spec import FilmError, film_name
from i2v_assets.pipeline.context import PipelineContext
from i2v_assets.pipeline.film_watch import film_of
from i2v_assets.pipeline.gates import FilmProblem
from i2v_assets.pipeline.plan import ClipPlanner
from i2v_assets.pipeline.read_media import ReadFile
from i2v_assets.planning.plan import Plan, Refusal, Waiting
from i2v_assets.uploads.types import Candidate, UploadFile
from resources.errors import I2VError, Verdict
from resources.ledger.records import caps_of
from resources.media.facts import ImageFacts
from resources.money import dollars
from resources.problem import Problem
from resources.registry.rows import ClipRow
from resources.schemas.inputs import FirstFrame, Medium, MediumKind
from resources.schemas.limits import SHORT_SIDES
from resources.storage import keys
from resources.wait_reason import WaitReason

MOST_PROBLEMS = 3
"""Problems of a shot that the notes of the others repeat; the shot's own plan has all of them."""
_USUAL_SIZE = 1280, 720
"""Of a shot of which nothing is known: what most endpoints make."""


class FilmForesight:
    """Plans the films of a run's shots, each once."""

    def __init__(self, context: PipelineContext) -> None:
        self._context = context
        self._planner = ClipPlanner.of_run(context)
        self._looks: dict[str, asyncio.Task[FilmProblem | None]] = {}

    async def problem_of(self, row: ClipRow) -> FilmProblem | None:
        """Return why the film of a shot cannot be made, because of another part of it; None if it is no shot, or can be.

        Raises:
            StorageError: the bucket does not answer; I2VError: the token is not accepted.
        """
        film = film_of(row)
        if not film:
            return None
        if film not in self._looks:
            self._looks[film] = asyncio.create_task(self._look(film))
        found = await asyncio.shield(self._looks[film])
        return None if found is None or found.shot == row.clip else found

    async def _look(self, film: str) -> FilmProblem | None:
        context = self._context
        memory = context.registry.memory
        try:
            resolved = await asyncio.to_thread(scan_film, context.bucket, context.registry, {}, film_name(film))
        except I2VError as error:
            if error.verdict is Verdict.RETRYABLE:
                raise
            mark = "" if isinstance(error, FilmError) else None
            found: FilmProblem | None = FilmProblem(WaitReason.FILM, "", error.message, error.remedy)
        else:
            mark, found = resolved.mark, await self._problem(resolved)
        if found is not None and found.reason is WaitReason.FILM:
            now, price = datetime.now(UTC), found.microdollars
            await asyncio.to_thread(hold_film, memory, film, mark, now, microdollars=price, requests=found.requests)
        elif found is None:
            await asyncio.to_thread(release_film, memory, film)
        return found

    async def _problem(self, film: ResolvedFilm) -> FilmProblem | None:
        for problem in film.problems:
            return FilmProblem(WaitReason.FILM, "", problem.named, problem.remedy)
        for track in film.tracks:
            if (wrong := await self._track_problem(track)) is not None:
                return FilmProblem(WaitReason.FILM, "", wrong.named, wrong.remedy)
        candidates = {each.clip: each for each in (*film.uploads, *film.foreseen)}
        size = _USUAL_SIZE
        for shot, after in zip_longest(film.shots, film.shots[1:]):
            before, size = size, _USUAL_SIZE
            if not (shot.inline and shot.video is None and shot.clip in candidates):
                continue
            candidate = candidates[shot.clip]
            files = await self._planner.read_files(candidate.files)
            if candidate in film.foreseen:
                files = (foreseen_frame(last_frame_name(film.shots[shot.number - 2].clip), before), *files)
            decided = await self._decide(candidate, files)
            found = self._of_plan(shot, after, decided) if isinstance(decided, Plan) else _without_plan(shot, decided)
            if found is not None:
                return found
            if isinstance(decided, Plan):
                size = frame_size(decided, files)
        return None

    async def _track_problem(self, track: Track) -> Problem | None:
        name, key = track.spec.key.rpartition("/")[2], track.spec.key
        (read,) = await self._planner.read_files(
            [UploadFile(name, key, track.etag, MediumKind.AUDIO, track.size_bytes)]
        )
        if read.medium is None:
            return Problem(read.problem, remedy=read.remedy, file=key)
        if read.medium.kind is MediumKind.IMAGE:
            return Problem("It is an image, and the film needs a sound.", remedy="Name a sound file.", file=key)
        return None

    async def _decide(self, candidate: Candidate, files: Sequence[ReadFile]) -> Plan | Refusal | Waiting:
        frame = next((file.medium for file in files if file.foreseen), None)
        first_frame = FirstFrame(of=frame.sha256) if frame is not None else candidate.first_frame
        return await self._planner.decide(
            candidate.clip, candidate.brief, files, name=candidate.source, first_frame=first_frame
        )

    def _of_plan(self, shot: Shot, after: Shot | None, plan: Plan) -> FilmProblem | None:
        """Return what is wrong with a shot that is planned: its length or its price."""
        which = f"Shot {shot.number} of its film ({shot.clip})"
        taken = shot.crossfade + (after.crossfade if after is not None else 0.0)
        if taken > plan.seconds + HALF_A_FRAME:
            words = f"{which} will have {plan.seconds:g} s, but its crossfades need {taken:g} s."
            return FilmProblem(WaitReason.FILM, "", words, "Shorten the crossfades, or lengthen the shot.")
        settings, at_most, count = self._context.settings, plan.at_most_microdollars, len(plan.requests)
        if at_most is None and not settings.allow_unknown_price:
            words = f"The price of shot {shot.number} of its film ({shot.clip}) cannot be read."
            return FilmProblem(WaitReason.PRICE, shot.clip, words, "I2V_ALLOW_UNKNOWN_PRICE=true submits all the same.")
        caps = caps_of(settings)
        if fits_caps(at_most or 0, count, caps):
            return None
        part = "SANDBOX_BUDGET_{}_PER_DAY" if settings.is_sandbox else "BUDGET_{}_PER_DAY and I2V_BUDGET_{}_PER_RUN"
        if fits_caps(at_most or 0, 0, caps):
            unit, words = "REQUESTS", f"{which} needs {count} requests, more than the budget ever allows."
        else:
            unit, words = "USD", f"{which} may cost {dollars(at_most or 0)}, more than the budget ever allows."
        remedy = f"Raise I2V_{part.format(unit, unit)}."
        return FilmProblem(WaitReason.FILM, shot.clip, words, remedy, at_most or 0, count)


def _without_plan(shot: Shot, decided: Refusal | Waiting) -> FilmProblem | None:
    """Return why a shot has no plan; None if only a person's agreement to a changed entry is missing."""
    which = f"Shot {shot.number} of its film ({shot.clip})"
    if isinstance(decided, Refusal):
        why = " ".join(f"{problem.named} {problem.limit}".strip() for problem in decided.problems[:MOST_PROBLEMS])
        remedies = dict.fromkeys(problem.remedy for problem in decided.problems[:MOST_PROBLEMS] if problem.remedy)
        return FilmProblem(WaitReason.FILM, shot.clip, f"{which} would be refused: {why}", " ".join(remedies))
    if decided.agreement:
        return None
    return FilmProblem(WaitReason(decided.kind), shot.clip, f"{which} would wait: {decided.words}", decided.remedy)


Size = tuple[int, int]


def foreseen_frame(name: str, size: Size) -> ReadFile:
    """Return the last frame of a shot that is not made yet, as far as it is known."""
    width, height = size
    digest = hashlib.sha256(name.encode()).hexdigest()
    size_bytes = width * height  # a byte a pixel: a PNG of a photo has one to two
    key = keys.first_frame_key(digest, "end")
    facts = ImageFacts(width=width, height=height, format="PNG", mode="RGB", animated=False, size_bytes=size_bytes)
    medium = Medium(kind=MediumKind.IMAGE, sha256=digest, key=key, size_bytes=size_bytes, content_type="image/png")
    return ReadFile(key, name, medium, facts, foreseen=True)


def frame_size(plan: Plan, files: Sequence[ReadFile]) -> Size:
    """Return the size that the frames of a planned shot will have: of its tier, in its aspect ratio or that of its image."""
    short = SHORT_SIDES.get(plan.inputs.resolution, _USUAL_SIZE[1])
    shape = _shape(plan.inputs.aspect_ratio)
    if shape is None:
        facts = next((file.facts for file in files if isinstance(file.facts, ImageFacts)), None)
        width, height = (facts.width, facts.height) if facts is not None else _USUAL_SIZE
        shape = width / height
    return (round(short * shape), short) if shape >= 1 else (short, round(short / shape))


def _shape(aspect_ratio: str | None) -> float | None:
    width, _, height = (aspect_ratio or "").partition(":")
    try:
        return float(width) / float(height)
    except (ValueError, ZeroDivisionError):
        return None
