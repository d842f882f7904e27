"""Signs a video with a C2PA manifest and reads one back, through c2pa-python; its contents are in ``documents``."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from resources.errors import I2VError
from resources.messages import counted
from resources.provenance.documents import ASSERTION, Composition, Generation, Source, document_of
from resources.schemas.inputs import sha256_file
from resources.settings import Settings

if TYPE_CHECKING:
    import c2pa
    from cryptography import x509

UNSIGNED = "unsigned: this file carries no Content Credentials (C2PA)"
"""The line for a video without a manifest."""

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_ALGORITHMS = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_READ_ONLY_LOCALLY = {"remote_manifest_fetch": False, "ocsp_fetch": False}
"""Files from outside are read without opening connections that they name."""


class ProvenanceError(I2VError):
    """Signing or reading Content Credentials failed."""


class CertificateUnusable(ProvenanceError):
    """The certificate or its key cannot be read, or they do not fit."""


class SigningFailed(ProvenanceError):
    """The video was not signed; the unsigned file is untouched."""


class UnreadableCredential(ProvenanceError):
    """The file is not a video, or its data cannot be read as a C2PA manifest."""


@dataclass(frozen=True)
class Signing:
    """One line for people, and the signed file (the caller's to delete) with its hash; no file where it is unsigned."""

    line: str
    path: Path | None = None
    sha256: str | None = None
    size_bytes: int | None = None


def available() -> bool:
    """Return True if the extra ``provenance`` is installed."""
    return find_spec("c2pa") is not None


@dataclass(frozen=True)
class Certificate:
    """A signing certificate: PEM chain, leaf first, and the PEM of its unencrypted private key.

    ``timestamp_url`` is an RFC 3161 time-stamp authority; without one a signature expires with the certificate.
    """

    chain: Path
    key: Path
    timestamp_url: str = ""

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """Return the configured certificate, or None.

        Raises:
            CertificateUnusable: one of the two variables is missing, or the extra is not installed.
        """
        if not settings.c2pa_certificate and not settings.c2pa_key:
            return None
        if not settings.c2pa_certificate or not settings.c2pa_key:
            raise CertificateUnusable(
                "Only one of I2V_C2PA_CERTIFICATE and I2V_C2PA_KEY is set.", remedy="Set both, or neither."
            )
        if not available():
            raise CertificateUnusable(
                "A C2PA certificate is configured, but the extra is not installed.",
                remedy="pip install 'i2v-assets[provenance]'",
            )
        return cls(Path(settings.c2pa_certificate), Path(settings.c2pa_key), settings.c2pa_timestamp_url)

    @property
    def certificates(self) -> tuple[str, ...]:
        """Return the chain's certificates as PEM: the signer's own, then its authorities (at least one)."""
        found = tuple(_CERTIFICATE.findall(_text(self.chain)))
        if len(found) < 2:
            raise CertificateUnusable(
                f"{self.chain.name} has {len(found)} certificates; a chain has at least 2.",
                remedy="Use a PEM chain: the signer's own certificate first, then that of its authority.",
            )
        return found


@dataclass(frozen=True)
class Credential:
    """A C2PA manifest read from a file.

    ``intact``: the bytes are the signed ones. ``valid``: intact, and the signer has the name of the certificate passed
    to ``read`` and the same authority (so a renewed certificate is still the project's own).
    """

    intact: bool
    valid: bool
    signer: str
    title: str
    source_type: str
    ingredients: tuple[str, ...]
    model_id: str | None
    fingerprint: str | None
    delivered_sha256: str | None
    sandbox: bool
    problems: tuple[str, ...]
    shots_sha256: tuple[str, ...] = ()
    """Of a film: hashes of the bytes delivered for its shots, in order; its fingerprint is its version."""
    judged: bool = True
    """True if a certificate was given to verify the signer."""

    @property
    def line(self) -> str:
        """Return one line for people that claims no more than was checked."""
        if not self.intact:
            return f"altered: the Content Credentials do not fit this file ({', '.join(self.problems) or 'invalid'})"
        if self.shots_sha256:
            made = f"joined from {counted(len(self.shots_sha256), 'shot')}" + (
                ", drawn by the sandbox" if self.sandbox else ""
            )
        else:
            made = "drawn by the sandbox" if self.sandbox else f"generated by {self.model_id or 'a model'}"
        if not self.valid:
            whose = (
                "is not the configured certificate" if self.judged else "cannot be judged without a certificate here"
            )
            return f"signed by {self.signer}, {made}; the signer {whose}, so this proves only integrity"
        return f"signed by {self.signer}, {made}"


def sign(
    video: Path, out: Path, made: Generation | Composition, sources: Sequence[Source], certificate: Certificate
) -> str:
    """Write a signed copy of an MP4 and return its SHA-256 (hex); picture and sound are not changed.

    A signed source keeps its own manifest. Sources of a type that C2PA does not know are named by their hash only.

    Raises:
        CertificateUnusable: the certificate or key cannot be read or do not fit each other.
        SigningFailed: the library failed; nothing is left at ``out``.
    """
    import c2pa

    known = set(c2pa.Builder.get_supported_mime_types())
    embedded = [source for source in sources if source.content_type in known]
    document = document_of(made, embedded)
    signer = _signer(certificate)
    partial = out.with_name(out.name + ".part.mp4")
    try:
        with signer, c2pa.Builder.from_json(document, _context(certificate)) as builder:
            for number, source in enumerate(embedded):
                about = {"title": source.title, "relationship": made.relationship, "instance_id": f"source:{number}"}
                if source.sha256:
                    about["description"] = f"SHA-256 {source.sha256}"
                with source.path.open("rb") as stream:
                    builder.add_ingredient(about, source.content_type, stream)
            with video.open("rb") as source_file, partial.open("w+b") as signed:
                builder.sign(signer, "video/mp4", source_file, signed)
    except c2pa.C2paError as error:
        partial.unlink(missing_ok=True)
        raise SigningFailed(
            f"{made.title} was not signed: {_short(error)}.",
            remedy=(
                "Check that I2V_C2PA_KEY is the key of the first certificate in I2V_C2PA_CERTIFICATE, and the"
                " time-stamp address."
            ),
        ) from None
    partial.replace(out)
    return sha256_file(out)


def read(video: Path, certificate: Certificate | None = None) -> Credential | None:
    """Return the C2PA manifest in a video, or None; opens no connection.

    Args:
        video: the file.
        certificate: the certificate whose signatures count as the project's own; with None, ``valid`` is False.

    Raises:
        UnreadableCredential: the file cannot be read, or its manifest is malformed.
    """
    import c2pa

    try:
        with video.open("rb") as stream, c2pa.Reader("video/mp4", stream, context=_context(certificate)) as reader:
            state = str(reader.get_validation_state())
            plain = json.loads(reader.json())
    except c2pa.C2paError.ManifestNotFound:
        return None
    except (c2pa.C2paError, OSError) as error:
        raise UnreadableCredential(
            f"{video.name}: the Content Credentials cannot be read: {_short(error)}.",
            remedy="Fetch the file again from the bucket.",
        ) from None
    return _credential(plain, state, certificate)


def _credential(plain: dict[str, Any], state: str, certificate: Certificate | None) -> Credential:
    active: dict[str, Any] = plain.get("manifests", {}).get(plain.get("active_manifest"), {})
    assertions = {part.get("label", ""): part.get("data") or {} for part in active.get("assertions", [])}
    actions = next((data for label, data in assertions.items() if label.startswith("c2pa.actions")), {})
    created: dict[str, Any] = next(
        (part for part in actions.get("actions", []) if part.get("action") == "c2pa.created"), {}
    )
    own: dict[str, Any] = next((data for label, data in assertions.items() if label.startswith(ASSERTION)), {})
    signature = active.get("signature_info") or {}
    failures = plain.get("validation_status") or []
    return Credential(
        intact=state in {"Valid", "Trusted"},
        valid=state == "Trusted" and certificate is not None and _same_name(signature, certificate),
        signer=str(signature.get("common_name") or signature.get("issuer") or "an unnamed signer"),
        title=str(active.get("title", "")),
        source_type=str(created.get("digitalSourceType", "")).rsplit("/", 1)[-1],
        ingredients=tuple(str(part.get("title", "")) for part in active.get("ingredients", [])),
        model_id=_optional(own.get("model_id")),
        fingerprint=_optional(own.get("fingerprint")),
        delivered_sha256=_optional(own.get("delivered_sha256")),
        sandbox=own.get("sandbox") is True,
        problems=tuple(str(part.get("code", "")) for part in failures),
        shots_sha256=tuple(str(shot.get("sha256", "")) for shot in own.get("shots", [])),
        judged=certificate is not None,
    )


def _context(certificate: Certificate | None) -> "c2pa.Context":
    import c2pa

    trust = {"trust_anchors": "\n".join(certificate.certificates[1:]) + "\n"} if certificate else {}
    # The library checks a signature right after making it; `read` checks the whole file.
    verify = {"verify_trust": certificate is not None, "verify_after_sign": False, **_READ_ONLY_LOCALLY}
    return c2pa.Context(c2pa.Settings.from_dict({"trust": trust, "verify": verify}))


def _signer(certificate: Certificate) -> "c2pa.Signer":
    import c2pa
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    key = _text(certificate.key)
    public = _leaf(certificate).public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        algorithm = _ALGORITHMS.get(public.curve.name, "")
    elif isinstance(public, ed25519.Ed25519PublicKey):
        algorithm = "ed25519"
    elif isinstance(public, rsa.RSAPublicKey):
        algorithm = "ps256"
    else:
        algorithm = ""
    if not algorithm:
        raise CertificateUnusable(
            f"{certificate.chain.name}: C2PA does not sign with this kind of key.",
            remedy="Use an EC (P-256, P-384, P-521), Ed25519 or RSA certificate.",
        )
    info = c2pa.C2paSignerInfo(
        algorithm.encode(), _text(certificate.chain).encode(), key.encode(), certificate.timestamp_url.encode() or None
    )
    try:
        return c2pa.Signer.from_info(info)
    except c2pa.C2paError as error:
        raise CertificateUnusable(
            f"{certificate.chain.name} cannot be used for signing: {_short(error)}.",
            remedy="I2V_C2PA_CERTIFICATE is the PEM chain, signer first; I2V_C2PA_KEY its PKCS#8 key without a password.",
        ) from None


def _leaf(certificate: Certificate) -> "x509.Certificate":
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(certificate.certificates[0].encode())
    except ValueError:
        raise CertificateUnusable(
            f"{certificate.chain.name}: the first certificate cannot be read.", remedy="Check I2V_C2PA_CERTIFICATE."
        ) from None


def _same_name(signature: dict[str, Any], certificate: Certificate) -> bool:
    """Return True if a signature's signer has the common name and organization of the certificate.

    The library calls the signer's organization ``issuer``.
    """
    from cryptography.x509.oid import NameOID

    subject = _leaf(certificate).subject
    names = {"common_name": NameOID.COMMON_NAME, "issuer": NameOID.ORGANIZATION_NAME}
    return all(
        signature.get(key) == next((part.value for part in subject.get_attributes_for_oid(oid)), None)
        for key, oid in names.items()
    )


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        raise CertificateUnusable(
            f"{path.name} cannot be read as PEM.", remedy="Check I2V_C2PA_CERTIFICATE and I2V_C2PA_KEY."
        ) from None


def _short(error: Exception) -> str:
    """Return the first line of a message, without what may contain a key or an address."""
    first = str(error).split("\n", 1)[0]
    return re.sub(r"\S+://\S+|-----BEGIN.*", "[removed]", first)[:200].rstrip(".")


def _optional(value: object) -> str | None:
    return value if isinstance(value, str) else None
