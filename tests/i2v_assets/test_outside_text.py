"""Every Markdown, log line, page and message of the project is made of escaped words; the first tests read the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.text import Text

ROOT = Path(__file__).parents[2] / "i2v_assets"
MARKUP = re.compile(r"\| |\* |!\[|\]\(")
"""What tells an f-string that becomes Markdown from others, in a module that makes any."""

ESCAPES = {"escape_markdown", "inline_jpeg", "inline_webp", "dollars", "_amount"}
NUMBERS = {"int", "len", "round"}
OURS = {
    # Numbers, hashes and words of this project's own closed lists.
    *(
        "shot.number",
        "seam.colour_step",
        "seam.picture_step",
        "line.day",
        "line.route",
        "line.requests",
        "problem.severity",
    ),
    *("shot.video.sha256[:16]", "found.medium.sha256[:16]", "live.family", "base64_jpeg", "base64_webp"),
    *("picture", "link"),  # a `data:` picture of this project, and an address of keys.clip_key
}


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield path, ast.parse(path.read_text())


def makes_markdown(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.Call)
        and ((isinstance(node.func, ast.Name) and node.func.id == "Markdown")
             or (isinstance(node.func, ast.Attribute) and node.func.attr == "md"))
        for node in ast.walk(tree)
    )  # fmt: skip


def is_escaped(part: ast.FormattedValue) -> bool:
    value = part.value
    if part.format_spec is not None or ast.unparse(value) in OURS:
        return True  # a format of numbers refuses text
    calls = [node for node in ast.walk(value) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    if any(call.func.id in ESCAPES | NUMBERS for call in calls):  # type: ignore[attr-defined]
        return True
    return "map(escape_markdown" in ast.unparse(value)


def test_every_markdown_is_made_of_escaped_words() -> None:
    looked, bare = 0, []
    for path, tree in modules():
        if not makes_markdown(tree):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                text = "".join(part.value for part in node.values if isinstance(part, ast.Constant))
                if MARKUP.search(text):
                    looked += 1
                    bare += [
                        f"{path.name}:{node.lineno} {ast.unparse(part.value)}"
                        for part in node.values
                        if isinstance(part, ast.FormattedValue) and not is_escaped(part)
                    ]
    assert looked >= 12
    assert bare == []


def test_markdown_is_escaped_by_the_one_function() -> None:
    for path, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                assert not re.search("escape.*(markdown|html|slack)", node.name), (
                    f"{path}:{node.lineno} escapes by itself"
                )


def test_every_log_line_with_words_is_made_plain() -> None:
    looked = 0
    for path, tree in modules():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("debug", "info", "warning", "error", "exception")
                and isinstance(node.func.value, ast.Attribute) and node.func.value.attr == "log"
            ):  # fmt: skip
                looked += 1
                said = node.args[0]
                made = (
                    isinstance(said, ast.Call)
                    and isinstance(said.func, ast.Name)
                    and said.func.id in ("plain", "lines")
                )
                assert made or isinstance(said, ast.Constant), f"{path}:{node.lineno} {ast.unparse(said)}"
    assert looked >= 15


def test_a_terminal_gets_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    from i2v_assets.cli.console import SafeConsole, print_json, print_table

    evil = "\x1b[2J\x9b31m\u202etxt.exe"
    console = SafeConsole(soft_wrap=True)
    console.print(evil, markup=False)
    console.print(Text("ok ").append(evil))
    print_table(["a"], [[evil]])
    print_json({"a": evil})
    told = capsys.readouterr().out
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", told), repr(told)
    assert "txt.exe" in told


NAME = "x ![z](/graphql?query=mutation{launchPipelineExecution}).png"
WORDS = (
    NAME,
    "[a](https://evil.example)",
    "<img src=x>",
    "a | b",
    "\x1b[2J \u202e",
    "**bold** `code` www.evil.example",
    "<!channel>",
)


def is_text(markdown: str) -> bool:
    """Whether the words above stand in a Markdown as text alone: escaped, on the lines that they were put on."""
    bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", markdown)
    bare = re.sub(r"!\[[^\]]*\]\(data:[^)]*\)", "", bare)  # this project's own pictures
    return not re.search(r"!\[|\]\(|<img|<!|\*\*b|`code|www\.evil|https://|[\x1b\u202e]", bare)


def test_the_table_of_a_failed_run_shows_names_as_text() -> None:
    """An upload's name ended in it raw, and looking at the run started a paid one."""
    import dagster as dg

    from i2v_assets.defs.clips import report
    from i2v_assets.pipeline.context import Result
    from resources.registry.registry import ClipState

    results = [Result(f"clip-{number}", ClipState.FAILED, word, word) for number, word in enumerate(WORDS)]
    with pytest.raises(dg.Failure) as failed:
        report(dg.build_asset_context(), results)
    table = failed.value.metadata["failed"].value
    assert is_text(table), table
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 4 for line in table.splitlines()), "no word opens another cell"
    assert not re.search("[\x00-\x1f\u202e]", failed.value.description or "")


@pytest.mark.parametrize("word", WORDS)
def test_files_prompts_and_reasons_are_text(word: str) -> None:
    from i2v_assets.defs.event_log import dagster_metadata
    from i2v_assets.pipeline.metadata import files_metadata, inline_jpeg
    from i2v_assets.pipeline.read_media import ReadFile
    from resources.schemas.inputs import Medium, MediumKind

    medium = Medium(
        kind=MediumKind.IMAGE, key=f"uploads/{word}", sha256="a" * 64, size_bytes=9, content_type="image/png"
    )
    found = ReadFile(f"uploads/{word}", word, medium, None, "AAAA", "AAAA", problem=word)
    shown = dagster_metadata(files_metadata([found, found]))
    for name in ("table", "pictures"):
        assert is_text(str(shown[name].value)), shown[name].value
    assert is_text(inline_jpeg("AAAA", word))
    assert not re.search("[\x1b\u202e]", str(shown["keys"].value))


@pytest.mark.parametrize("word", WORDS)
def test_notes_and_alerts_are_text(word: str) -> None:
    from datetime import UTC, datetime

    from i2v_assets.clip_folder import notes
    from i2v_assets.reports.alert_message import message
    from i2v_assets.reports.alerts import AlertState, FailedClip, RefusedUpload
    from resources.problem import Problem

    note = notes.refused("clip", [Problem(f"{word}\nWhat happens next: nothing", word, word)]).text
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", note)
    assert note.count("\nWhat happens next: ") == 1
    now = datetime(2026, 3, 10, 12, tzinfo=UTC)
    state = AlertState(
        now, [FailedClip("clip", now, word, word)], [], {}, 0, 0, refused=[RefusedUpload(f"uploads/{word}", word)]
    )
    told = message(state)
    assert "<!" not in told
    assert "<http" not in told
    assert not re.search("[\x1b\u202e]", told)
