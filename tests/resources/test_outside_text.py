"""Words of others in each place that shows them, over hostile examples and generated ones."""

import json
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources import logs
from resources.messages import csv_cell, escape_html, escape_json, escape_markdown, escape_slack, lines, plain

HOSTILE = (
    "x ![z](/graphql?query=mutation{launchPipelineExecution}).png",
    "[click](javascript:alert(1))",
    "[a]: http://evil.example\n\n[a]",
    "<img src=x onerror=alert(1)><script>alert(1)</script>",
    "<https://evil.example> www.evil.example https://evil.example a@evil.example",
    "a | b |\n|---|---|\n| c",
    "```\ncode\n```",
    "`code` *bold* _it_ ~~gone~~ **b** # h $x$ ^[note] [^1]",
    "\n\n# A heading\n- a list\n1. another\n> said",
    "&lt;b&gt; &#x3c;script&#x3e;",
    "<!channel> <@U123> <https://evil.example|here> *now*",
    '=HYPERLINK("http://evil.example")',
    "\x1b]0;title\x07\x1b[2J\x1b[31mred\x9b31m",
    "photo\u202egnp.exe \u2066x\u2069 \u200b\ufeff\u00ad",
    "one\r\nINFO two\x0b\x0c\x85\u2028\u2029three",
    "\ud800 \x00 \U000e0041",
)
TEXT = st.one_of(
    st.text(st.characters(), max_size=40),
    st.lists(
        st.sampled_from([*HOSTILE, "](", "![", "<", "|", "\\", "`", "\n", "www.", "://", "@", "\x1b["]), max_size=5
    ).map("".join),
)


def hidden(text: str) -> list[str]:
    return [
        char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs") and char not in "\n\u200c\u200d\u2060"
    ]


def unescaped(markdown: str) -> str:
    """The text that a Markdown of escapes alone shows."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown).replace("\u2060", "")


@given(TEXT)
@settings(max_examples=300)
def test_nothing_hides_or_controls_anything(text: str) -> None:
    for made in (
        lines(text),
        plain(text),
        escape_markdown(text),
        escape_html(text),
        escape_slack(text),
        csv_cell(text),
    ):
        assert hidden(made) == []
    assert "\n" not in plain(text) + escape_markdown(text) + escape_slack(text) + csv_cell(text)
    assert json.loads(escape_json(json.dumps({text: text}, ensure_ascii=False))) == {text: text}


@given(TEXT)
@settings(max_examples=300)
def test_markdown_shows_the_text_and_nothing_else(text: str) -> None:
    made = escape_markdown(text)
    assert unescaped(made) == plain(text).replace("\u2060", "")
    bare = re.sub(r"\\.", "", made)
    assert not set(bare) & set("`*_[]<>()|!#~&"), "all of them stand behind a backslash"
    shown = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", made)
    assert not re.search(r"://|www\.|@(?!\u2060)", shown, re.IGNORECASE), "nothing becomes a link by itself"
    assert not re.match(r"[-+=]|\d+[.)]", made), "nor a list or a rule"


@given(TEXT)
@settings(max_examples=300)
def test_slack_calls_nobody_and_links_nowhere(text: str) -> None:
    made = escape_slack(text)
    assert not set(made) & set("<>`")
    assert "://" not in made
    assert re.fullmatch(r"(?:[^&]|&(?:amp|lt|gt);)*", made)


@given(TEXT)
@settings(max_examples=300)
def test_html_has_no_tags(text: str) -> None:
    assert not set(escape_html(text)) & set("<>\"'")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", " =", "\uff1d", "\u200b="])
def test_spreadsheets_calculate_nothing(start: str) -> None:
    assert csv_cell(f"{start}1+1").startswith(("'", "\\u{"))


@pytest.mark.parametrize("name", ["hero_01", "Café 推 fährt", "shoes--0001", "👨\u200d👩\u200d👧", "a.b (2).png"])
def test_good_names_stay_readable(name: str) -> None:
    assert plain(name) == lines(name) == csv_cell(name) == escape_slack(name) == escape_html(name) == name
    assert unescaped(escape_markdown(name)) == name


def test_log_lines_are_one_line_each_and_hide_nothing() -> None:
    import io
    import logging

    for text in HOSTILE:
        out = io.StringIO()
        record = logging.LogRecord("i2v_assets", logging.INFO, "", 0, text, None, None)
        out.write(logs.JsonFormatter().format(record))
        assert hidden(out.getvalue()) == []
        assert "\n" not in out.getvalue()
        assert "message" in json.loads(out.getvalue())
