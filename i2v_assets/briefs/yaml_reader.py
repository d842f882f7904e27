"""Strict reader for small YAML and JSON files that people write.

Both formats follow one dialect: ``yes``, ``no`` and ``on`` are text (``no`` is also the language code of Norwegian), ``16:9`` is
a ratio and not a base-60 number, ``0001`` keeps its zeros, and dates stay text. Input that could harm the reader is refused:
anchors and aliases (a few lines can expand to gigabytes), tags, deep nesting, duplicate keys (the first would be lost
silently), characters that cannot be stored, and anything over 64 KB.
"""

import codecs
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from json import JSONDecodeError
from typing import Any, Literal, TypeAlias

import yaml

from i2v_assets.briefs.word_processors import certain_cause, likely_cause
from resources.bounded_json import TooDeep, read_json
from resources.errors import ErrorCode, I2VError

DocumentFormat: TypeAlias = Literal["yaml", "yml", "json"]

MAX_DOCUMENT_BYTES = 64 * 1024
"""Maximum size of a brief, defaults or preset file. A brief with every field and the longest prompt has 6 KB."""

MAX_VALUES = 5000
"""Maximum keys and list items of a document together; a film has at most 100 shots with the keys of a brief."""

MAX_DEPTH = 6
"""Maximum nesting depth; the project's own files need at most 3."""


