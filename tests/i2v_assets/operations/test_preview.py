"""A clip that cannot be planned is one answer among others."""

import asyncio
import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest

from i2v_assets.operations.preview import plan_clip
from i2v_assets.pipeline.plan import ClipPlanner
from resources.errors import ErrorCode, I2VError
from resources.registry.registry import ClipRow


def row(name: str) -> ClipRow:
    return cast(ClipRow, SimpleNamespace(clip=name))


class Planner:
    """Plans every clip but those that an error is for."""

    def __init__(self, errors: dict[str, Exception]) -> None:
        self._errors = errors

    async def plan(self, clip: ClipRow) -> Any:
        if clip.clip in self._errors:
            raise self._errors[clip.clip]
        return f"plan of {clip.clip}"


@pytest.mark.parametrize(
    "error", [OverflowError("secret words"), TypeError("secret words"), RecursionError("secret words")]
)
def test_an_unforeseen_error_is_the_answer_of_its_clip_alone(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    planner = cast(ClipPlanner, Planner({"odd": error, "refused": I2VError("No such model.")}))

    async def plan_all() -> list[Any]:
        return await asyncio.gather(*(plan_clip(planner, row(name)) for name in ("hero", "odd", "refused")))

    with caplog.at_level(logging.ERROR):
        hero, (odd, why), (refused, known) = asyncio.run(plan_all())
    assert (hero, odd, refused, known.message) == ("plan of hero", "odd", "refused", "No such model.")
    assert why.code is ErrorCode.INTERNAL
    assert type(error).__name__ in why.message
    assert "secret" not in why.text + caplog.text
    assert "odd" in caplog.text
