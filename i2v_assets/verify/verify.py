"""Verify whether a file comes from a request that the ledger paid for. The pure part of ``i2v verify``."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from i2v_assets.clip_folder.manifest import SANDBOX_NOTE, Manifest, ManifestPiece
from i2v_assets.films.manifest import SANDBOX_FILM_NOTE, FilmManifest
from i2v_assets.verify.compare import (
    Claim,
    PaidRow,
    claims_on_course,
    claims_on_inputs,
    claims_on_takes,
    cost_agrees,
    fingerprinted_inputs,
)
from i2v_assets.verify.pieces import Joined, PieceCheck, piece_checks
from resources.money import dollars
from resources.provenance.credentials import UNSIGNED
from resources.storage import keys


class Credential(Protocol):
    """The fields of a file's C2PA manifest that verification reads (see ``resources.provenance``)."""

    @property
    def line(self) -> str: ...  # noqa: D102
    @property
    def intact(self) -> bool: ...  # noqa: D102
    @property
    def valid(self) -> bool: ...  # noqa: D102
    @property
    def judged(self) -> bool: ...  # noqa: D102
    @property
    def fingerprint(self) -> str | None: ...  # noqa: D102
    @property
    def delivered_sha256(self) -> str | None: ...  # noqa: D102
    @property
    def shots_sha256(self) -> tuple[str, ...]: ...  # noqa: D102


@dataclass(frozen=True)
class Signature:
    """The signature of a file.

    Attributes:
        credential: Its C2PA manifest; None if it has none or none could be read.
        unread: Why it was not read; empty if it was.
        stored_sha256: Hash of the signed copy according to the manifest in the bucket; None if that is missing. A manifest
            beside a local file proves nothing, because whoever altered the file may have written it too.
    """

    credential: Credential | None = None
    unread: str = ""
    stored_sha256: str | None = None

    @property
    def line(self) -> str:
        """One line for people."""
        if self.credential is not None:
            return self.credential.line
        return f"not read: {self.unread}" if self.unread else UNSIGNED

    @property
    def judged(self) -> bool:
        """True if a local certificate can identify the signer, or the file is unsigned."""
        return self.credential.judged if self.credential is not None else not self.unread


NO_SIGNATURE = Signature()


@dataclass
class Verification:
    """The outcome: ``ok``, and one line per check, ending with what this does not prove."""

    lines: list[str] = field(default_factory=list)
    ok: bool = True

    def check(self, holds: bool, good: str, bad: str) -> bool:
        """Add one line, fail the verification if the check does not hold, and return the check."""
        self.lines.append(f"ok    {good}" if holds else f"WRONG {bad}")
        self.ok = self.ok and holds
        return holds

    def check_all(self, checks: Iterable[PieceCheck]) -> None:
        """Add one line for each check."""
        for holds, good, bad in checks:
            self.check(holds, good, bad)

    def note(self, text: str) -> None:
        """Add a line that does not affect the outcome."""
        self.lines.append(f"note  {text}")


