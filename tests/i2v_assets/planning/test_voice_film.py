"""A voice beyond the route's limit is one plan of several requests, each named by the one before."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from i2v_assets.briefs.brief import Brief
from i2v_assets.planning.media import MeasuredMedium
from i2v_assets.planning.plan import Plan, PlanOffer, PlanOptions, Refusal, plan_hash
from i2v_assets.planning.planner import Unheard, Unprepared, make_plan
from i2v_assets.planning.preparing import expected_after
from i2v_assets.planning.voice_film import from_piece, reseeded
from resources.media.facts import VoicePauses
from resources.schemas.endpoints import ids_for
from resources.schemas.families import FAMILIES
from resources.schemas.families.wan_2_7_text import NAME as WAN_T2V
from resources.schemas.inputs import Family, FirstFrame, Medium, MediumKind, fingerprint

Make = Callable[..., MeasuredMedium]
OFFERS: dict[Family, PlanOffer | None] = {
    family: PlanOffer(ids_for(family)[-1], 100_000, "second") for family in FAMILIES
}
OPTIONS = PlanOptions(service="sandbox")
SPOKEN = VoicePauses(total_ms=40_000, pauses=((12_800, 13_200), (26_800, 27_200), (33_000, 33_300)))


def decide(media: list[MeasuredMedium], brief: dict[str, Any], **more: Any) -> Plan | Refusal:
    """Plan as a run does: what has to be known or made first is supplied."""
    pauses: dict[str, VoicePauses] = {}
    prepared: dict[tuple[str, str], MeasuredMedium] = {}
    for _ in range(4):
        made = make_plan(
            "anna", Brief.model_validate(brief), media, OFFERS, OPTIONS, pauses=pauses, prepared=prepared, **more
        )
        if isinstance(made, Unheard):
            pauses[made.medium.medium.sha256] = SPOKEN
        elif isinstance(made, Unprepared):
            for wanted in made.wanted:
                key = wanted.medium.medium.sha256, wanted.preparation.result_key
                prepared[key] = _made(wanted.medium, wanted.preparation)
        else:
            assert isinstance(made, Plan | Refusal)
            return made
    raise AssertionError("it is never planned")


def _made(voice: MeasuredMedium, preparation: Any) -> MeasuredMedium:
    before = voice.medium
    medium = Medium(
        kind=before.kind,
        sha256="ab" * 32,  # another decoder, other bytes: nothing may depend on them
        key="inputs/part.wav",
        size_bytes=9,
        content_type="audio/wav",
        original_sha256=before.sha256,
        original_size_bytes=before.size_bytes,
        original_key=before.key,
        preparation=preparation.identity,
    )
    return replace(expected_after(voice, preparation), medium=medium)


def film(media: list[MeasuredMedium], brief: dict[str, Any] | None = None, **more: Any) -> Plan:
    made = decide(media, {"prompt": "She speaks to the camera", **(brief or {})}, **more)
    assert isinstance(made, Plan), made
    assert made.pieces
    return made


def test_pieces_are_planned_like_clips_and_summed(image: Make, audio: Make) -> None:
    plan = film([image(), audio(seconds=40.0)])
    assert [piece.span_ms for piece in plan.pieces] == [(0, 13_000), (13_000, 27_000), (27_000, 40_000)]
    assert [piece.inputs.duration for piece in plan.pieces] == [13, 14, 13]
    assert plan.price_microdollars == 4_000_000
    assert (plan.inputs.duration, plan.seconds) == (40, 40.0)
    assert {piece.inputs.seed for piece in plan.pieces} == {plan.inputs.seed}
    assert [code for code in (each.code for each in plan.advice) if code.startswith("voice")] == []
    (ask,) = plan.asks
    assert ask.code == "long_voice"
    assert "40.0 s" in ask.words
    assert "3 pieces" in ask.words
    assert "$" not in ask.words, "the note and the offer say the price, learned costs included"
    assert "`voice: cut`" in ask.remedy
    assert film([image(), audio(seconds=40.0)], {"voice": "split"}).asks == ()
    assert plan.at_most_microdollars == sum(piece.at_most_microdollars or 0 for piece in plan.pieces)


def test_a_piece_is_named_by_the_one_before_and_its_place(image: Make, audio: Make) -> None:
    plan = film([image(), audio(seconds=40.0)])
    first, second, third = plan.pieces
    assert first.inputs.first_frame is None
    assert len(first.inputs.images) == 1
    assert second.inputs.first_frame == FirstFrame(of=first.fingerprint, at=13_000)
    assert third.inputs.first_frame == FirstFrame(of=second.fingerprint, at=14_000)
    assert second.inputs.images == ()
    frame = Medium(kind=MediumKind.IMAGE, sha256="cd" * 32, key="inputs/x.png", size_bytes=5, content_type="image/png")
    sent = second.inputs.model_copy(update={"images": (frame,)})
    assert fingerprint("sandbox", sent, 1) == second.fingerprint, "the frame's bytes are no part of it"
    other = film([image(), audio(seconds=40.0)], {"prompt": "She whispers"})
    assert other.pieces[2].inputs.first_frame != third.inputs.first_frame
    assert other.fingerprint != plan.fingerprint
    assert plan_hash([plan]) != plan_hash([other])


def test_without_an_image_no_frame_carries_over(audio: Make) -> None:
    plan = film([audio(seconds=40.0)])
    assert plan.family is WAN_T2V
    assert [piece.inputs.first_frame for piece in plan.pieces] == [None, None, None]


def test_a_retake_from_a_piece_keeps_what_is_before(image: Make, audio: Make) -> None:
    media = [image(), audio(seconds=40.0)]
    base, take = film(media), film(media, take=2)
    mixed = from_piece("sandbox", base, take, 2)
    assert mixed.pieces[0] == base.pieces[0]
    assert mixed.take == 2
    assert mixed.pieces[1].inputs.first_frame == FirstFrame(of=base.pieces[0].fingerprint, at=13_000)
    fingerprints = {piece.fingerprint for plan in (base, take, mixed) for piece in plan.pieces}
    assert len(fingerprints) == 3 + 3 + 2
    again = reseeded("sandbox", take, 77)
    assert {piece.inputs.seed for piece in again.pieces} == {77}
    assert again.pieces[2].inputs.first_frame == FirstFrame(of=again.pieces[1].fingerprint, at=14_000)


@pytest.mark.parametrize("brief", [{"voice": "cut"}, {"duration": 15}])
def test_a_person_may_want_it_cut(image: Make, audio: Make, brief: dict[str, Any]) -> None:
    plan = decide([image(), audio(seconds=28.0)], {"prompt": "She speaks", **brief})
    assert isinstance(plan, Plan)
    assert (plan.pieces, plan.inputs.duration, plan.asks) == ((), 15, ())
    assert "voice_cut" in [each.code for each in plan.advice]


def test_what_cannot_be_split_is_refused_with_the_remedy(image: Make, audio: Make) -> None:
    contradicts = decide([image(), audio(seconds=40.0)], {"voice": "split", "duration": 10})
    assert isinstance(contradicts, Refusal)
    assert "Remove `duration`" in contradicts.problems[0].remedy
    endless = decide([image(), audio(seconds=600.0, longer=True)], {"prompt": "She speaks"})
    assert isinstance(endless, Refusal)
    assert "10 minutes" in endless.problems[0].what


def test_a_voice_within_the_limit_stays_one_request(image: Make, audio: Make) -> None:
    plan = decide([image(), audio(seconds=15.04)], {"prompt": "She speaks"})  # what an MP3 encoder adds
    assert isinstance(plan, Plan)
    assert (plan.pieces, plan.span_ms) == ((), None)
