"""An upload that is replaced between its hash and the POST: the service never gets other bytes than were planned."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from resources.generation.types import Delivered, Held
from resources.ledger.records import State
from resources.storage.keys import input_key
from resources.wait_reason import WaitReason

ANOTHER = b"not what was planned, and no image"


@contextmanager
def calls(house: Any) -> Iterator[list[str]]:
    """The S3 calls that are made meanwhile for the medium."""
    found: list[str] = []

    def heard(model: Any, params: Any, **_: Any) -> None:
        if "product.webp" in params["url_path"]:
            found.append(model.name)

    house.bucket._quick = None  # all through boto3, whose calls are heard
    house.bucket._client.meta.events.register("before-call.s3", heard)
    yield found
    house.bucket._client.meta.events.unregister("before-call.s3", heard)


def known(house: Any, folder: Any) -> Any:
    """The house's medium as it is known once it was read."""
    there = house.bucket.fetch(house.medium.key, folder / "read")
    house.medium = house.medium.model_copy(update={"etag": there.etag, "version_id": there.version_id})
    return there


def versions_on(house: Any) -> None:
    house.bucket._client.put_bucket_versioning(Bucket=house.bucket.name, VersioningConfiguration={"Status": "Enabled"})
    house.bucket.write(house.medium.key, house.bucket.read(house.medium.key), "image/webp")


def test_without_versions_nothing_is_paid_for_other_bytes(house: Any, tmp_path: Any) -> None:
    assert known(house, tmp_path).version_id == ""
    same, order = house.order(1), house.order(2)
    with calls(house) as made:
        assert isinstance(house.one(same), Delivered)
    assert made == [], "one call copies it under its hash, on the condition that it is what was hashed"
    assert house.bucket.read(input_key(house.medium.sha256, "image/webp")) == house.bucket.read(house.medium.key)
    house.bucket.write(house.medium.key, ANOTHER, "image/webp")
    before = len(house.charges())
    held = house.one(order)
    assert isinstance(held, Held)
    assert held.kind is WaitReason.REPLACED
    assert held.reason.endswith("was replaced while it waited.")
    assert "planned next" in held.remedy
    assert house.row(order).state is State.PLANNED
    assert len(house.charges()) == before


def test_with_versions_the_one_that_was_hashed_is_fetched(house: Any, tmp_path: Any) -> None:
    versions_on(house)
    assert known(house, tmp_path).version_id
    order = house.order(1)
    house.bucket.write(house.medium.key, ANOTHER, "image/webp")
    with calls(house) as made:
        outcome = house.one(order)
    assert isinstance(outcome, Delivered), outcome  # the sandbox refuses what is no image
    assert made == []


def test_a_version_that_is_not_known_any_more_is_told_by_its_etag(house: Any, tmp_path: Any) -> None:
    """Where only the ETag is known, what lies there now has to be it."""
    versions_on(house)
    known(house, tmp_path)
    house.medium = house.medium.model_copy(update={"version_id": ""})
    assert isinstance(house.one(house.order(1)), Delivered)
    house.bucket.write(house.medium.key, ANOTHER, "image/webp")
    assert house.one(house.order(2)).kind is WaitReason.REPLACED


@contextmanager
def heard(house: Any, event: str, hook: Any) -> Iterator[None]:
    house.bucket._client.meta.events.register_first(event, hook)
    try:
        yield
    finally:
        house.bucket._client.meta.events.unregister(event, hook)


def ignores_conditions(params: Any, **_: Any) -> None:
    params.pop("CopySourceIfMatch", None)


def test_storage_that_ignores_the_condition_of_a_copy_sends_no_other_bytes(house: Any, tmp_path: Any) -> None:
    known(house, tmp_path)
    order = house.order(1)
    house.bucket.write(house.medium.key, ANOTHER, "image/webp")
    with heard(house, "before-parameter-build.s3.CopyObject", ignores_conditions):
        held = house.one(order)
    assert held.kind is WaitReason.REPLACED
    assert house.bucket.head(input_key(house.medium.sha256, "image/webp")) is None, "no other bytes lie under its hash"


def names_copies_otherwise(parsed: Any, **_: Any) -> None:
    parsed["CopyObjectResult"]["ETag"] = '"of-an-encrypted-object"'


def test_where_a_copy_does_not_prove_its_bytes_they_are_read_and_stored(house: Any, tmp_path: Any) -> None:
    known(house, tmp_path)
    with heard(house, "after-call.s3.CopyObject", names_copies_otherwise), calls(house) as made:
        assert isinstance(house.one(house.order(1)), Delivered)
    assert made == ["HeadObject", "GetObject"]
    assert house.bucket.read(input_key(house.medium.sha256, "image/webp")) == house.bucket.read(house.medium.key)


def test_a_file_that_is_gone_is_not_paid_for(house: Any, tmp_path: Any) -> None:
    known(house, tmp_path)
    order, before = house.order(1), len(house.charges())
    house.bucket.delete(house.medium.key)
    failed = house.one(order)
    assert failed.remedy == "Upload the file again."
    assert len(house.charges()) == before


def test_small_files_are_compared_by_their_bytes(house: Any) -> None:
    order = house.order(1)
    house.bucket.write(house.medium.key, ANOTHER, "image/webp")
    inline = order.inputs.images[0].model_copy(update={"size_bytes": len(ANOTHER)})
    inputs = order.inputs.model_copy(update={"images": (inline,)})
    held = house.one(replace(order, inputs=inputs), inline_input_bytes=1000)
    assert held.kind is WaitReason.REPLACED


def test_none_of_it_is_written_or_part_of_the_fingerprint(house: Any, tmp_path: Any) -> None:
    plain = house.order(1)
    known(house, tmp_path)
    order = house.order(1)
    assert order.inputs.images[0].etag
    assert order.fingerprint == plain.fingerprint
    assert order.inputs.model_dump_json() == plain.inputs.model_dump_json()


@pytest.mark.parametrize("versions", [False, True])
def test_what_is_sent_is_one_copy_under_the_hash_of_its_bytes(house: Any, tmp_path: Any, versions: bool) -> None:
    if versions:
        versions_on(house)
    known(house, tmp_path)
    data = house.bucket.read(house.medium.key)
    key = input_key(house.medium.sha256, "image/webp")
    assert isinstance(house.one(house.order(1)), Delivered)
    first = house.bucket.head(key)
    assert house.bucket.read(key) == data
    assert first.content_type == "image/webp"
    assert isinstance(house.one(house.order(2)), Delivered)
    assert house.bucket.head(key) == first, "it is made once"


def test_bytes_that_are_not_those_that_were_hashed_are_never_copied(house: Any) -> None:
    """Neither ETag nor version is known, so that only the bytes themselves can tell."""
    order = house.order(1)
    house.bucket.write(house.medium.key, ANOTHER, "image/webp")
    assert house.one(order).kind is WaitReason.REPLACED
    assert house.bucket.head(input_key(house.medium.sha256, "image/webp")) is None
