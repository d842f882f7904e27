"""Who calls: tokens and accounts. Any printable token is good, so that no set-up is needed."""

from starlette.requests import Request

from resources.sandbox import wire_errors
from resources.sandbox.switches import Switches
from resources.sandbox.wire_errors import WireError

REFUSED_TOKENS = ("expired", "revoked", "invalid")
"""Tokens that begin so are refused."""

OTHER_ACCOUNT = "other"
"""Tokens that begin so belong to another account, whose requests the first may not read."""


def account_of(request: Request, switches: Switches) -> str:
    """The account that the call's token belongs to.

    Raises:
        WireError: the token is missing or refused, in the status of the switch.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    good = scheme.lower() == "bearer" and token.isascii() and token.isprintable() and token.strip() == token != ""
    if not good or " " in token or token.startswith(REFUSED_TOKENS):
        raise WireError(int(switches.auth_error), wire_errors.BAD_TOKEN, "The token is missing, expired or revoked.")
    return "other" if token.startswith(OTHER_ACCOUNT) else "sandbox"
