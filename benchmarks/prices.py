"""Measure how near a quote is to what is charged, under hidden price rules that are drawn at random.

Each draw takes up to six kinds of rules of the sandbox (factors by resolution, sound, duration, number of images, input seconds,
an amount for each image or for sound, blocks of seconds, a minimum, drift up or down), with 5 % outliers, 5 % late or missing costs,
some of them told only after all others, and cents rounded. 200 clips of four kinds go through a real ledger, eight
at once: quoted from its settled costs, claimed within the caps, settled as the sandbox's rules bill them. Half way everything
becomes 30 % dearer. Whoever has to agree to a surprise does so at once, and is counted.

Usage: python -m benchmarks.prices [--draws 5] [--clips 200] [--seed 1] [--drift SHARE] [--results FILE]
"""

import argparse
import hashlib
import json
import random
import statistics
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC
from pathlib import Path
from typing import Any

from resources.ledger.ledger import Ledger
from resources.ledger.records import Caps, Claimed, NewRequest, OverBudget, QuotedPrice, Unwanted
from resources.prices.billed import Billed, PriceTerms
from resources.prices.quote import make_quote
from resources.sandbox.prices import BilledWork, PriceRules, bill

PER_SECOND = 200_000
"""The sandbox's base price of a second, in micro-dollars."""
AT_ONCE = 8
LEARNING = 20
"""Clips of a kind that are left out, at the beginning and after the rise: so many may teach it."""
NEAR = 0.02
HEADROOM = 2.0
RISE = 1.3
MOST_KINDS = 6
"""Most kinds of rules in one draw: as many as the promises are made for."""
LATE_TICKS = 40
AFTER_ALL = 10**6
"""Ticks of a cost that comes when all the clips are made: there are fewer."""
DAYS = 3 * 86_400.0
"""Seconds after which a late cost comes when all the clips are made."""
GENEROUS = Caps(10**12, 10**6, 10**12, 10**6, UTC)
KINDS = tuple(
    Billed(family="model", resolution=resolution, duration=seconds, sound=sound, images=images, input_seconds=videos)
    for resolution, seconds, sound, images, videos in (
        ("720p", 5, "on", 1, 0), ("1080p", 5, "on", 1, 0), ("1080p", 10, "off", 1, 0), ("720p", 8, "given", 3, 6),
    )
)  # fmt: skip


@dataclass
class Figures:
    """The figures of one draw; errors are shares of what was charged.

    Attributes:
        rules: The hidden rules.
        compared: Clips after the first 20 of their kind, and 20 after the rise, that are no outliers.
        near: How many of them were expected within 2 %.
        worst: The largest error among them.
        above: Clips that cost more than at most.
        noticed: How many of those the ledger names as surprises, which the check and the alert are made from.
        agreements: How many times a person was asked.
        cap: The day's cap of a second pass, in micro-dollars.
        charged: What was charged under it, outliers and all.
        over_cap: By how much the cap was passed.
        over_reserved: What was charged beyond the reservations, which alone can pass the cap.
        reserved: What was reserved per micro-dollar that was charged.
    """

    rules: dict[str, Any]
    compared: int = 0
    near: int = 0
    worst: float = 0.0
    above: int = 0
    noticed: int = 0
    agreements: int = 0
    cap: int = 0
    charged: int = 0
    over_cap: int = 0
    over_reserved: int = 0
    reserved: float = 0.0

    @property
    def good(self) -> bool:
        """Return whether the promises held."""
        return self.near == self.compared and self.above == self.noticed and self.over_cap <= self.over_reserved


