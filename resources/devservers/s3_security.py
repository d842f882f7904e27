"""Keys of the embedded S3 server: every port but S3's own asks for a client certificate that only this folder has.

SeaweedFS serves the same bytes on the ports of its filer, master and volumes, over HTTP and gRPC, and asks for no
credentials there: a form of any web page could plant an upload. Mutual TLS closes all of them to web pages and to
other users of the machine; the signed tokens (JWT) hold where TLS ends, such as at the filer's socket file.
"""

import datetime as dt
import ipaddress
import json
import os
import secrets
import ssl
from pathlib import Path

CERTIFICATE, KEY, CONFIGURATION = "tls.crt", "tls.key", "security.toml"

_PARTS = ("volume", "master", "filer", "s3", "admin", "worker", "client")
"""What speaks gRPC; the last one is the side that calls."""

_WEB_PARTS = ("volume", "master", "filer", "admin")
_TOKENS = ("signing", "signing.read", "filer_signing", "filer_signing.read")
_LIFE = dt.timedelta(days=3650)
"""Longer than a folder of a development server is kept; the certificate is not renewed."""


def write_security(folder: Path) -> None:
    """Write certificate, key and the server's security.toml, which it reads from its working directory.

    The certificate is made once per folder. All three files are readable by their owner only.
    """
    if not ((folder / CERTIFICATE).exists() and (folder / KEY).exists()):
        _make_certificate(folder)
    _write(folder / CONFIGURATION, _configuration(folder).encode())


def client_context(folder: Path) -> ssl.SSLContext:
    """Return the TLS settings of a client that the server lets in."""
    context = ssl.create_default_context(cafile=folder / CERTIFICATE)
    context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    return context


def _configuration(folder: Path) -> str:
    pair = f"cert = {_quoted(folder / CERTIFICATE)}\nkey = {_quoted(folder / KEY)}\n"
    authority = f"ca = {_quoted(folder / CERTIFICATE)}\n"
    sections = [f"[grpc]\n{authority}", *(f"[grpc.{part}]\n{pair}" for part in _PARTS)]
    sections += [f"[https.{part}]\n{authority}{pair}" for part in _WEB_PARTS]
    sections.append(f"[https.client]\nenabled = true\n{authority}{pair}")
    # New at every start: the tokens live for 10 s. 32 bytes, as many as HMAC-SHA256 has.
    sections += [f"[jwt.{part}]\nkey = '{secrets.token_hex(16)}'\n" for part in _TOKENS]
    return "\n".join(sections)


def _quoted(path: Path) -> str:
    return json.dumps(str(path))  # TOML's basic strings are written like JSON's


def _make_certificate(folder: Path) -> None:
    """Make one self-signed certificate, which is authority, server and client at once."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "i2v embedded S3 server")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))  # a clock that was set back since
        .not_valid_after(now + _LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(folder / KEY, private)
    _write(folder / CERTIFICATE, certificate.public_bytes(serialization.Encoding.PEM))


def _write(path: Path, content: bytes) -> None:
    """Write a file for the owner's eyes only, whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as sink:
        sink.write(content)
    partial.replace(path)
