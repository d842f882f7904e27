"""Words in messages to people: numbers with their noun, and commands of `i2v` as whoever reads them can paste them.

`make dev` has a prefix of its own.
"""

import os
import re


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return the number and its noun in the right form: "1 clip", "1,200 clips".

    Args:
        number: How many.
        noun: The word for one.
        plural: The word for several, if it is not the noun with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


VARIABLE = "I2V_COMMAND"
"""How people call `i2v` there. `make dev` sets it, and a deployment may: `docker compose exec code i2v`."""

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
