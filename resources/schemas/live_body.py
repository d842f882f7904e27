"""Write the body of a model that is used by its live schema, from the project's words. Pure.

Nothing that a person wrote is dropped, and nothing is sent that the schema does not list. The files stand in the body by
number, so that the body is part of the fingerprint and holds no address.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from resources.schemas.inputs import LAST, MediumKind, marked_medium, medium_mark
from resources.schemas.live_schema import INVERTED, SWITCHES, WORDS, LiveEndpoint, LiveMedia, snake
from resources.schemas.live_seconds import seconds_of


@dataclass(frozen=True)
class Wishes:
    """What is to be made, under the project's names.

    Attributes:
        prompt: The prompt.
        files: The names of the files of each kind, in order.
        values: Values of the project's other words; None is left out.
        inputs: Fields under the service's own names; a media field names files of the clip.
        ends: True if an image is given that the video is to end on.
    """

    prompt: str
    files: Mapping[MediumKind, Sequence[str]]
    values: Mapping[str, object] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    ends: bool = False


@dataclass(frozen=True)
class LiveBody:
    """A body with its media by number, and what the schema cannot express, in words."""

    body: dict[str, JsonValue]
    problems: tuple[str, ...] = ()


def write_body(endpoint: LiveEndpoint, wishes: Wishes) -> LiveBody:
    """Return the body, and every wish that the schema has no field for."""
    schema = endpoint.schema
    problems: list[str] = []
    body: dict[str, JsonValue] = {schema.by_word["prompt"]: wishes.prompt}
    for word, value in wishes.values.items():
        if value is not None and word in schema.by_word:
            name = schema.by_word[word]
            sent = not value if isinstance(value, bool) and snake(name) in INVERTED else value
            body[name] = _as_listed(schema.field(word), word, sent)
    placed = _named_files(schema.media, wishes, problems)
    ends = [media.name for media in schema.media if media.last and media.name not in placed]
    if wishes.ends and ends:
        placed[ends[0]] = [(MediumKind.IMAGE, LAST)]
    elif wishes.ends:
        problems.append("the model has no field left for the image that the video is to end on")
    by_name = {media.name for media in schema.media}
    for name, value in wishes.inputs.items():
        if name not in schema.properties:
            problems.append(
                f"`inputs` sets `{name}`, and the model has no such field; it has {', '.join(schema.properties)}"
            )
        elif name not in by_name:
            body[name] = value
    for kind in MediumKind:
        left = [
            number for number in range(1, len(wishes.files.get(kind, ())) + 1) if (kind, number) not in _all(placed)
        ]
        _by_order(kind, [each for each in schema.of(kind) if each.name not in placed], left, placed, problems)
    for media in schema.media:
        if media.name in placed:
            marks: list[JsonValue] = [medium_mark(kind, number) for kind, number in placed[media.name]]
            body[media.name] = marks if media.many and not (media.alone and len(marks) == 1) else marks[0]
    return LiveBody({name: body[name] for name in schema.properties if name in body}, tuple(problems))


Placed = dict[str, list[tuple[MediumKind, int]]]


def _all(placed: Placed) -> "set[tuple[MediumKind, int]]":
    return {file for files in placed.values() for file in files}


def _named_files(fields: Sequence[LiveMedia], wishes: Wishes, problems: list[str]) -> Placed:
    """Return the files that ``inputs`` puts into a field by name."""
    placed: Placed = {}
    for each in fields:
        if each.name not in wishes.inputs:
            continue
        value = wishes.inputs[each.name]
        names = [str(name) for name in value] if isinstance(value, list) else [str(value)]
        files = list(wishes.files.get(each.kind, ()))
        unknown = [name for name in names if name not in files]
        if unknown:
            problems.append(f"`inputs.{each.name}` names {unknown[0]!r}, and the clip has no such {each.kind}")
        elif len(names) > each.max_count:
            problems.append(f"`inputs.{each.name}` names {len(names)} files, and the model takes {each.max_count}")
        else:
            placed[each.name] = [(each.kind, files.index(name) + 1) for name in names]
    return placed


def _by_order(
    kind: MediumKind, fields: Sequence[LiveMedia], left: list[int], placed: Placed, problems: list[str]
) -> None:
    """Put the files that are left into the fields: the first ones first, lists as far as they go, the last image last."""
    usable = [each for each in fields if each.by_order]
    singles = sorted((each for each in usable if not each.many and not each.last), key=lambda each: not each.required)
    lists, ends = [each for each in usable if each.many], [each for each in usable if each.last]
    last = [left.pop()] if left and any(each.required for each in ends) and len(left) > 1 else []
    for each in singles:
        if left:
            placed[each.name] = [(kind, left.pop(0))]
    for each in lists:
        taken, left[:] = left[: each.max_count], left[each.max_count :]
        if taken:
            placed[each.name] = [(kind, number) for number in taken]
    last = last or ([left.pop(0)] if left and ends else [])
    if last and ends:
        placed[ends[0].name] = [(kind, last[0])]
    if left:
        problems.append(f"the model has no field for {kind} {left[0]}")


def _as_listed(part: Mapping[str, Any], word: str, value: object) -> JsonValue:
    """Return a value as the schema writes it: ``720P``, ``"5"``, ``"on"``."""
    listed = part.get("enum")
    if isinstance(listed, list):
        for each in listed:
            if word == "duration":
                same = seconds_of(each) == value
            elif isinstance(value, bool):
                same = str(each).lower() in [pair[0 if value else 1] for pair in SWITCHES]
            else:
                same = str(each).lower() == str(value).lower()
            if same and not (isinstance(value, bool) and isinstance(each, bool)):
                return _plain(each)
    return _plain(value)


def _plain(value: object) -> JsonValue:
    plain: JsonValue = json.loads(json.dumps(value))
    return plain


def with_other_seed(body: Mapping[str, JsonValue], old: int, new: int) -> dict[str, JsonValue]:
    """Return a body with another seed, if it has one."""
    return {name: new if snake(name) in WORDS["seed"] and value == old else value for name, value in body.items()}


def traits_of_body(body: Mapping[str, JsonValue]) -> tuple[bool, bool, bool]:
    """Return whether the video keeps its image, speaks its voice, and may have cuts, as the fields of a body say."""
    image = voice = cuts = False
    for value in body.values():
        if (mark := marked_medium(value)) is not None:
            image, voice = image or mark == (MediumKind.IMAGE, 1), voice or mark[0] is MediumKind.AUDIO
        elif isinstance(value, list) and any(marked_medium(each) for each in value):
            cuts = True
    return image and not cuts, voice and not cuts, cuts
