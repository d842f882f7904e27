"""The queue sensor against a real queue protocol: S3 notifies SQS, clips are registered, messages are deleted."""

import json
import time
from typing import Any

import dagster as dg
import pytest

from i2v_assets.defs.maintenance import sweep_job
from i2v_assets.defs.partitions import clips
from i2v_assets.defs.queue_sensor import queue_sensor
from i2v_assets.defs.uploads_sensor import uploads_sensor
from i2v_assets.uploads import incremental
from i2v_assets.uploads.types import Candidate
from resources.dagster_resources import BucketResource, LedgerResource
from resources.registry.pending_uploads import PendingUploads
from resources.registry.registry import ClipState
from resources.storage.errors import StorageUnavailable
from resources.storage.upload_queue import UploadQueue


def test_an_upload_becomes_a_clip_and_its_messages_go(yard: Any) -> None:
    yard.put("uploads/hero.jpg", "uploads/shoes/0001.jpg")
    seen = yard.note()
    assert seen.messages == 3  # with S3's test event
    assert yard.clips(ClipState.DUE) == ["hero", "shoes--0001"]
    assert yard.left() == 0


@pytest.mark.parametrize("changes", [{}, {"FOLDER_PAGES": 0}, {"MANY": 2}], ids=["", "large-folders", "crowds"])
def test_what_the_queue_finds_is_what_the_sweep_finds(
    yard: Any, changes: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in changes.items():
        monkeypatch.setattr(incremental, name, value)
    yard.put("uploads/_defaults.yaml", data=b"duration: 4\n")
    yard.put("uploads/a/_defaults.yaml", data=b"motion: zoom_in\n")
    yard.put("uploads/a/loose.jpg", "uploads/a/loose.mp3", "uploads/a/other.png", "uploads/a/clip/deep/second.jpg")
    yard.put("uploads/a/clip/brief.yaml", data=b"prompt: turn slowly\n")
    yard.put("uploads/a/clip/first.jpg", "uploads/list/imgs/one.jpg", "uploads/list/two.jpg", "uploads/list/three.jpg")
    yard.put(
        "uploads/list/rows.csv", data="clip,images\nr1,imgs/one.jpg\nr2,two.jpg\nr3,imgs/\u00e9t\u00e9.jpg\n".encode()
    )
    # Two spellings of one accent, as macOS and keyboards write it.
    yard.put("uploads/list/imgs/e\u0301te\u0301.jpg", "uploads/b/caf\u00e9.jpg", "uploads/b/cafe\u0301.mp3")
    yard.put("uploads/with space+plus/\u00e9t\u00e9 100%.jpg", "uploads/_side/voice.mp3", "uploads/notes.docx")
    yard.note()
    heard = {row.clip: (row.source, row.version, row.content) for row in yard.registry.list()}
    assert len(heard) == 8, "three.jpg waits for the list beside it to name it"
    swept = yard.sweep()
    assert swept.admission == type(swept.admission)((), (), ())
    assert swept.newly_refused == ()
    assert heard == {row.clip: (row.source, row.version, row.content) for row in yard.registry.list()}


@pytest.mark.parametrize("pages", [20, 0], ids=["", "large-folders"])
def test_an_event_finds_what_belongs_to_it_in_the_other_spelling_of_an_accent(
    yard: Any, pages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """macOS uploads names decomposed; keyboards write them composed."""
    monkeypatch.setattr(incremental, "FOLDER_PAGES", pages)
    yard.put("uploads/b/caf\u00e9.jpg", "uploads/list/_imgs/e\u0301te\u0301.jpg")
    yard.note()
    yard.put("uploads/b/cafe\u0301.mp3")
    yard.put("uploads/list/rows.csv", data="clip,images\nr1,_imgs/\u00e9t\u00e9.jpg\n".encode())
    yard.note()
    used = {row.clip: [file.key for file in Candidate.from_content(row.content).files] for row in yard.registry.list()}
    assert used == {
        "b--cafe": ["uploads/b/caf\u00e9.jpg", "uploads/b/cafe\u0301.mp3"],
        "list--r1": ["uploads/list/_imgs/e\u0301te\u0301.jpg"],
    }
    yard.put("uploads/list/_imgs/e\u0301te\u0301.jpg", data=b"another picture")
    before = yard.registry.get("list--r1").version
    yard.note()
    assert yard.registry.get("list--r1").version != before


def test_only_the_affected_part_is_scanned(yard: Any) -> None:
    yard.put("uploads/old.jpg", "uploads/far/clip/brief.yaml")
    yard.purge()
    yard.put("uploads/new.jpg")
    yard.note()
    assert yard.clips() == ["new"]


@pytest.mark.parametrize("encoded", ["uploads/a+b%2B1.jpg", "uploads%2Fa%20b%2B1.jpg"])
def test_keys_are_decoded_as_s3_and_as_moto_send_them(yard: Any, encoded: str) -> None:
    yard.put("uploads/a b+1.jpg")
    yard.purge()
    yard.send(yard.event(encoded))
    yard.note()
    assert [row.source for row in yard.registry.list()] == ["uploads/a b+1.jpg"]


def test_duplicates_and_any_order_are_one_clip(yard: Any) -> None:
    yard.put("uploads/hero.mp3", "uploads/hero.jpg")
    events = [yard.event("uploads/hero.jpg"), yard.event("uploads/hero.mp3", "ObjectRemoved:Delete")]
    for body in [*events, *reversed(events)]:
        yard.send(body)
    yard.note()
    version = yard.registry.get("hero").version
    for body in events:
        yard.send(body)
    assert yard.note().scans[0].admission.changed == ()
    assert yard.registry.get("hero").version == version
    assert yard.left() == 0


def test_a_replaced_upload_is_due_again(yard: Any) -> None:
    yard.put("uploads/hero.jpg")
    yard.note()
    row = yard.registry.get("hero")
    yard.registry.record_result("hero", version=row.version, state=ClipState.DELIVERED, fingerprint="f" * 64)
    yard.put("uploads/hero.jpg", data=b"another")
    yard.note()
    assert yard.registry.get("hero").state is ClipState.DUE


def test_a_removed_upload_is_withdrawn_and_no_other(yard: Any) -> None:
    yard.put("uploads/gone.jpg", "uploads/stays.jpg", "uploads/f/a.jpg")
    yard.put("uploads/f/brief.yaml", data=b"prompt: go\n")
    yard.note()
    yard.bucket.delete("uploads/gone.jpg")
    yard.bucket.delete_many(["uploads/f/brief.yaml", "uploads/f/a.jpg"])
    yard.note()
    assert yard.clips(ClipState.WITHDRAWN) == ["f", "gone"]
    assert yard.clips(ClipState.DUE) == ["stays"]


def test_a_settling_upload_is_scanned_again_without_an_event(yard: Any) -> None:
    yard.put("uploads/hero.jpg")
    assert yard.note(settle_seconds=3600).keys == 1
    assert yard.clips() == []
    assert yard.left() == 0  # nothing more will come for it
    assert yard.note(settle_seconds=3600).keys == 0  # not before its time
    pending = PendingUploads(yard.ledger.database)
    assert pending.count() == 1
    pending.replace((), {"uploads/hero.jpg": yard.bucket.now()})
    yard.note()
    assert yard.clips(ClipState.DUE) == ["hero"]
    assert pending.count() == 0


def test_a_folder_waits_for_the_files_that_its_brief_names(yard: Any) -> None:
    yard.put("uploads/f/brief.yaml", data=b"images: [a.jpg, b.jpg]\n")
    yard.put("uploads/f/a.jpg")
    yard.note(settle_seconds=30)
    assert yard.clips() == []
    assert PendingUploads(yard.ledger.database).count() == 2
    yard.put("uploads/f/b.jpg")
    yard.note(settle_seconds=30)
    assert yard.clips(ClipState.DUE) == ["f"]
    pending = PendingUploads(yard.ledger.database)
    pending.replace((), dict.fromkeys(["uploads/f/brief.yaml", "uploads/f/a.jpg"], yard.bucket.now()))
    (found,) = yard.note(settle_seconds=30).scans
    assert found.admission.changed == ()
    assert pending.count() == 0


def test_a_refused_upload_gets_a_note_that_is_deleted_later(yard: Any) -> None:
    yard.put("uploads/voice.mp3")
    assert [found.key for scan in yard.note().scans for found in scan.newly_refused] == ["uploads/voice.mp3"]
    assert len(list(yard.bucket.list("clips/_refused/"))) == 1
    yard.put("uploads/voice.jpg")
    yard.note()
    assert list(yard.bucket.list("clips/_refused/")) == []
    assert yard.clips() == ["voice"]


def test_a_refused_brief_has_a_note_beside_its_clip_until_it_is_corrected_or_removed(yard: Any) -> None:
    def told(clip: str) -> str:
        there = yard.bucket.head(f"clips/{clip}/REFUSED.txt")
        return yard.bucket.read(f"clips/{clip}/REFUSED.txt").decode() if there else ""

    yard.put("uploads/f/brief.yaml", data=b"promt: pan\n")
    yard.put("uploads/f/a.jpg")
    yard.put("uploads/l.csv", data=b"clip,image,duration\ngood,pics/a.jpg,5\nbad,pics/a.jpg,x\n")
    yard.put("pics/a.jpg")
    yard.note()
    assert "REFUSED: f was not made" in told("f")
    assert "What: f/brief.yaml: `promt` is not a key of a brief" in told("f")
    assert "What to do: Did you mean `prompt`?" in told("f")
    assert "l.csv line 3: `duration` is 'x'" in told("bad")
    assert not told("good")
    assert {row.clip for row in yard.registry.refusals.now()} == {"f", "bad"}
    yard.put("uploads/f/brief.yaml", data=b"prompt: pan\n")
    yard.note()
    assert not told("f")
    assert told("bad")
    yard.bucket.delete("uploads/l.csv")
    yard.sweep()
    assert not told("bad")
    assert yard.registry.refusals.now() == ()


def test_a_temporarily_broken_brief_keeps_the_clip_s_own_notes(yard: Any) -> None:
    yard.put("uploads/f/brief.yaml", data=b"prompt: pan\n")
    yard.put("uploads/f/a.jpg")
    yard.note()
    yard.registry.record_result(
        "f", version=yard.registry.get("f").version, state=ClipState.REFUSED, reason="too small"
    )
    yard.bucket.write("clips/f/REFUSED.txt", b"too small", "text/plain")
    yard.put("uploads/f/brief.yaml", data=b"promt: pan\n")
    yard.note()
    assert b"promt" in yard.bucket.read("clips/f/REFUSED.txt")
    yard.put("uploads/f/brief.yaml", data=b"prompt: pan\n")
    yard.note()
    assert yard.clips(ClipState.DUE) == ["f"]  # it is told again that it is too small


def test_a_clip_s_notes_are_deleted_with_its_upload(yard: Any) -> None:
    yard.put("uploads/a.jpg")
    yard.note()
    yard.registry.record_result(
        "a", version=yard.registry.get("a").version, state=ClipState.WAITING, waiting_for="approval"
    )
    yard.bucket.write("clips/a/WAITING.txt", b"It waits for approval.", "text/plain")
    yard.bucket.delete("uploads/a.jpg")
    yard.sweep()
    assert yard.clips(ClipState.WITHDRAWN) == ["a"]
    assert yard.bucket.head("clips/a/WAITING.txt") is None


def test_changed_defaults_reach_what_is_not_made(yard: Any) -> None:
    yard.put("uploads/a/one.jpg", "uploads/b/two.jpg")
    yard.note()
    before = {row.clip: row.content for row in yard.registry.list()}
    yard.put("uploads/a/_defaults.yaml", data=b"duration: 7\n")
    yard.note()
    after = {row.clip: row.content for row in yard.registry.list()}
    assert after["a--one"] != before["a--one"]
    assert after["b--two"] == before["b--two"]


def test_a_folder_that_is_too_large_for_one_scan_is_left_unchanged(yard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.put("uploads/a/b/one.jpg", "uploads/a/b/two.jpg")
    yard.note()
    monkeypatch.setattr(incremental, "MOST_OBJECTS", 1)
    yard.put("uploads/a/_defaults.yaml", data=b"duration: 7\n")
    assert yard.note().cut == ("a",)
    assert len(yard.clips(ClipState.DUE)) == 2  # not gone, only not looked at


def test_a_listed_file_that_changes_changes_its_row(yard: Any) -> None:
    yard.put("uploads/l/one.jpg", "uploads/l/other.jpg")
    yard.put("uploads/rows.jsonl", data=json.dumps({"clip": "row", "images": ["l/one.jpg"]}).encode())
    yard.note()
    assert yard.clips() == ["row"]
    version = yard.registry.get("row").version
    yard.put("uploads/l/one.jpg", data=b"new")
    yard.note()
    assert yard.registry.get("row").version != version
    assert yard.clips() == ["row"]


def test_unreadable_messages_go_to_the_dead_letter_queue(yard: Any, impatient: None) -> None:
    yard.purge()
    bodies = ["not json", {"Records": []}, [1], {"Records": [{"eventName": "ObjectCreated:Put"}]}]
    for body in [*bodies, yard.event("uploads/x.jpg", bucket="another")]:
        yard.send(body)
    yard.put("uploads/hero.jpg")
    seen = yard.note()
    assert len(seen.poison) == 5
    assert yard.clips() == ["hero"]
    deadline = time.monotonic() + 120
    while yard.left(yard.dead_url) < 5 and time.monotonic() < deadline:
        yard.note()
    assert yard.left(yard.dead_url) == 5
    assert yard.left() == 0


def test_nothing_is_deleted_when_recording_fails(yard: Any, impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.purge()
    yard.put("uploads/hero.jpg")
    with monkeypatch.context() as broken:
        broken.setattr(yard.registry, "admit", lambda *_, **__: (_ for _ in ()).throw(StorageUnavailable("no")))
        with pytest.raises(StorageUnavailable):
            yard.note()
    assert yard.left() == 1
    yard.note_again()
    assert yard.clips() == ["hero"]
    assert yard.left() == 0


def test_no_message_is_received_while_the_bucket_is_down(yard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.put("uploads/hero.jpg")

    class Untouched(UploadQueue):
        def receive(self, **_: Any) -> Any:
            raise AssertionError("received")

    monkeypatch.setattr(yard.bucket, "check", lambda: (_ for _ in ()).throw(StorageUnavailable("down")))
    with pytest.raises(StorageUnavailable):
        yard.note(Untouched(yard.url, yard.sqs, bucket=yard.bucket.name))


def test_a_crash_before_the_deletion_loses_and_doubles_nothing(
    yard: Any, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard.put("uploads/hero.jpg")
    with monkeypatch.context() as killed:
        killed.setattr(UploadQueue, "delete", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            yard.note()
    assert yard.clips(ClipState.DUE) == ["hero"]
    (found,) = yard.note_again().scans
    assert found.admission.new == found.admission.changed == ()


def _tick(sensor: Any, instance: dg.DagsterInstance, cursor: str | None) -> Any:
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, resources={"bucket": BucketResource(), "ledger": LedgerResource()}
    )
    return sensor(context)


def test_a_tick_adds_keys_and_asks_for_runs(yard: Any, instance: dg.DagsterInstance) -> None:
    yard.put("uploads/a.jpg", "uploads/b.jpg")
    result = _tick(queue_sensor, instance, None)
    assert instance.get_dynamic_partitions(str(clips.name)) == ["a", "b"]
    assert len(result.run_requests) == 1
    assert result.cursor == "1"
    assert yard.left() == 0
    # The tick dies before Dagster commits it: the messages are gone, the run is asked for again.
    again = _tick(queue_sensor, instance, None)
    assert len(again.run_requests) == 1
    done = _tick(queue_sensor, instance, "1")
    assert isinstance(done, dg.SkipReason)
    assert "2 dispatched" in str(done.skip_message)


def test_the_sweep_finds_what_events_lost(yard: Any, instance: dg.DagsterInstance) -> None:
    yard.put("uploads/lost.jpg")
    yard.purge()
    yard.note()
    assert yard.clips() == []
    resources = {"bucket": BucketResource(), "ledger": LedgerResource()}
    assert sweep_job.execute_in_process(instance=instance, resources=resources).success
    assert len(_tick(queue_sensor, instance, None).run_requests) == 1
    assert instance.get_dynamic_partitions(str(clips.name)) == ["lost"]


def test_an_upload_that_arrives_during_the_sweep_is_not_withdrawn(yard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = yard.bucket.list

    def list_slowly(*arguments: Any, **named: Any) -> Any:
        found = list(listing(*arguments, **named))
        yard.put("uploads/meanwhile.jpg")
        monkeypatch.setattr(yard.bucket, "list", listing)
        yard.note()  # the queue sensor, in the middle of the sweep
        return iter(found)

    monkeypatch.setattr(yard.bucket, "list", list_slowly)
    yard.sweep()
    assert yard.clips(ClipState.DUE) == ["meanwhile"]


def test_one_setting_chooses(yard: Any, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.put("uploads/a.jpg")
    skipped = _tick(uploads_sensor, instance, None)
    assert "I2V_UPLOADS_FROM=queue" in str(skipped.skip_message)
    monkeypatch.setenv("I2V_UPLOADS_FROM", "listing")
    skipped = _tick(queue_sensor, instance, None)
    assert "I2V_UPLOADS_FROM=listing" in str(skipped.skip_message)
    assert len(_tick(uploads_sensor, instance, None).run_requests) == 1


def test_many_messages_in_one_evaluation(yard: Any, swift: Any) -> None:
    keys = [f"uploads/crowd/{number:04}.jpg" for number in range(1000)]
    with swift():
        yard.put(keys[0])  # the others are told of and not there, as after a delivery that came late
        yard.send_many([yard.event(key) for key in keys])
        seen = yard.note()
    assert seen.messages >= len(keys)
    assert yard.clips(ClipState.DUE) == ["crowd--0000"]
    assert yard.left() == 0
