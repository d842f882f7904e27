"""The `inputs` of a brief: what a model has beside the project's own words. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from i2v_assets.briefs.brief import Brief
from resources.problem import Problem
from resources.schemas.inputs import Family
from resources.schemas.live_schema import WORDS, LiveEndpoint, counts_frames, snake, switch_of
from resources.schemas.live_seconds import seconds_of


@dataclass(frozen=True)
class LiveInputs:
    """A brief with those of its `inputs` that the project has a word for, and the others.

    Attributes:
        brief: The brief; a word that `inputs` sets under the service's name is set in it.
        rest: The other inputs, under the service's own names.
        problems: What was said twice, or has no price.
        seconds: The longest duration that `rest` asks for; 0 if none. The price is at least that of it.
    """

    brief: Brief
    rest: Mapping[str, Any]
    problems: tuple[Problem, ...] = ()
    seconds: int = 0


def not_by_schema(brief: Brief, family: Family) -> LiveInputs:
    """Return the brief of a family whose body the code knows: it has no further inputs."""
    what = f"`inputs` sets {', '.join(f'`{name}`' for name in brief.inputs or {})}."
    limit = f"{family} has no inputs beside the keys of a brief."
    return LiveInputs(brief, {}, (Problem(file="brief", what=what, limit=limit, remedy="Remove `inputs`."),))


def live_inputs(brief: Brief, live: LiveEndpoint) -> LiveInputs:
    """Return the brief with what `inputs` says under the service's names, so that the price is that of what is sent."""
    words = {field: word for word, field in live.schema.by_word.items()}
    rest: dict[str, Any] = {}
    changed: dict[str, Any] = {}
    problems: list[Problem] = []
    longest = 0
    for name, value in (brief.inputs or {}).items():
        word = words.get(name)
        if word is None:
            rest[name] = value
            found = () if counts_frames(live.schema.properties.get(name, {})) else _durations(name, value)
            seconds = [(path, each, seconds_of(each)) for path, each in found]
            problems += [_unpriced(path, each, "duration") for path, each, read in seconds if read is None]
            longest = max(longest, sum(read or 0 for _, _, read in seconds))
            continue
        read = _read(word, name, value)
        if getattr(brief, word) is not None:
            problems.append(_problem(f"`inputs.{name}` and `{word}` say the same.", "Keep one of them."))
        elif read is None and word == "duration":
            problems.append(_unpriced(name, value, word))
        elif read is None:
            rest[name] = value
        else:
            changed[word] = read
    given = {**brief.given, **changed}
    return LiveInputs(Brief.model_construct(_fields_set=set(given), **given), rest, tuple(problems), longest)


def _durations(name: str, value: object) -> Iterator[tuple[str, object]]:
    """Yield each value that is a duration by its name, however deep it is; several in one input follow one another."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _durations(f"{name}.{key}", each)
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from _durations(f"{name}.{at}" if isinstance(each, Mapping | list) else name, each)
    elif snake(name.rpartition(".")[2]) in WORDS["duration"]:
        yield name, value


def _read(word: str, name: str, value: object) -> object:
    """Return a value under the project's word; None if it is of another type, which the schema then refuses."""
    match word:
        case "duration":
            return seconds_of(value)
        case "resolution":
            return value.lower() if isinstance(value, str) else None
        case "prompt" | "negative_prompt" | "aspect_ratio":
            return value if isinstance(value, str) else None
        case "seed":
            return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
        case _:
            return switch_of(name, value) if isinstance(value, bool | str) else None


def _unpriced(name: str, value: object, word: str) -> Problem:
    what = f"`inputs.{name}` is {value!r}, and the price depends on the seconds."
    return _problem(what, f"Write `{word}` in whole seconds.")


def _problem(what: str, remedy: str) -> Problem:
    return Problem(file="brief", what=what, remedy=remedy)
