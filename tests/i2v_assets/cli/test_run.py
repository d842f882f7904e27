import json
import shutil
import signal
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from i2v_assets.cli.exit_codes import DataProblem
from i2v_assets.cli.run.safe_fetch import fetch_input
from resources.ledger.records import State
from resources.media.preparation import Preparation
from resources.media.prepare import prepare_file
from resources.schemas.inputs import MediumKind
from resources.storage.keys import slug

SPEECH = Path(__file__).parents[2] / "end_to_end" / "speech-60s.mp3"
PROMPT = '{"prompt": "Slow push in, geometry stable", "resolution": "720p"}'
IDS = ("happyhorse/happyhorse-1-0/image-to-video", "wan-ai/wan-2-7/text-to-video", "bytedance/seedance-2.0/pro")


def test_a_file_becomes_a_video_in_the_folder_and_is_paid_for_once(world):
    image = world.image()
    before = world.operator.charges
    arguments = ("run", "animate", "--image", str(image), "--input", PROMPT, "--output-dir", "out", "--json")
    first = world(*arguments)
    assert first.code == 0, first.err
    told = first.json
    assert told["status"] == "succeeded"
    assert told["paid_now"] is True
    assert Path(told["file"]).stat().st_size == told["size_bytes"]
    assert world.bucket.head(told["key"])
    assert "$1.00 of play money" in first.err
    shutil.rmtree("out")
    again = world(*arguments)
    assert again.code == 0
    assert again.json["paid_now"] is False
    assert Path(again.json["file"]).exists()
    assert world.operator.charges == before + 1
    assert "nothing is paid again" in again.err


def test_the_services_names_and_the_projects_names_are_one_generation(world):
    image = world.image()
    wire = {"prompt": "Slow push in", "resolution": "720P", "seed": 0, "watermark": False}
    first = world("run", IDS[0], "--image", str(image), "--input", json.dumps(wire), "--output", "json")
    assert first.code == 0, first.err
    assert "seed 0" in first.err
    plain = {"prompt": "Slow push in", "resolution": "720p", "route": "animate"}
    Path("input.json").write_text(json.dumps(plain))
    second = world("run", "animate", "--image", str(image), "--input-file", "input.json", "--json")
    assert second.json["fingerprint"] == first.json["fingerprint"]
    assert second.json["paid_now"] is False


def test_a_named_id_is_the_one_that_is_asked(world, samples):
    image = world.image()
    asked = '{"prompt": "The subject from image 1 turns", "resolution": "1080p", "duration": 4}'
    ran = world("run", IDS[2], "--image", str(image), "--input", asked, "--json")
    assert ran.code == 0, ran.err
    assert world.operator.requests[-1]["model_id"] == IDS[2]  # the documented id has no 1080p
    assert world.operator.requests[-1]["body"]["images"]


def test_the_three_routes(world, samples):
    voice = str(samples / "voiceover-en.mp3")
    small = '{"prompt": "Close-up of a presenter who speaks", "duration": 4, "resolution": "720p"}'
    for arguments in (
        ("lip_sync", "--image", str(world.image("face.png")), "--audio", voice, "--input", small),
        (IDS[1], "--audio", voice, "--input", small),
        ("multi-modal", "--image", str(world.image("a.png")), "--image", str(world.image("b.png")), "--input", small),
    ):
        ran = world("run", *arguments, "--no-download", "--json")
        assert ran.code == 0, ran.err
        assert ran.json["file"] is None
        assert world.bucket.head(ran.json["key"])


def test_a_voice_that_one_request_would_cut_is_not_paid_for(world):
    voice = Path("voice.wav")
    long = Preparation(kind=MediumKind.AUDIO, reasons=(), max_bytes=2_000_000, span_ms=(0, 18_000))
    prepare_file(SPEECH, voice, long, "the speech")
    face, before = str(world.image("face.png")), world.operator.charges
    asked = {"prompt": "The person speaks calmly to the camera", "resolution": "720p"}
    for voice_key in ({}, {"voice": "split"}):
        ran = world("run", "lip_sync", "--image", face, "--audio", str(voice), "--input", json.dumps(asked | voice_key))
        assert ran.code == 65, ran.err
        assert "The voice has 18.0 s" in ran.err
        assert "`voice: split`" in ran.err
        assert '"voice": "cut"' in ran.err
    assert world.operator.charges == before
    cut = json.dumps(asked | {"voice": "cut"})
    ran = world("run", "lip_sync", "--image", face, "--audio", str(voice), "--input", cut, "--no-download")
    assert ran.code == 0, ran.err
    assert world.operator.charges == before + 1


