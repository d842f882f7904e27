"""A voice that is longer than any request: one portrait and 60 s of speech become one talking video of 60 s.

`speech-60s.mp3` was spoken by espeak-ng: ten sentences about a lighthouse, with pauses of 200 to 420 ms.
"""

import io
import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from i2v_assets.cli.main import app
from i2v_assets.defs.maintenance import to_retry
from i2v_assets.pipeline.deliver import Delivery
from resources.devservers.start import RunningSandbox
from resources.media.pauses import find_pauses
from resources.media.preparation import Preparation
from resources.media.prepare import prepare_file
from resources.registry.registry import ClipState
from resources.schemas.inputs import MediumKind
from resources.settings import load_settings
from resources.wait_reason import WaitReason

SPEECH = Path(__file__).parent / "speech-60s.mp3"
BRIEF = "prompt: The person speaks calmly to the camera.\nduration: match_audio\n"
REROLLED = "voice: split\nreroll: {below: 0.6, at_most: 1}\n"
SYNC = 0.040
"""How far sound and picture may be apart, in seconds."""


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its first 33 s, which become 3 pieces: drawing and joining a minute takes a quarter of one."""
    path = tmp_path_factory.mktemp("speech") / "voice.wav"
    first = Preparation(kind=MediumKind.AUDIO, reasons=(), max_bytes=2_000_000, span_ms=(0, 33_000))
    prepare_file(SPEECH, path, first, "the speech")
    return path


@pytest.fixture(scope="session")
def two_pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its first 18 s, which become 2 pieces."""
    path = tmp_path_factory.mktemp("speech") / "voice.wav"
    first = Preparation(kind=MediumKind.AUDIO, reasons=(), max_bytes=2_000_000, span_ms=(0, 18_000))
    prepare_file(SPEECH, path, first, "the speech")
    return path


