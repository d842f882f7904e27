"""Does this file come from what the ledger paid for? The pure part of ``i2v verify``."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from i2v_assets.clip_folder.manifest import SANDBOX_NOTE, Manifest
from i2v_assets.films.manifest import SANDBOX_FILM_NOTE, FilmManifest
from i2v_assets.verify.compare import Claim, PaidRow, asked_for, claims_on_course, claims_on_inputs, claims_on_takes
from resources.money import dollars
from resources.provenance.credentials import UNSIGNED


class Credential(Protocol):
    """What is asked of a C2PA manifest that was read from the file (see ``resources.provenance``)."""

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
    """What is known of the file's signature.

    Attributes:
        credential: Its C2PA manifest, None when it carries none or none could be read.
        unread: Why it was not looked for or cannot be read; empty when it was.
        stored_sha256: Of the signed copy, as the bucket's own manifest names it; None where that is not there. A manifest
            beside the file is no witness for it: whoever altered the file may have written that as well.
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
        """True where a certificate is here to say whose signature it is, or there is no signature."""
        return self.credential.judged if self.credential is not None else not self.unread


NO_SIGNATURE = Signature()


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
    manifest: Manifest,
    file_sha256: str,
    row: PaidRow | None,
    signature: Signature = NO_SIGNATURE,
    others: Mapping[str, PaidRow] = MappingProxyType({}),
) -> Verification:
    """Compares a file with the manifest beside it and with the ledger's row of the manifest's fingerprint.

    The ledger decides: the file counts as proven when its bytes are the bytes that the ledger recorded at the download.
    A signed copy has other bytes; it is proven by its C2PA manifest, which must be valid and name the ledger's bytes, or,
    where no certificate is here to judge by, by the bucket's manifest, which names its SHA-256.

    Args:
        manifest: what is said about the clip.
        file_sha256: SHA-256 (hex) of the file in hand.
        row: the ledger's row, None when it has none.
        signature: the file's.
        others: the ledger's rows of the manifest's other takes, by their fingerprints.
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
    _inputs(result, manifest, row)
    _claims(result, claims_on_takes(manifest, others))
    if row.clip != manifest.clip:
        result.say(f"it was paid for as the clip {row.clip}: the same inputs are not paid for twice")
    if row.video_sha256 is not None:
        result.check(
            manifest.video.sha256 == row.video_sha256,
            "the manifest names the bytes that the ledger recorded",
            f"the manifest names video {manifest.video.sha256[:12]}, the ledger recorded {row.video_sha256[:12]}",
        )
    _bytes(result, file_sha256, row, signature)
    if signature.credential is not None and manifest.video.signed_sha256 not in {None, file_sha256}:
        result.say("the manifest names another signed copy: this one was signed at another time")
    if manifest.sandbox:
        result.say(SANDBOX_NOTE)
    result.say(
        "this does not prove that the service used the stated model, prompt or seed: that is what was asked for, and the "
        "service signs nothing; nor that the ledger itself was left alone"
    )
    return result


def verify_alone(file_sha256: str, row: PaidRow | None, signature: Signature = NO_SIGNATURE) -> Verification:
    """Compares a file that no manifest speaks of with the ledger's row that recorded its bytes, or that its signature names.

    Args:
        file_sha256: SHA-256 (hex) of the file in hand.
        row: the ledger's row, None when it has none.
        signature: the file's.
    """
    result = Verification()
    if row is None:
        result.check(False, "", f"no request of the ledger brought these bytes ({file_sha256[:12]})")
        result.say(signature.line)
        result.say("a file that was cut, converted or signed elsewhere has other bytes")
        return result
    result.check(row.state == "succeeded", "the request succeeded", f"the ledger says that the request is {row.state}")
    _bytes(result, file_sha256, row, signature)
    result.say(f"request {row.request_id} of clip {row.clip}, take {row.take}, model {row.model_id}")
    result.say(f"fingerprint {row.fingerprint[:12]}, service {row.service}")
    result.say("no manifest of this take was found, so only the ledger was asked")
    return result


def verify_film(
    manifest: FilmManifest,
    file_sha256: str,
    rows: Mapping[str, PaidRow],
    signature: Signature = NO_SIGNATURE,
) -> Verification:
    """Compares a film with its manifest, and each of its shots with the ledger.

    Args:
        manifest: what the bucket says about the film.
        file_sha256: SHA-256 (hex) of the file in hand.
        rows: the ledger's rows of the shots, by their fingerprints.
        signature: the file's.
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
                shot.cost_microdollars in {None, row.cost_microdollars, row.price_microdollars}
                and shot.video_key == row.video_key,
                f"shot {number}: its cost and its video's key",
                f"shot {number}: the manifest's cost or key of the video is not the ledger's",
            )
            result.check(
                (row.service == "sandbox") == manifest.sandbox,
                f"shot {number}: service {row.service}",
                f"shot {number}: the ledger says service {row.service}, the manifest sandbox {manifest.sandbox}",
            )
    if file_sha256 == video.sha256:
        result.check(True, f"the file is byte for byte what was joined (SHA-256 {file_sha256[:12]})", "")
        result.say(signature.line)
    elif _signed(result, file_sha256, signature, "the film that the manifest names"):
        _film_credential(result, manifest, signature.credential)
        if video.signed_sha256 != file_sha256:
            result.say("the manifest names another signed copy: this one was signed at another time")
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
    _claims(result, claims_on_course(manifest, row))


