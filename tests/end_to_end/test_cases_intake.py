"""Uploads of real life through the sensor: only what is meant is paid for, and what waits says why."""

import io
from pathlib import Path

import pytest
from PIL import Image

from resources.registry.registry import ClipState

BRIEF = "prompt: Push in slowly.\nimages: a.jpg\n"


def picture(shade: int = 0) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), (shade % 256, shade // 256, 99)).save(out, "PNG")
    return out.getvalue()


def make_all(stage) -> None:
    """Let the sensor and the runs work until nothing is due any more."""
    for _ in range(4):
        if not stage.make():
            return


class Uploads:
    """Different pictures, so that no clip shares a charge with another."""

    def __init__(self, stage) -> None:
        self.stage = stage
        self.shade = 0

    def images(self, *names: str) -> None:
        for name in names:
            self.shade += 1
            self.stage.upload(name, picture(self.shade))


@pytest.fixture
def uploads(stage) -> Uploads:
    return Uploads(stage)


def test_images_of_deleted_documents_wait_and_their_clips_wait_on_when_they_are_back(stage, uploads) -> None:
    rows = "".join(f"n{n},t/img/{n}.jpg,Push in slowly,true\n" for n in (1, 2))
    listed = f"clip,image,prompt,needs_approval\n{rows}"
    brief = "prompt: Push in on image 1 with light from image 2.\nimages: [p.jpg, q.jpg]\nduration: 4\nresolution: 480p\nneeds_approval: true\n"
    uploads.images("t/img/1.jpg", "t/img/2.jpg", "t/look/p.jpg", "t/look/q.jpg")
    stage.upload("t/looks.csv", listed.replace("t/img", "img"))
    stage.upload("t/look/brief.yaml", brief)
    make_all(stage)
    waiting = {"t--n1", "t--n2", "t--look"}
    assert {clip for clip, state in stage.states().items() if state is ClipState.WAITING} == waiting

    stage.bucket.delete("uploads/t/looks.csv")
    stage.bucket.delete("uploads/t/look/brief.yaml")
    make_all(stage)

    assert stage.charges() == []
    held = stage.clip("t--img--1")
    assert held.state is ClipState.WAITING
    assert "belonged to t/looks.csv, gone since" in (held.reason or "")
    assert "t/looks.csv" in stage.bucket.read("clips/t--img--1/WAITING.txt").decode()
    assert "t/look/brief.yaml" in (stage.clip("t--look--p").reason or "")

    stage.upload("t/looks.csv", listed.replace("t/img", "img"))
    stage.upload("t/look/brief.yaml", brief)
    make_all(stage)

    assert stage.charges() == []
    assert {clip for clip, state in stage.states().items() if state is ClipState.WAITING} == waiting
    assert stage.clip("t--img--1").state is ClipState.WITHDRAWN


def test_an_image_that_is_uploaded_again_still_belongs_to_its_deleted_list(stage, uploads) -> None:
    uploads.images("t/1.jpg")
    stage.upload("t/looks.csv", "clip,image,needs_approval\nn1,1.jpg,true\n")
    make_all(stage)
    stage.bucket.delete("uploads/t/looks.csv")
    make_all(stage)
    uploads.images("t/1.jpg")
    make_all(stage)

    assert stage.charges() == []
    assert stage.clip("t--1").state is ClipState.WAITING


def test_nothing_is_said_of_images_whose_clips_were_delivered_before_their_list_went(stage, uploads) -> None:
    uploads.images("t/1.jpg")
    stage.upload("t/looks.csv", "clip,image\nn1,1.jpg\n")
    make_all(stage)
    assert len(stage.charges()) == 1
    stage.bucket.delete("uploads/t/looks.csv")
    make_all(stage)

    assert len(stage.charges()) == 1
    assert stage.states() == {"t--n1": ClipState.DELIVERED}


def test_a_document_that_comes_after_the_payment_asks(stage, uploads) -> None:
    uploads.images("t/a.jpg", "t/b.jpg")
    make_all(stage)
    assert len(stage.charges()) == 2
    stage.upload(
        "t/brief.yaml",
        "prompt: Push in on image 1, light from image 2.\nimages: [a.jpg, b.jpg]\nduration: 4\nresolution: 480p\n",
    )
    make_all(stage)
    stage.upload(
        "t/brief.yaml",
        "prompt: Push in on image 1, mood from image 2.\nimages: [a.jpg, b.jpg]\nduration: 4\nresolution: 480p\n",
    )
    make_all(stage)

    assert len(stage.charges()) == 2
    row = stage.clip("t")
    assert row.state is ClipState.WAITING
    assert "paid for already" in (row.reason or "")
    assert "It will cost about" in stage.bucket.read("clips/t/WAITING.txt").decode()


def test_a_voice_that_comes_after_the_payment_asks(stage) -> None:
    stage.upload("slow.png", picture(1))
    make_all(stage)
    stage.upload("slow.mp3", Path("voiceover-en.mp3"))
    make_all(stage)

    assert len(stage.charges()) == 1
    assert stage.clip("slow").state is ClipState.WAITING
    stage.bucket.delete("uploads/slow.mp3")
    make_all(stage)
    assert len(stage.charges()) == 1
    assert stage.clip("slow").state is ClipState.DELIVERED


@pytest.mark.parametrize(
    ("name", "brief"),
    [
        ("voice.mp3", "prompt: Push in slowly.\n"),
        ("light.png", "prompt: Push in on image 1.\nroute: multi_modal\nduration: 4\nresolution: 480p\n"),
    ],
)
def test_a_file_that_comes_into_a_folder_after_the_payment_asks(stage, name, brief) -> None:
    stage.upload("t/brief.yaml", brief)
    stage.upload("t/a.png", picture(1))
    make_all(stage)
    assert len(stage.charges()) == 1
    stage.upload(f"t/{name}", Path("voiceover-en.mp3") if name.endswith("mp3") else picture(2))
    make_all(stage)

    assert len(stage.charges()) == 1
    row = stage.clip("t")
    assert row.state is ClipState.WAITING
    assert f"t/{name} came later" in (row.reason or "")
    stage.bucket.delete(f"uploads/t/{name}")
    make_all(stage)
    assert len(stage.charges()) == 1
    assert stage.clip("t").state is ClipState.DELIVERED


def test_a_dub_that_comes_after_the_payment_asks_for_each_language(stage) -> None:
    stage.upload("t/a.png", Path("portrait.png"))
    make_all(stage)
    assert len(stage.charges()) == 1
    for language in ("de", "en"):
        stage.upload(f"t/{language}.mp3", Path("voiceover-en.mp3"))
    stage.upload("t/brief.yaml", "prompt: She speaks calmly.\ndub: {de: de.mp3, en: en.mp3}\n")
    make_all(stage)

    assert len(stage.charges()) == 1
    for language in ("de", "en"):
        row = stage.clip(f"t--{language}")
        assert row.state is ClipState.WAITING
        assert "t/brief.yaml came later" in (row.reason or "")


@pytest.mark.parametrize("key", ["music", "narration"])
def test_a_sound_that_comes_under_a_delivered_clip_costs_nothing(stage, key) -> None:
    brief = "prompt: Push in slowly.\nimages: a.png\nroute: animate\n"
    stage.upload("t/brief.yaml", brief)
    stage.upload("t/a.png", picture(1))
    make_all(stage)
    stage.upload("t/sound.mp3", Path("ambience.mp3"))
    make_all(stage)
    stage.upload("t/brief.yaml", f"{brief}{key}: sound.mp3\n")
    make_all(stage)

    assert stage.clip("t").state is ClipState.DELIVERED
    assert len(stage.charges()) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("brief (1).yaml", BRIEF),
        ("brief.yaml.txt", BRIEF),
        ("Brief.docx", b"PK\x03\x04"),
        ("_defaults.yaml.txt", "duration: 5"),
        ("looks.ods", b"PK\x03\x04"),
        ("looks.numbers", b"PK\x03\x04"),
        ("notes.rtf", "{\\rtf1}"),
        ("briefing.pdf", b"%PDF-"),
        ("brief", BRIEF),
        ("clip.yml", BRIEF),
        ("list.csv.txt", "clip,image\na,a.jpg\n"),
        ("shots.txt", "a.jpg: push in slowly"),
        ("looks.csv", "clip,imgae\na,a.jpg\n"),
        ("looks (conflicted copy).csv", "clip,image\na,a.jpg\n"),
    ],
)
def test_what_is_nearly_a_document_holds_its_folder_until_it_is_removed(stage, uploads, name, content) -> None:
    uploads.images("t/a.jpg", "t/below/b.jpg", "other/c.jpg")
    stage.upload(f"t/{name}", content)
    make_all(stage)

    assert [row.clip for row in stage.registry.list([ClipState.DELIVERED])] == ["other--c"]
    assert len(stage.charges()) == 1
    held = stage.clip("t--a")
    assert held.state is ClipState.WAITING
    assert name in (held.reason or "") + (held.remedy or "")

    stage.bucket.delete(f"uploads/t/{name}")
    make_all(stage)
    assert len(stage.charges()) == 3
    assert not list(stage.bucket.list("clips/_refused/"))


