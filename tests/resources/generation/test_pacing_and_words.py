"""The pace after "too many requests", and what counts as a refusal of the content."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest

from resources.generation.rate_limit import Pacer
from resources.generation.types import is_content_policy_refusal
from resources.runcomfy.errors import RateLimited


def pacer() -> tuple[Pacer, list[datetime]]:
    told: list[datetime] = []

    async def tell(until: datetime) -> None:
        told.append(until)

    return Pacer(tell, random.Random(1)), told


def test_a_retry_after_holds_every_call_and_is_told() -> None:
    async def main() -> None:
        pace, told = pacer()
        await pace.refused(RateLimited("429", retry_after=0.3))
        assert 0 < pace.pausing <= 0.3
        calls = [asyncio.create_task(pace.clear()) for _ in range(10)]
        await asyncio.sleep(0)  # each of them begins
        assert not any(call.done() for call in calls)
        await asyncio.gather(*calls)
        assert pace.pausing == 0
        assert len(told) == 1

    asyncio.run(main())


def test_without_a_retry_after_the_pause_doubles_until_an_answer() -> None:
    async def main() -> None:
        pace, _ = pacer()
        first = await pace.refused(RateLimited("429"))
        assert await pace.refused(RateLimited("429")) < 1.3  # on its way together with the first
        pace._until = 0
        second = await pace.refused(RateLimited("429"))
        assert second > first
        pace._until = 0
        pace.answered()
        assert await pace.refused(RateLimited("429")) < 1.3

    asyncio.run(main())


def test_what_another_process_heard_holds_this_one() -> None:
    pace, _ = pacer()
    pace.on_retry_after(datetime.now(UTC) + timedelta(seconds=5))
    assert 4 < pace.pausing < 5.1
    pace.on_retry_after(None)
    assert pace.pausing > 4


@pytest.mark.parametrize(
    ("message", "content"),
    [
        ("The prompt violates our content policy.", True),
        ("Output blocked by moderation", True),
        ("Image flagged as NSFW", True),
        ("input contains sensitive information", True),
        ("The likeness of a public figure is not allowed", True),
        ("Unsupported content-type image/tiff", False),
        ("content length exceeds 10 MB", False),
        ("duration must be at most 15", False),
        ("The worker ran out of memory.", False),
        ("", False),
        (None, False),
    ],
)
def test_only_words_about_the_content_are_final(message: str | None, content: bool) -> None:
    assert is_content_policy_refusal(message) is content
