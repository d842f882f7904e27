"""One webhook that takes ``{"text": ...}`` as JSON: Slack's, and what speaks like it (Mattermost, Rocket.Chat, Zulip)."""

from typing import TYPE_CHECKING

from pydantic import SecretStr

from resources.errors import I2VError, Verdict

if TYPE_CHECKING:
    import httpx

SECONDS = 10.0
"""For connecting, and between two bytes: a message is no reason to hold an evaluation up."""


class AlertError(I2VError):
    """The message was not taken; its text never holds the webhook's address, which is a secret."""


class AlertNotTaken(AlertError):
    """The webhook could not be reached, or cannot take messages now."""

    verdict = Verdict.RETRYABLE


class Webhook:
    """Where alerts go."""

    def __init__(self, url: SecretStr, *, transport: "httpx.BaseTransport | None" = None) -> None:
        self._url = url
        self._transport = transport

    def __repr__(self) -> str:
        return "Webhook()"

    def send(self, text: str) -> None:
        """Post one message.

        Raises:
            AlertNotTaken: not reached, slow, 429 or 5xx: the same message makes sense later.
            AlertError: refused, or the address is malformed: the setting has to be mended.
        """
        import httpx

        from resources.runcomfy.transport import hide_addresses_in_logs

        hide_addresses_in_logs()
        remedy = "Check I2V_ALERT_WEBHOOK."
        try:
            with httpx.Client(timeout=SECONDS, transport=self._transport, trust_env=self._transport is None) as client:
                status = client.post(self._url.get_secret_value(), json={"text": text}).status_code
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError):
            failure: AlertError = AlertError("The alert webhook is no address of the web.", remedy=remedy)
        except (httpx.HTTPError, OSError) as error:
            failure = AlertNotTaken(f"The alert webhook does not answer: {type(error).__name__}.", remedy=remedy)
        else:
            if 200 <= status < 300:
                return
            kind = AlertNotTaken if status == 429 or status >= 500 else AlertError
            failure = kind(f"The alert webhook answered {status}.", remedy=remedy)
        raise failure from None