@pytest.mark.parametrize(
    "name", ["a.dng", "a.xmp", "README.txt", "a.jpg.json", "a.json", "a.md5", ".DS_Store", "Icon\r", "a.AAE"]
)
def test_companions_and_noise_hold_nothing_and_are_not_refused(stage, uploads, name) -> None:
    uploads.images("t/a.jpg")
    stage.upload(f"t/{name}", "{}")
    stage.upload("t/@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", picture(99))
    stage.upload("t/.trashed-1-b.jpg", picture(98))
    make_all(stage)

    assert len(stage.charges()) == 1
    assert stage.states() == {"t--a": ClipState.DELIVERED}
    assert not list(stage.bucket.list("clips/_refused/"))


def test_a_brief_at_the_top_holds_the_image_that_it_names(stage, uploads) -> None:
    uploads.images("cup.jpg", "other.jpg")
    stage.upload("brief.yaml", "prompt: Slow orbit around the cup.\nimages: cup.jpg\n")
    make_all(stage)
    assert stage.states() == {"cup": ClipState.WAITING, "other": ClipState.DELIVERED}
    assert len(stage.charges()) == 1


def test_names_in_a_list_that_nearly_fit_hold_their_files_and_are_suggested(stage, uploads) -> None:
    uploads.images("t/img/0003.jpg", "t/img/0004.jpg", "u/pics/1.jpg")
    stage.upload("t/looks.csv", "clip,image\nhat,img/0003.JPG\nbag,img/0004\n")
    stage.upload("u/list.jsonl", '{"clip": "a", "image": "C:\\\\Users\\\\someone\\\\pics\\\\1.jpg", "prompt": "x"}\n')
    make_all(stage)

    assert stage.charges() == []
    assert stage.clip("t--img--0003").state is ClipState.WAITING
    note = stage.bucket.read("clips/t--hat/REFUSED.txt").decode()
    assert "Did you mean `img/0003.jpg`?" in note
    assert stage.clip("u--pics--1").state is ClipState.WAITING


