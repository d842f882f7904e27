"""Who started a run: a person only if no tag names anything else."""

import dagster as dg
import pytest
from dagster._core.storage import tags

from resources.runcomfy.resource import AUTOMATIC, started_by

DAGSTERS = {getattr(tags, name) for name in dir(tags) if name.endswith("_TAG")}


@pytest.mark.parametrize("tag", sorted(set(AUTOMATIC) - {"i2v/batch"}))
def test_each_tag_is_still_one_of_dagsters(tag: str) -> None:
    assert tag in DAGSTERS, "a run that no person started would approve"


@pytest.mark.parametrize("tag", AUTOMATIC)
def test_a_run_with_one_of_the_tags_was_started_by_no_person(tag: str) -> None:
    run = dg.DagsterRun(job_name="j", tags={tag: "x", "dagster/partition": "hero"})
    assert started_by(run) == AUTOMATIC[tag]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"dagster/partition": "hero", "user": "ann"},
        {"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "b"},
        {"dagster/parent_run_id": "r", "dagster/root_run_id": "r", "dagster/is_resume_retry": "true"},
    ],
)
def test_a_launch_and_an_execution_again_are_a_persons(given: dict[str, str]) -> None:
    assert started_by(dg.DagsterRun(job_name="j", tags=given)) is None