def test_no_wait_submits_and_the_next_run_fetches(world):
    image = world.image()
    arguments = ("run", "animate", "--image", str(image), "--input", PROMPT, "--output-dir", "out")
    before = world.operator.charges
    world.operator.fault("result", "http_503", times=1000)  # it cannot be seen to end before the wait does
    first = world(*arguments, "--no-wait")
    world.operator.reset()
    assert first.code == 0, first.err
    request_id = first.out.strip()
    assert request_id in {item["request_id"] for item in world.operator.requests}
    assert not list(Path().glob("out/*.mp4"))
    with world.session() as (ledger, _):
        assert [row.state for row in ledger.list()] == [State.SUBMITTED]
    second = world(*arguments)
    assert second.code == 0, second.err
    assert Path(second.out.strip()).exists()
    assert world.operator.charges == before + 1


def test_no_wait_saves_what_is_there_already(world):
    arguments = ("run", "animate", "--image", str(world.image()), "--input", PROMPT)
    assert world(*arguments, "--output-dir", "out").code == 0
    before = world.operator.charges
    again = world(*arguments, "--output-dir", "elsewhere/deep", "--no-wait")
    assert again.code == 0, again.err
    assert Path(again.out.strip()).parent == Path("elsewhere/deep")
    assert world.operator.charges == before


