"""Uploads of real life, with what tools and people leave around: what is ordered, what waits and why, and what is reported."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import pytest

from i2v_assets.uploads.grouping import Grouping, group_uploads
from i2v_assets.uploads.near_names import NearFiles
from i2v_assets.uploads.types import HoldReason
from resources.storage.bucket import ObjectInfo

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOURS_AGO = 3 * 3600.0
LIST = "clip,image,prompt\n"


def look(*names: str, ages: Mapping[str, float] | None = None, **texts: str) -> Grouping:
    """Group settled files; a keyword is the text of the file whose name it is with __ for the dot."""
    written = {name.replace("__", "."): text for name, text in texts.items()}
    return grouped(names, written, ages or {})


def grouped(names: Iterable[str], texts: Mapping[str, str], ages: Mapping[str, float] | None = None) -> Grouping:
    """Group files of one folder, each with its own bytes unless its text is the same."""
    objects, read = [], {}
    for name in dict.fromkeys((*names, *texts)):
        key = f"uploads/t/{name}"
        age = (ages or {}).get(name, HOURS_AGO)
        text = texts.get(name)
        etag = name if text is None else text
        objects.append(ObjectInfo(key, 10 if text is None else len(text), etag, NOW - timedelta(seconds=age)))
        if text is not None:
            read[key] = text
    return group_uploads(objects, NOW, 30, read, {})


def made(found: Grouping) -> set[str]:
    return {each.clip.removeprefix("t--") for each in found.candidates if each.hold is None}


def held(found: Grouping) -> dict[str, HoldReason]:
    return {each.clip.removeprefix("t--"): each.hold.reason for each in found.candidates if each.hold is not None}


@pytest.mark.parametrize(
    "names",
    [
        [".git/HEAD", ".git/objects/aa/b.jpg", ".svn/pristine/x.jpg", "node_modules/x/icon.png", "__pycache__/x.pyc"],
        ["THUMBS.DB", "Desktop.ini", "FOUND.000/FILE0000.jpg", "$RECYCLE.BIN/S-1/x.jpg", "a.jpg:Zone.Identifier"],
        ["@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg", "#recycle/old.jpg", ".@__thumb/s100a.jpg", "@Recently-Snapshot/a.jpg"],
        ["b.jpg.!qB", "c.jpg.bc!", "d.jpg.xltd", "e.jpg.fdmdownload", "f.jpg.dwnldtmp", "g.jpg.temp", "Unconfirmed 1.crdownload"],
        ["h.jpg.filepart", "i.jpg.filepart.meta", ".j.jpg.k3Xa9Q", "k.jpg.1a2b3c4d.partial", "l.jpg.sb-1a2b3c4d-x1Y2z3"],
        [".m.jpg.icloud", "n.jpg.icloud", "o.jpg.nextcloud", "p.url", "q.webloc", "r.desktop", "s.lnk"],
        ["a.xmp", "a.THM", "a.LRV", "a.AAE", "a.cosettings", "a.on1", "a.vrd", "a.acr", "a.jpg.pp3", "a.jpg.dop"],
        ["CaptureOne/Cache/Thumbnails/a.jpg.cot", "Cat Previews.lrdata/0/x.lrprev", "Photos.photoslibrary/derivatives/b.jpg"],
        ["MISC/AUTPRINT.MRK", "INDEX.BDM", "MOVIEOBJ.BDMV", "Picasa.ini", ".picasa.ini", "ZbThumbnail.info"],
        ["a.jpg.json", "a.jpg(1).json", "metadata.json", "a.jpg.supplemental-metadata.json"],
        ["a.srt", "a.vtt", "a.TextGrid", "a.wav.reapeaks", "a.mp3.asd", "a.pkf", "a.sesx", "a.prproj"],
        ["a.psd", "a.RW2", "a.blend", "a.sketch", "~$looks.xlsx", ".~lock.looks.csv#", "looks.csv~"],
    ],
)  # fmt: skip
def test_what_tools_leave_around_neither_orders_nor_holds_nor_is_refused(names: list[str]) -> None:
    found = look("a.jpg", *names)
    assert made(found) == {"a"}
    assert not found.refused
    assert not found.doubts


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("hero.mp3.part", "hero"),
        ("hero.mp3.crdownload", "hero"),
        ("hero.jpg.filepart", "hero"),
        (".hero.mp3.k3Xa9Q", "hero"),
        ("hero.mp3.1a2b3c4d.partial", "hero"),
        ("looks.csv.part", "hero"),
        ("brief.yaml.tmp", "hero"),
        ("hero.txt.part", "hero"),
        ("hero.yaml.crdownload", "hero"),
    ],
)
def test_a_file_that_is_still_written_holds_what_it_may_change_for_an_hour(name: str, stem: str) -> None:
    young = look("hero.jpg", "cup.jpg", name, ages={name: 60})
    document = name.startswith(("looks", "brief"))
    assert [each.clip for each in young.settling if each.clip == "t--hero"] == ["t--hero"]
    assert "under way" in young.settling[0].words
    assert made(young) == (set() if document else {"cup"})
    assert made(look("hero.jpg", "cup.jpg", name, ages={name: 3700})) == {"hero", "cup"}


def test_a_folder_with_a_brief_waits_for_a_file_that_is_still_written() -> None:
    texts = {"brief.yaml": "prompt: x"}
    assert [each.clip for each in grouped(["a.jpg", "b.mp3.part"], texts, {"b.mp3.part": 60}).settling] == ["t"]
    assert made(grouped(["a.jpg", "b.mp3.part"], texts, {"b.mp3.part": 3700})) == {"t"}
    assert made(grouped(["a.jpg", "notes.txt.tmp"], texts, {"notes.txt.tmp": 60})) == {"t"}


@pytest.mark.parametrize(
    ("voice", "image"),
    [
        ("hero (1).mp3", "hero.jpg"),
        ("hero_voice.mp3", "hero.jpg"),
        ("hero-voiceover-final.wav", "hero.jpg"),
        ("hero copy.mp3", "hero.jpg"),
        ("Copy of hero.mp3", "hero.jpg"),
        ("hero_de.mp3", "hero.jpg"),
        ("hero.mp3", "hero_v2.jpg"),
        ("hero.mp3", "hero - Kopie (2).jpg"),
        ("Sprecher Hero.mp3", "hero.jpg"),
        ("vo_01.mp3", "img_01.jpg"),
        ("声音 封面.mp3", "封面.jpg"),
        ("表紙 コピー.mp3", "表紙.jpg"),
    ],
)
def test_a_voice_that_nearly_has_an_image_s_name_asks(voice: str, image: str) -> None:
    found = look(image, "cup.jpg", voice)
    assert made(found) == {"cup"}
    assert set(held(found).values()) == {HoldReason.OTHER_VOICE}
    (candidate,) = (each for each in found.candidates if each.hold is not None)
    assert candidate.hold is not None
    assert "rename it to" in candidate.hold.remedy


@pytest.mark.parametrize("voice", ["hero 2.mp3", "music.mp3", "heron.mp3", "hero_door.mp3"])
def test_other_sounds_beside_several_images_hold_none(voice: str) -> None:
    assert made(look("hero.jpg", "cup.jpg", voice)) == {"hero", "cup"}


def test_a_voice_that_has_its_own_image_holds_no_other() -> None:
    assert made(look("hero.jpg", "hero (1).jpg", "hero (1).mp3")) == {"hero", "hero-1"}


def test_an_image_with_a_voice_of_its_own_is_not_held_by_another_one() -> None:
    assert made(look("hero.jpg", "cup.jpg", "hero.mp3", "hero (1).mp3")) == {"hero", "cup"}


@pytest.mark.parametrize(
    "name",
    [
        "a (Anna's conflicted copy 2026-01-02).jpg",
        "a (Konfliktkopie von Anna 2026-01-02).jpg",
        "a (cópia em conflito de Anna 2026-01-02).jpg",
        "a (Anna の競合コピー 2026-01-02).jpg",
        "a (Anna 的冲突副本 2026-01-02).jpg",
        "a (SFConflict anna@example.org 2026-01-02-10-10-10).jpg",
        "a [conflicted].jpg",
        "a-DESKTOP-9K2LM3P.jpg",
        "a-Annas-MacBook-Pro.jpg",
        "a.sync-conflict-20260102-101010-ABCDEFG.jpg",
        "a_conflict_20260102.jpg",
    ],
)
def test_a_sync_program_s_copy_with_other_bytes_asks(name: str) -> None:
    found = look("a.jpg", name)
    assert made(found) == {"a"}
    assert set(held(found).values()) == {HoldReason.CONFLICT_COPY}


@pytest.mark.parametrize("name", ["shot-on-iPhone.jpg", "iMac-G3.jpg", "desktop-lamp.jpg", "conflict-zone.jpg"])
def test_names_that_only_remind_of_one_are_ordered(name: str) -> None:
    assert len(made(look(name))) == 1


@pytest.mark.parametrize(
    "name",
    [
        "brief (1).yaml",
        "brief - Copy.yaml",
        "brief - Kopie.yaml",
        "brief (Anna's conflicted copy 2026-01-02).yaml",
        "brief - コピー.yaml",
        "brief - 副本 (2).yaml",
        "brief (1) (1).json",
    ],
)
def test_a_brief_that_was_saved_twice_waits_and_the_same_brief_does_not(name: str) -> None:
    found = grouped(["a.jpg"], {"brief.yaml": "prompt: a", name: "prompt: b"})
    assert held(found) == {"t": HoldReason.DOUBT}
    (candidate,) = found.candidates
    assert candidate.hold is not None
    assert name in candidate.hold.words
    assert candidate.hold.remedy == "Keep one of them."
    assert made(grouped(["a.jpg"], {"brief.yaml": "prompt: a", name: "prompt: a"})) == {"t"}


@pytest.mark.parametrize("name", ["looks (1).csv", "looks - Copy.csv", "Kopie von looks.csv", "looks - 副本.csv"])
def test_a_list_that_was_saved_twice_waits_and_the_same_list_is_left_out(name: str) -> None:
    row, other = f"{LIST}x,a.jpg,pan\n", f"{LIST}x,a.jpg,zoom\ny,b.jpg,pan\n"
    found = grouped(["a.jpg", "b.jpg"], {"looks.csv": row, name: other})
    assert not made(found)
    assert held(found)["x"] is HoldReason.DOUBT
    assert [each.words for each in found.refused] == [f"t/{name} lies beside looks.csv and says something else."]
    same = grouped(["a.jpg"], {"looks.csv": row, name: row})
    assert (made(same), same.refused) == ({"x"}, ())


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".xlsx"])
def test_a_sync_program_s_copy_of_a_list_of_any_kind_holds_its_folder(ending: str) -> None:
    found = look("a.jpg", f"looks (Anna's conflicted copy 2026-01-02){ending}")
    assert held(found) == {"a": HoldReason.DOUBT}


def test_a_copy_of_a_copy_of_a_list_holds_the_first_one() -> None:
    row = f"{LIST}x,a.jpg,pan\n"
    found = grouped(["a.jpg"], {"l.csv": row, "l (1).csv": row, "l (1) (1).csv": f"{LIST}x,a.jpg,zoom\n"})
    assert held(found) == {"x": HoldReason.DOUBT}


def test_a_list_is_not_left_out_as_the_copy_of_a_file_that_is_not_read_as_one() -> None:
    conflict, row = "looks-DESKTOP-ABC1234", f"{LIST}x,a.jpg,pan\n"
    assert made(grouped(["a.jpg"], {f"{conflict}.csv": row, f"{conflict} (1).csv": row})) == {"x"}


def test_each_of_several_copies_of_a_list_is_refused() -> None:
    texts = {f"l{copy}.csv": f"{LIST}x,a.jpg,pan{copy}\n" for copy in ("", " (1)", " (2)")}
    found = grouped(["a.jpg"], texts)
    assert held(found) == {"x": HoldReason.DOUBT}
    assert [each.key for each in found.refused] == ["uploads/t/l (1).csv", "uploads/t/l (2).csv"]


def test_many_lists_of_a_folder_index_its_files_once(monkeypatch: pytest.MonkeyPatch) -> None:
    indexed: list[str] = []
    build = NearFiles._indexed
    monkeypatch.setattr(NearFiles, "_indexed", lambda self, folder: indexed.append(folder) or build(self, folder))
    texts = {f"l{n}{copy}.csv": f"{LIST}x{n},a{n}.jpg,pan{copy}\n" for n in range(20) for copy in ("", " (1)")}
    assert not made(grouped([f"a{n}.jpg" for n in range(20)], texts))
    assert indexed == ["t"]


def test_lists_of_many_folders_index_each_file_for_its_own_folders_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    build = NearFiles._indexed

    def indexed(self: NearFiles, folder: str) -> object:
        paths = build(self, folder)
        sizes.append(
            len({entry.path for each in paths.by_first.values() for found in each.values() for entry in found[:1]})
        )
        return paths

    monkeypatch.setattr(NearFiles, "_indexed", indexed)
    texts = {f"d{n}/l{copy}.csv": f"{LIST}x{n},a.jpg,pan{copy}\n" for n in range(20) for copy in ("", " (1)")}
    assert not made(grouped([f"d{n}/a.jpg" for n in range(20)], texts))
    assert sizes == [1] * 20


def test_files_named_with_marks_alone_do_not_stop_a_scan() -> None:
    found = grouped(["---/___.abcdef", "a.jpg"], {"looks.csv": "clip,image,prompt,what\nx,a.jpg,pan,y\n"})
    assert not made(found)


def test_other_line_ends_are_not_other_words() -> None:
    assert made(grouped(["a.jpg"], {"brief.yaml": "prompt: a\n", "brief (1).yaml": "prompt: a\r\n"})) == {"t"}


@pytest.mark.parametrize(
    ("name", "copy"),
    [
        ("a.yaml", "a (1).yaml"),
        ("a.yaml", "a - Kopie.yaml"),
        ("a.json", "a (1).json"),
        ("a.yaml", "a.sync-conflict-20260102-101010-ABCDEFG.yaml"),
        ("a.yaml", "a (1) (1).yaml"),
        ("a.yaml", "Copy of a (1).yaml"),
    ],
)
def test_a_sidecar_that_was_saved_twice_holds_its_image(name: str, copy: str) -> None:
    found = grouped(["a.jpg"], {name: '{"prompt": "x"}', copy: '{"prompt": "y"}'})
    assert held(found) == {"a": HoldReason.DOUBT}
    assert made(grouped(["a.jpg"], {name: '{"prompt": "x"}', copy: '{"prompt": "x"}'})) == {"a"}


def test_a_file_of_another_kind_is_not_a_copy_of_a_sidecar() -> None:
    assert made(grouped(["a.jpg"], {"a.yaml": "prompt: x", "a (1).json": '{"title": "IMG_1"}'})) == {"a"}


def test_a_sidecar_of_another_image_is_not_a_copy() -> None:
    texts = {"a.yaml": "prompt: x", "a (1).yaml": "prompt: y"}
    assert made(grouped(["a.jpg", "a (1).jpg"], texts)) == {"a", "a-1"}


def test_lists_that_are_parts_of_one_are_both_read() -> None:
    found = grouped(["a.jpg", "b.jpg"], {"looks-1.csv": f"{LIST}x,a.jpg,pan\n", "looks-2.csv": f"{LIST}y,b.jpg,pan\n"})
    assert made(found) == {"x", "y"}


def test_an_editor_s_backup_of_a_list_changes_nothing_and_alone_is_doubt() -> None:
    row = f"{LIST}x,a.jpg,pan\n"
    found = grouped(["a.jpg"], {"looks.csv": row, "looks.csv.bak": row})
    assert (made(found), found.refused) == ({"x"}, ())
    assert held(grouped(["a.jpg"], {"looks.csv.bak": row})) == {"a": HoldReason.DOUBT}


@pytest.mark.parametrize(
    "name",
    [
        "Briefing Sommer.pdf",
        "Storyboard_v3.pdf",
        "Briefing Sommer.pptx",
        "prompts.txt",
        "Instructions.txt",
        "Auftrag.msg",
        "提示词.txt",
        "guion.md",
        "looks.ndjson",
        "looks.parquet",
        "looks.tsv",
    ],
)
def test_what_a_person_takes_for_a_document_holds_the_images_beside_it(name: str) -> None:
    found = grouped(["a.jpg"], {name: "words"})
    assert held(found) == {"a": HoldReason.DOUBT}
    assert [each.key for each in found.refused] == [f"uploads/t/{name}"]


@pytest.mark.parametrize("name", ["a.jpg.txt", "a.md", "a.caption", "a.prompt"])
def test_a_text_of_an_image_s_name_holds_that_image_alone(name: str) -> None:
    found = grouped(["a.jpg", "b.jpg"], {name: "Slow push in"})
    assert (made(found), held(found)) == ({"b"}, {"a": HoldReason.DOUBT})
    assert "a.txt" in found.refused[0].remedy


@pytest.mark.parametrize(
    "name",
    [
        "credits.txt",
        "README.md",
        "LICENSE",
        "info.txt",
        "index.html",
        "script.js",
        "Deck.pptx",
        "Care instructions.pdf",
        "installation-instructions.txt",
    ],
)
def test_other_texts_hold_nothing(name: str) -> None:
    assert made(grouped(["a.jpg"], {name: "Photos by Anna"})) == {"a"}


@pytest.mark.parametrize(
    "name",
    [
        "README_2.txt",
        "readme-images.md",
        "LICENSE-photos",
        "LICENSE-MIT",
        "Licence (1).txt",
        "README.md",
        "LIESMICH.txt",
        "Lisez-moi.txt",
        "Read Me First.txt",
        "NOTICE.txt",
    ],
)
def test_files_about_the_files_are_companions_unless_their_text_is_nearly_a_document(name: str) -> None:
    found = grouped(["a.jpg"], {name: "Photos by Anna"})
    assert (made(found), found.refused, found.ignored) == ({"a"}, (), 1)
    if name != "README.md":
        assert held(grouped(["a.jpg"], {name: "prompt: slow push in\n"})) == {"a": HoldReason.DOUBT}
        assert held(grouped(["a.jpg"], {name: "For a.jpg: slow push in"})) == {"a": HoldReason.DOUBT}


@pytest.mark.parametrize("name", ["pics.zip", "pics.rar", "pics.tar.gz"])
def test_an_archive_is_refused_with_what_to_upload(name: str) -> None:
    (refused,) = look("a.jpg", name).refused
    assert (refused.words, refused.remedy) == (f"{name} is an archive.", "Upload the files that it holds.")


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("Bild;Prompt", "image"),
        ("image;Beschreibung", "prompt"),
        ("Imagen;prompt", "image"),
        ("Fichier;prompt", "image"),
        ("Arquivo;prompt", "image"),
        ("画像;prompt", "image"),
        ("图片;prompt", "image"),
        ("File name;prompt", "image"),
        ("image;Durée", "duration"),
        ("image;提示词", "prompt"),
    ],
)
def test_a_column_in_another_language_is_suggested_and_nothing_is_ordered(line: str, column: str) -> None:
    found = grouped(["a.jpg"], {"looks.csv": f"{line}\na.jpg;Langsam\n"})
    assert not made(found)
    assert held(found) == {"a": HoldReason.DOUBT}
    assert found.refused[0].remedy == f"Did you mean `{column}`?"


def test_a_list_in_utf_16_without_its_mark_orders_nothing() -> None:
    found = grouped(["a.jpg"], {"looks.csv": f"{LIST}x,a.jpg,pan\n".encode("utf-16-le").decode()})
    assert held(found) == {"a": HoldReason.DOUBT}
    assert "is not a column" in found.refused[0].words
