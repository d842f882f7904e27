import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.storage import keys

HASH = r"[0-9a-f]{8}"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hero", "hero"),
        ("uploads/hero.jpg", "hero"),
        ("uploads/shoes/0001.jpg", "shoes--0001"),
        ("shoes/0001", "shoes--0001"),
        ("uploads/v1.2/", "v1-2"),
        ("uploads/v1.2.png", "v1-2"),
        ("uploads/a/.jpg", "a--jpg"),
        ("Hélène's photo", "Helene-s-photo"),
        ("Straße Øre", "Strasse-Ore"),
        ("two  spaces", "two-spaces"),
        ('"quoted"', "quoted"),
        ("line\nbreak", "line-break"),
        ("-rf", "rf"),
        ("--help", "help"),
        ("a--b", "a-b"),
        ("_refused", "refused"),
        ("_-_x", "x"),
        ("a//b", "a--b"),
        ("/abs/path", "abs--path"),
        ("emoji 🎬 cut", "emoji-cut"),
        ("ｆｕｌｌ", "full"),
    ],
)
def test_slug_of(name, expected):
    assert keys.slug(name) == expected


@pytest.mark.parametrize("name", ["..", ".", "日本", "🎬", "'", "\n", "", "/", "---", "___", "\ud800"])
def test_nothing_left_gets_a_name_of_its_own(name):
    assert re.fullmatch(rf"clip-{HASH}", keys.slug(name))
    assert keys.slug(name) == keys.slug(name)


def test_dots_never_become_a_path():
    assert re.fullmatch(rf"clip-{HASH}--clip-{HASH}--etc--passwd", keys.slug("../../etc/passwd"))


def test_other_scripts_stay_apart():
    shoe, bag = keys.slug("靴A"), keys.slug("鞄A")
    assert shoe != bag
    assert re.fullmatch(rf"A-{HASH}", shoe)


def test_both_spellings_of_an_accent_are_one_name():
    assert keys.slug("é日") == keys.slug("e\u0301日")


def test_long_names_are_cut_and_stay_apart():
    one, two = keys.slug("x" * 200 + "1"), keys.slug("x" * 200 + "2")
    assert one != two
    assert len(one) == len(two) == keys.MAX_NAME
    assert keys.slug("y" * keys.MAX_NAME) == "y" * keys.MAX_NAME
    # The cut falls into the joint of two folders.
    for length in (89, 90):
        assert re.fullmatch(rf"z{{{length}}}-{HASH}", keys.slug("z" * length + "/" + "w" * 50))


ANY_NAME = st.one_of(st.text(max_size=300), st.text(alphabet="aé日-_./ '\n", max_size=130))


@given(ANY_NAME)
def test_slug_is_always_clean(name):
    clean = keys.slug(name)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", clean)
    assert len(clean) <= keys.MAX_NAME
    assert not clean.startswith(("-", "_"))
    assert not clean.endswith("-")
    assert "---" not in clean


@given(ANY_NAME)
def test_slug_leaves_clean_parts_alone(name):
    for part in keys.slug(name).split(keys.FOLDER_JOINT):
        assert keys.slug(part) == part


@given(ANY_NAME)
def test_keys_of_any_upload_stay_in_their_folder(name):
    refused = keys.refused_key("uploads/" + name)
    assert re.fullmatch(r"clips/_refused/[A-Za-z0-9_-]+\.txt", refused)
    assert keys.clip_key(keys.slug(name), keys.VIDEO).count("/") == 2


def test_layout():
    assert keys.video_key("ab" * 32) == f"videos/{'ab' * 32}.mp4"
    assert keys.clip_key("shoes--0001", keys.VIDEO) == "clips/shoes--0001/video.mp4"
    assert keys.sequence_key("film", "video.mp4") == "sequences/film/video.mp4"
    assert keys.refused_key("uploads/a b.txt") != keys.refused_key("uploads/a-b.txt")


@pytest.mark.parametrize("name", ["../x", "a/b", "", "a b", "x" * 201])
def test_unclean_names_never_become_keys(name):
    with pytest.raises(ValueError, match="not a slug"):
        keys.clip_key(name, keys.VIDEO)
    with pytest.raises(ValueError, match="not a slug"):
        keys.sequence_key(name, keys.VIDEO)


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden"])
def test_unclean_files_never_become_keys(name):
    with pytest.raises(ValueError, match="not a file name"):
        keys.clip_key("hero", name)


def test_only_fingerprints_name_videos():
    with pytest.raises(ValueError, match="not a fingerprint"):
        keys.video_key("../x")
