"""Device logins: codes that a person approves in a browser while a client polls."""

import secrets
import time
from dataclasses import dataclass, field
from typing import Literal

Decision = Literal["pending", "authorized", "denied"]

_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
"""Letters of a user code: no vowels, so that no words appear, and none that looks like a digit."""

POLL_SECONDS = 1


@dataclass(slots=True)
class Login:
    """One login in progress.

    Attributes:
        device_code: The client's secret.
        user_code: The code that the person sees.
        expires_at: Monotonic seconds.
        decision: The person's decision.
        token: The access token once authorized.
    """

    device_code: str
    user_code: str
    expires_at: float
    decision: Decision = "pending"
    token: str = field(default_factory=lambda: f"sandbox-{secrets.token_urlsafe(24)}")

    @property
    def status(self) -> str:
        """Return the status that a poll answers."""
        if self.decision == "pending" and time.monotonic() > self.expires_at:
            return "expired"
        return self.decision


class Logins:
    """Logins of this process; they live for minutes and are not stored."""

    def __init__(self) -> None:
        self._by_device: dict[str, Login] = {}

    def start(self, seconds: float) -> Login:
        """Start a login that expires after ``seconds``."""
        letters = "".join(secrets.choice(_ALPHABET) for _ in range(8))
        login = Login(secrets.token_urlsafe(24), f"{letters[:4]}-{letters[4:]}", time.monotonic() + seconds)
        self._by_device[login.device_code] = login
        return login

    def pending(self) -> list[Login]:
        """Return the logins that wait for a decision."""
        return [login for login in self._by_device.values() if login.status == "pending"]

    def of_device(self, device_code: str) -> Login | None:
        """Return the login of a client's secret."""
        return self._by_device.get(device_code)

    def of_user(self, user_code: str) -> Login | None:
        """Return the login of a user code."""
        return next((login for login in self._by_device.values() if login.user_code == user_code.strip().upper()), None)
