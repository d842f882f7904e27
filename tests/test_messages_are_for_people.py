"""No module reads what an error, a hold or a note says: programs read codes, so a sentence may be reworded.

The exceptions are the edges to other programs, whose answers come as text alone.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

SENTENCES = {"message", "remedy", "reason", "words", "description", "what"}
"""Names of attributes that hold sentences of the project."""

VARIABLES = {"message", "remedy", "reason"}
"""Names of variables that do."""

ERRORS = {"error", "err", "exc", "caught", "failure", "problem", "mute"}
"""Names of exceptions, whose ``str()`` is a sentence."""

READING = {
    "startswith", "endswith", "find", "rfind", "index", "rindex", "count", "removeprefix", "removesuffix", "partition",
    "rpartition",
}  # fmt: skip
MATCHING = {"search", "match", "fullmatch", "findall", "finditer", "split"}

EDGES = {
    "resources/runcomfy/resource.py": "Dagster's words on a cancelled run: its event has no code",
    "i2v_assets/uploads/csv_batches.py": "the csv module's errors have no code",
    "resources/devservers": "logs of other people's servers",
    "resources/generation/types.py": "the service's words on content: it has no code for them",
    "resources/ledger/database.py": "SQLite's words for a locked file",
    "resources/problem.py": "shows a file's name once",
    "resources/settings.py": "pydantic's words for an unknown field",
}


def is_sentence(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr="sub"), args=arguments):
            return any(map(is_sentence, arguments))
        case ast.Attribute(attr=name) if name in SENTENCES:
            return True
        case ast.Name(id=name) if name in VARIABLES:
            return True
        case ast.Call(func=ast.Name(id="str" | "repr"), args=[ast.Name(id=name)]) if name in ERRORS:
            return True
        case ast.Call(func=ast.Attribute(value=inner, attr="lower" | "casefold" | "strip" | "upper")):
            return is_sentence(inner)
        case ast.BoolOp(values=values):
            return any(is_sentence(value) for value in values)
    return False


def readings(tree: ast.AST) -> Iterator[int]:
    """The lines that look into a sentence."""
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, ops=ops, comparators=right):
                pairs = zip([left, *right], ops, right, strict=False)
                for before, operator, after in pairs:
                    looks_into = isinstance(operator, ast.In | ast.NotIn) and is_sentence(after)
                    text = [each for each in (before, after) if isinstance(each, ast.Constant)]
                    equals = isinstance(operator, ast.Eq | ast.NotEq) and any(
                        isinstance(each.value, str) and each.value for each in text
                    )
                    if looks_into or (equals and (is_sentence(before) or is_sentence(after))):
                        yield node.lineno
            case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in READING and is_sentence(value):
                yield node.lineno
            case ast.Call(func=ast.Attribute(attr=name), args=arguments) if name in MATCHING:
                if any(is_sentence(each) for each in arguments):
                    yield node.lineno
            case ast.Match(subject=subject, cases=cases) if is_sentence(subject):
                values = [case.pattern.value for case in cases if isinstance(case.pattern, ast.MatchValue)]
                if any(isinstance(value, ast.Constant) for value in values):
                    yield node.lineno


def is_edge(name: str) -> bool:
    return any(name == edge or name.startswith(f"{edge}/") for edge in EDGES)


def sources() -> list[str]:
    files = [path for room in ("i2v_assets", "resources") for path in (ROOT / room).rglob("*.py")]
    names = sorted(str(path.relative_to(ROOT)) for path in files)
    return [name for name in names if not name.startswith("resources/sandbox/")]


def test_no_module_reads_a_sentence() -> None:
    found = {
        f"{name}:{line}" for name in sources() if not is_edge(name)
        for line in readings(ast.parse((ROOT / name).read_text()))
    }  # fmt: skip
    assert found == set(), "read the code, the http_status or the wait reason instead"


def test_every_edge_is_one() -> None:
    """An exception that is needed no longer goes."""
    for edge in EDGES:
        files = [name for name in sources() if name == edge or name.startswith(f"{edge}/")]
        assert any(list(readings(ast.parse((ROOT / name).read_text()))) for name in files), edge


@pytest.mark.parametrize(
    "line",
    [
        '"balance" in held.remedy', '"x" not in str(error)', "outcome.reason.startswith('It')", 'PATTERN.search(reason)',
        're.match("x", error.message)', 'error.message == "gone"', '"x" in error.message.lower()',
        'PATTERN.search(row.reason or "")', '"x" in (row.reason or "")',
    ],
)  # fmt: skip
def test_a_reading_is_noticed(line: str) -> None:
    assert list(readings(ast.parse(line))) == [1]


@pytest.mark.parametrize(
    "line", ["row.reason is None", 'error.message + "x"', "f'{error.message}'", "if not reason: x = 1"]
)
def test_telling_is_allowed(line: str) -> None:
    assert list(readings(ast.parse(line))) == []
