"""HappyHorse 1.1: moves one picture, with sound. Its limits come from the live schema (3 to 15 s when this was written)."""

from typing import Final

from resources.schemas.families import FamilyRecord, Traits
from resources.schemas.inputs import Route

FAMILY: Final = FamilyRecord(
    name="happyhorse-1.1/image-to-video",
    title="HappyHorse 1.1 image-to-video",
    description="Moves one picture, with sound.",
    category="image-to-video",
    route=Route.ANIMATE,
    sources=("the vendor's partner nodes, recent models of September 2026",),
    live_ids=("alibaba/happyhorse-1.1/image-to-video",),
    traits=Traits(keeps_image=True),
    prior_seconds=40.0,  # as 1.0; no source gives times of 1.1
)
