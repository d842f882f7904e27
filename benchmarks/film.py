"""Measure a long film: the memory of the process that joins it, and whether its length matches its shots.

Clips of five seconds are made from the project's sample images and sounds. Three of five have the film's size; the others have
another size, frame rate or sample rate, or no sound. The project's own code joins them, with a crossfade at every second seam
and a looped music track, and makes the previews. Each length runs in a separate process.

Usage: nice -n 15 python -m benchmarks.film [--minutes 10] [--height 1080] [--results benchmarks/film.json]
"""

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from resources.media.joining import FilmOptions, Shot, join
from resources.media.mixing import Track
from resources.media.previews import contact_sheet, poster
from resources.media.probe import probe_video, sha256_file

SAMPLES = Path(__file__).parent.parent / "i2v_assets" / "samples"

LIMIT_MB = 1000.0
"""Maximum resident memory for a film of ten minutes."""

LIMIT_GROWTH_MB = 100.0
"""Maximum growth from one to ten minutes. x264 and the allocator vary a little; a leak per frame would be gigabytes."""

SECONDS = 5
CROSSFADE = Fraction(1, 2)


class Kind(NamedTuple):
    """One kind of clip; sizes are relative to the film's height."""

    picture: str
    width: Fraction
    height: Fraction
    fps: int
    sound: str
    rate: int


_WIDE, _ONE = Fraction(16, 9), Fraction(1)
KINDS = (
    Kind("environment.jpg", _WIDE, _ONE, 24, "ambience.mp3", 48_000),
    Kind("product.webp", _WIDE, _ONE, 24, "", 0),
    Kind("portrait.png", Fraction(9, 16), _ONE, 30, "voiceover-en.mp3", 44_100),
    Kind("pet.jpg", _WIDE, _ONE, 24, "voiceover-es.mp3", 48_000),
    Kind("product.webp", _WIDE * Fraction(2, 3), Fraction(2, 3), 25, "ambience.mp3", 32_000),
)


