import json
import re
import stat
from pathlib import Path

import httpx
import pytest

FAMILY = "happyhorse-1.0/image-to-video"
ID = "happyhorse/happyhorse-1-0/image-to-video"


@pytest.fixture
def signed_out(world, monkeypatch):
    monkeypatch.delenv("RUNCOMFY_TOKEN")
    return world


def test_login_shows_the_code_keeps_the_token_and_logout_forgets_it(signed_out, monkeypatch):
    world = signed_out
    opened: list[str] = []
    monkeypatch.setattr("typer.launch", opened.append)
    world.operator.switch(login_auto_approve=True)
    ran = world("login")
    assert ran.code == 0, ran.err
    assert "sandbox.invalid" in ran.out
    code = re.search(r"code ([A-Z]{4}-[A-Z]{4})", ran.err)
    assert code is not None
    assert code[1] not in opened[0], "as at the service, the address of the page carries no code"
    path = Path("config/token.json")
    assert json.loads(path.read_text())["access_token"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert world("whoami", "--json").json["token_from"].endswith("token.json")
    assert world("logout").out == "Signed out.\n"
    assert not path.exists()
    assert world("logout").out == "You were not signed in.\n"
    assert world("whoami").code == 77


def test_login_denied_and_expired(signed_out, monkeypatch):
    world = signed_out

    def deny(url: str) -> None:
        waiting = re.findall(r"[A-Z]{4}-[A-Z]{4}", httpx.get(url).text)  # the sandbox's page tells which codes wait
        said = {"user_code": waiting[-1], "decision": "denied"}
        httpx.post(f"{world.operator.url}/_sandbox/logins", json=said).raise_for_status()

    monkeypatch.setattr("typer.launch", deny)
    ran = world("login")
    assert ran.code == 77
    assert "denied" in ran.err
    world.operator.switch(login_seconds=0.5)
    ran = world("login", "--no-browser")
    assert ran.code == 77
    assert "expired" in ran.err
    assert not Path("config/token.json").exists()


def test_the_environments_token_wins_and_that_is_said(world, monkeypatch):
    monkeypatch.setattr("typer.launch", lambda url: None)
    world.operator.switch(login_auto_approve=True)
    ran = world("login", "--json")
    assert ran.json["signed_in"] is True
    assert "RUNCOMFY_TOKEN is set and wins" in ran.err
    assert world("whoami", "--json").json["token_from"] == "RUNCOMFY_TOKEN"
    assert "still in force" in world("logout").err


def test_a_token_that_is_malformed_or_rejected(world, monkeypatch):
    world.operator.fault("balance", "http_401", times=5)
    assert world("balance").code == 77
    monkeypatch.setenv("RUNCOMFY_TOKEN", "two words")
    ran = world("whoami")
    assert ran.code == 77
    assert "two words" not in ran.err


def test_balance(world):
    world.operator.balance(12.5)
    ran = world("balance")
    assert ran.out == "$12.50 at sandbox\n"
    assert "Today $0.00 of at most $1,000.00" in ran.err
    assert world("balance", "--json").json["balance_microdollars"] == 12_500_000
    world.operator.fault("balance", "http_503", times=9)
    assert world("balance").code == 69
    world.operator.reset()
    world.operator.fault("balance", "http_429", times=9, retry_after=60)
    assert world("balance").code == 75


def test_models_show_the_id_that_answers_and_what_differs(world):
    told = {row["family"]: row for row in world("models", "--json").json}
    assert told[FAMILY]["model_id"] == ID
    assert told[FAMILY]["price_microdollars"] == 200_000
    assert not told[FAMILY]["not_agreed"]
    world.operator.entry(ID, {"base_price_usd": 0.3, "input_schema": {"properties": {"duration": {"maximum": 10}}}})
    ran = world("models", "animate")
    assert "the price is now 0.3 USD per second, was 0.2" in ran.out
    assert "largest value of duration is now 10, was 15" in ran.out
    assert f"i2v models --accept {FAMILY}" in ran.err
    assert "lip_sync" not in ran.out
    accepted = world("models", "animate", "--accept", FAMILY)
    assert "(agreed to)" in accepted.out
    assert not world("models", "animate", "--json").json[0]["not_agreed"]
    world.operator.switch(documented_ids=False, catalogue_ids=False)
    assert "none answers" in world("models").out


def test_models_bad_arguments(world):
    assert world("models", "nope").code == 64
    assert world("models", "--accept", "nope").code == 64
