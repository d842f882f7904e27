"""Films keep their time, their sound and their level, whatever the shots are like."""

import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from resources.media.errors import CannotJoin, Unreadable
from resources.media.joining import FilmOptions, Shot, join
from resources.media.mixing import RATE, Track
from resources.media.probe import probe_audio, probe_video
from resources.media.quality.measuring import measure
from resources.media.quality.model import Expectation
from resources.media.timeline import plan_timeline

Make = Callable[..., Path]


def grey(level: int, frames: int, size: tuple[int, int] = (160, 90)) -> list[np.ndarray]:
    return [np.full((size[1], size[0], 3), level, np.uint8)] * frames


def greys(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.to_ndarray(format="gray8").mean()) for frame in container.decode(video=0)]


def heard(path: Path) -> np.ndarray:
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
    with av.open(str(path)) as container:
        return np.concatenate([p.to_ndarray()[0] for f in container.decode(audio=0) for p in resampler.resample(f)])


def tone(hertz: float, seconds: float, level: float = 0.2) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


# time


lengths = st.fractions(min_value=Fraction(1, 2), max_value=20, max_denominator=1000)


@settings(max_examples=60)
@given(
    shots=st.lists(
        st.tuples(lengths, st.fractions(min_value=0, max_value=Fraction(1, 5), max_denominator=100)),
        min_size=1,
        max_size=40,
    ),
    fps=st.sampled_from([Fraction(24), Fraction(25), Fraction(30_000, 1001), Fraction(60)]),
)
def test_time_is_conserved(shots: list[tuple[Fraction, Fraction]], fps: Fraction) -> None:
    """Sum of the durations minus the overlaps, within half a frame, for any number of shots."""
    timeline = plan_timeline([(str(number), *shot) for number, shot in enumerate(shots)], fps)
    wanted = sum((seconds for seconds, _ in shots), Fraction(0)) - sum((fade for _, fade in shots[1:]), Fraction(0))
    assert abs(timeline.seconds - wanted) <= Fraction(1, 2) / fps
    assert timeline.frames == sum(span.length - span.overlap for span in timeline.spans)
    for spans, last in ((timeline.spans, timeline.frames), (timeline.in_samples(RATE), round(timeline.seconds * RATE))):
        assert spans[0].start == 0
        assert spans[-1].end == last
        for before, after in pairwise(spans):
            assert after.start + after.overlap == before.end
            assert after.overlap >= 0


@pytest.mark.parametrize(
    ("shots", "words"),
    [
        ([], "at least one shot"),
        ([("a", 1.0, 0.0), ("b", 1.0, 1.5)], "crossfades at a are longer"),
        ([("a", 2.0, 0.0), ("b", 1.0, 0.6), ("c", 2.0, 0.6)], "crossfades at b are longer"),
        ([("a", 0.01, 0.0)], "shorter than one frame"),
    ],
)
def test_shots_that_do_not_fit_are_refused(shots: list[tuple[str, float, float]], words: str) -> None:
    with pytest.raises(CannotJoin, match=words) as caught:
        plan_timeline([(name, Fraction(seconds), Fraction(fade)) for name, seconds, fade in shots], Fraction(24))
    assert caught.value.remedy


WHOLE = 99.0
"""A crossfade that takes all that is left of the shorter of its two shots."""


