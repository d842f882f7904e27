"""Check a video that was joined of several requests: each piece against the ledger, and the whole against its pieces. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from i2v_assets.clip_folder.manifest import ManifestPiece
from i2v_assets.planning.voice_film import film_fingerprint
from i2v_assets.verify.compare import PaidRow, cost_agrees, fingerprinted_inputs


class PieceCheck(NamedTuple):
    """One check, and what is said if it holds or does not."""

    holds: bool
    good: str
    bad: str


class Joined(NamedTuple):
    """What is stated of a video that was joined of pieces.

    Attributes:
        name: What the lines call it, such as ``shot 2 (anna), ``; empty for the video itself.
        fingerprint: What names the whole.
        pieces: Its requests, in order.
        service: Who made them.
        model_id: The model that the manifest names; None if it names none.
        prompt: The prompt that the manifest names; None if it names none.
        negative_prompt: The same.
        corrected: Fingerprints of the requests of which a person corrected the cost.
    """

    name: str
    fingerprint: str
    pieces: Sequence[ManifestPiece]
    service: str
    model_id: str | None = None
    prompt: str | None = None
    negative_prompt: str | None = None
    corrected: Collection[str] = ()


def piece_checks(joined: Joined, rows: Mapping[str, PaidRow]) -> Iterator[PieceCheck]:
    """Yield the checks of a joined video. A piece is one request, so there is nothing below it to check.

    Args:
        joined: What its manifest states.
        rows: The ledger's rows of the pieces, by fingerprint.
    """
    before = ""
    for number, piece in enumerate(joined.pieces, start=1):
        which = f"{joined.name}piece {number}"
        row = rows.get(piece.fingerprint)
        yield PieceCheck(
            row is not None and row.state == "succeeded" and row.video_sha256 == piece.sha256,
            f"{which}: the bytes that request {row.request_id if row else ''} produced",
            f"{which}: the ledger records no such bytes for fingerprint {piece.fingerprint[:12]}",
        )
        if row is not None:
            yield from _against(row, joined, piece, which)
            yield _inputs(row, joined, which, before if number > 1 else None)
        before = piece.fingerprint
    yield PieceCheck(
        joined.fingerprint == film_fingerprint([piece.fingerprint for piece in joined.pieces]),
        f"{joined.name}fingerprint {joined.fingerprint[:12]} is that of these pieces",
        f"{joined.name}the manifest's fingerprint {joined.fingerprint[:12]} is not that of its pieces",
    )


def _against(row: PaidRow, joined: Joined, piece: ManifestPiece, which: str) -> Iterator[PieceCheck]:
    stated = (piece.request_id, piece.video_key, piece.seed, joined.model_id or row.model_id, joined.service)
    recorded = (row.request_id, row.video_key, row.seed, row.model_id, row.service)
    yield PieceCheck(
        stated == recorded and cost_agrees(piece.cost_microdollars, row, joined.corrected),
        f"{which}: its request, cost, seed and model",
        f"{which}: the manifest's request, cost, seed or model differs from the ledger's",
    )


def _inputs(row: PaidRow, joined: Joined, which: str, before: str | None) -> PieceCheck:
    """Return the check of a piece's inputs; ``before`` is the fingerprint of the piece before, None for the first."""
    inputs = fingerprinted_inputs(row, joined.prompt, joined.negative_prompt)
    follows = inputs is not None and (inputs.first_frame is None or before is None or inputs.first_frame.of == before)
    return PieceCheck(
        follows and (inputs is None or joined.prompt in {None, inputs.prompt}),
        f"{which}: the fingerprint matches the ledger's inputs",
        f"{which}: the inputs in the ledger's row do not match its fingerprint, its prompt or the piece before",
    )
