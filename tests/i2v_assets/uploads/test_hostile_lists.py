"""Lists made to cost time: each is read or refused in a moment, beside the look if it is large."""

import json
import threading

import pytest

from i2v_assets.briefs.brief_reader import BriefError
from i2v_assets.uploads import large_lists
from i2v_assets.uploads.csv_batches import MAX_BATCH_BYTES, MAX_ROW_VALUES, parse_batch
from i2v_assets.uploads.ingest import scan_uploads
from resources.ledger.ledger import Ledger
from resources.registry.registry import Registry
from resources.settings import load_settings
from resources.storage.bucket import Bucket

WHOLE = MAX_BATCH_BYTES


def full(line: str) -> str:
    return line * (WHOLE // len(line.encode()))


MANY = ",".join(f'"k{number}":1' for number in range(5600))
HOSTILE = {
    "doubled.jsonl": full("{" + MANY + ',"k5599":2}\n'),
    "keys.jsonl": full("{" + MANY + "}\n"),
    "deep.jsonl": full("[" * 60_000 + "\n"),
    "nested.csv": "image,dub\n" + full("a.jpg," + "[" * 60_000 + "\n")[:-100_000],
    "items.csv": "image\n" + full("|a" * 300 + "\n")[:-1000],
    "quotes.csv": "image\n" + full('"\n')[:-10],
    "empty.csv": "image\n" + full("\n")[:-10],
    "empty.jsonl": full("\n"),
    "wide.csv": "image" + full(",")[:-10] + "\nx",
    "columns.csv": full("image,")[:-10] + "\nx",
    "cells.csv": "image,prompt\n" + full("x," * 700 + "\n")[:-1500],
    "marks.jsonl": json.dumps({"image": "a.jpg", "clip": "\u0316\u0301" * 5000}) + "\n",
    "prompt.csv": "image,prompt\na.jpg," + "\u0316\u0301" * 2_000_000 + "\n",
    "marks.csv": "image\n" + "\u0316\u0301" * 2_000_000 + ".jpg\n",
}


@pytest.mark.timeout(120)  # at most 5 s here; before, each took minutes
@pytest.mark.parametrize("name", HOSTILE)
def test_no_list_costs_more_than_its_bytes(name: str) -> None:
    try:
        rows, bad = parse_batch(HOSTILE[name], name, "csv" if name.endswith("csv") else "jsonl")
        assert not rows or len(rows) + len(bad) <= 20_000
    except BriefError as error:
        refused = error.text
    else:
        refused = ""
    assert len(refused) < 1000


def test_a_row_with_too_many_values_is_refused_alone() -> None:
    row = json.dumps({"images": [f"{number}.jpg" for number in range(MAX_ROW_VALUES)]})
    rows, (bad,) = parse_batch(f'{row}\n{{"image": "good.jpg"}}\n', "x.jsonl", "jsonl")
    assert [each.clip for each in rows] == ["good-2"]
    assert f"more than {MAX_ROW_VALUES} keys" in bad.words


def test_a_scan_reads_them_all_and_the_good_clip_beside(service_env: dict[str, str], bucket: Bucket) -> None:
    bucket.write("uploads/good.webp", b"RIFF", "image/webp")
    for name in ("doubled.jsonl", "items.csv", "marks.csv", "marks.jsonl", "columns.csv"):
        bucket.write(f"uploads/{name}", HOSTILE[name].encode(), "text/csv")
    settings = load_settings()
    with Ledger.open(settings.ledger_address) as ledger:
        registry = Registry(ledger.database)
        scan_uploads(bucket, registry, settings)
        assert "good" in {row.clip for row in registry.list()}


def test_a_large_list_is_read_beside_the_look(
    service_env: dict[str, str], bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is admitted, withdrawn or forgiven before it is read, and the files it names are held."""
    may_read = threading.Event()

    def slowly(*arguments: object) -> object:
        assert may_read.wait(60)
        return parse_batch(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(large_lists, "parse_batch", slowly)
    rows = "".join(f"row-{number},{number}.webp,{'p' * 600}\n" for number in range(2000))
    for number in range(3):
        bucket.write(f"uploads/{number}.webp", b"RIFF", "image/webp")
    bucket.write("uploads/loose.webp", b"RIFF", "image/webp")
    bucket.write("uploads/large.csv", f"clip,image,prompt\n{rows}".encode(), "text/csv")
    settings = load_settings()
    with Ledger.open(settings.ledger_address) as ledger:
        registry = Registry(ledger.database)

        def clips() -> set[str]:
            return {row.clip for row in registry.list() if row.state == "due"}

        scan = scan_uploads(bucket, registry, settings, patience=0)
        assert scan.unread == {"uploads/large.csv"}
        assert clips() == {"loose"}
        may_read.set()
        scan = scan_uploads(bucket, registry, settings)
        assert not scan.unread
        assert clips() == {"loose", "row-0", "row-1", "row-2"}
        refused = registry.refusals.now()
        may_read.clear()
        bucket.write("uploads/large.csv", f"clip,image,prompt\n{rows}\n".encode(), "text/csv")
        assert scan_uploads(bucket, registry, settings, patience=0).unread
        assert clips() == {"loose", "row-0", "row-1", "row-2"}
        assert registry.refusals.now() == refused
        may_read.set()
        assert not scan_uploads(bucket, registry, settings).unread
        assert clips() == {"loose", "row-0", "row-1", "row-2"}