class Files(BaseHTTPRequestHandler):
    """Serves one image, and redirects to where nobody may go."""

    data = b""
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.startswith("/inside"):
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/latest/meta-data")
            self.end_headers()
            return
        short = self.path.startswith("/short")
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.data) * (2 if short else 1)))
        self.end_headers()
        self.wfile.write(self.data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def files(world):
    Files.data, Files.asked = world.image("web.jpg").read_bytes(), []
    server = HTTPServer(("127.0.0.1", 0), Files)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_address_is_fetched_once_and_stored_by_its_hash(world, files):
    asked = json.dumps({"image_url": f"{files}/web.jpg?token=secret", "prompt": "Slow push in"})
    ran = world("run", "animate", "--input", asked, "--no-download", "--json")
    assert ran.code == 0, ran.err
    assert Files.asked == ["/web.jpg?token=secret"]
    (stored,) = (info.key for info in world.bucket.list("inputs/"))
    assert world.bucket.read(stored) == Files.data
    assert "secret" not in ran.out + ran.err
    assert files not in str(world.operator.requests[-1]["body"])  # the service gets the bucket's address


@pytest.mark.parametrize(
    ("address", "code", "words"),
    [
        ("http://93.184.216.34/a.jpg", 65, "https"),
        ("https://10.0.0.1/a.jpg", 65, "inside a network"),
        ("https://[fd00::1]/a.jpg", 65, "inside a network"),
        ("https://[::ffff:169.254.169.254]/a.jpg", 65, "inside a network"),
        ("https://[64:ff9b::a00:1]/a.jpg", 65, "inside a network"),
        ("https://[2002:a00:1::]/a.jpg", 65, "inside a network"),
        ("https://user@93.184.216.34/a.jpg", 65, "user name"),
        ("ftp://93.184.216.34/a.jpg", 65, "ftp"),
        ("file:///etc/passwd", 65, "no host"),
        ("https://nobody.invalid/a.jpg", 75, "resolved"),
    ],
)
def test_addresses_that_are_not_fetched(world, address, code, words):
    before = world.operator.charges
    ran = world("run", "animate", "--input", json.dumps({"image_url": address, "prompt": "x"}))
    assert ran.code == code, ran.err
    assert words in ran.err
    assert world.operator.charges == before


def test_every_address_of_a_name_is_judged(tmp_path):
    for found in (["93.184.216.34", "10.0.0.1"], ["127.0.0.1"], ["fe80::1%eth0"], ["169.254.169.254"]):
        with pytest.raises(DataProblem, match="inside a network"):
            fetch_input(
                "https://files.example/a.jpg", tmp_path / "a", "runcomfy", resolver=lambda *_, found=found: found
            )
    with pytest.raises(DataProblem, match="over http"):
        fetch_input("http://127.0.0.1/a.jpg", tmp_path / "a", "runcomfy")
    assert not (tmp_path / "a").exists()


def test_too_much_is_not_stored(world, files, monkeypatch):
    with pytest.raises(DataProblem, match="more than 0 MiB"):
        fetch_input(f"{files}/web.jpg", Path("fetched"), "sandbox", max_bytes=100)


def test_redirects_are_judged_and_halves_are_noticed(world, files):
    ran = world("run", "animate", "--input", json.dumps({"image_url": f"{files}/inside", "prompt": "x"}))
    assert ran.code == 65
    assert "inside a network" in ran.err
    ran = world("run", "animate", "--input", json.dumps({"image_url": f"{files}/short", "prompt": "x"}))
    assert ran.code == 75
    assert not list(world.bucket.list("inputs/"))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("nope/other/model",), 64, "happyhorse/happyhorse-1-0/image-to-video"),
        (("animate", "--image", "missing.jpg"), 66, "missing.jpg"),
        (("animate", "--input", "{}", "--input-file", "x.json"), 64, "not both"),
        (("animate", "--input-file", "nowhere.json"), 66, "nowhere.json"),
        (("animate", "--surprise"), 64, "surprise"),
        (("animate", "--input", "{nope"), 65, "the input"),
        (("animate", "--input", '{"promt": "x"}'), 65, "prompt"),
        (("animate", "--input", '{"takes": 3}'), 65, "seed"),
        (("animate", "--input", '{"prompt": "a\\ud800b"}'), 65, "U+D800"),
        (("animate", "--input", '{"\\ud800": 5}'), 65, "U+D800"),
        (("animate", "--input", '{"\\ud800": 5, "\\ud800": 6}'), 65, "twice"),
        (("animate", "--input", "[1]"), 65, "between braces"),
        (("animate", "--input", '{"prompt": "x"}'), 65, "--image FILE"),
        (("lip_sync", "--image", "IMAGE"), 65, "--audio FILE"),
        (("multi_modal", "--input", '{"prompt": "x"}'), 65, "--image, --audio and --video FILE"),
        (("animate", "--input", '{"image_url": "/etc/passwd"}'), 65, "--image FILE"),
        (("animate", "--input", '{"route": "lip_sync"}'), 65, "animate is to be run"),
        (("animate", "--image", "IMAGE", "--input", '{"prompt": "x", "duration": 99}'), 65, "3 to 15"),
        (("animate", "--image", "TINY", "--input", '{"prompt": "x"}'), 65, "300"),
        (("animate", "--image", "BROKEN"), 65, "not an image"),
        (("animate", "--audio", "IMAGE"), 65, "--image"),
        (("wan-ai/wan-2-7/text-to-video", "--image", "IMAGE"), 65, "takes no image"),
        (("animate", "--image", "IMAGE", "--output-dir", "taken/x"), 64, "taken"),
    ],
)
def test_bad_arguments_and_inputs_cost_nothing(world, arguments, code, words):
    world.image("IMAGE.jpg").rename("IMAGE")
    world.image("TINY.jpg", size=(60, 60)).rename("TINY")
    Path("BROKEN").write_bytes(b"not an image at all, not even close")
    Path("taken").write_text("a file")
    before = world.operator.charges
    ran = world("run", *arguments)
    assert ran.code == code, ran.err
    said = " ".join(ran.err.split())
    assert words in said
    assert "pload" not in said, "nothing is uploaded here"
    assert ran.out == ""
    assert world.operator.charges == before


@pytest.mark.parametrize(
    ("fault", "code", "paid", "words"),
    [
        ({"where": "submit", "kind": "http_401", "times": 9}, 77, 0, "i2v login"),
        ({"where": "models", "kind": "http_401", "times": 99}, 77, 0, "i2v login"),
        ({"where": "submit", "kind": "http_402", "times": 9}, 75, 0, "Top up"),
        ({"where": "submit", "kind": "http_422", "times": 9}, 65, 0, "422"),
        ({"where": "submit", "kind": "failed_result", "message": "The GPU caught fire"}, 1, 1, "--retry"),
        ({"where": "submit", "kind": "failed_result", "message": "Rejected by the content policy"}, 1, 1, "content"),
        ({"where": "submit", "kind": "disconnect_after"}, 75, 1, "i2v ledger resolve"),
        ({"where": "submit", "kind": "http_500"}, 75, 0, "i2v ledger resolve"),
        ({"where": "models", "kind": "http_503", "times": 99}, 69, 0, "503"),
        ({"where": "models", "kind": "http_429", "times": 99, "retry_after": 60}, 75, 0, "429"),
        ({"where": "submit", "kind": "hostile_url", "url": "https://evil.invalid/x.mp4"}, 75, 1, "Nothing was fetched"),
    ],
)  # fmt: skip
def test_exit_codes_by_what_really_fails(world, fault, code, paid, words):
    image = world.image()
    before = world.operator.charges
    world.operator.fault(**fault)
    arguments = ("run", "animate", "--image", str(image), "--input", PROMPT, "--json")
    ran = world(*arguments)
    assert ran.code == code, ran.err
    assert words in ran.err
    assert world.operator.charges == before + paid
    assert not list(Path().glob("*.mp4"))
    again = world(*arguments)  # the fault is over for some, but nothing is paid twice
    assert world.operator.charges <= before + 1, again.err


