"""Lists as spreadsheets and people write them: what is certain is read, the rest is refused in clear words."""

import io
import json
import zipfile
from collections.abc import Sequence

import pytest

from i2v_assets.briefs.brief_reader import BriefError
from i2v_assets.briefs.yaml_reader import DocumentError
from i2v_assets.uploads.csv_batches import parse_batch
from i2v_assets.uploads.spreadsheets import read_spreadsheet, sheet_text

_PART = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def workbook(rows: str, *, hidden_first: str = "") -> bytes:
    """Return a workbook with one sheet of these rows, as XML, perhaps behind a hidden one."""
    hidden = ' state="hidden"'
    sheets = [hidden_first, rows] if hidden_first else [rows]
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" ContentType="application/'
        'vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" Type="{_PART}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_PART}"><sheets>'
        + "".join(
            f'<sheet name="S{at}" sheetId="{at}" r:id="rId{at}"{hidden if at < len(sheets) else ""}/>'
            for at in range(1, len(sheets) + 1)
        )
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
        + "".join(
            f'<Relationship Id="rId{at}" Type="{_PART}/worksheet" Target="worksheets/sheet{at}.xml"/>'
            for at in range(1, len(sheets) + 1)
        )
        + "</Relationships>",
    }
    for at, sheet in enumerate(sheets, start=1):
        parts[f"xl/worksheets/sheet{at}.xml"] = f'<worksheet xmlns="{_MAIN}"><sheetData>{sheet}</sheetData></worksheet>'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def row(number: int, *cells: object) -> str:
    def one(column: str, cell: object) -> str:
        if isinstance(cell, bool):
            return f'<c r="{column}{number}" t="b"><v>{int(cell)}</v></c>'
        if isinstance(cell, int | float):
            return f'<c r="{column}{number}"><v>{cell}</v></c>'
        return f'<c r="{column}{number}" t="inlineStr"><is><t>{cell}</t></is></c>'

    return f'<row r="{number}">' + "".join(one(chr(65 + at), cell) for at, cell in enumerate(cells)) + "</row>"


def clips(text: str | bytes, kind: str = "csv") -> list[str]:
    rows, bad = parse_batch(text, "l", kind)  # type: ignore[arg-type]
    assert not bad, bad
    return [each.clip for each in rows]


def refusal(text: str | bytes) -> str:
    rows, (bad,) = parse_batch(text, "l.csv", "csv")
    assert not rows
    return f"{bad.words} {bad.remedy}"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line", ["sep={}\r\n", '"sep={}"\r\n', "\ufeffSEP={}\n", "\r\nsep={}\r\n"])
def test_a_line_that_names_the_separator_is_obeyed(separator: str, line: str) -> None:
    if separator == "|" and line.startswith("\ufeff"):
        line = line.removeprefix("\ufeff")
    text = (
        line.format(separator) + separator.join(("clip", "image", "prompt")) + "\r\n" + separator.join("abc") + "\r\n"
    )
    assert clips(text) == ["a"]
    bad = text + separator.join(("x", "y", "z", "w")) + "\r\n"
    (wrong,) = parse_batch(bad, "l.csv", "csv")[1]
    assert wrong.line == bad.count("\n", 0, bad.index("x" + separator)) + 1, "lines keep their numbers"


@pytest.mark.parametrize("number", ["5", "5.0", "5.00", "5,0", "+5"])
def test_a_whole_number_with_a_point_is_one(number: str) -> None:
    ((each,), _) = parse_batch(f"clip;image;duration\na;a.jpg;{number}\n", "l", "csv")
    assert each.brief.duration == 5


def test_a_fraction_is_still_refused() -> None:
    assert "duration" in refusal("clip,image,duration\na,a.jpg,5.5\n")
    _, (bad,) = parse_batch('{"clip":"a","image":"a.jpg","duration":5.5}', "l", "jsonl")
    assert "duration" in bad.words


def test_whole_numbers_of_json() -> None:
    ((each,), _) = parse_batch('{"clip":"a","image":"a.jpg","duration":5.0,"seed":7.0}', "l", "jsonl")
    assert (each.brief.duration, each.brief.seed) == (5, 7)


@pytest.mark.parametrize("header", ["", "Unnamed: 0", '""', "index"])
def test_a_column_of_row_numbers_is_left_out(header: str) -> None:
    assert clips(f"{header},clip,image\n0,a,a.jpg\n1.0,b,b.jpg\n") == ["a", "b"]


