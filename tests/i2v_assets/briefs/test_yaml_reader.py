"""Small files that people write are read strictly and predictably."""

import pytest

from i2v_assets.briefs.yaml_reader import MAX_DOCUMENT_BYTES, DocumentError, decode, read_document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("16:9", "16:9"),
        ("no", "no"),
        ("yes", "yes"),
        ("0001", "0001"),
        ("2026-01-01", "2026-01-01"),
        ("5", 5),
        ("1.5", 1.5),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ('"5"', "5"),
        ("'quoted: yes'", "quoted: yes"),
        ("0x10", "0x10"),
    ],
)
def test_values_keep_their_plain_meaning(text: str, value: object) -> None:
    assert read_document(f"key: {text}\n", "x.yaml", "yaml").data == {"key": value}


def test_keys_are_words_too() -> None:
    """Norwegian and "on" are no booleans."""
    assert read_document("no: a\non: b", "x.yaml", "yaml").data == {"no": "a", "on": "b"}


@pytest.mark.parametrize("kind", ["yaml", "yml", "json"])
@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_file_has_no_keys(text: str, kind: str) -> None:
    assert read_document(text, "x", kind).data == {}  # type: ignore[arg-type]


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "anchor or alias"),
        ("a: *b", "anchor or alias"),
        ("a: !!python/object/apply:os.system ['true']", "tag"),
        ("a: 1\nb: 2\na: 3", "`a` twice, in lines 1 and 3"),
        ("a:\n  b: 1\n  b: 2", "`b` twice, in lines 2 and 3"),
        ("ok: 1\na: b: c", "line 2, column 5"),
        ("a: 'open", "line 1"),
        ("a:\n\t- x", "line 2"),
        ("[" * 30_000, "nests deeper than 6"),
        ("a: [[[[[[1]]]]]]", "nests deeper than 6"),
        ("- a\n- b", "holds a list"),
        ("just words", "holds text"),
        ("5: x", "the key 5"),
        ("? [a]\n: b", "line 1"),
        ("a: \x00", "characters"),
        (f"a: {'9' * 5000}", "too long"),
        ("---\na: 1\n---\nb: 2", "another document"),
    ],
)
def test_what_yaml_is_refused(text: str, words: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_document(text, "shoes/brief.yaml", "yaml")
    assert words in caught.value.message
    assert "shoes/brief.yaml" in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1, "a": 2}', "`a` twice"),
        ('{"a": {"b": 1, "b": 2}}', "`b` twice"),
        ('{\n"a": }', "line 2, column 6"),
        ('{"a": NaN}', "NaN"),
        ("[" * 60_000, "nests deeper"),
        ('{"a":[[[[[[1]]]]]]}', "nests deeper"),
        ("[1]", "holds a list"),
        ("null", "holds nothing"),
        (f'{{"a": {"9" * 5000}}}', "too long"),
    ],
)
def test_what_json_is_refused(text: str, words: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_document(text, "brief.json", "json")
    assert words in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize("kind", ["yaml", "json"])
def test_nesting_up_to_the_limit_is_read(kind: str) -> None:
    assert read_document('{"a": [[[[[1]]]]]}', "x", kind).data == {"a": [[[[[1]]]]]}  # type: ignore[arg-type]


def test_the_size_limit_from_both_sides() -> None:
    start = "prompt: "
    assert read_document(start + "x" * (MAX_DOCUMENT_BYTES - len(start)), "b", "yaml").data
    with pytest.raises(DocumentError, match="larger than 64 KB"):
        read_document(start + "x" * (MAX_DOCUMENT_BYTES - len(start) + 1), "b", "yaml")


def test_the_limit_counts_bytes() -> None:
    with pytest.raises(DocumentError, match="64 KB"):
        read_document("prompt: " + "走" * 22_000, "b", "yaml")


def test_each_key_has_its_line() -> None:
    assert read_document("# first\nprompt: x\n\nduration: 5\n", "b", "yaml").lines == {"prompt": 2, "duration": 4}


def test_decode_takes_a_byte_order_mark_and_refuses_other_encodings() -> None:
    assert decode("\ufeffprompt: ü".encode(), "b") == "prompt: ü"
    with pytest.raises(DocumentError, match="line 2 is not UTF-8"):
        decode("a: b\nprompt: ü".encode("latin-1"), "b")


UNFIT = ["\x00", "\x07", "\x1b", "\x7f", "\x85", "\ud800", "\udfff"]
"""Control characters from both blocks, and both ends of the halves of characters."""


@pytest.mark.parametrize("char", UNFIT)
@pytest.mark.parametrize("data", ['{"prompt": "a%s"}', '{"%s": 5}', '{"dub": {"en%s": "a.mp3"}}', '{"shots": ["%s"]}'])
def test_characters_that_cannot_be_stored_or_sent_are_refused(char: str, data: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_document(data % f"\\u{ord(char):04x}", "a/brief.json", "json")
    assert f"U+{ord(char):04X}" in caught.value.message
    assert caught.value.message.isprintable()
    assert caught.value.remedy


@pytest.mark.parametrize("escape", [r"\0", r"\x07", r"\x85"])
def test_an_escape_of_yaml_brings_no_control_character_either(escape: str) -> None:
    with pytest.raises(DocumentError, match="control character"):
        read_document(f'prompt: "a{escape}"', "brief.yaml", "yaml")


def test_tabs_and_line_ends_are_text() -> None:
    text = "a\tb\r\nc"
    assert read_document('{"prompt": "a\\tb\\r\\nc"}', "b", "json").data == {"prompt": text}


@pytest.mark.parametrize(("text", "kind"), [(r'{"\ud800": 1, "\ud800": 2}', "json"), (r'{"\0": 1, "\0": 2}', "yaml")])
def test_a_duplicate_key_is_reported_in_printable_characters(text: str, kind: str) -> None:
    with pytest.raises(DocumentError, match="twice") as caught:
        read_document(text, "b", kind)  # type: ignore[arg-type]
    assert caught.value.message.isprintable()
