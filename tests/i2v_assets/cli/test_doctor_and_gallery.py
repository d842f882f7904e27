import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from PIL import Image

from resources.storage.bucket import Bucket

ID = "happyhorse/happyhorse-1-0/image-to-video"


def wait_for(condition, seconds=120):
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(0.05)


def wrong(ran):
    return {check["name"]: check for check in ran.json["checks"] if not check["ok"]}


def test_all_is_well(world):
    ran = world("doctor")
    assert ran.code == 0, ran.out
    for name in (
        "token",
        "bucket",
        "presigned address",
        "ledger",
        "catalogue, animate",
        "clock, service",
        "media libraries",
    ):
        assert f"ok    {name}: " in ran.out
    assert not list(world.bucket.list("inputs/"))


def test_no_token(world, monkeypatch):
    monkeypatch.delenv("RUNCOMFY_TOKEN")
    ran = world("doctor", "--json")
    assert ran.code == 77
    assert "i2v login" in wrong(ran)["token"]["remedy"]


def test_no_balance_and_no_service(world):
    world.operator.balance(0)
    assert world("doctor").code == 1
    world.operator.reset()
    world.operator.fault("models", "http_503", times=99)
    world.operator.fault("balance", "http_503", times=99)
    ran = world("doctor", "--json")
    assert ran.code == 69
    assert {"token", "catalogue"} <= set(wrong(ran))


def test_the_bucket_is_missing_or_down(world, monkeypatch):
    monkeypatch.setenv("I2V_BUCKET", "nobody-made-this")
    ran = world("doctor", "--json")
    assert ran.code == 64
    assert "does not exist" in wrong(ran)["bucket"]["words"]
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setattr("resources.storage.client._ATTEMPTS", 1)
    ran = world("doctor", "--json")
    assert ran.code == 69
    assert "presigned" not in str(wrong(ran))  # one cause, one line


def test_a_presigned_address_that_cannot_be_reached(world, monkeypatch):
    real = Bucket.presign_get

    def elsewhere(self, key, seconds, version_id=""):
        url = real(self, key, seconds).get_secret_value()
        return type(real(self, key, seconds))(url.replace("http://127.0.0.1", "https://10.0.0.1"))

    monkeypatch.setattr(Bucket, "presign_get", elsewhere)
    ran = world("doctor", "--json")
    assert "internet" in wrong(ran)["presigned address"]["remedy"]
    assert "X-Amz" not in ran.out


def test_the_ledger_cannot_be_written(world, monkeypatch):
    monkeypatch.setenv("I2V_LEDGER_URL", "postgresql+psycopg://nobody@127.0.0.1:9/nothing")
    ran = world("doctor", "--json")
    assert ran.code == 69
    assert "ledger" in wrong(ran)


def test_unknown_outcomes_are_told(world):
    world.operator.fault("submit", "disconnect_after")
    world("run", "animate", "--image", str(world.image()), "--input", '{"prompt": "x"}')
    ran = world("doctor", "--json")
    assert ran.code == 75
    assert "i2v ledger" in wrong(ran)["requests"]["remedy"]


def test_the_catalogue_has_changed(world):
    world("doctor")
    world.operator.entry(ID, {"base_price_usd": 0.5})
    ran = world("doctor", "--json")
    assert ran.code == 75
    assert "--accept" in wrong(ran)["catalogue, animate"]["remedy"]


def test_a_wrong_clock(world, monkeypatch):
    real = Bucket.now
    monkeypatch.setattr(Bucket, "now", lambda self: real(self) - timedelta(minutes=5))
    ran = world("doctor", "--json")
    assert ran.code == 64
    assert "ahead" in wrong(ran)["clock, storage"]["words"]


def test_session_credentials_that_end_too_soon(world, monkeypatch):
    from resources.storage.client import datetime

    ends = datetime.now().astimezone() + timedelta(minutes=10)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", ends.isoformat())
    ran = world("doctor", "--json")
    assert ran.code == 64
    assert "I2V_PRESIGN_SECONDS" in wrong(ran)["S3 credentials"]["remedy"]


def test_a_full_disk(world, monkeypatch):
    monkeypatch.setattr("i2v_assets.cli.doctor.FREE_BYTES", 2**80)
    ran = world("doctor", "--json")
    assert ran.code == 1
    assert set(wrong(ran)) == {"data folder", "scratch folder"}


def test_codecs_that_are_missing(world, monkeypatch):
    monkeypatch.setattr("resources.media.libraries.NEEDED", (("no-such-codec", "w"),))
    ran = world("doctor", "--json")
    assert ran.code == 1
    assert "no-such-codec (encoder)" in wrong(ran)["media libraries"]["words"]


def test_the_gallery_of_a_private_bucket(world):
    assert world("gallery").code == 75
    world.bucket.write("gallery/index.html", b"<!doctype html><title>Gallery</title>", "text/html")
    world.bucket.write("clips/hero/video.mp4", bytes(range(100)), "video/mp4")
    process = world.start("gallery")
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.endswith("/gallery/index.html")
        assert process.stderr is not None
        with httpx.Client(transport=httpx.HTTPTransport(verify=False)) as browser:  # plain http to this machine
            wait_for(lambda: _answers(browser, url))
            page = browser.get(url)
            part = browser.get(
                url.replace("gallery/index.html", "clips/hero/video.mp4"), headers={"Range": "bytes=10-19"}
            )
            uploads = browser.get(url.replace("gallery/index.html", "uploads/x"))
        assert "Gallery" in page.text
        assert part.status_code == 206
        assert part.content == bytes(range(10, 20))
        assert uploads.status_code == 404
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "Stopped." in err


