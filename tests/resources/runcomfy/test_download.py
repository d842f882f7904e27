"""Outputs: the host rule under attack, and bodies that lie."""

import asyncio
import hashlib
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from resources.errors import Verdict
from resources.runcomfy.download import MAX_OUTPUT_BYTES, Downloaded, Downloader, checked_url
from resources.runcomfy.errors import DisallowedHost, DownloadError, DownloadFailed, OutputGone, TooLarge, Truncated

VIDEO = b"\x00\x00\x00\x18ftypmp42" + b"v" * 100_000

GOOD = [
    "https://playgrounds-storage-public.runcomfy.net/a/b.mp4?x=1",
    "https://serverless-api-storage.runcomfy.net/x",
    "https://files.runcomfy.com/x",
    "https://runcomfy.net/x",
    "HTTPS://CDN.RunComfy.NET/x",
    "https://cdn.runcomfy.net:443/x",
]
BAD = [
    "https://127.0.0.1\\@cdn.runcomfy.net/x",
    "https://cdn.runcomfy.net\\@127.0.0.1/x",
    "https://cdn.runcomfy.net@evil.example/x",
    "https://user:pw@cdn.runcomfy.net/x",
    "https://runcomfy.net.evil.example/x",
    "https://evilruncomfy.net/x",
    "https://runcomfy.net./x",
    "https://cdn.runcomfy.org/x",
    "http://cdn.runcomfy.net/x",
    "http://127.0.0.1/x",
    "https://127.0.0.1/x",
    "https://[::1]/x",
    "https://[::ffff:127.0.0.1]/x",
    "https://2130706433/x",
    "https://0x7f.1/x",
    "https://169.254.169.254/latest/meta-data",
    "https://localhost/x",
    "ftp://cdn.runcomfy.net/x",
    "data:video/mp4;base64,AAAA",
    "file:///etc/passwd",
    "file://cdn.runcomfy.net/etc/passwd",
    "//cdn.runcomfy.net/x",
    "cdn.runcomfy.net/x",
    "https:cdn.runcomfy.net/x",
    "https:///cdn.runcomfy.net/x",
    "https://",
    "",
    " https://cdn.runcomfy.net/x",
    "https://cdn.runcomfy.net/x\r\nHost: evil",
    "https://evil.example\n.runcomfy.net/x",
    "https://evil.example\t.runcomfy.net/x",
    "https://evil.example%00.runcomfy.net/x",
    "https://evil.example%2f.runcomfy.net/x",
    "https://evil.example#.runcomfy.net/x",
    "https://evil.example?.runcomfy.net/x",
    "https://evil.example/.runcomfy.net/x",
    "https://cdn。runcomfy。net/x",
    "https://cdn.runcomfy.net:99999/x",
    "https://cdn.runcomfy.net:x/",
    "gopher://cdn.runcomfy.net/",
    "javascript:alert(1)",
]  # fmt: skip


@pytest.mark.parametrize("address", GOOD)
def test_an_address_of_the_service_passes_for_either_service(address: str) -> None:
    assert checked_url(address, "runcomfy").host.lower().endswith(("runcomfy.net", "runcomfy.com"))
    checked_url(address, "sandbox")


@pytest.mark.parametrize("address", BAD)
def test_a_hostile_address_is_refused(address: str) -> None:
    with pytest.raises(DisallowedHost) as caught:
        checked_url(address, "runcomfy")
    assert caught.value.verdict is Verdict.FINAL


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/x", "http://localhost:9/x", "http://[::1]:9/x"])
def test_this_machine_passes_for_the_sandbox_alone(address: str) -> None:
    checked_url(address, "sandbox")
    with pytest.raises(DisallowedHost):
        checked_url(address, "runcomfy")


@pytest.mark.parametrize("address", [a for a in BAD if "127.0.0.1/x" not in a or "\\" in a])
def test_the_sandbox_allows_no_other_host(address: str) -> None:
    with pytest.raises(DisallowedHost):
        checked_url(address, "sandbox")


@given(st.text(max_size=60))
def test_only_an_address_of_the_service_passes(text: str) -> None:
    for address in (text, f"https://{text}.runcomfy.net/x", f"https://runcomfy.net{text}/x"):
        try:
            host = checked_url(address, "runcomfy").raw_host.decode().lower()
        except DisallowedHost:
            continue
        assert host in {"runcomfy.net", "runcomfy.com"} or host.endswith((".runcomfy.net", ".runcomfy.com"))


