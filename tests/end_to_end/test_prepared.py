"""Files that people have: each is prepared and delivered, or refused in plain words, through the real sensor and run."""

import hashlib
import io
import json
import struct
import wave
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pillow_heif
import pytest
from PIL import Image

from resources.registry.registry import ClipState
from resources.settings import load_settings

pillow_heif.register_heif_opener()

BRIEF_TALK = "prompt: The person speaks to the camera.\naudio: {}\n"


def photo(width: int = 640, height: int = 480, mode: str = "RGB", shade: int = 0) -> Image.Image:
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    image.putpixel((0, 0), (shade % 256, shade // 256 % 256, 77))
    return image.convert(mode)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def voice(container: str, codec: str, seconds: float = 4.0, rate: int = 24_000) -> bytes:
    """A hum in any container, with sound alone."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, layout="mono")
        wanted = stream.codec_context.format.name if stream.codec_context.format else "fltp"
        resampler = av.AudioResampler(format=wanted, layout="mono", rate=rate)
        samples = (np.sin(np.arange(int(seconds * rate)) / rate * 2 * np.pi * 220) * 8000).astype(np.int16)
        size = stream.codec_context.frame_size or 1024
        for at in range(0, len(samples) - size, size):
            frame = av.AudioFrame.from_ndarray(samples[None, at : at + size], format="s16", layout="mono")
            frame.rate, frame.pts = rate, at
            for part in resampler.resample(frame):
                file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return out.getvalue()


def clip(container: str, codec: str, seconds: float = 3.0, *, gaps: bool = False, live_photo: bool = False) -> bytes:
    """A moving picture in any container."""
    out = io.BytesIO()
    with av.open(out, "w", format=container, options={"movflags": "use_metadata_tags"} if live_photo else {}) as file:
        if live_photo:
            file.metadata["com.apple.quicktime.content.identifier"] = "7E0DD5C1-6E3B-4B6C-9E0D-0A3E6A3C2B11"
        stream = file.add_stream(codec, rate=24)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        at = 0
        for number in range(int(seconds * 24)):
            shown = np.full((240, 320, 3), number * 3 % 256, np.uint8)
            frame = av.VideoFrame.from_ndarray(shown, format="rgb24")
            frame.pts = at
            at += 3 if gaps and number % 4 == 0 else 1
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return out.getvalue()


def without_sound_decoder(seconds: float = 3.0) -> bytes:
    """A QuickTime film whose only sound is in a codec that nobody has: the fourcc of its sound is overwritten."""
    out = io.BytesIO()
    with av.open(out, "w", format="mov") as file:
        picture = file.add_stream("libx264", rate=24)
        picture.width, picture.height, picture.pix_fmt = 320, 240, "yuv420p"
        sound = file.add_stream("aac", rate=48_000, layout="mono")
        for number in range(int(seconds * 24)):
            frame = av.VideoFrame.from_ndarray(np.full((240, 320, 3), number, np.uint8), format="rgb24")
            frame.pts = number
            file.mux(picture.encode(frame))
        file.mux(picture.encode(None))
        for at in range(0, int(seconds * 48_000), 1024):
            heard = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            heard.rate, heard.pts = 48_000, at
            file.mux(sound.encode(heard))
        file.mux(sound.encode(None))
    return out.getvalue().replace(b"mp4a", b"apac").replace(b"esds", b"free")


def with_odd_exif() -> bytes:
    """Orientation 6, and a resolution whose type is text: Pillow reads it and cannot write it back."""
    entries = [(0x0112, 3, 1, struct.pack("<HH", 6, 0)), (0x011A, 2, 4, b"72\x00\x00")]
    directory = (
        struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHI", *e[:3]) + e[3] for e in entries) + bytes(4)
    )
    return encoded(photo(), "JPEG", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00" + directory)


def with_large_text() -> bytes:
    """A PNG with 2 MB of compressed text, such as workflows of picture generators."""
    data = encoded(photo(), "PNG")
    text = b"workflow\x00\x00" + zlib.compress(json.dumps(list(range(400_000))).encode())
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    return data[:33] + chunk + data[33:]


def dictation() -> bytes:
    """A WAV of a codec without a decoder."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(64_000))
    data = bytearray(out.getvalue())
    data[20:22] = (0x0181).to_bytes(2, "little")  # format tag of a dictation machine
    return bytes(data)


def grey16() -> Image.Image:
    ramp = np.tile(np.linspace(0, 65535, 640, dtype=np.uint16), (480, 1))
    return Image.fromarray(ramp)


def images() -> dict[str, bytes]:
    """A loose image each, all of which have to be delivered."""
    transparent = photo(mode="RGBA", shade=3)
    transparent.putalpha(Image.linear_gradient("L").resize((640, 480)))
    noise = Image.frombytes("RGB", (2000, 1900), np.random.default_rng(1).bytes(2000 * 1900 * 3))
    return {
        "phone.HEIC": encoded(photo(shade=1), "HEIF"),
        "renamed.jpg": encoded(photo(shade=2), "HEIF"),
        "clear.png": encoded(transparent, "PNG"),
        "film.avif": encoded(photo(shade=4), "AVIF"),
        "scan.tif": encoded(photo(shade=5), "TIFF"),
        "old.bmp": encoded(photo(shade=6), "BMP"),
        "poster.jfif": encoded(photo(shade=7), "JPEG"),
        "deep.png": encoded(grey16(), "PNG"),
        "print.jpg": encoded(photo(mode="CMYK", shade=8), "JPEG"),
        "few.png": encoded(photo(shade=9).quantize(16), "PNG"),
        "large.png": encoded(noise, "PNG", compress_level=0),
        "turned.jpg": with_odd_exif(),
        "comfy.png": with_large_text(),
    }


def sent_bytes(stage: Any, medium: dict[str, Any]) -> bytes:
    data: bytes = stage.bucket.read(medium["key"])
    assert hashlib.sha256(data).hexdigest() == medium["sha256"]
    return data


def plan_of(stage: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stage.bucket.read(f"clips/{name}/plan.json"))
    return found["takes"][0]


def undelivered(stage: Any) -> dict[str, str | None]:
    return {name: stage.note(name) for name, state in stage.states().items() if state is not ClipState.DELIVERED}


def test_images_that_no_model_takes_are_prepared_and_delivered(stage: Any) -> None:
    files = images()
    for name, data in files.items():
        stage.upload(name, data)
    stage.make()
    assert undelivered(stage) == {}
    for name, data in files.items():
        stem = name.split(".")[0]
        plan = plan_of(stage, stem)
        (image,) = plan["inputs"]["images"]
        if name == "poster.jfif":
            assert "preparation" not in image, "a JPEG is a JPEG under any name"
            continue
        original = hashlib.sha256(data).hexdigest()
        assert image["original_sha256"] == original
        assert image["key"].startswith(f"inputs/{image['sha256']}.")
        assert any("It was prepared" in reason and name in reason for reason in plan["reasons"])
        with Image.open(io.BytesIO(sent_bytes(stage, image))) as shown:
            assert shown.format in {"JPEG", "PNG"}
            assert shown.mode == "RGB"
        manifest = json.loads(stage.bucket.read(f"clips/{stem}/manifest.json"))["media"][0]
        assert (manifest["sha256"], manifest["prepared_sha256"]) == (original, image["sha256"])
        (file,) = json.loads(stage.bucket.read(f"clips/{stem}/media.json"))["files"]
        assert (file["sha256"], file["prepared"]["sha256"]) == (original, image["sha256"])

    def pixels(stem: str) -> Image.Image:
        (image,) = plan_of(stage, stem)["inputs"]["images"]
        return Image.open(io.BytesIO(sent_bytes(stage, image)))

    assert pixels("turned").size == (480, 640), "upright"
    greys = np.asarray(pixels("deep").convert("L"))[0]
    assert abs(int(greys[320]) - 128) < 4, "a grey in the middle stays one"
    assert pixels("clear").getpixel((320, 0)) == (255, 255, 255), "white behind what is transparent"
    assert len(sent_bytes(stage, plan_of(stage, "large")["inputs"]["images"][0])) <= 10_000_000
    assert max(pixels("large").size) <= 2000, "nothing is made larger"


VOICES: dict[str, Callable[[], bytes]] = {
    "memo.m4a": lambda: voice("ipod", "aac"),
    "raw.aac": lambda: voice("adts", "aac"),
    "note.ogg": lambda: voice("ogg", "flac"),
    "chat.opus": lambda: voice("ogg", "libopus", rate=48_000),
    "studio.flac": lambda: voice("flac", "flac"),
    "mac.aiff": lambda: voice("aiff", "pcm_s16be"),
    "mac.caf": lambda: voice("caf", "pcm_s16le"),
    "browser.webm": lambda: voice("webm", "libopus", rate=48_000),
    "phone.mp4": lambda: voice("mp4", "aac"),
    "phone.3gp": lambda: voice("3gp", "aac"),
    "padded.mp3": lambda: bytes(1024) + voice("mp3", "libmp3lame"),
    "stream.wav": lambda: voice("wav", "pcm_s16le").replace(b"data", b"data", 1),
    "adpcm.wav": lambda: voice("wav", "adpcm_ms", rate=22_050),
}


def test_voices_that_no_model_takes_are_prepared_and_spoken(stage: Any) -> None:
    # A hum is no speech, so the route has to be said.
    stage.upload("_defaults.yaml", "duration: 3\nresolution: 720p\nroute: lip_sync\n")
    for number, (name, make) in enumerate(VOICES.items()):
        stem = name.replace(".", "-")
        stage.upload(f"{stem}.png", encoded(photo(shade=20 + number), "PNG"))
        stage.upload(f"{stem}.{name.split('.')[1]}", make())
    stage.make()
    assert undelivered(stage) == {}
    for name in VOICES:
        (sound,) = plan_of(stage, name.replace(".", "-"))["inputs"]["audios"]
        if name == "stream.wav":
            assert "preparation" not in sound
            continue
        assert sound["content_type"] == "audio/wav", name
        with wave.open(io.BytesIO(sent_bytes(stage, sound))) as heard:
            assert abs(heard.getnframes() / heard.getframerate() - 4.0) < 0.15, name


VIDEOS: dict[str, Callable[[], bytes]] = {
    "a.webm": lambda: clip("webm", "libvpx-vp9"),
    "b.mkv": lambda: clip("matroska", "libx264"),
    "c.avi": lambda: clip("avi", "mpeg4"),
    "d.m4v": lambda: clip("mp4", "mpeg4"),
    "e.mp4": lambda: clip("mp4", "libx264", gaps=True),
    "f.mov": without_sound_decoder,
}


def test_reference_videos_are_prepared(stage: Any) -> None:
    for number, (name, make) in enumerate(VIDEOS.items()):
        folder = name.replace(".", "-")
        stage.upload(f"{folder}/a.png", encoded(photo(shade=50 + number), "PNG"))
        stage.upload(f"{folder}/{name}", make())
        brief = (
            f"prompt: Push in on image 1 as in video 1.\nimages: a.png\nvideos: {name}\nduration: 4\nresolution: 480p\n"
        )
        stage.upload(f"{folder}/brief.yaml", brief)
    stage.make()
    assert undelivered(stage) == {}
    for name in VIDEOS:
        plan = plan_of(stage, name.replace(".", "-"))
        (video,) = plan["inputs"]["videos"]
        with av.open(io.BytesIO(sent_bytes(stage, video))) as shown:
            assert "mp4" in shown.format.name
            assert shown.streams.video[0].codec_context.name == "h264"
            assert float(shown.duration or 0) / av.time_base == pytest.approx(4.5 if name == "e.mp4" else 3, abs=0.3)
    assert any("left out" in reason for reason in plan_of(stage, "f-mov")["reasons"])


def test_the_moving_part_of_a_live_photo_is_left_alone(stage: Any) -> None:
    stage.upload("IMG_4711.png", encoded(photo(shade=90), "PNG"))
    stage.upload("IMG_4711.MOV", clip("mov", "libx264", live_photo=True))
    stage.upload("film.png", encoded(photo(shade=91), "PNG"))
    stage.upload("film.mov", clip("mov", "libx264"))
    stage.make()
    assert stage.states() == {"IMG_4711": ClipState.DELIVERED, "film": ClipState.REFUSED}
    assert plan_of(stage, "IMG_4711")["route"] == "animate"
    assert "holds a picture" in (stage.note("film") or "")
    assert len(stage.charges()) == 1


def test_what_cannot_be_prepared_says_what_to_export(stage: Any) -> None:
    stage.upload("film.png", encoded(photo(shade=70), "PNG"))
    stage.upload("film.mp4", clip("mp4", "libx264"))
    stage.upload("dictaphone.png", encoded(photo(shade=71), "PNG"))
    stage.upload("dictaphone.wav", dictation())
    stage.upload("layers.jpg", b"8BPS\x00\x01" + bytes(100))
    stage.upload("wide.png", encoded(photo(1600, 400, shade=72), "PNG"))
    stage.make()
    words = {name: stage.note(name) or "" for name in ("film", "dictaphone", "layers", "wide")}
    assert "holds a picture" in words["film"]
    assert "codec that can't be read" in words["dictaphone"]
    assert "WAV (PCM) or MP3" in words["dictaphone"]
    assert "Photoshop" in words["layers"]
    assert "2.5 to 1" in words["wide"]
    assert set(stage.states().values()) == {ClipState.REFUSED}
    assert stage.charges() == []


def test_the_brief_says_how_an_image_is_made_to_fit(stage: Any) -> None:
    for name, brief in {"pad": 'fit: pad\nbackground: "#102030"\n', "crop": "fit: crop\n"}.items():
        stage.upload(f"{name}/a.png", encoded(photo(1600, 400, shade=80), "PNG"))
        stage.upload(f"{name}/brief.yaml", brief)
    stage.make()
    assert undelivered(stage) == {}
    sizes = {}
    for name in ("pad", "crop"):
        (image,) = plan_of(stage, name)["inputs"]["images"]
        with Image.open(io.BytesIO(sent_bytes(stage, image))) as shown:
            sizes[name] = shown.size
            if name == "pad":
                assert shown.getpixel((0, 0)) == (0x10, 0x20, 0x30)
    assert sizes == {"pad": (1600, 640), "crop": (1000, 400)}


def test_preparing_may_be_switched_off(stage: Any) -> None:
    stage.set_variable("I2V_PREPARE", "off")
    stage.upload("phone.heic", encoded(photo(shade=90), "HEIF"))
    stage.make()
    assert stage.states() == {"phone": ClipState.REFUSED}
    assert "magick" in (stage.note("phone") or "")


def test_a_clip_that_was_paid_for_as_it_was_is_not_due_again(stage: Any) -> None:
    """A transparent image was sent as it is before there were preparations; its clip keeps that request."""
    stage.set_variable("I2V_PREPARE", "off")
    clear = photo(mode="RGBA", shade=95)
    clear.putalpha(Image.linear_gradient("L").resize((640, 480)))
    stage.upload("clear.png", encoded(clear, "PNG"))
    stage.make()
    before = stage.request("clear").fingerprint
    stage.set_variable("I2V_PREPARE", "on")
    stage.materialize("clear")
    assert stage.request("clear").fingerprint == before
    assert len(stage.charges()) == 1


def test_an_address_says_the_type_of_its_file(stage: Any) -> None:
    """An upload says nothing of its type, or something wrong; the service is told what its bytes are."""
    stage.bucket.write("uploads/poster.jfif", encoded(photo(shade=97), "JPEG"), "text/plain")
    url = stage.bucket.presign_get("uploads/poster.jfif", 60, "", "image/jpeg").get_secret_value()
    assert httpx.get(url).headers["content-type"] == "image/jpeg"


def test_scratch_lies_in_the_data_folder(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(load_settings().data_dir).absolute() / "scratch"
    left = root / "1-of-a-dead-run"
    left.mkdir(parents=True)
    (left / ".in-use").touch()
    (left / "video.mp4").write_bytes(bytes(1000))
    monkeypatch.setattr("resources.scratch._YOUNG_SECONDS", 0.0)
    monkeypatch.setattr("tempfile.gettempdir", lambda: pytest.fail("scratch lies elsewhere"))
    stage.upload("good.jpg", Path("pet.jpg"))
    stage.make()
    assert undelivered(stage) == {}
    assert list(root.iterdir()) == []


# Errors that nobody foresaw


def test_a_bug_ends_its_clip_within_one_run_and_no_other(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from i2v_assets.pipeline import plan

    real = plan.make_plan

    def broken(*arguments: Any, **more: Any) -> Any:
        if arguments[0] == "bad":
            raise KeyError("uploads/good.jpg")
        return real(*arguments, **more)

    monkeypatch.setattr(plan, "make_plan", broken)
    stage.upload("good.jpg", Path("pet.jpg"))
    stage.upload("bad.jpg", Path("product.webp"))
    stage.make()
    assert stage.states() == {"good": ClipState.DELIVERED, "bad": ClipState.FAILED}
    note = stage.note("bad", "FAILED.txt") or ""
    assert "a bug in i2v-assets (KeyError in test_prepared.py" in note
    assert "good.jpg" not in note, "another clip's file is never named"
    assert stage.make() == [], "it is not run again"


def test_a_bug_after_the_submit_holds_the_clip(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from i2v_assets.pipeline.deliver import Delivery

    async def broken(*_: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(Delivery, "deliver", broken)
        stage.upload("good.jpg", Path("pet.jpg"))
        stage.make()
    assert stage.states() == {"good": ClipState.WAITING}
    assert "a bug in i2v-assets" in (stage.note("good", "WAITING.txt") or "")
    assert len(stage.charges()) == 1
    stage.materialize("good")
    assert stage.states() == {"good": ClipState.DELIVERED}
    assert len(stage.charges()) == 1
