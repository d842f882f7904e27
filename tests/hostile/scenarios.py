"""What a hostile service may do, by the call at which it does it."""

import gzip
import json
from collections.abc import Iterator

from service import (
    Act,
    Scenario,
    Where,
    hang,
    in_turn,
    model,
    raw,
    redirect,
    reply,
    reset,
    result,
    stream,
    video_at,
)

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(2000)
HTML = b"<!doctype html><script>fetch('/')</script>" + b"<p>x</p>" * 500
HEAD = b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
DEEP = b'{"request_id":' + b"[" * 200_000
HUGE = b'{"request_id": "' + b"a" * (90 << 20) + b'"}'
BOMB = gzip.compress(bytes(100 << 20))
PIECE = b"10000\r\n" + b" " * 65536 + b"\r\n"

ANY: dict[str, Act] = {
    "html": reply(200, HTML, kind="text/html"),
    "picture": reply(200, JPEG, kind="image/jpeg"),
    "empty": reply(200, b""),
    "list": reply(200, b"[1, 2]"),
    "deep": reply(200, DEEP),
    "huge": reply(200, HUGE),
    "nan": reply(200, b'{"request_id": NaN, "status": Infinity, "output": NaN}'),
    "endless": stream(CHUNKED, PIECE),
    "drip": stream(HEAD + b"Content-Length: 100000\r\n\r\n", b"{", 0.2),
    "short": raw(HEAD + b'Content-Length: 5000\r\n\r\n{"status":'),
    "no-http": raw(b"\x00\x01garbage\r\n\r\n"),
    "headers": stream(b"HTTP/1.1 200 X\r\n", b"X-A: " + b"a" * 4000 + b"\r\n"),
    "reset": reset(),
    "silent": hang(),
    "bomb": reply(200, BOMB, Content_Encoding="gzip"),
    "away-307": redirect(307, "{thief}/steal"),
    "away-302": redirect(302, "//evil.example/steal"),
    "codes": reply(200, b'{"error_code": {"a": 1e308}, "error_message": ["\\ud800"]}'),
    "server": reply(500, HTML, kind="text/html"),
}
"""At every call of the interface."""

SUBMIT: dict[str, Act] = {
    "number-id": reply(200, {"request_id": 7.5}),
    "list-id": reply(200, {"request_id": ["a"]}),
    "path-id": reply(200, {"request_id": "../../models/x"}),
    "dots-id": reply(200, {"request_id": ".."}),
    "slash-id": reply(200, {"request_id": "a/b"}),
    "escaped-id": reply(200, {"request_id": "a%2f..%2fb"}),
    "query-id": reply(200, {"request_id": "a?x=1#y"}),
    "long-id": reply(200, {"request_id": "a" * 10_000}),
    "line-id": reply(200, {"request_id": "a\r\nX: y"}),
    "half-id": reply(200, b'{"request_id": "\\ud800\\u0000"}'),
    "host-id": reply(200, {"request_id": "@evil.example"}),
    "other-urls": reply(
        200, lambda call: {"request_id": f"v-{call.name}", "status_url": call.thief, "result_url": call.thief}
    ),
    "echo": reply(422, lambda call: {"error_code": 422001, "detail": [{"msg": call.authorization}]}),
}
RESULT: dict[str, Act] = {
    "no-output": result(output=None),
    "empty-output": result(output={}),
    "text-output": result(output="no address"),
    "two-outputs": result(output={"videos": ["{here}/out/two-outputs/v.mp4", "{here}/out/two-outputs/w.mp4"]}),
    "many-outputs": result(output={"videos": ["{thief}/x"] * 100_000}),
    "picture-output": result(output={"image": "{here}/out/picture-output/a.jpg"}),
    "deep-output": reply(200, b'{"status": "succeeded", "output": ' + b'{"video":' * 900 + b"1" + b"}" * 901),
    "nan-cost": reply(200, b'{"status": "failed", "error": "x", "cost": NaN}'),
    "huge-cost": result(cost=1e308),
    "negative-cost": result(cost=-5),
    "text-cost": result(cost="free"),
    "list-cost": result(cost=[1]),
    "digits-cost": reply(200, b'{"status": "failed", "cost": ' + b"9" * 100_000 + b"}"),
    "far-times": result(created_at=1e308, finished_at=-1e308),
    "odd-times": result(created_at="99999-99-99T00:00:00Z", finished_at={"a": 1}),
    "other-model": result(model_id="cheap/other/model"),
    "other-id": result(request_id="somebody-else"),
    "flap": in_turn(
        result(status="in_progress"),
        result(status="in_queue"),
        result(status="failed", output=None, error="no"),
        result(),
        result(status="in_queue"),
    ),
    "forever": result(status="almost there", output=None),
    "odd-status": result(status={"a": []}),
    "fails": result(status="failed", output=None, error={"message": {"deep": ["\x1b[31m", "\u202e"]}}),
    "echo-error": result(status="failed", output=None, error="token {auth}"),
    "gone": in_turn(result(status="in_progress"), reply(404, {"error_code": 404001})),
    "billed-twice": in_turn(result(cost=1.0), result(cost=99.0)),
}
STATUS: dict[str, Act] = {
    "far-queue": reply(200, {"status": "in_queue", "queue_position": 1e308}),
    "odd-word": reply(200, {"status": ["completed"]}),
    "failed-word": reply(200, {"status": "failed"}),
}
ADDRESSES = {
    "userinfo": "http://127.0.0.1@evil.example/v.mp4",
    "token-user": "https://runcomfy.net:x@evil.example/v.mp4",
    "backslash": "https://127.0.0.1\\@cdn.runcomfy.net/v.mp4",
    "suffix": "https://runcomfy.net.evil.example/v.mp4",
    "metadata": "http://169.254.169.254/latest/meta-data/",
    "decimal": "http://2130706433/v.mp4",
    "hex": "http://0x7f000001/v.mp4",
    "mapped": "http://[::ffff:169.254.169.254]/v.mp4",
    "rebinding": "http://127.0.0.1.nip.example/v.mp4",
    "file": "file:///etc/passwd",
    "ftp": "ftp://127.0.0.1/v.mp4",
    "data": "data:video/mp4;base64,AAAA",
    "script": "javascript:alert(1)",
    "no-scheme": "//cdn.runcomfy.net/v.mp4",
    "port": "http://127.0.0.1:99999/v.mp4",
    "spaces": "http://127.0.0.1 .runcomfy.net/v.mp4",
    "lines": "http://127.0.0.1/v.mp4\r\nX: y",
    "letters": "https://ｒuncomfy.net/v.mp4",
    "long": "https://runcomfy.net/" + "a" * 200_000,
}
"""Outputs at addresses that are never fetched."""

