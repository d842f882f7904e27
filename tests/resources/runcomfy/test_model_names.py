"""Whether the model that answered is the one that was paid for, and what is read of its name."""

import pytest

from resources.runcomfy.model_names import same_model
from resources.runcomfy.wire import RequestState, read_result
from resources.schemas.endpoints import ENDPOINTS


@pytest.mark.parametrize(
    ("paid", "answered", "same"),
    [
        ("wan-ai/wan-2-7/text-to-video", "wan-ai/wan-2.7/text-to-video", True),
        ("bytedance/seedance-v2/pro", "bytedance/seedance-2.0/pro", True),
        ("a/new-model-3-1/pro", "a/new-model-3.1/pro", True),
        ("a/new-model-v3/pro", "a/new-model-3.0/pro", True),
        ("A/Model-1", "a/model-1@2026-11-01", True),
        ("a/model-1:stable", "a/model-1", True),
        ("a/b", None, True),
        (None, "a/b", True),
        ("happyhorse/happyhorse-1-0/image-to-video", "wan-ai/wan-2.7/image-to-video", False),
        ("wan-ai/wan-2.7/text-to-video", "wan-ai/wan-2.7/image-to-video", False),
        ("happyhorse/happyhorse-1-0/image-to-video", "happyhorse/happyhorse-1.1/image-to-video", False),
        ("a/model-1/pro", "a/model-1/fast", False),
        ("a/model-10", "a/model-1", False),
    ],
)
def test_spellings_of_one_model_are_the_same(paid: str | None, answered: str | None, same: bool) -> None:
    assert same_model(paid, answered) is same
    assert same_model(answered, paid) is same


def test_ids_are_the_same_within_their_family_and_nowhere_else() -> None:
    for one, endpoint in ENDPOINTS.items():
        for other, another in ENDPOINTS.items():
            assert same_model(one, other) == (endpoint.family == another.family), (one, other)


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("a/b-1.0", "a/b-1.0"),
        (" a/b@2026-11-01 ", "a/b@2026-11-01"),
        ("a/b:v2", "a/b:v2"),
        ("../b", None),
        ("a b", None),
        ("a/b@", None),
        ("a" * 201, None),
        ("<script>", None),
        (7, None),
        (None, None),
        (["a/b"], None),
    ],
)
def test_only_what_can_be_an_id_is_read(told: object, read: str | None) -> None:
    assert read_result({"status": "succeeded", "model_id": told}).model_id == read


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("pending", RequestState.WAITING),
        ("waiting", RequestState.WAITING),
        ("starting", RequestState.WAITING),
        ("processing", RequestState.RUNNING),
        ("thinking", RequestState.UNREADABLE_WORD),
    ],
)
def test_further_words_are_not_finished(word: str, state: RequestState) -> None:
    found = read_result({"status": word}).state
    assert found is state
    assert not found.over
