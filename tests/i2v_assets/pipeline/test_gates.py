"""What may hold a planned clip, in the order in which it is asked."""

from dataclasses import replace
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from i2v_assets.pipeline.gates import FilmProblem, Gate, gate
from i2v_assets.planning.asking import Ask
from i2v_assets.planning.time_window import Window
from i2v_assets.uploads.types import HoldReason, UploadHold
from resources.wait_reason import WaitReason

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
NIGHT = Window(time(22), time(6), ZoneInfo("UTC"))
TOO_LONG = FilmProblem(
    WaitReason.FILM, "film--03", "Shot 3 of its film (film--03) would be refused: 40 s.", "Shorten it."
)
DOUBT = UploadHold(HoldReason.LATE, "It came late.", "")
FREE = Gate(
    clip="hero",
    plan_hash="abc123",
    submitted=False,
    approved=False,
    by_hand=False,
    needs_approval=False,
    delivered_as=None,
    fingerprint="new",
    asked_for=False,
    window=None,
)


@pytest.mark.parametrize(
    ("changes", "waits_for"),
    [
        ({}, None),
        ({"needs_approval": True}, "approval"),
        ({"needs_approval": True, "approved": True}, None),
        ({"needs_approval": True, "by_hand": True}, None),
        ({"needs_approval": True, "submitted": True}, None),
        ({"window": NIGHT}, "window"),
        ({"window": NIGHT, "approved": True}, "window"),
        ({"window": NIGHT, "by_hand": True}, "window"),
        ({"window": NIGHT, "submitted": True}, None),
        ({"window": NIGHT, "needs_approval": True}, "approval"),
        ({"delivered_as": "new", "window": NIGHT, "needs_approval": True}, None),
        ({"delivered_as": "old"}, "approval"),
        ({"delivered_as": "old", "by_hand": True}, "approval"),
        ({"delivered_as": "old", "approved": True}, None),
        ({"delivered_as": "old", "asked_for": True}, None),
        ({"delivered_as": "old", "submitted": True}, None),
        ({"delivered_as": "old", "approved": True, "window": NIGHT}, "window"),
        ({"film_problem": TOO_LONG}, "film"),
        ({"film_problem": replace(TOO_LONG, reason=WaitReason.CATALOGUE), "needs_approval": True}, "catalogue"),
        ({"film_problem": TOO_LONG, "upload_hold": DOUBT}, "film"),
        ({"film_problem": TOO_LONG, "approved": True}, None),
        ({"film_problem": TOO_LONG, "by_hand": True}, None),
        ({"film_problem": TOO_LONG, "submitted": True}, None),
    ],
)
def test_the_first_thing_that_holds_a_clip(changes: dict[str, object], waits_for: str | None) -> None:
    hold = gate(replace(FREE, **changes), NOON)  # type: ignore[arg-type]
    assert (hold.waiting_for if hold else None) == waits_for
    if hold is not None:
        assert hold.reason
        assert hold.remedy


def test_a_hold_for_approval_says_how_to_approve_this_plan() -> None:
    hold = gate(replace(FREE, needs_approval=True), NOON)
    assert hold is not None
    assert "i2v approve abc123" in hold.remedy
    assert "i2v plan hero" in hold.remedy


def test_a_hold_for_the_window_says_when_it_opens() -> None:
    hold = gate(replace(FREE, window=NIGHT), NOON)
    assert hold is not None
    assert "22:00 to 06:00" in hold.reason
    assert "2026-03-10 22:00" in hold.remedy
    assert gate(replace(FREE, window=NIGHT), NOON.replace(hour=23)) is None


@pytest.mark.parametrize("reason", [WaitReason.FILM, WaitReason.PRICE, WaitReason.CATALOGUE, WaitReason.KEEP_FACE])
def test_a_file_in_the_bucket_is_offered_only_where_it_approves(reason: WaitReason) -> None:
    hold = gate(replace(FREE, film_problem=replace(TOO_LONG, reason=reason), bucket_commands=True), NOON)
    assert hold is not None
    assert ("approve-hero" in hold.remedy) == (reason is WaitReason.FILM)
    assert "i2v approve abc123" in hold.remedy


@pytest.mark.parametrize(
    "film", [{"film_problem": TOO_LONG}, {"refused_shot": "film--03"}], ids=["would be refused", "refused"]
)
def test_whoever_approves_a_clip_was_shown_every_doubt_about_it(film: dict[str, object]) -> None:
    """One approval lifts all holds, so the note names all of them."""
    ask = Ask(code="speaker", words="It is not clear who speaks.", remedy="Name her.")
    hold = gate(replace(FREE, upload_hold=DOUBT, asks=(ask,), **film), NOON)  # type: ignore[arg-type]
    assert hold is not None
    assert hold.waiting_for is WaitReason.FILM
    assert "film--03" in hold.reason
    assert "It came late." in hold.reason
    assert "It is not clear who speaks." in hold.reason
    assert "Name her." in hold.remedy
    assert hold.remedy.count("i2v approve") == 1
