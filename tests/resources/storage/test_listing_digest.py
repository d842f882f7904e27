"""The digest of a listing changes with every object, and only with objects."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from resources.storage import client
from resources.storage.bucket import Bucket


def test_it_changes_with_each_object_and_with_nothing_else(bucket: Bucket) -> None:
    for number in range(3):
        bucket.write(f"uploads/a b/{number}&.jpg", b"1", "image/jpeg")
    bucket.write("clips/other.jpg", b"1", "image/jpeg")
    first = bucket.digest("uploads/")
    assert bucket.digest("uploads/") == first
    bucket.write("clips/more.jpg", b"1", "image/jpeg")
    assert bucket.digest("uploads/") == first
    seen = {first}
    bucket.write("uploads/a b/3.jpg", b"1", "image/jpeg")
    seen.add(bucket.digest("uploads/"))
    bucket.write("uploads/a b/1&.jpg", b"23", "image/jpeg")
    seen.add(bucket.digest("uploads/"))
    bucket.delete("uploads/a b/0&.jpg")
    seen.add(bucket.digest("uploads/"))
    assert len(seen) == 4
    assert bucket.digest("nothing/") != first


def test_it_covers_every_page_and_listings_between_its_pages_are_whole(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"uploads/{number}.jpg" for number in range(5)]
    for name in names:
        bucket.write(name, b"1", "image/jpeg")
    ask: Any = bucket._client.list_objects_v2
    between: list[list[str]] = []
    with ThreadPoolExecutor(1) as others, monkeypatch.context() as patched:

        def ask_between(**given: Any) -> Any:
            page = ask(**given, MaxKeys=2)
            if threading.current_thread() is threading.main_thread():
                between.append(others.submit(lambda: [info.key for info in bucket.list("uploads/")]).result())
            return page

        patched.setattr(bucket._client, "list_objects_v2", ask_between)
        before = bucket.digest("uploads/")
        assert between == [names] * 3
        assert [info.key for info in bucket.list("uploads/")] == names
        bucket.write(names[-1], b"2", "image/jpeg")
        assert bucket.digest("uploads/") != before


def test_objects_of_pages_that_look_otherwise_count_too(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_FIRST", b"<Contents id='1'>")
    bucket.write("uploads/1.jpg", b"1", "image/jpeg")
    first = bucket.digest("uploads/")
    assert bucket.digest("uploads/") == first
    bucket.write("uploads/2.jpg", b"1", "image/jpeg")
    assert bucket.digest("uploads/") != first


def test_a_page_that_looks_otherwise_is_left_as_it_is() -> None:
    body = b"<ListBucketResult><Contents id='1'><Key>a</Key></Contents></ListBucketResult>"
    page = {"status_code": 200, "body": body}
    with client.hashed() as found:
        client.hash_objects(page)
    assert (page["body"], found.digest()) == (body, client.hashlib.sha256().digest())
    error = {"status_code": 500, "body": b"<Contents></Contents>"}
    with client.hashed():
        client.hash_objects(error)
    assert error["body"] == b"<Contents></Contents>"
