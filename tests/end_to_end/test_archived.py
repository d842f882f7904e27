"""One archived object harms itself alone, on a server that obeys storage classes: moto's answers 403 InvalidObjectState."""

import io
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from moto.server import ThreadedMotoServer
from PIL import Image
from pydantic import SecretStr

from resources.devservers.s3 import REGION
from resources.registry.registry import ClipState
from resources.storage.client import make_client


@pytest.fixture(scope="module")
def s3_server() -> Iterator[SimpleNamespace]:
    """A server in place of SeaweedFS, which gives archived objects to everybody."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield SimpleNamespace(
        endpoint=f"http://{host}:{port}", access_key="test", secret_key=SecretStr("test"), region=REGION
    )
    server.stop()


def picture(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), (shade, 0, 99)).save(out, "PNG")
    return out.getvalue()


def archive(stage: Any, key: str, data: bytes) -> None:
    make_client().put_object(Bucket=stage.bucket.name, Key=key, Body=data, StorageClass="GLACIER")


BRIEF = b"prompt: Push in slowly.\nimages: x.jpg\n"


@pytest.mark.parametrize(
    ("archived", "waits"),
    [("b/brief.yaml", {"b--x"}), ("list.csv", {"x"}), ("b/_defaults.yaml", {"b--x"})],
)
def test_an_archived_document_is_named_and_everything_else_is_made(stage: Any, archived: str, waits: set[str]) -> None:
    """Case 15: every tick failed, and no upload of anybody was found."""
    image = "b/x.jpg" if archived.startswith("b/") else "x.jpg"
    stage.upload(image, picture(1))
    archive(stage, f"uploads/{archived}", BRIEF if archived.endswith("yaml") else b"clip,image\nrow,x.jpg\n")
    stage.upload("shoot/newest.jpg", picture(2))
    for _ in range(3):
        stage.make()

    assert stage.clip("shoot--newest").state is ClipState.DELIVERED
    assert len(stage.charges()) == 1, "what the archived document may steer is not paid for"
    told = "\n".join([*stage.refusals().values(), *(stage.note(clip) or "" for clip in stage.states())])
    told += "\n".join(stage.note(clip, "WAITING.txt") or "" for clip in stage.states())
    assert f"{archived.rpartition('/')[2]}" in told
    assert "it is archived (InvalidObjectState)" in told
    assert "Restore it from the archive" in told
    assert not {clip for clip, state in stage.states().items() if clip in waits and state is ClipState.DELIVERED}

    stage.upload(
        archived,
        BRIEF
        if archived == "b/brief.yaml"
        else "clip,image\nrow,x.jpg\n"
        if archived == "list.csv"
        else "duration: 3\n",
    )
    for _ in range(3):
        stage.make()
    assert len(stage.charges()) == 2, "what it held is made once it can be read"


def test_an_archived_image_stops_its_own_clip_until_it_is_restored(stage: Any) -> None:
    archive(stage, "uploads/old.png", picture(3))
    stage.upload("new.png", picture(4))
    for _ in range(3):
        stage.make()
    assert stage.clip("new").state is ClipState.DELIVERED
    assert stage.clip("old").state is ClipState.FAILED
    note = stage.note("old", "FAILED.txt") or ""
    assert "'uploads/old.png': it is archived (InvalidObjectState)" in note
    assert "Restore it from the archive" in note
    assert "Nothing was sent to the service and nothing was paid." in note
    assert len(stage.charges()) == 1

    stage.upload("old.png", picture(3))  # the same bytes, as a restored object has
    stage.registry.enqueue(["old"], count_retry=True)
    stage.make()
    assert stage.clip("old").state is ClipState.DELIVERED