def test_a_column_without_a_name_that_says_something_is_refused() -> None:
    assert "column 3, which has no name" in refusal("clip,image,,prompt\na,a.jpg,Push in,x\n")


@pytest.mark.parametrize("word", ["WAHR", "vrai", "Verdadero", "VERO", "WAAR", "PRAWDA", "ИСТИНА", "ja", "Sí"])
def test_true_in_other_words_is_named(word: str) -> None:
    said = refusal(f"clip,image,needs_approval\na,a.jpg,{word}\n")
    assert word in said
    assert "Write true in the cell" in said


@pytest.mark.parametrize("word", ["FALSCH", "faux", "Falso", "ONWAAR", "nein"])
def test_false_in_other_words_is_named(word: str) -> None:
    assert "Write false in the cell" in refusal(f"clip,image,watermark\na,a.jpg,{word}\n")


@pytest.mark.parametrize(
    ("cell", "meant"),
    [
        ("16:09:00", "16:9"),
        ("16:09", "16:9"),
        ("09:16:00", "9:16"),
        ("4:03:00 PM", "4:3"),
        ("1899-12-31T16:09:00", "16:9"),
        ("0.672916666666667", "16:9"),
        ("2026-09-16", "16:9"),
        ("16. Sep", "16:9"),
    ],
)
def test_a_ratio_that_became_a_time_is_named(cell: str, meant: str) -> None:
    said = refusal(f"clip,image,aspect_ratio\na,a.jpg,{cell}\n")
    assert "made a time or a date" in said
    assert f"write {meant} again" in said


@pytest.mark.parametrize("ratio", ["16:9", "9:16", "1:1", "4:3", "21:9", "adaptive"])
def test_ratios_stay_ratios(ratio: str) -> None:
    ((each,), _) = parse_batch(f"clip,image,aspect_ratio\na,a.jpg,{ratio}\n", "l", "csv")
    assert each.brief.aspect_ratio == ratio


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_encodings_that_are_certain(encoding: str, kind: str) -> None:
    text = "clip;image;prompt\nä;café.jpg;näher\n" if kind == "csv" else json.dumps({"clip": "ä", "image": "café.jpg"})
    ((each,), _) = parse_batch(text.encode(encoding), "l", kind)  # type: ignore[arg-type]
    assert each.brief.images[0].file == "café.jpg"
    assert not each.guessed


def test_other_text_is_read_to_find_names() -> None:
    ((each,), bad) = parse_batch("clip;image;prompt\na;café.jpg;Langsam näher\n".encode("cp1252"), "l", "csv")
    assert each.brief.images[0].file == "café.jpg"
    assert each.guessed
    assert not bad
    with pytest.raises(BriefError, match="is not text"):
        parse_batch(b"\xff\x00\x01PNG\x80", "l", "csv")


def test_a_workbook_is_a_list() -> None:
    rows = row(1, "", "Clip", "Image", "Duration", "Needs Approval") + row(3, 0, "a", "a.jpg", 5.0, True)
    text = read_spreadsheet(workbook(rows, hidden_first=row(1, "notes")), "l.xlsx")
    ((each,), bad) = parse_batch(text, "l.xlsx", "xlsx")
    assert (each.clip, each.line, each.brief.duration, each.brief.needs_approval) == ("a", 3, 5, True)
    assert not bad


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no workbook", "is not an Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "protected by a password"),
        (b"PK\x03\x04 cut off", "cannot be read as an Excel workbook"),
        (workbook(row(1, "clip") + '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'), "too much time or memory"),
    ],
)
def test_a_workbook_that_cannot_be_read_says_why(content: bytes, said: str) -> None:
    with pytest.raises(DocumentError, match=said):
        sheet_text(content, "l.xlsx")
    with pytest.raises(BriefError, match=said):
        parse_batch(read_spreadsheet(content, "l.xlsx"), "l.xlsx", "xlsx")


def test_an_empty_workbook_has_no_rows() -> None:
    with pytest.raises(BriefError, match="no rows"):
        parse_batch(read_spreadsheet(workbook(""), "l.xlsx"), "l.xlsx", "xlsx")


def lines(count: int) -> Sequence[str]:
    return [row(at, f"c{at}", f"{at}.jpg") for at in range(2, count + 2)]


def test_too_many_rows_are_refused() -> None:
    with pytest.raises(BriefError, match="more than 20000 rows"):
        parse_batch(
            read_spreadsheet(workbook(row(1, "clip", "image") + "".join(lines(20_001))), "l.xlsx"), "l.xlsx", "xlsx"
        )