def test_good_rows_of_a_faulty_list_are_made_and_what_the_others_name_is_not(stage, uploads) -> None:
    uploads.images("t/men's shoe.jpg", "t/ok.jpg", "u/café.jpg", "u/plain.jpg", "v/x, y.jpg")
    stage.upload("t/looks.csv", "clip,image,prompt,duration\na,men's shoe.jpg,Push in,five\nb,ok.jpg,Push in,4\n")
    stage.upload("u/liste.csv", "clip;image;prompt\ncafe;café.jpg;näher\n".encode("cp1252"))
    stage.upload("v/list.csv", 'clip,image,prompt\nq,"x, y.jpg",Push in,extra\n')
    make_all(stage)

    assert [row.clip for row in stage.registry.list([ClipState.DELIVERED])] == ["t--b"]
    assert len(stage.charges()) == 1
    assert stage.clip("u--cafe").state is ClipState.WAITING


def test_sidecars_are_briefs_and_prompts(stage, uploads) -> None:
    uploads.images("t/shoe2.jpg", "t/shoe3.jpg", "t/shoe4.jpg", "t/shoe5.jpg")
    stage.upload("t/shoe2.txt", "Slow orbit around the shoe, label unchanged.")
    stage.upload("t/shoe3.yaml", "prompt: Slow orbit.\nduration: 5\n")
    stage.upload("t/shoe4.json", '{"prompt": "Slow orbit around the shoe."}')
    stage.upload("t/shoe5.txt", "prompt: Slow orbit around the shoe.\nduration: 5")
    make_all(stage)

    states = stage.states()
    assert states["t--shoe2"] is ClipState.WAITING
    assert states["t--shoe3"] is states["t--shoe4"] is ClipState.DELIVERED
    assert len(stage.charges()) == 2
    assert "shoe5.yaml" in stage.bucket.read("clips/t--shoe5/REFUSED.txt").decode()
    stage.materialize("t--shoe2")
    uploads.images("t/next.jpg")
    stage.upload("t/next.txt", "Slow orbit around the next shoe.")
    make_all(stage)
    assert len(stage.charges()) == 4, "one approval answers for the folder"


