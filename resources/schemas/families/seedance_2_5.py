"""Seedance 2.5: 4 to 30 s in four resolutions. Each resolution is an id of its own, and the live schema has its limits."""

from typing import Final

from resources.schemas.families import FamilyRecord
from resources.schemas.inputs import Route

_TIERS = ("720p", "1080p", "480p", "4k")
"""The usual resolution first: without one in the brief, the first id that answers is used."""

FAMILY: Final = FamilyRecord(
    name="seedance-2.5",
    title="Seedance 2.5",
    description="Pictures, clips and sounds as references, or one picture as the first frame.",
    category="image-to-video",
    route=Route.MULTI_MODAL,
    sources=("the vendor's partner nodes, recent models of September 2026: 14 ids, 4 to 30 s, 480p to 4k",),
    live_ids=(
        *(f"bytedance/seedance-2.5/image-to-video/{tier}" for tier in _TIERS),
        *(f"bytedance/seedance-2.5/first-last-frame/{tier}" for tier in ("720p", "480p")),
        *(f"bytedance/seedance-2.5/reference-to-video/{tier}" for tier in _TIERS),
        *(f"bytedance/seedance-2.5/text-to-video/{tier}" for tier in _TIERS),
    ),
    prior_seconds=65.0,  # as 2.0; no source gives times of 2.5
)
