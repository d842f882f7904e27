"""The static gallery page: entries in, files out. Pure."""

from i2v_assets.gallery.build import PAGE_SIZE, STATIC, build_gallery, content_type
from i2v_assets.gallery.entries import (
    GalleryEntry,
    GalleryShot,
    GalleryTake,
    Paid,
    Status,
    TakeCost,
    entry_of_answer,
    entry_of_film,
    entry_of_manifest,
)

__all__ = [
    "PAGE_SIZE",
    "STATIC",
    "GalleryEntry",
    "GalleryShot",
    "GalleryTake",
    "Paid",
    "Status",
    "TakeCost",
    "build_gallery",
    "content_type",
    "entry_of_answer",
    "entry_of_film",
    "entry_of_manifest",
]
