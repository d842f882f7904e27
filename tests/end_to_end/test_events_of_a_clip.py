"""What a clip leaves in the event log, which is kept for ever: how many events, how long, and no picture twice."""

import re
from collections import Counter
from pathlib import Path

import dagster as dg

from i2v_assets.defs.lean_events import shorten, without_repetitions

LONGEST_CHECK = 2_200
"""Bytes of a check's event as Postgres gets it: 1,030 to 1,760 when this was written."""

LONGEST_WITHOUT_PICTURES = 32_000
"""Bytes of all events of a clip as Postgres gets them, without the pictures in them: 28,200 when this was written."""

PICTURE = re.compile(r"data:image/(?:jpeg|webp);base64,[A-Za-z0-9+/=]+")


def of_clip(entry: dg.EventLogEntry, clip: str) -> bool:
    event = entry.dagster_event
    if event is None:
        return entry.user_message.startswith(f"{clip}:")
    if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        return event.asset_check_evaluation_data.partition == clip
    return event.partition == clip


def test_a_clip_leaves_few_and_short_events_and_no_picture_twice(stage) -> None:
    stage.set_variable("I2V_PREVIEWS", "true")
    stage.set_variable("I2V_MEASURE", "true")
    stage.upload("pet.jpg", Path("pet.jpg"))
    (run,) = stage.make()
    entries = [entry for entry in stage.instance.all_logs(run.run_id) if of_clip(entry, "pet")]
    kinds = Counter(entry.dagster_event_type.value if entry.dagster_event else "a line" for entry in entries)
    planned = kinds.pop(dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value, 0)
    assert planned <= 6, "with SQLite one for each asset; with Postgres one for each asset of a run"
    assert kinds == {"ASSET_MATERIALIZATION": 6, "ASSET_CHECK_EVALUATION": 8, "a line": 1}

    texts = [shorten(without_repetitions(entry).to_json()).rstrip() for entry in entries]
    checks = [len(text) for text in texts if '"ASSET_CHECK_EVALUATION"' in text]
    assert max(checks) < LONGEST_CHECK, checks
    assert sum(len(PICTURE.sub("", text)) for text in texts) < LONGEST_WITHOUT_PICTURES
    pictures = [found[0] for text in texts for found in PICTURE.finditer(text)]
    assert len([each for each in pictures if len(each) > 1_000]) == 1, "the poster, with the video alone"
    assert len(pictures) == 4, "and three tiny ones: the source image's, the video's and the preview's"
