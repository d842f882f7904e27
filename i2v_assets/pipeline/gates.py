"""What may hold a planned clip before money moves: a changed plan, a missing approval, the night window. Pure."""

from dataclasses import dataclass
from datetime import datetime

from i2v_assets.pipeline.heaps import Heap
from i2v_assets.planning.asking import Ask
from i2v_assets.planning.time_window import Window
from i2v_assets.uploads.types import UploadHold
from resources.storage.keys import COMMANDS, REFUSED_NOTE
from resources.wait_reason import WaitReason

SHOWN_HASH = 16
"""Characters of a plan hash in an answer: 64 bits, as in `i2v plan`."""


@dataclass(frozen=True)
class Hold:
    """Why a planned clip waits, and what lets it go on."""

    waiting_for: WaitReason
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class FilmProblem:
    """Why a film cannot be made as it is, as far as that is known before it is paid.

    Attributes:
        reason: What its shots wait for.
        shot: The clip of the shot whose own plan says it too; empty if none does, so that every shot is held.
        words: What is wrong, with the shot's number.
        remedy: What to do.
        microdollars: What that shot may cost, if no cap has room for it.
        requests: The number of its requests, in that case.
    """

    reason: WaitReason
    shot: str
    words: str
    remedy: str
    microdollars: int = 0
    requests: int = 0


@dataclass(frozen=True)
class Gate:
    """What is known when the gates are asked.

    Attributes:
        clip: the clip.
        plan_hash: what a person would approve.
        submitted: the request was sent before: it is paid for, so nothing holds it.
        approved: a record in the ledger holds for this very plan at this price, in the doubt of now.
        by_hand: a person materialized the clip in the UI, which approves it at the plan's price.
        needs_approval: the setting or the brief asks for approval.
        delivered_as: the fingerprint that was delivered for the same upload before, None where none was.
        fingerprint: the plan's.
        asked_for: a person asked for this take.
        window: when paid work may start; None always.
        upload_hold: why its upload waits for a person; None if it is understood.
        asks: why the request needs a person's word; the first one is reported.
        heap: the loose clips that it came with, if they cost too much together to be made without a question.
        refused_shot: a refused shot of the film that defines the clip, so that the film cannot be made; empty if there is none.
        film_problem: what else is known to make that film impossible; None if nothing is.
        bucket_commands: a file in the bucket may approve it.
    """

    clip: str
    plan_hash: str
    submitted: bool
    approved: bool
    by_hand: bool
    needs_approval: bool
    delivered_as: str | None
    fingerprint: str
    asked_for: bool
    window: Window | None
    upload_hold: UploadHold | None = None
    asks: tuple[Ask, ...] = ()
    heap: Heap | None = None
    refused_shot: str = ""
    film_problem: FilmProblem | None = None
    bucket_commands: bool = False


def gate(asked: Gate, now: datetime) -> Hold | None:
    """The first thing that holds the clip, or None."""
    if asked.submitted or asked.delivered_as == asked.fingerprint:
        return None
    approve = f"Run: i2v approve {asked.plan_hash[:SHOWN_HASH]}"
    if asked.delivered_as is not None and not (asked.approved or asked.asked_for):
        return Hold(
            WaitReason.APPROVAL,
            "Its upload is unchanged, but a default, a preset or the catalogue has changed, so its video would be "
            "made again and paid for again. The video that is there stays.",
            approve,
        )
    if not (asked.approved or asked.by_hand or asked.asked_for) and (hold := _unapproved(asked, approve)) is not None:
        return hold
    if asked.window is not None and not asked.window.holds(now):
        opens = asked.window.next_start(now)
        return Hold(
            WaitReason.WINDOW,
            f"Paid work starts only from {asked.window.start:%H:%M} to {asked.window.end:%H:%M} ({asked.window.zone}).",
            f"It starts by itself after {opens:%Y-%m-%d %H:%M}; I2V_GENERATE_ONLY is the setting.",
        )
    return None


def _unapproved(asked: Gate, approve: str) -> Hold | None:
    """Return what only a person lets through. One approval lifts all doubts about a clip, so its hold names each of them."""
    if doubts := _doubts(asked):
        waiting_for = doubts[0].waiting_for
        by_person = _by_person(asked, approve, waiting_for)
        of_film = asked.refused_shot or asked.film_problem is not None
        all_the_same = "To make this shot all the same" if of_film else "To make it as it is"
        remedies = [doubt.remedy for doubt in doubts if doubt.remedy]
        remedy = " ".join([*remedies, f"{all_the_same}: {by_person[0].lower()}{by_person[1:]}"])
        return Hold(waiting_for, " ".join(doubt.reason for doubt in doubts), remedy)
    by_person = _by_person(asked, approve, WaitReason.APPROVAL)
    if asked.needs_approval:
        return Hold(WaitReason.APPROVAL, "A person has to approve it before it is paid for.", by_person)
    if asked.heap is not None:
        together = f"{asked.heap.command} approves all of them; it shows them with their sum and asks."
        return Hold(
            WaitReason.HEAP, asked.heap.words, f"Run: {together} {by_person.replace('Run', 'For this one alone')}"
        )
    return None


def _doubts(asked: Gate) -> list[Hold]:
    """Return what speaks against making a clip: its film, its upload, its request."""
    doubts = []
    if asked.refused_shot:
        words = f"Another shot of its film, {asked.refused_shot}, was refused. Until the film can be made, no more of it is paid for."
        doubts.append(Hold(WaitReason.FILM, words, f"See clips/{asked.refused_shot}/{REFUSED_NOTE}."))
    elif asked.film_problem is not None:
        problem = asked.film_problem
        words = f"{problem.words} Until the film can be made, no more of it is paid for."
        doubts.append(Hold(problem.reason, words, problem.remedy))
    if asked.upload_hold is not None:
        doubts.append(Hold(WaitReason.APPROVAL, asked.upload_hold.words, asked.upload_hold.remedy))
    if asked.asks:
        doubts.append(Hold(WaitReason.APPROVAL, f"It needs your word. {asked.asks[0].words}", asked.asks[0].remedy))
    return doubts


def _by_person(asked: Gate, approve: str, waiting_for: WaitReason) -> str:
    """Return how a person lets a clip through; a file in the bucket approves only what waits for an approval alone."""
    by_file = f", or upload any file as {COMMANDS}approve-{asked.clip}"
    by_file = by_file if asked.bucket_commands and waiting_for.is_approvable else ""
    return f"{approve} (`i2v plan {asked.clip}` shows the plan and its price), or materialize it in the Dagster UI{by_file}."
