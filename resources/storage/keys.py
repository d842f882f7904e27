"""The bucket's layout and the slugs of clips. Pure.

uploads/hero.jpg                         a loose image is a clip `hero`; hero.mp3 beside it is its voiceover
uploads/shoes/0001.jpg                   in a folder too: clip `shoes--0001`
uploads/<clip>/brief.yaml + media        one clip of all the media that the brief assigns
videos/<fingerprint>.mp4                 written once, never overwritten unless it is not a video
videos/_rejected/<fingerprint>-<n>       what the service gave as a video and is none
requests/<fingerprint>/<attempt>.json    what was claimed, sent or ended, whatever becomes of the ledger
clips/<clip>/...                         what was found, decided and made
clips/_refused/<slug>-<hash>.txt         what could not become a clip
uploads/_do/approve-<clip>               a command of somebody who has only the bucket; also cancel-<clip>
clips/_do/approve-<clip>.json            which command was carried out
sequences/<sequence>.yaml, sequences/<sequence>/...
inputs/<sha256>.<ending>                 what is sent: media by the hash of their bytes
inputs/frames/<fingerprint>-<place>.png  the frame of a shot from which the next one starts, cut once
gallery/index.html
"""

import hashlib
import re
import unicodedata

from resources.composed import composed

UPLOADS = "uploads/"
VIDEOS = "videos/"
REQUESTS = "requests/"
CLIPS = "clips/"
REFUSED = "clips/_refused/"
COMMANDS = "uploads/_do/"
COMMAND_RECORDS = "clips/_do/"
SEQUENCES = "sequences/"
GALLERY = "gallery/"
INPUTS = "inputs/"
"""Media by the hash of their bytes: of `i2v run`, and copies of what is sent. Outside ``uploads/``, which the sensor lists at
every tick."""

BRIEF = "brief.yaml"
DEFAULTS = "_defaults.yaml"
"""The two files below ``uploads/`` that are not media."""

# Files of a clip below clips/<clip>/.
MEDIA = "media.json"
PLAN = "plan.json"
VIDEO = "video.mp4"
POSTER = "poster.jpg"
SOURCE_PICTURE = "source.jpg"
"""A small copy of the first image, beside a note that a person has to act on."""
CONTACT_SHEET = "contact_sheet.jpg"
MANIFEST = "manifest.json"
REFUSED_NOTE = "REFUSED.txt"
FAILED_NOTE = "FAILED.txt"
WAITING_NOTE = "WAITING.txt"
APPROVE_NOTE = "APPROVE.txt"
CANCEL_NOTE = "CANCEL.txt"
"""Answers to commands in the bucket; they are not notes and stay."""
NOTES = (REFUSED_NOTE, FAILED_NOTE, WAITING_NOTE)

FOLDER_JOINT = "--"
"""Separates the parts of a clip's name; never part of one."""

MAX_NAME = 100
"""Longest clip name: it becomes a partition key, a folder and a file name (at most 255 bytes on common disks)."""

_HASH_DIGITS = 8
"""With 32 bits, two of 10,000 names collide with a chance of 1 %; the later one is then refused by name."""

_FOREIGN = re.compile(r"[^A-Za-z0-9_-]+")
_HYPHENS = re.compile(r"-{2,}")
_CLEAN = re.compile(r"[A-Za-z0-9_-]{1,200}")
MAX_REJECTED = 3
"""Files of one request that are kept although they are not videos: enough to show the service what it gave."""
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_REQUEST_KEY = re.compile(r"requests/([0-9a-f]{64})/([1-9][0-9]{0,5})\.json")
_VIDEO_KEY = re.compile(r"videos/([0-9a-f]{64})\.mp4")
_EXTENSION = re.compile(r"(?<=[^/])\.[^./]+$")
# Letters that Unicode does not decompose into a base letter and a mark.
_LETTERS = str.maketrans(
    {"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ð": "d",
     "Ð": "D", "þ": "th", "Þ": "Th", "ł": "l", "Ł": "L", "ı": "i", "ħ": "h", "Ħ": "H", "ŋ": "n", "Ŋ": "N"}
)  # fmt: skip


def slug(key_or_name: str) -> str:
    """Return the slug of an upload: ``uploads/shoes/0001.jpg`` and ``shoes/0001`` both become ``shoes--0001``.

    Lossy and deterministic. Folders are joined by ``--``; in each part accents are folded and everything else outside
    ``[A-Za-z0-9_-]`` becomes one hyphen, runs of hyphens become one, hyphens at the ends and underscores at the
    beginning go (``_`` marks the project's own folders). A part that holds letters or digits of other scripts ends with
    8 hex digits of its SHA-256, since what tells such names apart is lost otherwise; one of which nothing is left
    (``..``) is ``clip-`` and those digits. Names over `MAX_NAME` are cut and end with a hash of the whole.

    Args:
        key_or_name: a key below ``uploads/`` (its file extension goes, unless it ends in ``/`` and so is a folder), or
            a name from anywhere, taken as it is. Empty folder names (``a//b``) are dropped, as S3 servers do.
    """
    name = key_or_name
    if name.startswith(UPLOADS):
        name = _EXTENSION.sub("", name.removeprefix(UPLOADS))
    joined = FOLDER_JOINT.join(_part(part) for part in name.split("/") if part) or _substitute(name)
    if len(joined) <= MAX_NAME:
        return joined
    return f"{joined[: MAX_NAME - _HASH_DIGITS - 1].rstrip('-')}-{_digest(name)}"


