"""The labelled requests against the limits of the table."""

from pathlib import Path

import pytest

from benchmarks.briefs import run, table

OPEN_SET = Path(__file__).with_name("briefs.jsonl")


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("briefs.jsonl", 118),
        ("briefs_more.jsonl", 353),
        ("briefs_last.jsonl", 68),
        ("briefs_fresh.jsonl", 62),
        ("briefs_unseen.jsonl", 80),
        ("briefs_voices.jsonl", 120),
        ("briefs_contrary.jsonl", 120),
        ("briefs_blind.jsonl", 62),
        ("briefs_later.jsonl", 61),
        ("briefs_clients.jsonl", 70),
        ("briefs_experts.jsonl", 70),
        ("briefs_guides.jsonl", 60),
        ("briefs_scripts.jsonl", 60),
        ("briefs_people.jsonl", 60),
        ("briefs_shops.jsonl", 60),
        ("briefs_teachers.jsonl", 60),
        ("briefs_dictated.jsonl", 60),
        ("briefs_toolsmiths.jsonl", 60),
        ("briefs_weddings.jsonl", 60),
        ("briefs_agencies.jsonl", 60),
        ("briefs_animators.jsonl", 60),
        ("briefs_hosts.jsonl", 60),
        ("briefs_families.jsonl", 60),
        ("briefs_editors.jsonl", 60),
    ],
)
def test_every_limit_of_the_table_is_held(name: str, count: int) -> None:
    cases = run(OPEN_SET.with_name(name).read_text(encoding="utf-8").splitlines())
    assert len(cases) == count
    assert [line for line in table(cases) if not line.holds] == []


def test_each_held_request_names_its_code() -> None:
    held = {
        case.id: case.codes[0]
        for case in run(OPEN_SET.read_text(encoding="utf-8").splitlines())
        if case.outcome == "held"
    }
    assert held["S07"] == "nobody_speaks"
    assert held["F05"] == "last_image"
    assert held["C01"] == "one_voice_several_images"
    assert held["M12"] in {"edit_of_video", "video_alone"}