def _answers(browser: httpx.Client, url: str) -> bool:
    try:
        return browser.get(url).status_code == 200
    except httpx.ConnectError:
        return False


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_there(world, shell, monkeypatch):
    monkeypatch.setenv("_I2V_COMPLETE", f"source_{shell}")
    ran = world.process()
    assert ran.code == 0
    assert "i2v" in ran.out


def test_help_is_light_and_has_examples(world):
    code = (
        "import sys; sys.argv = ['i2v', '--help']\n"
        "from i2v_assets.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'dagster', 'boto3', 'httpx', 'sqlalchemy', 'av', 'PIL', 'cv2', 'numpy', 'aiohttp', 'starlette'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for command in ("run", "plan", "approve", "status", "fetch", "cancel", "retry", "retake", "choose", "verify", "login",
                    "logout", "whoami", "balance", "models", "ledger", "doctor", "gallery", "upload", "settings"):  # fmt: skip
        assert f" {command} " in done.stdout


@pytest.mark.parametrize("command", ["run", "plan", "approve", "status", "fetch", "cancel", "retry", "retake", "choose",
                                     "verify", "login", "models", "doctor", "gallery"])  # fmt: skip
def test_every_help_text_has_an_example(world, command):
    assert f"i2v {command}" in world(command, "--help").out or command in {"doctor"}


def test_no_colour_in_pipes_and_results_alone_on_stdout(world, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    ran = world.process("doctor")
    assert "\x1b[3" not in ran.out
    assert world.process("status", "--json").json == {"counts": {}, "clips": [], "refused_uploads": [], "paused": None}


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://ann:hunter2@host/db", "postgresql+psycopg://ann:hunter2/db", "postgresql://:hunter2"]
)
def test_settings_show_no_password_of_a_ledger_url_be_it_wrong_or_right(world, monkeypatch, url):
    monkeypatch.setenv("I2V_LEDGER_URL", url)
    ran = world("settings", "--json")
    assert ran.code == 0
    assert "********" in ran.out
    assert "hunter2" not in ran.out


def test_what_is_asked_again_by_itself_is_not_told(world):
    world.operator.fault("balance", "http_503", times=99)
    ran = world.process("balance")
    assert ran.code == 69
    assert "503" in ran.err
    assert "stamina" not in ran.err
    assert "retry" not in ran.err


def test_a_command_that_fails_early_answers_a_program_too(world):
    for arguments, code in ((("status", "nobody", "--json"), 64), (("run", "animate", "--output", "json"), 65)):
        ran = world(*arguments)
        assert ran.code == code
        assert set(ran.json) == {"error", "remedy", "code"}
        assert ran.json["code"] == code
        assert ran.json["error"] in " ".join(ran.err.split())
    assert world("status", "nobody").out == ""


def test_an_output_without_the_letters_shows_their_numbers(world, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    world.upload("café/image.jpg", world.image().read_bytes())
    world.upload("café/brief.yaml", "prompt: Push in on the 猫\n".encode())
    world.admit()
    for arguments in (("status", "cafe"), ("status", "cafe", "--json"), ("plan",)):
        ran = world.process(*arguments)
        assert ran.code == 0, ran.err
        assert ran.out.isascii()
    assert "\\u732b" in world.process("status", "cafe").out
    assert world.process("status", "naïve", "--json").code == 64


def test_an_export_that_cannot_be_written(world):
    ran = world("ledger", "export", "/nope/x")
    assert ran.code == 64
    assert "/nope/x cannot be written" in ran.err


def test_an_upload_says_what_is_not_sent_as_it_is(world, tmp_path):
    Image.new("RGB", (640, 480), "teal").save(tmp_path / "cup.gif")
    Image.new("RGB", (640, 480), "teal").save(tmp_path / "mug.jpg")
    ran = world("upload", str(tmp_path / "cup.gif"), str(tmp_path / "mug.jpg"))
    said = " ".join(ran.err.split())
    assert ran.code == 0
    assert "prepared cup.gif: It is a GIF image: it will be sent as a JPEG or PNG." in said
    assert "mug.jpg: It " not in said


def test_two_files_under_one_key_are_not_uploaded(world):
    for name in ("a", "b"):
        Path(name).mkdir()
        world.image(f"{name}/x.jpg")
    ran = world("upload", "a/x.jpg", "b/x.jpg", "a/x.jpg")
    assert ran.code == 64
    said = " ".join(ran.err.split())
    assert "a/x.jpg and b/x.jpg would both become uploads/x.jpg" in said
    assert list(world.bucket.list("uploads/")) == []
    assert world("upload", "a/x.jpg", "a/x.jpg").code == 0
    assert world("upload", "a", "b").code == 0
