"""The only place that removes addresses and credentials from text: for logs, notes, the ledger, manifests and the UI.

Presigned addresses and output addresses grant access to whoever holds them, so every address is removed, not only the
ones that are recognisably signed.
"""

import json
import re

REMOVED = "[removed]"
"""The replacement for a secret."""

MAX_LINE = 500
"""Characters of a service's message that are kept: enough for a sentence, too few for an HTML page."""

_END = r"[^\s\"'<>]"
_DATA = rf"\bdata:[\w.+-]+/[\w.+-]+[;,]{_END}*"  # a file inside a line
_CREDENTIALS = (
    r"\bbearer\s+\S+",
    r"\b(?:token|api[_-]?key|authorization)(?:\s*[:=]\s*|\s+)[\"']?[A-Za-z0-9._~+/=-]{12,}[\"']?",
    r"\bx-amz-[a-z-]+=\S+",
    r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*",  # a JSON web token
)
# One slash is enough: clients correct `https:/host`. Two letters at least, so that `C:/` stays readable.
_ADDRESS = rf"\b[a-z][a-z0-9+.-]+:/{{1,2}}{_END}+"
_SIGNED = rf"\bhttps?://{_END}*[?&]{_END}*(?:signature|token|credential|x-amz-|key-pair-id|sig=){_END}*"
_SECRETS = re.compile("|".join((_DATA, _ADDRESS, *_CREDENTIALS)), re.IGNORECASE)
_SECRETS_OF_INPUTS = re.compile("|".join((_DATA, _SIGNED, r"\bbearer\s+[\w.~+/=-]{16,}")), re.IGNORECASE)


def redact(text: str) -> str:
    """Return the text with every address and credential replaced by ``[removed]``."""
    return _SECRETS.sub(REMOVED, text)


def redact_inputs(text: str) -> str:
    """Return a prompt without signed addresses, tokens and inline media; a plain address in its text stays."""
    return _SECRETS_OF_INPUTS.sub(REMOVED, text)


def redact_line(value: object, *, limit: int = MAX_LINE) -> str:
    """Return a value from outside as one printable line without secrets, of at most ``limit`` characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = redact(text[: 20 * limit])
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def looks_secret(text: str) -> bool:
    """Return True if the text contains what looks like an address or a credential."""
    return _SECRETS.search(text) is not None