_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Characters that cannot be stored or sent: control characters except tab and line ends, and lone surrogates. Postgres rejects
NUL, UTF-8 cannot encode a lone surrogate, and the rest has no place in a prompt. Escapes (``\\0``, ``\\ud800``) produce them."""


class DocumentError(I2VError):
    """A file that a person wrote cannot be read as YAML or JSON."""

    code = ErrorCode.INPUT


@dataclass(frozen=True)
class Document:
    """The top level of a file: its keys and values, and the line of each key (from 1) if the format has lines."""

    data: dict[str, Any]
    lines: dict[str, int] = field(default_factory=dict)


def decode(data: bytes, name: str) -> str:
    """Return the text of a UTF-8 file, with or without a byte order mark, or of a UTF-16 file with one.

    Raises:
        DocumentError: the bytes are neither.
    """
    try:
        if len(data) > 2 and data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return data.decode("utf-16")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DocumentError(f"{name}: line {line} is not UTF-8 text.", remedy="Save the file as UTF-8.") from None


def read_document(text: str, name: str, kind: DocumentFormat, *, max_values: int = MAX_VALUES) -> Document:
    """Read a file whose top level is a mapping; an empty file gives an empty document.

    Args:
        text: The file's text.
        name: What to call the file in messages.
        kind: The format of the text.
        max_values: Keys and list items that it may have.

    Raises:
        DocumentError: the file is too large, malformed (with the line), repeats a key, or is not a mapping.
    """
    if len(text.encode("utf-8", "replace")) > MAX_DOCUMENT_BYTES:
        raise DocumentError(
            f"{name} is larger than {MAX_DOCUMENT_BYTES // 1024} KB.",
            remedy="Keep only the keys that it needs.",
        )
    document = _read_as_meant(text, name, kind)
    if document is None:
        return Document({})
    data, lines = document
    if not isinstance(data, dict):
        raise DocumentError(
            f"{name} must hold keys with values, such as `prompt: slow push in`, but holds {plain_type(data)}.",
            remedy='Write keys and values between braces: {"prompt": "slow push in"}.'
            if kind == "json"
            else "Write one key per line.",
        )
    for key in data:
        if not isinstance(key, str):
            raise DocumentError(f"{name}: the key {key!r} is not text.", remedy="Put it in quotes, or remove it.")
    check_count(data, name, max_values)
    check_characters(data, name)
    _check_values(data, name)
    return Document(data, lines)


def _read_as_meant(text: str, name: str, kind: DocumentFormat) -> tuple[Any, dict[str, int]] | None:
    """Read a text, unless a word processor or a chat program has changed it; then that is the error."""
    if kind != "json" and (cause := certain_cause(text)) is not None:
        raise DocumentError(f"{name} {cause[0]}.", remedy=cause[1])
    try:
        return _read_json(text, name) if kind == "json" else _read_yaml(text, name)
    except DocumentError as error:
        cause = certain_cause(text) or likely_cause(text)
        if cause is None:
            raise
        raise DocumentError(f"{error.message} The file {cause[0]}.", remedy=f"{cause[1]} {error.remedy}") from None


def _check_values(data: Mapping[str, Any], name: str) -> None:
    """Refuse values that a word processor changed and that are still valid: they would be sent, or name no file.

    Raises:
        DocumentError: a value is wrapped in typographic quotes, or begins with a no-break space.
    """
    for key, value in data.items():
        for text in [key, *(value if isinstance(value, list) else [value])]:
            if not isinstance(text, str) or not text:
                continue
            if text[0] in _SPACES or key[0:1] in _SPACES or "\u00a0" in key:
                words = f"{name}: `{writable(key)}` holds a no-break space where a space belongs."
                raise DocumentError(words, remedy="Type the spaces again, in a plain text editor.")
            if len(text) > 1 and text[0] in _OPENING and text[-1] in _CLOSING:
                words = f"{name}: `{writable(key)}` holds typographic quotes around a value."
                raise DocumentError(words, remedy='Use straight quotes ("), or none.')


_SPACES = "\u00a0\u2007\u202f\u200b\ufeff"
_OPENING = "“”„‟«»‘’‚‹›"
_CLOSING = "“”‟«»‘’‹›"


def check_count(data: Mapping[str, Any], name: str, at_most: int) -> None:
    """Check that a document has no more keys and list items than that: each is validated and may be quoted.

    Raises:
        DocumentError: it has more.
    """
    count = 0
    pending: list[Mapping[str, Any] | list[Any] | tuple[Any, ...]] = [data]
    while pending:
        part = pending.pop()
        count += len(part)
        if count > at_most:
            raise DocumentError(
                f"{name} has more than {at_most:,} keys and list items.", remedy="Keep only the keys that it needs."
            )
        values = part.values() if isinstance(part, Mapping) else part
        pending += [value for value in values if isinstance(value, dict | list | tuple)]


def check_characters(data: Mapping[str, Any], name: str) -> None:
    """Check that every text of a document, including its keys, can be stored and sent.

    Raises:
        DocumentError: a text holds a control character or a lone surrogate; names the key.
    """
    for key, value in data.items():
        pending: list[object] = [key, value]
        while pending:
            part = pending.pop()
            if isinstance(part, dict):
                pending += [*part, *part.values()]
            elif isinstance(part, list | tuple):
                pending += part
            elif isinstance(part, str) and (unfit := _UNFIT.search(part)):
                what = "half a character" if "\ud800" <= unfit[0] <= "\udfff" else "a control character"
                raise DocumentError(
                    f"{name}: `{writable(key)}` holds {what} (U+{ord(unfit[0]):04X}).",
                    remedy="Retype the text there, and save the file as UTF-8.",
                )


def writable(text: str) -> str:
    """Return a word of a document for a message: unprintable characters escaped, at most 60 characters."""
    shown = text if text.isprintable() else ascii(text)[1:-1]
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def plain_type(value: object) -> str:
    """Return the type of a value in plain words."""
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
            f"{name} is not valid YAML at {where}: {error.problem or error.context or 'it cannot be read'}.",
            remedy="Check the indentation there. Quote text that holds `: ` or `#`, or that begins with a sign.",
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
                remedy="Write the value out. Quote text that begins with & or *.",
            )
        if isinstance(event, yaml.NodeEvent) and getattr(event, "tag", None):
            raise DocumentError(
                f"{name} uses a YAML tag (!) in line {line}, which is not allowed.",
                remedy="Quote text that begins with !.",
            )
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _too_deep(name)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _too_deep(name: str) -> DocumentError:
    return DocumentError(
        f"{name} nests deeper than {MAX_DEPTH} levels.", remedy="Remove the extra levels; no key needs them."
    )


def _check_keys(node: yaml.Node, name: str) -> dict[str, int]:
    """Refuse duplicate keys at any level and return the lines of the top-level keys."""
    top: dict[str, int] = {}
    pending = [node]
    while pending:
        current = pending.pop()
        if isinstance(current, yaml.SequenceNode):
            pending.extend(current.value)
        if not isinstance(current, yaml.MappingNode):
            continue
        seen: dict[str, int] = {}
        for key, value in current.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise DocumentError(f"{name}: the key in line {line} is not a word.", remedy="Use a word as the key.")
            if key.value in seen:
                raise DocumentError(
                    f"{name} gives `{writable(key.value)}` twice, in lines {seen[key.value]} and {line}.",
                    remedy="Keep one of them.",
                )
            seen[key.value] = line
            pending.append(value)
        if current is node:
            top = seen
    return top


def _read_json(text: str, name: str) -> tuple[Any, dict[str, int]] | None:
    if not text.strip():
        return None
    try:
        data = read_json(text, max_depth=MAX_DEPTH, pairs=_unique(name), constant=_no_constant(name))
    except TooDeep:
        raise _too_deep(name) from None
    except JSONDecodeError as error:
        # A row of a JSONL batch is a document of one line; its line in the batch is part of `name`.
        where = f"line {error.lineno}, column {error.colno}" if "\n" in text.strip() else f"column {error.colno}"
        raise DocumentError(
            f"{name} is not valid JSON at {where}: {error.msg}.",
            remedy="Check quotes and commas there.",
        ) from None
    except ValueError:
        raise DocumentError(f"{name} holds a number that is too long.", remedy="Shorten it.") from None
    return data, {}


def _unique(name: str) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(pairs)
        if len(built) < len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise DocumentError(f"{name} gives `{writable(twice)}` twice.", remedy="Keep one of them.")
        return built

    return build


def _no_constant(name: str) -> Callable[[str], Any]:
    def refuse(word: str) -> Any:
        raise DocumentError(f"{name} holds {word}, which is not a number.", remedy="Write a number.")

    return refuse
