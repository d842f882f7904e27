"""Files that belong together become a clip, incomplete uploads wait, and the others are refused with a reason."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from i2v_assets.uploads import layouts, tree
from i2v_assets.uploads.grouping import Candidate, Grouping, RefusedUpload, group_uploads, texts_wanted

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
SETTLE = 30


@dataclass(frozen=True)
class Thing:
    """An object of the listing; ``age`` in seconds before now."""

    key: str
    age: float = 60
    etag: str = "e1"
    size_bytes: int = 1000

    @property
    def modified_at(self) -> datetime:
        return NOW - timedelta(seconds=self.age)


def look(
    things: list[Thing | str],
    texts: Mapping[str, str | bytes] | None = None,
    taken: Mapping[str, str] | None = None,
    elsewhere: tuple[str, ...] = (),
    max_bytes: int | None = None,
    whole: bool = True,
) -> Grouping:
    given = {f"uploads/{name}": text for name, text in (texts or {}).items()}
    objects = [
        Thing(f"uploads/{thing}")
        if isinstance(thing, str)
        else Thing(f"uploads/{thing.key}", thing.age, thing.etag, thing.size_bytes)
        for thing in things
    ]
    known = {each.key for each in objects}
    objects += [Thing(key) for key in given if key not in known]
    others = [Thing(key) for key in elsewhere]
    return group_uploads(objects, NOW, SETTLE, given, taken or {}, elsewhere=others, max_bytes=max_bytes, whole=whole)


def names(found: Grouping) -> dict[str, list[str]]:
    return {each.clip: [file.name for file in each.files] for each in found.candidates if each.hold is None}


def one_refusal(found: Grouping) -> RefusedUpload:
    assert len(found.refused) == 1, found
    (refusal,) = found.refused
    assert refusal.words.endswith(".")
    assert refusal.remedy
    return refusal


class TestLoose:
    def test_an_image_alone_and_an_image_with_its_voiceover(self) -> None:
        found = look(["hero.jpg", "shoes/0001.PNG", "talk.webp", "talk.mp3"])
        assert names(found) == {"hero": ["hero.jpg"], "shoes--0001": ["0001.PNG"], "talk": ["talk.webp", "talk.mp3"]}
        assert not found.refused
        assert not found.settling
        assert found.present == {"hero", "shoes--0001", "talk"}

    @pytest.mark.parametrize(("age", "complete"), [(29, False), (30, True), (31, True)])
    def test_complete_when_left_alone_long_enough(self, age: float, complete: bool) -> None:
        found = look([Thing("hero.jpg", age)])
        assert bool(found.candidates) is complete
        assert bool(found.settling) is not complete
        assert found.present == {"hero"}

    def test_a_voiceover_that_just_came_keeps_its_image_waiting(self) -> None:
        found = look([Thing("hero.jpg", 500), Thing("hero.mp3", 3), "other.jpg"])
        assert names(found) == {"other": ["other.jpg"]}
        assert [each.clip for each in found.settling] == ["hero"]

    def test_a_voiceover_belongs_to_its_own_folder_only(self) -> None:
        found = look(["a/x.jpg", "b/x.mp3"])
        assert names(found) == {"a--x": ["x.jpg"]}
        assert "voiceover alone" in one_refusal(found).words

    @pytest.mark.parametrize(("name", "words"), [("v.mp3", "voiceover alone"), ("v.mp4", "video alone")])
    def test_audio_or_video_alone_is_refused_once_it_settled(self, name: str, words: str) -> None:
        assert words in one_refusal(look([name])).words
        young = look([Thing(name, 3)])
        assert not young.refused
        assert not young.candidates

    @pytest.mark.parametrize("ending", ["mp4", "webm", "3gp", "m4v", "mkv", "mov"])
    def test_a_recording_beside_an_image_goes_with_it_because_only_its_content_shows_what_it_is(
        self, ending: str
    ) -> None:
        assert names(look(["x.jpg", f"x.{ending}"])) == {"x": ["x.jpg", f"x.{ending}"]}

    def test_a_video_beside_an_image_is_refused_and_holds_it(self) -> None:
        found = look(["x.jpg", "x.avi"])
        assert not names(found)
        assert [each.clip for each in found.candidates] == ["x"]
        assert "x.avi" in one_refusal(found).words

    def test_a_sound_that_is_sent_as_it_is_goes_before_one_that_is_prepared(self) -> None:
        assert names(look(["x.jpg", "x.m4a", "x.mp3"])) == {"x": ["x.jpg", "x.mp3"]}
        assert names(look(["x.jpg", "x.m4a"])) == {"x": ["x.jpg", "x.m4a"]}

    def test_two_voiceovers_are_refused(self) -> None:
        found = look(["x.jpg", "x.mp3", "x.wav"])
        assert "x.mp3 and x.wav" in one_refusal(found).words
        assert not found.candidates

    @pytest.mark.parametrize(
        ("name", "command"),
        [
            ("x.jp2", 'magick "x.jp2[0]" "x.png"'),
            ("x.psd", "Export it as PNG or JPEG from the program that made it, and upload that."),
            ("x.cr3", "Export it as JPEG from your photo program, and upload that."),
            ("x.wma", 'ffmpeg -i "x.wma" "x.mp3"'),
            ("x.wmv", 'ffmpeg -i "x.wmv" "x.mp4"'),
            ("x.pdf", "Export the page as PNG, for example in the preview of your system, and upload that."),
        ],
    )
    def test_what_can_be_converted_is_refused_with_the_command(self, name: str, command: str) -> None:
        assert command in one_refusal(look([name])).remedy

    def test_an_image_is_not_paid_for_without_the_voice_that_was_meant(self) -> None:
        found = look(["x.jpg", "x.wma"])
        assert not found.candidates
        assert one_refusal(found).clip == "x"
        assert names(look(["x.jpg", "x.wma", "x.mp3"])) == {"x": ["x.jpg", "x.mp3"]}

    @pytest.mark.parametrize(
        ("name", "remedy"),
        [
            ("notes.txt", ".jpg"),
            ("clip.exe", ".jpg"),
            ("noending", ".jpg"),
            ("x.pptx", ".jpg"),
            ("other.yaml", "brief.yaml"),
            ("brief.txt", "brief.yaml"),
        ],
    )
    def test_unknown_types_are_refused(self, name: str, remedy: str) -> None:
        refusal = one_refusal(look([name, "ok.jpg"]))
        assert name in refusal.words
        assert remedy in refusal.remedy

    @pytest.mark.parametrize(
        "name",
        [
            ".DS_Store",
            "a/.DS_Store",
            "Thumbs.db",
            "._hero.jpg",
            "__MACOSX/hero.jpg",
            ".git/x.jpg",
            "hero.jpg.part",
            "~$x.csv",
        ],
    )
    def test_what_systems_leave_behind_is_nothing(self, name: str) -> None:
        found = look([name])
        assert (found.candidates, found.settling, found.refused) == ((), (), ())

    def test_names_of_any_kind_get_a_clean_clip_name_and_keep_their_key(self) -> None:
        wild = [
            "my photo (1).jpg",
            "ünïcode.jpg",
            "quo\"te's.jpg",
            "..",
            "../up.jpg",
            "line\nbreak.jpg",
            "a//b.jpg",
            "$(x).jpg",
        ]
        found = look([*wild[:3], *wild[4:]])
        assert len(found.candidates) == 7
        assert {file.key for each in found.candidates for file in each.files} == {
            f"uploads/{name}" for name in wild if name != ".."
        }
        for each in found.candidates:
            assert each.clip.replace("-", "").replace("_", "").isalnum()
            assert each.clip.isascii()

    def test_a_camera_name_with_an_underscore_is_a_clip(self) -> None:
        assert len(look(["_MG_0001.jpg"]).candidates) == 1

    def test_empty_and_large_files(self) -> None:
        assert "empty (0 bytes)" in one_refusal(look([Thing("x.jpg", size_bytes=0)])).words
        assert look([Thing("x.jpg", size_bytes=10)], max_bytes=10).candidates
        refusal = one_refusal(look([Thing("x.jpg", size_bytes=11)], max_bytes=10))
        assert "11 bytes; at most 10" in refusal.words

    def test_other_parts_of_the_bucket_are_no_uploads(self) -> None:
        found = group_uploads([Thing("videos/x.jpg"), Thing("uploadsx/y.jpg")], NOW, SETTLE, {}, {})
        assert not found.present

    def test_messages_and_commands_hold_nothing_a_shell_obeys(self) -> None:
        refusal = one_refusal(look(['$(rm -rf x)`;"\n.jp2']))
        assert not set("$`\n") & set(refusal.text)
        assert refusal.text.count('"') == 4


class TestFolder:
    def test_a_brief_takes_the_files_that_it_names_in_its_order(self) -> None:
        brief = "images: [b.jpg, refs/a.jpg]\naudio: v.mp3\nprompt: pan"
        found = look(["x/a.jpg", "x/b.jpg", "x/refs/a.jpg", "x/v.mp3", "x/unused.mp4"], {"x/brief.yaml": brief})
        assert names(found) == {"x": ["b.jpg", "refs/a.jpg", "v.mp3"]}
        (candidate,) = found.candidates
        assert candidate.source == "uploads/x/"
        assert candidate.document_key == "uploads/x/brief.yaml"
        assert candidate.brief.prompt == "pan"
        assert not found.refused

    def test_complete_the_moment_all_named_files_exist(self) -> None:
        found = look([Thing("x/a.jpg", 0), Thing("x/brief.yaml", 0)], {"x/brief.yaml": "images: a.jpg"})
        assert names(found) == {"x": ["a.jpg"]}

    @pytest.mark.parametrize("ending", ["yaml", "yml", "json"])
    def test_a_brief_that_names_none_takes_everything_by_kind(self, ending: str) -> None:
        things: list[Thing | str] = ["p/x/v.mp3", "p/x/2.jpg", "p/x/1.jpg", "p/x/m.mp4", "p/x/sub/0.png"]
        found = look(things, {f"p/x/brief.{ending}": '{"prompt": "x"}'})
        assert names(found) == {"p--x": ["1.jpg", "2.jpg", "sub/0.png", "m.mp4", "v.mp3"]}

    def test_everything_waits_until_it_settled(self) -> None:
        found = look([Thing("x/a.jpg", 500), Thing("x/b.jpg", 29)], {"x/brief.yaml": ""})
        assert not found.candidates
        assert [each.clip for each in found.settling] == ["x"]

    def test_a_missing_file_is_waited_for_and_then_refused_by_name(self) -> None:
        texts = {"x/brief.yaml": "images: [a.jpg, 'B.jpg']"}
        young = look([Thing("x/a.jpg", 5)], texts)
        assert "B.jpg" in young.settling[0].words
        refusal = one_refusal(look(["x/a.jpg"], texts))
        assert "`B.jpg`" in refusal.words
        assert refusal.key == "uploads/x/brief.yaml"
        assert refusal.clip == "x"

    @pytest.mark.parametrize(
        ("text", "words", "remedy"),
        [
            ("promt: x", "`promt` is not a key", "Did you mean `prompt`?"),
            ("a: b: c", "line 1, column 5", "indentation"),
            (b"\xff\xfe", "not UTF-8", "UTF-8"),
            ("images: a.mp3", "`images` names a.mp3", "brief"),
            ("audio: a.wma", "no route accepts", 'ffmpeg -i "a.wma"'),
            ("images: n.txt", "`images` names n.txt", "brief"),
            ("dub: {en: a.mp3}\naudio: a.mp3", "both `audio` and `dub`", "Remove `audio`"),
        ],
    )
    def test_a_brief_that_cannot_be_used(self, text: str | bytes, words: str, remedy: str) -> None:
        found = look(["x/a.mp3", "x/a.wma", "x/n.txt", "ok.jpg"], {"x/brief.yaml": text})
        refusal = one_refusal(found)
        assert words in refusal.words
        assert remedy in refusal.remedy
        assert names(found) == {"ok": ["ok.jpg"]}
        assert "x" in found.present

    def test_a_brief_without_media_and_a_folder_without_anything(self) -> None:
        assert "a brief but no media" in one_refusal(look([], {"x/brief.yaml": "prompt: x"})).words
        assert "empty" in one_refusal(look(["x/"])).words
        for fine in (["x/", "x/a.jpg"], ["x/", "x/y/", "x/y/a.jpg"], [Thing("x/", 3)], ["_side/"]):
            assert not look(list(fine)).refused

    def test_a_voiceover_with_a_brief_is_a_clip(self) -> None:
        assert names(look(["x/v.mp3"], {"x/brief.yaml": "prompt: a host talks"})) == {"x": ["v.mp3"]}

    def test_two_briefs_are_refused(self) -> None:
        found = look(["x/a.jpg"], {"x/brief.yaml": "", "x/brief.json": ""})
        assert "brief.json and brief.yaml" in one_refusal(found).words

    def test_a_brief_at_the_top_is_refused_and_holds_the_loose_files_that_it_may_mean(self) -> None:
        found = look(["a.jpg", "below/b.jpg"], {"brief.yaml": ""})
        assert "directly in uploads/" in one_refusal(found).words
        assert set(names(found)) == {"below--b"}
        assert {each.clip for each in found.candidates} == {"a", "below--b"}
        named = look(["a.jpg", "b.jpg"], {"brief.yaml": "images: b.jpg"})
        assert set(names(named)) == {"a"}

    def test_the_nearest_brief_owns_a_file(self) -> None:
        texts = {"x/brief.yaml": "prompt: outer", "x/y/brief.yaml": "prompt: inner"}
        found = look(["x/a.jpg", "x/z/b.jpg", "x/y/c.jpg"], texts)
        assert names(found) == {"x": ["a.jpg", "z/b.jpg"], "x--y": ["c.jpg"]}

    def test_what_no_route_takes_blocks_a_brief_that_takes_everything(self) -> None:
        found = look(["x/a.jpg", "x/v.wma"], {"x/brief.yaml": "prompt: x"})
        assert "v.wma" in one_refusal(found).words
        assert not found.candidates

    def test_other_files_in_a_clips_folder_are_its_own_business(self) -> None:
        assert not look(["x/a.jpg", "x/notes.txt"], {"x/brief.yaml": ""}).refused

    def test_a_brief_that_was_not_read_yet_settles(self) -> None:
        found = group_uploads([Thing("uploads/x/brief.yaml"), Thing("uploads/x/a.jpg")], NOW, SETTLE, {}, {})
        assert not found.candidates
        assert found.present == {"x"}

    def test_priority_goes_first(self) -> None:
        texts = {"x/brief.yaml": "priority: 1", "y/brief.yaml": "priority: -1"}
        found = look(["a.jpg", "x/1.jpg", "y/1.jpg"], texts)
        assert [each.clip for each in found.candidates] == ["x", "a", "y"]


class TestDub:
    def test_each_language_is_a_clip_with_its_own_voice(self) -> None:
        brief = "prompt: host talks\ndub: {en: en.mp3, pt-BR: pt.mp3}"
        found = look(["x/a.jpg", "x/en.mp3", "x/pt.mp3", "x/fr.mp3"], {"x/brief.yaml": brief})
        assert names(found) == {"x--en": ["a.jpg", "en.mp3"], "x--pt-BR": ["a.jpg", "pt.mp3"]}
        assert {each.source for each in found.candidates} == {"uploads/x/#x--en", "uploads/x/#x--pt-BR"}
        assert [each.brief.dub for each in found.candidates] == [{"en": "en.mp3"}, {"pt-BR": "pt.mp3"}]

    def test_a_new_voiceover_adds_just_that_language(self) -> None:
        before = look(["x/a.jpg", "x/en.mp3"], {"x/brief.yaml": "images: a.jpg\ndub: {en: en.mp3}"})
        after = look(
            ["x/a.jpg", "x/en.mp3", "x/de.mp3"], {"x/brief.yaml": "images: a.jpg\ndub: {en: en.mp3, de: de.mp3}"}
        )
        assert {each.clip: each.version for each in before.candidates}.items() < {
            each.clip: each.version for each in after.candidates
        }.items()

    def test_a_missing_language_leaves_the_others_alone(self) -> None:
        found = look(["x/a.jpg", "x/en.mp3"], {"x/brief.yaml": "images: a.jpg\ndub: {en: en.mp3, de: de.mp3}"})
        assert names(found) == {"x--en": ["a.jpg", "en.mp3"]}
        assert one_refusal(found).clip == "x--de"


class TestDefaults:
    def test_nearest_wins_and_the_brief_over_all(self) -> None:
        texts = {
            "_defaults.yaml": "prompt: top\nduration: 5",
            "s/_defaults.yml": "prompt: shoes",
            "s/x/brief.yaml": "duration: 8",
        }
        found = look(["a.jpg", "s/b.jpg", "s/x/c.jpg"], texts)
        briefs = {each.clip: (each.brief.prompt, each.brief.duration) for each in found.candidates}
        assert briefs == {"a": ("top", 5), "s--b": ("shoes", 5), "s--x": ("shoes", 8)}

    def test_broken_defaults_hold_the_clips_below_and_no_others(self) -> None:
        found = look(["a.jpg", "s/b.jpg"], {"s/_defaults.yaml": "promt: x", "s/x/brief.yaml": ""})
        assert names(found) == {"a": ["a.jpg"]}
        assert one_refusal(found).key == "uploads/s/_defaults.yaml"
        assert {each.clip for each in found.settling} == {"s--b", "s--x"}

    def test_two_defaults_are_refused(self) -> None:
        found = look(["s/b.jpg"], {"s/_defaults.yaml": "", "s/_defaults.json": ""})
        assert "_defaults.json and _defaults.yaml" in one_refusal(found).words
        assert not found.candidates


class TestLists:
    TABLE = "clip,image,prompt\nred,pics/1.jpg,orbit\n,2.jpg,push in\n"

    def test_each_row_is_a_clip_and_its_files_are_no_loose_ones(self) -> None:
        found = look(["s/pics/1.jpg", "s/2.jpg", "s/3.jpg"], {"s/list.csv": self.TABLE})
        assert names(found) == {"s--red": ["pics/1.jpg"], "s--2-2": ["2.jpg"]}
        assert [each.clip for each in found.settling] == ["s--3"], "the list may name it yet"
        red = next(each for each in found.candidates if each.clip == "s--red")
        assert (red.source, red.document_key) == ("uploads/s/list.csv#s--red", "uploads/s/list.csv")

    def test_other_keys_of_the_bucket(self) -> None:
        text = '{"clip": "a", "image": "uploads/far/1.jpg"}\n{"clip": "b", "image": "library/2.jpg"}\n'
        found = look(["far/1.jpg"], {"l.jsonl": text})
        assert names(found) == {"a": ["uploads/far/1.jpg"]}
        assert found.unseen == ("library/2.jpg",)
        again = look(["far/1.jpg"], {"l.jsonl": text}, elsewhere=("library/2.jpg",))
        assert names(again)["b"] == ["library/2.jpg"]
        assert not again.unseen

    def test_media_in_a_side_folder_are_for_lists_only(self) -> None:
        found = look(["_pics/1.jpg", "s/_pics/2.jpg"], {"l.csv": "image\n_pics/1.jpg\n"})
        assert names(found) == {"1-1": ["_pics/1.jpg"]}

    def test_bad_rows_are_refused_by_line_and_the_others_made(self) -> None:
        text = "clip,image,duration\na,1.jpg,x\nb,1.jpg,5\nb,1.jpg,6\nc,none.jpg,5\n"
        found = look(["1.jpg"], {"l.csv": text})
        assert names(found) == {"b": ["1.jpg"]}
        assert [(each.line, each.clip) for each in found.refused] == [(2, "a"), (4, None), (5, "c")]
        assert len({each.source for each in found.refused}) == 3
        assert "line 3 already" in found.refused[1].words
        assert "line 5" in found.refused[2].words

    def test_a_bad_row_holds_its_name_unless_that_is_another_clip_s(self) -> None:
        text = "clip,image,duration\nb,1.jpg,x\nb,1.jpg,5\nred,1.jpg,x\n,1.jpg,x\n"
        found = look(
            [Thing("red.jpg", 100), "1.jpg"], {"s/l.csv": text.replace("1.jpg", "uploads/1.jpg"), "l.csv": text}
        )
        assert [(each.key, each.line, each.clip) for each in found.refused] == [
            ("uploads/l.csv", 2, None), ("uploads/l.csv", 4, None), ("uploads/l.csv", 5, "1-4"),
            ("uploads/s/l.csv", 2, None), ("uploads/s/l.csv", 4, "s--red"), ("uploads/s/l.csv", 5, "s--1-4"),
        ]  # fmt: skip
        assert all("`duration` is 'x'" in each.words for each in found.refused)
        assert {"b", "s--b", "s--red", "1-4"} < found.present
        assert names(found)["red"] == ["red.jpg"]

    def test_a_missing_file_of_a_row_is_waited_for(self) -> None:
        found = look([Thing("l.csv", 3)], {"l.csv": "clip,image\na,1.jpg\n"})
        assert [each.clip for each in found.settling] == ["a"]

    def test_an_unusable_list_is_refused_whole(self) -> None:
        assert "`promt`" in one_refusal(look([], {"l.csv": "image,promt\n1.jpg,x\n"})).words

    @pytest.mark.parametrize(
        ("name", "text", "made"),
        [
            ("l.csv", "image,promt\n1.jpg,x\nfar/2.jpg,y\n", set()),
            ("l.csv", 'clip,image,duration\na,1.jpg,x\nb,"far/2.jpg",y\n', {"3"}),
            ("l.csv", "image,duration\n1.jpg | far/2.jpg,x\n", {"3"}),
            ("l.jsonl", '{"image": "1.jpg", "promt": "x"}\n{"image": "uploads/far/2.jpg"\n', {"3"}),
        ],
    )
    def test_what_a_mistaken_list_may_mean_is_not_made_without_it(
        self, name: str, text: str | bytes, made: set[str]
    ) -> None:
        found = look(["1.jpg", "far/2.jpg", "3.jpg"], {name: text})
        assert set(names(found)) == made
        assert found.refused

    def test_a_list_in_a_guessed_encoding_and_all_around_it_wait_for_a_person(self) -> None:
        found = look(["1.jpg", "far/2.jpg", "3.jpg"], {"l.csv": b"image,prompt\n1.jpg,gr\xfc\xdf\nfar/2.jpg,x\n"})
        assert {each.clip: each.hold is not None for each in found.candidates} == {"1-1": True, "2-2": True, "3": True}

    def test_a_row_that_is_added_makes_no_other_due(self) -> None:
        before = look(["s/2.jpg", "s/pics/1.jpg"], {"s/l.csv": self.TABLE})
        after = look(["s/2.jpg", "s/pics/1.jpg"], {"s/l.csv": self.TABLE + "new,2.jpg,pan\n"})
        assert {each.version for each in before.candidates} < {each.version for each in after.candidates}


class TestVersions:
    def version(self, things: list[Thing | str], texts: Mapping[str, str] | None = None) -> str:
        (candidate,) = look(things, texts).candidates
        return candidate.version

    def test_a_changed_file_makes_the_clip_due(self) -> None:
        first = self.version(["a.jpg"])
        assert self.version([Thing("a.jpg", 900)]) == first
        assert self.version([Thing("a.jpg", etag="e2")]) != first
        assert self.version(["a.jpg", "a.mp3"]) != first

    def test_a_changed_brief_makes_it_due_another_spelling_does_not(self) -> None:
        first = self.version(["x/a.jpg"], {"x/brief.yaml": "prompt: pan\nduration: 5"})
        assert self.version(["x/a.jpg"], {"x/brief.yaml": "# note\nduration: 5\nprompt: 'pan'"}) == first
        assert self.version(["x/a.jpg"], {"x/brief.yaml": "prompt: tilt\nduration: 5"}) != first

    def test_changed_defaults_make_nothing_due(self) -> None:
        assert self.version(["a.jpg"]) == self.version(["a.jpg"], {"_defaults.yaml": "prompt: pan"})

    def test_a_file_that_the_brief_does_not_use_changes_nothing(self) -> None:
        texts = {"x/brief.yaml": "images: a.jpg"}
        assert self.version(["x/a.jpg"], texts) == self.version(["x/a.jpg", "x/b.jpg"], texts)


class TestNames:
    def test_the_older_upload_gets_the_name(self) -> None:
        found = look([Thing("a b.jpg", 90), Thing("a-b.jpg", 100)])
        assert [each.source for each in found.candidates] == ["uploads/a-b.jpg"]
        refusal = one_refusal(found)
        assert refusal.words == "a b.jpg maps to the clip name a-b, which a-b.jpg already has."
        assert refusal.key == "uploads/a b.jpg"

    def test_the_upload_that_was_admitted_first_keeps_the_name(self) -> None:
        taken = {"a-b": "uploads/a b.jpg"}
        found = look([Thing("a b.jpg", 90), Thing("a-b.jpg", 100)], taken=taken)
        assert [each.source for each in found.candidates] == ["uploads/a b.jpg"]
        assert one_refusal(found).key == "uploads/a-b.jpg"

    def test_a_name_is_free_again_after_its_upload_is_removed(self) -> None:
        assert look(["a-b.jpg"], taken={"a-b": "uploads/a b.jpg"}).candidates

    def test_a_partial_listing_frees_no_name(self) -> None:
        found = look(["a-b.jpg"], taken={"a-b": "uploads/a b.jpg"}, whole=False)
        assert not found.candidates
        assert "a b.jpg" in one_refusal(found).words

    def test_one_that_settles_or_is_refused_still_holds_its_name(self) -> None:
        taken = {"x": "uploads/x/"}
        found = look(["x.jpg"], {"x/brief.yaml": "promt: x"}, taken)
        assert not found.candidates
        assert {each.key for each in found.refused} == {"uploads/x/brief.yaml", "uploads/x.jpg"}

    def test_one_image_in_two_formats(self) -> None:
        found = look([Thing("a.jpg", 100), Thing("a.png", 90)])
        assert [each.source for each in found.candidates] == ["uploads/a.jpg"]
        assert one_refusal(found).key == "uploads/a.png"

    def test_a_row_against_a_loose_image(self) -> None:
        found = look([Thing("red.jpg", 100), "1.jpg"], {"l.csv": "clip,image\nred,1.jpg\n"})
        assert names(found) == {"red": ["red.jpg"]}
        assert (one_refusal(found).key, one_refusal(found).line) == ("uploads/l.csv", 2)


class TestUnforeseen:
    """An unexpected error in one document refuses that upload and no other."""

    @pytest.fixture(autouse=True)
    def surprise(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("parse_brief", "parse_defaults"):
            monkeypatch.setattr(f"i2v_assets.uploads.tree.{name}", self.fails(getattr(tree, name)))
        monkeypatch.setattr("i2v_assets.uploads.layouts.parse_list", self.fails(layouts.parse_list))

    @staticmethod
    def fails(reader: Callable[..., Any]) -> Callable[..., Any]:
        def read(text: str, *more: Any) -> Any:
            if "surprise" in text:
                raise IndexError(text)
            return reader(text, *more)

        return read

    def test_in_a_brief(self) -> None:
        texts = {"bad/brief.yaml": "prompt: surprise", "good/brief.yaml": "prompt: pan"}
        found = look(["bad/a.jpg", "good/b.jpg", "loose.jpg"], texts)
        assert set(names(found)) == {"good", "loose"}
        refusal = one_refusal(found)
        assert (refusal.key, refusal.clip) == ("uploads/bad/brief.yaml", "bad")
        assert "IndexError" in refusal.words
        assert found.present == {"bad", "good", "loose"}, "a clip that was admitted before is not withdrawn"

    def test_in_defaults(self) -> None:
        found = look(["bad/a.jpg", "loose.jpg"], {"bad/_defaults.yaml": "prompt: surprise"})
        assert set(names(found)) == {"loose"}
        assert one_refusal(found).key == "uploads/bad/_defaults.yaml"
        assert [each.clip for each in found.settling] == ["bad--a"]

    def test_in_a_list_and_its_media_do_not_become_clips_of_their_own(self) -> None:
        found = look(["a.jpg", "b.jpg", "l/loose.jpg"], {"bad.csv": "image,prompt\na.jpg,surprise\nb.jpg,pan\n"})
        assert set(names(found)) == {"l--loose"}
        assert one_refusal(found).key == "uploads/bad.csv"


def test_the_text_of_a_refusal_can_be_stored() -> None:
    refusal = RefusedUpload("uploads/a", "It says \ud800 and \0.", "Write no \udfff.")
    assert (refusal.words, refusal.remedy) == ("It says \\ud800 and \\0.", "Write no \\udfff.")


def test_a_candidate_is_kept_as_json() -> None:
    brief = "prompt: x\nimages: [{file: a.jpg, role: subject}]\nduration: 5\nreroll: {below: 0.5}"
    (candidate,) = look(["x/a.jpg"], {"x/brief.yaml": brief, "x/_defaults.yaml": "takes: 2"}).candidates
    again = Candidate.from_content(candidate.content())
    assert again == candidate
    assert again.brief.given == candidate.brief.given


def test_texts_wanted_are_briefs_defaults_and_lists() -> None:
    keys = ["uploads/x/brief.yaml", "uploads/_defaults.json", "uploads/l.CSV", "uploads/a.jpg", "videos/brief.yaml"]
    assert [each.key for each in texts_wanted(map(Thing, keys))] == keys[:3]
