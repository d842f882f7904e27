"""A sample bucket for viewing: entries of every kind, a few real videos and posters."""

import hashlib
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from i2v_assets.clip_folder.manifest import Manifest
from i2v_assets.clip_folder.notes import failed, refused, waiting
from i2v_assets.films.manifest import FilmManifest
from i2v_assets.gallery.build import build_gallery
from i2v_assets.gallery.entries import (
    GalleryEntry,
    GalleryShot,
    Paid,
    entry_of_answer,
    entry_of_film,
    entry_of_manifest,
)
from resources.ledger.records import Money
from resources.problem import Problem
from resources.wait_reason import WaitReason

NOW = datetime(2026, 3, 31, 18, 0, tzinfo=UTC)
REAL = ("shoes--0001", "shoes--0002", "welcome--en", "welcome--fr")
"""Clips with a video."""

EVIL = '<img src=x onerror="window.hacked=1"></script><script>window.hacked=1</script>'
PROMPTS = (
    "Slow orbit around the shoe, packaging unchanged, soft studio light",
    "Gentle drift, subtle breathing, identity stable. She looks up and smiles",
    "The camera pans slowly over the harbour at dusk, geometry stable",
    "Push in on the bottle while condensation runs down the glass",
    "He turns towards image 2 and lifts the lantern, one action only",
)
ROUTES = (("animate", "happyhorse/happyhorse-1.0/image-to-video"), ("lip_sync", "wan-ai/wan-2.7/image-to-video"),
          ("multi_modal", "bytedance/seedance-2.0/pro"))  # fmt: skip
NAMES = ("shoes", "harbour", "portrait-elena", "bottles", "lantern", "spring-campaign")
_WIDE = Problem(
    "hero.jpg is 4000 x 900 pixels, an aspect of 4.44", "aspect from 0.4 to 2.5", "Crop it to 2250 x 900 or taller."
)


def manifest(clip: str, number: int, **changes: Any) -> Manifest:
    mark = hashlib.sha256(clip.encode()).hexdigest()
    route, model = ROUTES[number % 3]
    moment = NOW - timedelta(hours=7 * number % 700, minutes=number)
    plain: dict[str, Any] = {
        "clip": clip,
        "take": 1,
        "service": "runcomfy",
        "route": route,
        "reasons": ("one image and no voiceover", "the prompt names no numbered reference"),
        "family": model,
        "model_id": model,
        "prompt": PROMPTS[number % 5],
        "preset": "product",
        "seed": 1000 + number,
        "duration": 5,
        "resolution": "1080p",
        "aspect_ratio": "16:9",
        "media": ({"kind": "image", "name": "a.jpg", "key": f"uploads/{clip}.jpg", "sha256": mark, "size_bytes": 10},),
        "fingerprint": mark,
        "request_id": f"r-{number}",
        "price_microdollars": 1_200_000,
        "cost_microdollars": 300_000 + 137_000 * (number % 11),
        "times": {"created": moment - timedelta(minutes=5), "delivered": moment},
        "queue_seconds": 12,
        "generation_seconds": 96,
        "video": {"key": f"videos/{mark}.mp4", "sha256": mark, "size_bytes": 1, "width": 1920, "height": 1080, "seconds": 5.04},
        "quality": round(0.55 + 0.45 * abs(math.sin(number)), 2),
        "findings": ("sound: -16.2 LUFS",),
    }  # fmt: skip
    return Manifest.model_validate({**plain, **changes})


def many_entries(count: int) -> list[GalleryEntry]:
    """Clips of every kind, with few texts that repeat, as a real bucket has."""
    entries = []
    for number in range(count):
        clip = f"{NAMES[number % len(NAMES)]}--{number:04d}"
        moment = NOW - timedelta(hours=3 * number % 690, minutes=number % 60)
        if number % 17 == 5:
            entries.append(entry_of_answer(clip, refused(clip, [_WIDE]), moment, route=None))
        elif number % 23 == 7:
            answer = failed(clip, Problem("The service's content check refused the result.", remedy="Change the prompt."), Money(sent=True), reason=WaitReason.FINAL)  # fmt: skip
            entries.append(entry_of_answer(clip, answer, moment, prompt=PROMPTS[number % 5], cost_microdollars=0))
        elif number % 13 == 3:
            answer = waiting(clip, Problem("Today's budget of $25.00 is used up.", remedy="i2v approve, or wait for tomorrow."), Money(), reason=WaitReason.BUDGET, price_microdollars=900_000)  # fmt: skip
            entries.append(entry_of_answer(clip, answer, moment, prompt=PROMPTS[number % 5], cost_microdollars=900_000))
        else:
            entries.append(entry_of_manifest(manifest(clip, number)))
    return entries


