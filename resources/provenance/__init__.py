"""Content Credentials (C2PA) in the video file itself; needs the extra ``provenance`` and a certificate."""

from resources.provenance.credentials import (
    UNSIGNED,
    Certificate,
    CertificateUnusable,
    Credential,
    Generation,
    ProvenanceError,
    SigningFailed,
    Source,
    UnreadableCredential,
    available,
    read,
    sign,
)

__all__ = [
    "UNSIGNED",
    "Certificate",
    "CertificateUnusable",
    "Credential",
    "Generation",
    "ProvenanceError",
    "SigningFailed",
    "Source",
    "UnreadableCredential",
    "available",
    "read",
    "sign",
]