def test_a_failed_generation_is_tried_again_only_when_asked(world):
    image = world.image()
    before = world.operator.charges
    world.operator.fault("submit", "failed_result", message="The GPU caught fire")
    arguments = ("run", "animate", "--image", str(image), "--input", PROMPT)
    assert world(*arguments).code == 1
    again = world(*arguments)
    assert again.code == 1
    assert "The GPU caught fire" in again.err
    assert world.operator.charges == before + 1
    assert world(*arguments, "--retry").code == 0
    assert world.operator.charges == before + 2


def test_a_failed_poll_does_not_end_the_wait(world):
    world.operator.fault("result", "http_500", times=2)
    world.operator.fault("result", "garbage")
    ran = world("run", "animate", "--image", str(world.image()), "--input", PROMPT)
    assert ran.code == 0, ran.err


def test_the_budget_holds_it(world, monkeypatch):
    monkeypatch.setenv("I2V_SANDBOX_BUDGET_USD_PER_DAY", "0.5")
    before = world.operator.charges
    ran = world("run", "animate", "--image", str(world.image()), "--input", PROMPT, "--json")
    assert ran.code == 75
    assert ran.json["status"] == "held (budget)"
    assert world.operator.charges == before


def test_a_changed_price_waits_for_an_agreement(world):
    assert world("models").code == 0  # the first sight agrees
    world.operator.entry(IDS[0], {"base_price_usd": 9.0})
    arguments = ("run", "animate", "--image", str(world.image()), "--input", PROMPT)
    ran = world(*arguments)
    assert ran.code == 75
    assert "i2v models --accept happyhorse-1.0/image-to-video" in ran.err
    assert world("models", "--accept", "happyhorse-1.0/image-to-video").code == 0
    ran = world(*arguments)
    assert ran.code == 0, ran.err
    assert "$45.00" in ran.err


def test_a_price_that_rises_after_it_was_shown_is_not_paid(world, monkeypatch):
    from i2v_assets.cli.run import command

    def announced(plan, settings, tell=command._announce):
        tell(plan, settings)
        world.operator.entry(IDS[0], {"base_price_usd": 9.0})

    monkeypatch.setattr(command, "_announce", announced)
    before = world.operator.charges
    ran = world("run", "animate", "--image", str(world.image()), "--input", PROMPT, "--json")
    assert ran.code == 75
    assert ran.json["status"] == "held (price_changed)"
    assert "It costs $45.00 now, and cost $1.00" in ran.err
    assert world.operator.charges == before


def test_an_id_that_does_not_answer(world):
    world.operator.switch(documented_ids=False)
    ran = world("run", IDS[0], "--image", str(world.image()), "--input", PROMPT)
    assert ran.code == 64
    assert "i2v models" in ran.err
    assert world("run", "animate", "--image", str(world.image()), "--input", PROMPT).code == 0


def test_the_id_that_keeps_the_face_does_not_answer(world, samples):
    world.operator.switch(missing_models=["wan-ai/wan-2.7/image-to-video"])
    voice, face = str(samples / "voiceover-en.mp3"), str(world.image("face.png"))
    asked = '{"prompt": "Close-up of a presenter who speaks", "duration": 4}'
    ran = world("run", "wan-ai/wan-2.7/image-to-video", "--image", face, "--audio", voice, "--input", asked)
    assert ran.code == 64, ran.err
    assert "The service has no wan-ai/wan-2.7/image-to-video now." in ran.err
    assert world("run", "lip_sync", "--image", face, "--audio", voice, "--input", asked).code == 75


