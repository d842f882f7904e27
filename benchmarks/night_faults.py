"""The faults of the sandbox in the bad night. Each affects a set share of the clips, spread over the night.

Left out, with reasons: account faults (401, 402), because every clip then waits for a person; `stuck` and `stuck_in_queue`,
which hold a run until its deadline of half an hour; a submit that times out, which holds it for two minutes (to the ledger it
is a `disconnect_after`); a hostile address, which is an attack; and defects of the video, which the quality checks detect and
which cost no request.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

SHARE = 0.02
"""Share of the clips that each kind affects."""

POLLS = 5
"""Approximate polls per clip. A fault of polls is this many times rarer, so that it too affects 2 % of the clips."""

MANY = 1_000_000
"""More than a night can use up."""

ASK_SECONDS = 20.0
"""Timeout of the sandbox's operator API on a machine whose cores are all busy."""


@dataclass(frozen=True, eq=False)
class Fault:
    """One kind of fault at one call.

    Attributes:
        where: The call.
        kind: The fault; docs/sandbox.md has the table.
        more: Further fields of the fault.
        slow: True if the affected call takes half a minute or more, too long for a trial.
    """

    where: str
    kind: str
    more: Mapping[str, object] = field(default_factory=dict)
    slow: bool = False

    @property
    def name(self) -> str:
        """The fault's name in the report."""
        return f"{self.where} {self.kind}"


SOON: dict[str, object] = {"retry_after": 1}
"""The whole fleet obeys a pause, so pauses are short: a night has about a hundred of them."""

CONTENT: dict[str, object] = {"message": "The picture violates the content policy."}
"""A permanent refusal: the clip fails with this reason, and a retry cannot help."""

FAILED: dict[str, object] = {"message": "The generation failed: no worker was left."}
"""A retryable failure; the sandbox's default message names content, which is never retried."""

FAULTS = (
    Fault("submit", "http_422", CONTENT),
    Fault("submit", "http_429", SOON),
    Fault("submit", "http_500"),
    Fault("submit", "http_503"),
    Fault("submit", "disconnect_before"),
    Fault("submit", "disconnect_after"),
    Fault("submit", "garbage"),
    Fault("submit", "error_200"),
    Fault("submit", "failed_result", FAILED),
    Fault("fetch_input", "http_404"),
    Fault("fetch_input", "http_500"),
    Fault("fetch_input", "timeout"),
    Fault("fetch_input", "disconnect_before"),
    Fault("fetch_input", "garbage"),
    Fault("fetch_input", "failed_result", FAILED),
    Fault("result", "http_429", SOON),
    Fault("result", "http_500"),
    Fault("result", "http_503"),
    Fault("result", "timeout", slow=True),
    Fault("result", "disconnect_before"),
    Fault("result", "disconnect_after"),
    Fault("result", "garbage"),
    Fault("result", "error_200"),
    Fault("result", "unknown_word"),
    Fault("download", "http_404"),
    Fault("download", "http_429", SOON),
    Fault("download", "http_500"),
    Fault("download", "http_503"),
    Fault("download", "timeout", slow=True),
    Fault("download", "disconnect_before"),
    Fault("download", "disconnect_after"),
    Fault("download", "garbage"),
    Fault("download", "truncated"),
    Fault("download", "too_large", slow=True),
)
"""Every kind that applies to a clip."""


def bodies(faults: Sequence[Fault], share: float = SHARE) -> list[dict[str, object]]:
    """Return the sandbox's fault configuration; each kind hits its calls at random, from the sandbox's seed."""
    return [
        {
            "where": fault.where, "kind": fault.kind, "times": MANY,
            "probability": share / (POLLS if fault.where == "result" else 1), **fault.more,
        }
        for fault in faults
    ]  # fmt: skip


def queue(url: str, faults: Sequence[Fault]) -> None:
    """Configure these faults in the sandbox.

    Raises:
        httpx.HTTPError: the sandbox rejects them.
    """
    httpx.post(f"{url}/_sandbox/faults", json=bodies(faults), timeout=ASK_SECONDS, trust_env=False).raise_for_status()


def met(queued: Sequence[Mapping[str, Any]], accepted: int) -> list[dict[str, Any]]:
    """Return how many calls each kind hit, and per hundred accepted requests, from the sandbox's queue."""
    return [
        {
            "fault": f"{entry['where']} {entry['kind']}",
            "met": entry["hit"],
            "percent": round(100 * entry["hit"] / accepted, 1) if accepted else 0.0,
        }
        for entry in queued
    ]
