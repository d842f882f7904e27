"""Small YAML and JSON files that people write, read without surprises.

Read in one dialect, whichever of the two it is: ``yes``, ``no`` and ``on`` are words (a dub into ``no``, Norwegian, is a
language), ``16:9`` is a ratio and not a number in base 60, ``0001`` keeps its zeros, dates stay words. What a file could
use against its reader is refused: anchors and aliases (a few lines can expand to gigabytes), tags, deep nesting, keys
given twice (the first would be lost without a word), characters that nothing can keep, anything over 64 KB.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import yaml

from resources.errors import ErrorCode, I2VError

DocumentFormat: TypeAlias = Literal["yaml", "yml", "json"]

MAX_DOCUMENT_BYTES = 64 * 1024
"""Largest brief, defaults or preset file. A brief with every field and a prompt at the longest limit has 6 KB."""

MAX_DEPTH = 6
"""Deepest nesting; the deepest that any file of the project needs is 3."""


_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""No text of people: control characters but tab and line ends, and halves of characters. A NUL is taken by no column of
Postgres, half a character by no UTF-8 file, and the rest by no reader of a prompt; escapes (``\\0``, ``\\ud800``) write them."""


class DocumentError(I2VError):
    """A file that a person wrote cannot be read as YAML or JSON."""

    code = ErrorCode.INPUT


@dataclass(frozen=True)
class Document:
    """The top level of a file: its keys with their values, and the line (from 1) where each key stands, where known."""

    data: dict[str, Any]
    lines: dict[str, int] = field(default_factory=dict)


def decode(data: bytes, name: str) -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    Raises:
        DocumentError: the bytes are not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DocumentError(f"{name}: line {line} is not UTF-8 text.", remedy="Save the file as UTF-8.") from None


def read_document(text: str, name: str, kind: DocumentFormat) -> Document:
    """Reads a file whose top level is a list of keys; an empty file has none.

    Args:
        text: The file's text.
        name: What to call the file in messages.
        kind: How it is written.

    Raises:
        DocumentError: too large, malformed (with the line), a key twice, or no keys at the top.
    """
    if len(text.encode("utf-8", "replace")) > MAX_DOCUMENT_BYTES:
        raise DocumentError(
            f"{name} is larger than {MAX_DOCUMENT_BYTES // 1024} KB.",
            remedy="Keep only the keys that are needed in it.",
        )
    document = _read_json(text, name) if kind == "json" else _read_yaml(text, name)
    if document is None:
        return Document({})
    data, lines = document
    if not isinstance(data, dict):
        raise DocumentError(
            f"{name} must hold keys with values, such as `prompt: slow push in`, and holds {plain_type(data)}.",
            remedy='Write keys and values between braces: {"prompt": "slow push in"}.'
            if kind == "json"
            else "Write one key per line.",
        )
    for key in data:
        if not isinstance(key, str):
            raise DocumentError(f"{name}: the key {key!r} is no word.", remedy="Put it in quotes, or remove it.")
    check_characters(data, name)
    return Document(data, lines)


def check_characters(data: Mapping[str, Any], name: str) -> None:
    """Every text of a document, its keys too, is one that can be kept and sent.

    Raises:
        DocumentError: one holds a control character or half a character; names the key.
    """
    for key, value in data.items():
        waiting: list[object] = [key, value]
        while waiting:
            part = waiting.pop()
            if isinstance(part, dict):
                waiting += [*part, *part.values()]
            elif isinstance(part, list | tuple):
                waiting += part
            elif isinstance(part, str) and (found := _UNFIT.search(part)):
                what = "half a character" if "\ud800" <= found[0] <= "\udfff" else "a control character"
                raise DocumentError(
                    f"{name}: `{writable(key)}` holds {what} (U+{ord(found[0]):04X}).",
                    remedy="Retype the text there, and save the file as UTF-8.",
                )


def writable(text: str) -> str:
    """A word of a document as it may stand in a message: what cannot be printed as its number, not too long."""
    shown = text if text.isprintable() else ascii(text)[1:-1]
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def plain_type(value: object) -> str:
    """What a value is, in words for people."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, dict):
        return "keys with values"
    return "a list" if isinstance(value, list | tuple) else "something else"


class _Loader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    """YAML 1.2's core schema on PyYAML's safe loader."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own protocol


