"""Texts from outside, made fit for people and logs.

The service's messages may quote the user's own presigned URLs, an output's address or a token; every text of the service
passes here before a person, a log, an exception or the ledger sees it.
"""

import json
import re

MAX_TEXT = 500
"""Characters of a service's message that are kept: enough for a sentence, too few for an HTML page."""

_URL = re.compile(r"\b[a-z][a-z0-9+.-]*:/{1,2}[^\s\"'<>]*|\bdata:[^\s\"'<>]*", re.IGNORECASE)
_BEARER = re.compile(r"\bbearer\s+\S+", re.IGNORECASE)


def plain_text(value: object, *, limit: int = MAX_TEXT) -> str:
    """A text from outside made fit for people and logs: one line, no addresses, no token, no control characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = _BEARER.sub("Bearer [hidden]", _URL.sub("[address hidden]", text[: 20 * limit]))
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
