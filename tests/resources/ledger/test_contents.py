"""What is in the ledger: no secrets, and all of it in the export."""

import io
import json
from pathlib import Path

from resources.ledger.records import State

SIGNED = "https://bucket.example/uploads/hero.jpg?X-Amz-Credential=AKIA&X-Amz-Signature=5ec3e7aa"
OUTPUT = "https://cdn.example/outputs/5ec3e7aa.mp4"
TOKEN = "rc_5ec3e7aa5ec3e7aa5ec3"


def test_no_secret_reaches_the_file(sqlite_book, tmp_path: Path):
    ledger = sqlite_book.ledger
    inputs = json.dumps({"prompt": "see https://example.org/page for the look", "images": [SIGNED]})
    name = sqlite_book.plan(inputs_json=inputs)
    sqlite_book.claim(name)
    ledger.note(name, "a", f"GET {OUTPUT} answered 403")
    ledger.note(name, "a", f"Authorization: Bearer {TOKEN} was rejected")
    ledger.outcome_unknown(name, attempt=1, owner="a", reason=f"the body was token={TOKEN} {SIGNED}")
    ledger.resolve(name, by="ann", request_id="r1")
    ledger.failed(name, attempt=1, reason=f"input {SIGNED} data:image/png;base64,5ec3e7aa", final=False)
    assert json.loads(sqlite_book.row(name).inputs_json)["prompt"] == "see https://example.org/page for the look"
    sink = io.StringIO()
    ledger.export(sink)
    assert "5ec3e7aa" not in sink.getvalue()
    for file in tmp_path.glob("ledger.sqlite*"):
        assert b"5ec3e7aa" not in file.read_bytes(), file


def test_a_long_reason_is_cut(book):
    name = book.at(State.SUBMITTED)
    book.ledger.failed(name, attempt=1, reason="x" * 100_000, final=False)
    assert len(book.row(name).reason or "") == 2000


def test_the_export_holds_everything(book):
    done = book.at(State.SUCCEEDED)
    book.at(State.UNKNOWN)
    book.ledger.approve("hash", {done: 5}, by="ann")
    sink = io.StringIO()
    lines = book.ledger.export(sink)
    records = [json.loads(line) for line in sink.getvalue().splitlines()]
    assert len(records) == lines
    kinds = [record["table"] for record in records]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "requests": 2,
        "submissions": 2,
        "events": 7,
        "approvals": 1,
    }
    request = next(record for record in records if record.get("request_id") == f"r-{done}")
    assert request["state"] == "succeeded"
    assert request["created_at"] == "2026-03-10T12:00:00+00:00"
