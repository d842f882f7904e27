"""A CSV batch of many clips: the output of spreadsheets is read, and a bad row does not affect the others."""

import json

import pytest

from i2v_assets.briefs.brief import MediaRef
from i2v_assets.briefs.brief_reader import BriefError
from i2v_assets.uploads.csv_batches import MAX_BATCH_BYTES, MAX_BATCH_ROWS, BatchFormat, parse_batch
from resources.schemas.inputs import Route

TABLE = "clip,image,prompt,duration,watermark\nred,shoes/1.jpg,slow orbit,5,TRUE\n,shoes/2.jpg,push in,,\n"


@pytest.mark.parametrize(
    "text",
    [
        TABLE,
        TABLE.encode(),
        TABLE.encode("utf-8-sig"),
        "\ufeff" + TABLE,
        TABLE.replace(",", ";"),
        TABLE.replace(",", "\t"),
        TABLE.replace("\n", "\r\n"),
        TABLE.replace("clip,image", " Clip ,IMAGE").replace("\nred", "\n\n  ,,\nred"),
    ],
    ids=["plain", "bytes", "bom bytes", "bom", "semicolons", "tabs", "crlf", "sloppy"],
)
def test_every_usual_way_of_writing_a_table(text: str | bytes) -> None:
    rows, bad = parse_batch(text, "shoes.csv", "csv")
    assert not bad
    assert [row.clip for row in rows] == ["red", "2-2"]
    assert rows[0].brief.given == {
        "images": (MediaRef(file="shoes/1.jpg"),),
        "prompt": "slow orbit",
        "duration": 5,
        "watermark": True,
    }
    assert rows[1].brief.given == {"images": (MediaRef(file="shoes/2.jpg"),), "prompt": "push in"}


def test_every_column_has_its_type() -> None:
    text = (
        "images;audio;video;route;seed;takes;priority;keep_face;dub;reroll;negative prompt;aspect_ratio;duration\n"
        'a.jpg | b.jpg;v.mp3;m.mp4;multi_modal;7;2;-3;auto;"{""en"": ""e.mp3""}";"{""below"": 0.5}";blur;16:9;match_audio\n'
    )
    (row,), bad = parse_batch(text, "x.csv", "csv")
    assert not bad
    brief = row.brief
    assert [ref.file for ref in brief.images or ()] == ["a.jpg", "b.jpg"]
    assert (brief.route, brief.seed, brief.takes, brief.priority) == (Route.MULTI_MODAL, 7, 2, -3)
    assert (brief.keep_face, brief.dub, brief.negative_prompt) == ("auto", {"en": "e.mp3"}, "blur")
    assert (brief.aspect_ratio, brief.duration) == ("16:9", "match_audio")


def test_json_lines() -> None:
    text = '{"clip": "one", "image": "a.jpg", "duration": 5}\n\n{"images": ["uploads/x/b.jpg"], "prompt": "pan"}\r\n'
    rows, bad = parse_batch(text, "x.jsonl", "jsonl")
    assert not bad
    assert [(row.line, row.clip) for row in rows] == [(1, "one"), (3, "b-2")]


BAD_CSV = [
    ("image,duration\na.jpg,long\n", 2, "`duration` is 'long'", "match_audio"),
    ("image,duration\n\na.jpg,0\n", 3, "`duration` is 0", "whole number"),
    ("image,takes\na.jpg,two\n", 2, "`takes` is 'two'", "1 to 20"),
    ("image,watermark\na.jpg,perhaps\n", 2, "`watermark` is 'perhaps'", "true or false"),
    ("image,prompt\na.jpg,one, two\n", 2, "3 cells for 2 columns", "double quotes"),
    ("image,images\na.jpg,b.jpg\n", 2, "both `image` and `images`", "Keep one"),
    ("image,prompt\n,pan\n", 2, "does not name an image", "`image`"),
    ("image\n../a.jpg\n", 2, "without ..", "beside the CSV batch"),
    ("image,dub\na.jpg,en=x\n", 2, "is not JSON", "v.mp3"),
    ('image,prompt\na.jpg,"open\n', 2, "cannot be read", "quotes"),
    ("image\na.jpg|./a.jpg\n", 2, "`images` names 'a.jpg' twice", "Keep one"),
    ("image\n/uploads/a.jpg\n", 2, "beside the CSV batch, or another key of the bucket", "`uploads/shoes/1.jpg`"),
    (f"image,prompt\na.jpg,{'x' * 131_073}\n", 2, "more than 131,072 characters", "shorten"),
    ('image,prompt\n"a\n.jpg",x\nb.jpg,"bad"x\n', 4, "cannot be read", "quotes"),
]


@pytest.mark.parametrize(("text", "line", "words", "remedy"), BAD_CSV)
def test_a_bad_row_is_reported_by_its_line(text: str, line: int, words: str, remedy: str) -> None:
    _, (bad,) = parse_batch(text, "shoes.csv", "csv")
    assert bad.line == line
    assert f"shoes.csv line {line}" in bad.words
    assert words in bad.words
    assert remedy in bad.remedy


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"image": "a.jpg", "promt": "x"}', "`promt`"),
        ('{"image": "a.jpg"', "line 1"),
        ('["a.jpg"]', "list"),
        ('{"image": "a.jpg", "clip": 5}', "`clip` must be text"),
        ('{"image": "a.jpg", "image": "b.jpg"}', "twice"),
        ('{"prompt": "x"}', "does not name an image"),
        ("{" * 50_000, "line 1"),
    ],
)
def test_a_bad_line_of_json(text: str, words: str) -> None:
    rows, (bad,) = parse_batch(text + '\n{"image": "good.jpg"}', "x.jsonl", "jsonl")
    assert [row.clip for row in rows] == ["good-2"]
    assert words in bad.words