def verify(
    manifest: Manifest,
    file_sha256: str,
    row: PaidRow | None,
    signature: Signature = NO_SIGNATURE,
    others: Mapping[str, PaidRow] = MappingProxyType({}),
    corrected: Collection[str] = (),
) -> Verification:
    """Compare a file with its manifest, and with the ledger's row of the manifest's fingerprint.

    The ledger decides: a file is proven if its bytes are those that the ledger recorded at the download. A signed copy has
    other bytes. It is proven by its C2PA manifest, which must be valid and name the ledger's bytes. Without a local
    certificate, it is proven by the bucket's manifest, which names its SHA-256.

    Args:
        manifest: The clip's manifest.
        file_sha256: SHA-256 (hex) of the file.
        row: The ledger's row; None if it has none.
        signature: The file's signature.
        others: The ledger's rows of the manifest's other takes, by fingerprint.
        corrected: Fingerprints of the requests of which a person corrected the cost.
    """
    result = Verification()
    if not result.check(
        row is not None, "the ledger has this fingerprint", "the ledger does not have this fingerprint"
    ) or (row is None):
        result.note("without a row of the ledger nothing is proven about the origin of this file or its payment")
        return result
    result.check(
        row.fingerprint == manifest.fingerprint,
        f"fingerprint {manifest.fingerprint[:12]} is the ledger's",
        f"the manifest's fingerprint {manifest.fingerprint[:12]} is not the ledger's {row.fingerprint[:12]}",
    )
    result.check(
        row.service == manifest.service,
        f"service: {row.service}",
        f"the manifest says service {manifest.service}, the ledger {row.service}",
    )
    _request(result, manifest, row, corrected)
    _inputs(result, manifest, row)
    _claims(result, claims_on_takes(manifest, others))
    if row.clip != manifest.clip:
        result.note(f"it was paid for as the clip {row.clip}, because the same inputs are not paid for twice")
    if row.video_sha256 is not None:
        result.check(
            manifest.video.sha256 == row.video_sha256,
            "the manifest names the bytes that the ledger recorded",
            f"the manifest names video {manifest.video.sha256[:12]}, the ledger recorded {row.video_sha256[:12]}",
        )
    _bytes(result, file_sha256, row, signature)
    if signature.credential is not None and manifest.video.signed_sha256 not in {None, file_sha256}:
        result.note("the manifest names another signed copy; this one was signed at another time")
    if manifest.sandbox:
        result.note(SANDBOX_NOTE)
    result.note(
        "this does not prove that the service used the stated model, prompt or seed, because the service signs nothing; "
        "nor that the ledger itself is unchanged"
    )
    return result


def verify_alone(file_sha256: str, row: PaidRow | None, signature: Signature = NO_SIGNATURE) -> Verification:
    """Compare a file without a manifest with the ledger's row that has its bytes or that its signature names.

    Args:
        file_sha256: SHA-256 (hex) of the file.
        row: The ledger's row; None if it has none.
        signature: The file's signature.
    """
    result = Verification()
    if row is None:
        result.check(False, "", f"no request in the ledger produced these bytes ({file_sha256[:12]})")
        result.note(signature.line)
        result.note("a file that was cut, converted or signed elsewhere has other bytes")
        return result
    result.check(row.state == "succeeded", "the request succeeded", f"the ledger says that the request is {row.state}")
    _bytes(result, file_sha256, row, signature)
    result.note(f"request {row.request_id} of clip {row.clip}, take {row.take}, model {row.model_id}")
    result.note(f"fingerprint {row.fingerprint[:12]}, service {row.service}")
    result.note("this take has no manifest, so only the ledger was checked")
    return result


def verify_film(
    manifest: FilmManifest,
    file_sha256: str,
    rows: Mapping[str, PaidRow],
    signature: Signature = NO_SIGNATURE,
    joined: Mapping[str, Sequence[ManifestPiece]] = MappingProxyType({}),
    corrected: Collection[str] = (),
) -> Verification:
    """Compare a film with its manifest, and each of its shots with the ledger.

    Args:
        manifest: The film's manifest from the bucket.
        file_sha256: SHA-256 (hex) of the file.
        rows: The ledger's rows of the shots and of their pieces, by fingerprint.
        signature: The file's signature.
        joined: The pieces of shots that were joined themselves, by the shot's fingerprint, as their clips' manifests state
            them: the manifests of earlier versions do not.
        corrected: Fingerprints of the requests of which a person corrected the cost.
    """
    result, video = Verification(), manifest.video
    for number, shot in enumerate(manifest.shots, start=1):
        row = rows.get(shot.fingerprint)
        pieces = shot.pieces or joined.get(shot.fingerprint, ())
        if row is None and pieces:
            _joined_shot(result, manifest, number, pieces, rows, corrected)
            continue
        result.check(
            row is not None and row.state == "succeeded" and row.video_sha256 == shot.sha256,
            f"shot {number} ({shot.clip}): the bytes that request {row.request_id if row else ''} produced",
            f"shot {number} ({shot.clip}): the ledger records no such bytes for fingerprint {shot.fingerprint[:12]}",
        )
        if row is not None:
            result.check(
                (
                    cost_agrees(shot.cost_microdollars, row, corrected)
                    or shot.cost_microdollars == row.price_microdollars
                )
                and shot.video_key == row.video_key,
                f"shot {number}: its cost and its video's key",
                f"shot {number}: the manifest's cost or video key differs from the ledger's",
            )
            result.check(
                (row.service == "sandbox") == manifest.sandbox,
                f"shot {number}: service {row.service}",
                f"shot {number}: the ledger says service {row.service}, the manifest sandbox {manifest.sandbox}",
            )
    if file_sha256 == video.sha256:
        result.check(True, f"the file is byte for byte what was joined (SHA-256 {file_sha256[:12]})", "")
        result.note(signature.line)
    elif _signed(result, file_sha256, signature, "the film that the manifest names"):
        _film_credential(result, manifest, signature.credential)
        if video.signed_sha256 != file_sha256:
            result.note("the manifest names another signed copy; this one was signed at another time")
    if manifest.sandbox:
        result.note(SANDBOX_FILM_NOTE)
    result.note(
        "this does not prove how the shots were made (run `i2v verify` on each), nor that manifest.json and the ledger are "
        "unchanged"
    )
    return result


