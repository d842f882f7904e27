"""For each check a real video that fails just that one, and one that passes them all."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from resources.errors import SettingsError, Verdict
from resources.media.errors import MeasuringFailed, Unreadable
from resources.media.quality import (
    Check,
    Expectation,
    Finding,
    Measures,
    Severity,
    Thresholds,
    judge,
    measure,
    score,
    thresholds_from,
)
from resources.media.quality.pool import MeasuringPool, measure_in_pool

Make = Callable[..., Path]


@pytest.fixture
def asked(samples: Path) -> Expectation:
    return Expectation(duration=2, aspect="16:9", sound=True, source_image=samples / "environment.jpg")


def failed(video: Path, asked: Expectation, thresholds: Thresholds | None = None) -> dict[Check, Finding]:
    findings = judge(measure(video, asked), asked, thresholds or Thresholds())
    assert [finding.check for finding in findings] == list(Check)
    return {finding.check: finding for finding in findings if not finding.passed}


def only(found: dict[Check, Finding], check: Check, problem: str, words: str) -> Finding:
    assert set(found) == {check}, found
    assert [one.name for one in found[check].problems] == [problem]
    assert words in found[check].words
    return found[check]


def still(samples: Path, file: str = "environment.jpg", size: tuple[int, int] = (320, 180)) -> np.ndarray:
    with Image.open(samples / file) as picture:
        height = round(picture.width * size[1] / size[0])
        top = (picture.height - height) // 2
        return np.asarray(picture.convert("RGB").crop((0, top, picture.width, top + height)).resize(size))


def test_a_good_clip_passes_everything(video: Make, asked: Expectation) -> None:
    path = video()
    measures = measure(path, asked)
    assert failed(path, asked) == {}
    assert measures.seconds == pytest.approx(2, abs=0.001)
    assert (measures.frames, measures.fps, measures.changes) == (48, 24, 1)
    assert measures.first_frame_match is not None
    assert measures.first_frame_match > 0.9
    assert score(measures) > 0.9
    for finding in judge(measures, asked):
        assert finding.words.endswith(".")


# technical


def test_a_file_cut_short(video: Make, asked: Expectation, tmp_path: Path) -> None:
    """The index stands in front, so that the file opens and then ends too early."""
    path = tmp_path / "cut.mp4"
    with (
        av.open(str(video())) as source,
        av.open(str(tmp_path / "fast.mp4"), "w", options={"movflags": "faststart"}) as out,
    ):
        streams = {stream.index: out.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    whole = (tmp_path / "fast.mp4").read_bytes()
    path.write_bytes(whole[: int(len(whole) * 0.6)])
    found = failed(path, asked)
    assert "damaged" in [problem.name for problem in found[Check.TECHNICAL].problems]
    assert found[Check.TECHNICAL].severity is Severity.ERROR
    assert score(measure(path, asked)) == 0


def test_a_file_with_broken_bytes(video: Make, asked: Expectation, tmp_path: Path) -> None:
    raw = bytearray(video().read_bytes())
    start = raw.index(b"mdat") + 2000
    raw[start : start + 3000] = bytes(3000)
    path = tmp_path / "broken.mp4"
    path.write_bytes(bytes(raw))
    assert "damaged" in [problem.name for problem in failed(path, asked)[Check.TECHNICAL].problems]


@pytest.mark.parametrize("content", [b"", b"<html>no video</html>", bytes(2000)])
def test_what_is_no_video_at_all_is_measured_as_damaged(tmp_path: Path, asked: Expectation, content: bytes) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(content)
    measures = measure(path, asked)
    assert not measures.decodes
    assert score(measures) == 0
    assert {finding.check for finding in judge(measures, asked) if not finding.passed} == set(Check)


@pytest.mark.parametrize(("seconds", "passes"), [(2.18, True), (1.82, True), (2.25, False), (1.75, False)])
def test_the_duration(video: Make, asked: Expectation, seconds: float, passes: bool) -> None:
    found = failed(video(), asked.model_copy(update={"duration": seconds}))
    if passes:
        assert found == {}
    else:
        only(found, Check.TECHNICAL, "duration", f"asked were {seconds:.2f} s")


def test_the_resolution(video: Make, asked: Expectation) -> None:
    only(failed(video(), asked.model_copy(update={"resolution": "480p"})), Check.TECHNICAL, "resolution", "320x180")


def test_a_tier_is_met_by_its_shorter_side_or_by_its_area(video: Make, samples: Path) -> None:
    for size in ((854, 480), (480, 854), (640, 640), (480, 480)):
        path = video(frames=[still(samples, size=size)] * 3, sound=None)
        measures = measure(path, Expectation(resolution="480p"))
        assert measures.tier_off == pytest.approx(0, abs=0.01), size


def test_the_aspect(video: Make, asked: Expectation) -> None:
    only(failed(video(), asked.model_copy(update={"aspect": "4:3"})), Check.TECHNICAL, "aspect", "off the aspect ratio")


def test_without_an_asked_aspect_the_source_images_counts(video: Make, asked: Expectation) -> None:
    found = failed(video(), asked.model_copy(update={"aspect": None}))
    only(found, Check.TECHNICAL, "aspect", "off the aspect ratio")


def test_an_unsteady_frame_rate(video: Make, asked: Expectation) -> None:
    times = [number / 24 + (0.025 if number % 4 == 1 else 0) for number in range(48)]
    finding = only(failed(video(times=times), asked), Check.TECHNICAL, "frame_rate", "too early or too late")
    assert finding.severity is Severity.WARN


# sound


def test_missing_sound(video: Make, asked: Expectation) -> None:
    path = video(sound=None)
    only(failed(path, asked), Check.SOUND, "no_sound", "no sound")
    assert failed(path, asked.model_copy(update={"sound": False})) == {}, "nobody asked for sound"


def test_silence(video: Make, asked: Expectation) -> None:
    only(failed(video(sound=np.zeros(96_000, np.float32)), asked), Check.SOUND, "silent", "silence")


def test_hardly_audible_sound(
    video: Make, asked: Expectation, samples: Path, sounds: Callable[..., np.ndarray]
) -> None:
    quiet = sounds("voiceover-en.mp3", 2) * 0.02
    only(failed(video(sound=quiet), asked), Check.SOUND, "too_quiet", "LUFS")


def test_clipped_sound(video: Make, asked: Expectation, sounds: Callable[..., np.ndarray]) -> None:
    loud = np.clip(sounds("voiceover-en.mp3", 2) * 8, -1, 1)
    only(failed(video(sound=loud), asked), Check.SOUND, "clipped", "clipped")


def test_loudness_is_measured_as_ebu_r128_says(video: Make) -> None:
    """A 1 kHz tone of -20 dBFS (peak) has -23 LUFS in one channel (R 128's own calibration, EBU Tech 3341)."""
    at = np.arange(48_000 * 2) / 48_000
    tone = (10 ** (-20 / 20) * np.sin(2 * np.pi * 1000 * at)).astype(np.float32)
    measures = measure(video(sound=tone), Expectation(sound=True))
    assert measures.loudness_lufs == pytest.approx(-23.0, abs=0.3)
    assert measures.peak_dbfs == pytest.approx(-20, abs=1.2)  # the encoder rings at the start


def test_the_voice_is_the_voice_given_also_late_and_below_music(
    video: Make, asked: Expectation, samples: Path, sounds: Callable[..., np.ndarray]
) -> None:
    voice, music = sounds("voiceover-en.mp3", 2), sounds("ambience.mp3", 2)
    asked = asked.model_copy(update={"voice": samples / "voiceover-en.mp3"})
    path = video(sound=voice)
    assert failed(path, asked) == {}
    measures = measure(path, asked)
    assert measures.voice_match is not None
    assert measures.voice_match > 0.95
    assert measures.voice_offset == pytest.approx(0, abs=0.01)
    mixed = voice + music * 0.5 * voice.std() / music.std()
    assert failed(video(sound=mixed), asked) == {}
    late = np.concatenate([np.zeros(24_000, np.float32), voice])[:96_000]
    finding = only(failed(video(sound=late), asked), Check.SOUND, "voice_offset", "0.50 s late")
    assert finding.severity is Severity.WARN


@pytest.mark.parametrize("other", ["voiceover-es.mp3", "voiceover-de.wav", "ambience.mp3"])
def test_another_voice(
    video: Make, asked: Expectation, samples: Path, sounds: Callable[..., np.ndarray], other: str
) -> None:
    path = video(sound=sounds(other, 2))
    found = failed(path, asked.model_copy(update={"voice": samples / "voiceover-en.mp3"}))
    assert only(found, Check.SOUND, "voice", "not the one").severity is Severity.ERROR


# motion


def test_a_frozen_picture(video: Make, asked: Expectation, samples: Path) -> None:
    only(failed(video(frames=[still(samples, size=(640, 360))] * 48), asked), Check.MOTION, "frozen", "frozen")


def test_black_frames(video: Make, asked: Expectation, samples: Path, zooming: Callable[..., list[np.ndarray]]) -> None:
    shown = zooming("environment.jpg", 48)
    for number in range(20, 40):
        shown[number] = np.zeros_like(shown[0])
    found = failed(video(frames=shown), asked.model_copy(update={"cuts_allowed": True}))
    only(found, Check.MOTION, "black", "42% of the frames are black")


def test_a_slide_show(video: Make, asked: Expectation, samples: Path) -> None:
    files = ("environment.jpg", "product.webp", "pet.jpg")
    slides = [still(samples, file, (640, 360)) for file in files for _ in range(16)]
    found = failed(video(frames=slides), asked.model_copy(update={"cuts_allowed": True}))
    only(found, Check.MOTION, "slide_show", "slide show")


def test_a_picture_that_stops(video: Make, asked: Expectation, zooming: Callable[..., list[np.ndarray]]) -> None:
    moving = zooming("environment.jpg", 24, size=(640, 360))
    path = video(frames=moving + [moving[-1]] * 24)
    limits = Thresholds(stuck_seconds=0.6)
    assert only(failed(path, asked, limits), Check.MOTION, "stuck", "stands still").severity is Severity.WARN


def test_a_jump_to_another_picture(video: Make, asked: Expectation, zooming: Callable[..., list[np.ndarray]]) -> None:
    cut = zooming("environment.jpg", 24) + zooming("portrait.png", 24)
    path = video(frames=cut)
    only(failed(path, asked), Check.MOTION, "jump", "jumps at 1.00 s")
    assert failed(path, asked.model_copy(update={"cuts_allowed": True})) == {}


def test_fast_steady_movement_and_a_flash_are_no_jumps(video: Make, zooming: Callable[..., list[np.ndarray]]) -> None:
    fast = measure(video(frames=zooming("portrait.png", 48, speed=0.01)), Expectation())
    assert fast.jumps == ()
    shown = zooming("environment.jpg", 48)
    shown[24] = np.clip(shown[24].astype(int) + 60, 0, 255).astype(np.uint8)
    assert measure(video(frames=shown), Expectation()).jumps == ()


@pytest.mark.parametrize("file", ["environment.jpg", "portrait.png", "product.webp", "pet.jpg"])
def test_the_slowest_visible_push_in_is_movement(
    video: Make, zooming: Callable[..., list[np.ndarray]], file: str
) -> None:
    measures = measure(video(frames=zooming(file, 48, speed=0.0003)), Expectation())
    assert measures.still < 0.3


# likeness


@pytest.mark.parametrize("other", ["portrait.png", "product.webp", "pet.jpg"])
def test_a_clip_of_another_picture(video: Make, asked: Expectation, samples: Path, other: str) -> None:
    asked = asked.model_copy(update={"source_image": samples / other, "aspect": "16:9"})
    only(failed(video(), asked), Check.LIKENESS, "first_frame", "not the image")


def test_a_turned_phone_photo_is_compared_as_displayed(video: Make, samples: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(samples / "environment.jpg") as picture:
        picture.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "phone.jpg", exif=exif)
    asked = Expectation(source_image=tmp_path / "phone.jpg", aspect="16:9")
    assert failed(video(), asked) == {}


# settings and score


def test_severities_can_be_set_and_problems_declared_acceptable(video: Make, asked: Expectation) -> None:
    path = video(sound=None)
    (finding,) = failed(path, asked, Thresholds(severities={"no_sound": "warn"})).values()
    assert finding.severity is Severity.WARN
    assert failed(path, asked, Thresholds(severities={"no_sound": "ignore"})) == {}


def test_thresholds_come_from_settings() -> None:
    assert thresholds_from({"silent": 0.5, "severities": {"stuck": "ignore"}}).severities == {"stuck": "ignore"}
    with pytest.raises(SettingsError, match=r"I2V_QUALITY: silence: .*not permitted") as caught:
        thresholds_from({"silence": 1})
    assert "docs/quality.md" in caught.value.remedy


def test_a_promised_sound_that_is_missing_costs_score(video: Make, asked: Expectation) -> None:
    path = video(sound=None)
    assert score(measure(path, asked)) < 0.85
    assert score(measure(path, asked.model_copy(update={"sound": False}))) > 0.9


def test_worse_figures_never_score_higher() -> None:
    good = Measures(
        decodes=True, seconds=5, seconds_off=0, width=1280, height=720, frames=120, fps=24, motion=1, still=0,
        sound_seconds=5, loudness_lufs=-20, peak_dbfs=-3, clipped=0, silent=0, voice_match=1, voice_offset=0,
        first_frame_match=0.95,
    )  # fmt: skip
    assert score(good) == 1
    for worse in (
        {"seconds_off": 0.6}, {"tier_off": 0.3}, {"aspect_off": 0.1}, {"unsteadiness": 0.1}, {"sharpness_kept": 0.3},
        {"clipped": 0.01}, {"silent": 0.9}, {"loudness_lufs": -50}, {"voice_match": 0.6}, {"voice_offset": 0.5},
        {"black": 0.2}, {"still": 0.7}, {"jumps": (1.0,)}, {"motion": 0.05}, {"first_frame_match": 0.4},
    ):  # fmt: skip
        assert 0 < score(good.model_copy(update=worse)) < 1, worse
    assert score(good.model_copy(update={"decodes": False})) == 0
    assert score(good.model_copy(update={"first_frame_match": None, "sound_seconds": None, "voice_match": None})) == 1


def test_an_unreadable_source_image_is_an_error_of_the_call(video: Make, samples: Path) -> None:
    with pytest.raises(Unreadable):
        measure(video(), Expectation(source_image=samples / "voiceover-en.mp3"))


# the pool


@pytest.fixture(scope="module")
def pool() -> Iterator[MeasuringPool]:
    with MeasuringPool(workers=2, limit_seconds=20) as opened:
        yield opened


def test_the_pool_measures(pool: MeasuringPool, video: Make, asked: Expectation) -> None:
    measures = asyncio.run(measure_in_pool(pool, video(), asked))
    assert all(finding.passed for finding in judge(measures, asked))


def test_a_worker_that_dies_takes_nobody_with_it(pool: MeasuringPool, video: Make, asked: Expectation) -> None:
    path = video()

    async def together() -> list[object]:
        works = [
            pool.measure(path, asked),
            pool.run_async(os._exit, 1),
            pool.measure(path, asked),
            pool.measure(path, asked),
        ]
        return list(await asyncio.gather(*works, return_exceptions=True))

    one, dead, two, three = asyncio.run(together())
    assert isinstance(dead, MeasuringFailed)
    assert dead.verdict is Verdict.RETRYABLE
    assert all(isinstance(result, Measures) for result in (one, two, three))
    assert pool.run(abs, -3) == 3


def test_a_decoder_that_hangs_is_ended() -> None:
    with MeasuringPool(workers=1, limit_seconds=1) as hasty, pytest.raises(MeasuringFailed, match="more than 1 s"):
        hasty.run(signal.pause)


def test_a_typed_error_crosses_the_process(pool: MeasuringPool, video: Make, samples: Path) -> None:
    with pytest.raises(Unreadable) as caught:
        pool.run(measure, video(), Expectation(source_image=samples / "voiceover-en.mp3"))
    assert caught.value.remedy


def test_a_closed_pool_says_so() -> None:
    closed = MeasuringPool()
    closed.close()
    with pytest.raises(MeasuringFailed, match="closed"):
        closed.run(abs, -1)


def test_five_seconds_of_1080p_cost_less_than_two_seconds_of_cpu(video: Make, samples: Path) -> None:
    wide = still(samples, size=(1920, 1080))
    shown = (np.roll(wide, number, axis=1) for number in range(120))
    measures = measure(
        video(frames=shown, crf=35),
        Expectation(duration=5, resolution="1080p", source_image=samples / "environment.jpg"),
    )
    assert measures.frames == 120
    assert measures.cpu_seconds < 2
