"""What decides the price of a request: the family and the parameters that services are known to bill by. Pure.

One function makes it from a request's inputs, so that an endpoint with other billed parameters adds them here, in ``more``.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from resources.schemas.inputs import GenerationInputs

_RANK = ("resolution", "sound", "more", "images", "input_seconds", "duration")
"""Parameters by how much a difference in them changes the factor, the most first: a resolution has a factor of its own
(1.5 x for 1080p), while another duration is already in the base."""


MAX_MORE, MAX_WORD = 20, 40
"""Further parameters that count, and the characters of each name and value: a key is indexed, which Postgres does up to 2,700
bytes."""


_FREE = re.compile(r"seed|prompt|text|caption|lyrics|title", re.IGNORECASE)
"""Inputs that are words or chance: no service bills by what they say."""


class Billed(BaseModel):
    """The family and the billed parameters of one request.

    Attributes:
        family: The endpoint family.
        resolution: The tier in lower case; empty if the endpoint has none.
        duration: Whole seconds of the video.
        sound: ``given`` by a file, ``on`` if the model makes it, ``off`` if it was switched off.
        input_seconds: Whole seconds of the reference videos together, rounded up; None if they were not measured.
        images: Number of input images.
        more: Further billed parameters of an endpoint, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str
    resolution: str = ""
    duration: int = 0
    sound: Literal["given", "on", "off"] = "on"
    input_seconds: int | None = 0
    images: int = 0
    more: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """Return it as text: the same for the same parameters, and readable by `Billed.of_key`."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    @classmethod
    def of_key(cls, key: str) -> Self:
        """Return what a key was made from.

        Raises:
            ValidationError: it is not a key of this version.
        """
        return cls.model_validate_json(key)

    @property
    def words(self) -> str:
        """Return the parameters in words, such as ``1080p, 5 s``."""
        parts = [self.resolution, f"{self.duration} s" if self.duration else ""]
        parts.append({"given": "with a voice", "on": "", "off": "without sound"}[self.sound])
        if self.input_seconds != 0:
            seconds = "of unknown length" if self.input_seconds is None else f"of {self.input_seconds} s"
            parts.append(f"with videos {seconds}")
        parts.append(f"with {self.images} images" if self.images > 1 else "")
        parts += [f"{name} {value}" for name, value in self.more]
        return ", ".join(part for part in parts if part)

    def distance(self, other: "Billed") -> tuple[float, ...]:
        """Return how far other parameters of the same family are from these; smaller tuples are nearer."""
        return tuple(_apart(getattr(self, name), getattr(other, name)) for name in _RANK)


def _apart(one: object, other: object) -> float:
    if isinstance(one, int) and isinstance(other, int):
        return abs(one - other)
    return 0.0 if one == other else 1.0


def _of_body(body: Mapping[str, object]) -> dict[str, object]:
    """Return what the body of a live schema may be billed by: its switches, numbers and choices, but no seed and no words.

    The service does not say which of them are billed, so each is a parameter of its own.
    """
    return {
        name: value
        for name, value in body.items()
        if isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= MAX_WORD)
        if not _FREE.search(name)
    }


def billed_of(
    inputs: GenerationInputs, video_seconds: Sequence[float] | None = None, more: Mapping[str, object] | None = None
) -> Billed:
    """Return what decides the price of a request.

    Args:
        inputs: The request.
        video_seconds: The lengths of its reference videos; None if they were not measured.
        more: Further parameters that its endpoint bills by, with their values.
    """
    if not inputs.videos:
        seconds: int | None = 0
    else:
        seconds = None if video_seconds is None else math.ceil(sum(video_seconds))
    return Billed(
        family=str(inputs.family),
        resolution=inputs.resolution,
        duration=inputs.duration,
        sound="given" if inputs.audios else "off" if inputs.generate_audio is False else "on",
        input_seconds=seconds,
        images=len(inputs.images),
        more=tuple(
            sorted(
                (name[:MAX_WORD], str(value)[:MAX_WORD])
                for name, value in {**_of_body(inputs.body or {}), **(more or {})}.items()
            )
        )[:MAX_MORE],
    )
