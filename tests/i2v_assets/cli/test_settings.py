"""Variables that cannot be used, as a person sees it."""

from typing import Any

import pytest

from resources.settings import Settings


@pytest.mark.parametrize(("name", "value"), [("I2V_MODEL_IDS", "secret, no json"), ("I2V_QUALITY", "{bad")])
def test_a_variable_that_is_no_json_is_named_and_not_quoted(
    world: Any, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    ran = world("status")
    assert ran.code == 64
    assert f"Settings: {name} is not JSON" in ran.err
    assert value not in ran.err


def test_an_empty_variable_is_unset(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2V_CLIPS_PER_RUN", "")
    monkeypatch.setenv("I2V_DATA_DIR", "")
    values = {row["name"]: row["value"] for row in world("settings", "--json").json}
    assert (values["I2V_CLIPS_PER_RUN"], values["I2V_DATA_DIR"]) == ("100", ".i2v")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"I2V_CLIPS_PER_RUN": "0"}, "Settings: I2V_CLIPS_PER_RUN: Input should be greater than or equal to 1."),
        ({"I2V_TIMEZONE": "Mars/Base"}, "Settings: I2V_TIMEZONE: 'Mars/Base' is"),
        ({"I2V_SERVICE": "runcomfy"}, "Settings: I2V_SERVICE=runcomfy needs an https RUNCOMFY_MODEL_API_BASE."),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_once_and_without_the_librarys_words(
    world: Any, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ran = world("status")
    told = " ".join(ran.err.split())
    assert ran.code == 64
    assert words in told
    assert "Value error" not in told
    assert "settings:" not in told


def test_heaps_ask_unless_it_is_play_or_the_day_has_a_budget_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("I2V_BUDGET_USD_PER_DAY", raising=False)
    real = {"service": "runcomfy", "data_dir": "/tmp/nowhere", "runcomfy_model_api_base": "https://example.com/v1"}
    assert Settings(**real).heap_limit_microdollars == 20_000_000
    assert Settings(**real, approve_above_usd=0.5).heap_limit_microdollars == 500_000
    monkeypatch.setenv("I2V_BUDGET_USD_PER_DAY", "25")
    assert Settings(**real).heap_limit_microdollars is None
    monkeypatch.delenv("I2V_BUDGET_USD_PER_DAY")
    sandbox = {"service": "sandbox", "runcomfy_model_api_base": "http://127.0.0.1:1/v1"}
    assert Settings(**sandbox).heap_limit_microdollars is None
