"""A look over unchanged uploads ends after the listing; any change makes it a whole one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from i2v_assets.uploads import idle
from i2v_assets.uploads.idle import LookSummary, look
from i2v_assets.uploads.ingest import UploadScan
from resources.ledger.ledger import Ledger
from resources.registry.registry import Registry
from resources.settings import Settings, load_settings
from resources.storage.bucket import Bucket


@dataclass
class Watch:
    bucket: Bucket
    registry: Registry
    settings: Settings
    scans: list[UploadScan] = field(default_factory=list)

    def look(self) -> LookSummary:
        return look(self.bucket, self.registry, self.settings, on_scan=self.scans.append)

    def until_idle(self) -> LookSummary:
        for _ in range(3):
            if (found := self.look()).idle:
                return found
        raise AssertionError("three looks were whole")


@pytest.fixture
def watch(service_env: dict[str, str], bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    monkeypatch.setattr(idle, "_MARGIN", timedelta(seconds=-5))  # so that what was just written has settled
    settings = load_settings()
    with Ledger.open(settings.ledger_address) as ledger:
        for name in ("a.webp", "b.webp", "notes.xyz"):
            bucket.write(f"uploads/{name}", b"RIFF", "image/webp")
        bucket.write("elsewhere/c.webp", b"RIFF", "image/webp")
        bucket.write("uploads/list.csv", b"clip,image\nrow,elsewhere/c.webp\n", "text/csv")
        yield Watch(bucket, Registry(ledger.database), settings)


def test_the_third_look_is_idle_and_says_the_same(watch: Watch) -> None:
    first = watch.look()
    found = watch.until_idle()
    assert (found.objects, found.refused, found.settling) == (first.objects, first.refused, first.settling) == (4, 1, 0)
    whole = len(watch.scans)
    assert all(watch.look().idle for _ in range(3))
    assert len(watch.scans) == whole


CHANGES: dict[str, Callable[[Watch], object]] = {
    "a new object": lambda watch: watch.bucket.write("uploads/d.webp", b"RIFF", "image/webp"),
    "other bytes": lambda watch: watch.bucket.write("uploads/a.webp", b"RIFX", "image/webp"),
    "an object less": lambda watch: watch.bucket.delete_many(["uploads/a.webp"]),
    "a list's file elsewhere": lambda watch: watch.bucket.write("elsewhere/c.webp", b"RIFX", "image/webp"),
    "a clip's state": lambda watch: watch.registry.mark_running(["a"], "run"),
    "a setting": lambda watch: setattr(
        watch, "settings", watch.settings.model_copy(update={"max_upload_bytes": 1_000_000})
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_makes_a_whole_look(watch: Watch, name: str) -> None:
    watch.until_idle()
    if name == "a clip's state":
        watch.registry.dispatch(["a"], batch="b", sensor="uploads", tick=1)
    CHANGES[name](watch)
    assert not watch.look().idle
    watch.until_idle()


def test_what_still_settles_is_looked_at_again(watch: Watch) -> None:
    watch.settings = watch.settings.model_copy(update={"settle_seconds": 3600})
    assert not any(watch.look().idle for _ in range(4))


def test_after_an_hour_a_look_is_whole_again(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    watch.until_idle()
    monkeypatch.setattr(idle, "FULL_LOOK", timedelta(0))
    assert not watch.look().idle


def test_a_clock_that_went_back_does_not_prolong_it(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    watch.until_idle()

    class Yesterday(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(UTC) - timedelta(days=1)

    monkeypatch.setattr(idle, "datetime", Yesterday)
    assert not watch.look().idle
