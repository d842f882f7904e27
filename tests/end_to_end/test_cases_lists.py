"""Lists and names of real life through the sensor: what is certain is made, the rest waits and says why."""

import io
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

from resources.registry.registry import ClipState
from resources.wait_reason import WaitReason


def picture(shade: int = 0) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), (shade % 256, shade // 256, 99)).save(out, "PNG")
    return out.getvalue()


def put(stage, images: tuple[str, ...], documents: Mapping[str, str | bytes]) -> None:
    for shade, name in enumerate(images):
        stage.upload(name, picture(shade))
    for name, text in documents.items():
        stage.upload(name, text)


def make_all(stage) -> None:
    for _ in range(4):
        if not stage.make() and not stage.make("dispatch"):
            return


def told(stage) -> str:
    """Everything that the bucket says about what was not made."""
    notes = [stage.note(clip, name) or "" for clip in stage.states() for name in ("REFUSED.txt", "WAITING.txt")]
    return "\n".join([*notes, *stage.refusals().values()])


@pytest.mark.parametrize("name", ["img\\0001.png", "img\\\\0001.png", ".\\img\\0001.png"])
def test_backslashes_that_fit_one_file_are_read(stage, name) -> None:
    put(stage, ("back/img/0001.png",), {"back/looks.csv": f"clip,image,prompt\r\ncup,{name},Push in slowly\r\n"})
    make_all(stage)
    assert stage.delivered() == {"back--cup"}
    assert len(stage.charges()) == 1


@pytest.mark.parametrize(
    "name",
    ["img/0003.PNG", "img/0003", "IMG/0003.png", "img/000%33.png", "C:\\Users\\someone\\img\\0003.png", "img/0003.jpg"],
)
def test_a_name_that_is_nearly_right_holds_the_image(stage, name) -> None:
    put(stage, ("near/img/0003.png",), {"near/looks.jsonl": json.dumps({"clip": "hat", "image": name, "prompt": "x"})})
    make_all(stage)
    assert stage.charges() == []
    assert "Did you mean `img/0003.png`?" in told(stage)
    assert stage.clip("near--img--0003").state is ClipState.WAITING


def test_a_list_in_another_encoding_waits_for_approval_and_costs_nothing(stage) -> None:
    table = "clip;image;prompt\r\ncafe;café.png;Langsam näher\r\nplain;plain.png;Langsam näher\r\n"
    put(stage, ("t/café.png", "t/plain.png"), {"t/liste.csv": table.encode("cp1252")})
    make_all(stage)
    assert stage.charges() == []
    assert {row.clip: row.wait for row in stage.registry.list()} == {
        "t--cafe": WaitReason.APPROVAL,
        "t--plain": WaitReason.APPROVAL,
    }
    assert "t/liste.csv is not UTF-8" in (stage.note("t--cafe", "WAITING.txt") or "")

    stage.upload("t/liste.csv", table.encode("utf-16"))
    make_all(stage)
    assert stage.delivered() == {"t--cafe", "t--plain"}
    assert len(stage.charges()) == 2


@pytest.mark.parametrize(
    ("table", "clips"),
    [
        ("sep=;\r\nclip;image;prompt\r\ns1;p1.png;Push in\r\n", {"s1"}),
        ("clip,image,duration,prompt\np1,p1.png,3.0,Push in\n", {"p1"}),
        (",clip,image,prompt\n0,p3,p1.png,Push in\n", {"p3"}),
    ],
    ids=["sep", "float", "index"],
)
def test_what_spreadsheets_write_is_read(stage, table, clips) -> None:
    put(stage, ("t/p1.png",), {"t/a.csv": table})
    make_all(stage)
    assert stage.delivered() == {f"t--{clip}" for clip in clips}
    assert len(stage.charges()) == 1


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("\ufeffClip;Image;Prompt;Needs Approval;;\r\nerste;bild 1.png;Langsam;WAHR;;\r\n", "TRUE in another language"),
        ("clip,image,prompt,aspect_ratio\nx,bild 1.png,Push in,16:09:00\n", "made a time or a date of the ratio"),
    ],
    ids=["truth", "time"],
)
def test_what_a_spreadsheet_spoilt_is_refused_in_clear_words(stage, table, said) -> None:
    put(stage, ("t/bild 1.png",), {"t/excel.csv": table})
    make_all(stage)
    assert stage.charges() == []
    assert said in told(stage)


def test_a_workbook_that_cannot_be_read_is_named_and_holds_its_images(stage) -> None:
    put(stage, ("t/img/x1.png",), {"t/looks.xlsx": b"no workbook"})
    make_all(stage)
    assert stage.charges() == []
    assert "t/looks.xlsx is not an Excel workbook" in told(stage)
    assert stage.clip("t--img--x1").state is ClipState.WAITING


@pytest.mark.parametrize(
    "brief",
    [
        "prompt: “Slow push in: steam drifts to the left”\nimages: “a.png”\n",
        "images:\n\u00a0\u00a0- a.png\n",
        "images:\n\t- a.png\n",
        "```yaml\nprompt: Slow push in\nimages: a.png\n```\n",
        "{\\rtf1\\ansi prompt: Slow push in\\\nimages: a.png}",
    ],
    ids=["smart", "nbsp", "tabs", "fence", "rtf"],
)
def test_a_brief_of_a_word_processor_is_refused_and_its_image_is_not_paid(stage, brief) -> None:
    put(stage, ("look/a.png",), {"look/brief.yaml": brief})
    make_all(stage)
    assert stage.charges() == []
    assert "(line " in (stage.note("look") or "")


def test_a_voice_of_another_name_beside_the_one_image_asks(stage) -> None:
    put(stage, ("t/anna.png",), {"t/voice.mp3": stage.samples.joinpath("voiceover-en.mp3").read_bytes()})
    make_all(stage)
    assert stage.charges() == []
    note = stage.note("t--anna", "WAITING.txt") or ""
    assert "voice.mp3 lies beside anna.png" in note
    assert "rename it to anna.mp3" in note
    stage.upload("t/second.mp3", stage.samples.joinpath("voiceover-es.mp3").read_bytes())
    make_all(stage)
    assert stage.charges() == []
    assert "dub:" in (stage.note("t--anna", "WAITING.txt") or "")


def test_a_voice_pairs_whatever_the_case_and_the_blanks_of_its_name(stage) -> None:
    put(stage, (), {"t/a\u0308 anna .mp3": stage.samples.joinpath("voiceover-en.mp3").read_bytes()})
    stage.upload("t/Ä Anna.PNG", Path("portrait.png"))
    make_all(stage)
    (row,) = [row for row in stage.registry.list() if row.state is ClipState.DELIVERED]
    assert stage.request(row.clip).route == "lip_sync"
    assert len(stage.charges()) == 1


def test_numbers_point_at_the_files_that_their_names_mean(stage) -> None:
    put(
        stage,
        ("t/end.png", "t/start.png"),
        {"t/brief.yaml": "prompt: Push in slowly on image 1 in the light of image 2.\nduration: 4\n"},
    )
    make_all(stage)
    plan = json.loads(stage.bucket.read("clips/t/plan.json"))
    assert "Image 1 is start.png, image 2 is end.png." in str(plan)
    assert len(stage.charges()) == 1
