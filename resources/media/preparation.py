"""What is done to a file so that a model takes it, as plain data. Pure; `prepare.py` beside this file does it."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from resources.schemas.inputs import MediumKind

VERSIONS: Final = {MediumKind.IMAGE: 1, MediumKind.AUDIO: 1, MediumKind.VIDEO: 1}
"""Of the preparations, part of every fingerprint. Increment one only if its result shows or says something else: every clip
that needs it is then another request. A new library or encoder changes nothing."""

WHITE: Final = "white"


class Preparation(BaseModel):
    """What has to be done to one file.

    Attributes:
        kind: Image, audio or video.
        reasons: Why, each as the rest of a sentence about the file: "is a HEIC image".
        background: The colour behind transparent pixels and around a padded picture; None if there are none.
        fit: How a picture comes within the limits of its aspect; None if it is.
        min_aspect: The smallest displayed width over height.
        max_aspect: The largest.
        max_bytes: The largest result.
        shrink: The picture is scaled to `LONGER_SIDE`, because it has too many bytes or pixels.
        copy_picture: The picture of a video stays as it is, only its sound is left out.
        optional: The endpoint takes the file as it is, so that one that was paid for as it is stays so.
        span_ms: The part of a sound that is taken, from and to in milliseconds; None for all of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: MediumKind
    reasons: tuple[str, ...]
    background: str | None = None
    fit: Literal["pad", "crop"] | None = None
    min_aspect: float | None = None
    max_aspect: float | None = None
    max_bytes: int
    shrink: bool = False
    copy_picture: bool = False
    optional: bool = False
    span_ms: tuple[int, int] | None = None

    @property
    def identity(self) -> str:
        """What the fingerprint says of it beside the original's bytes: everything that people decide, nothing that follows."""
        parts = [f"{self.kind.value}/{VERSIONS[self.kind]}"]
        if self.fit is not None:
            parts.append(f"fit={self.fit}")
        if self.background not in (None, WHITE):
            parts.append(f"background={self.background}")
        if self.span_ms is not None:
            parts.append("ms={}-{}".format(*self.span_ms))
        return " ".join(parts)

    @property
    def result_key(self) -> str:
        """What one result is remembered by: its identity, and the endpoint's limits."""
        return f"{self.identity} {self.min_aspect} {self.max_aspect} {self.max_bytes} {self.shrink} {self.copy_picture}"


LONGER_SIDE: Final = 3840
"""Pixels of a picture that has to be smaller: 4k, twice what the models draw."""
