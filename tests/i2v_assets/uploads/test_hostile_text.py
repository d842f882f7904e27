"""Unstorable text refuses the upload that holds it, and does not stop the scan of the others."""

import pytest

from i2v_assets.uploads.ingest import scan_uploads
from resources.ledger.ledger import Ledger
from resources.registry.registry import Registry
from resources.settings import load_settings
from resources.storage.bucket import Bucket

GOOD = {
    "fine.webp": b"RIFF-of-an-image",
    "good/a.webp": b"RIFF-of-another",
    "good/brief.yaml": "prompt: Push in on the caf\u00e9, 推\n".encode(),
}
BAD = {
    "nul/brief.yaml": b"prompt: a\x00b\nimages: a.webp\n",
    "escape/brief.yaml": b'prompt: "a\\0b"\nimages: a.webp\n',
    "key/brief.json": b'{"a\\u0000b": 1}',
    "twice/brief.json": b'{"\\ud800": 1, "\\ud800": 2}',
    "half-key/brief.json": b'{"\\ud800": 5}',
    "half-value/brief.json": b'{"prompt": "\\ud800", "images": "a.webp"}',
    "half-name/brief.json": b'{"images": "\\udfff.webp"}',
    "wide/brief.yaml": "prompt: Push in\n".encode("utf-16"),
    "wide-le/brief.yaml": "prompt: Push in\n".encode("utf-16-le"),
    "defaults/_defaults.yaml": b'prompt: "\\x07"\n',
    "list.csv": b"image,prompt\nfine.jpg,x\x00y\n",
    "wide.csv": "image,prompt\na.webp,Push in\n".encode("utf-16"),
    "half.jsonl": b'{"clip": "a\\ud800b", "image": "fine.jpg"}\n{"clip": "a\\u0000b", "image": "fine.jpg"}\n',
}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_unstorable_text_does_not_stop_the_scan(
    kind: str, service_env: dict[str, str], bucket: Bucket, request: pytest.FixtureRequest
) -> None:
    settings = load_settings()
    address = settings.ledger_address if kind == "sqlite" else request.getfixturevalue("postgres_url")
    for name, data in (GOOD | BAD).items():
        bucket.write(f"uploads/{name}", data, "text/plain")
    with Ledger.open(address) as ledger:
        registry = Registry(ledger.database)
        for _ in range(2):  # the second look reads what the first one kept
            scan_uploads(bucket, registry, settings)
            assert {row.clip for row in registry.list()} == {"fine", "good"}
            refused = registry.refusals.now()
            assert {row.source.partition("#")[0] for row in refused} == {f"uploads/{name}" for name in BAD}
            assert all(row.words.isprintable() for row in refused), [row.words for row in refused]
    assert len(list(bucket.list("clips/_refused/"))) == len(refused)
