"""The bad night: which faults the sandbox is told to have. Each meets a set share of the clips, spread over the night.

Left out, with their reasons: what concerns the account and not a clip (401, 402: every clip then waits for a person);
`stuck` and `stuck_in_queue`, which hold a run until its deadline of half an hour, and a submit that times out, which holds
it for two minutes (to the ledger it is a `disconnect_after`); a hostile address, which is an attack; and the defects of the
video itself, which the quality checks find and which cost no request.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

SHARE = 0.02
"""Of the clips, for each kind."""

POLLS = 5
"""Questions for the result that a clip costs, about: a kind there hits so many times more rarely, so that it too meets
2 % of the clips."""

MANY = 1_000_000
"""They are not used up in a night."""

ASK_SECONDS = 20.0
"""What the sandbox may take to answer its operator on a machine whose cores are all taken."""


@dataclass(frozen=True, eq=False)
class Fault:
    """One kind of fault at one call.

    Attributes:
        where: The call.
        kind: What happens there; docs/sandbox.md has the table.
        more: Further fields of the fault.
        slow: What it hits is answered only after half a minute or more, too long for a trial.
    """

    where: str
    kind: str
    more: Mapping[str, object] = field(default_factory=dict)
    slow: bool = False

    @property
    def name(self) -> str:
        """As the report calls it."""
        return f"{self.where} {self.kind}"


SOON: dict[str, object] = {"retry_after": 1}
"""A pause is obeyed by the whole fleet, and a hundred of them are to leave time to work."""

CONTENT: dict[str, object] = {"message": "The picture violates the content policy."}
"""A refusal that no second try mends: the clip fails for good, with this reason."""

FAILED: dict[str, object] = {"message": "The generation failed: no worker was left."}
"""A failure that may go well the next time; the sandbox's own words speak of content, which is never tried again."""

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
"""Every kind that makes sense for a clip."""


def bodies(faults: Sequence[Fault], share: float = SHARE) -> list[dict[str, object]]:
    """What the sandbox is sent before the night: each kind hits its calls by chance, from the sandbox's own seed."""
    return [
        {
            "where": fault.where, "kind": fault.kind, "times": MANY,
            "probability": share / (POLLS if fault.where == "result" else 1), **fault.more,
        }
        for fault in faults
    ]  # fmt: skip


def queue(url: str, faults: Sequence[Fault]) -> None:
    """From now on the sandbox has these faults.

    Raises:
        httpx.HTTPError: it does not take them.
    """
    httpx.post(f"{url}/_sandbox/faults", json=bodies(faults), timeout=ASK_SECONDS, trust_env=False).raise_for_status()


def met(queued: Sequence[Mapping[str, Any]], accepted: int) -> list[dict[str, Any]]:
    """How many calls met each kind, also for each hundred accepted requests; from what the sandbox says of its queue."""
    return [
        {
            "fault": f"{entry['where']} {entry['kind']}",
            "met": entry["hit"],
            "percent": round(100 * entry["hit"] / accepted, 1) if accepted else 0.0,
        }
        for entry in queued
    ]
