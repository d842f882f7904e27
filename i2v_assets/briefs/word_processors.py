"""What word processors and chat programs do to a brief: the cause in words, instead of the parser's. Pure."""

import re

_BLANKS = "\u00a0\u2000-\u200b\u202f\u205f\u2060\u3000\ufeff"
_OPEN, _CLOSE = "“„«‹‘‚「『＂”»", "”“»›’‘」』＂«"
_KEY = r"[A-Za-z_]+"

_PLAIN_TEXT = "Write it in a text editor and save it as plain text (UTF-8)."

_CERTAIN: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (re.compile(r"\A\s*\{\\rtf"), "is an RTF document", _PLAIN_TEXT),
    (re.compile(r"\A\s*<(?:!doctype|html|head|body|p|div|meta|\?xml)\b", re.IGNORECASE), "is a web page", _PLAIN_TEXT),
    (re.compile(r"\APK\x03\x04|\A%PDF-|\A\ufffd?PK"), "is a document of a word processor", _PLAIN_TEXT),
    (
        re.compile(r"^(?:```|~~~)", re.MULTILINE),
        "holds a code fence, as chat programs write it",
        "Delete the lines that begin with ``` and keep what is between them.",
    ),
    (
        re.compile(rf"^[ \t]*[{_BLANKS}][ \t{_BLANKS}]*(?:-[ {_BLANKS}]|{_KEY}[ {_BLANKS}]*:)", re.MULTILINE),
        "is indented with no-break or other special spaces",
        "Replace them with ordinary spaces.",
    ),
    (
        re.compile(
            rf"^{_KEY}[ \t]*:[ \t]*(?:[{_OPEN}].*[{_CLOSE}]|\[[ \t]*[{_OPEN}].*)[ \t,]*\r?$",
            re.MULTILINE,
        ),
        "has typographic quotes around a value",
        'Replace them with straight quotes (").',
    ),
    (
        re.compile(
            rf"^[ \t]*-[ \t]+[{_OPEN}][^\r\n]*\.\w{{2,5}}[{_CLOSE}][ \t]*\r?$|^[ \t{{,]*[{_OPEN}]{_KEY}[{_CLOSE}][ \t]*:",
            re.MULTILINE,
        ),
        "has typographic quotes around a name",
        'Replace them with straight quotes (").',
    ),
    (
        re.compile(rf"^[ \t]*{_KEY}[ \t]*[：﹕∶]", re.MULTILINE),
        "has a wide colon after a key",
        "Replace it with an ordinary colon and a space.",
    ),
    (
        re.compile(r"^[ \t]*(?:[•‣▪◦●·*][ \t\u00a0]+|[–—−][ \t\u00a0]*)[^\r\n]*\.\w{2,5}[ \t]*\r?$", re.MULTILINE),
        "lists files with bullets or dashes of a word processor",
        "Begin each line of the list with a hyphen and a space (- a.jpg).",
    ),
    (
        re.compile(r"^[ \t]*[A-Za-z_]*[\u200b-\u200d\u2060\u00ad]+[A-Za-z_]*[ \t]*:", re.MULTILINE),
        "holds invisible characters in a key",
        "Retype the key.",
    ),
)
"""Signs that cannot be meant, also where the file can be read. What is indented may be the text of a prompt, so keys and
fences count at the start of a line only."""

_AFTER_FAILURE: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (re.compile(r"^ *\t[ \t]*\S", re.MULTILINE), "is indented with a tab", "Replace the tabs with spaces."),
    (re.compile(rf"[{_OPEN}{_CLOSE}]"), "has typographic quotes", 'Replace them with straight quotes (").'),
    (re.compile(rf"[{_BLANKS}]"), "holds no-break or other special spaces", "Replace them with ordinary spaces."),
    (re.compile(rf"^[ \t]*{_KEY}:\S", re.MULTILINE), "lacks a space after a colon", "Write `key: value`."),
)
"""Signs that may be meant, but are the likeliest cause where the file cannot be read."""


def certain_cause(text: str) -> tuple[str, str] | None:
    """Return what a word processor did to a text, with its line and the remedy; None if it left no certain sign."""
    return _first(text, _CERTAIN)


def likely_cause(text: str) -> tuple[str, str] | None:
    """Return the likeliest cause why a text cannot be read, with its line and the remedy; None for none."""
    return _first(text, _AFTER_FAILURE)


def _first(text: str, signs: tuple[tuple[re.Pattern[str], str, str], ...]) -> tuple[str, str] | None:
    for pattern, words, remedy in signs:
        if (found := pattern.search(text)) is not None:
            start = found.start() + len(found[0]) - len(found[0].lstrip("\r\n"))
            line = text.count("\n", 0, start) + 1
            return f"{words} (line {line})", remedy
    return None
