"""The harness around whole Dagster runs: uploads instead of requests, and the bucket's notes beside the ledger's rows."""

import io
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness import Crash
from PIL import Image

from i2v_assets.cli.dev.services import dagster_home
from i2v_assets.clip_folder.manifest import read_manifest
from resources.registry.registry import ClipState, Registry
from resources.storage import keys

RUN_CHILD = (sys.executable, str(Path(__file__).parent / "run_child.py"), "{spec}")
DEFAULTS = b"duration: 3\nresolution: 720p\n"


class RunCrash(Crash):
    """Each round replaces the upload of every clip, so the same clips are made again, each time for money."""

    level = "run"
    fuse = (2.0, 10.0)
    """A process that imports Dagster needs some seconds before it works on clips."""
    look_seconds = 0.01
    parts = "*/.*.part"

    def __init__(self, *given: Any, **how: Any) -> None:
        super().__init__(*given, **how)
        self.uploads: dict[str, bytes] = {}
        self.env |= {
            "DAGSTER_HOME": str(dagster_home(self.folder)),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "I2V_SETTLE_SECONDS": "0",
            "I2V_LEASE_SECONDS": "2",
            "I2V_MAX_IN_FLIGHT": "2",
            "I2V_DEADLINE_SECONDS": "60",
            "I2V_MEASURE": "false",
            "I2V_PREVIEWS": "false",
            "TMPDIR": str(self.folder / "scratch"),
        }
        self.bucket.delete("uploads/product.webp")  # the engine's medium
        self.bucket.write("uploads/_defaults.yaml", DEFAULTS, "application/yaml")

    def start(self, whole: bool = False) -> "subprocess.Popen[bytes]":
        shutil.rmtree(self.folder / "scratch", ignore_errors=True)  # a new container has an empty disk
        (self.folder / "scratch").mkdir()
        return super().start(whole)

    def next_round(self) -> None:
        super().next_round()
        for clip in range(self.clips):
            image = Image.new("RGB", (400, 320), (self.tally.rounds % 256, clip * 7 % 256, self.tally.rounds // 256))
            out = io.BytesIO()
            image.save(out, "PNG")
            self.bucket.write(f"uploads/clip-{clip:02}.png", out.getvalue(), "image/png")

    def done(self) -> bool:
        """The ledger has all, and so have the people who wait for the clips."""
        return super().done() and all(row.state is ClipState.DELIVERED for row in Registry(self.ledger.database).list())

    def check_end(self) -> None:
        super().check_end()
        paid = self.rows()
        clips = Registry(self.ledger.database).list()
        assert len(clips) == self.clips
        for clip in clips:
            assert clip.fingerprint is not None
            manifest = read_manifest(self.bucket.read(keys.clip_key(clip.clip, keys.MANIFEST)))
            assert manifest.fingerprint == clip.fingerprint, f"{clip.clip}: the manifest of another version"
            shown = self.bucket.head(keys.clip_key(clip.clip, keys.VIDEO))
            assert shown is not None, f"{clip.clip}: no video"
            assert shown.size_bytes == paid[clip.fingerprint].video_bytes
            for name in keys.NOTES:
                assert self.bucket.head(keys.clip_key(clip.clip, name)) is None, f"{clip.clip} still has {name}"
