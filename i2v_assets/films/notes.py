"""Notes about a film that is not joined yet: its plan, and why it waits or is refused."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from i2v_assets.clip_folder.notes import Answer, AnswerKind
from i2v_assets.films.resolve import ResolvedFilm, Shot, pending
from resources.bounded_json import read_json
from resources.money import dollars
from resources.problem import Problem, read_problems
from resources.storage import keys
from resources.storage.bucket import Bucket, ObjectInfo
from resources.storage.errors import ObjectMissing

WrittenNotes = dict[tuple[str, str], str]
"""Texts that this process wrote, by bucket and key, so that a scan without changes writes nothing."""

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"

_STATES = {
    "due": "is about to be made",
    "dispatched": "is about to be made",
    "working": "is being made",
    "planned": "is waiting for the shot before it",
    "delivered": "is being made again",
    "waiting": "is waiting",
    "refused": "was refused",
    "failed": "failed",
}


class FilmNotes:
    """Writes the notes of films; a film has at most one note at a time."""

    def __init__(
        self, bucket: Bucket, listed: Mapping[str, ObjectInfo], written: WrittenNotes, *, sandbox: bool
    ) -> None:
        self._bucket = bucket
        self._listed = listed
        self._written = written
        self._facts = ("Service: sandbox (for testing; no money)",) if sandbox else ()

    def plan(self, film: ResolvedFilm) -> None:
        """Write the film's plan: its clips, the state of each, and the price."""
        self._write(keys.sequence_key(film.name, keys.PLAN), plan_text(film), JSON)

    def waiting(self, film: ResolvedFilm) -> None:
        """Write the plan and a note about shots that have no video yet."""
        missing = pending(film.shots)
        price = sum(shot.price or 0 for shot in missing if shot.inline)
        cost = f" The missing shots may cost up to {dollars(price)}." if price else ""
        title = f"WAITING: {film.name} is missing {len(missing)} of {len(film.shots)} shots.{cost}"
        problems = [Problem(_state(shot), remedy=_remedy(shot)) for shot in missing]
        then = "the film is joined automatically when its last shot is delivered."
        if any(shot.asks for shot in missing):
            then += f" To approve what waits for it: i2v approve {keys.SEQUENCES}{film.name}"
        answer = Answer(AnswerKind.WAITING, title, tuple(problems), then, self._facts)
        self._write(keys.sequence_key(film.name, keys.PLAN), plan_text(film, answer), JSON)
        self.note(film.name, answer)

    def refused(self, name: str, problems: Sequence[Problem]) -> None:
        """Write a note that the file, or a file that it names, must be corrected."""
        title = f"REFUSED: the film {name} was not joined. While it is refused, none of its shots is submitted."
        then = "upload the corrected file under the same name, or the missing file. The next scan picks it up."
        self.note_with_plan(name, Answer(AnswerKind.REFUSED, title, tuple(problems), then, self._facts))

    def double(self, key: str, other: str) -> None:
        """Write a note about a file that has the same film name as another file."""
        answer = Answer(
            AnswerKind.REFUSED,
            f"REFUSED: {key}",
            (Problem(f"{key} has the same film name as {other}.", remedy="Rename one of them."),),
            "upload it under another name.",
        )
        self._write(keys.refused_key(key), answer.text, TEXT)

    def note_with_plan(self, name: str, answer: Answer) -> None:
        """Write a note, and keep its answer in the film's `plan.json`, which the gallery reads."""
        key = keys.sequence_key(name, keys.PLAN)
        try:
            plan = read_json(self._bucket.read(key)) if key in self._listed or not self._listed else {}
        except (ObjectMissing, ValueError):
            plan = {}
        plan = {"film": name, **(plan if isinstance(plan, dict) else {}), "answer": _plain(answer)}
        self._write(key, _json(plan), JSON)
        self.note(name, answer)

    def note(self, name: str, answer: Answer) -> None:
        """Write one of the three notes and delete the other two; a joined film stays."""
        self._write(keys.sequence_key(name, answer.kind.value), answer.text, TEXT)
        self.clear(name, but=answer.kind.value)

    def clear(self, name: str, but: str = "") -> None:
        """Delete the notes that no longer apply."""
        outdated = [keys.sequence_key(name, note) for note in keys.NOTES if note != but]
        existing = [key for key in outdated if key in self._listed]
        if existing:
            self._bucket.delete_many(existing)
        for key in outdated:
            self._written.pop((self._bucket.name, key), None)

    def forget_others(self, names: Collection[str], refused: Collection[str], uploads: Callable[[], set[str]]) -> None:
        """Delete the notes of films that were renamed or deleted, and of files that no longer share a film's name.

        Args:
            names: the films that are there.
            refused: the keys of the files that share a film's name with another file.
            uploads: returns the refused uploads; a folder of uploads may be called as the folder of the films is.
        """
        gone = []
        for key in self._listed:
            folder, _, note = key.removeprefix(keys.SEQUENCES).rpartition("/")
            if note in keys.NOTES and "/" not in folder and folder and folder not in names:
                gone.append(key)
        beginning = keys.refused_key(f"{keys.SEQUENCES}x").rpartition("x-")[0]
        doubles = [info.key for info in self._bucket.list(beginning)]
        if doubles:
            kept = {keys.refused_key(key) for key in (*refused, *uploads())}
            gone += [key for key in doubles if key not in kept]
        if gone:
            self._bucket.delete_many(gone)
        for key in gone:
            self._written.pop((self._bucket.name, key), None)

    def _write(self, key: str, text: str, content_type: str) -> None:
        place = (self._bucket.name, key)
        if self._written.get(place) == text and key in self._listed:
            return
        self._bucket.write(key, text.encode(), content_type)
        self._written[place] = text


