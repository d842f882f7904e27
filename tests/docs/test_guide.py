"""What the documents tell people to write and to run is what the project reads and has."""

import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import typer.main

from i2v_assets.briefs.brief import Brief
from i2v_assets.briefs.brief_reader import parse_brief, parse_defaults
from i2v_assets.cli.main import app
from i2v_assets.planning.prompts import SHIPPED_PRESETS
from i2v_assets.uploads.csv_batches import parse_batch
from i2v_assets.uploads.grouping import group_uploads
from resources.settings import Settings, variable_name
from resources.storage.bucket import ObjectInfo

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")])
GUIDE = ROOT / "docs" / "guide.md"
SHELL = {"", "sh", "console", "bash"}
NOW = datetime(2026, 1, 1, tzinfo=UTC)

_FENCE = re.compile(r"^[ ]*```(\w*)\n(.*?)^[ ]*```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"# (uploads/\S+?),? ?(?:beside (.*))?$", re.MULTILINE)
_LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
_INLINE = re.compile(r"`((?:\.venv/bin/)?i2v [^`]+)`")


class Block(NamedTuple):
    """A fenced example."""

    page: Path
    kind: str
    text: str


class Call(NamedTuple):
    """An `i2v ...` that a document names."""

    page: Path
    words: tuple[str, ...]


def blocks(*pages: Path) -> Iterator[Block]:
    """Every fenced example of the pages."""
    for page in pages:
        for kind, text in _FENCE.findall(page.read_text(encoding="utf-8")):
            yield Block(page, kind, text)


def calls() -> Iterator[Call]:
    """Every command that the documents name, in examples and in the running text."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for line in _command_lines(page):
            if found := re.match(r"(?:\$ )?(?:[A-Z0-9_]+=\S+ )*(?:\.venv/bin/)?i2v( .*)", line):
                yield Call(page, _words(found[1]))
        for found in _INLINE.finditer(_FENCE.sub("", text)):
            yield Call(page, _words(found[1].partition("i2v ")[2]))


def _command_lines(page: Path) -> Iterator[str]:
    for block in blocks(page):
        if block.kind in SHELL:
            yield from (line.strip() for line in block.text.replace("\\\n", " ").splitlines())


def _words(command: str) -> tuple[str, ...]:
    command = re.split(r"\s#\s| \| |\s{3,}|\\\|", command.replace("`", ""))[0]
    try:
        return tuple(word for word in shlex.split(command) if word != "...")
    except ValueError:  # quotes that go on in the next line
        return tuple(command.split())


@pytest.mark.parametrize("page", [GUIDE, ROOT / "README.md", ROOT / "docs" / "films.md"], ids=lambda page: page.name)
def test_briefs_in_the_documents_can_be_read(page: Path) -> None:
    found = [block for block in blocks(page) if block.kind == "yaml" and "sequences/" not in block.text]
    assert found or page != GUIDE
    for block in found:
        if "_defaults.yaml" in block.text:
            parse_defaults(block.text, "_defaults.yaml", "yaml")
        elif "shots:" not in block.text or "clip:" not in block.text:  # a film's own file is read by the films' tests
            parse_brief(block.text, "brief.yaml", "yaml")


def test_lists_in_the_guide_can_be_read() -> None:
    kinds = {block.kind: block.text for block in blocks(GUIDE) if block.kind in {"csv", "jsonl"}}
    assert set(kinds) == {"csv", "jsonl"}
    rows, bad = parse_batch(kinds["csv"], "looks.csv", "csv")
    assert ([row.clip for row in rows], bad) == (["cup", "launch-pad", "cat", "hat"], ())
    rows, bad = parse_batch(kinds["jsonl"], "more.jsonl", "jsonl")
    assert ([row.clip for row in rows], bad) == (["cat-4s", "pad-1080"], ())


def test_folders_of_the_guide_become_the_clips_that_it_says() -> None:
    texts: dict[str, str] = {}
    files: set[str] = {"uploads/shoe.webp", "uploads/host.png", "uploads/host.mp3", "uploads/shoes/0001.jpg"}
    for block in blocks(GUIDE):
        if block.kind != "yaml" or not (said := _NAMED.search(block.text)):
            continue
        key = said[1]
        texts[key] = block.text
        folder = key.rpartition("/")[0]
        files |= {f"{folder}/{name}" for name in re.findall(r"[\w-]+\.\w+", said[2] or "")}
    for block in blocks(GUIDE):
        if block.kind in {"csv", "jsonl"}:
            texts[f"uploads/spring/{'looks.csv' if block.kind == 'csv' else 'more.jsonl'}"] = block.text
    files |= {"uploads/spring/img/0001.webp", "uploads/spring/img/0002.jpg", "uploads/spring/img/0003.jpg"}
    old = NOW - timedelta(hours=1)
    objects = [ObjectInfo(key, 1000, f"etag-{key}", old) for key in sorted(files | set(texts))]
    grouping = group_uploads(objects, NOW, 30, texts, {})
    assert {each.clip for each in grouping.candidates} == {
        "shoe", "host", "shoes--0001", "kitchen", "announcement", "no-face", "launch", "dancer", "room", "perfume", "takes", "reroll",
        "poster",
        "greeting--en", "greeting--es", "greeting--de",
        "spring--cup", "spring--launch-pad", "spring--cat", "spring--cat-4s", "spring--pad-1080",
    }  # fmt: skip
    assert [each.text for each in grouping.refused] == [
        "spring/looks.csv line 5: File not found: `img/0004.jpg`. Upload it, or correct the name. Names are case-sensitive."
    ]
    assert not grouping.settling


def test_the_guide_has_every_key_of_a_brief() -> None:
    rows = re.findall(r"^\| `(\w+)`(?: \([^|]*\))? \|", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [key for key in rows if key in Brief.model_fields or key not in _PRESETS] == [
        key for key in rows if key in Brief.model_fields
    ]
    assert set(Brief.model_fields) <= set(rows)


_PRESETS = set(SHIPPED_PRESETS)


def test_commands_in_the_documents_exist() -> None:
    found = list(calls())
    assert len({call.words[0] for call in found if call.words}) > 15
    problems = [f"{call.page.name}: i2v {' '.join(call.words)}: {wrong}" for call in found if (wrong := _wrong(call))]
    assert not problems, "\n".join(problems)


def _wrong(call: Call) -> str:
    command = typer.main.get_command(app)
    words = [word for word in call.words if word != "--dev"]
    if not words or words[0] in {"sandbox", "COMMAND"}:
        return ""  # the sandbox's options are its own program's, and its page's tests'
    while words and not words[0].startswith("-"):
        if not hasattr(command, "get_command"):
            break
        found = [command.get_command(None, name) for name in re.split(r"[,|]", words[0].strip(","))]
        if None in found:
            return f"there is no command {words[0]}"
        command, words = found[0], words[1:]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    known |= {"--help", "-h"}
    options = [found for word in words for found in re.findall(r"^\[?(--?[a-z][a-z-]*)", word)]
    unknown = [option for option in options if option not in known]
    return f"it has no {unknown[0]}" if unknown else ""


def test_links_in_the_documents_lead_somewhere() -> None:
    broken = []
    for page in PAGES:
        for target in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            if not there.exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
            elif anchor and there.suffix == ".md" and anchor not in _anchors(there):
                broken.append(f"{page.relative_to(ROOT)}: {target} (no such heading)")
    assert not broken, "\n".join(broken)


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_variables_in_the_documents_exist() -> None:
    known = {variable_name(field) for field in Settings.model_fields} | {"I2V_REQUIRE_BROWSER"}
    for file in (ROOT / "deploy").rglob("*"):  # variables of the deployment's own files
        if file.is_file() and file.suffix in {".yaml", ".yml", ".env", ".example", ".json", ""}:
            known |= set(re.findall(r"\bI2V_[A-Z0-9_]+\b", file.read_text(encoding="utf-8")))
    unknown = {
        f"{page.name}: {name}"
        for page in PAGES
        for name in re.findall(r"\bI2V_[A-Z0-9_]+\b", page.read_text(encoding="utf-8"))
        if name not in known
    }
    assert not unknown


CODE = [
    file
    for folder in ("i2v_assets", "resources", "benchmarks", "deploy", "tests")
    for file in sorted((ROOT / folder).rglob("*"))
    if file.suffix in {".py", ".yaml", ".toml", ".js", ".example"} and "tmp" not in file.parts
] + [ROOT / "Makefile", ROOT / "pyproject.toml", ROOT / ".importlinter"]


def test_documents_that_the_code_cites_are_in_the_repository() -> None:
    """A page by its path, a section of it by its number."""
    wrong, sections = [], 0
    for file in CODE:
        text = file.read_text(encoding="utf-8")
        for cited in re.finditer(r"\bdocs/[\w/-]+\.md\b(?:, section (\d+))?", text):
            page = ROOT / cited[0].partition(",")[0]
            heading = f"## {cited[1]}. " if cited[1] else ""
            sections += bool(heading)
            if not page.exists() or (heading and heading not in page.read_text(encoding="utf-8")):
                wrong.append(f"{file.relative_to(ROOT)}: {cited[0]}")
        wrong += [
            f"{file.relative_to(ROOT)}: {cited[0]}"
            for cited in re.finditer(r"\((?:the )?(?:contract|design)[,)]", text)
            if file != Path(__file__)
        ]
    assert not wrong, "\n".join(wrong)
    assert sections >= 4


def test_every_decision_has_a_date_a_status_and_its_line_in_the_list() -> None:
    listed = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    decisions = sorted((ROOT / "docs" / "adr").glob("0*.md"))
    assert [int(page.name[:4]) for page in decisions] == list(range(1, len(decisions) + 1))
    for page in decisions:
        title, _, status = page.read_text(encoding="utf-8").split("\n")[:3]
        assert title.startswith(f"# {int(page.name[:4])}. ")
        assert re.match(r"20\d\d-\d\d-\d\d.* · (Accepted|Superseded by|Rejected)", status), page.name
        assert f"({page.name})" in listed
        paths = re.findall(r"`((?:i2v_assets|resources|deploy|docs|tests)/[\w/.-]+)`", page.read_text(encoding="utf-8"))
        gone = [path for path in paths if not (ROOT / path).exists() and path not in _MOVED]
        assert not gone, f"{page.name}: {gone}"


_MOVED = {"i2v_assets/making/", "i2v_assets/money.py"}
"""Paths that decisions name because they are no longer, or never were, in the repository."""


def test_paths_in_the_architecture_exist() -> None:
    for page in (ROOT / "docs" / "architecture.md", ROOT / "CONTRIBUTING.md"):
        paths = re.findall(r"`((?:i2v_assets|resources|tests|docs)/[\w/.-]*)`", page.read_text(encoding="utf-8"))
        assert len(paths) > 8
        assert [path for path in paths if not (ROOT / path).exists()] == []
