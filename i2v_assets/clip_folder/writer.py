"""What the bucket says to a person who has nothing else: the files below `clips/<clip>/`."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from i2v_assets.clip_folder.manifest import Manifest
from i2v_assets.clip_folder.notes import NO_MONEY, Answer, refused, refused_upload
from resources.ledger.records import Money
from resources.problem import Problem
from resources.schemas.inputs import Service
from resources.storage import keys
from resources.storage.bucket import Bucket

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


class BucketAnswers:
    """Writes a clip's answers; one of the three notes at most is there at any time."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def document(self, clip: str, name: str, content: Mapping[str, Any]) -> None:
        """`media.json` and `plan.json`: what was found, what was decided."""
        text = json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True, default=str)
        self._bucket.write(keys.clip_key(clip, name), f"{text}\n".encode(), JSON)

    def note(self, clip: str, answer: Answer, picture: bytes | None = None) -> None:
        """One of REFUSED.txt, FAILED.txt, WAITING.txt; the other two go, a delivered video stays.

        Args:
            clip: the clip.
            answer: the note.
            picture: a small JPEG of what was uploaded, so that the gallery shows what the note is about.
        """
        if picture is not None:
            self._bucket.write(keys.clip_key(clip, keys.SOURCE_PICTURE), picture, "image/jpeg")
        self._bucket.write(keys.clip_key(clip, answer.kind.value), answer.text.encode(), TEXT)
        self._bucket.delete_many(keys.clip_key(clip, name) for name in keys.NOTES if name != answer.kind.value)

    def delivered(
        self,
        clip: str,
        video_key: str,
        manifest: Manifest,
        files: Mapping[str, tuple[bytes, str]],
        *,
        notes: bool,
        shown: Path | None = None,
    ) -> None:
        """The chosen take as the clip's answer; the manifest comes last, so that it never speaks of what is not there.

        Args:
            clip: the clip.
            video_key: the take that is copied to `video.mp4`.
            manifest: what it was made from.
            files: further files by name, with their content type (posters and previews).
            notes: the clip had an answer before, so a note may be there, which goes.
            shown: a copy of the take that is shown in its place: signed, or with the brief's sounds.
        """
        if shown is None:
            self._bucket.copy(video_key, keys.clip_key(clip, keys.VIDEO))
        else:
            self._bucket.upload(shown, keys.clip_key(clip, keys.VIDEO), "video/mp4")
        for name, (content, content_type) in files.items():
            self._bucket.write(keys.clip_key(clip, name), content, content_type)
        self._bucket.write(keys.clip_key(clip, keys.MANIFEST), manifest.to_json(), JSON)
        if notes:
            self._bucket.delete_many(keys.clip_key(clip, name) for name in keys.NOTES)

    def refused_upload(
        self,
        source_key: str,
        words: str,
        remedy: str,
        *,
        clip: str | None = None,
        money: Money = NO_MONEY,
        service: Service = "runcomfy",
    ) -> None:
        """An upload that cannot be a clip: named by its own key, and beside the clip that it would be, where that is known.

        The clip's other notes stay: they are about what was uploaded before.
        """
        problem = Problem(words, remedy=remedy)
        text = refused_upload(source_key, problem).text
        self._bucket.write(keys.refused_key(source_key), text.encode("utf-8", "replace"), TEXT)
        if clip is not None:
            answer = refused(clip, [problem], money, service=service)
            self._bucket.write(keys.clip_key(clip, keys.REFUSED_NOTE), answer.text.encode("utf-8", "replace"), TEXT)

    def refused_beside(self, name: str, words: str, remedy: str, *, service: Service = "runcomfy") -> None:
        """Say in the folder of its name, where its owner looks, that an upload cannot become a clip."""
        answer = refused(name, [Problem(words, remedy=remedy)], NO_MONEY, service=service)
        self._bucket.write(keys.clip_key(name, keys.REFUSED_NOTE), answer.text.encode("utf-8", "replace"), TEXT)

    def upload_accepted(self, source_key: str) -> None:
        """Take back what `refused_upload` said by the upload's key."""
        self._bucket.delete(keys.refused_key(source_key))

    def no_longer_refused(self, clips: Iterable[str]) -> None:
        """Take back what `refused_upload` said beside clips."""
        self._bucket.delete_many(keys.clip_key(clip, keys.REFUSED_NOTE) for clip in clips)

    def no_longer_waiting(self, clip: str) -> None:
        """What it waited for was taken back; its video stays."""
        self._bucket.delete(keys.clip_key(clip, keys.WAITING_NOTE))

    def withdrawn(self, clips: Iterable[str]) -> None:
        """The uploads of these clips are gone, and what was said of them with them."""
        names = (*keys.NOTES, keys.SOURCE_PICTURE)
        self._bucket.delete_many(keys.clip_key(clip, name) for clip in clips for name in names)