def draw_rules(dice: random.Random) -> PriceRules:
    """Return rules of one to six kinds, chosen at random."""
    kinds: dict[str, Any] = {
        "resolution": {"1080p": round(dice.uniform(1.1, 2.5), 2)},
        "sound": {"on": round(dice.uniform(1, 1.5), 2), "given": round(dice.uniform(1, 1.5), 2)},
        "duration": {"10": round(dice.uniform(0.8, 1.3), 2), "8": round(dice.uniform(0.8, 1.3), 2)},
        "images": {"3": round(dice.uniform(1, 1.4), 2)},
        "input_seconds": round(dice.uniform(0.2, 1), 2),
        "drift_per_request": dice.choice([0.0001, 0.0003, 0.001, -0.0002, -0.0003, -0.001]),
        "per_image_usd": round(dice.uniform(0.01, 0.3), 2),
        "sound_usd": round(dice.uniform(0.02, 0.5), 2),
        "block_seconds": dice.choice([2, 3, 5]),
        "minimum_usd": round(dice.uniform(0.5, 2.5), 2),
    }
    chosen = dice.sample(sorted(kinds), dice.randint(1, MOST_KINDS))
    factors = {name: kinds[name] for name in chosen if isinstance(kinds[name], dict)}
    others = {name: kinds[name] for name in chosen if not isinstance(kinds[name], dict)}
    return PriceRules(
        factors=factors, **others, outliers=0.05, outlier_factor=round(dice.uniform(1.5, 4), 1),
        late=0.025, missing=0.025, late_seconds=dice.choice([60.0, DAYS]), round_to_usd=0.01, seed=dice.randint(1, 10**6),
    )  # fmt: skip


@dataclass
class _Flight:
    fingerprint: str
    cost: int
    ends: int
    told: int | None


@dataclass
class _Pass:
    """One pass of the clips through a ledger of its own."""

    ledger: Ledger
    rules: PriceRules
    clips: int
    dice: random.Random
    caps: Caps
    figures: Figures
    compare: bool
    made: int = 0
    tick: int = 0
    charged: int = 0
    reserved: int = 0
    excess: int = 0
    flights: list[_Flight] = field(default_factory=list)
    seen: Counter[tuple[str, bool]] = field(default_factory=Counter)

    def run(self) -> None:
        """Make all clips, or as many as the cap allows."""
        while self.made < self.clips or self.flights:
            self.tick += 1
            while self.made < self.clips and len(self.flights) < AT_ONCE:
                if not self._submit():
                    break
            if not self.flights:
                return  # the cap is reached
            self._settle()

    def _submit(self) -> bool:
        number, billed = self.made, KINDS[self.dice.randrange(len(KINDS))]
        base = PER_SECOND * billed.duration
        past, terms = self.ledger.past_costs("sandbox", billed), PriceTerms("terms")
        quote = make_quote(base, "", billed, terms, past, headroom=HEADROOM)
        name = hashlib.sha256(f"{number}".encode()).hexdigest()
        self.ledger.plan(
            NewRequest(name, "sandbox", f"clip-{number}", 1, billed.family, "animate", 1, billed.duration, "{}")
        )
        quoted = QuotedPrice(billed.key, base, quote.expected, terms.mark)
        for _ in range(2):
            claim = self.ledger.claim(
                name, owner="one", run_id=None, lease_seconds=3600, price_microdollars=quote.at_most, model_id="model",
                caps=self.caps, max_in_flight=AT_ONCE, quoted=quoted,
            )  # fmt: skip
            if not isinstance(claim, Unwanted):
                break
            self.figures.agreements += 1
            self.ledger.agree_to_prices("sandbox", billed.family, by="a person")
        if isinstance(claim, OverBudget):
            return False
        assert isinstance(claim, Claimed), claim
        self.ledger.submitted(name, attempt=1, owner="one", request_id=f"r-{number}")
        self._bill(number, billed, base, quote.expected, quote.at_most, name)
        self.made += 1
        return True

    def _bill(self, number: int, billed: Billed, base: int, expected: int, at_most: int, name: str) -> None:
        risen = number >= self.clips // 2
        rules = self.rules.model_copy(update={"factor": RISE if risen else 1.0})
        work = BilledWork(
            "model",
            billed.resolution,
            billed.duration,
            billed.sound,
            billed.images,
            1,
            float(billed.input_seconds or 0),
        )
        cost, delay = bill(rules, base, PER_SECOND, work, number=number, age=0, hour=0)
        usual, _ = bill(rules.model_copy(update={"outliers": 0}), base, PER_SECOND, work, number=number, age=0, hour=0)
        kind = (billed.key, risen)
        if self.compare and self.seen[kind] >= LEARNING and cost == usual:
            error = abs(expected - cost) / cost
            self.figures.compared += 1
            self.figures.near += error <= NEAR
            self.figures.worst = max(self.figures.worst, error)
        self.seen[kind] += 1
        self.charged += cost
        self.reserved += at_most
        self.excess += max(0, cost - at_most)
        self.figures.above += self.compare and cost > at_most and delay is not None
        ends = self.tick + self.dice.randint(1, 6)
        late = AFTER_ALL if delay == DAYS else LATE_TICKS
        told = None if delay is None else ends + (late if delay else 0)
        self.flights.append(_Flight(name, cost, ends, told))

    def _settle(self) -> None:
        for flight in [each for each in self.flights if each.ends <= self.tick]:
            at_once = flight.told is not None and flight.told <= self.tick
            self.ledger.succeeded(flight.fingerprint, attempt=1, cost_microdollars=flight.cost if at_once else None)
            self.flights.remove(flight)
            if flight.told is not None and not at_once:
                self.late.append(flight)
        for flight in [each for each in self.late if (each.told or 0) <= self.tick or not self.flights]:
            self.ledger.settle(flight.fingerprint, flight.cost, attempt=1)
            self.late.remove(flight)

    late: list[_Flight] = field(default_factory=list)


