"""Every bad upload in one batch with good ones: each is refused with a useful message, and the good ones are delivered."""

import io
import random
import wave
from pathlib import Path

import pytest
from PIL import Image

from resources.registry.registry import ClipState


def picture(
    width: int, height: int, format: str = "PNG", mode: str = "RGB", shade: int = 0, **options: object
) -> bytes:
    """A gradient; the shade makes one differ from another."""
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    image.putpixel((0, 0), (shade % 256, shade // 256 % 256, 77))
    out = io.BytesIO()
    image.convert(mode).save(out, format, **options)
    return out.getvalue()


def noise(width: int, height: int) -> bytes:
    """A picture that nothing compresses."""
    out = io.BytesIO()
    Image.frombytes("RGB", (width, height), random.Random(1).randbytes(width * height * 3)).save(
        out, "PNG", compress_level=0
    )
    return out.getvalue()


def sound(seconds: float, rate: int = 8000, channels: int = 1, width: int = 2) -> bytes:
    """A quiet hum."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        period = b"".join((step % 100 * 20).to_bytes(width, "little", signed=True) for step in range(100))
        size = int(seconds * rate) * channels * width
        file.writeframes((period * (size // len(period) + 1))[:size])
    return out.getvalue()


def moving(width: int, height: int) -> bytes:
    """An animated WebP."""
    out = io.BytesIO()
    frames = [Image.new("RGB", (width, height), (shade, 90, 90)) for shade in (0, 120, 240)]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:], duration=100)
    return out.getvalue()


SPEAKER = "prompt: A presenter speaks to the camera.\naudio: voice.wav\n"

# clip -> (what is uploaded for it, what REFUSED.txt has to say: the file, what is wrong, the limit, the remedy)
REFUSED_CLIPS: dict[str, tuple[dict[str, bytes], tuple[str, ...]]] = {
    "small": (
        {"small.png": picture(299, 400)},
        ("small.png", "299 x 400", "at least 300 pixels", "magick"),
    ),
    "wide": (
        {"wide.png": picture(1003, 400)},
        ("wide.png", "1003 x 400", "2.5 to 1", "-crop"),
    ),
    "tall": (
        {"tall.png": picture(400, 1003)},
        ("tall.png", "400 x 1003", "1 to 2.5", "-crop"),
    ),
    "torn": (
        {"torn.jpg": picture(900, 700, "JPEG", quality=95)[:-4000]},
        ("torn.jpg", "cut short", "upload the image again"),
    ),
    "letter": (
        {"letter.jpg": b"Dear all,\nplease find the picture attached.\n" * 40},
        ("letter.jpg", "JPEG, PNG or WebP"),
    ),
    "print": (
        {"print.jpg": picture(200, 600, "JPEG", "CMYK")},
        ("print.jpg", "200 x 600", "at least 300 pixels"),
    ),
    "dancing": (
        {"dancing.webp": moving(400, 400)},
        ("dancing.webp", "animated", "Only still images", "magick"),
    ),
    "brief-talk": (
        {"brief-talk/brief.yaml": SPEAKER.encode(), "brief-talk/voice.wav": sound(2.9)},
        ("voice.wav", "2.90 s", "3 to 30 s", "apad"),
    ),
    "long-talk": (
        {"long-talk/brief.yaml": SPEAKER.encode(), "long-talk/voice.wav": sound(30.4)},
        ("voice.wav", "30.40 s", "3 to 30 s", "ffmpeg"),
    ),
    "heavy-talk": (
        {"heavy-talk/brief.yaml": SPEAKER.encode(), "heavy-talk/voice.wav": sound(20, 96000, 2, 4)},
        ("voice.wav", "15.4 MB", "At most 15.0 MB", "-b:a 128k"),
    ),
    "too-long": (
        {"too-long/brief.yaml": b"duration: 16\n", "too-long/a.png": picture(400, 400, shade=1)},
        ("16", "3 to 15 s"),
    ),
    "too-short": (
        {"too-short/brief.yaml": b"duration: 2\n", "too-short/a.png": picture(400, 400, shade=2)},
        ("2", "3 to 15 s"),
    ),
}

# Uploads that never become a clip: the key that is to blame -> (what is uploaded, what the note has to say)
REFUSED_UPLOADS: dict[str, tuple[dict[str, bytes], tuple[str, ...]]] = {
    "uploads/typo/brief.yaml": (
        {"typo/brief.yaml": b"promt: push in\n", "typo/a.png": picture(400, 400, shade=3)},
        ("promt", "prompt"),
    ),
    "uploads/broken/brief.yaml": (
        {"broken/brief.yaml": b"prompt: [push in\n", "broken/a.png": picture(400, 400, shade=4)},
        ("YAML", "line"),
    ),
    "uploads/forgotten/brief.yaml": (
        {"forgotten/brief.yaml": b"images: hero.jpg\n"},
        ("hero.jpg", "Upload it"),
    ),
    "uploads/empty/": ({"empty/": b""}, ("empty", "Upload media into it")),
    "uploads/lonely/brief.yaml": ({"lonely/brief.yaml": b"prompt: push in\n"}, ("has a brief but no media",)),
    "uploads/nothing.jpg": ({"nothing.jpg": b""}, ("nothing.jpg", "0 bytes", "Upload it again")),
    "uploads/slides.pptx": ({"slides.pptx": b"PK"}, ("slides.pptx", "unknown type", ".jpg")),
    "uploads/outside/brief.yaml": (
        {"outside/brief.yaml": b"images: ../../etc/passwd\n"},
        ("inside the brief's own folder",),
    ),
}

# Names that people and attackers give -> the clean name
STRANGE_NAMES = {
    "my summer shoe.png": "my-summer-shoe",
    "say \"cheese\" & 'smile'.png": "say-cheese-smile",
    "Füße & Straße.png": "Fusse-Strasse",
    "two\nlines.png": "two-lines",
    "semi;colon|pipe,comma.png": "semi-colon-pipe-comma",
}


def accepted(stage, clip: str) -> bool | None:
    found = stage.check("clip_plan", "accepted", clip)
    return None if found is None else found.passed


def test_every_bad_upload_is_refused_in_words_that_help_while_the_others_are_delivered(stage) -> None:
    stage.upload("good.jpg", Path("pet.jpg"))
    stage.upload("also-good.png", picture(400, 300, shade=9))
    for files, _ in (*REFUSED_CLIPS.values(), *REFUSED_UPLOADS.values()):
        for name, data in files.items():
            stage.upload(name, data)

    results = stage.make()

    assert len(results) == 1, "bad uploads do not need runs of their own"
    assert results[0].success, "a refusal is an answer, not a failed run"
    wrong: list[str] = []
    for clip, (_, words) in REFUSED_CLIPS.items():
        note = stage.note(clip) or ""
        missing = [each for each in words if each not in note]
        if missing:
            wrong.append(f"{clip}: {missing} is not in {note!r}")
        if stage.states().get(clip) is not ClipState.REFUSED:
            wrong.append(f"{clip} is {stage.states().get(clip)}")
        if accepted(stage, clip) is not False:
            wrong.append(f"{clip}: the check `accepted` is {accepted(stage, clip)}")
        if "Nothing was sent" not in note:
            wrong.append(f"{clip}: the note does not say that nothing was paid")
    notes = stage.refusals()
    for key, (_, words) in REFUSED_UPLOADS.items():
        found = [text for text in notes.values() if f"REFUSED: {key}\n" in text]
        if len(found) != 1:
            wrong.append(f"{key} has {len(found)} notes")
        elif missing := [each for each in words if each not in found[0]]:
            wrong.append(f"{key}: {missing} is not in {found[0]!r}")
    assert wrong == [], "\n".join(wrong)
    assert len(notes) == len(REFUSED_UPLOADS)
    assert stage.delivered() == {"good", "also-good"}
    assert accepted(stage, "good") is not False
    assert len(stage.charges()) == 2, "what is refused costs nothing"


def test_a_second_scan_of_the_same_bad_uploads_changes_nothing(stage) -> None:
    stage.upload("small.png", picture(299, 400))
    stage.upload("slides.pptx", b"PK")
    stage.make()
    before = {found.key: found.modified_at for found in stage.bucket.list("clips/")}

    again = stage.evaluate()

    assert again.requests == []
    assert "1 refused" in again.skipped
    assert {found.key: found.modified_at for found in stage.bucket.list("clips/")} == before


def test_strange_names_become_clean_clips_and_are_never_used_as_a_path(stage) -> None:
    for shade, name in enumerate([*STRANGE_NAMES, "日本語.png", "...png"]):
        stage.upload(name, picture(400, 300, shade=shade))

    stage.make()

    rows = {row.source.removeprefix("uploads/"): row for row in stage.registry.list()}
    assert {name: rows[name].clip for name in STRANGE_NAMES} == STRANGE_NAMES
    assert rows["日本語.png"].clip.isascii()
    assert stage.delivered() == {row.clip for row in rows.values()}
    assert {row.state for row in rows.values()} == {ClipState.DELIVERED}
    shown = stage.metadata("source_images", "two-lines")["table"]
    assert "two lines.png" in shown or "two_lines.png" in shown, "a name cannot write lines of its own"


def test_keys_that_climb_or_hold_control_characters_stay_names(stage) -> None:
    """The embedded server takes no `..` as a folder, so it stands in a name here."""
    stage.upload("up/x..evil.png", picture(400, 300, shade=5))
    stage.upload("bell\x07.png", picture(400, 300, shade=6))

    stage.make()

    assert stage.delivered() == {"up--x-evil", "bell"}
    folders = {found.key.split("/")[0] for found in stage.bucket.list()}
    assert folders == {"uploads", "inputs", "requests", "videos", "clips"}


def test_a_photo_turned_by_its_camera_is_measured_as_people_see_it(stage) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    Image.linear_gradient("L").resize((800, 400)).convert("RGB").save(out, "JPEG", exif=exif)
    stage.upload("phone.jpg", out.getvalue())

    stage.make()

    assert stage.delivered() == {"phone"}
    assert "400 x 800 JPEG, turned by its camera's note" in stage.metadata("source_images", "phone")["table"]
    (request,) = stage.requests()
    assert request["height"] > request["width"]


def test_the_first_of_two_uploads_keeps_a_clip_name_and_the_other_is_refused(stage) -> None:
    stage.upload("Hero Shot.png", picture(400, 300, shade=1))
    stage.make()
    stage.upload("Hero-Shot.png", picture(400, 300, shade=2))
    stage.make()

    assert stage.clip("Hero-Shot").source == "uploads/Hero Shot.png"
    (note,) = stage.refusals().values()
    assert "Hero-Shot.png" in note
    assert "Hero Shot.png" in note
    assert "Rename one of them" in note
    assert len(stage.charges()) == 1

    stage.bucket.delete("uploads/Hero-Shot.png")
    stage.tick()
    assert stage.refusals() == {}, "the note goes with what it is about"


@pytest.mark.parametrize("bad", [b"no picture at all", picture(299, 400)])
def test_an_upload_corrected_under_its_name_is_delivered_and_its_refusal_is_deleted(stage, bad: bytes) -> None:
    stage.upload("hero.png", bad)
    stage.make()
    assert stage.note("hero") is not None

    stage.upload("hero.png", picture(400, 300))
    stage.make()

    assert stage.note("hero") is None
    assert stage.delivered() == {"hero"}
    assert accepted(stage, "hero") is True
    assert len(stage.charges()) == 1


def test_a_brief_corrected_later_makes_its_clip(stage) -> None:
    stage.upload("film/brief.yaml", "promt: push in\n")
    stage.upload("film/a.png", picture(400, 300))
    assert stage.make() == []
    assert len(stage.refusals()) == 1

    stage.upload("film/brief.yaml", "prompt: push in\n")
    stage.make()

    assert stage.refusals() == {}
    assert stage.delivered() == {"film"}
