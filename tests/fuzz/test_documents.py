"""Whatever strangers write, its reader answers with a value or with its own error, and what it accepts can be stored."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from i2v_assets.briefs.brief import Brief
from i2v_assets.briefs.brief_reader import brief_from
from i2v_assets.briefs.yaml_reader import DocumentError, read_document
from i2v_assets.clip_folder.manifest import read_manifest
from i2v_assets.films.manifest import is_film_manifest, read_film_manifest
from i2v_assets.films.spec import FilmError, FilmSpec, parse_film
from i2v_assets.uploads.cells import COLUMNS
from i2v_assets.uploads.csv_batches import parse_batch
from i2v_assets.uploads.grouping import group_uploads, texts_wanted
from i2v_assets.uploads.scope import groups_of
from resources.errors import I2VError
from resources.ledger.records import State
from resources.runcomfy.catalogue import differences
from resources.runcomfy.wire import (
    CatalogueEntry,
    parse_json,
    read_balance,
    read_cancel,
    read_entry,
    read_result,
    read_status,
)
from resources.schemas.endpoints import ENDPOINTS
from resources.storage.bucket import ObjectInfo
from resources.storage.upload_queue import MAX_KEY_BYTES, PoisonMessage, read_event
from resources.witness.record import Finding, judge, parse_document, parse_record, sighting_of

ANY_TEXT = st.text(st.characters(), max_size=40) | st.sampled_from(
    [
        "",
        " ",
        "\0",
        "\ud800",
        "\u202e",
        "..",
        "a/../b",
        "a.webp",
        "v.mp3",
        "16:9",
        "1e308",
        "-0",
        "null",
        "&a",
        "*a",
        "!x",
        "推",
        "e\u0301",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT


def values(keys: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys | ANY_TEXT, inner, max_size=4),
        max_leaves=12,
    )


def documents(*keys: str) -> st.SearchStrategy[str]:
    """Texts that are almost documents with these keys: as JSON, as lines of YAML, or cut short."""
    names = st.sampled_from(keys)
    whole = st.dictionaries(names | ANY_TEXT, values(names), max_size=5)
    as_json = st.builds(lambda value, ascii_only: json.dumps(value, ensure_ascii=ascii_only), whole, st.booleans())
    line = st.builds(lambda key, value: f"{key}: {value}", names | ANY_TEXT, ANY_TEXT | as_json)
    as_yaml = st.lists(line, max_size=6).map("\n".join)
    text = as_json | as_yaml | ANY_TEXT
    return text | st.builds(lambda full, cut: full[:cut], text, st.integers(0, 60))


def storable(*texts: object) -> bool:
    return all("\0" not in str(text) and str(text).encode() is not None for text in texts)


def attempt(read: Callable[[], Any], refusal: type[I2VError]) -> tuple[Any, str]:
    """What a reader returns, or the words of its own error, which can be stored too."""
    try:
        return read(), ""
    except refusal as error:
        words = error.text
    words.encode()
    return None, words


BRIEFS = documents(*Brief.model_fields)


@given(BRIEFS, st.sampled_from(["yaml", "json"]))
def test_briefs(text: str, kind: Any) -> None:
    brief, refused = attempt(lambda: brief_from(read_document(text, "brief", kind), "brief"), DocumentError)
    assert len(refused) < 10_000
    assert brief is None or storable(brief.model_dump_json())


CELLS = st.sampled_from([*COLUMNS, "a.webp", "5", "true", '{"en": "v.mp3"}', "[[", "|", "hero"]) | ANY_TEXT
LISTS = (
    st.lists(st.lists(CELLS, max_size=5).map(",".join), max_size=6).map("\n".join)
    | st.builds(lambda head, rows: "\n".join(["image,prompt,clip", *rows, head]), CELLS, st.lists(CELLS, max_size=5))
    | st.lists(BRIEFS, max_size=5).map("\n".join)
)


@given(LISTS | st.binary(max_size=200), st.sampled_from(["csv", "jsonl"]))
def test_lists(text: str | bytes, kind: Any) -> None:
    found, _ = attempt(lambda: parse_batch(text, "list", kind), DocumentError)
    for row in found[0] if found else ():
        assert storable(row.brief.model_dump_json(), row.clip)
    for bad in found[1] if found else ():
        assert bad.remedy


PARTS = st.sampled_from(
    [
        "a",
        "_b",
        ".git",
        "..",
        "",
        "#",
        "hero",
        "brief",
        "__MACOSX",
        "e\u0301",
        "é",
        "~",
        "a b",
        "$x",
        "\t",
        "\u202e",
        "推",
    ]
)
ENDINGS = st.sampled_from(["", ".webp", ".JPG", ".mp3", ".mp4", ".csv", ".jsonl", ".yaml", ".heic", ".xyz", ".", "/"])
KEYS = st.builds(
    lambda parts, ending: "uploads/" + "/".join(parts) + ending, st.lists(PARTS, min_size=1, max_size=4), ENDINGS
)
DOCUMENT_KEYS = st.sampled_from(
    ["a/brief.yaml", "brief.yaml", "_defaults.yaml", "a/_defaults.json", "l.csv", "a/l.jsonl"]
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@given(
    st.dictionaries(KEYS | DOCUMENT_KEYS.map("uploads/{}".format), BRIEFS | LISTS, max_size=10),
    st.integers(0, 100),
    st.booleans(),
    st.dictionaries(st.sampled_from(["a", "hero", "a-hero"]), KEYS, max_size=2),
)
def test_keys(objects: dict[str, str], age: int, whole: bool, taken: dict[str, str]) -> None:
    listed = [
        ObjectInfo(key, len(text), f"tag{number}", NOW - timedelta(seconds=age * number))
        for number, (key, text) in enumerate(objects.items())
    ]
    texts = {info.key: objects[info.key] for info in texts_wanted(listed)}
    found = group_uploads(listed, NOW, 60, texts, taken, whole=whole, max_bytes=1000)
    outcomes = [*found.candidates, *found.settling]
    names = [each.clip for each in outcomes]
    assert len(names) == len(set(names))
    assert not any("because of an unexpected" in each.words for each in found.refused)  # YAML says "unexpected end"
    for each in found.candidates:
        assert each.files
        assert storable(each.content(), each.source, each.clip)
    for each in found.refused:
        assert each.remedy
        assert storable(each.words, each.remedy)
    for key in objects:
        assert list(groups_of(key))


EVENT_KEYS = st.sampled_from(["Records", "eventName", "s3", "bucket", "object", "key", "name", "Event", "body"])
EVENTS = st.builds(
    lambda key, bucket, name, extra: json.dumps(
        {"Records": [{"eventName": name, "s3": {"bucket": {"name": bucket}, "object": {"key": key}}}, *extra]}
    ),
    ANY_TEXT | st.integers(),
    st.just("b") | ANY_TEXT,
    st.just("ObjectCreated:Put") | values(EVENT_KEYS),
    st.lists(values(EVENT_KEYS), max_size=1),
)


@given(EVENTS | values(EVENT_KEYS).map(json.dumps) | ANY_TEXT)
def test_queue_messages(body: str) -> None:
    found, refused = attempt(lambda: read_event(body, "b"), PoisonMessage)
    assert len(refused) < 1000
    assert all(0 < len(key.encode()) <= MAX_KEY_BYTES and "\0" not in key for key in found or ())


FILMS = documents("shots", "prompt", "image", "clip", "continuity", "defaults", "voiceover", "music", "crossfade")


@given(
    FILMS | st.lists(BRIEFS, max_size=3).map(lambda shots: '{"shots": [' + ",".join(shots) + "]}"),
    st.sampled_from(["yaml", "json"]),
)
def test_films(text: str, kind: Any) -> None:
    film, _ = attempt(lambda: parse_film(text, "film", kind), FilmError)
    assert film is None or (isinstance(film, FilmSpec) and storable(film))


MANIFESTS = documents(
    "schema_version", "clip", "film", "video", "takes", "media", "times", "fingerprint", "sandbox", "dub"
)


@given(MANIFESTS.map(lambda text: text.encode(errors="surrogatepass")) | st.binary(max_size=100))
def test_manifests(data: bytes) -> None:
    is_film_manifest(data)
    for read in (read_manifest, read_film_manifest):
        manifest, refused = attempt(partial(read, data), I2VError)
        assert manifest is None  # no such text is a whole one
        assert refused


ANSWERS = values(
    st.sampled_from(
        [
            "request_id",
            "status",
            "output",
            "video",
            "videos",
            "url",
            "error",
            "error_code",
            "cost",
            "created_at",
            "finished_at",
            "queue_position",
            "outcome",
            "balance_usd",
            "model_id",
            "input_schema",
            "properties",
            "type",
            "enum",
            "minimum",
            "base_price_usd",
            "price_unit",
            "maximum",
            "default",
            "required",
            "$ref",
            "items",
            "anyOf",
            "format",
            "prompt",
        ]
    )
)


@given(st.dictionaries(ANY_TEXT, ANSWERS, max_size=3) | ANSWERS)
def test_answers_of_the_service(value: Any) -> None:
    body = parse_json(json.dumps(value).encode())
    if not isinstance(body, dict):
        return
    answer = read_result(body)
    assert answer.cost_microdollars is None or answer.cost_microdollars >= 0
    read_status(body)
    read_cancel(body)
    read_balance(body)


ENTRIES = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("model_id", "display_name", "kind", "categories", "base_price_usd", "price_unit", "pricing_note"), ANSWERS
    )
    | {
        "input_schema": ANSWERS
        | st.fixed_dictionaries(
            {"properties": st.dictionaries(st.sampled_from(["prompt", "seed", "image_url"]), ANSWERS)}
        )
    },
)


@given(ENTRIES, st.sampled_from(sorted(ENDPOINTS)))
def test_catalogue_entries(entry: dict[str, Any], asked: str) -> None:
    body = parse_json(json.dumps(entry).encode())
    assert isinstance(body, dict)
    try:
        found = read_entry(body, asked)
    except I2VError:
        return
    assert isinstance(found, CatalogueEntry)
    assert all(isinstance(each, str) for each in differences(ENDPOINTS[asked], found))


FINGERPRINT = "a" * 64
RECORD = {
    "state": "claimed", "ledger": "b" * 32, "nonce": "c" * 32, "fingerprint": FINGERPRINT, "attempt": 1,
    "service": "sandbox", "clip": "hero", "take": 1, "family": "f", "route": "animate", "seed": 1, "duration": 5,
    "model_id": "a/b", "claimed_at": "2026-01-01T00:00:00Z",
}  # fmt: skip
RECORDS = st.dictionaries(
    st.sampled_from([*RECORD, "request_id", "sent_at", "end", "final", "inputs", "price_microdollars"]),
    st.sampled_from(["sent", "free", "ended", "x/../y", "", 0, -1, 2**70, None, "req_1"]) | ANSWERS,
    max_size=3,
).map(lambda changes: json.dumps(RECORD | changes).encode())


@given(RECORDS | st.binary(max_size=100) | MANIFESTS.map(lambda text: text.encode(errors="surrogatepass")))
def test_witness_records(data: bytes) -> None:
    found = parse_record(data, "tag", fingerprint=FINGERPRINT, attempt=1)
    sighting = sighting_of(found, "sandbox")
    verdict = judge(found, attempt=1, nonce="d" * 32, ledger="e" * 32, unsent=frozenset())
    if found.record is None:
        assert (sighting.target, verdict) == (State.UNKNOWN, Finding.ADOPT)
    else:
        assert verdict is not Finding.OURS
        assert found.record.fingerprint == FINGERPRINT
        assert storable(found.record.model_dump_json())
    parse_document(data, "sandbox")