def write_clip(path: Path, kind: Kind, height: int) -> None:
    """Write five seconds of an image with a push-in and camera-like grain."""
    size = (round(kind.width * height) & ~1, round(kind.height * height) & ~1)
    picture = cv2.imread(str(SAMPLES / kind.picture), cv2.IMREAD_COLOR)
    fill = max(size[0] / picture.shape[1], size[1] / picture.shape[0]) * 1.02
    grain = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=kind.fps, options={"preset": "ultrafast", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        voice = container.add_stream("aac", rate=kind.rate, layout="stereo") if kind.sound else None
        for number in range(kind.fps * SECONDS):
            scale = fill * (1 + 0.1 * number / (kind.fps * SECONDS))
            move = np.array(
                [
                    [scale, 0, (size[0] - picture.shape[1] * scale) / 2],
                    [0, scale, (size[1] - picture.shape[0] * scale) / 2],
                ]
            )
            shown = cv2.warpAffine(picture, move, size, borderMode=cv2.BORDER_REFLECT)
            noise = cv2.resize(grain.integers(0, 8, (size[1] // 2, size[0] // 2), np.uint8), size)
            frame = av.VideoFrame.from_ndarray(cv2.add(shown, cv2.merge([noise] * 3)), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if voice is not None:
            resampler = av.AudioResampler(format="fltp", layout="stereo", rate=kind.rate)
            at = 0
            with av.open(str(SAMPLES / kind.sound)) as source:
                for decoded in source.decode(audio=0):
                    for part in resampler.resample(decoded):
                        if at < SECONDS * kind.rate:
                            part.pts, part.time_base = at, Fraction(1, kind.rate)
                            container.mux(voice.encode(part))
                            at += part.samples
            container.mux(voice.encode(None))


def peak_mb() -> float:
    """Return the peak resident memory of this process (VmHWM)."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if match is None:
        raise SystemExit("/proc/self/status has no VmHWM on this system. Run this on Linux.")
    return int(match[1]) / 1024


def measure(folder: Path, shots: int) -> dict[str, Any]:
    """Join `shots` shots in this process, and measure the result."""
    idle, began = peak_mb(), time.monotonic()
    clips = [folder / f"{number}.mp4" for number in range(len(KINDS))]
    film = [
        Shot(
            path=clips[number % len(clips)], name=f"shot {number + 1}", crossfade=float(CROSSFADE) if number % 2 else 0
        )
        for number in range(shots)
    ]
    music = Track(path=SAMPLES / "ambience.mp3", gain_db=-12, loop=True, fade_out_seconds=2)
    output = folder / f"film-{shots}.mp4"
    made = join(film, output, FilmOptions(tracks=(music,)))
    joined = time.monotonic() - began
    poster(output, max_bytes=200_000, longer_side=1280)
    contact_sheet(output)
    sha256_file(output)
    peak = peak_mb()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    lengths = [probe_video(path).seconds for path in clips]
    wanted = sum(lengths[number % len(clips)] for number in range(shots)) - float(CROSSFADE) * (shots // 2)
    facts = probe_video(output)
    return {
        "shots": shots,
        "width": facts.width,
        "height": facts.height,
        "fps": facts.fps,
        "mb_before": round(idle, 1),
        "mb_peak": round(peak, 1),
        "seconds": facts.seconds,
        "wanted_seconds": round(wanted, 4),
        "frames": facts.frames,
        "frames_off": round(abs(facts.seconds - wanted) * made.fps, 2),
        "seams": len(made.seams),
        "loudness_lufs": made.loudness_lufs,
        "size_bytes": facts.size_bytes,
        "join_seconds": round(joined, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
    }


def child(folder: Path, shots: int) -> dict[str, Any]:
    """Measure in a separate process, because freed memory does not return to the system."""
    command = [sys.executable, "-m", "benchmarks.film", "--child", str(folder), "--shots", str(shots)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return dict(json.loads(output.splitlines()[-1]))


def faults(films: list[dict[str, Any]]) -> list[str]:
    """Return a message for each figure over its limit; the films are ordered by length."""
    over = [
        f"{film['shots']} shots took {film['mb_peak']} MB, the limit is {LIMIT_MB:g}"
        for film in films
        if film["mb_peak"] > LIMIT_MB
    ]
    growth = films[-1]["mb_peak"] - films[0]["mb_peak"]
    if growth > LIMIT_GROWTH_MB:
        over.append(f"memory grew by {growth:.0f} MB from {films[0]['shots']} to {films[-1]['shots']} shots")
    over += [
        f"{film['shots']} shots became {film['seconds']} s instead of {film['wanted_seconds']} s"
        for film in films
        if film["frames_off"] > 1
    ]
    return over


def shots_for(minutes: float) -> int:
    """Return the number of shots for a film that is at least `minutes` long after crossfades."""
    each = SECONDS - float(CROSSFADE) / 2
    return max(2, -int(-minutes * 60 // each))


def main() -> int:
    """Measure and print; return 1 if a figure is over its limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--shots", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(measure(given.child, given.shots)))
        return 0
    films = []
    with tempfile.TemporaryDirectory(prefix="i2v-bench-") as folder:
        for number, kind in enumerate(KINDS):
            write_clip(Path(folder) / f"{number}.mp4", kind, given.height)
        for minutes in sorted({given.minutes / 10, given.minutes}):
            films.append(child(Path(folder), shots_for(minutes)))
    table = Table(title=f"A film of {given.minutes:g} minutes, and one of a tenth")
    for name in films[0]:
        table.add_column(name.replace("_", " "))
    for film in films:
        table.add_row(*(str(value) for value in film.values()))
    Console(width=200).print(table)
    over = faults(films)
    for fault in over:
        print(fault)
    if given.results:
        given.results.write_text(json.dumps({"films": films, "faults": over}, indent=2) + "\n")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