def _resolve(tag: str, pattern: str, first: Sequence[str]) -> None:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))


_resolve("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF")
_resolve("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""])
_resolve("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789")
_resolve("float", r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789")


def _read_yaml(text: str, name: str) -> tuple[Any, dict[str, int]] | None:
    try:
        _check_events(text, name)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            lines = _check_keys(node, name)
            return loader.construct_document(node), lines
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
        raise DocumentError(
            f"{name} is no valid YAML at {where}: {error.problem or error.context or 'it cannot be read'}.",
            remedy="Check the indentation there, and put text that holds `: ` or `#`, or that begins with a sign, in quotes.",
        ) from None
    except yaml.YAMLError:
        raise DocumentError(f"{name} holds characters that YAML does not allow.", remedy="Retype the text.") from None
    except ValueError:
        raise DocumentError(f"{name} holds a number that is too long.", remedy="Shorten it.") from None


def _check_events(text: str, name: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise DocumentError(
                f"{name} uses a YAML anchor or alias (& or *) in line {line}, which is not allowed.",
                remedy="Write the value out, or put text that begins with & or * in quotes.",
            )
        if isinstance(event, yaml.NodeEvent) and getattr(event, "tag", None):
            raise DocumentError(
                f"{name} uses a YAML tag (!) in line {line}, which is not allowed.",
                remedy="Put text that begins with ! in quotes.",
            )
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _too_deep(name)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _too_deep(name: str) -> DocumentError:
    return DocumentError(f"{name} nests deeper than {MAX_DEPTH} levels.", remedy="No key needs that.")


def _check_keys(node: yaml.Node, name: str) -> dict[str, int]:
    """Refuses keys given twice at any level; gives the lines of those at the top."""
    top: dict[str, int] = {}
    waiting = [node]
    while waiting:
        current = waiting.pop()
        if isinstance(current, yaml.SequenceNode):
            waiting.extend(current.value)
        if not isinstance(current, yaml.MappingNode):
            continue
        seen: dict[str, int] = {}
        for key, value in current.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise DocumentError(f"{name}: the key in line {line} is no word.", remedy="Use a word as the key.")
            if key.value in seen:
                raise DocumentError(
                    f"{name} gives `{writable(key.value)}` twice, in lines {seen[key.value]} and {line}.",
                    remedy="Keep one of them.",
                )
            seen[key.value] = line
            waiting.append(value)
        if current is node:
            top = seen
    return top


def _read_json(text: str, name: str) -> tuple[Any, dict[str, int]] | None:
    if not text.strip():
        return None
    try:
        data = json.loads(text, object_pairs_hook=_unique(name), parse_constant=_no_constant(name))
    except json.JSONDecodeError as error:
        # The line of a list is named by the list, and has none of its own.
        where = f"line {error.lineno}, column {error.colno}" if "\n" in text.strip() else f"column {error.colno}"
        raise DocumentError(
            f"{name} is no valid JSON at {where}: {error.msg}.",
            remedy="Check quotes and commas there.",
        ) from None
    except RecursionError:
        raise _too_deep(name) from None
    except ValueError:
        raise DocumentError(f"{name} holds a number that is too long.", remedy="Shorten it.") from None
    if _depth(data) > MAX_DEPTH:
        raise _too_deep(name)
    return data, {}


def _unique(name: str) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(pairs)
        if len(built) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise DocumentError(f"{name} gives `{writable(twice)}` twice.", remedy="Keep one of them.")
        return built

    return build


def _no_constant(name: str) -> Callable[[str], Any]:
    def refuse(word: str) -> Any:
        raise DocumentError(f"{name} holds {word}, which is no number.", remedy="Write a number.")

    return refuse


def _depth(data: object) -> int:
    level, current = 0, [data]
    while current:
        nested = [item for item in current if isinstance(item, dict | list)]
        if not nested:
            break
        level += 1
        current = [value for item in nested for value in (item.values() if isinstance(item, dict) else item)]
    return level