def measure(seed: int, clips: int, folder: Path, drift: float | None = None) -> Figures:
    """Return the figures of one draw: a pass without a cap, and one whose cap is reached.

    With ``drift`` the price grows by this share with each request, whatever was drawn.
    """
    rules = draw_rules(random.Random(seed))
    if drift is not None:
        rules = rules.model_copy(update={"drift_per_request": drift})
    figures = Figures(rules.model_dump(mode="json", exclude_defaults=True))
    with Ledger.open(f"sqlite:///{folder}/free-{seed}.sqlite") as ledger:
        free = _Pass(ledger, rules, clips, random.Random(seed), GENEROUS, figures, compare=True)
        free.run()
        figures.noticed = len(ledger.surprises("sandbox"))
        figures.reserved = free.reserved / free.charged
    figures.cap = free.charged // 2
    with Ledger.open(f"sqlite:///{folder}/capped-{seed}.sqlite") as ledger:
        caps = replace(GENEROUS, usd_per_day_microdollars=figures.cap)
        capped = _Pass(ledger, rules, clips, random.Random(seed), caps, figures, compare=False)
        capped.run()
        figures.charged, figures.over_reserved = capped.charged, capped.excess
        figures.over_cap = max(0, capped.charged - figures.cap)
    return figures


def main(arguments: list[str] | None = None) -> int:
    """Print the figures; return 0 if every promise held in every draw."""
    parser = argparse.ArgumentParser(description="Measure quotes under hidden price rules.")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--drift", type=float)
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args(arguments)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(asked.seed, asked.seed + asked.draws):
            figures = measure(seed, asked.clips, Path(folder), asked.drift)
            found.append(figures)
            print(
                f"draw {seed}: {figures.near} of {figures.compared} within 2 %, worst {figures.worst:.2%};"
                f" {figures.above} above at most, {figures.noticed} noticed, {figures.agreements} agreements;"
                f" cap ${figures.cap / 1e6:.2f} passed by ${figures.over_cap / 1e6:.2f}"
                f" (charged beyond reservations ${figures.over_reserved / 1e6:.2f});"
                f" reserved {figures.reserved:.2f} x charged; {'good' if figures.good else 'NOT GOOD'}"
            )
    near, compared = sum(each.near for each in found), sum(each.compared for each in found)
    median = statistics.median(each.reserved for each in found)
    print(f"{near} of {compared} clips within 2 %; {median:.2f} x of what was charged was reserved.")
    if asked.results is not None:
        asked.results.write_text(json.dumps([asdict(each) | {"good": each.good} for each in found], indent=2) + "\n")
    return 0 if all(each.good for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
