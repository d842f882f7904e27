"""Every reason to wait reads as a sentence."""

from typing import get_args

import pytest

from i2v_assets.cli.wait_words import wait_words
from i2v_assets.planning.plan import Waiting
from resources.generation.types import HeldKind

REASONS = [*HeldKind, *get_args(Waiting.model_fields["kind"].annotation), "person"]


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_words_of_its_own(reason: str) -> None:
    words = wait_words(reason)
    assert words.startswith("waits for ")
    assert words == "waits for approval" or words != f"waits for {reason}"


def test_a_reason_of_a_newer_version_is_shown_as_it_is() -> None:
    assert wait_words("parcel") == "waits for parcel"
