"""What a message says, and that it says nothing twice."""

from datetime import UTC, datetime, timedelta

from i2v_assets.reports.alert_message import message
from i2v_assets.reports.alerts import (
    AlertCursor,
    AlertState,
    FailedClip,
    FailedRun,
    FailingTicks,
    LateClips,
    RefusedUpload,
    UnknownRequest,
    news,
)

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def failed(number: int, minutes: float = 1, reason: str = "The service found no face.") -> FailedClip:
    return FailedClip(f"clip-{number:03}", NOW - timedelta(minutes=minutes), reason, "Use a clearer portrait.")


def unknown(digit: str, attempt: int = 1) -> UnknownRequest:
    return UnknownRequest(digit * 64, attempt, f"clip-{digit}", 1_120_000)


def memory() -> AlertCursor:
    return AlertCursor(NOW - timedelta(hours=1))


def test_a_message_says_what_a_person_can_act_on() -> None:
    fresh, _ = news(
        AlertState(NOW, [failed(1)], [unknown("a")], {"budget": 7, "window": 3}, 24_500_000, 25_000_000), memory()
    )
    text = message(fresh, "https://dagster.example/")
    assert "1 clip failed" in text
    assert "The service found no face." in text
    assert "Use a clearer portrait." in text
    assert "i2v ledger resolve aaaaaaaaaaaa" in text
    assert "up to $1.12" in text
    assert "7 clips wait for: budget* ($24.50 of $25.00)" in text
    assert "window" not in text  # nothing is wrong with it
    assert "https://dagster.example/assets/clip_video?view=partitions&partition=clip-001" in text


def test_the_variable_that_raises_the_budget_is_that_of_the_service() -> None:
    fresh, _ = news(AlertState(NOW, waiting={"budget": 1}), memory())
    assert "Raise I2V_BUDGET_USD_PER_DAY or I2V_BUDGET_REQUESTS_PER_DAY" in message(fresh)
    assert "Raise I2V_SANDBOX_BUDGET_USD_PER_DAY or I2V_SANDBOX_BUDGET_REQUESTS_PER_DAY" in message(fresh, sandbox=True)


def test_many_failures_are_one_message_of_ten_and_a_number() -> None:
    fresh, _ = news(AlertState(NOW, [failed(number) for number in range(250)]), memory())
    text = message(fresh)
    assert text.count("•") == 10
    assert "and 240 more" in text
    assert len(text) < 4000  # Slack cuts at 40,000


def test_nothing_is_told_twice_and_nothing_is_lost_at_the_edge() -> None:
    first = AlertState(NOW, [failed(1, minutes=4), failed(2, minutes=0.1)], [unknown("a")], {"account": 2})
    _, told = news(first, memory())
    told = AlertCursor.read(told.text, NOW)
    late = FailedClip("late", NOW - timedelta(minutes=2), "told by a machine whose clock is behind", "")
    later = AlertState(
        NOW + timedelta(minutes=2), [*first.failed, late], [unknown("a"), unknown("b")], {"account": 9, "price": 1}
    )
    fresh, told = news(later, told)
    assert [found.clip for found in fresh.failed] == ["late"]
    assert [found.clip for found in fresh.unknown] == ["clip-b"]
    assert fresh.waiting == {"price": 1}
    assert message(news(later, told)[0]) == ""


def test_the_same_clip_is_told_again_when_it_fails_again() -> None:
    _, told = news(AlertState(NOW, [failed(1)], [unknown("a")], {"budget": 1}), memory())
    again = AlertState(NOW + timedelta(hours=3), [failed(1, minutes=-170)], [unknown("a", attempt=2)], {})
    fresh, told = news(again, told)
    assert len(fresh.failed) == len(fresh.unknown) == 1
    assert news(AlertState(again.now, waiting={"budget": 1}), told)[0].waiting == {"budget": 1}


def test_no_secret_and_no_markup_of_others_gets_through() -> None:
    reason = (
        "GET https://cdn.example/5ec3e7.mp4?X-Amz-Signature=5ec3e7 said <!channel> & Bearer 5ec3e75ec3e75ec3e75ec3e7"
    )
    text = message(news(AlertState(NOW, [failed(1, reason=reason)]), memory())[0])
    assert "5ec3e7" not in text
    assert "<!channel>" not in text