def test_too_many_requests_are_waited_out_for_a_while_with_the_reason(world, monkeypatch):
    monkeypatch.setattr("i2v_assets.cli.run.progress.PACE_SECONDS", 0.5)
    image = world.image()
    before = world.operator.charges
    world.operator.fault("submit", "http_429", times=99, retry_after=60)
    arguments = ("run", "animate", "--image", str(image), "--input", PROMPT, "--json")
    ran = world(*arguments)
    assert ran.code == 75, ran.err
    assert "not sent yet: " in ran.err
    assert "429" in ran.err
    assert ran.json["status"] == "held (service)"
    assert "takes no more requests now" in ran.json["reason"]
    assert world.operator.charges == before
    with world.session() as (ledger, _):
        assert [row.state for row in ledger.list()] == [State.PLANNED]


def test_a_clip_called_cli_is_not_every_run(world):
    arguments = ("run", "animate", "--image", str(world.image()), "--input", PROMPT, "--no-download", "--json")
    assert world(*arguments).code == 0
    world.upload("cli/image.jpg", world.image().read_bytes())
    world.upload("cli/brief.yaml", b"prompt: Slow push in\n")
    world.admit()
    assert world("status", "cli", "--json").json["requests"] == []
    with world.session() as (ledger, _):
        (row,) = ledger.list()
    assert slug(row.clip) != row.clip, "no upload can be called so"
    assert world("ledger", "list", "--clip", row.clip, "--json").json[0]["fingerprint"] == row.fingerprint


def test_the_bucket_is_down_or_missing(world, monkeypatch):
    image = world.image()
    monkeypatch.setenv("I2V_BUCKET", "nobody-made-this")
    assert world("run", "animate", "--image", str(image), "--input", PROMPT).code == 64
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setattr("resources.storage.client._ATTEMPTS", 1)
    ran = world("run", "animate", "--image", str(image), "--input", PROMPT)
    assert ran.code == 69
    assert "AWS_ENDPOINT_URL_S3" in ran.err


def test_nobody_is_signed_in(world, monkeypatch):
    monkeypatch.delenv("RUNCOMFY_TOKEN")
    ran = world("run", "animate", "--image", str(world.image()), "--input", PROMPT)
    assert ran.code == 77
    assert "i2v login" in ran.err


def _until(process, words: str) -> str:
    said = ""
    while words not in said:
        line = process.stderr.readline()
        assert line, f"it ended first: {said}"
        said += line
    return said


def test_ctrl_c_cancels_what_queues_and_says_so(world):
    image = world.image()
    world.operator.fault("submit", "stuck_in_queue")
    arguments = ("run", "animate", "--image", str(image), "--input", PROMPT, "--json")
    process = world.start(*arguments)
    _until(process, "submitted")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    told = json.loads(out)
    assert told["status"] == "cancelled"
    assert "Cancelled at the service" in err
    assert world.operator.requests[-1]["state"] == "cancelled"
    again = world(*arguments)
    assert again.code == 0, again.err
    assert again.json["paid_now"] is True  # the first one was given back


def test_ctrl_c_on_what_runs_says_that_it_runs_on(world):
    image = world.image()
    world.operator.fault("submit", "stuck")
    process = world.start("run", "animate", "--image", str(image), "--input", PROMPT, "--json")
    _until(process, "running")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert json.loads(out)["status"] == "stopped"
    assert "may be charged" in err
    with world.session() as (ledger, _):
        assert [row.state for row in ledger.list()] == [State.SUBMITTED]


def test_sigterm_leaves_the_request_running(world):
    image = world.image()
    world.operator.fault("submit", "stuck_in_queue")
    process = world.start("run", "animate", "--image", str(image), "--input", PROMPT, "--json")
    _until(process, "submitted")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 75, err
    assert world.operator.requests[-1]["state"] == "in_queue"
    assert "runs on at the service" in err
    assert "Run it again" in err
    assert "adopt_orphans" not in err


def test_an_early_ctrl_c_says_that_nothing_was_sent(world):
    asked, over = threading.Event(), threading.Event()

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.set()
            over.wait(60)

    server = HTTPServer(("127.0.0.1", 0), Slow)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    before = world.operator.charges
    try:
        wanted = json.dumps({"image_url": f"http://127.0.0.1:{server.server_port}/a.jpg", "prompt": "x"})
        process = world.start("run", "animate", "--input", wanted)
        assert asked.wait(60)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()
    assert process.returncode == 130, err
    assert err == "Stopped; nothing was sent.\n"
    assert world.operator.charges == before


def test_the_help_knows_the_ledgers_states(world, monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")  # the list of states is not folded
    shown = "".join(world("ledger", "list", "--help").out.replace("│", "").split())
    for state in State:
        assert state.value in shown
