"""The manifest.json of a video that `i2v run` made: the same document that a clip has in the bucket."""

from importlib.metadata import version
from pathlib import Path

from i2v_assets.making.manifests import manifest_of
from i2v_assets.manifest import Manifest, media_of
from i2v_assets.plans import Plan
from resources.generation.model import Delivered
from resources.ledger import RequestRow
from resources.media.probe import video_size
from resources.schemas.inputs import Service


def manifest_path(video: Path) -> Path:
    """Where a video's manifest lies beside it; `i2v verify` looks there."""
    return video.with_suffix(".manifest.json")


def manifest_beside(service: Service, plan: Plan, row: RequestRow, outcome: Delivered, video: Path) -> Manifest:
    """The manifest of a video in a local file.

    Raises:
        Unreadable: the file is no video.
    """
    return manifest_of(
        service,
        plan,
        row,
        outcome,
        media=media_of(plan.inputs),
        size=video_size(video),
        version=version("i2v-assets"),
    )