def _inputs(result: Verification, manifest: Manifest, row: PaidRow) -> None:
    inputs = asked_for(manifest, row)
    if inputs is None:
        result.check(
            False, "", "the inputs in the ledger's row do not give its fingerprint: one of the two was changed"
        )
        return
    result.check(True, "the fingerprint is of the ledger's inputs", "")
    _claims(result, claims_on_inputs(manifest, inputs))


def _claims(result: Verification, claims: Iterable[Claim]) -> None:
    """One line for all that holds, one for each that does not."""
    held: list[str] = []
    for claim in claims:
        if claim.holds:
            held.append(claim.what)
        else:
            result.check(False, "", f"the manifest says {claim.what}: {claim.told}; the ledger: {claim.known}")
    if held:
        result.check(True, f"as in the ledger: {', '.join(held)}", "")


def _bytes(result: Verification, file_sha256: str, row: PaidRow, signature: Signature) -> None:
    credential = signature.credential
    if row.video_sha256 is None:
        result.check(False, "", "the ledger records no download for this request")
        return
    if file_sha256 == row.video_sha256:
        result.check(True, f"the file is byte for byte what was downloaded (SHA-256 {file_sha256[:12]})", "")
        result.say(signature.line)
        return
    if not _signed(result, file_sha256, signature, "what was downloaded") or credential is None:
        return
    result.check(
        credential.delivered_sha256 == row.video_sha256 and credential.fingerprint == row.fingerprint,
        "the C2PA manifest names the bytes and the fingerprint that the ledger paid for",
        "the C2PA manifest names other bytes or another fingerprint than the ledger",
    )


def _signed(result: Verification, file_sha256: str, signature: Signature, else_it_is: str) -> bool:
    """Whether a file with bytes of its own is a signed copy of this project."""
    credential = signature.credential
    if credential is None and signature.judged:
        bad = f"the file (SHA-256 {file_sha256[:12]}) is not {else_it_is}; {signature.line}"
        return result.check(False, "", bad)
    if credential is not None and (credential.valid or credential.judged or not credential.intact):
        return result.check(credential.valid, signature.line, signature.line)
    # Nobody can say here whose signature it is: the bucket says which file the signed copy is.
    result.say(signature.line)
    return result.check(
        file_sha256 == signature.stored_sha256,
        "the file is byte for byte the signed copy that the bucket's manifest names",
        f"the file (SHA-256 {file_sha256[:12]}) is neither {else_it_is} nor the signed copy that the bucket's manifest names",
    )
