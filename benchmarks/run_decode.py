"""Decode the videos of another contestant's clips once each, with PyAV and nothing else.

One thread, picture and sound, opened as PyAV opens any file. The videos are fetched before the clock starts, and the decoder is
loaded. It prints the CPU seconds of all decodes and their number.
"""

import json
import sys
import time
from pathlib import Path

import av

from benchmarks.workload import read_spec
from resources.settings import load_settings
from resources.storage.bucket import Bucket
from resources.storage.keys import VIDEO


def decode(path: Path) -> None:
    """Decode every frame of a file and keep none."""
    with av.open(str(path)) as container:
        for stream in container.streams:
            stream.codec_context.thread_count = 1
        for packet in container.demux():
            packet.decode()


def fetched(bucket: Bucket, folder: Path) -> list[Path]:
    """Return local copies of the videos of all clips."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for stored in bucket.list("clips/"):
        if stored.key.endswith(f"/{VIDEO}"):
            found.append(folder / f"{len(found)}.mp4")
            bucket.download(stored.key, found[-1])
    return found


def main() -> int:
    spec = read_spec()
    videos = fetched(Bucket.from_settings(load_settings()), Path(spec["scratch"]))
    if len(videos) != spec["clips"]:
        return 1
    decode(videos[0])
    began = time.process_time()
    for video in videos:
        decode(video)
    print(json.dumps({"clips": len(videos), "cpu_seconds": time.process_time() - began}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
