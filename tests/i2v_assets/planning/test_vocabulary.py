"""How a prompt is read: up to a limit, and without what is addressed to another tool."""

import pytest

from i2v_assets.planning.vocabulary import READ_CHARACTERS, read_prompt


@pytest.mark.parametrize(
    ("prompt", "clauses"),
    [
        ("/imagine prompt: slow push in --ar 16:9 --motion low", ("slow push in",)),
        ("Slow pan --style raw --seed 42", ("slow pan",)),
        ("<lora:grain:0.8> steam rises", ("steam rises",)),
        ("(steam rises:1.2)", ("(steam rises)",)),
        ("slow tilt up --no people", ("slow tilt up",)),
        ("The dog -gently- wags", ("the dog -gently- wags",)),
    ],
)
def test_switches_of_other_tools_are_not_read(prompt: str, clauses: tuple[str, ...]) -> None:
    assert read_prompt(prompt).clauses == clauses


@pytest.mark.parametrize("word", ["-", "moves s ", "put ", "、が", "了", "nothing ", "@1 ", "from a "])
def test_a_prompt_is_read_up_to_a_limit(word: str) -> None:
    reading = read_prompt(word * 100_000)
    assert len(reading.text) <= READ_CHARACTERS
