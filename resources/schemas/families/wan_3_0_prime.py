"""Wan 3.0 prime: moves one picture for up to 30 s, with sound. Its limits come from the live schema."""

from typing import Final

from resources.schemas.families import FamilyRecord, Traits
from resources.schemas.inputs import Route

FAMILY: Final = FamilyRecord(
    name="wan-3.0-prime/image-to-video",
    title="Wan 3.0 prime image-to-video",
    description="Moves one picture, with sound; 2 to 30 s.",
    category="image-to-video",
    route=Route.ANIMATE,
    sources=("the vendor's partner nodes, recent models of September 2026: 2 to 30 s, 480p to 1080p",),
    live_ids=("wan-ai/wan-3.0-prime/image-to-video",),
    traits=Traits(keeps_image=True),
    prior_seconds=90.0,  # as 2.7; no source gives times of 3.0
    prior_spread=0.9,
)
