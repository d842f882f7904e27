"""Store the media of `i2v run` in the bucket under the hash of their bytes, and measure them like every upload."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from i2v_assets.cli.exit_codes import DataProblem, NoInput
from i2v_assets.cli.run.inputs import Source
from i2v_assets.cli.run.safe_fetch import fetch_input
from i2v_assets.pipeline.read_media import MediaReader, ReadFile
from resources.schemas.inputs import Service, sha256_file
from resources.storage.bucket import Bucket
from resources.storage.errors import StorageUnavailable
from resources.storage.keys import INPUTS, input_key

PREFIX = INPUTS
"""Where the media of `i2v run` lie, among the copies of all that is sent."""


def display_names(sources: Sequence[Source]) -> list[str]:
    """Return what messages and the brief call each medium: its file's name, made unique."""
    names: list[str] = []
    for number, source in enumerate(sources, start=1):
        path = source.where if source.is_file else unquote(urlsplit(source.where).path)
        base = PurePosixPath(path.replace("\\", "/")).name
        name = "".join(char if char.isprintable() and char not in '"$`' else "_" for char in base).strip()[:100]
        if name in ("", ".", ".."):
            name = f"{source.kind}-{number}"
        names.append(name if name not in names else f"{number}-{name}")
    return names


def store_media(
    sources: Sequence[Source],
    names: Sequence[str],
    bucket: Bucket,
    reader: MediaReader,
    scratch: Path,
    service: Service,
) -> list[ReadFile]:
    """Put all media into the bucket, and return them with their facts; what is there already is not sent again.

    Raises:
        NoInput: a file of this machine does not exist.
        DataProblem: an address is refused, or the bytes are not media.
        StorageError: the bucket does not take them.
    """
    found = []
    for number, (source, name) in enumerate(zip(sources, names, strict=True)):
        path = Path(source.where).expanduser() if source.is_file else scratch / f"input-{number}"
        if source.is_file and not path.is_file():
            raise NoInput(f"{source.where} is not a file.", remedy="Name files of this machine.")
        if not source.is_file:
            fetch_input(source.where, path, service)
        found.append(_store(path, source, name, bucket, reader))
    return found


def _store(path: Path, source: Source, name: str, bucket: Bucket, reader: MediaReader) -> ReadFile:
    try:
        looks = reader.sniff(path, name)
        digest = sha256_file(path)
    except OSError as error:
        raise NoInput(f"{name} cannot be read: {error.strerror or type(error).__name__}.") from None
    if looks is None:
        raise DataProblem(
            f"{name} is not an image, audio or video that can be read.",
            remedy="Give a JPEG, PNG or WebP image, a WAV or MP3 sound, or an MP4 or MOV video.",
        )
    kind, content_type = looks
    if kind is not source.kind:
        raise DataProblem(f"{name} was given as {source.kind} and is {kind}.", remedy=f"Give it with --{kind}.")
    key = input_key(digest, content_type)
    bucket.upload_new(path, key, content_type)
    stored = bucket.head(key)
    if stored is None:
        raise StorageUnavailable(f"{name} was stored and is not in the bucket.", remedy="Run it again.")
    return reader.read(key, stored.etag, name)
