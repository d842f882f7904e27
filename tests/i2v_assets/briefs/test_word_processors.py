"""Briefs that went through a word processor or a chat program: the cause is named, and prompts are left alone."""

import pytest

from i2v_assets.briefs.brief_reader import BriefError, parse_brief
from i2v_assets.briefs.yaml_reader import DocumentFormat

CAUSES = {
    "typographic quotes": [
        "prompt: “Slow push in: steam”\nimages: “a.jpg”\n",
        "prompt: x\nimages: ‘a.jpg’\n",
        "images: [“a.jpg”, “b.jpg”]\n",
        "images:\n- „a.jpg“\n",
        "prompt: «Travelling avant»\n",
        "“prompt”: x\n",
        "prompt: He says: “hi”\n",
    ],
    "RTF document": ["{\\rtf1\\ansi prompt: x}"],
    "web page": ["<html><body>prompt: x</body></html>", "<p>prompt: x</p>"],
    "special spaces": ["images:\n\u00a0\u00a0- a.jpg\n", "prompt: x\n\u2003duration: 5\n", "images:\n\u3000- a.jpg\n"],
    "a tab": ["images:\n\t- a.jpg\n", "prompt: x\n\tduration: 5\n"],
    "code fence": ["```yaml\nprompt: x\n```\n", "prompt: x\n```\n"],
    "wide colon": ["prompt：Slow\n"],
    "bullets or dashes": ["images:\n• a.jpg\n", "images:\n– a.jpg\n"],
    "invisible characters": ["pro\u200bmpt: x\n"],
}


@pytest.mark.parametrize(("cause", "text"), [(cause, text) for cause, texts in CAUSES.items() for text in texts])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_the_cause_is_named_with_its_line(cause: str, text: str, ends: str) -> None:
    with pytest.raises(BriefError) as caught:
        parse_brief(text.replace("\n", ends), "look/brief.yaml", "yaml")
    assert cause in caught.value.message
    assert "(line " in caught.value.message
    assert caught.value.remedy


def test_json_with_typographic_quotes() -> None:
    with pytest.raises(BriefError, match="typographic quotes"):
        parse_brief("{“prompt”: “x”}", "brief.json", "json")


@pytest.mark.parametrize(
    ("text", "kind", "prompt"),
    [
        ("prompt: “Hello,” she says\n", "yaml", "“Hello,” she says"),
        ("prompt: men’s shoe – slow orbit\n", "yaml", "men’s shoe – slow orbit"),
        ("prompt: |\n  \u3000日本語\n  Text: “Hi”\n  ```\n", "yaml", "日本語\nText: “Hi”\n```"),
        ('{"prompt": "```\\nprompt: “x”"}', "json", "```\nprompt: “x”"),
    ],
)
def test_prompts_may_hold_all_of_it(text: str, kind: DocumentFormat, prompt: str) -> None:
    assert parse_brief(text, "brief", kind).prompt == prompt
