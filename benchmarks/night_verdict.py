"""Figures and complaints from a night's records. Pure."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

GROWTH_LIMIT = 1.3
"""Maximum ratio of the CPU per clip of the largest night to that of the smallest."""
FLAT_LIMIT = 1.15
"""Maximum ratio of memory in the last quarter of the fully loaded time to that in the second quarter."""
JUDGED = ("fleet", "runs", "code server", "daemon")
"""Roles whose memory must be flat. Postgres fills its buffers, and the sandbox stores every request by design."""
FAULT_PERCENT = 1.0
"""Minimum mean percentage of requests that each kind of fault hit: half the intended share. Below it the night proves little."""
WITH_RESULT = frozenset({"delivered", "refused", "failed", "waiting"})
"""States in which a clip has a result or a note."""
MIN_LOADED = 16
"""Minimum samples under full load, four per quarter; fewer cannot show a trend in memory."""


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which this share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, 95th percentile and maximum; empty if there are no values."""
    if not values:
        return {}
    return {
        "count": len(values),
        "median": round(percentile(values, 0.5), 2),
        "p95": round(percentile(values, 0.95), 2),
        "max": round(max(values), 2),
    }


def paid_twice(charges: Sequence[Mapping[str, Any]], requests: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return inputs that were charged again although their request had not failed.

    A charge after the service reported the request as failed is an intended retry. Any other second charge of the same
    input is the error that this project promises to prevent.
    """
    by_id = {request["request_id"]: request for request in requests}
    by_input: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for charge in sorted(charges, key=lambda each: each["at"]):
        by_input[charge["input_sha256"]].append(charge)
    twice = []
    for name, same_input in by_input.items():
        for before, after in pairwise(same_input):
            request = by_id.get(before["request_id"], {})
            ended = request.get("finished_at")
            if request.get("state") != "failed" or ended is None or ended > after["at"]:
                twice.append(name)
                break
    return twice


def charged_again(charges: Sequence[Mapping[str, Any]]) -> int:
    """Return the number of charges beyond the first of their input, for any reason."""
    return len(charges) - len({charge["input_sha256"] for charge in charges})


def most_at_once(requests: Sequence[Mapping[str, Any]]) -> int:
    """Return the maximum number of concurrent requests at the service."""
    moments = []
    for request in requests:
        if request["finished_at"] is not None:
            moments += [(request["created_at"], 1), (request["finished_at"], -1)]
    now = most = 0
    for _, change in sorted(moments):
        now += change
        most = max(most, now)
    return most


def without_result(names: Collection[str], rows: Mapping[str, Any], videos: Mapping[str, int]) -> list[str]:
    """Return uploaded clips that are neither delivered nor have a reason.

    Args:
        names: The uploaded clips.
        rows: The registry's rows by clip; each has `state` and `reason`.
        videos: Sizes of the videos in the bucket, by clip.
    """
    missing = []
    for name in names:
        row = rows.get(name)
        if row is None:
            missing.append(f"{name}: no sensor found it")
        elif row.state == "delivered":
            if not videos.get(name):
                missing.append(f"{name}: delivered, but it has no video")
        elif row.state not in WITH_RESULT:
            missing.append(f"{name}: still {row.state}")
        elif not row.reason:
            missing.append(f"{name}: {row.state} without a reason")
    return missing


def reasons(rows: Collection[Any]) -> list[dict[str, Any]]:
    """Return why clips were not delivered, grouped by similar reasons, most frequent first."""
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if row.state != "delivered":
            reason = re.sub(r"\b[0-9a-f-]{8,}\b|\bn\d+\b(\.\w+)?", "...", row.reason or "")
            counts[str(row.state), reason] += 1
    return [{"state": state, "reason": reason, "clips": count} for (state, reason), count in counts.most_common()]


def loaded(samples: Sequence[Mapping[str, Any]], runs: int) -> list[Mapping[str, Any]]:
    """Return the samples in which all runs were busy."""
    return [sample for sample in samples if sample["runs"] >= runs]


def flatness(samples: Sequence[Mapping[str, Any]], runs: int, roles: Sequence[str]) -> dict[str, Any]:
    """Return the roles' memory under full load: the means of its second and last quarter, and the slope.

    The first quarter is left out, because new processes still allocate their working memory.
    """
    busy = loaded(samples, runs)
    sums = [sum(sample["mb"][role] for role in roles) for sample in samples]
    figures: dict[str, Any] = {"max_mb": round(max(sums), 1) if sums else 0.0, "loaded_samples": len(busy)}
    if len(busy) < MIN_LOADED:
        return figures
    at = [sample["at"] / 3600 for sample in busy]
    mb = [sum(sample["mb"][role] for role in roles) for sample in busy]
    quarter = len(busy) // 4
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
    """Return the CPU per clip of the largest night divided by that of the smallest; None if all sizes are equal."""
    nights = sorted(growth, key=lambda each: each["clips"])
    if len(nights) < 2 or nights[0]["clips"] == nights[-1]["clips"]:
        return None
    return round(float(nights[-1]["cpu_per_clip"][account] / nights[0]["cpu_per_clip"][account]), 3)


def complaints_of(night: Mapping[str, Any], what: str) -> list[str]:
    """Return what is wrong with one night."""
    wrong = []
    if night["paid_twice"]:
        wrong.append(f"{what}: {len(night['paid_twice'])} inputs were paid twice: {', '.join(night['paid_twice'][:5])}")
    if night["missing"]:
        examples = "; ".join(night["missing"][:10])
        wrong.append(f"{what}: {len(night['missing'])} clips are neither delivered nor have a reason: {examples}")
    made, delivered = night["made"], night["delivered"]
    if not delivered <= made <= delivered + night["waiting"]:  # a waiting clip may have its video at the service
        wrong.append(f"{what}: the service made {made} videos, {delivered} clips have theirs, {night['waiting']} wait")
    met = [each["percent"] for each in night["faults"]]
    if met and sum(met) < FAULT_PERCENT * len(met):
        wrong.append(f"{what}: each kind of fault met only {sum(met) / len(met):.1f} % of the requests")
    if night["broken"]:
        wrong.append(f"{what}: {night['broken']}")
    return wrong


def judge(figures: Mapping[str, Any]) -> list[str]:
    """Return everything that is wrong with the figures; empty if nothing is."""
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
