"""Which of a bucket's lifecycle rules would take away what has to stay. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

_COLD = {"GLACIER", "DEEP_ARCHIVE"}
"""Storage classes that cannot be read at once (S3 API reference, Transition)."""


def rules_over(rules: Iterable[Mapping[str, Any]], prefix: str) -> tuple[str, ...]:
    """Return the names of enabled rules that delete or freeze current objects below a prefix.

    Args:
        rules: as GetBucketLifecycleConfiguration returns them.
        prefix: such as ``requests/``; its objects carry no tags.
    """
    found = []
    for number, rule in enumerate(rules, 1):
        if rule.get("Status") != "Enabled" or not _ends_objects(rule):
            continue
        scope = _scope(rule)
        if scope is not None and (scope.startswith(prefix) or prefix.startswith(scope)):
            found.append(str(rule.get("ID") or f"number {number}"))
    return tuple(found)


def _ends_objects(rule: Mapping[str, Any]) -> bool:
    expiration = rule.get("Expiration") or {}
    cold = any(each.get("StorageClass") in _COLD for each in rule.get("Transitions") or ())
    return cold or "Days" in expiration or "Date" in expiration


def _scope(rule: Mapping[str, Any]) -> str | None:
    """The prefix that a rule is about; None if it is only about objects with tags."""
    where = rule.get("Filter") or {}
    both = where.get("And") or {}
    if "Tag" in where or both.get("Tags"):
        return None
    return str(where.get("Prefix") or both.get("Prefix") or rule.get("Prefix") or "")
