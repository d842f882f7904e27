"""Messages to people: numbers with their noun, commands as they can be pasted, and text from outside, which stays text.

Names, prompts, errors and schemas of others are made harmless for the place that shows them: every Markdown, HTML, SVG, log,
terminal, Slack, note and CSV text of outside words is made by one of these functions.
"""

import html
import json
import os
import re
import unicodedata


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return the number and its noun in the right form: "1 clip", "1,200 clips".

    Args:
        number: How many.
        noun: The word for one.
        plural: The word for several, if it is not the noun with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


VARIABLE = "I2V_COMMAND"
"""How people call `i2v` there, as messages name its commands. `make dev` sets it, and a deployment may: `docker compose exec code i2v`."""

NAME = "i2v"

_COMMAND = re.compile(
    r"(?<![\w/.\-'])i2v (?=(?:upload|run|status|fetch|plan|approve|cancel|pause|resume|retry|retake|choose|whoami|balance|"
    r"models|ledger|service|verify|gallery|metrics|doctor|settings)\b)"
)
"""A command that works with the services of the settings, without a prefix yet."""


def pasteable(text: str) -> str:
    """Return the text with its commands as they are called here; unchanged unless `I2V_COMMAND` is set."""
    command = os.environ.get(VARIABLE, "").strip()
    if command in ("", NAME) or NAME not in text:
        return text
    return _COMMAND.sub(lambda _: f"{command} ", text)


# Text from outside

_KEPT = "\u200c\u200d"
"""Joiners of letters and emoji, which Persian, Hindi and families need. All other format characters are shown by number:
they turn the direction of what follows, or hide in it."""

_SPECIAL = frozenset("\\`*_{}[]<>()|!#~&^$")
"""What Markdown reads within a line, with GitHub's tables, strikethrough and footnotes."""

_BLOCK = re.compile(r"^(?=[-+=:.])|^(\d+)(?=[.)])")
"""The start of a list, a rule or a heading's underline."""

_AUTOLINK = re.compile(r":(?=/)|(?<=www)(?=\.)|@", re.IGNORECASE)
"""Where an address or a mail address becomes a link by itself; a backslash before it does not keep it from that."""

_JOINER = "\u2060"
"""A character of no width (word joiner), so that what is split by it reads as before."""

_SLACK_FORMAT = re.compile(r"(?<![^\W_])[*_~]|[*_~](?![^\W_])")
"""What Slack takes for bold, italic or struck: at the edge of a word, and not inside a name such as hero_01."""

_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How formulas begin in spreadsheets, with the full-width forms that some take too."""


def lines(text: str) -> str:
    """Return text of several lines in which no character controls the terminal or the direction of writing."""
    ends = text.replace("\r\n", "\n")
    if _is_printable(ends):
        return ends
    return "".join(_visible(char) for char in ends)


def plain(text: str) -> str:
    """Return one line of text, for logs, notes and terminals: it cannot write lines of its own."""
    return " ".join(lines(text).split())


def escape_markdown(text: str) -> str:
    """Return Markdown that shows the text itself, within a line, a table's cell or a list's entry: no link, no picture."""
    line = _AUTOLINK.sub(lambda found: f"{found[0]}{_JOINER}", plain(text))
    escaped = "".join(f"\\{char}" if char in _SPECIAL else char for char in line)
    return _BLOCK.sub(lambda found: f"{found[1] or ''}\\", escaped)


def escape_html(text: str) -> str:
    """Return HTML or SVG that shows the text itself, also within an attribute."""
    return html.escape(lines(text))


def escape_slack(text: str) -> str:
    """Return a line of Slack's markup that shows the text itself: it mentions, links and formats nothing."""
    line = plain(text).replace("`", "'")
    line = _SLACK_FORMAT.sub(lambda found: f"{_JOINER}{found[0]}{_JOINER}", line)
    line = _AUTOLINK.sub(lambda found: f"{found[0]}{_JOINER}", line)
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def csv_cell(text: str) -> str:
    """Return a cell that a spreadsheet shows and does not calculate."""
    line = plain(text)
    return f"'{line}" if line.startswith(_FORMULA) else line


def escape_json(document: str) -> str:
    """Return a JSON document whose strings say by number what would control a terminal or the direction of writing."""
    if _is_printable(document):
        return document
    return "".join(char if char == "\n" or not _is_hidden(char) else json.dumps(char)[1:-1] for char in document)


def _is_printable(text: str) -> bool:
    """Return True if each line is shown as it is: nearly always, and a picture's text has 10,000 characters to look at."""
    return all(line.isprintable() for line in text.split("\n"))


def _visible(char: str) -> str:
    if char in "\n \u2028\u2029":
        return char
    if char in "\t\r\x0b\x0c\x85":
        return " "
    return f"\\u{{{ord(char):x}}}" if _is_hidden(char) else char


def _is_hidden(char: str) -> bool:
    """Return whether a character is a control, a format character, half a surrogate pair or a separator of lines."""
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in _KEPT
