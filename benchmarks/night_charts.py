"""The pictures of a night's report, as SVG files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.night_verdict import GROWTH_LIMIT
from benchmarks.night_watch import FLEET
from i2v_assets.reports.svg_chart import Chart, y_ticks

Figures = Mapping[str, Any]

MEMORY = {"daemon": "#9ecae1", "code server": "#4292c6", "runs": "#08519c"}
LIMIT = "#d94801"


def draw(figures: Figures, images: Path) -> None:
    """Write the pictures of what was measured."""
    images.mkdir(parents=True, exist_ok=True)
    if figures.get("night"):
        (images / "night-memory.svg").write_text(memory(figures["night"]))
        (images / "night-progress.svg").write_text(progress(figures["night"]))
    if figures.get("growth"):
        (images / "night-growth.svg").write_text(growth(figures["growth"]))


def memory(night: Figures) -> str:
    """Return a chart of the memory of the fleet's roles, one on the other, over time."""
    samples = night["samples"]
    totals = [sum(sample["mb"][role] for role in FLEET) for sample in samples]
    chart = _over_time(
        samples,
        "Memory of the fleet (MiB, proportional) by minute",
        f"At most {max(totals, default=0):,.0f} MiB in all.",
        totals,
    )
    below = [0.0] * len(samples)
    for role in reversed(FLEET):
        above = [low + sample["mb"][role] for low, sample in zip(below, samples, strict=True)]
        chart.area(_points(samples, below), _points(samples, above), colour=MEMORY[role])
        chart.legend(role, MEMORY[role])
        below = above
    return chart.render()


def progress(night: Figures) -> str:
    """Return a chart of uploads, requests, deliveries, and what waited, over time."""
    samples = night["samples"]
    lines = {
        "uploaded": ("#969696", [sample["uploaded"] for sample in samples]),
        "accepted": ("#6baed6", [sample["accepted"] for sample in samples]),
        "delivered": ("#238b45", [sample["states"].get("delivered", 0) for sample in samples]),
        "waiting": (LIMIT, [sample["states"].get("waiting", 0) for sample in samples]),
        "failed": ("#a50f15", [sample["states"].get("failed", 0) for sample in samples]),
    }
    delivered = lines["delivered"][1]
    said = f"{delivered[-1] if delivered else 0:,} clips were delivered at the end. Most of those that wait do so for a resolution; a failure may be tried again."
    values = [value for _, line in lines.values() for value in line]
    chart = _over_time(samples, "The night: clips by minute", said, values)
    for name, (colour, line) in lines.items():
        chart.line(_points(samples, line), colour=colour)
        chart.legend(name, colour)
    return chart.render()


def growth(sizes: Sequence[Figures]) -> str:
    """Return a chart of CPU per clip by role at each size, with the limit that the smallest sets."""
    roles = dict(zip((*FLEET, "postgres"), ("#08519c", "#4292c6", "#9ecae1", "#bdbdbd"), strict=True))
    sums = [sum(each["cpu_per_clip"][role] for role in roles) for each in sizes]
    limit = GROWTH_LIMIT * min(sizes, key=lambda each: int(each["clips"]))["cpu_per_clip"]["fleet"]
    chart = Chart(
        "What a clip costs: CPU seconds by number of clips",
        "; ".join(f"{each['clips']:,} clips: {total:.3f} s a clip" for each, total in zip(sizes, sums, strict=True)),
        x=(-0.5, len(sizes) - 0.5),
        values=[*sums, limit],
        x_ticks={at: f"{each['clips']:,}" for at, each in enumerate(sizes)},
    )
    for name, colour in roles.items():
        chart.legend(name, colour)
    chart.legend("limit of the fleet (without Postgres)", LIMIT)
    for at, each in enumerate(sizes):
        below = 0.0
        for role, colour in roles.items():
            cost = each["cpu_per_clip"][role]
            chart.bar(at, below, below + cost, width=0.4, colour=colour, label=f"{role}: {cost:.3f} s a clip")
            below += cost
    chart.line([(-0.5, limit), (len(sizes) - 0.5, limit)], colour=LIMIT, dashed=True)
    return chart.render()


def _over_time(samples: Sequence[Figures], title: str, said: str, values: Sequence[float]) -> Chart:
    last = samples[-1]["at"] / 60 if samples else 1.0
    ticks = {at: f"{at:g} min" for at in y_ticks([last]) if at <= last}
    return Chart(title, said, x=(0, last), values=values, x_ticks=ticks)


def _points(samples: Sequence[Figures], values: Sequence[float]) -> list[tuple[float, float]]:
    return [(sample["at"] / 60, value) for sample, value in zip(samples, values, strict=True)]
