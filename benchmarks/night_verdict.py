"""What a night's records amount to: figures and complaints. Pure."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

GROWTH_LIMIT = 1.3
"""CPU per clip of the largest night, at most so many times that of the smallest."""
FLAT_LIMIT = 1.15
"""Memory in the last quarter of the time in which all runs were busy, over that in the second quarter."""
JUDGED = ("fleet", "runs", "code server", "daemon")
"""Whose memory has to be flat: Postgres fills its buffers, and the sandbox remembers every request by its nature."""
FAULT_PERCENT = 1.0
"""On average each kind must have met at least so many of a hundred requests, half of what was meant: else it shows little."""
ANSWERED = frozenset({"delivered", "refused", "failed", "waiting"})
"""States in which a clip's owner has been told something."""
MIN_LOADED = 16
"""Samples under full load, four in each quarter: fewer say nothing of memory over time."""


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and the largest; nothing for no values."""
    if not values:
        return {}
    return {
        "count": len(values),
        "median": round(percentile(values, 0.5), 2),
        "p95": round(percentile(values, 0.95), 2),
        "max": round(max(values), 2),
    }


def paid_twice(charges: Sequence[Mapping[str, Any]], requests: Sequence[Mapping[str, Any]]) -> list[str]:
    """Inputs that were charged again although their request had not failed.

    A charge after the service itself said that the request had failed is a retry that somebody asked for; any other
    second charge of the same input is the fault that this project promises not to have.
    """
    known = {request["request_id"]: request for request in requests}
    by_input: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for charge in sorted(charges, key=lambda each: each["at"]):
        by_input[charge["input_sha256"]].append(charge)
    twice = []
    for name, found in by_input.items():
        for before, after in pairwise(found):
            request = known.get(before["request_id"], {})
            ended = request.get("finished_at")
            if request.get("state") != "failed" or ended is None or ended > after["at"]:
                twice.append(name)
                break
    return twice


def charged_again(charges: Sequence[Mapping[str, Any]]) -> int:
    """Charges beyond the first of their input, whatever the reason."""
    return len(charges) - len({charge["input_sha256"] for charge in charges})


def most_at_once(requests: Sequence[Mapping[str, Any]]) -> int:
    """The largest number of requests that were at the service at the same time."""
    moments = []
    for request in requests:
        if request["finished_at"] is not None:
            moments += [(request["created_at"], 1), (request["finished_at"], -1)]
    now = most = 0
    for _, change in sorted(moments):
        now += change
        most = max(most, now)
    return most


def unanswered(names: Collection[str], rows: Mapping[str, Any], videos: Mapping[str, int]) -> list[str]:
    """Uploaded clips that are neither delivered nor have a reason.

    Args:
        names: what was uploaded.
        rows: the registry's rows by clip; each has `state` and `reason`.
        videos: sizes of the videos in the bucket, by clip.
    """
    missing = []
    for name in names:
        row = rows.get(name)
        if row is None:
            missing.append(f"{name}: no sensor found it")
        elif row.state == "delivered":
            if not videos.get(name):
                missing.append(f"{name}: delivered, and there is no video")
        elif row.state not in ANSWERED:
            missing.append(f"{name}: still {row.state}")
        elif not row.reason:
            missing.append(f"{name}: {row.state} without a reason")
    return missing


def reasons(rows: Collection[Any]) -> list[dict[str, Any]]:
    """Why clips were not delivered, alike reasons together, the most frequent first."""
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if row.state != "delivered":
            told = re.sub(r"\b[0-9a-f-]{8,}\b|\bn\d+\b(\.\w+)?", "...", row.reason or "")
            counts[str(row.state), told] += 1
    return [{"state": state, "reason": told, "clips": count} for (state, told), count in counts.most_common()]


def loaded(samples: Sequence[Mapping[str, Any]], runs: int) -> list[Mapping[str, Any]]:
    """The samples in which all runs were busy."""
    return [sample for sample in samples if sample["runs"] >= runs]


def flatness(samples: Sequence[Mapping[str, Any]], runs: int, roles: Sequence[str]) -> dict[str, Any]:
    """Memory of the roles under full load: the mean of its second and its last quarter, and the slope.

    The first quarter is left out, since processes that have just begun are still growing into their work.
    """
    found = loaded(samples, runs)
    sums = [sum(sample["mb"][role] for role in roles) for sample in samples]
    figures: dict[str, Any] = {"max_mb": round(max(sums), 1) if sums else 0.0, "loaded_samples": len(found)}
    if len(found) < MIN_LOADED:
        return figures
    at = [sample["at"] / 3600 for sample in found]
    mb = [sum(sample["mb"][role] for role in roles) for sample in found]
    quarter = len(found) // 4
    second, last = _mean(mb[quarter : 2 * quarter]), _mean(mb[-quarter:])
    middle_at, middle_mb = _mean(at), _mean(mb)
    variance = sum((each - middle_at) ** 2 for each in at)
    slope = sum((x - middle_at) * (y - middle_mb) for x, y in zip(at, mb, strict=True)) / variance if variance else 0.0
    return figures | {
        "mean_mb": round(middle_mb, 1),
        "second_quarter_mb": round(second, 1),
        "last_quarter_mb": round(last, 1),
        "ratio": round(last / second, 3),
        "slope_mb_per_hour": round(slope, 1),
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def cost_ratio(growth: Sequence[Mapping[str, Any]], account: str = "fleet") -> float | None:
    """CPU per clip of the largest night over that of the smallest; None where there is no pair of different size."""
    nights = sorted(growth, key=lambda each: each["clips"])
    if len(nights) < 2 or nights[0]["clips"] == nights[-1]["clips"]:
        return None
    return round(float(nights[-1]["cpu_per_clip"][account] / nights[0]["cpu_per_clip"][account]), 3)


def complaints_of(night: Mapping[str, Any], what: str) -> list[str]:
    """What is wrong with one night."""
    wrong = []
    if night["paid_twice"]:
        wrong.append(f"{what}: {len(night['paid_twice'])} inputs were paid twice: {', '.join(night['paid_twice'][:5])}")
    if night["missing"]:
        told = "; ".join(night["missing"][:10])
        wrong.append(f"{what}: {len(night['missing'])} clips are neither delivered nor have a reason: {told}")
    made, delivered = night["made"], night["delivered"]
    if not delivered <= made <= delivered + night["waiting"]:  # what waits may have its video at the service
        wrong.append(f"{what}: the service made {made} videos, {delivered} clips have theirs, {night['waiting']} wait")
    met = [each["percent"] for each in night["faults"]]
    if met and sum(met) < FAULT_PERCENT * len(met):
        wrong.append(f"{what}: each kind of fault met only {sum(met) / len(met):.1f} % of the requests")
    if night["broken"]:
        wrong.append(f"{what}: {night['broken']}")
    return wrong


def judge(figures: Mapping[str, Any]) -> list[str]:
    """All that is wrong with the figures; empty when nothing is."""
    wrong = [f"not measured: {words}" for words in figures.get("not_measured", ())]
    night = figures.get("night")
    if night:
        wrong += complaints_of(night, "the night")
        for name, memory in night["memory"].items():
            if name in JUDGED and memory.get("ratio", 0.0) > FLAT_LIMIT:
                wrong.append(f"memory ({name}) grew to {memory['ratio']} times, at most {FLAT_LIMIT} are allowed")
    for each in figures.get("growth", ()):
        wrong += complaints_of(each, f"{each['clips']} clips without faults")
        if each["delivered"] != each["clips"]:
            wrong.append(f"{each['clips']} clips without faults: only {each['delivered']} were delivered")
    ratio = cost_ratio(figures.get("growth", ()))
    if ratio is not None and ratio > GROWTH_LIMIT:
        wrong.append(f"CPU per clip grows to {ratio} times, at most {GROWTH_LIMIT} are allowed")
    return wrong