def fetch(kit: Any, tmp_path: Path, *acts: Any, path: str = "/v.mp4?sig=topsecret", **changes: Any) -> tuple[Any, Any]:
    target = tmp_path / "out" / "v.mp4"

    async def scenario() -> tuple[Any, Any]:
        async with kit.wire(*acts) as wire:
            given: dict[str, Any] = {
                "service": "sandbox",
                "tls": ssl.create_default_context(),
                "first_wait": 0.01,
                "attempts": 2,
                **changes,
            }
            downloader = Downloader(**given)
            try:
                return await downloader.fetch(SecretStr(wire.base + path), target), wire
            except DownloadError as error:
                return error, wire
            finally:
                await downloader.aclose()

    outcome, wire = kit.run(scenario())
    if isinstance(outcome, DownloadError):
        assert "topsecret" not in repr(outcome) + outcome.text
        assert outcome.__cause__ is None
    assert target.exists() is isinstance(outcome, Downloaded)
    leftovers = [] if not target.parent.exists() else [p.name for p in target.parent.iterdir() if p != target]
    assert leftovers == []
    return outcome, wire


def test_a_download_arrives_whole_and_hashed_without_token_or_cookie(kit: Any, tmp_path: Path) -> None:
    outcome, wire = fetch(
        kit, tmp_path, kit.say(200, raw=VIDEO, headers={"Content-Type": "video/mp4; x=y", "Set-Cookie": "a=1"})
    )
    assert outcome == Downloaded(len(VIDEO), hashlib.sha256(VIDEO).hexdigest(), "video/mp4")
    assert (tmp_path / "out" / "v.mp4").read_bytes() == VIDEO
    assert not {"authorization", "cookie"} & set(wire.seen[0].headers)


@pytest.mark.parametrize("content_type", ["video/mp4", "application/octet-stream", "", "binary/octet-stream"])
def test_content_types_of_storages_pass(kit: Any, tmp_path: Path, content_type: str) -> None:
    outcome, _ = fetch(kit, tmp_path, kit.say(200, raw=VIDEO, headers={"Content-Type": content_type}))
    assert isinstance(outcome, Downloaded)


def head(length: int | None, *, chunked: bool = False) -> bytes:
    lines = ["HTTP/1.1 200 OK", "Content-Type: video/mp4"]
    lines += [f"Content-Length: {length}"] if length is not None else []
    lines += ["Transfer-Encoding: chunked"] if chunked else []
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def failures(kit: Any) -> dict[str, tuple[Callable[..., Any], type[DownloadError]]]:
    page = {"Content-Type": "text/html; charset=utf-8"}
    return {
        "ends early": (kit.cut(head(1000) + b"x" * 10), Truncated),
        "ends early in chunks": (kit.cut(head(None, chunked=True) + b"5\r\nhello\r\n"), Truncated),
        "is empty": (kit.say(200, raw=b"", headers={"Content-Type": "video/mp4"}), Truncated),
        "is an error page": (kit.say(200, raw=b"<html>", headers=page), DownloadFailed),
        "is JSON": (kit.say(200, {"error": "x"}), DownloadFailed),
        "500": (kit.say(500, {}), DownloadFailed),
        "204": (kit.say(204, raw=b""), DownloadFailed),
        "206": (kit.say(206, raw=b"x", headers={"Content-Type": "video/mp4"}), DownloadFailed),
        "429": (kit.say(429, {}), DownloadFailed),
        "closed": (kit.cut(), Truncated),
        "404": (kit.say(404, {}), OutputGone),
        "403": (kit.say(403, {}), OutputGone),
        "410": (kit.say(410, {}), OutputGone),
    }


FAILURES = ["ends early", "ends early in chunks", "is empty", "is an error page", "is JSON", "500", "204", "206", "429", "closed", "404", "403", "410"]  # fmt: skip


@pytest.mark.parametrize("what", FAILURES)
def test_a_body_that_is_not_the_video_leaves_no_file_and_is_tried_again(kit: Any, tmp_path: Path, what: str) -> None:
    act, kind = failures(kit)[what]
    outcome, wire = fetch(kit, tmp_path, act)
    assert type(outcome) is kind
    assert len(wire.seen) == 2
    outcome, wire = fetch(kit, tmp_path, act, kit.say(200, raw=VIDEO, headers={"Content-Type": "video/mp4"}))
    assert isinstance(outcome, Downloaded)


