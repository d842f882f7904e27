"""Where the token comes from, how it is kept, and the device login."""

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from resources.errors import Verdict
from resources.runcomfy.credentials import delete_token, load_token, require_token, token_path, write_token
from resources.runcomfy.errors import LoginFailed, MissingToken, TokenMalformed
from resources.runcomfy.login import DeviceLogin, LoginPrompt, login
from resources.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("RUNCOMFY_TOKEN", "RUNCOMFY_API_TOKEN", "RUNCOMFY_API_KEY", "RUNCOMFY_CONFIG_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def make(**variables: str) -> Settings:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return Settings()

    return make


def test_the_environment_wins_over_the_file_and_is_trimmed(settings: Any, tmp_path: Path) -> None:
    write_token(settings(RUNCOMFY_CONFIG_DIR=str(tmp_path)), SecretStr("from-file"))
    token = load_token(settings(RUNCOMFY_TOKEN="  from-env\n"))
    assert token is not None
    assert token.get_secret_value() == "from-env"
    blank = load_token(settings(RUNCOMFY_TOKEN="  "))
    assert blank is not None
    assert blank.get_secret_value() == "from-file"


@pytest.mark.parametrize(
    ("variables", "token"),
    [
        ({"RUNCOMFY_API_KEY": "third"}, "third"),
        ({"RUNCOMFY_API_KEY": "third", "RUNCOMFY_API_TOKEN": " second\n"}, "second"),
        ({"RUNCOMFY_API_KEY": "third", "RUNCOMFY_API_TOKEN": "second", "RUNCOMFY_TOKEN": "first"}, "first"),
        ({"RUNCOMFY_API_KEY": "third", "RUNCOMFY_API_TOKEN": "  ", "RUNCOMFY_TOKEN": "  "}, "third"),
        ({"RUNCOMFY_API_KEY": " ", "RUNCOMFY_API_TOKEN": "", "RUNCOMFY_TOKEN": ""}, "from-file"),
    ],
)
def test_the_names_of_the_token_are_read_in_their_order_before_the_file(
    settings: Any, tmp_path: Path, variables: dict[str, str], token: str
) -> None:
    write_token(settings(RUNCOMFY_CONFIG_DIR=str(tmp_path)), SecretStr("from-file"))
    found = load_token(settings(**variables))
    assert found is not None
    assert found.get_secret_value() == token


def test_a_malformed_token_is_told_with_the_name_that_holds_it(settings: Any) -> None:
    with pytest.raises(TokenMalformed, match="RUNCOMFY_API_KEY"):
        load_token(settings(RUNCOMFY_API_KEY="two words"))


def test_the_files_place_follows_the_vendors_order(settings: Any, tmp_path: Path) -> None:
    assert token_path(settings()) == tmp_path / "home" / ".config" / "runcomfy" / "token.json"
    assert token_path(settings(XDG_CONFIG_HOME="relative")) == tmp_path / "home" / ".config" / "runcomfy" / "token.json"
    assert token_path(settings(XDG_CONFIG_HOME=str(tmp_path / "x"))) == tmp_path / "x" / "runcomfy" / "token.json"
    assert token_path(settings(RUNCOMFY_CONFIG_DIR=str(tmp_path / "r"))) == tmp_path / "r" / "token.json"


def test_a_kept_token_is_readable_for_its_owner_alone_and_in_the_vendors_shape(settings: Any, tmp_path: Path) -> None:
    place = settings(RUNCOMFY_CONFIG_DIR=str(tmp_path / "deep" / "r"))
    path = write_token(place, SecretStr("t-1"), user_email="a@b.example")
    write_token(place, SecretStr("t-2"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert json.loads(path.read_text()) == {
        "access_token": "t-2",
        "refresh_token": None,
        "expires_at": None,
        "user_email": None,
    }
    assert [part.name for part in path.parent.iterdir()] == ["token.json"]
    assert require_token(place).get_secret_value() == "t-2"


def test_a_folder_that_was_there_stays_as_it_was(settings: Any, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    path = write_token(settings(RUNCOMFY_CONFIG_DIR=str(shared)), SecretStr("t-1"))
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_empty_folder_variable_is_none(settings: Any, tmp_path: Path) -> None:
    assert token_path(settings(RUNCOMFY_CONFIG_DIR="")) == tmp_path / "home" / ".config" / "runcomfy" / "token.json"


def test_a_failed_write_keeps_the_old_token_and_leaves_nothing(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = settings(RUNCOMFY_CONFIG_DIR=str(tmp_path / "r"))
    write_token(place, SecretStr("old"))

    def broken(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(OSError, match="no space"):
        write_token(place, SecretStr("new"))
    assert require_token(place).get_secret_value() == "old"
    assert len(list((tmp_path / "r").iterdir())) == 1


def test_a_forgotten_token_is_gone(settings: Any, tmp_path: Path) -> None:
    place = settings(RUNCOMFY_CONFIG_DIR=str(tmp_path))
    write_token(place, SecretStr("t"))
    assert (delete_token(place), delete_token(place)) == (True, False)
    assert load_token(place) is None


def test_without_a_token_the_error_says_how_to_get_one(settings: Any, tmp_path: Path) -> None:
    with pytest.raises(MissingToken) as caught:
        require_token(settings(RUNCOMFY_CONFIG_DIR=str(tmp_path)))
    assert "i2v login" in caught.value.remedy
    assert "RUNCOMFY_TOKEN" in caught.value.remedy
    assert caught.value.verdict is Verdict.FINAL


@pytest.mark.parametrize("token", ["a b", "a\tb", "a\nb", "tökén", "a\x00b", "a\x7fb", "x\u00a0y", "中"])
def test_a_token_that_cannot_be_one_is_refused_and_not_repeated(settings: Any, tmp_path: Path, token: str) -> None:
    if "\x00" not in token:
        with pytest.raises(TokenMalformed) as caught:
            load_token(settings(RUNCOMFY_TOKEN=token))
        assert token not in str(caught.value)
    with pytest.raises(TokenMalformed):
        write_token(settings(RUNCOMFY_CONFIG_DIR=str(tmp_path), RUNCOMFY_TOKEN=""), SecretStr(token))


@pytest.mark.parametrize(
    ("content", "outcome"),
    [('{"access_token": "t"}', "t"), ('{"access_token": " t\\n", "more": 1}', "t"), ('{"access_token": null}', None), ("{}", None), ("[]", None)],
)  # fmt: skip
def test_a_token_file_needs_its_access_token_alone(
    settings: Any, tmp_path: Path, content: str, outcome: str | None
) -> None:
    (tmp_path / "token.json").write_text(content)
    token = load_token(settings(RUNCOMFY_CONFIG_DIR=str(tmp_path)))
    assert (token.get_secret_value() if token else None) == outcome


@pytest.mark.parametrize(
    "content", ["", "{", '{"access_token": 3}', '{"access_token": ""}', '{"access_token": "a b"}', "\x00"]
)
def test_a_broken_token_file_is_named_and_not_passed_over(settings: Any, tmp_path: Path, content: str) -> None:
    (tmp_path / "token.json").write_text(content)
    with pytest.raises(TokenMalformed, match=r"token\.json"):
        load_token(settings(RUNCOMFY_CONFIG_DIR=str(tmp_path)))


def test_a_token_file_that_is_a_folder_is_named(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "token.json").mkdir()
    with pytest.raises(TokenMalformed, match="cannot be read"):
        load_token(settings(RUNCOMFY_CONFIG_DIR=str(tmp_path)))


START = {"device_code": "dev-secret", "user_code": "AB-12", "expires_in": 60, "poll_interval": 0}


def sign_in(
    kit: Any, *polls: Any, start: dict[str, object] | None = None, page: str = ""
) -> tuple[Any, Any, list[float]]:
    slept: list[float] = []
    now = [0.0]

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    async def scenario() -> tuple[Any, Any]:
        async with kit.wire() as wire:
            answer = {**START, "verify_url": page or f"{wire.base}/device", **(start or {})}
            wire.acts[:] = [kit.say(200, answer), *polls]
            async with DeviceLogin(wire.base, service="sandbox", sleep=sleep, clock=lambda: now[0]) as flow:
                try:
                    prompt = await flow.start()
                    assert "dev-secret" not in repr(prompt)
                    return await flow.wait(prompt), wire
                except (LoginFailed, TokenMalformed) as error:
                    return error, wire

    outcome, wire = kit.run(scenario())
    assert "dev-secret" not in repr(outcome)
    return outcome, wire, slept


def test_a_login_polls_until_it_is_authorized_and_at_most_once_a_second(kit: Any) -> None:
    pending, done = {"status": "pending"}, {"status": "authorized", "access_token": "tok"}
    outcome, wire, slept = sign_in(kit, kit.say(200, pending), kit.say(200, pending), kit.say(200, done))
    assert outcome.get_secret_value() == "tok"
    assert [seen.target for seen in wire.seen] == ["/api/cli-auth/start"] + ["/api/cli-auth/poll"] * 3
    assert json.loads(wire.seen[1].body) == {"device_code": "dev-secret"}
    assert slept == [1, 1, 1]
    assert not any("authorization" in seen.headers for seen in wire.seen)


@pytest.mark.parametrize("http_status", [200, 410])
@pytest.mark.parametrize(("word", "said"), [("denied", "denied"), ("expired", "expired")])
def test_a_login_that_was_denied_or_expired_says_which(kit: Any, http_status: int, word: str, said: str) -> None:
    outcome, _, _ = sign_in(kit, kit.say(http_status, {"status": word}))
    assert isinstance(outcome, LoginFailed)
    assert said in outcome.message


def test_a_failed_poll_does_not_end_the_login(kit: Any) -> None:
    done = {"status": "authorized", "access_token": "tok"}
    outcome, _, _ = sign_in(
        kit, kit.cut(), kit.say(500, {}), kit.say(200, raw=b"<"), kit.say(200, {"status": "odd"}), kit.say(200, done)
    )
    assert outcome.get_secret_value() == "tok"


@pytest.mark.parametrize("word", ["pending", "odd"])
def test_a_login_ends_when_its_code_does(kit: Any, word: str) -> None:
    outcome, _, slept = sign_in(kit, kit.say(200, {"status": word}), start={"expires_in": 7, "poll_interval": 5})
    assert "expired" in outcome.message
    assert slept == [5, 2]


@pytest.mark.parametrize("token", [None, 3, "", "a b"])
def test_an_authorized_login_without_a_usable_token_fails(kit: Any, token: object) -> None:
    outcome, _, _ = sign_in(kit, kit.say(200, {"status": "authorized", "access_token": token}))
    assert isinstance(outcome, LoginFailed | TokenMalformed)


@pytest.mark.parametrize(
    "page", ["https://evil.example/device", "file:///etc/passwd", "javascript:alert(1)", "http://runcomfy.com/x"]
)
def test_a_page_that_is_not_the_services_is_not_opened(kit: Any, page: str) -> None:
    outcome, wire, _ = sign_in(kit, page=page)
    assert isinstance(outcome, LoginFailed)
    assert len(wire.seen) == 1


@pytest.mark.parametrize("start", [{"device_code": None}, {"user_code": 3}, {"verify_url": None}])
def test_a_start_without_what_is_needed_fails(kit: Any, start: dict[str, object]) -> None:
    outcome, _, _ = sign_in(kit, start=start)
    assert isinstance(outcome, LoginFailed)


def test_a_login_at_the_other_services_address_is_refused() -> None:
    async def scenario() -> None:
        with pytest.raises(LoginFailed):
            DeviceLogin("https://www.runcomfy.com", service="sandbox")
        with pytest.raises(LoginFailed):
            DeviceLogin("http://127.0.0.1:1", service="runcomfy")

    asyncio.run(scenario())


def test_the_whole_login_shows_the_code(kit: Any) -> None:
    shown: list[LoginPrompt] = []

    async def scenario() -> SecretStr:
        async with kit.wire() as wire:
            wire.acts[:] = [
                kit.say(200, {**START, "verify_url": f"{wire.base}/device", "poll_interval": 1}),
                kit.say(200, {"status": "authorized", "access_token": "tok"}),
            ]
            return await login(wire.base, service="sandbox", show=shown.append)

    assert kit.run(scenario()).get_secret_value() == "tok"
    assert shown[0].user_code == "AB-12"
