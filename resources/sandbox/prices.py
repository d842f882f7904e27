"""Hidden price rules: what a request really costs, which the catalogue does not say. Invented, as all of the sandbox's prices.

The rules are drawn on acceptance and stored with the request, so that /result reports the same cost every time.
"""

import math
import random
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

_DICE = "prices/{seed}/{number}"


class PriceRules(BaseModel):
    """What is billed beyond the base price. Without any rule a request costs the base.

    Attributes:
        factors: A factor for each value of a parameter: ``resolution``, ``duration``, ``sound`` (``on``, ``off``, ``given``),
            ``images`` and ``videos`` (their number), ``model_id``, ``hour`` (UTC). All that fit are multiplied.
        input_seconds: Each second of the input videos costs this many seconds of the output.
        per_image_usd: Added for each input image.
        sound_usd: Added to a video whose sound the model makes.
        block_seconds: Seconds are billed in whole blocks of so many; 0: each second.
        minimum_usd: No request costs less.
        factor: Applies to everything.
        drift_per_request: Grows the factor by this share with each request that is accepted.
        drift_per_hour: Grows the factor by this share with each hour since the rules were set.
        outliers: Share of the requests that cost ``outlier_factor`` times as much.
        outlier_factor: See ``outliers``.
        late: Share of the requests whose cost is reported only ``late_seconds`` after their end.
        late_seconds: See ``late``.
        missing: Share of the requests whose cost is never told.
        round_to_usd: Costs are rounded to whole multiples of this, half up; 0: not rounded.
        seed: Of the dice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    factors: dict[str, dict[str, float]] = Field(default_factory=dict)
    input_seconds: float = Field(0, ge=0, le=100)
    per_image_usd: float = Field(0, ge=0, le=1000)
    sound_usd: float = Field(0, ge=0, le=1000)
    block_seconds: int = Field(0, ge=0, le=600)
    minimum_usd: float = Field(0, ge=0, le=1000)
    factor: float = Field(1, ge=0, le=1000)
    drift_per_request: float = Field(0, ge=-0.5, le=1)
    drift_per_hour: float = Field(0, ge=-0.9, le=100)
    outliers: float = Field(0, ge=0, le=1)
    outlier_factor: float = Field(3, ge=0, le=1000)
    late: float = Field(0, ge=0, le=1)
    late_seconds: float = Field(60, ge=0)
    missing: float = Field(0, ge=0, le=1)
    round_to_usd: float = Field(0, ge=0, le=100)
    seed: int = 1

    @field_validator("factors")
    @classmethod
    def _known(cls, factors: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        unknown = set(factors) - set(PARAMETERS)
        if unknown:
            raise ValueError(f"no parameter {sorted(unknown)[0]!r}; there are: {', '.join(PARAMETERS)}")
        if any(not 0 <= factor <= 1000 for values in factors.values() for factor in values.values()):
            raise ValueError("a factor is from 0 to 1000")
        return factors


PARAMETERS = ("resolution", "duration", "sound", "images", "videos", "model_id", "hour")


class BilledWork(NamedTuple):
    """What a request is billed by."""

    model_id: str
    resolution: str
    seconds: int
    sound: str
    images: int
    videos: int
    input_seconds: float


class Bill(NamedTuple):
    """What a request costs and when it is reported; ``delay`` None: never."""

    microdollars: int
    delay: float | None


def bill(
    rules: PriceRules, base: int, per_second: int, work: BilledWork, *, number: int, age: float, hour: int
) -> Bill:
    """Return what a request costs.

    Args:
        rules: The rules in force.
        base: Its price by the catalogue, in micro-dollars.
        per_second: The price of one second, for input seconds.
        work: What it is billed by.
        number: How many requests were accepted under these rules before it.
        age: Seconds since the rules were set.
        hour: The hour of the day, UTC.
    """
    dice = random.Random(_DICE.format(seed=rules.seed, number=number))  # noqa: S311 - no secret
    outlier, late, missing = (dice.random() for _ in range(3))
    values = {
        "resolution": work.resolution,
        "duration": str(work.seconds),
        "sound": work.sound,
        "images": str(work.images),
        "videos": str(work.videos),
        "model_id": work.model_id,
        "hour": str(hour),
    }
    factor = rules.factor * (1 + rules.drift_per_request) ** number * (1 + rules.drift_per_hour) ** (age / 3600)
    for name, by_value in rules.factors.items():
        factor *= by_value.get(values[name], 1.0)
    if outlier < rules.outliers:
        factor *= rules.outlier_factor
    blocks = math.ceil(work.seconds / rules.block_seconds) if rules.block_seconds else 0
    seconds = blocks * rules.block_seconds or work.seconds
    amount = (base * seconds / max(work.seconds, 1) + rules.input_seconds * work.input_seconds * per_second) * factor
    amount += rules.per_image_usd * 1_000_000 * work.images
    amount += rules.sound_usd * 1_000_000 if work.sound == "on" else 0
    amount = max(amount, rules.minimum_usd * 1_000_000)
    if rules.round_to_usd:
        step = rules.round_to_usd * 1_000_000
        amount = math.floor(amount / step + 0.5) * step
    delay = None if missing < rules.missing else rules.late_seconds if late < rules.late else 0.0
    return Bill(round(min(amount, 1e15)), delay)
