"""Every reason to wait reads as a sentence."""

import pytest

from i2v_assets.cli.wait_words import wait_words
from resources.wait_reason import WaitReason

AFTER_FAILURE = (WaitReason.RETRY, WaitReason.NEVER, WaitReason.FINAL)
REASONS = [reason for reason in WaitReason if reason not in AFTER_FAILURE]


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_words_of_its_own(reason: str) -> None:
    words = wait_words(reason)
    assert words.startswith("waits for ")
    assert words == "waits for approval" or words != f"waits for {reason}"


def test_a_reason_of_a_newer_version_is_shown_as_it_is() -> None:
    assert wait_words("parcel") == "waits for parcel"
