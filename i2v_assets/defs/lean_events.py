"""Write an event of Dagster in fewer bytes, so that reading it gives the same event.

Two thirds of a short event are empty fields and repetitions: the step's name stands in it five times, the job's twice.
Postgres compresses only rows above 2 kB, which most events are not; spaces at the end of the text make it do so, and take
no room themselves.
"""

import json
from collections.abc import Mapping
from typing import Any, TypeGuard

import dagster as dg

COMPRESSED_FROM = 2_033
"""Bytes of a row from which Postgres compresses it (TOAST_TUPLE_THRESHOLD is 2,032), whatever a table's settings say."""

WORTH_COMPRESSING = 700
"""Bytes of an event from which it is shorter when it is compressed; a log line of 300 is not."""

NEEDED = {("EventLogEntry", "error_info"), ("SolidHandle", "parent")}
"""Empty fields that Dagster 1.13 does not fill in when it reads."""

ENTRY = '{"__class__": "EventLogEntry"'
"""How the text of every event begins."""

_safe: set[tuple[str, str]] = set()
"""Class and field pairs that were left out before; Dagster read the event back unchanged."""


def without_repetitions(entry: dg.EventLogEntry) -> dg.EventLogEntry:
    """Return the entry without the event's logging tags, and without its message a second time.

    The tags name the run, the job, the step and the op, each of which is a field of its own. `EventLogEntry.message` is the
    event's message.
    """
    event = entry.dagster_event
    if event is None:
        return entry
    repeated = entry.user_message == event.message
    return entry._replace(
        dagster_event=event._replace(logging_tags={}), user_message="" if repeated else entry.user_message
    )


def without_place(entry: dg.EventLogEntry) -> dg.EventLogEntry:
    """Return the entry without the op of its step, for the second copy that Dagster keeps of a check's evaluation."""
    event = entry.dagster_event
    return entry if event is None else entry._replace(dagster_event=event._replace(step_handle=None, node_handle=None))


def for_postgres(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a statement's parameters with shorter events among them."""
    return {name: _fit(value) if _is_entry(value) else value for name, value in parameters.items()}


def _is_entry(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.startswith(ENTRY)


def _fit(text: str) -> str:
    short = shorten(text)
    return short.ljust(COMPRESSED_FROM) if len(short) >= WORTH_COMPRESSING else short


def shorten(text: str) -> str:
    """Return the JSON of an entry without spaces and without fields that Dagster fills in when it reads; else ``text``.

    What is left out for the first time in a process is read back and compared.
    """
    left_out: set[tuple[str, str]] = set()
    short = json.dumps(_without_defaults(json.loads(text), left_out), separators=(",", ":"))
    if not left_out <= _safe:
        if _read(short) != _read(text):
            return text
        _safe.update(left_out)
    return short


def _without_defaults(value: Any, left_out: set[tuple[str, str]]) -> Any:
    if isinstance(value, list):
        return [_without_defaults(each, left_out) for each in value]
    if not isinstance(value, dict):
        return value
    name = value.get("__class__")
    if name == "JsonMetadataEntryData":
        return value  # a document, in which an empty field may mean something
    kept = {}
    for field, inner in value.items():
        if isinstance(name, str) and _is_default(field, inner, value):
            left_out.add((name, field))
        else:
            kept[field] = _without_defaults(inner, left_out)
    return kept


def _is_default(field: str, inner: Any, of: dict[str, Any]) -> bool:
    if field == "step_handle" and isinstance(inner, dict):  # Dagster makes it from the op's handle
        return inner.get("solid_handle") == of.get("solid_handle") and inner.get("key") == of.get("step_key")
    if (of["__class__"], field) in NEEDED:
        return False
    return inner is None or (field == "logging_tags" and inner == {})


def _read(text: str) -> object:
    try:
        return dg.deserialize_value(text, dg.EventLogEntry)
    except (TypeError, ValueError, KeyError, dg.DagsterError) as error:  # a release of Dagster that needs a field
        return error
