from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.ledger.ledger import Ledger
from resources.ledger.records import Caps, NewRequest
from resources.settings import Settings, load_settings, variable_name

MODEL = "happyhorse/happyhorse-1.0/image-to-video"


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in Settings.model_fields:
        monkeypatch.delenv(variable_name(name), raising=False)
    monkeypatch.setenv("I2V_SERVICE", "sandbox")
    monkeypatch.setenv("RUNCOMFY_MODEL_API_BASE", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("I2V_DATA_DIR", str(tmp_path / "data"))
    if request.param == "postgres":
        monkeypatch.setenv("I2V_LEDGER_URL", request.getfixturevalue("postgres_url"))
    return load_settings()


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    with Ledger.open(settings.ledger_address) as opened:
        yield opened


@pytest.fixture
def caps(settings: Settings) -> Caps:
    return Caps(10**12, 10**6, 10**12, 10**6, settings.zone)


@pytest.fixture
def new():
    def make(number: int) -> NewRequest:
        return NewRequest(
            fingerprint=f"{number:064x}",
            service="sandbox",
            clip=f"clip-{number}",
            take=1,
            family="happyhorse-1.0/image-to-video",
            route="animate",
            seed=number,
            duration=5,
            inputs_json="{}",
        )

    return make
