"""One line of a report on what works: what was checked, whether it is ok, and what to do if not."""

from dataclasses import dataclass

from i2v_assets.cli.exit_codes import Exit


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was checked, whether it is ok, and what to do if not."""

    name: str
    ok: bool
    words: str
    remedy: str = ""
    code: Exit = Exit.OK


def good(name: str, words: str) -> Finding:
    """Return a line that is ok."""
    return Finding(name, True, words)