@pytest.mark.parametrize(
    ("text", "kind", "clip"),
    [
        ("clip,image,duration\n hero ,a.jpg,x\n", "csv", "hero"),
        ("clip,image,duration\n,shoes/a.jpg|b.jpg,x\n", "csv", "a-1"),
        ("clip,image,prompt\nhero,a.jpg,one, two\n", "csv", "hero"),
        ("image,duration\n,x\n", "csv", None),
        ('{"clip": "hero", "promt": "x"}', "jsonl", "hero"),
        ('{"images": [{"file": "shoes/a.jpg"}], "promt": "x"}', "jsonl", "a-1"),
        ('{"images": [[{}]], "audio": ["v.mp3"], "promt": "x"}', "jsonl", "v-1"),
        ('{"clip": 5, "image": "a.jpg"}', "jsonl", None),
        ('{"image": "a.jpg"', "jsonl", None),
    ],
)
def test_a_bad_row_names_its_clip_if_the_name_can_be_read(text: str, kind: BatchFormat, clip: str | None) -> None:
    _, (bad,) = parse_batch(text, "shoes", kind)
    assert bad.clip == clip


def test_good_rows_stay_beside_bad_ones() -> None:
    rows, bad = parse_batch("image,duration\na.jpg,5\nb.jpg,x\nc.jpg,6\n", "x.csv", "csv")
    assert [row.clip for row in rows] == ["a-1", "c-3"]
    assert [each.line for each in bad] == [3]


@pytest.mark.parametrize(
    ("text", "kind", "words", "remedy"),
    [
        ("image,promt\na.jpg,x\n", "csv", "`promt` is not a column", "Did you mean `prompt`?"),
        ("image,image\na.jpg,b.jpg\n", "csv", "twice", "Keep one"),
        ("", "csv", "has no rows", "one row"),
        ("image\n", "csv", "has no rows", "one row"),
        ("\n", "jsonl", "has no rows", "one row"),
        (TABLE.encode("utf-16")[2:], "csv", "not a column", "Did you mean"),
        (b"image\n\xff\0.jpg", "csv", "is not text", "UTF-8"),
        ("x" * (MAX_BATCH_BYTES + 1), "csv", "larger than 16 MB", "Split"),
        ("image\n" + "a.jpg\n" * (MAX_BATCH_ROWS + 1), "csv", "more than 20000 rows", "Split"),
    ],
)
def test_a_csv_batch_that_is_refused_as_a_whole(text: str | bytes, kind: BatchFormat, words: str, remedy: str) -> None:
    with pytest.raises(BriefError) as caught:
        parse_batch(text, "shoes", kind)
    assert words in caught.value.message
    assert remedy in caught.value.remedy


def test_twenty_thousand_rows_are_taken() -> None:
    rows, bad = parse_batch(
        "".join(json.dumps({"image": f"{i}.jpg"}) + "\n" for i in range(MAX_BATCH_ROWS)), "x", "jsonl"
    )
    assert (len(rows), len(bad)) == (MAX_BATCH_ROWS, 0)


@pytest.mark.parametrize(
    ("text", "kind", "line"),
    [
        ("image,prompt\na.jpg,x\x00y\nb.jpg,z\n", "csv", 2),
        ('image,dub\na.jpg,"{""en"": ""\\ud800.mp3""}"\nb.jpg,\n', "csv", 2),
        ('{"image": "a.jpg", "prompt": "\\ud800"}\n{"image": "b.jpg"}', "jsonl", 1),
        ('{"image": "a.jpg", "clip": "a\\u0000b"}\n{"image": "b.jpg"}', "jsonl", 1),
    ],
)
def test_a_row_with_an_unstorable_character_is_refused_alone(text: str, kind: BatchFormat, line: int) -> None:
    (row,), (bad,) = parse_batch(text, "x", kind)
    assert row.clip == "b-2"
    assert bad.line == line
    assert "U+" in bad.words


def test_columns_are_reported_in_printable_characters() -> None:
    with pytest.raises(BriefError) as caught:
        parse_batch("image,a\x00b\n", "x.csv", "csv")
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("end", ["", 'd.jpg,"closed"\n'], ids=["to the end", "to the next quote"])
def test_the_lines_that_an_open_quote_swallowed_are_named(end: str) -> None:
    rows, (bad,) = parse_batch(f'image,prompt\na.jpg,x\nb.jpg,"open\nc.jpg,y\n{end}', "x.csv", "csv")
    assert [row.clip for row in rows] == ["a-1"]
    assert f"lines 3 to {5 if end else 4}, read as one row," in bad.words
    assert "quotes" in bad.remedy


def test_a_bad_line_of_json_is_named_once_with_a_remedy() -> None:
    _, bad = parse_batch('{"image": "a.jpg"}\n{"image": }\n[1]\n', "x.jsonl", "jsonl")
    assert bad[0].words == "x.jsonl line 2 is not valid JSON at column 11: Expecting value."
    assert "line" not in bad[1].remedy
    assert "braces" in bad[1].remedy