def verify_joined(
    manifest: Manifest,
    file_sha256: str,
    rows: Mapping[str, PaidRow],
    signature: Signature = NO_SIGNATURE,
    corrected: Collection[str] = (),
) -> Verification:
    """Compare a video that was joined of several requests with its manifest, and each request with the ledger.

    Args:
        manifest: The clip's manifest, which has pieces.
        file_sha256: SHA-256 (hex) of the file.
        rows: The ledger's rows of the pieces, by fingerprint.
        signature: The file's signature.
        corrected: Fingerprints of the requests of which a person corrected the cost.
    """
    result, video = Verification(), manifest.video
    joined = Joined(
        "", manifest.fingerprint, manifest.pieces, manifest.service, manifest.model_id, manifest.prompt,
        manifest.negative_prompt, corrected,
    )  # fmt: skip
    result.check_all(piece_checks(joined, rows))
    if file_sha256 == video.sha256:
        result.check(True, f"the file is byte for byte what was joined (SHA-256 {file_sha256[:12]})", "")
        result.note(signature.line)
    elif _signed(result, file_sha256, signature, "the video that the manifest names"):
        credential = signature.credential
        result.check(
            credential is None
            or (credential.delivered_sha256, credential.fingerprint) == (video.sha256, manifest.fingerprint),
            "the C2PA manifest names what was joined",
            "the C2PA manifest names other bytes or another fingerprint than manifest.json",
        )
    if manifest.sandbox:
        result.note(manifest.note or "")
    result.note(
        "the pieces were joined on this machine: the ledger proves each of them, and manifest.json their joining"
    )
    return result


def _joined_shot(
    result: Verification,
    manifest: FilmManifest,
    number: int,
    pieces: Sequence[ManifestPiece],
    rows: Mapping[str, PaidRow],
    corrected: Collection[str],
) -> None:
    """Check a shot that was joined of several requests."""
    shot = manifest.shots[number - 1]
    service = "sandbox" if manifest.sandbox else "runcomfy"
    of_pieces = Joined(f"shot {number} ({shot.clip}), ", shot.fingerprint, pieces, service, corrected=corrected)
    result.check_all(piece_checks(of_pieces, rows))
    costs = [row.cost_microdollars for piece in pieces if (row := rows.get(piece.fingerprint)) is not None]
    prices = [row.price_microdollars for piece in pieces if (row := rows.get(piece.fingerprint)) is not None]
    result.check(
        (shot.cost_microdollars in {None, _total(costs), _total(prices)} or _any_of(pieces, corrected))
        and shot.video_key == keys.clip_key(shot.clip, keys.joined_video(shot.fingerprint)),
        f"shot {number}: its cost and its video's key",
        f"shot {number}: the manifest's cost or video key differs from those of its pieces",
    )
    result.note(
        f"shot {number} was joined on this machine: the ledger proves its pieces, and manifest.json their joining"
    )


def _any_of(pieces: Sequence[ManifestPiece], fingerprints: Collection[str]) -> bool:
    return any(piece.fingerprint in fingerprints for piece in pieces)