VIDEO = b"HTTP/1.1 200 X\r\nContent-Type: video/mp4\r\n"
DOWNLOAD: dict[str, Act] = {
    "to-thief": redirect(302, "{thief}/v.mp4"),
    "to-file": redirect(302, "file:///etc/passwd"),
    "to-metadata": redirect(307, "http://169.254.169.254/latest"),
    "to-user": redirect(302, "http://a:b@127.0.0.1/v.mp4"),
    "to-evil": redirect(301, "https://cdn.runcomfy.net.evil.example/v.mp4"),
    "loop": redirect(302, "{here}/out/loop/v.mp4"),
    "page": reply(200, HTML, kind="text/html"),
    "page-as-video": reply(200, HTML, kind="video/mp4"),
    "picture-as-video": reply(200, JPEG, kind="video/mp4"),
    "nothing": reply(200, b"", kind="video/mp4"),
    "cut-video": raw(VIDEO + b"Content-Length: 500000\r\n\r\n\x00\x00\x00\x18ftypmp42"),
    "wide-video": raw(VIDEO + b"Content-Length: 99999999999999\r\n\r\n\x00\x00\x00\x18ftypmp42"),
    "odd-length": raw(VIDEO + b"Content-Length: -5\r\n\r\nabc"),
    "two-lengths": raw(VIDEO + b"Content-Length: 5\r\nContent-Length: 7\r\n\r\nabcdefg"),
    "drip-video": stream(VIDEO + b"Content-Length: 500000\r\n\r\n", b"\x00", 0.2),
    "packed": reply(200, BOMB, kind="video/mp4", Content_Encoding="gzip"),
    "missing": reply(404, HTML, kind="text/html"),
    "forbidden": reply(403, b""),
    "reset-video": reset(),
    "silent-video": hang(),
}


def _schema(**schema: object) -> Act:
    return model(input_schema={"type": "object", **schema})


CATALOGUE: dict[str, Act] = {
    "nan-price": reply(200, lambda call: json.dumps({**call.model, "base_price_usd": float("nan")})),
    "huge-price": model(base_price_usd=1e308),
    "negative-price": model(base_price_usd=-1),
    "text-price": model(base_price_usd="a lot"),
    "odd-unit": model(price_unit={"a": "second"}),
    "other-entry": model(model_id="cheap/other/model"),
    "list-schema": model(input_schema=[1, 2]),
    "odd-schema": _schema(properties={"prompt": 5, "seed": None, "duration": [1]}, required="prompt"),
    "far-schema": _schema(**{"$ref": "http://127.0.0.1:1/schema.json"}),
    "own-schema": _schema(**{"$ref": "#", "properties": {"prompt": {"$ref": "#/properties/prompt"}}}),
    "slow-pattern": _schema(properties={"prompt": {"type": "string", "pattern": "^(([a-z ])+.)+[A-Z]([a-z])+$"}}),
    "bad-pattern": _schema(properties={"prompt": {"type": "string", "pattern": "("}}),
    "wide-enum": _schema(properties={"resolution": {"type": "string", "enum": [f"{n}p" for n in range(100_000)]}}),
    "odd-limits": _schema(properties={"duration": {"type": "integer", "minimum": 1e308, "maximum": "x"}}),
    "no-fields": _schema(properties={}),
}

KINDS: dict[Where, dict[str, dict[str, Act]]] = {
    "submit": {"answer": ANY, "id": SUBMIT},
    "status": {"answer": ANY, "word": STATUS},
    "result": {"answer": ANY, "verdict": RESULT, "address": {name: video_at(each) for name, each in ADDRESSES.items()}},
    "download": {"video": DOWNLOAD},
    "catalogue": {"answer": ANY, "entry": CATALOGUE},
}


def every() -> Iterator[Scenario]:
    """Yield all scenarios; their names are unique."""
    for where, kinds in KINDS.items():
        for kind, acts in kinds.items():
            for name, act in acts.items():
                label = f"{where}-{name}" if acts is ANY else name
                yield Scenario(label, where, act, f"{where}-{kind}", alone=where == "catalogue")
    for wait in ("1e308", "-1", "NaN", "99999999", "Fri, 31 Dec 9999 23:59:59 GMT"):
        refuse = in_turn(reply(429, b"{}", Retry_After=wait), reply(200, lambda call: {"request_id": f"v-{call.name}"}))
        yield Scenario(f"wait-{wait.replace(' ', '')}", "submit", refuse, "submit-wait", alone=True)


ALL = tuple(every())
ONE_OF_EACH = tuple({each.kind: each for each in reversed(ALL)}.values())
