"""For each check a real video that fails just that one, and one that passes them all."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from resources.errors import SettingsError, Verdict
from resources.media.errors import MeasuringFailed, Unreadable
from resources.media.limits import HEADER_AND_STILL, WorkLimits
from resources.media.pool import MediaPool
from resources.media.quality.judging import judge, score, soundness, why_low
from resources.media.quality.measuring import measure
from resources.media.quality.model import Check, Expectation, Finding, Measures, Severity, Thresholds, thresholds_from
from resources.media.quality.sound import VOICE_RATE, load_voice, match_voice

Make = Callable[..., Path]


@pytest.fixture
def asked(samples: Path) -> Expectation:
    return Expectation(duration=2, aspect="16:9", sound=True, source_image=samples / "environment.jpg")


def failed(video: Path, asked: Expectation, thresholds: Thresholds | None = None) -> dict[Check, Finding]:
    findings = judge(measure(video, asked), asked, thresholds or Thresholds())
    assert [finding.check for finding in findings] == list(Check)
    return {finding.check: finding for finding in findings if not finding.passed}


def scored(measures: Measures, asked: Expectation) -> float:
    return score(measures, judge(measures, asked))


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
    assert scored(measures, asked) > 0.9
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
    assert scored(measure(path, asked), asked) == 0


def test_a_file_with_broken_bytes(video: Make, asked: Expectation, tmp_path: Path) -> None:
    raw = bytearray(video().read_bytes())
    start = raw.index(b"mdat") + 2000
    raw[start : start + 3000] = bytes(3000)
    path = tmp_path / "broken.mp4"
    path.write_bytes(bytes(raw))
    assert "damaged" in [problem.name for problem in failed(path, asked)[Check.TECHNICAL].problems]


@pytest.mark.parametrize("content", [b"", b"<html>no video</html>", bytes(2000)])
def test_a_file_that_is_not_a_video_is_measured_as_damaged(tmp_path: Path, asked: Expectation, content: bytes) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(content)
    measures = measure(path, asked)
    assert not measures.decodes
    assert scored(measures, asked) == 0
    assert {finding.check for finding in judge(measures, asked) if not finding.passed} == set(Check)


@pytest.mark.parametrize(("seconds", "passes"), [(2.18, True), (1.82, True), (2.25, False), (1.75, False)])
def test_the_duration(video: Make, asked: Expectation, seconds: float, passes: bool) -> None:
    found = failed(video(), asked.model_copy(update={"duration": seconds}))
    if passes:
        assert found == {}
    else:
        only(found, Check.TECHNICAL, "duration", f"instead of {seconds:.2f} s")


def test_the_resolution(video: Make, asked: Expectation) -> None:
    only(failed(video(), asked.model_copy(update={"resolution": "480p"})), Check.TECHNICAL, "resolution", "320x180")


def test_a_tier_is_met_by_its_shorter_side_or_by_its_area(video: Make, samples: Path) -> None:
    sd = [("480p", size) for size in ((854, 480), (480, 854), (640, 640), (480, 480))]
    for tier, size in (*sd, ("768p", (1366, 768))):
        path = video(frames=[still(samples, size=size)] * 3, sound=None)
        measures = measure(path, Expectation(resolution=tier))
        assert measures.tier_off == pytest.approx(0, abs=0.01), size


def test_the_aspect(video: Make, asked: Expectation) -> None:
    only(failed(video(), asked.model_copy(update={"aspect": "4:3"})), Check.TECHNICAL, "aspect", "off the aspect ratio")


def test_without_a_requested_aspect_the_source_images_aspect_counts(video: Make, asked: Expectation) -> None:
    found = failed(video(), asked.model_copy(update={"aspect": None}))
    only(found, Check.TECHNICAL, "aspect", "off the aspect ratio")


def test_an_unsteady_frame_rate(video: Make, asked: Expectation) -> None:
    times = [number / 24 + (0.025 if number % 4 == 1 else 0) for number in range(48)]
    finding = only(failed(video(times=times), asked), Check.TECHNICAL, "frame_rate", "too early or too late")
    assert finding.severity is Severity.WARN


def test_a_frame_rate_that_drops_on_the_way(video: Make, asked: Expectation) -> None:
    times = [number / 24 for number in range(24)] + [1 + number / 17 for number in range(24)]
    path = video(times=times)
    found = failed(path, asked.model_copy(update={"duration": 2.41}))
    finding = [problem.name for each in found.values() for problem in each.problems]
    assert "frame_rate" in finding
    assert "71% of those at the start" in found[Check.TECHNICAL].words
    assert found[Check.TECHNICAL].severity is Severity.WARN
    assert measure(video(), asked).rate_change == pytest.approx(0, abs=0.001)


# sound


def test_missing_sound(video: Make, asked: Expectation) -> None:
    path = video(sound=None)
    only(failed(path, asked), Check.SOUND, "no_sound", "no sound")
    assert failed(path, asked.model_copy(update={"sound": False})) == {}, "nobody asked for sound"


def test_silence(video: Make, asked: Expectation) -> None:
    only(failed(video(sound=np.zeros(96_000, np.float32)), asked), Check.SOUND, "silent", "silence")


def test_silence_that_the_brief_allows(video: Make, asked: Expectation) -> None:
    allowed = asked.model_copy(update={"silence_allowed": True})
    for path in (video(sound=np.zeros(96_000, np.float32)), video(sound=None)):
        assert failed(path, allowed) == {}
        measures = measure(path, allowed)
        assert scored(measures, allowed) > 0.9
        assert "which the brief allows" in judge(measures, allowed)[1].words


def test_barely_audible_sound(
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


VOICES = ("voiceover-en.mp3", "voiceover-es.mp3", "voiceover-de.wav")


def windows(wave: np.ndarray, seconds: float) -> list[np.ndarray]:
    size = round(seconds * VOICE_RATE)
    return [wave[start : start + size] for start in range(0, wave.size - size + 1, VOICE_RATE // 2)]


@pytest.mark.parametrize("seconds", [1.5, 2, 3, 4, 5])
def test_no_part_of_another_voice_matches(samples: Path, seconds: float) -> None:
    voices = [load_voice(samples / name) for name in VOICES]
    matches = [
        match_voice(heard, whole) for spoken, whole in permutations(voices, 2) for heard in windows(spoken, seconds)
    ]
    assert max(max(match.waveform, match.envelope) for match in matches) < 0.45


@pytest.mark.parametrize("seconds", [1.5, 2, 3, 4, 5])
@pytest.mark.parametrize("name", VOICES)
def test_every_part_of_the_voice_itself_passes(samples: Path, name: str, seconds: float) -> None:
    ambience = load_voice(samples / "ambience.mp3")
    noise = np.random.default_rng(1)
    for own in windows(load_voice(samples / name), seconds):
        music = np.resize(ambience, own.size)
        for heard in (
            own,
            own * 0.1,
            own + music * 0.5 * own.std() / music.std(),
            own + music * own.std() / music.std(),
            own + noise.normal(0, own.std(), own.size),
        ):
            match = match_voice(heard.astype(np.float32), own)
            assert max(match.waveform, match.envelope) > 0.65


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


def test_fast_steady_movement_and_a_flash_are_not_jumps(video: Make, zooming: Callable[..., list[np.ndarray]]) -> None:
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


def locked_off(shown: np.ndarray, paint: Callable[[np.ndarray, int], None]) -> list[np.ndarray]:
    frames = [shown.copy() for _ in range(48)]
    for number, frame in enumerate(frames):
        paint(frame, number)
    return frames


@pytest.mark.parametrize("file", ["portrait.png", "product.webp"])
def test_a_mouth_that_moves_before_a_camera_at_rest_is_movement(video: Make, samples: Path, file: str) -> None:
    def mouth(frame: np.ndarray, number: int) -> None:
        """1 % of the frame, opened and closed 1.7 times a second."""
        opened = round(24 * abs(np.sin(number / 24 * np.pi * 1.7)))
        frame[200 : 200 + opened + 1, 272:368] = (60, 25, 25)

    path = video(frames=locked_off(still(samples, file, (640, 360)), mouth))
    measures = measure(path, Expectation())
    assert measures.still < 0.4
    assert failed(path, Expectation()) == {}


def test_steam_before_a_camera_at_rest_is_not_a_slide_show(video: Make, samples: Path) -> None:
    cloud = np.random.default_rng(0).normal(0, 1, (300, 80)).cumsum(0).cumsum(1)
    cloud = (cloud - cloud.mean()) / cloud.std() * 12
    window = np.outer(np.hanning(80), np.hanning(80))

    def steam(frame: np.ndarray, number: int) -> None:
        part = cloud[200 - 2 * number : 280 - 2 * number] * window
        patch = frame[100:180, 280:360]
        patch[:] = np.clip(patch + part[..., None], 0, 255).astype(np.uint8)

    path = video(frames=locked_off(still(samples, "product.webp", (640, 360)), steam))
    assert all(finding.severity is Severity.WARN for finding in failed(path, Expectation()).values())


def test_a_video_that_barely_changes_is_not_a_slide_show() -> None:
    faint = GOOD.model_copy(update={"still": 0.75, "changes": 9, "wander": 0.5, "longest_still_seconds": 0.5})
    assert all(finding.passed for finding in judge(faint, EVERYTHING))


@pytest.mark.parametrize("crf", [18, 23, 30])
@pytest.mark.parametrize("file", ["environment.jpg", "portrait.png", "product.webp", "pet.jpg"])
def test_a_frozen_picture_is_frozen_at_every_bit_rate(video: Make, samples: Path, file: str, crf: int) -> None:
    path = video(frames=[still(samples, file, (640, 360))] * 48, crf=crf)
    only(failed(path, Expectation()), Check.MOTION, "frozen", "frozen")


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


def test_a_missing_promised_sound_lowers_the_score(video: Make, asked: Expectation) -> None:
    path = video(sound=None)
    assert scored(measure(path, asked), asked) < 0.5
    without = asked.model_copy(update={"sound": False})
    assert scored(measure(path, without), without) > 0.9


GOOD = Measures(
    decodes=True, seconds=5, seconds_off=0, width=1280, height=720, frames=120, fps=24, motion=1, still=0,
    sound_seconds=5, loudness_lufs=-20, peak_dbfs=-3, clipped=0, silent=0, voice_match=1, voice_offset=0,
    first_frame_match=0.95, wander=20, changes=1, sound_asked=True,
)  # fmt: skip
EVERYTHING = Expectation(
    duration=5, resolution="720p", aspect="16:9", sound=True, voice=Path("voice.mp3"), source_image=Path("image.jpg")
)


def test_worse_figures_never_score_higher() -> None:
    assert scored(GOOD, EVERYTHING) == 1
    for worse in (
        {"seconds_off": 0.6}, {"tier_off": 0.3}, {"aspect_off": 0.1}, {"unsteadiness": 0.1}, {"sharpness_kept": 0.3},
        {"clipped": 0.01}, {"silent": 0.9}, {"loudness_lufs": -50}, {"voice_match": 0.6}, {"voice_offset": 0.5},
        {"black": 0.2}, {"still": 0.7}, {"jumps": (1.0,)}, {"motion": 0.05}, {"first_frame_match": 0.4},
        {"rate_change": -0.3},
    ):  # fmt: skip
        assert 0 < scored(GOOD.model_copy(update=worse), EVERYTHING) < 1, worse
    assert scored(GOOD.model_copy(update={"decodes": False}), EVERYTHING) == 0
    unasked = {"first_frame_match": None, "sound_seconds": None, "voice_match": None, "sound_asked": False}
    assert scored(GOOD.model_copy(update=unasked), Expectation()) == 1


def test_a_low_score_says_why() -> None:
    def told(**worse: object) -> str:
        measures = GOOD.model_copy(update=worse)
        findings = judge(measures, EVERYTHING)
        return why_low(measures, findings, score(measures, findings))

    assert told() == ""
    assert "sound 0.00" in told(silent=1, voice_match=0.1)
    still = told(still=1, motion=0)
    assert "motion 0.00" in still
    assert "sound" not in still.partition(".")[0]
    assert told(decodes=False) == "The video cannot be decoded."


share = st.floats(0, 1)


FIGURES = {
    "seconds_off": st.floats(-1, 1), "tier_off": st.floats(-0.5, 0.5), "aspect_off": st.floats(-0.2, 0.2),
    "unsteadiness": share, "rate_change": st.floats(-0.5, 0.5), "sharpness_kept": share, "clipped": st.floats(0, 0.02),
    "silent": share, "loudness_lufs": st.floats(-70, 0), "peak_dbfs": st.floats(-80, 0), "voice_match": share,
    "voice_offset": st.floats(-2, 2), "black": share, "still": share, "longest_still_seconds": st.floats(0, 5),
    "wander": st.floats(0, 40), "changes": st.integers(0, 3), "motion": st.floats(0, 2),
    "first_frame_match": st.floats(-1, 1), "jumps": st.sampled_from([(), (1.0,), (1.0, 2.0)]),
    "decodes": st.booleans(),
}  # fmt: skip
SOME = st.sets(st.sampled_from(sorted(FIGURES)), max_size=4).flatmap(
    lambda names: st.fixed_dictionaries({name: FIGURES[name] for name in sorted(names)})
)
"""A few figures that are not as they should be: with all of them at random every score would be next to nothing."""


@given(st.tuples(SOME, SOME))
@settings(max_examples=500)  # 0.3 ms each
def test_a_video_with_an_error_never_scores_above_one_without(two: tuple[dict[str, object], ...]) -> None:
    measures = [GOOD.model_copy(update=figures) for figures in two]
    findings = [judge(each, EVERYTHING) for each in measures]
    scores = [score(each, found) for each, found in zip(measures, findings, strict=True)]
    errors = [any(one.severity is Severity.ERROR and not one.passed for one in found) for found in findings]
    for has_error, one in zip(errors, scores, strict=True):
        assert (0 <= one <= 0.49) if has_error else (0.5 <= one <= 1)
    if errors[0] == errors[1] and soundness(measures[0]) < soundness(measures[1]):
        assert scores[0] <= scores[1], "among their like the sounder one is preferred"


@pytest.mark.parametrize("error", [{"still": 1, "wander": 0, "motion": 0}, {"silent": 1}, {"voice_match": 0.3}])
def test_the_usual_reroll_rule_includes_every_error(error: dict[str, object]) -> None:
    assert scored(GOOD.model_copy(update=error), EVERYTHING) < 0.5
    assert scored(GOOD.model_copy(update={"sharpness_kept": 0.2}), EVERYTHING) > 0.6, "a warning alone"


def test_an_unreadable_source_image_is_an_error_of_the_call(video: Make, samples: Path) -> None:
    with pytest.raises(Unreadable):
        measure(video(), Expectation(source_image=samples / "voiceover-en.mp3"))


# the pool


@pytest.fixture(scope="module")
def pool() -> Iterator[MediaPool]:
    with MediaPool() as opened:
        yield opened


def test_the_pool_measures(pool: MediaPool, video: Make, asked: Expectation) -> None:
    measures = asyncio.run(pool.measure(video(), asked))
    assert all(finding.passed for finding in judge(measures, asked))


def test_a_worker_that_dies_does_not_fail_other_tasks(pool: MediaPool, video: Make, asked: Expectation) -> None:
    path = video()

    async def together() -> list[object]:
        works = [
            pool.measure(path, asked),
            pool.run_async(os._exit, 1, limits=HEADER_AND_STILL),
            pool.measure(path, asked),
            pool.measure(path, asked),
        ]
        return list(await asyncio.gather(*works, return_exceptions=True))

    one, dead, two, three = asyncio.run(together())
    assert isinstance(dead, MeasuringFailed)
    assert dead.verdict is Verdict.RETRYABLE
    assert all(isinstance(result, Measures) for result in (one, two, three))
    assert pool.run(abs, -3, limits=HEADER_AND_STILL) == 3


def test_a_decoder_that_hangs_is_ended() -> None:
    limits = WorkLimits("open", 1.0, wall_seconds=1.0)
    with MediaPool(workers=1) as hasty, pytest.raises(MeasuringFailed, match="more than 1 s"):
        hasty.run(signal.pause, limits=limits)


def test_a_typed_error_crosses_the_process(pool: MediaPool, video: Make, samples: Path) -> None:
    with pytest.raises(Unreadable) as caught:
        pool.run(measure, video(), Expectation(source_image=samples / "voiceover-en.mp3"), limits=HEADER_AND_STILL)
    assert caught.value.remedy


def test_a_closed_pool_raises() -> None:
    closed = MediaPool()
    closed.close()
    with pytest.raises(MeasuringFailed, match="closed"):
        closed.run(abs, -1, limits=HEADER_AND_STILL)


def test_five_seconds_of_1080p_cost_less_than_two_seconds_of_cpu(video: Make, samples: Path) -> None:
    wide = still(samples, size=(1920, 1080))
    shown = (np.roll(wide, number, axis=1) for number in range(120))
    measures = measure(
        video(frames=shown, crf=35),
        Expectation(duration=5, resolution="1080p", source_image=samples / "environment.jpg"),
    )
    assert measures.frames == 120
    assert measures.cpu_seconds < 2