def test_a_first_message_does_not_tell_of_years() -> None:
    fresh, _ = news(AlertState(NOW, [failed(1, minutes=60 * 24), failed(2)]), AlertCursor.read(None, NOW))
    assert [found.clip for found in fresh.failed] == ["clip-002"]


def test_the_memory_stays_small() -> None:
    _, told = news(AlertState(NOW, [failed(number) for number in range(9000)]), memory())
    assert len(told.text) < 100_000


def run(job: str, digit: str, minutes: float = 2, why: str = "The bucket is full.") -> FailedRun:
    return FailedRun(job, digit * 32, NOW - timedelta(minutes=minutes), why)


def test_failed_runs_are_bundled_by_job_with_the_words_of_the_latest() -> None:
    runs = [run("gallery_job", "a", 9, "earlier"), run("gallery_job", "b", 3), run("film_job", "c", why="No audio.")]
    text = message(news(AlertState(NOW, runs=runs), memory())[0], "https://dagster.example")
    assert "3 runs failed" in text
    assert "• gallery_job 2 times, the last one <https://dagster.example/runs/" + "b" * 32 in text
    assert "The bucket is full." in text
    assert "earlier" not in text
    assert "• film_job, <https://dagster.example/runs/" + "c" * 32 + "|run cccccccc>: No audio." in text


def test_what_one_reason_fails_is_one_line() -> None:
    ticks = [FailingTicks("uploads", "The keys have expired."), FailingTicks("sequences", "The keys have expired.")]
    text = message(news(AlertState(NOW, ticks=[*ticks, FailingTicks("dispatch", "Other.")]), memory())[0])
    assert "3 sensors or schedules cannot do their work" in text
    assert "• uploads, sequences: The keys have expired." in text
    assert "• dispatch: Other." in text


def test_each_kind_of_trouble_is_told_once_and_again_when_it_comes_again() -> None:
    long_ago = NOW - timedelta(hours=13)
    trouble = AlertState(
        NOW,
        runs=[run("spend_job", "a")],
        ticks=[FailingTicks("uploads", "gone")],
        late=LateClips([long_ago, long_ago], 720),
        refused=[RefusedUpload("uploads/a.heic", "1")],
    )
    fresh, told = news(trouble, memory())
    assert [len(each) for each in (fresh.runs, fresh.ticks, fresh.late.since, fresh.refused)] == [1, 1, 2, 1]
    text = message(fresh)
    assert "2 clips have been without an answer for over 12 h" in text
    assert "1 upload refused*: uploads/a.heic" in text
    assert "i2v status --state refused" in text
    told = AlertCursor.read(told.text, NOW)
    assert message(news(trouble, told)[0]) == ""

    _, told = news(AlertState(NOW + timedelta(minutes=5)), told)  # all is well for a while
    later = NOW + timedelta(hours=1)
    again = AlertState(
        later,
        runs=[run("spend_job", "b", minutes=-58)],
        ticks=trouble.ticks,
        late=LateClips([long_ago, long_ago + timedelta(hours=1)], 720),
        refused=[RefusedUpload("uploads/a.heic", "2")],
    )
    fresh, _ = news(again, told)
    assert [len(each) for each in (fresh.runs, fresh.ticks, fresh.late.since, fresh.refused)] == [1, 1, 1, 1]


def test_more_refusals_than_a_memory_holds_are_not_told_again_and_again() -> None:
    trouble = AlertState(NOW, refused=[RefusedUpload(f"uploads/{number}.heic", "1") for number in range(9000)])
    _, told = news(trouble, memory())
    assert message(news(trouble, told)[0]) == ""
    assert len(told.text) < 100_000


def test_the_memory_of_an_earlier_version_is_read() -> None:
    text = '{"since": "2026-03-10T11:55:00+00:00", "failed": [], "unknown": ["x"], "waiting": []}'
    assert AlertCursor.read(text, NOW) == AlertCursor(NOW - timedelta(minutes=5), unknown=frozenset("x"))
