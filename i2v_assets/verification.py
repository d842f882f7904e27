"""Does this file come from what the ledger paid for? The pure part of ``i2v verify``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from i2v_assets.answers import dollars
from i2v_assets.films.manifest import SANDBOX_FILM_NOTE, FilmManifest
from i2v_assets.manifest import SANDBOX_NOTE, Manifest


class PaidRow(Protocol):
    """What is asked of the ledger's row of a fingerprint."""

    @property
    def fingerprint(self) -> str: ...  # noqa: D102
    @property
    def service(self) -> str: ...  # noqa: D102
    @property
    def state(self) -> str: ...  # noqa: D102
    @property
    def request_id(self) -> str | None: ...  # noqa: D102
    @property
    def model_id(self) -> str | None: ...  # noqa: D102
    @property
    def cost_microdollars(self) -> int | None: ...  # noqa: D102
    @property
    def video_sha256(self) -> str | None: ...  # noqa: D102


class Credential(Protocol):
    """What is asked of a C2PA manifest that was read from the file (see ``resources.provenance``)."""

    @property
    def valid(self) -> bool: ...  # noqa: D102
    @property
    def fingerprint(self) -> str | None: ...  # noqa: D102
    @property
    def delivered_sha256(self) -> str | None: ...  # noqa: D102
    @property
    def shots_sha256(self) -> tuple[str, ...]: ...  # noqa: D102


@dataclass
class Verification:
    """The outcome: ``ok`` and one line per thing that was looked at, ending with what this does not prove."""

    lines: list[str] = field(default_factory=list)
    ok: bool = True

    def check(self, holds: bool, good: str, bad: str) -> bool:
        """Adds one line, and fails the verification when it does not hold."""
        self.lines.append(f"ok    {good}" if holds else f"WRONG {bad}")
        self.ok = self.ok and holds
        return holds

    def say(self, text: str) -> None:
        """Adds a line that decides nothing."""
        self.lines.append(f"note  {text}")


def verify(
    manifest: Manifest, file_sha256: str, row: PaidRow | None, *, credential: Credential | None = None
) -> Verification:
    """Compares a file with the manifest beside it and with the ledger's row of the manifest's fingerprint.

    The ledger decides: the file counts as proven when its bytes are the bytes that the ledger recorded at the download.
    A signed copy has other bytes; it is proven by its C2PA manifest, which must be valid and name the ledger's bytes.

    Args:
        manifest: what the bucket says about the clip.
        file_sha256: SHA-256 (hex) of the file in hand.
        row: the ledger's row, None when it has none.
        credential: the file's C2PA manifest, None when it carries none or the extra is not installed.
    """
    result = Verification()
    if not result.check(row is not None, "the ledger has this fingerprint", "the ledger has no such fingerprint") or (
        row is None
    ):
        result.say("without the ledger's row nothing is proven about who made this file or what was paid")
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
    _request(result, manifest, row)
    _bytes(result, manifest, file_sha256, row, credential)
    if manifest.sandbox:
        result.say(SANDBOX_NOTE)
    result.say(
        "this does not prove that the service used the stated model, prompt or seed: that is what was asked for, and the "
        "service signs nothing; nor that the ledger itself was left alone"
    )
    return result


