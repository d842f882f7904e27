from resources.storage.bucket import Bucket


def test_write_then_read(bucket: Bucket):
    bucket.write("uploads/a.txt", b"hello", "text/plain")
    assert bucket.read("uploads/a.txt") == b"hello"
    assert not bucket.write_new("uploads/a.txt", b"other", "text/plain")
    assert bucket.write_new("uploads/b.txt", b"other", "text/plain")
    assert [info.key for info in bucket.list("uploads/")] == ["uploads/a.txt", "uploads/b.txt"]
