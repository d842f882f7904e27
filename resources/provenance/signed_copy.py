"""The result of signing a video: the file to show, and the line that tells people about it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Signing:
    """One line for people, and the signed file (the caller deletes it) with its hash; no file if it is unsigned."""

    line: str
    path: Path | None = None
    sha256: str | None = None
    size_bytes: int | None = None

    def discard(self) -> None:
        """Delete the local file."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
