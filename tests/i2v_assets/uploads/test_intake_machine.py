"""Any order of uploads, deletions, renames and broken documents: nothing is ordered that was not meant, and all holds end."""

import io
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from i2v_assets.uploads.ingest import admit
from i2v_assets.uploads.types import Candidate
from resources.ledger.ledger import Ledger
from resources.registry.registry import ClipState, Registry
from resources.settings import Settings
from resources.wait_reason import WaitReason

EXAMPLES = int(os.environ.get("I2V_TEST_FUZZ_EXAMPLES", "200"))
SETTLE = timedelta(seconds=30)
FOLDERS = ("", "t/", "t/img/", "s/")
IMAGES = st.tuples(st.sampled_from(FOLDERS), st.sampled_from(("1.jpg", "2.jpg", "Hero.PNG"))).map("".join)
NEAR = st.tuples(st.sampled_from(FOLDERS), st.sampled_from(("brief (1).yaml", "looks.ods", "brief.yaml.txt"))).map(
    "".join
)
JUNK = st.sampled_from(("t/.DS_Store", "t/@eaDir/1.jpg/x.jpg", "s/Thumbs.db", "t/1.jpg.json", "1.xmp", "t/._1.jpg"))
LISTS = st.sampled_from(("looks.csv", "t/looks.csv"))
BRIEFS = st.sampled_from(("t/img/brief.yaml", "s/brief.yaml"))


@dataclass(frozen=True)
class Stored:
    """An object of the bucket in memory."""

    key: str
    data: bytes
    etag: str
    modified_at: datetime
    version_id: str = ""

    @property
    def size_bytes(self) -> int:
        return len(self.data)


class MemoryBucket:
    """The calls that a scan makes, without a server."""

    name = "memory"

    def __init__(self) -> None:
        self.objects: dict[str, Stored] = {}
        self.clock = datetime(2026, 1, 1, tzinfo=UTC)
        self.writes = 0

    def put(self, key: str, data: bytes) -> None:
        self.objects[key] = Stored(key, data, f"{hash(data):x}", self.clock)

    def now(self) -> datetime:
        return self.clock

    def list(self, prefix: str = "", **_: object) -> Iterator[Stored]:
        return iter([each for key, each in sorted(self.objects.items()) if key.startswith(prefix)])

    def head(self, key: str) -> Stored | None:
        return self.objects.get(key)

    def open_range(self, key: str, first: int, last: int) -> io.BytesIO:
        return io.BytesIO(self.objects[key].data[first : last + 1])

    def write(self, *_: object, **__: object) -> None:
        self.writes += 1

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    def delete_many(self, keys: Iterable[str]) -> None:
        list(keys)


_TEMPLATE: list[Path] = []


def new_ledger(folder: Path) -> Ledger:
    """An empty ledger; its tables are made once and copied."""
    if not _TEMPLATE:
        _TEMPLATE.append(Path(tempfile.mkdtemp()) / "ledger.sqlite")
        Ledger.open(f"sqlite:///{_TEMPLATE[0]}").close()
    path = folder / "ledger.sqlite"
    shutil.copy(_TEMPLATE[0], path)
    return Ledger.open(f"sqlite:///{path}")


