"""A generation under the project's own names, which stay the same if the wire's names change, and its fingerprint."""

import hashlib
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SerializerFunctionWrapHandler, model_serializer

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Service = Literal["runcomfy", "sandbox"]

MAX_SEED = 2_147_483_647
"""Largest seed of every endpoint (docs/runcomfy-api.md, section 6); 0 means random there, so the project never sends it."""


class Route(StrEnum):
    """The kinds of generation that a clip can be."""

    ANIMATE = "animate"
    LIP_SYNC = "lip_sync"
    MULTI_MODAL = "multi_modal"


Family: TypeAlias = str
"""A family's name (`resources.schemas.families`), or the model id of one that is used by its live schema."""

FamilyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", max_length=200)]
"""A family where it is read: what can stand in the service's paths."""


class MediumKind(StrEnum):
    """The kinds of media that a clip can be made from."""

    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"


_OF_PREPARED = frozenset({"original_sha256", "original_size_bytes", "original_key", "preparation"})


class Medium(BaseModel):
    """One input file, identified by its bytes; its place in the bucket is not part of any fingerprint.

    ``etag`` and ``version_id`` name the object whose bytes were hashed, as far as known: an upload may be replaced
    under its key. They apply to this run alone, and are stored nowhere.

    A file that was prepared for the model names its original too, and ``preparation``, what was done and by which version.
    Files that were not have none of these fields, in no document.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: MediumKind
    sha256: Sha256
    key: str
    size_bytes: int
    content_type: str
    original_sha256: Sha256 | None = None
    original_size_bytes: int | None = None
    original_key: str | None = None
    preparation: str | None = None
    etag: str = Field("", exclude=True, repr=False)
    version_id: str = Field("", exclude=True, repr=False)

    @property
    def uploaded_sha256(self) -> str:
        """The hash of the bytes that a person uploaded."""
        return self.original_sha256 or self.sha256

    @property
    def uploaded_size_bytes(self) -> int:
        """The size of the bytes that a person uploaded."""
        return self.size_bytes if self.original_size_bytes is None else self.original_size_bytes

    @property
    def uploaded_key(self) -> str:
        """The key that a person uploaded it under."""
        return self.original_key or self.key

    @model_serializer(mode="wrap")
    def _only_what_it_has(self, serialize: SerializerFunctionWrapHandler) -> dict[str, object]:
        plain: dict[str, object] = serialize(self)
        return {name: value for name, value in plain.items() if value is not None or name not in _OF_PREPARED}


class FirstFrame(BaseModel):
    """The picture that a shot starts from: a frame of the shot before it.

    Attributes:
        of: The fingerprint of the shot before.
        at: Where in its video: ``end``, or milliseconds from its start, before which the frame is shown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: Sha256
    at: Literal["end"] | Annotated[int, Field(ge=1)] = "end"


class GenerationInputs(BaseModel):
    """Everything that determines a generation; a field is None if its endpoint has no such input.

    ``resolution`` is the tier in lower case (``480p``, ``720p``, ``1080p``, ``4k``), ``duration`` whole seconds. A family
    that is used by its live schema has the ``body`` that is sent, with its media by number (`medium_mark`); its resolution
    is empty if the endpoint names no such tier. With a ``first_frame`` the only image is that frame; it is missing until
    the shot before is made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: FamilyName
    prompt: str
    negative_prompt: str | None = None
    images: tuple[Medium, ...] = ()
    audios: tuple[Medium, ...] = ()
    videos: tuple[Medium, ...] = ()
    end_image: Medium | None = None
    duration: int
    resolution: str
    aspect_ratio: str | None = None
    seed: int = Field(ge=1, le=MAX_SEED)
    watermark: bool | None = None
    generate_audio: bool | None = None
    prompt_expansion: bool | None = None
    body: dict[str, JsonValue] | None = None
    first_frame: FirstFrame | None = None

    @property
    def media(self) -> tuple[Medium, ...]:
        """Return all media in the order images, last image, videos, audios."""
        last = () if self.end_image is None or self.end_image in self.images else (self.end_image,)
        return (*self.images, *last, *self.videos, *self.audios)

    def of(self, kind: MediumKind) -> tuple[Medium, ...]:
        """Return the media of one kind."""
        return {MediumKind.IMAGE: self.images, MediumKind.AUDIO: self.audios, MediumKind.VIDEO: self.videos}[kind]


LAST = 0


def medium_mark(kind: MediumKind, number: int) -> dict[str, JsonValue]:
    """Return what stands in a body for the address of a file: the file's kind and its number, from 1.

    The number `LAST` stands for the image that the video ends on.
    """
    return {_MARK: f"{kind} {number}"}


def marked_medium(value: object) -> tuple[MediumKind, int] | None:
    """Return the file that a value of a body stands for; None if it is an ordinary value."""
    if not isinstance(value, dict) or set(value) != {_MARK}:
        return None
    kind, _, number = str(value[_MARK]).partition(" ")
    return MediumKind(kind), int(number)


_MARK = "$medium"


def fingerprint(service: Service, inputs: GenerationInputs, take: int) -> str:
    """Return the SHA-256 (hex) over the service, the inputs (each medium by its bytes) and the take number.

    A prepared file counts as its original and the preparation's own version: the prepared bytes may differ from library to
    library, the request does not. For the same reason a first frame counts as the fingerprint of the shot before and its
    place there, never as its bytes. Nothing volatile is included: no key, URL, time, run, or model id that answered. A field that is None is omitted, so
    that an input added later does not change the fingerprints of clips that do not use it.
    """
    plain = inputs.model_dump(mode="json", exclude_none=True)
    for kind in ("images", "audios", "videos"):
        plain[kind] = [_identity(medium) for medium in plain[kind]]
    if "end_image" in plain:
        plain["end_image"] = _identity(plain["end_image"])
    if inputs.first_frame is not None:
        plain["images"] = [medium.preparation for medium in inputs.images if medium.preparation is not None]
        if inputs.end_image is not None and inputs.end_image in inputs.images:
            plain["end_image"] = "first_frame"
    canonical = json.dumps(
        {"service": service, "take": take, "inputs": plain}, sort_keys=True, separators=(",", ":"), ensure_ascii=True
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def _identity(medium: dict[str, Any]) -> object:
    if "preparation" not in medium:
        return medium["sha256"]
    return {"original": medium["original_sha256"], "preparation": medium["preparation"]}


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hex; the file is read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