def test_a_tree_that_a_list_feeds_every_night_makes_no_loose_clip(stage, uploads) -> None:
    for night in range(4):
        uploads.images(f"t/{night}-a.jpg", f"t/{night}-b.jpg")
        if night:  # a new tree is only known to be fed by a list once there was one
            make_all(stage)
        stage.upload("t/looks.csv", f"clip,image\na{night},{night}-a.jpg\nb{night},{night}-b.jpg\n")
        make_all(stage)
    assert len(stage.charges()) == 8
    assert set(stage.states()) == {f"t--{name}{night}" for night in range(4) for name in "ab"}


def test_loose_images_of_the_owner_settings(stage, uploads, monkeypatch) -> None:
    uploads.images("ask/a.jpg", "none/b.jpg", "all/c.jpg")
    stage.upload("ask/_defaults.yaml", "loose_images: approve\n")
    stage.upload("none/_defaults.yaml", "loose_images: ignore\n")
    make_all(stage)
    assert stage.states() == {"ask--a": ClipState.WAITING, "all--c": ClipState.DELIVERED}
    monkeypatch.setenv("I2V_IGNORE_UPLOADS", "*-thumb.jpg, old/")
    uploads.images("all/c-thumb.jpg", "all/old/d.jpg")
    make_all(stage)
    assert len(stage.charges()) == 1


def test_defaults_that_go_away_order_nothing(stage, uploads) -> None:
    stage.upload("t/_defaults.yaml", "needs_approval: true\n")
    uploads.images("t/a.jpg")
    make_all(stage)
    stage.bucket.delete("uploads/t/_defaults.yaml")
    make_all(stage)
    make_all(stage)
    assert stage.charges() == []
    assert "_defaults.yaml" in (stage.clip("t--a").reason or "")


def test_an_unfinished_upload_holds_its_folder_and_at_the_top_the_names_that_it_lists(stage, uploads) -> None:
    stage.upload("t/_uploading-1.json", '{"files": ["brief.yaml", "b.jpg"]}')
    stage.upload("_uploading-2.json", '{"files": ["hero.mp3"]}')
    uploads.images("t/a.jpg", "hero.png", "other.png")
    make_all(stage)
    assert stage.states() == {"other": ClipState.DELIVERED}
    stage.upload("t/brief.yaml", BRIEF)
    stage.bucket.delete("uploads/t/_uploading-1.json")
    stage.bucket.delete("uploads/_uploading-2.json")
    make_all(stage)
    assert set(stage.states()) == {"other", "t", "hero"}
    assert len(stage.charges()) == 3


def test_conflict_copies_of_other_bytes_ask_and_same_bytes_are_left_out(stage) -> None:
    stage.upload("t/a.png", picture(1))
    stage.upload("t/a (Anna's conflicted copy 2026-01-01).png", picture(1))
    stage.upload("t/a.sync-conflict-20260101-101010-ABCDEFG.png", picture(2))
    make_all(stage)
    assert len(stage.charges()) == 1
    assert sorted(stage.states().values()) == [ClipState.DELIVERED, ClipState.WAITING]
