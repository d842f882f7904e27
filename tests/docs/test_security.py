"""SECURITY.md names tests and commands that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text()


def test_every_named_file_exists() -> None:
    named = set(re.findall(r"`((?:tests|resources|deploy|benchmarks)/[\w./-]+)`", TEXT))
    assert len(named) > 15
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_named_command_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", TEXT))
    assert named >= {"hostile", "fuzz", "crash"}
    assert named <= targets


def test_each_kind_of_threat_has_its_rows() -> None:
    for kind in (
        "a page",
        "a file",
        "a list or brief",
        "a queue message",
        "the service",
        "a neighbour",
        "a leaked key",
    ):
        assert f"| **{kind}**" in TEXT
