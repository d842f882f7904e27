"""Check a body against a live schema. It is run in the limited process, because a pattern can take forever."""

import json
import re
from collections.abc import Iterator
from typing import Any

from resources.schemas.inputs import marked_medium

MOST_PROBLEMS = 10
"""Problems that are reported at once."""

_STANDS_FOR_A_FILE = "https://files.invalid/file"


def violations(schema_text: str, body_text: str) -> list[str]:
    """Return what a live schema says of a body, in its own words; empty if the body fits.

    Args:
        schema_text: The cleaned schema as JSON (`LiveSchema.plain`).
        body_text: The body with its media by number, as JSON.
    """
    from jsonschema import Draft202012Validator

    schema, body = json.loads(schema_text), _with_addresses(json.loads(body_text))
    _drop_broken_patterns(schema)
    errors = sorted(Draft202012Validator(schema).iter_errors(body), key=lambda error: list(map(str, error.path)))
    return [_in_words(error) for error in errors[:MOST_PROBLEMS]]


def _in_words(error: Any) -> str:
    where = ".".join(str(step) for step in error.absolute_path)
    stated = json.dumps(error.validator_value, ensure_ascii=False)
    if error.validator in ("required", "additionalProperties"):
        return f"{where + ': ' if where else ''}{error.message[:200]}"
    return f"{where or 'the inputs'}: the schema says {error.validator} {stated[:200]}"


def _with_addresses(value: Any) -> Any:
    if marked_medium(value) is not None:
        return _STANDS_FOR_A_FILE
    if isinstance(value, dict):
        return {name: _with_addresses(each) for name, each in value.items()}
    return [_with_addresses(each) for each in value] if isinstance(value, list) else value


def _drop_broken_patterns(part: Any) -> None:
    for each in _parts(part):
        try:
            re.compile(each.get("pattern", "") if isinstance(each.get("pattern"), str) else "")
        except (re.error, OverflowError, RecursionError):
            del each["pattern"]


def _parts(part: Any) -> "Iterator[dict[str, Any]]":
    if isinstance(part, dict):
        yield part
        for each in part.values():
            yield from _parts(each)
    elif isinstance(part, list):
        for each in part:
            yield from _parts(each)
