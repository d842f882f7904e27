"""Media in the wrong place are named, and those in the right one are not, on a server that takes both for the same."""

from i2v_assets.uploads.misplaced import misplaced_media
from resources.storage.bucket import Bucket


def test_only_media_outside_uploads_are_misplaced(bucket: Bucket) -> None:
    for name in ("pet.jpg", "shoes/a.png", "Größe Ärger.jpg"):
        bucket.write(f"uploads/{name}", b"x", "image/jpeg")
    assert misplaced_media(bucket) == []

    bucket.write("Uploads/pet.jpg", b"x", "image/jpeg")
    bucket.write("root.jpg", b"x", "image/jpeg")
    bucket.write("notes.txt", b"x", "text/plain")
    assert sorted(misplaced_media(bucket)) == ["Uploads/pet.jpg", "root.jpg"]
