"""The `inputs` of a brief: what a model has beside the project's own words. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from i2v_assets.briefs.brief import Brief
from resources.problem import Problem
from resources.schemas.inputs import Family
from resources.schemas.live_schema import LiveEndpoint, seconds_of


@dataclass(frozen=True)
class LiveInputs:
    """A brief with those of its `inputs` that the project has a word for, and the others.

    Attributes:
        brief: The brief; a word that `inputs` sets under the service's name is set in it.
        rest: The other inputs, under the service's own names.
        problems: What was said twice, or has no price.
    """

    brief: Brief
    rest: Mapping[str, Any]
    problems: tuple[Problem, ...] = ()


def not_by_schema(brief: Brief, family: Family) -> LiveInputs:
    """Return the brief of a family whose body the code knows: it has no further inputs."""
    if not brief.inputs:
        return LiveInputs(brief, {})
    what = f"`inputs` sets {', '.join(f'`{name}`' for name in brief.inputs)}."
    limit = f"{family} has no inputs beside the keys of a brief."
    return LiveInputs(brief, {}, (Problem(file="brief", what=what, limit=limit, remedy="Remove `inputs`."),))


def live_inputs(brief: Brief, live: LiveEndpoint) -> LiveInputs:
    """Return the brief with what `inputs` says under the service's names, so that the price is that of what is sent."""
    words = {field: word for word, field in live.schema.by_word.items()}
    rest: dict[str, Any] = {}
    changed: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in (brief.inputs or {}).items():
        word = words.get(name)
        if word is None:
            rest[name] = value
            continue
        read = _read(word, value)
        if getattr(brief, word) is not None:
            problems.append(_problem(f"`inputs.{name}` and `{word}` say the same.", "Keep one of them."))
        elif read is None and word == "duration":
            what = f"`inputs.{name}` is {value!r}, and the price depends on the seconds."
            problems.append(_problem(what, f"Write `{word}` in whole seconds."))
        elif read is None:
            rest[name] = value
        else:
            changed[word] = read
    given = {**brief.given, **changed}
    return LiveInputs(Brief.model_construct(_fields_set=set(given), **given), rest, tuple(problems))


def _read(word: str, value: object) -> object:
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
            return (
                {True: True, "on": True, False: False, "off": False}.get(value)
                if isinstance(value, bool | str)
                else None
            )


def _problem(what: str, remedy: str) -> Problem:
    return Problem(file="brief", what=what, remedy=remedy)
