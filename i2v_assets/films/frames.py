"""Cut the frame of a shot from which the next one starts, once, and keep it under `inputs/`."""

from pathlib import Path

from resources.media.frames import frame_before, last_frame
from resources.media.limits import PIXELS_OF_4K
from resources.media.pool import MediaPool, scaled, shared_pool
from resources.schemas.inputs import FirstFrame
from resources.storage import keys
from resources.storage.bucket import Bucket

PNG = "image/png"

_SECONDS = 15
"""The longest shot that is made."""


def store_first_frame(bucket: Bucket, frame: FirstFrame, video: Path, png: Path, pool: MediaPool | None = None) -> str:
    """Return the key of a frame after cutting it from a local video; what lies under that key already stays.

    Args:
        bucket: Where it is kept.
        frame: Which frame.
        video: The video of the shot before.
        png: The local file to write.
        pool: Where it is decoded; the program's own if None.

    Raises:
        Unreadable: the video is damaged; StorageError: the bucket does not answer.
    """
    key = keys.first_frame_key(frame.of, frame.at)
    limits = scaled("show", size_bytes=video.stat().st_size, pixels=PIXELS_OF_4K, seconds=_SECONDS)
    media = pool or shared_pool()
    if frame.at == "end":
        media.run(last_frame, video, png, limits=limits, name="The video")
    else:
        media.run(frame_before, video, png, frame.at / 1000, limits=limits, name="The video")
    bucket.upload_new(png, key, PNG)
    return key
