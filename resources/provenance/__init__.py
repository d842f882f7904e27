"""Content Credentials (C2PA) in the video file itself; needs the extra ``provenance`` and a certificate."""

from resources.provenance.credentials import (
    UNSIGNED,
    Certificate,
    CertificateUnusable,
    Credential,
    ProvenanceError,
    SigningFailed,
    UnreadableCredential,
    available,
    read,
    sign,
)
from resources.provenance.documents import Composition, FilmShot, Generation, Source

__all__ = [
    "UNSIGNED",
    "Certificate",
    "CertificateUnusable",
    "Composition",
    "Credential",
    "FilmShot",
    "Generation",
    "ProvenanceError",
    "SigningFailed",
    "Source",
    "UnreadableCredential",
    "available",
    "read",
    "sign",
]
