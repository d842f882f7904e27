"""Which uploads become due, and which clips are withdrawn."""

from datetime import UTC

import pytest

from resources.ledger.ledger import Ledger
from resources.ledger.records import Caps, NewRequest
from resources.registry.registry import ClipState
from resources.wait_reason import WaitReason
from tests.resources.registry.conftest import Desk, upload


def test_new_and_changed_uploads_become_due_and_others_do_not(desk: Desk) -> None:
    assert desk.admit("a", "b").new == ("a", "b")
    desk.answer("a", ClipState.DELIVERED, fingerprint="f1")

    again = desk.admit("a", "b")
    assert (again.new, again.changed) == ((), ())
    assert desk.state("a") is ClipState.DELIVERED

    assert desk.admit("a", "b", version="2").changed == ("a", "b")
    row = desk.registry.get("a")
    assert row is not None
    assert (row.state, row.version, row.fingerprint) == (ClipState.DUE, "2", "f1")


@pytest.mark.parametrize("state", [ClipState.WAITING, ClipState.REFUSED])
def test_a_corrected_default_makes_clips_without_a_video_due(desk: Desk, state: ClipState) -> None:
    desk.admit("a")
    desk.answer("a", state)
    assert desk.admit("a").changed == ()
    assert desk.admit("a", content='{"duration": 5}').changed == ("a",)


def test_a_changed_default_makes_no_delivered_clip_due(desk: Desk) -> None:
    desk.admit("a")
    desk.answer("a", ClipState.DELIVERED)
    assert desk.admit("a", content='{"duration": 5}').changed == ()


def sent_request(desk: Desk, clip: str, *, ended: str = "") -> None:
    """A paid request of a clip, in the ledger of the same database."""
    ledger, fingerprint = Ledger(desk.registry.ledger.database), clip * 64
    ledger.plan(NewRequest(fingerprint, "sandbox", clip, 1, "any", "animate", 1, 3, "{}"))
    caps = Caps(10**12, 10**6, 10**12, 10**6, UTC)
    ledger.claim(
        fingerprint, owner="o", run_id="r", lease_seconds=60, price_microdollars=600_000, model_id="m", caps=caps,
        max_in_flight=9,
    )  # fmt: skip
    if ended == "returned":
        ledger.never_delivered(fingerprint, attempt=1, owner="o", reason="as a test")
        return
    if ended != "unknown":
        ledger.submitted(fingerprint, attempt=1, owner="o", request_id="req_1")
    if ended in ("succeeded", "lost", "delivered"):
        ledger.succeeded(fingerprint, attempt=1, cost_microdollars=600_000)
    if ended == "lost":
        ledger.lost(fingerprint, "as a test")
    if ended == "delivered":
        ledger.delivered(fingerprint, video_key="videos/x.mp4", sha256="0" * 64, size_bytes=1)
    if ended == "failed for free":
        ledger.failed(fingerprint, attempt=1, reason="as a test", final=False, cost_microdollars=0)


@pytest.mark.parametrize(
    ("state", "request_state", "expected"),
    [
        (ClipState.DUE, None, ClipState.WITHDRAWN),
        (ClipState.REFUSED, None, ClipState.WITHDRAWN),
        (ClipState.WAITING, None, ClipState.WITHDRAWN),
        (ClipState.WAITING, "returned", ClipState.WITHDRAWN),
        (ClipState.WAITING, "failed for free", ClipState.WITHDRAWN),
        (ClipState.WAITING, "unknown", ClipState.WAITING),
        (ClipState.WAITING, "submitted", ClipState.WAITING),
        (ClipState.WAITING, "succeeded", ClipState.WAITING),
        (ClipState.WAITING, "lost", ClipState.WAITING),
        (ClipState.WAITING, "delivered", ClipState.WAITING),
        (ClipState.DUE, "submitted", ClipState.DUE),
        (ClipState.REFUSED, "submitted", ClipState.REFUSED),
        (ClipState.DELIVERED, None, ClipState.DELIVERED),
        (ClipState.FAILED, None, ClipState.FAILED),
        (ClipState.WORKING, None, ClipState.WITHDRAWN),  # its run sends nothing more: `still_wanted`
        (ClipState.WORKING, "submitted", ClipState.WORKING),
    ],
)
def test_a_deleted_upload_is_withdrawn_unless_money_may_have_moved(
    desk: Desk, state: ClipState, request_state: str | None, expected: ClipState
) -> None:
    desk.admit("a", "b")
    if request_state is not None:
        sent_request(desk, "a", ended=request_state)
    if state is ClipState.WORKING:
        desk.registry.mark_running(["a"], "run")
    elif state is not ClipState.DUE:
        desk.answer("a", state, waiting_for=WaitReason.STORAGE)

    found = desk.admit("b")

    assert desk.state("a") is expected
    assert found.withdrawn == (("a",) if expected is ClipState.WITHDRAWN else ())
    assert ("a" in desk.registry.sources()) == (expected is not ClipState.WITHDRAWN)
    assert desk.admit("a", "b").changed == (("a",) if expected is ClipState.WITHDRAWN else ())


def test_a_delivered_clip_whose_new_version_was_never_sent_is_withdrawn_with_its_upload(desk: Desk) -> None:
    desk.admit("a", "b")
    sent_request(desk, "a", ended="delivered")
    desk.answer("a", ClipState.DELIVERED, fingerprint="a" * 64)
    desk.admit("a", "b", version="2")
    desk.answer("a", ClipState.WAITING, version="2", waiting_for=WaitReason.APPROVAL)

    assert desk.admit("b").withdrawn == ("a",)


def test_a_scan_of_one_folder_withdraws_nothing_elsewhere(desk: Desk) -> None:
    desk.registry.admit([upload("x", source="uploads/x/1.jpg"), upload("y", source="uploads/y/1.jpg")])
    found = desk.registry.admit([], present=(), below="uploads/x/")
    assert found.withdrawn == ("x",)
    assert desk.registry.admit([], present=None).withdrawn == ()