def verify_film(
    manifest: FilmManifest,
    file_sha256: str,
    rows: Mapping[str, PaidRow],
    *,
    credential: Credential | None = None,
) -> Verification:
    """Compares a film with its manifest, and each of its shots with the ledger.

    Args:
        manifest: what the bucket says about the film.
        file_sha256: SHA-256 (hex) of the file in hand.
        rows: the ledger's rows of the shots, by their fingerprints.
        credential: the file's C2PA manifest, None when it carries none or the extra is not installed.
    """
    result, video = Verification(), manifest.video
    for number, shot in enumerate(manifest.shots, start=1):
        row = rows.get(shot.fingerprint)
        result.check(
            row is not None and row.state == "succeeded" and row.video_sha256 == shot.sha256,
            f"shot {number} ({shot.clip}): the bytes that request {row.request_id if row else ''} brought",
            f"shot {number} ({shot.clip}): the ledger records no such bytes for fingerprint {shot.fingerprint[:12]}",
        )
        if row is not None:
            result.check(
                (row.service == "sandbox") == manifest.sandbox,
                f"shot {number}: service {row.service}",
                f"shot {number}: the ledger says service {row.service}, the manifest sandbox {manifest.sandbox}",
            )
    if file_sha256 == video.sha256:
        result.check(True, f"the file is byte for byte what was joined (SHA-256 {file_sha256[:12]})", "")
        result.say("unsigned: this film carries no C2PA manifest of this project")
    elif result.check(
        file_sha256 == video.signed_sha256,
        "the file is the signed copy that the manifest names",
        f"the file (SHA-256 {file_sha256[:12]}) is not the film that the manifest names",
    ) and result.check(
        credential is not None,
        "the file carries a C2PA manifest",
        "the file's C2PA manifest is missing or was not read",
    ):
        _film_credential(result, manifest, credential)
    if manifest.sandbox:
        result.say(SANDBOX_FILM_NOTE)
    result.say(
        "this does not prove how the shots were made (see `i2v verify` of each), nor that nobody changed manifest.json or "
        "the ledger"
    )
    return result


def _film_credential(result: Verification, manifest: FilmManifest, credential: Credential | None) -> None:
    if credential is None:
        return
    result.check(
        credential.valid,
        "the film's C2PA signature is valid: not altered since it was signed",
        "the film's C2PA signature is broken: the file was altered, or the certificate is not good",
    )
    result.check(
        credential.delivered_sha256 == manifest.video.sha256
        and credential.fingerprint == manifest.version
        and credential.shots_sha256 == tuple(shot.sha256 for shot in manifest.shots),
        "the C2PA manifest names this version and these shots",
        "the C2PA manifest names other shots or another version than manifest.json",
    )


def _request(result: Verification, manifest: Manifest, row: PaidRow) -> None:
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
        result.say("the service has not reported the cost yet")
    else:
        # A manifest is written at delivery; the service may report the cost later, so None is no contradiction.
        result.check(
            manifest.cost_microdollars in {None, row.cost_microdollars},
            f"paid {dollars(row.cost_microdollars)}",
            f"the manifest says {dollars(manifest.cost_microdollars or 0)}, the ledger paid {dollars(row.cost_microdollars)}",
        )


def _bytes(
    result: Verification, manifest: Manifest, file_sha256: str, row: PaidRow, credential: Credential | None
) -> None:
    if row.video_sha256 is None:
        result.check(False, "", "the ledger records no download for this request")
        return
    result.check(
        manifest.video.sha256 == row.video_sha256,
        "the manifest names the bytes that the ledger recorded",
        f"the manifest names video {manifest.video.sha256[:12]}, the ledger recorded {row.video_sha256[:12]}",
    )
    if file_sha256 == row.video_sha256:
        result.check(True, f"the file is byte for byte what was downloaded (SHA-256 {file_sha256[:12]})", "")
        result.say("unsigned: these are the service's own bytes, without a C2PA manifest of this project")
        return
    if credential is None:
        result.check(
            False, "", f"the file (SHA-256 {file_sha256[:12]}) is not what was downloaded, and it carries no signature"
        )
        return
    result.check(
        credential.valid,
        "the file's C2PA signature is valid: not altered since it was signed",
        "the file's C2PA signature is broken: the file was altered, or the certificate is not good",
    )
    result.check(
        credential.delivered_sha256 == row.video_sha256 and credential.fingerprint == row.fingerprint,
        "the C2PA manifest names the bytes and the fingerprint that the ledger paid for",
        "the C2PA manifest names other bytes or another fingerprint than the ledger",
    )
    result.check(
        manifest.video.signed_sha256 == file_sha256,
        "the file is the signed copy that the manifest names",
        "the file is not the signed copy that the manifest names",
    )