class Intake(RuleBasedStateMachine):
    """A bucket that people and programs write to, and the scans of it."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.ledger = new_ledger(self.folder)
        self.bucket = MemoryBucket()
        self.registry = Registry(self.ledger.database, lambda: self.bucket.clock)
        self.settings = Settings.model_construct(
            loose_images="order", ignore_uploads=(), settle_seconds=SETTLE.total_seconds(), max_upload_bytes=10**9,
            service="sandbox",
        )  # fmt: skip
        self.serial = 0
        self.claimed: set[str] = set()
        self.orders: list[tuple[Candidate, frozenset[str]]] = []

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()
            shutil.rmtree(self.folder)

    def put(self, name: str, data: bytes | str) -> None:
        self.bucket.put(f"uploads/{name}", data.encode() if isinstance(data, str) else data)

    # What people and programs do

    @rule(name=IMAGES)
    def put_image(self, name: str) -> None:
        self.serial += 1
        self.put(name, b"%d" % self.serial)

    @rule(name=IMAGES)
    def delete_image(self, name: str) -> None:
        self.bucket.delete(f"uploads/{name}")

    @rule(name=LISTS, data=st.data())
    def put_list(self, name: str, data: st.DataObject) -> None:
        folder = name.rpartition("/")[0]
        there = sorted(key[8:] for key in self.bucket.objects if key.lower().endswith((".jpg", ".png")))
        mine = [
            each for each in there if "@" not in each and "._" not in each and (not folder or each.startswith("t/"))
        ]
        if not mine:
            return
        named = data.draw(st.lists(st.sampled_from(mine), min_size=1, unique=True))
        inside = [each[len(folder) + 1 :] if folder else each for each in named]
        kind = data.draw(st.sampled_from(["good", "good", "broken", "half", "near"]))
        rows = [f"c{each.replace('/', '-')},{each}" for each in inside]
        text = "clip,image\n" + "\n".join(rows) + "\n"
        match kind:
            case "broken":
                text = text.replace("image", "imgae")
            case "half":
                text = text[: -data.draw(st.integers(2, 6))]
            case "near":
                text = text.upper().replace("CLIP,IMAGE", "clip,image")
        self.put(name, text)

    @rule(name=BRIEFS, kind=st.sampled_from(["prompt: x", "prompt: x\n", "promt: x", "\tx: [", ""]))
    def put_brief(self, name: str, kind: str) -> None:
        self.put(name, kind)

    @rule(name=st.one_of(LISTS, BRIEFS))
    def delete_document(self, name: str) -> None:
        self.bucket.delete(f"uploads/{name}")

    @rule(name=LISTS)
    def rename_document(self, name: str) -> None:
        there = self.bucket.objects.pop(f"uploads/{name}", None)
        if there is not None:
            self.put(name.replace("looks", "old"), there.data)

    @rule(name=st.one_of(NEAR, JUNK), there=st.booleans())
    def put_or_remove_what_is_no_document(self, name: str, there: bool) -> None:
        if there:
            self.put(name, "prompt: x")
        else:
            self.bucket.delete(f"uploads/{name}")

    @rule(folder=st.sampled_from(("t/", "s/")), there=st.booleans())
    def mark(self, folder: str, there: bool) -> None:
        if there:
            self.put(f"{folder}_uploading-1.json", "{}")
        else:
            self.bucket.delete(f"uploads/{folder}_uploading-1.json")

    @rule(seconds=st.sampled_from([5, 31, 700, 4000]))
    def wait(self, seconds: int) -> None:
        self.bucket.clock += timedelta(seconds=seconds)

    # What the sensor and the runs do

    @rule()
    def scan(self) -> None:
        objects = list(self.bucket.list("uploads/"))
        scanned = admit(
            self.bucket,
            self.registry,
            self.settings,
            objects,
            whole=True,
            covers=lambda _: True,  # type: ignore[arg-type]
        )
        self.claimed |= scanned.grouping.described.keys()
        doubtful = {refused.key for refused in scanned.grouping.refused}
        for row in self.registry.due():
            candidate = Candidate.from_content(row.content)
            if candidate.hold is None:
                self.check_order(candidate, doubtful)
            else:
                assert candidate.hold.words.endswith((".", "?")), candidate.hold
                assert candidate.hold.remedy, candidate.hold
            state = ClipState.DELIVERED if candidate.hold is None else ClipState.WAITING
            reason = None if candidate.hold is None else WaitReason.APPROVAL
            self.registry.record_result(row.clip, version=row.version, state=state, waiting_for=reason)

    def check_order(self, candidate: Candidate, doubtful: set[str]) -> None:
        """Check that everything around an order is understood."""
        keys = {file.key for file in candidate.files}
        assert keys <= self.bucket.objects.keys(), "its files are there"
        assert not any("@eaDir" in key or "/._" in key for key in keys), "it is no noise"
        if candidate.document_key is not None:
            assert candidate.document_key in self.bucket.objects, "its document is there"
            return
        (key,) = keys
        assert key not in self.claimed, f"{key} was claimed"
        folder = key.removeprefix("uploads/").rpartition("/")[0]
        for other in doubtful:
            where = other.removeprefix("uploads/").rpartition("/")[0]
            near = other.endswith(("brief (1).yaml", "looks.ods", "brief.yaml.txt"))
            in_scope = folder == "" if where == "" else f"{folder}/".startswith(f"{where}/")
            assert not (near and in_scope), f"{key} is ordered beside {other}"

    @invariant()
    def a_hold_has_a_way_out(self) -> None:
        if not hasattr(self, "registry"):
            return
        for source, (reason, key) in self.registry.holds().items():
            if reason == "doubt":
                assert key, f"{source} is held by nothing that could be removed"


Intake.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=15,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
TestIntake = Intake.TestCase