def test_the_table_of_failures_is_whole(kit: Any) -> None:
    assert set(FAILURES) == set(failures(kit))


def test_a_size_over_the_limit_is_refused_by_its_header_before_a_byte_is_read(kit: Any, tmp_path: Path) -> None:
    outcome, wire = fetch(kit, tmp_path, kit.cut(head(MAX_OUTPUT_BYTES + 1)))
    assert (type(outcome), len(wire.seen)) == (TooLarge, 1)


def test_a_size_at_the_limit_passes_and_one_byte_more_is_refused_by_count(kit: Any, tmp_path: Path) -> None:
    chunked = kit.cut(head(None, chunked=True) + b"a\r\n0123456789\r\n0\r\n\r\n")
    assert isinstance(fetch(kit, tmp_path, chunked, max_bytes=10)[0], Downloaded)
    (tmp_path / "out" / "v.mp4").unlink()
    outcome, wire = fetch(kit, tmp_path, chunked, max_bytes=9)
    assert (type(outcome), len(wire.seen)) == (TooLarge, 1)


def test_a_compressed_bomb_is_counted_while_it_is_decompressed(kit: Any, tmp_path: Path) -> None:
    import gzip

    bomb = gzip.compress(b"0" * 5_000_000)
    headers = {"Content-Type": "video/mp4", "Content-Encoding": "gzip"}
    outcome, _ = fetch(kit, tmp_path, kit.say(200, raw=bomb, headers=headers), max_bytes=1_000_000)
    assert type(outcome) is TooLarge


def test_a_redirect_within_the_rule_is_followed(kit: Any, tmp_path: Path) -> None:
    there = kit.say(302, {}, {"Location": "/elsewhere.mp4"})
    outcome, wire = fetch(kit, tmp_path, there, kit.say(200, raw=VIDEO, headers={"Content-Type": "video/mp4"}))
    assert isinstance(outcome, Downloaded)
    assert wire.seen[1].target == "/elsewhere.mp4"


@pytest.mark.parametrize(
    "location",
    ["https://evil.example/x", "http://169.254.169.254/latest", "file:///etc/passwd", "//evil.example/x", "http://127.0.0.1\\@evil.example/", "https://cdn.runcomfy.net@evil.example/x"],
)  # fmt: skip
def test_a_redirect_out_of_the_rule_is_not_followed(kit: Any, tmp_path: Path, location: str) -> None:
    outcome, wire = fetch(kit, tmp_path, kit.say(302, {}, {"Location": location}))
    assert (type(outcome), len(wire.seen)) == (DisallowedHost, 1)


def test_the_paid_service_never_redirects_to_this_machine(tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(302, headers={"Location": "http://127.0.0.1:8080/admin"})

    async def scenario() -> None:
        tls = ssl.create_default_context()
        downloader = Downloader(service="runcomfy", tls=tls, transport=httpx.MockTransport(answer))
        with pytest.raises(DisallowedHost):
            await downloader.fetch(SecretStr("https://cdn.runcomfy.net/v.mp4"), tmp_path / "v.mp4")

    asyncio.run(scenario())
    assert asked == ["https://cdn.runcomfy.net/v.mp4"]


def test_a_loop_of_redirects_ends(kit: Any, tmp_path: Path) -> None:
    outcome, wire = fetch(kit, tmp_path, kit.say(302, {}, {"Location": "/again"}), attempts=1)
    assert (type(outcome), len(wire.seen)) == (DownloadFailed, 6)


def test_an_unwritable_folder_is_reported(kit: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")

    async def scenario() -> DownloadError:
        async with kit.wire(kit.say(200, raw=VIDEO, headers={"Content-Type": "video/mp4"})) as wire:
            async with kit.client(wire.base) as client:
                client._downloader._attempts = 1
                with pytest.raises(DownloadFailed) as caught:
                    await client.download(SecretStr(f"{wire.base}/v.mp4"), tmp_path / "file" / "v.mp4")
            return caught.value

    assert "could not be written" in kit.run(scenario()).message


def test_the_log_of_a_download_holds_no_address(kit: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def scenario() -> None:
        act = kit.say(200, raw=VIDEO, headers={"Content-Type": "video/mp4"})
        async with kit.wire(act) as wire, kit.client(wire.base) as client:
            await client.download(SecretStr(f"{wire.base}/v.mp4?sig=topsecret"), tmp_path / "v.mp4")

    kit.run(scenario())
    assert "HTTP Request: GET" in caplog.text
    assert "topsecret" not in caplog.text
