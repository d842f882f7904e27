"""Run the demo: put samples for the three routes into the bucket and let a real sensor and a real run make the videos."""

import time
from pathlib import Path
from signal import SIGINT

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from i2v_assets.cli.console import err, out, print_table
from i2v_assets.cli.dev.demo_wait import DemoView, StillnessWatch, problem_words, still_words
from i2v_assets.cli.dev.services import HERE, local_services
from i2v_assets.cli.disk import require_room
from i2v_assets.cli.environment import enter
from i2v_assets.cli.exit_codes import Exit
from i2v_assets.clip_folder.manifest import Manifest, read_manifest
from resources.devservers.start import ChildProcess
from resources.ledger.ledger import Ledger
from resources.money import dollars
from resources.registry.registry import ClipState, Registry
from resources.settings import load_settings
from resources.storage import keys
from resources.storage.bucket import Bucket

SAMPLES = HERE / "samples"

LIP_SYNC_ALONE = """\
prompt: Close-up of a friendly presenter who is speaking to the camera, soft window light, shallow depth of field.
audio: voiceover-es.mp3
aspect_ratio: "9:16"
resolution: 720p
"""
MULTI_MODAL = """\
prompt: >-
  Push in slowly on the subject from image 1, movement from video 1, sound from audio 1.
images: environment.jpg
videos: scene.mp4
audio: ambience.mp3
duration: 5
resolution: 720p
"""
DEFAULTS = """\
# For every clip of the bucket whose own brief says nothing else.
resolution: 720p
"""
UPLOADS: tuple[tuple[str, str | bytes], ...] = (
    ("uploads/_defaults.yaml", DEFAULTS.encode()),
    ("uploads/product.webp", "product.webp"),
    ("uploads/landscape.jpg", "environment.jpg"),
    ("uploads/pet.jpg", "pet.jpg"),
    ("uploads/portrait.png", "portrait.png"),
    ("uploads/portrait.mp3", "voiceover-en.mp3"),
    ("uploads/announcement/voiceover-es.mp3", "voiceover-es.mp3"),
    ("uploads/announcement/brief.yaml", LIP_SYNC_ALONE.encode()),
    ("uploads/launch/environment.jpg", "environment.jpg"),
    ("uploads/launch/scene.mp4", "scene.mp4"),
    ("uploads/launch/ambience.mp3", "ambience.mp3"),
    ("uploads/launch/brief.yaml", MULTI_MODAL.encode()),
)
"""Key and what it holds: a sample by name, or the bytes of a brief. The three routes, lip-sync with and without an image."""

CLIPS = ("product", "landscape", "pet", "portrait", "announcement", "launch")

SETTINGS = {
    "I2V_SETTLE_SECONDS": "1",  # the demo's uploads are complete when they are there
    "I2V_SENSOR_SECONDS": "2",
}


def run_demo(data_dir: Path, output_dir: Path) -> Exit:
    """Make the six sample clips, and return 0 if all six videos are in the folder."""
    require_room(output_dir, remedy="Free some space, or name another --output-dir.")
    began = time.monotonic()
    err.print("Starting an S3 server and the sandbox (a local stand-in for the service; nothing is paid) ...")
    pace = {"generation_seconds": 4, "generation_spread": 0.2}
    with local_services(data_dir, sandbox=pace, settings=SETTINGS, fresh=True) as up:
        enter(up.environment)
        settings = load_settings()
        bucket = Bucket.from_settings(settings)
        bucket.ensure()
        for key, content in UPLOADS:
            data = content if isinstance(content, bytes) else (SAMPLES / content).read_bytes()
            bucket.write(key, data, "application/octet-stream")
        err.print(f"{len(UPLOADS)} files are in the bucket; the upload sensor of a real Dagster finds them now ...")
        with (
            up.start(["dagster._daemon", "run", "-m", "i2v_assets.definitions"], "daemon.log", SIGINT) as daemon,
            Ledger.open(settings.ledger_address) as ledger,
        ):
            view, problem = _wait(ledger, Registry(ledger.database), daemon)
        done = [clip for clip in CLIPS if clip in view.rows and view.rows[clip].state is ClipState.DELIVERED]
        delivered = [_fetch(bucket, clip, output_dir) for clip in done]
    if delivered:
        _table(delivered, output_dir)
    made = f"{len(delivered)} of {len(CLIPS)} videos in {time.monotonic() - began:.0f} s."
    if len(delivered) == len(CLIPS):
        err.print(f"{made} Next: make dev")
        return Exit.OK
    if problem:
        err.print(problem, markup=False, highlight=False)
    else:
        for clip in view.ended:
            if clip not in done:
                err.print(problem_words(clip, view.rows[clip]), markup=False, highlight=False)
    err.print(f"{made} Logs: {up.data_dir / 'logs'}", markup=False, highlight=False)
    return Exit.FAILED


def _view(ledger: Ledger, registry: Registry) -> DemoView:
    rows = {row.clip: row for row in registry.list()}
    runs = {row.run_id for row in rows.values() if row.run_id}
    return DemoView(CLIPS, rows, ledger.list(), registry.runs.seen(runs))


def _wait(ledger: Ledger, registry: Registry, daemon: ChildProcess) -> tuple[DemoView, str]:
    """Show what is waited for until every clip has ended or something is wrong.

    Returns:
        The clips, and what is wrong beside their own reasons; empty if nothing is.
    """
    watch = StillnessWatch()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    said = ""
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("waiting for the sensor", total=len(CLIPS))
        while True:
            running = daemon.running  # before the view: what the daemon did last is in it
            view = _view(ledger, registry)
            words = f"waiting for {view.waits_for}" if view.waits_for else "all clips have ended"
            progress.update(task, completed=len(view.ended), description=words)
            if not err.is_terminal and words != said:
                err.print(f"  {len(view.ended)} of {len(CLIPS)}: {words}", markup=False, highlight=False)
            said = words
            if len(view.ended) == len(CLIPS):
                return view, ""
            if not running:
                return view, f"Dagster's daemon ended by itself, while the demo was {words}. {daemon.log_tail()}"
            if watch.stands_still(view, time.monotonic()):
                return view, f"{still_words(view, watch.seconds)} {daemon.log_tail()}"
            time.sleep(0.5)


def _fetch(bucket: Bucket, clip: str, output_dir: Path) -> tuple[Manifest, str]:
    key = keys.clip_key(clip, keys.VIDEO)
    bucket.download(key, output_dir / f"{clip}.mp4")
    return read_manifest(bucket.read(keys.clip_key(clip, keys.MANIFEST))), key


def _table(delivered: list[tuple[Manifest, str]], output_dir: Path) -> None:
    rows = [
        (
            manifest.clip,
            manifest.route.value,
            manifest.model_id,
            f"{manifest.video.seconds:.1f}",
            f"{manifest.video.width}x{manifest.video.height}, {manifest.video.size_bytes / 1e6:.1f} MB",
            dollars(manifest.cost_microdollars or manifest.price_microdollars),
            key,
        )
        for manifest, key in delivered
    ]
    columns = ("clip", "route", "model", "seconds", "size", "price", "where the video is")
    print_table(columns, rows, title="Made in the sandbox: the prices are play money")
    out.print(f"The same files are in {output_dir}/", markup=False, highlight=False)