def video_key(fingerprint: str) -> str:
    """Return the key of a fingerprint's video, which is written once."""
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise ValueError(f"{fingerprint!r} is not a fingerprint")
    return f"{VIDEOS}{fingerprint}.mp4"


def request_key(fingerprint: str, attempt: int) -> str:
    """Where the record of one attempt of a paid request lies."""
    if not _FINGERPRINT.fullmatch(fingerprint) or attempt < 1:
        raise ValueError(f"{fingerprint!r}, attempt {attempt}, is not a request")
    return f"{REQUESTS}{fingerprint}/{attempt}.json"


def parse_request_key(key: str) -> tuple[str, int] | None:
    """Return the fingerprint and attempt of a record's key, None for any other key."""
    found = _REQUEST_KEY.fullmatch(key)
    return (found[1], int(found[2])) if found else None


def parse_video_key(key: str) -> str | None:
    """Return the fingerprint of a video's key, None for any other key."""
    found = _VIDEO_KEY.fullmatch(key)
    return found[1] if found else None


def ledger_key(service: str) -> str:
    """Where it is written which ledger may submit to a service for this bucket."""
    return f"{REQUESTS}_ledgers/{_checked(service)}.json"


def rejected_keys(fingerprint: str) -> tuple[str, ...]:
    """Return the keys of files that were given as a fingerprint's video and are none."""
    stem = video_key(fingerprint).removeprefix(VIDEOS).removesuffix(".mp4")
    return tuple(f"{VIDEOS}_rejected/{stem}-{number}" for number in range(1, MAX_REJECTED + 1))


def clip_key(clip: str, name: str) -> str:
    """Return the key of a clip's file, such as ``clip_key("hero", VIDEO)``."""
    return f"{CLIPS}{_checked(clip)}/{_checked_file(name)}"


def joined_video(fingerprint: str) -> str:
    """Return the file name of a take that was joined of several requests; it can be joined again for free."""
    return f"joined-{fingerprint[:16]}.mp4"


def sequence_key(sequence: str, name: str) -> str:
    """Return the key of a sequence's file."""
    return f"{SEQUENCES}{_checked(sequence)}/{_checked_file(name)}"


def first_frame_key(fingerprint: str, at: object) -> str:
    """Return the key of a frame of a shot, from which the next one starts; ``at`` says which."""
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise ValueError(f"{fingerprint!r} is not a fingerprint")
    return f"{INPUTS}frames/{fingerprint}-{at}.png"


def frame_key(sequence: str, video_sha256: str) -> str:
    """Return the key under which earlier versions kept a video's last frame."""
    if not _FINGERPRINT.fullmatch(video_sha256):
        raise ValueError(f"{video_sha256!r} is not a SHA-256")
    return f"{SEQUENCES}{_checked(sequence)}/frames/{video_sha256}.png"


INPUT_ENDINGS = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "audio/mpeg": ".mp3",
    "audio/wav": ".wav",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
}
"""Endings of the media that models take, by content type."""


def input_key(sha256: str, content_type: str) -> str:
    """Return the key of a medium that is kept by the hash of its bytes."""
    return f"{INPUTS}{sha256}{INPUT_ENDINGS.get(content_type, '')}"


def refused_key(source_key: str) -> str:
    """Return the key of the note that says why an upload was refused; each source key has its own."""
    return f"{REFUSED}{slug(source_key)}-{_digest(source_key)}.txt"


def command_answer_key(record_key: str) -> str:
    """Return the key of the answer to a command in the bucket that is about no clip, by the key of its record."""
    return refused_key(COMMANDS + record_key.removeprefix(COMMAND_RECORDS).removesuffix(".json"))


def is_slug(name: str) -> bool:
    """Return whether a name can be a clip's."""
    return _CLEAN.fullmatch(name) is not None


def _checked(name: str) -> str:
    """Return the name, or raise if it did not go through `slug`."""
    if not is_slug(name):
        raise ValueError(f"{name!r} is not a slug")
    return name


def _checked_file(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", name):
        raise ValueError(f"{name!r} is not a file name of the layout")
    return name


def _part(text: str) -> str:
    letters = text.translate(_LETTERS)
    decomposed = letters if letters.isascii() else composed(letters, "NFKD")
    folded = "".join(char for char in decomposed if not unicodedata.combining(char))
    clean = _HYPHENS.sub("-", _FOREIGN.sub("-", folded)).strip("-").lstrip("-_")
    if not clean:
        return _substitute(text)
    lost = any(ord(char) > 127 and char.isalnum() for char in folded)
    return f"{clean}-{_digest(text)}" if lost else clean


def _substitute(text: str) -> str:
    return f"clip-{_digest(text)}"


def _digest(text: str) -> str:
    """Return the hash of a name.

    It is the same for both Unicode forms of an accent (macOS uploads decomposed names).
    """
    return hashlib.sha256(composed(text).encode(errors="surrogatepass")).hexdigest()[:_HASH_DIGITS]
