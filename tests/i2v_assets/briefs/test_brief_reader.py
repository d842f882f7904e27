"""A brief that cannot be used is refused with the key, the line, what is expected, and the remedy."""

import json

import pytest

from i2v_assets.briefs.brief_reader import BriefError, brief_from, parse_brief
from i2v_assets.briefs.yaml_reader import Document
from resources.errors import Verdict
from resources.schemas.inputs import MAX_SEED


@pytest.mark.parametrize(
    ("text", "words", "remedy"),
    [
        ("promt: x", "`promt` is not a key of a brief (line 1)", "Did you mean `prompt`?"),
        ("Negative Prompt: x", "not a key of a brief", "Did you mean `negative_prompt`?"),
        ("prompt: x\nkeepface: true", "(line 2)", "Did you mean `keep_face`?"),
        ("qqq: 1", "`qqq`", "Allowed: prompt, motion"),
        ("prompt: 5", "`prompt` is 5 (line 1)", "must be text"),
        ("prompt: [a, b]", "`prompt` is a list of 2", "must be text"),
        ("route: fancy", "`route` is 'fancy'", "animate, lip_sync or multi_modal"),
        ("duration: 0", "`duration` is 0", "whole number of seconds"),
        ("duration: 5.5", "`duration` is 5.5", "whole number of seconds"),
        ("duration: '5'", "`duration` is '5'", "whole number of seconds"),
        ("duration: long", "`duration` is 'long'", "match_audio"),
        ("duration: true", "`duration` is true", "whole number"),
        ("resolution: 999p", "`resolution` is '999p'", "480p, 720p, 1080p or 4k"),
        ("aspect_ratio: 2:1", "`aspect_ratio` is '2:1'", "21:9"),
        ("seed: 0", "`seed` is 0", "0 means random"),
        (f"seed: {MAX_SEED + 1}", "`seed` is", str(MAX_SEED)),
        ("takes: 0", "`takes` is 0", "1 to 20"),
        ("takes: 21", "`takes` is 21", "1 to 20"),
        ("takes: true", "`takes` is true", "1 to 20"),
        ("watermark: yes", "`watermark` is 'yes'", "true or false"),
        ("keep_face: always", "`keep_face` is 'always'", "true, false or auto"),
        ("priority: 101", "`priority` is 101", "-100 to 100"),
        ("choose: worst", "`choose` is 'worst'", "first or best"),
        ("images: []", "`images` is an empty list", "file name"),
        ("images: 5", "`images` is 5", "file name"),
        ("images: [1]", "`images` holds 1 (line 1)", "a list of file names"),
        ("shots: [pan, 2]", "`shots` holds 2 (line 1)", "2 to 40 prompts"),
        ("images: [a.jpg, b.jpg, ./a.jpg]", "`images` names 'a.jpg' twice (line 1)", "Keep one"),
        ("audio: [{file: a.mp3, role: voice}, a.mp3]", "`audio` names 'a.mp3' twice", "Keep one"),
        ("videos: [a.mp4, a.mp4]", "`videos` names 'a.mp4' twice", "Keep one"),
        ("images: ../other/a.jpg", "without a leading / and without ..", "inside the brief's folder"),
        ("images: a/../../b.jpg", "without ..", "inside the brief's folder"),
        ("images: /etc/passwd", "without a leading /", "inside the brief's folder"),
        ("images: '..\\\\x.jpg'", "without ..", "inside the brief's folder"),
        ("images: folder/", "does not name a file", "file name"),
        ("audio: 'https://host.example/v.mp3'", "must name a file", "inside the brief's folder"),
        ("videos: [{fil: a.mp4}]", "`fil` is not a key under `videos`", "Did you mean `file`?"),
        ("videos: [{role: camera}]", "`videos` lacks `file`", "file name"),
        ("dub: {english please: a.mp3}", "language code", "voice-en.mp3"),
        ("dub: {en: ../a.mp3}", "without ..", "language codes"),
        ("dub: {}", "`dub` is", "language codes"),
        ("reroll: {below: 2}", "`reroll.below` is 2", "up to 1"),
        ("reroll: {below: 0.5, at_most: 6}", "`reroll.at_most` is 6", "1 to 5"),
        ("reroll: {bellow: 0.5}", "`bellow` is not a key under `reroll`", "Did you mean `below`?"),
        ("reroll: {at_most: 2}", "`reroll` lacks `below`", "`below`"),
        ("shots: [one]", "`shots` is a list", "2 to 40 prompts"),
        ("shots: hello", "`shots` is 'hello'", "2 to 40 prompts"),
        ("a: b: c", "line 1, column 5", "indentation"),
    ],
)
def test_refusals_name_the_problem_and_the_remedy(text: str, words: str, remedy: str) -> None:
    with pytest.raises(BriefError) as caught:
        parse_brief(text, "shoes/brief.yaml", "yaml")
    error = caught.value
    assert error.verdict is Verdict.FINAL
    assert "shoes/brief.yaml" in error.message
    assert words in error.message
    assert remedy in error.remedy


@pytest.mark.parametrize(
    "text",
    [
        "duration: 1",
        f"seed: {MAX_SEED}",
        "seed: 1",
        "takes: 20",
        "priority: 100",
        "priority: -100",
        "reroll: {below: 1}",
        "reroll: {below: 0.1, at_most: 5}",
        "images: a..b.jpg",
        "images: 'with space & ünïcode \"quotes\".jpg'",
        "keep_face: false",
        "resolution: 4K",
    ],
)
def test_the_other_side_of_the_limits(text: str) -> None:
    assert parse_brief(text, "b", "yaml").given


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(BriefError) as caught:
        parse_brief("promt: x\nduration: long\ntakes: 0", "b", "yaml")
    assert [word in caught.value.message for word in ("promt", "duration", "takes")] == [True] * 3


def test_a_key_that_pydantic_itself_cannot_read_is_refused_in_words() -> None:
    """Its error then has no place."""
    with pytest.raises(BriefError, match="the input"):
        brief_from(Document({"\ud800": 5}), "the input")


def test_messages_stay_short_and_on_one_line() -> None:
    with pytest.raises(BriefError) as caught:
        parse_brief(json.dumps({"route": "x\ny" * 5000}), "b", "json")
    assert "\n" not in caught.value.text
    assert len(caught.value.text) < 300


def test_blank_text_counts_as_missing() -> None:
    assert parse_brief("prompt: '  '", "b", "yaml").prompt is None
