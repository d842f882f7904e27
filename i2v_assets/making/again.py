"""Measures a delivered clip once more, from the bucket: what a quality check does when it is run alone."""

from pathlib import Path
from tempfile import TemporaryDirectory

from i2v_assets.making.finishing import fetched
from i2v_assets.making.quality import compared_media, expectation, thresholds
from i2v_assets.manifest import read_manifest
from resources.ledger import Ledger, LedgerError
from resources.media.quality.judging import judge, score
from resources.media.quality.measuring import measure
from resources.media.quality.model import Check, Finding, Measures
from resources.media.quality.pool import MeasuringPool
from resources.schemas.inputs import GenerationInputs
from resources.settings import Settings
from resources.storage import keys
from resources.storage.bucket import Bucket


def measure_again(
    clip: str, bucket: Bucket, ledger: Ledger, settings: Settings
) -> dict[Check, tuple[Finding, Measures, float]]:
    """All four findings of a clip's video, with the figures and the quality score.

    Raises:
        ObjectMissing: the clip has no video; LedgerError: the ledger does not know it; MediaError: it cannot be measured.
    """
    manifest = read_manifest(bucket.read(keys.clip_key(clip, keys.MANIFEST)))
    row = ledger.get(manifest.fingerprint)
    if row is None:
        raise LedgerError(f"The ledger does not know the video of {clip}.", remedy="Is it the ledger of this bucket?")
    inputs = GenerationInputs.model_validate_json(row.inputs_json)
    with TemporaryDirectory(prefix="i2v-") as folder, MeasuringPool(workers=1) as pool:
        video = fetched(bucket, manifest.video.key, Path(folder))
        image, voice = (
            fetched(bucket, medium.key, Path(folder)) if medium else None for medium in compared_media(inputs)
        )
        asked = expectation(inputs, image=image, voice=voice, may_be_silent=manifest.may_be_silent)
        measures = pool.run(measure, video, asked)
    findings = judge(measures, asked, thresholds(settings.quality))
    total = score(measures, findings)
    return {found.check: (found, measures, total) for found in findings}
