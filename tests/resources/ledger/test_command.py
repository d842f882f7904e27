import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from i2v_assets.cli.exit_codes import Exit, UsageProblem, exit_code
from i2v_assets.cli.ledger import app
from resources.ledger.errors import UnknownRequest
from resources.ledger.records import State


@pytest.fixture
def run(sqlite_book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("I2V_LEDGER_URL", f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    monkeypatch.setenv("COLUMNS", "250")

    def call(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return call


def test_list(run, sqlite_book):
    name = sqlite_book.at(State.UNKNOWN)
    sqlite_book.plan(clip="other")
    told = run("list")
    assert name[:12] in told
    assert "other" in told
    assert "$1" in told
    rows = json.loads(run("list", "--state", "unknown", "--json"))
    assert [(row["fingerprint"], row["price_microdollars"]) for row in rows] == [(name, 1_000_000)]
    assert json.loads(run("list", "--clip", "nobody", "--json")) == []


def test_show_by_fingerprint_beginning_and_request_id(run, sqlite_book):
    name = sqlite_book.at(State.SUBMITTED, "ab" * 32)
    for which in (name, name[:6], f"r-{name}"):
        shown = json.loads(run("show", which, "--json"))
        assert shown["fingerprint"] == name
        assert [event["what"] for event in shown["events"]] == ["planned", "claimed", "submitted"]
    assert "happyhorse" in run("show", name)
    sqlite_book.plan("ab" * 31 + "cc")
    with pytest.raises(UsageProblem, match="more than one"):
        run("show", "abab")
    for nothing in ("ffff", "%", "_"):
        with pytest.raises(UnknownRequest):
            run("show", nothing)


def test_resolve(run, sqlite_book):
    name = sqlite_book.at(State.UNKNOWN)
    with pytest.raises(UsageProblem, match="exactly one"):
        run("resolve", name)
    assert "submitted" in run("resolve", name, "--request-id", "found", "--by", "ann")
    assert sqlite_book.row(name).request_id == "found"
    assert sqlite_book.ledger.events(name)[-1].owner == "ann"
    other = sqlite_book.at(State.UNKNOWN)
    assert json.loads(run("resolve", other, "--not-charged", "--json"))["state"] == "planned"


def test_resolve_refuses_a_malformed_request_id(run, sqlite_book):
    name = sqlite_book.at(State.UNKNOWN)
    for text in ("https://www.runcomfy.com/requests/abc", "req 81b2", "", " ", "<id>", "a" * 129):
        with pytest.raises(UsageProblem, match="request id holds") as caught:
            run("resolve", name, "--request-id", text)
        assert exit_code(caught.value) is Exit.USAGE
    assert sqlite_book.row(name).state is State.UNKNOWN
    run("resolve", name, "--request-id", " req_81b2\n")
    assert sqlite_book.row(name).request_id == "req_81b2"


def test_export(run, sqlite_book, tmp_path: Path):
    sqlite_book.at(State.SUBMITTED)
    run("export", str(tmp_path / "all.jsonl"))
    lines = (tmp_path / "all.jsonl").read_text().splitlines()
    assert [json.loads(line)["table"] for line in lines] == ["requests", "submissions", "events", "events", "events"]
    assert run("export").splitlines() == lines
