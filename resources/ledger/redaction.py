"""Keeps secrets out of the ledger, whatever text it is given."""

import re

MAX_REASON = 2000
"""Characters of a reason that are kept; a service's error page may be long."""

_URL = re.compile(r"\b(?:https?|s3)://[^\s\"'<>\\)\]}]+", re.IGNORECASE)
_SIGNED = re.compile(
    r"\bhttps?://[^\s\"'<>\\]*[?&][^\s\"'<>\\]*(?:signature|token|credential|x-amz-|key-pair-id|sig=)[^\s\"'<>\\]*",
    re.IGNORECASE,
)
_BEARER = re.compile(
    r"\b(bearer|token|api[_-]?key|authorization)(\s*[:=]?\s+|\s*[:=]\s*)[\"']?[A-Za-z0-9._~+/=-]{12,}[\"']?",
    re.IGNORECASE,
)
_HEADER = re.compile(r"\bbearer\s+[A-Za-z0-9._~+/=-]{16,}", re.IGNORECASE)
_DATA = re.compile(r"\bdata:[\w/+.-]+;base64,[A-Za-z0-9+/=]+", re.IGNORECASE)


def safe_reason(text: str | None) -> str | None:
    """A reason without URLs (outputs and inputs are bearers' URLs), tokens and inline media, cut to a length."""
    if text is None:
        return None
    text = _URL.sub("<url>", _DATA.sub("<data>", text))
    return _BEARER.sub(r"\1 <secret>", text)[:MAX_REASON]


def safe_inputs(text: str) -> str:
    """Inputs without signed URLs, tokens and inline media; a plain address that a prompt speaks of stays."""
    return _HEADER.sub("<secret>", _SIGNED.sub("<url>", _DATA.sub("<data>", text)))
