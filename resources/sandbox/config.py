"""The options of a sandbox."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from resources.errors import I2VError

RenderMode = Literal["full", "cached"]

DEFAULT_PORT = 8188
DEFAULT_GENERATION_SECONDS = 4.0
DEFAULT_SPREAD = 0.35
DEFAULT_PRICE_PER_SECOND = 0.2
"""Dollars; invented. Other hosts of these models charge 0.1 to 0.7 dollars a second, so 5 s cost about a dollar."""
DEFAULT_BALANCE = 100_000.0
DEFAULT_QUEUE_SHARE = 0.2


class SandboxConfigError(I2VError):
    """An option of the sandbox is out of range."""


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """The sandbox's options.

    Attributes:
        data: Folder for the state, the outputs and the media; created if missing.
        host: Address to listen on.
        port: Port to listen on; 0 picks a free one.
        generation_seconds: Median time from accepted to ready, in seconds.
        generation_spread: Sigma of the log-normal generation times; 0 makes all the same. 0.67 gives p95 = 3 x median.
        price_per_second: Price of one output second in dollars.
        public_base: Base of the output URLs, such as ``http://files.runcomfy.net:8188``; empty: the address that the
            client called.
        render: ``full`` renders each request, ``cached`` one file per model, duration, resolution and aspect.
        scale: Part of the requested width and height in which videos are drawn; half takes a third of the CPU, for
            tests and load tests that do not look at the picture.
        seed: Determines the generation times and which calls a fault with a probability hits.
        balance: Dollars on the account of a new data folder.
        queue_share: Part of the generation time that a request waits in the queue, during which it can be cancelled.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    generation_seconds: float = DEFAULT_GENERATION_SECONDS
    generation_spread: float = DEFAULT_SPREAD
    price_per_second: float = DEFAULT_PRICE_PER_SECOND
    public_base: str = ""
    render: RenderMode = "full"
    scale: float = 1.0
    seed: int = 0
    balance: float = DEFAULT_BALANCE
    queue_share: float = DEFAULT_QUEUE_SHARE

    def __post_init__(self) -> None:
        """Check every option.

        Raises:
            SandboxConfigError: names the option and its range.
        """
        if not 0 <= self.port <= 65535:
            raise SandboxConfigError(f"--port {self.port} is not a port.", remedy="Use 0 to 65535; 0 picks a free one.")
        for name, value in (
            ("--generation-seconds", self.generation_seconds),
            ("--generation-spread", self.generation_spread),
            ("--price-per-second", self.price_per_second),
        ):
            if not (math.isfinite(value) and value >= 0):
                raise SandboxConfigError(f"{name} {value} is not 0 or more.")
        if not 0 < self.scale <= 1:
            raise SandboxConfigError(f"--scale {self.scale} is not above 0 and at most 1.")
        if not 0 <= self.queue_share <= 1:
            raise SandboxConfigError(f"--queue-share {self.queue_share} is not between 0 and 1.")
        if self.render not in ("full", "cached"):
            raise SandboxConfigError(f"--render {self.render} is unknown.", remedy="Use full or cached.")
        if self.public_base:
            parts = urlsplit(self.public_base)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise SandboxConfigError(
                    f"--public-base {self.public_base!r} is not an http(s) base.", remedy="Use http://HOST:PORT."
                )

    @property
    def price_microdollars(self) -> int:
        """Return the price of one output second in micro-dollars."""
        return round(self.price_per_second * 1_000_000)
