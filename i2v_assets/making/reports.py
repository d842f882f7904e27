"""How the way of a clip tells what it does, without knowing who listens."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Markdown:
    """Text that the UI renders."""

    text: str


@dataclass(frozen=True)
class Link:
    """An address that a person may open; never a presigned one."""

    url: str


@dataclass(frozen=True)
class Json:
    """A document."""

    data: Mapping[str, object]


Metadata = Mapping[str, "str | int | float | bool | Markdown | Link | Json | None"]
"""Numbers stay numbers, so that Dagster plots them; an entry that is None is left out."""


class Events(Protocol):
    """Who is told of what became of a clip, the moment it is known."""

    def materialized(self, asset: str, clip: str, metadata: Metadata, data_version: str) -> None:
        """An asset of a clip is there."""

    def checked(
        self, asset: str, check: str, clip: str, *, passed: bool, metadata: Metadata, warn: bool = False
    ) -> None:
        """A check of a clip's asset was made; ``warn`` makes a failure a warning."""