def write_film_failure(
    bucket: Bucket, name: str, problem: Problem, again: datetime | None = None, *, sandbox: bool
) -> None:
    """Write FAILED.txt beside a film that could not be joined; ``again`` is when it is tried next, if that is known."""
    when = f"after {again:%Y-%m-%d %H:%M} UTC" if again is not None else "later, after growing gaps"
    answer = Answer(
        AnswerKind.FAILED,
        f"FAILED: the film {name} could not be joined. Its shots are kept. Joining costs nothing.",
        (problem,),
        f"it is tried again by itself {when}, and at once when its file or one of its shots changes or when you materialize"
        " it in the UI.",
    )
    FilmNotes(bucket, {}, {}, sandbox=sandbox).note_with_plan(name, answer)


def _plain(answer: Answer) -> dict[str, Any]:
    problems = [asdict(problem) for problem in answer.problems]
    return {"kind": answer.kind.value, "title": answer.title, "problems": problems, "next": answer.next}


def read_film_answer(plan: str) -> Answer | None:
    """Return the answer that a film's `plan.json` keeps; None if it has none, or is damaged."""
    try:
        found = read_json(plan)["answer"]
        problems = read_problems(found["problems"])
        return Answer(AnswerKind(found["kind"]), str(found["title"]), problems, str(found["next"]))
    except (ValueError, KeyError, TypeError):
        return None


def _json(plain: Mapping[str, Any]) -> str:
    return json.dumps(plain, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def plan_text(film: ResolvedFilm, answer: Answer | None = None) -> str:
    """Return ``sequences/<name>/plan.json``; ``answer`` is the film's note while it is not joined."""
    prices = [shot.price for shot in film.shots if shot.inline]
    plain: dict[str, Any] = {
        "film": film.name,
        "shots": [
            {
                "number": shot.number,
                "clip": shot.clip,
                "state": shot.state,
                "reason": shot.reason or None,
                "crossfade_seconds": shot.crossfade,
                "starts_from_last_frame": shot.from_last_frame,
                "price_usd": None if shot.price is None else shot.price / 1e6,
                "price_is_estimated": shot.estimated if shot.inline else None,
                "video_sha256": shot.video.sha256 if shot.video else None,
            }
            for shot in film.shots
        ],
        "price_usd_of_its_own_shots": None if None in prices else sum(price or 0 for price in prices) / 1e6,
    }
    if answer is not None:
        plain["answer"] = _plain(answer)
    return _json(plain)


def _state(shot: Shot) -> str:
    why = f": {shot.reason}" if shot.reason else "."
    return f"Shot {shot.number} ({shot.clip}) {_STATES.get(shot.state, shot.state)}{why}"


def _remedy(shot: Shot) -> str:
    if shot.state == "failed":
        return f"See clips/{shot.clip}/FAILED.txt. To try again: i2v retry {shot.clip}"
    if shot.state in ("refused", "waiting"):
        return f"See clips/{shot.clip}/{shot.state.upper()}.txt"
    return ""