def write_gallery(root: Path, entries: list[GalleryEntry]) -> None:
    paid = [
        Paid(entry.moment.date(), entry.service, entry.cost_microdollars or 0)
        for entry in entries
        if not entry.film and entry.status != "waiting"
    ]
    for name, data in build_gallery(entries, NOW, paid=paid).items():
        path = root / "gallery" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def write_bucket(root: Path) -> None:
    """63 clips, of which `REAL` have videos: one with three takes, one in two languages; one with an evil name."""
    takes = tuple(
        {"take": n, "fingerprint": f"{n}" * 64, "seed": n, "video_key": f"videos/{f'{n}' * 64}.mp4", "quality": 0.8}
        for n in (2, 3)
    )
    entries = [
        entry_of_manifest(manifest("shoes--0001", 0, other_takes=takes)),
        entry_of_manifest(manifest("shoes--0002", 1, service="sandbox")),
        entry_of_manifest(manifest("welcome--en", 2, dub={"group": "welcome", "language": "en"}, prompt="Héllo to everyone")),
        entry_of_manifest(manifest("welcome--fr", 4, dub={"group": "welcome", "language": "fr"}, prompt="Héllo to everyone")),
        replace(entry_of_manifest(manifest("evil", 3, prompt=EVIL, reasons=(EVIL,))), clip=EVIL, folder_key="clips/evil/"),
        *(entry for entry in many_entries(60) if not entry.clip.startswith("shoes--000")),
    ]  # fmt: skip
    write_gallery(root, entries)
    for number, entry in enumerate(entry for entry in entries if entry.status == "delivered"):
        target = root / entry.folder
        target.mkdir(parents=True)
        scene(number).save(target / "poster.jpg", quality=82)
        if entry.clip in REAL:
            write_video(target / "video.mp4", number)
            (target / "manifest.json").write_bytes(b"{}\n")
            for take in entry.takes:
                path = root / take.video_key
                path.parent.mkdir(exist_ok=True)
                write_video(path, number + take.take)


def film_manifest(name: str, clips: list[Manifest]) -> FilmManifest:
    """A film of these clips, a crossfade of half a second between them."""
    shots = [
        {"clip": clip.clip, "video_key": clip.video.key, "sha256": clip.video.sha256, "fingerprint": clip.fingerprint,
         "seconds": 5.04, "starts_at": round(4.54 * number, 2), "transition": "crossfade 0.5 s" if number else "cut",
         "starts_from_last_frame": False, "cost_microdollars": clip.cost_microdollars}
        for number, clip in enumerate(clips)
    ]  # fmt: skip
    seams = [
        {"at_seconds": round(4.54 * (number + 1), 2), "crossfade_seconds": 0.5, "before": one.clip, "after": other.clip,
         "colour_step": 3.1 + number, "picture_step": 12.0}
        for number, (one, other) in enumerate(pairwise(clips))
    ]  # fmt: skip
    video = {"key": f"sequences/{name}/video.mp4", "sha256": "f" * 64, "size_bytes": 1, "width": 1920, "height": 1080,
             "fps": 24, "frames": 338, "seconds": 75.0, "loudness_lufs": -16.04}  # fmt: skip
    plain = {"film": name, "version": "e" * 64, "made_at": NOW, "shots": shots, "seams": seams, "video": video}
    return FilmManifest.model_validate(plain)


def write_films(root: Path) -> None:
    """Three clips, a film of two of them and one missing clip, and a film that waits for a shot."""
    clips = [manifest(name, number) for number, name in enumerate(("harbour", "quay", "lighthouse", "gone"))]
    film = entry_of_film(film_manifest("harbour", [clips[0], clips[1], clips[3]]))
    note = waiting("voyage", Problem("Shot 2 (voyage--02) is being made."), Money(), reason=WaitReason.BUDGET)
    shots = (GalleryShot("quay", "delivered", 437_000), GalleryShot("voyage--02", "working", 500_000))
    waits = replace(
        entry_of_answer("voyage", note, NOW - timedelta(days=1), cost_microdollars=937_000, folder_key="sequences/voyage/"),
        film=True, shots=shots, poster=False,
    )  # fmt: skip
    write_gallery(root, [*(entry_of_manifest(clip) for clip in clips[:3]), film, waits])
    for number, folder in enumerate(("clips/harbour", "clips/quay", "clips/lighthouse", "sequences/harbour")):
        (root / folder).mkdir(parents=True)
        scene(number).save(root / folder / "poster.jpg", quality=82)
        write_video(root / folder / "video.mp4", number)
        (root / folder / "manifest.json").write_bytes(b"{}\n")


def scene(number: int, shift: int = 0, size: tuple[int, int] = (640, 360)) -> Image.Image:
    """A soft landscape, different for every number; ``shift`` moves its sun."""
    width, height = size
    hue = number * 47 % 360
    sky = np.linspace(0, 1, height)[:, None, None]
    top, low = (np.array(Image.new("HSV", (1, 1), ((h % 360) * 255 // 360, s, v)).convert("RGB")).reshape(3) for h, s, v in ((hue, 120, 110), (hue + 50, 110, 245)))  # fmt: skip
    pixels = np.broadcast_to(top * (1 - sky) + low * sky, (height, width, 3)).astype(np.uint8)
    image = Image.fromarray(pixels.copy())
    draw = ImageDraw.Draw(image)
    x = 90 + (number * 131 + shift * 6) % (width - 180)
    draw.ellipse((x, 70, x + 90, 160), fill=(255, 240, 205))
    for layer in range(3):
        ridge = [(px, 190 + layer * 50 + 28 * math.sin(px / (60 + 25 * layer) + number * (layer + 1))) for px in range(0, width + 8, 8)]  # fmt: skip
        shade = tuple(int(channel * (0.62 - 0.17 * layer)) for channel in top)
        draw.polygon([(0, height), *ridge, (width, height)], fill=shade)
    return image.filter(ImageFilter.GaussianBlur(0.8))


def write_video(path: Path, number: int) -> None:
    """Two seconds of H.264 in which the sun moves."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for frame in range(24):
            for packet in stream.encode(av.VideoFrame.from_image(scene(number, frame).resize((320, 180)))):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
