"""Plan every shot of a film before one of them is paid, so that what is known beforehand never ends it half way.

A shot that starts from the last frame of the one before is planned with what is known of that frame: a PNG of the size
that the shot before is planned in.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import zip_longest

from i2v_assets.films.held import hold_film, release_film
from i2v_assets.films.resolve import HALF_A_FRAME, ResolvedFilm, Shot, Track, last_frame_name
from i2v_assets.films.scan import scan_film
from i2v_assets.films.spec import FilmError, film_name
from i2v_assets.pipeline.context import PipelineContext
from i2v_assets.pipeline.film_watch import film_of
from i2v_assets.pipeline.foreseen_frame import USUAL_SIZE, foreseen_frame, frame_size
from i2v_assets.pipeline.gates import FilmProblem
from i2v_assets.pipeline.plan import ClipPlanner
from i2v_assets.pipeline.read_media import ReadFile
from i2v_assets.planning.plan import Plan, Refusal, Waiting
from i2v_assets.uploads.types import Candidate, UploadFile
from resources.errors import I2VError, Verdict
from resources.ledger.budget import CapUnit, cap_variables
from resources.ledger.records import caps_of
from resources.messages import counted
from resources.money import dollars
from resources.problem import Problem
from resources.registry.rows import ClipRow
from resources.schemas.inputs import FirstFrame, MediumKind
from resources.wait_reason import WaitReason

MOST_PROBLEMS = 3
"""Problems of a shot that the notes of the others repeat; the shot's own plan has all of them."""


class FilmForesight:
    """Plans the films of a run's shots, each once."""

    def __init__(self, context: PipelineContext, planner: ClipPlanner) -> None:
        self._context = context
        self._planner = planner
        self._problems: dict[str, asyncio.Task[FilmProblem | None]] = {}

    async def problem_of(self, row: ClipRow) -> FilmProblem | None:
        """Return why the film of a shot cannot be made, because of another part of it; None if it is no shot, or can be.

        Raises:
            I2VError: of an outage. An error that stays is a problem of the film, which ends none of its shots.
        """
        film = film_of(row)
        if not film:
            return None
        if film not in self._problems:
            self._problems[film] = asyncio.create_task(self._plan(film))
        problem = await self._problems[film]  # not shielded: a run cancels all of its clips together
        return None if problem is None or problem.shot == row.clip else problem

    async def _plan(self, film: str) -> FilmProblem | None:
        """Return why a film cannot be made, and hold it for that; if it can be, end its hold."""
        context, mark = self._context, None
        memory = context.registry.memory
        try:
            resolved = await asyncio.to_thread(scan_film, context.bucket, context.registry, {}, film_name(film))
            mark = resolved.mark
            problem = await self._problem(resolved)
        except I2VError as error:
            if error.verdict is Verdict.RETRYABLE:
                raise
            if isinstance(error, FilmError):
                mark = ""
            problem = FilmProblem(WaitReason.FILM, "", error.message, error.remedy)
        if problem is None:
            await asyncio.to_thread(release_film, memory, film)
        elif problem.reason is WaitReason.FILM:
            now, price = datetime.now(UTC), problem.microdollars
            await asyncio.to_thread(hold_film, memory, film, mark, now, microdollars=price, requests=problem.requests)
        return problem

    async def _problem(self, film: ResolvedFilm) -> FilmProblem | None:
        wrong = next(iter(film.problems), None) or await self._track_problem(film.tracks)
        if wrong is not None:
            return FilmProblem(WaitReason.FILM, "", wrong.named, wrong.remedy)
        candidates = {each.clip: each for each in (*film.uploads, *film.foreseen)}
        size = USUAL_SIZE
        for shot, after in zip_longest(film.shots, film.shots[1:]):
            before, size = size, USUAL_SIZE
            candidate = candidates.get(shot.clip) if shot.inline and shot.video is None else None
            if candidate is None:
                continue
            files = await self._planner.read_files(candidate.files)
            if candidate in film.foreseen:
                files = (foreseen_frame(last_frame_name(film.shots[shot.number - 2].clip), before), *files)
            decided = await self._decide(candidate, files)
            if isinstance(decided, Plan):
                problem, size = self._of_plan(shot, after, decided), frame_size(decided, files)
            else:
                problem = _without_plan(shot, decided)
            if problem is not None:
                return problem
        return None

    async def _track_problem(self, tracks: Iterable[Track]) -> Problem | None:
        """Return why a sound track cannot be joined."""
        for track in tracks:
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
        if caps.ever_allow(at_most or 0, count):
            return None
        unit: CapUnit
        if caps.ever_allow(at_most or 0, 0):
            unit, needs = "REQUESTS", f"needs {counted(count, 'request')}"
        else:
            unit, needs = "USD", f"may cost {dollars(at_most or 0)}"
        words, remedy = (
            f"{which} {needs}, more than the budget ever allows.",
            f"Raise {cap_variables(settings.service, unit)}.",
        )
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
