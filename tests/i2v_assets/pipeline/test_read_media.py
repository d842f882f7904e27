"""What is read of an upload says which object its bytes were."""

from pathlib import Path
from typing import Any

import pytest

from i2v_assets.pipeline import read_media
from i2v_assets.pipeline.read_media import MediaReader
from resources.ledger.ledger import Ledger
from resources.registry.registry import Registry
from resources.storage.bucket import Bucket

SAMPLES = Path(__file__).parents[3] / "i2v_assets" / "samples"
KEY = "uploads/cup.webp"


def test_the_object_whose_bytes_were_hashed_is_remembered(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: Any = bucket._client
    client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    bucket.upload(SAMPLES / "product.webp", KEY, "image/webp")
    listed = bucket.head(KEY)
    assert listed is not None
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        reader = MediaReader(bucket, Registry(ledger.database), tmp_path / "scratch")
        first = reader.read(KEY, listed.etag, "cup.webp").medium
        assert first is not None
        assert (first.etag, first.version_id) == (listed.etag, listed.version_id)
        assert first.version_id
        again = reader.read(KEY, listed.etag, "cup.webp").medium
        assert again == first  # from what was remembered

        # A bucket's rules may have removed an old version: after a while it is asked for again.
        monkeypatch.setattr(read_media, "VERSION_SECONDS", 0.0)
        later = reader.read(KEY, listed.etag, "cup.webp").medium
        assert later is not None
        assert (later.etag, later.version_id) == (listed.etag, "")
        monkeypatch.undo()

        # Replaced between the listing and the reading: it is known as what it is.
        bucket.upload(SAMPLES / "portrait.png", KEY, "image/png")
        newer = bucket.head(KEY)
        assert newer is not None
        other = reader.read(KEY, "an-older-listing", "cup.webp").medium
        assert other is not None
        assert (other.etag, other.version_id) == (newer.etag, newer.version_id)
        assert reader.read(KEY, newer.etag, "cup.webp").medium == other
        assert list((tmp_path / "scratch").iterdir()) == []
