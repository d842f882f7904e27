"""One webhook that takes ``{"text": ...}`` as JSON: Slack's, and compatible ones (Mattermost, Rocket.Chat, Zulip)."""

from typing import TYPE_CHECKING

from pydantic import SecretStr

from resources.errors import I2VError, Verdict

if TYPE_CHECKING:
    import httpx

SECONDS = 10.0
"""Seconds to connect, and between two bytes: a message must not delay a sensor's evaluation."""


class AlertError(I2VError):
    """The message was not accepted. The error never contains the webhook's address, which is a secret."""


class AlertNotTaken(AlertError):
    """The webhook could not be reached, or cannot accept messages now."""

    verdict = Verdict.RETRYABLE


class Webhook:
    """The webhook that receives alerts."""

    def __init__(self, url: SecretStr, *, transport: "httpx.BaseTransport | None" = None) -> None:
        self._url = url
        self._transport = transport

    def __repr__(self) -> str:
        return "Webhook()"

    def send(self, text: str) -> None:
        """Post one message.

        Raises:
            AlertNotTaken: not reached, slow, 429 or 5xx; sending the message again later may work.
            AlertError: rejected, or the address is malformed; the setting must be corrected.
        """
        import httpx

        from resources.runcomfy.transport import hide_addresses_in_logs

        hide_addresses_in_logs()
        remedy = "Check I2V_ALERT_WEBHOOK."
        try:
            with httpx.Client(timeout=SECONDS, transport=self._transport, trust_env=self._transport is None) as client:
                status = client.post(self._url.get_secret_value(), json={"text": text}).status_code
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError):
            failure: AlertError = AlertError("I2V_ALERT_WEBHOOK is not a web address.", remedy=remedy)
        except (httpx.HTTPError, OSError) as error:
            failure = AlertNotTaken(f"The alert webhook does not answer: {type(error).__name__}.", remedy=remedy)
        else:
            if 200 <= status < 300:
                return
            kind = AlertNotTaken if status == 429 or status >= 500 else AlertError
            failure = kind(f"The alert webhook answered {status}.", remedy=remedy)
        raise failure from None