@settings(max_examples=8)
@given(
    lasting=st.lists(st.integers(min_value=12, max_value=30), min_size=1, max_size=4),
    fade=st.sampled_from([0.0, 0.1, 0.15, WHOLE]),
    seed=st.integers(0, 99),
)
@example(lasting=[24, 24], fade=WHOLE, seed=1)
@example(lasting=[12, 30, 12], fade=WHOLE, seed=2)
def test_a_written_film_has_the_promised_length(
    tmp_path_factory: pytest.TempPathFactory, writing: Make, lasting: list[int], fade: float, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("film")
    rng = np.random.default_rng(seed)
    shots, seconds, left = [], Fraction(0), Fraction(0)
    for number, frames in enumerate(lasting):
        fps = int(rng.choice([12, 24, 25, 30]))
        sound = tone(300, frames / fps) if rng.random() < 0.7 else None
        lasts = Fraction(frames, fps)
        taken = min(left, lasts, Fraction(fade).limit_denominator(1000)) if number else Fraction(0)
        left = lasts - taken
        shots.append(
            Shot(
                path=writing(folder / f"{number}.mp4", grey(60 + 40 * number, frames), fps=fps, sound=sound),
                crossfade=float(taken),
            )
        )
        seconds += lasts - taken
    film = join(shots, folder / "film.mp4", FilmOptions(width=64, height=36, fps=Fraction(24), preset="ultrafast"))
    facts = probe_video(folder / "film.mp4")
    assert abs(film.seconds - float(seconds)) <= 0.5 / 24 + 0.002
    assert facts.frames == film.frames
    assert facts.seconds == pytest.approx(film.seconds, abs=0.001)
    if film.sound:
        assert probe_audio(folder / "film.mp4").seconds == pytest.approx(film.seconds, abs=0.03)


# pictures


def test_cuts_and_crossfades_frame_by_frame(tmp_path: Path, writing: Make) -> None:
    shots = [
        Shot(path=writing(tmp_path / "a.mp4", grey(50, 24)), name="a"),
        Shot(path=writing(tmp_path / "b.mp4", grey(200, 24)), name="b"),
        Shot(path=writing(tmp_path / "c.mp4", grey(100, 24)), name="c", crossfade=0.25),
    ]
    film = join(shots, tmp_path / "film.mp4", FilmOptions(crf=5))
    seen = greys(tmp_path / "film.mp4")
    assert len(seen) == 72 - 6 == film.frames
    assert seen[:24] == pytest.approx([50] * 24, abs=3)
    assert seen[24:42] == pytest.approx([200] * 18, abs=3)
    assert seen[42:48] == pytest.approx([200 - 100 * step / 7 for step in range(1, 7)], abs=4)
    assert seen[48:] == pytest.approx([100] * 18, abs=3)
    cut, fade = film.seams
    assert (cut.before, cut.after, cut.at_seconds, cut.crossfade_seconds) == ("a", "b", 1.0, 0.0)
    assert (fade.before, fade.after, fade.at_seconds, fade.crossfade_seconds) == ("b", "c", 1.75, 0.25)
    assert cut.picture_step == pytest.approx(150, abs=4)
    assert not film.sound


def test_a_crossfade_as_long_as_its_shots_shows_each_picture_once(tmp_path: Path, writing: Make) -> None:
    rising = [frame for level in range(24) for frame in grey(40 + 4 * level, 1)]
    shots = [
        Shot(path=writing(tmp_path / "a.mp4", rising, crf=5)),
        Shot(path=writing(tmp_path / "b.mp4", grey(200, 24), crf=5), crossfade=1.0),
    ]
    film = join(shots, tmp_path / "film.mp4", FilmOptions(crf=5))
    seen = greys(tmp_path / "film.mp4")
    assert film.frames == len(seen) == 24
    shares = [(step + 1) / 25 for step in range(24)]
    expected = [(40 + 4 * at) * (1 - share) + 200 * share for at, share in enumerate(shares)]
    assert seen == pytest.approx(expected, abs=4)


def test_the_colour_step_at_a_seam_is_measured(tmp_path: Path, writing: Make, zooming: Make) -> None:
    shown = zooming("environment.jpg", 24)
    warmer = [np.clip(frame.astype(int) + np.array([18, 0, -18]), 0, 255).astype(np.uint8) for frame in shown]
    parts = [shown[:12], shown[12:], warmer[12:]]
    shots = [Shot(path=writing(tmp_path / f"{number}.mp4", part)) for number, part in enumerate(parts)]
    smooth, stepped = join(shots, tmp_path / "film.mp4").seams
    assert smooth.colour_step < 1.5
    assert smooth.picture_step < 4
    assert stepped.colour_step > 5


def test_mixed_sizes_and_rates_are_fitted(tmp_path: Path, writing: Make) -> None:
    shots = [
        Shot(path=writing(tmp_path / "wide.mp4", grey(200, 48, (320, 180)))),
        Shot(path=writing(tmp_path / "tall.mp4", grey(200, 15, (90, 160)), fps=15)),
        Shot(path=writing(tmp_path / "near.mp4", grey(200, 24, (160, 90)), fps=24)),
    ]
    film = join(shots, tmp_path / "film.mp4")
    assert (film.width, film.height, film.fps, film.frames) == (320, 180, 24, 96)
    with av.open(str(tmp_path / "film.mp4")) as container:
        pictures = [frame.to_ndarray(format="gray8") for frame in container.decode(video=0)]
    assert pictures[10].mean() == pytest.approx(200, abs=3)
    tall = pictures[60]
    assert tall[:, :100].mean() < 5, "black beside the tall picture"
    assert tall[:, 115:205].mean() == pytest.approx(200, abs=4)
    assert pictures[90].mean() == pytest.approx(200, abs=3)


def test_colours_survive_padding_and_joining(tmp_path: Path, writing: Make) -> None:
    red = np.zeros((160, 90, 3), np.uint8)
    red[:, :] = (200, 40, 30)
    join(
        [Shot(path=writing(tmp_path / "red.mp4", [red] * 4))], tmp_path / "film.mp4", FilmOptions(width=320, height=180)
    )
    with av.open(str(tmp_path / "film.mp4")) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert picture[90, 160].tolist() == pytest.approx([200, 40, 30], abs=14)
    assert picture[90, 20].tolist() == pytest.approx([0, 0, 0], abs=3)


# sound


def test_missing_sound_is_silence_and_sound_stays_at_its_place(tmp_path: Path, writing: Make) -> None:
    shots = [
        Shot(path=writing(tmp_path / "mute.mp4", grey(90, 24))),
        Shot(path=writing(tmp_path / "high.mp4", grey(120, 24), sound=tone(880, 1))),
        Shot(path=writing(tmp_path / "low.mp4", grey(150, 24), sound=tone(220, 1)[: RATE // 2])),
    ]
    join(shots, tmp_path / "film.mp4")
    sound = heard(tmp_path / "film.mp4")
    assert np.abs(sound[: round(0.9 * RATE)]).max() < 0.01
    assert np.abs(sound[round(2.6 * RATE) : round(2.95 * RATE)]).max() < 0.01

    def pitch(start: float, end: float) -> float:
        part = sound[round(start * RATE) : round(end * RATE)]
        return float(np.abs(np.fft.rfft(part)).argmax() * RATE / part.size)

    assert pitch(1.1, 1.9) == pytest.approx(880, abs=5)
    assert pitch(2.1, 2.4) == pytest.approx(220, abs=5)
    onset = int(np.flatnonzero(np.abs(sound) > 0.05)[0])
    assert onset / RATE == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("level", [0.02, 0.9])
def test_loudness_is_levelled_once(
    tmp_path: Path, writing: Make, sounds: Callable[..., np.ndarray], level: float
) -> None:
    voice = sounds("voiceover-en.mp3", 4)
    voice = voice / np.abs(voice).max() * level
    shots = [
        Shot(path=writing(tmp_path / "a.mp4", grey(90, 48), sound=voice[: 2 * RATE])),
        Shot(path=writing(tmp_path / "b.mp4", grey(90, 48), sound=voice[2 * RATE :]), crossfade=0.5),
    ]
    film = join(shots, tmp_path / "film.mp4", FilmOptions(loudness_lufs=-16))
    measures = measure(tmp_path / "film.mp4", Expectation(sound=True))
    if level == 0.02:
        assert film.gain_db == 20, "what is nearly silent is not made loud"
    else:
        assert measures.loudness_lufs == pytest.approx(-16, abs=1)
        assert film.loudness_lufs == pytest.approx(measures.loudness_lufs, abs=0.5)
    assert measures.peak_dbfs is not None
    assert measures.peak_dbfs < -1
    assert measures.clipped == 0


def test_peaks_are_limited_without_moving_the_sound(tmp_path: Path, writing: Make) -> None:
    """Quiet with single bangs: the gain that the loudness needs would clip them."""
    sound = tone(300, 3, 0.05)
    sound[RATE : RATE + 500] = tone(300, 1, 0.9)[:500]
    path = writing(tmp_path / "a.mp4", grey(90, 72), sound=sound)
    film = join([Shot(path=path)], tmp_path / "film.mp4")
    measures = measure(tmp_path / "film.mp4", Expectation(sound=True))
    assert film.gain_db > 3
    assert measures.peak_dbfs is not None
    assert measures.peak_dbfs <= -1
    assert int(np.abs(heard(tmp_path / "film.mp4")).argmax()) / RATE == pytest.approx(1.0, abs=0.03)


def test_music_runs_below_the_whole_film_and_fades(tmp_path: Path, writing: Make, samples: Path) -> None:
    shots = [Shot(path=writing(tmp_path / f"{n}.mp4", grey(90, 84), sound=tone(440, 3.5))) for n in range(2)]
    music = Track(path=samples / "ambience.mp3", gain_db=-6, loop=True, fade_out_seconds=1)
    film = join(shots, tmp_path / "film.mp4", FilmOptions(tracks=(music,)))
    plain = join(shots, tmp_path / "plain.mp4")
    assert film.seconds == plain.seconds == 7
    noise = heard(tmp_path / "film.mp4")
    spectrum = np.abs(np.fft.rfft(noise[round(5.5 * RATE) : round(5.9 * RATE)]))
    bare = np.abs(np.fft.rfft(heard(tmp_path / "plain.mp4")[round(5.5 * RATE) : round(5.9 * RATE)]))
    low = slice(10, 60)
    assert spectrum[low].mean() > 5 * bare[low].mean(), "the music goes on after its own five seconds"


def test_pieces_of_a_given_length_under_one_voice(tmp_path: Path, writing: Make) -> None:
    """A longer video is cut, the last picture of a shorter one stays, and the voice alone is heard, as loud as it is."""
    one = writing(tmp_path / "one.mp4", grey(60, 48), sound=tone(300, 2))
    two = writing(tmp_path / "two.mp4", grey(180, 24), sound=tone(300, 1))
    voice = tmp_path / "voice.mp4"
    writing(voice, grey(0, 12), sound=tone(1000, 2.75, 0.05))
    pieces = [Shot(path=one, seconds=Fraction(3, 2)), Shot(path=two, seconds=Fraction(5, 4))]
    film = join(
        pieces, tmp_path / "f.mp4", FilmOptions(tracks=(Track(path=voice),), own_sound=False, loudness_lufs=None)
    )
    assert film.seconds == pytest.approx(2.75, abs=0.021)
    shown = greys(tmp_path / "f.mp4")
    assert len(shown) == 66
    assert max(shown[:36]) < 100 < min(shown[36:])
    sound = heard(tmp_path / "f.mp4")[RATE // 4 : 5 * RATE // 2]
    spectrum = np.abs(np.fft.rfft(sound))
    loudest = float(np.fft.rfftfreq(len(sound), 1 / RATE)[spectrum.argmax()])
    assert loudest == pytest.approx(1000, abs=2)
    assert spectrum[round(300 * len(sound) / RATE)] < spectrum.max() / 100, "the shots' own sound is left out"
    assert float(np.abs(sound).max()) == pytest.approx(0.05, rel=0.1), "its loudness is the voice's own"


def test_a_silent_film_stays_silent(tmp_path: Path, writing: Make) -> None:
    path = writing(tmp_path / "a.mp4", grey(90, 12), sound=np.zeros(RATE // 2, np.float32))
    film = join([Shot(path=path)], tmp_path / "film.mp4")
    assert (film.gain_db, film.loudness_lufs) == (0, None)


# damage and memory


def test_a_damaged_shot_leaves_no_film(tmp_path: Path, writing: Make) -> None:
    whole = writing(tmp_path / "a.mp4", grey(90, 24))
    (tmp_path / "b.mp4").write_bytes(whole.read_bytes()[:900])
    with pytest.raises(Unreadable, match="shot two"):
        join([Shot(path=whole), Shot(path=tmp_path / "b.mp4", name="shot two")], tmp_path / "film.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


MEMORY = """
import resource, sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from resources.media.joining import FilmOptions, Shot, join

shot = Shot(path=Path(sys.argv[1]), crossfade=0.2)
join([shot] * int(sys.argv[3]), Path(sys.argv[2]), FilmOptions(preset="ultrafast"))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_is_flat_in_the_length_of_the_film(tmp_path: Path, writing: Make) -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (360, 640, 3), dtype=np.uint8) for _ in range(12)]
    path = writing(tmp_path / "shot.mp4", frames, sound=tone(300, 0.5), crf=40)

    def peak(shots: int) -> int:
        film = tmp_path / f"{shots}.mp4"
        command = [sys.executable, "-c", MEMORY, str(path), str(film), str(shots)]
        run = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[3])
        return int(run.stdout)

    short, long = peak(4), peak(40)
    assert long - short < 25, f"{short} MB for 4 shots, {long} MB for 40"