def _total(amounts: Sequence[int | None]) -> int | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else None


def _film_credential(result: Verification, manifest: FilmManifest, credential: Credential | None) -> None:
    if credential is None:
        return
    result.check(
        credential.delivered_sha256 == manifest.video.sha256
        and credential.fingerprint == manifest.version
        and credential.shots_sha256 == tuple(shot.sha256 for shot in manifest.shots),
        "the C2PA manifest names this version and these shots",
        "the C2PA manifest names other shots or another version than manifest.json",
    )


def _request(result: Verification, manifest: Manifest, row: PaidRow, corrected: Collection[str]) -> None:
    result.check(row.state == "succeeded", "the request succeeded", f"the ledger says that the request is {row.state}")
    result.check(
        row.request_id is not None and row.request_id == manifest.request_id,
        f"request {row.request_id}",
        f"the manifest names request {manifest.request_id}, the ledger {row.request_id}",
    )
    result.check(
        row.model_id == manifest.model_id,
        f"model {row.model_id}",
        f"the manifest names model {manifest.model_id}, the ledger {row.model_id}",
    )
    if row.cost_microdollars is None:
        result.note("the service has not reported the cost yet")
    else:
        result.check(
            cost_agrees(manifest.cost_microdollars, row, corrected),
            f"paid {dollars(row.cost_microdollars)}",
            f"the manifest says {dollars(manifest.cost_microdollars or 0)}, the ledger paid {dollars(row.cost_microdollars)}",
        )
    _claims(result, claims_on_course(manifest, row))


def _inputs(result: Verification, manifest: Manifest, row: PaidRow) -> None:
    inputs = fingerprinted_inputs(row, manifest.prompt, manifest.negative_prompt)
    if inputs is None:
        result.check(
            False, "", "the inputs in the ledger's row do not match its fingerprint, so one of the two was changed"
        )
        return
    result.check(True, "the fingerprint matches the ledger's inputs", "")
    _claims(result, claims_on_inputs(manifest, inputs))


def _claims(result: Verification, claims: Iterable[Claim]) -> None:
    """Add one line for all claims that hold, and one line for each that does not."""
    held: list[str] = []
    for claim in claims:
        if claim.holds:
            held.append(claim.what)
        else:
            result.check(False, "", f"the manifest says {claim.what}: {claim.stated}; the ledger: {claim.recorded}")
    if held:
        result.check(True, f"as in the ledger: {', '.join(held)}", "")


def _bytes(result: Verification, file_sha256: str, row: PaidRow, signature: Signature) -> None:
    credential = signature.credential
    if row.video_sha256 is None:
        result.check(False, "", "the ledger records no download for this request")
        return
    if file_sha256 == row.video_sha256:
        result.check(True, f"the file is byte for byte what was downloaded (SHA-256 {file_sha256[:12]})", "")
        result.note(signature.line)
        return
    if not _signed(result, file_sha256, signature, "what was downloaded") or credential is None:
        return
    result.check(
        credential.delivered_sha256 == row.video_sha256 and credential.fingerprint == row.fingerprint,
        "the C2PA manifest names the bytes and the fingerprint that the ledger paid for",
        "the C2PA manifest names other bytes or another fingerprint than the ledger",
    )


def _signed(result: Verification, file_sha256: str, signature: Signature, expected: str) -> bool:
    """Check whether a file with other bytes is a signed copy of this project."""
    credential = signature.credential
    if credential is None and signature.judged:
        bad = f"the file (SHA-256 {file_sha256[:12]}) is not {expected}; {signature.line}"
        return result.check(False, "", bad)
    if credential is not None and (credential.valid or credential.judged or not credential.intact):
        return result.check(credential.valid, signature.line, signature.line)
    # Without a certificate the signer is unknown, so the bucket's manifest decides which file is the signed copy.
    result.note(signature.line)
    return result.check(
        file_sha256 == signature.stored_sha256,
        "the file is byte for byte the signed copy that the bucket's manifest names",
        f"the file (SHA-256 {file_sha256[:12]}) is neither {expected} nor the signed copy that the bucket's manifest names",
    )
