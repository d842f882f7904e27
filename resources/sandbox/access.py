"""Tokens and accounts of callers. Any printable token is accepted, so that no set-up is needed."""

from starlette.requests import Request

from resources.sandbox import wire_errors
from resources.sandbox.switches import Switches
from resources.sandbox.wire_errors import WireError

REFUSED_TOKENS = ("expired", "revoked", "invalid")
"""Prefixes of tokens that are refused."""

OTHER_ACCOUNT = "other"
"""Prefix of tokens of another account, whose requests the first account may not read."""


def account_of(request: Request, switches: Switches) -> str:
    """Return the account that the call's token belongs to.

    Raises:
        WireError: the token is missing or refused, with the status that the switch sets.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    good = scheme.lower() == "bearer" and token.isascii() and token.isprintable() and token.strip() == token != ""
    if not good or " " in token or token.startswith(REFUSED_TOKENS):
        raise WireError(int(switches.auth_error), wire_errors.BAD_TOKEN, "The token is missing, expired or revoked.")
    return "other" if token.startswith(OTHER_ACCOUNT) else "sandbox"
