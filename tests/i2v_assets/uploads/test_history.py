"""What a clip is asked when something about it changed."""

from datetime import UTC, datetime, timedelta

import pytest

from i2v_assets.uploads.grouping import group_uploads
from i2v_assets.uploads.history import with_history
from i2v_assets.uploads.memory import IntakeMemory, ObjectClaim
from i2v_assets.uploads.types import Candidate, HoldReason
from resources.registry.rows import ClipState, Standing
from resources.storage.bucket import ObjectInfo

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ROW = "clip,image,prompt\nx,a.jpg,pan\n"


def row_x(**lists: str) -> Candidate:
    texts = {f"uploads/t/{name}.csv": text for name, text in lists.items()}
    keys = ["uploads/t/a.jpg", *texts]
    objects = [ObjectInfo(key, len(texts.get(key, key)), texts.get(key, key), NOW - timedelta(hours=3)) for key in keys]
    (found,) = (each for each in group_uploads(objects, NOW, 30, texts, {}).candidates if each.clip == "t--x")
    return found


@pytest.mark.parametrize("version", ["the same", "another"])
def test_what_came_late_and_waited_in_doubt_still_asks_once_the_doubt_is_gone(version: str) -> None:
    doubted, now = row_x(looks=ROW, **{"looks (1)": f"{ROW}y,a.jpg,zoom\n"}), row_x(looks=ROW)
    assert doubted.hold is not None
    assert doubted.hold.reason is HoldReason.DOUBT
    assert now.hold is None
    known = now.version if version == "the same" else "another"
    (image,) = now.files
    claims = {image.key: ObjectClaim("uploads/u/old.csv", image.etag, NOW, paid=True, clip="u--old")}
    (found,) = with_history(
        [now],
        {now.clip: Standing(known, now.source, ClipState.WAITING, None)},
        {now.clip: doubted.content()},
        lambda names: {name: doubted.content() for name in names},
        IntakeMemory(claims=claims),
        lambda _: False,
    )
    assert found.hold is not None
    assert found.hold.reason is HoldReason.LATE