@pytest.fixture
def poor_scores(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first take scores so low that a reroll is due."""

    async def poor(*_: Any) -> float:
        return 0.1

    monkeypatch.setattr(Delivery, "best_score", poor)
    stage.set_variable("I2V_MEASURE", "true")


def fail_last_piece_of_the_reroll(stage: Any) -> None:
    """Let the fourth request fail: the second take's second piece."""
    for _ in range(3):
        stage.fault(where="submit", kind="wrong_first_frame")
    stage.fault(where="submit", kind="failed_result", message="The worker ran out of memory.")


def talking(stage: Any, speech: Path, brief: str = "", name: str = "anna") -> None:
    stage.upload(f"{name}/brief.yaml", BRIEF + brief)
    stage.upload(f"{name}/voice.wav", speech.read_bytes())
    stage.upload(f"{name}/portrait.png", Path("portrait.png"))
    stage.make()


def manifest(stage: Any, clip: str = "anna") -> dict[str, Any]:
    return dict(json.loads(stage.bucket.read(f"clips/{clip}/manifest.json")))


def command(*words: str) -> str:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.output


def seconds_of(data: bytes) -> tuple[float, float]:
    """Return the length of the picture and of the sound."""
    with av.open(io.BytesIO(data)) as container:
        rate = container.streams.video[0].average_rate
        frames = sum(1 for _ in container.decode(video=0))
        container.seek(0)
        samples = sum(frame.samples for frame in container.decode(audio=0))
        return float(frames / rate), samples / container.streams.audio[0].rate


def test_one_portrait_and_a_long_voice_are_planned_priced_and_approved_as_one(stage: Any, spoken: Path) -> None:
    talking(stage, spoken)
    row = stage.clip("anna")
    assert (row.state, row.wait) == (ClipState.WAITING, WaitReason.APPROVAL)
    assert stage.charges() == []
    note = stage.note("anna", "WAITING.txt") or ""
    assert "voice.wav has 33.0 s, and one request takes at most 15 s." in note
    assert "into 3 pieces" in note
    assert "`voice: cut`" in note
    (take,) = json.loads(stage.bucket.read("clips/anna/plan.json"))["takes"]
    assert take["price_microdollars"] == sum(piece["price_microdollars"] for piece in take["pieces"])
    assert {piece["inputs"]["seed"] for piece in take["pieces"]} == {take["inputs"]["seed"]}
    assert row.price_microdollars == take["price_microdollars"]

    command("approve", "anna", "--yes")
    stage.make("dispatch")
    stage.make("uploads")
    assert stage.clip("anna").state is ClipState.DELIVERED
    assert len(stage.charges()) == 3
    made = manifest(stage)
    assert seconds_of(stage.bucket.read("clips/anna/video.mp4")) == pytest.approx((33.0, 33.0), abs=SYNC)
    assert made["cost_microdollars"] == sum(piece["cost_microdollars"] for piece in made["pieces"])
    assert [piece["starts_from_last_frame"] for piece in made["pieces"]] == [False, True, True]
    pauses = find_pauses(spoken, "speech").pauses
    for piece in made["pieces"][1:]:
        assert any(start < piece["starts_at"] * 1000 < end for start, end in pauses)
    # The frames are stored once, each under the shot that it is of; the ledger's inputs prove the fingerprints.
    assert len(list(stage.bucket.list("inputs/frames/"))) == 2
    proof = command("verify", "anna")
    assert "Proven." in proof
    assert proof.count("the fingerprint matches the ledger's inputs") == 3
    # Materializing it again costs nothing and changes nothing.
    stage.materialize("anna")
    assert len(stage.charges()) == 3
    assert manifest(stage) == made


def test_beyond_the_endpoints_sound_voice_cut_is_refused_as_before(stage: Any, spoken: Path) -> None:
    talking(stage, spoken, "voice: cut\n")
    assert stage.clip("anna").state is ClipState.REFUSED
    assert "30 s" in (stage.note("anna") or "")


def test_a_failed_piece_stops_the_later_ones_and_says_what_is_kept(stage: Any, spoken: Path) -> None:
    stage.fault(where="submit", kind="wrong_first_frame")  # the first piece takes it, and is only less alike
    stage.fault(where="submit", kind="failed_result", message="The worker ran out of memory.")
    talking(stage, spoken, "voice: split\n")
    note = stage.note("anna", "FAILED.txt") or ""
    assert "Piece 2 of 3 (13.1 to 23.0 s of the voice):" in note
    assert "Piece 1 is made and kept." in note
    assert "Piece 3 was not sent." in note
    paid = sum(charge["price_microdollars"] for charge in stage.charges() if not charge["refunded"])
    assert f"${paid / 1e6:.2f} was charged." in note
    assert len(stage.requests()) == 2
    command("retry", "anna")
    stage.make()
    assert stage.clip("anna").state is ClipState.DELIVERED
    assert len(stage.requests()) == 4  # the failed one again, and the one that was not sent

    before = manifest(stage)
    said = command("retake", "anna", "--piece", "2")
    cost = sum(piece["cost_microdollars"] for piece in before["pieces"][1:])
    most = re.search(r"Piece 1 is kept; pieces 2 and 3 are made anew for at most \$([0-9.]+),", said)
    assert most is not None, said
    assert float(most[1]) >= cost / 1e6
    stage.make()
    assert len(stage.requests()) == 6
    command("choose", "anna", "2")
    stage.make()
    after = manifest(stage)
    assert len(stage.requests()) == 6
    pieces = [{piece["fingerprint"] for piece in each["pieces"]} for each in (before, after)]
    assert pieces[0] & pieces[1] == {before["pieces"][0]["fingerprint"]}


def test_a_piece_that_a_person_has_to_look_for_is_not_asked_for_at_every_tick(stage: Any, two_pieces: Path) -> None:
    stage.fault(where="submit", kind="disconnect_after")
    talking(stage, two_pieces, "voice: split\n")
    row = stage.clip("anna")
    assert (row.state, row.wait) == (ClipState.WAITING, WaitReason.UNKNOWN)
    (piece,) = stage.ledger.list()
    assert row.planned_fingerprint == piece.fingerprint
    assert stage.tick("dispatch") == []

    stage.ledger.resolve(piece.fingerprint, by="ann", request_id=stage.charges()[0]["request_id"])
    stage.make("dispatch")
    assert stage.clip("anna").state is ClipState.DELIVERED
    assert len(stage.charges()) == 2, "the piece that was found is not paid for again"


def test_a_piece_after_a_surprising_price_waits_for_the_agreement(stage: Any, two_pieces: Path) -> None:
    prices = f"{stage.sandbox.url}/_sandbox/prices"
    stage.web.put(prices, json={"factor": 3}).raise_for_status()
    try:
        talking(stage, two_pieces, "voice: split\n")
    finally:
        stage.web.delete(prices).raise_for_status()
    row = stage.clip("anna")
    assert (row.state, row.wait) == (ClipState.WAITING, WaitReason.PRICE_AGREEMENT)
    assert "Piece 2 of 2" in (stage.note("anna", "WAITING.txt") or "")
    assert stage.tick("dispatch") == []

    stage.ledger.agree_to_prices("sandbox", stage.ledger.list()[0].family, by="ann")
    assert len(stage.tick("dispatch")) == 1


@pytest.mark.usefixtures("poor_scores")
def test_a_reroll_that_is_paid_in_part_is_finished_when_the_budget_allows(stage: Any, two_pieces: Path) -> None:
    stage.set_variable("I2V_SANDBOX_BUDGET_REQUESTS_PER_DAY", "4")  # both takes, and no retry of a piece
    fail_last_piece_of_the_reroll(stage)
    talking(stage, two_pieces, REROLLED)
    assert stage.clip("anna").wait is WaitReason.RETRY
    stage.registry.enqueue(["anna"], count_retry=True)
    stage.make()
    row, paid = stage.clip("anna"), len(stage.charges())
    assert (row.state, row.wait) == (ClipState.WAITING, WaitReason.BUDGET)
    (reroll,) = json.loads(stage.bucket.read("clips/anna/plan.json"))["rerolls"]
    assert row.price_microdollars == reroll["pieces"][1]["quote"]["at_most"], "the first one is paid"
    assert stage.tick("dispatch") == []

    stage.set_variable("I2V_SANDBOX_BUDGET_REQUESTS_PER_DAY", "20")
    stage.make("dispatch")
    assert stage.clip("anna").state is ClipState.DELIVERED
    assert len(stage.charges()) == paid + 1
    made = manifest(stage)
    assert {made["take"], *(other["take"] for other in made["other_takes"])} == {1, 2}


@pytest.mark.usefixtures("poor_scores")
def test_a_reroll_that_the_cap_on_requests_has_no_room_for_is_not_begun(stage: Any, two_pieces: Path) -> None:
    stage.set_variable("I2V_SANDBOX_BUDGET_REQUESTS_PER_DAY", "3")  # the first take, and one piece of the reroll
    talking(stage, two_pieces, REROLLED)
    assert stage.clip("anna").state is ClipState.DELIVERED
    assert len(stage.charges()) == 2


def test_a_voice_of_more_pieces_than_requests_are_left_waits_with_nothing_paid(stage: Any, two_pieces: Path) -> None:
    stage.set_variable("I2V_SANDBOX_BUDGET_REQUESTS_PER_DAY", "1")
    talking(stage, two_pieces, "voice: split\n")
    assert stage.clip("anna").wait is WaitReason.BUDGET
    assert stage.charges() == []
    note = " ".join((stage.note("anna", "WAITING.txt") or "").split())
    assert "Its 2 pieces need 2 requests, and the budget has 1 request left." in note
    assert "Raise I2V_SANDBOX_BUDGET_REQUESTS_PER_DAY." in note
    assert stage.tick("dispatch") == [], "it is not planned again while it cannot fit"
    stage.set_variable("I2V_SANDBOX_BUDGET_REQUESTS_PER_DAY", "2")
    stage.make("dispatch")
    assert stage.clip("anna").state is ClipState.DELIVERED


@pytest.mark.usefixtures("poor_scores")
@pytest.mark.parametrize("by_hand", [False, True], ids=["by itself", "by its command"])
def test_a_piece_of_a_reroll_that_fails_is_tried_again(stage: Any, two_pieces: Path, by_hand: bool) -> None:
    fail_last_piece_of_the_reroll(stage)
    talking(stage, two_pieces, REROLLED)
    row = stage.clip("anna")
    assert (row.state, row.wait) == (ClipState.FAILED, WaitReason.RETRY)
    note = stage.note("anna", "FAILED.txt") or ""
    assert "Take 2, which its score asks for: Piece 2 of 2" in note
    assert "Piece 1 is made and kept." in note
    assert "it is tried again by itself (1 more attempt)" in note
    if by_hand:
        command("retry", "anna")
    else:
        assert to_retry(stage.registry, load_settings()) == ["anna"]
        stage.registry.enqueue(["anna"], count_retry=True)
    stage.make()
    assert stage.clip("anna").state is ClipState.DELIVERED
    assert len(stage.requests()) == 5, "the failed piece alone is sent again"
    made = manifest(stage)
    assert {made["take"], *(other["take"] for other in made["other_takes"])} == {1, 2}


@pytest.mark.usefixtures("poor_scores")
def test_a_reroll_whose_piece_is_not_tried_again_leaves_the_take_that_is_there(stage: Any, two_pieces: Path) -> None:
    stage.set_variable("I2V_RETRIES_PER_CLIP", "0")
    fail_last_piece_of_the_reroll(stage)
    talking(stage, two_pieces, REROLLED)
    assert stage.clip("anna").state is ClipState.DELIVERED
    assert manifest(stage)["take"] == 1
    assert len(stage.requests()) == 4


def test_two_films_share_a_budget_that_has_room_for_one(stage: Any, two_pieces: Path) -> None:
    for number, name in enumerate(("anna", "bert"), start=1):
        stage.upload(f"{name}/brief.yaml", f"{BRIEF}seed: {number}\n")
        stage.upload(f"{name}/voice.wav", two_pieces.read_bytes())
        stage.upload(f"{name}/portrait.png", Path("portrait.png"))
    stage.make()
    price = stage.clip("anna").price_microdollars
    assert stage.clip("bert").price_microdollars == price
    stage.set_variable("I2V_SANDBOX_BUDGET_USD_PER_DAY", str(1.6 * price / 1e6))  # one, and a piece of the other
    command("approve", "anna", "--yes")
    command("approve", "bert", "--yes")
    stage.make("dispatch")
    assert sorted(stage.states().values()) == [ClipState.DELIVERED, ClipState.WAITING]
    (waits,) = [name for name, state in stage.states().items() if state is ClipState.WAITING]
    assert stage.clip(waits).wait is WaitReason.BUDGET
    assert len(stage.charges()) == 2, "nothing of the other one is paid"
    assert stage.tick("dispatch") == []


class TestWatched:
    """The film is drawn in full, with bars that move with the voice: its seams and its lip-sync can be measured."""

    @pytest.fixture
    def sandbox(self, make_sandbox: Callable[..., RunningSandbox]) -> RunningSandbox:
        return make_sandbox(render="full")

    @pytest.mark.timeout(900)  # a minute of video is drawn, joined and watched; both cores are shared with other tests
    def test_sound_and_picture_stay_together_over_the_film(self, stage: Any, tmp_path: Path) -> None:
        talking(stage, SPEECH, "voice: split\n")
        assert stage.clip("anna").state is ClipState.DELIVERED
        made = manifest(stage)
        assert len(made["pieces"]) == 5
        path = tmp_path / "film.mp4"
        stage.bucket.download("clips/anna/video.mp4", path)
        assert seconds_of(path.read_bytes()) == pytest.approx((60.05, 60.05), abs=SYNC)
        frames, bars = watched(path)
        sound = envelope(path)
        for piece in made["pieces"]:
            lag = apart(bars, sound, piece["starts_at"], piece["starts_at"] + piece["seconds"])
            assert abs(lag) <= SYNC, (piece["starts_at"], lag)
        given = envelope(SPEECH)
        shift = max(range(-80, 81), key=lambda ms: float(np.dot(*aligned(given, sound, ms))))
        assert abs(shift) <= 5, "the original sound lies over the whole"
        steps = [float(np.abs(one - other).mean()) for one, other in pairwise(frames)]
        usual = float(np.percentile(steps, 99))
        for piece in made["pieces"][1:]:
            seam = round(piece["starts_at"] * FPS)
            assert max(steps[seam - 2 : seam + 2]) < max(4 * usual, 3.0), piece["starts_at"]


FPS = 24


def watched(path: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Return small pictures of all frames, and how high the bars at the lower edge are in each."""
    frames, bars = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            grey = frame.to_ndarray(format="gray").astype(float)
            frames.append(np.asarray(Image.fromarray(grey.astype(np.uint8)).resize((48, 48)), dtype=float)[:36])
            bars.append(grey[int(grey.shape[0] * 0.8) :].mean())
    return frames, np.array(bars)


def envelope(path: Path) -> np.ndarray:
    """Return the loudness of a sound, a value a millisecond."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
    with av.open(str(path)) as container:
        parts = [
            part.to_ndarray().reshape(-1) for frame in container.decode(audio=0) for part in resampler.resample(frame)
        ]
    samples = np.concatenate(parts)
    power = np.square(samples[: len(samples) // 16 * 16].reshape(-1, 16)).mean(axis=1)
    return np.sqrt(np.convolve(power, np.ones(20) / 20, "same"))


def aligned(one: np.ndarray, other: np.ndarray, ms: int) -> tuple[np.ndarray, np.ndarray]:
    length = min(len(one), len(other)) - 200
    return one[100 : 100 + length], other[100 + ms : 100 + ms + length]


def apart(bars: np.ndarray, sound: np.ndarray, start: float, end: float) -> float:
    """Return by how many seconds the picture is behind the sound within a part of the film."""
    first, last = round(start * FPS) + 2, round(end * FPS) - 2
    seen = np.diff(bars[first:last])
    best, found = -2.0, 0
    for ms in range(-150, 151, 5):
        edges = [min(max(round(number / FPS * 1000) - ms, 0), len(sound) - 1) for number in range(first, last + 1)]
        heard = np.diff([sound[a : max(b, a + 1)].mean() for a, b in pairwise(edges)])
        match = float(np.corrcoef(seen, heard)[0, 1])
        if match > best:
            best, found = match, ms
    assert best > 0.3, f"the bars do not move with the voice ({best:.2f})"
    return found / 1000
