"""Whether the model that answered is the one that was paid for. Pure."""

import re

from resources.schemas.families import record_of

_PINNED = re.compile(r"[@:].*$")
_DASHED = re.compile(r"(?<=\d)-(?=\d)")
_V = re.compile(r"(?<![a-z0-9])v(?=\d)")
_ZERO = re.compile(r"(\d)\.0(?![\d.])")


def same_model(paid: str | None, answered: str | None) -> bool:
    """Return whether two ids name one model: ids of one family, and spellings with dashes, dots or a pinned version.

    An id that is not given says nothing, so it counts as the same.
    """
    if not paid or not answered:
        return True
    if _plain(paid) == _plain(answered):
        return True
    record = record_of(_unpinned(paid))
    return record is not None and record is record_of(_unpinned(answered))


def _unpinned(model_id: str) -> str:
    return _PINNED.sub("", model_id.strip().lower())


def _plain(model_id: str) -> str:
    """Return an id in the one spelling that all of its spellings share: ``wan-2-7``, ``wan-v2.7`` and ``wan-2.7`` are one."""
    dotted = _DASHED.sub(".", _V.sub("", _unpinned(model_id)))
    return _ZERO.sub(r"\1", dotted)
