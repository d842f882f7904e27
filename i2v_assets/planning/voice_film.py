"""Plan one talking video over a voice that is longer than its route takes: pieces that are joined. Pure.

Each piece is planned like a clip of its own. From the second on it starts from the picture that the piece before ended
with, where the endpoint takes an image.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from i2v_assets.briefs.brief import Brief
from i2v_assets.planning.asking import Ask
from i2v_assets.planning.media import ENCODER_PADDING, MeasuredMedium, audio_facts, check_media, of_kind
from i2v_assets.planning.plan import Plan, Refusal
from i2v_assets.planning.preparing import Prepared, Unprepared, Wanted, expected_after, preparation_of
from i2v_assets.planning.voice_split import Span, split_voice
from resources.media.facts import VoicePauses
from resources.media.preparation import Preparation
from resources.prices.quote import Quote
from resources.schemas import live_body
from resources.schemas.inputs import Family, FirstFrame, GenerationInputs, MediumKind, Service, fingerprint
from resources.schemas.limits import Limits

Pauses = Mapping[str, VoicePauses]
"""What is known of the pauses of sounds, by their hash."""

PlanPiece = Callable[[Sequence[MeasuredMedium]], Plan | Refusal]

MAX_SECONDS = 600.0
"""Longest voice that is split: longer sounds are not decoded to their end."""

LENGTH_ADVICE = frozenset({"voice_shorter", "voice_cut"})
"""Advice on a clip and its voice that does not hold for a piece, whose video is cut to the length of its part."""


@dataclass(frozen=True)
class Unheard:
    """The decision waits for the pauses of a voice."""

    clip: str
    medium: MeasuredMedium


@dataclass(frozen=True)
class VoiceFilm:
    """A clip whose voice is longer than the endpoint's longest video.

    Attributes:
        clip: The partition key.
        family: The endpoint.
        limits: Its limits.
        brief: The brief.
        others: The other media, prepared: one image, or none.
        voice: The voice.
        service: Part of every fingerprint.
    """

    clip: str
    family: Family
    limits: Limits
    brief: Brief
    others: tuple[MeasuredMedium, ...]
    voice: MeasuredMedium
    service: Service

    @property
    def limits_ms(self) -> tuple[int, int]:
        """Return the shortest and the longest piece."""
        return piece_limits(self.limits)

    def plan(self, pauses: Pauses, prepared: Prepared, plan_piece: PlanPiece) -> Plan | Refusal | Unprepared | Unheard:
        """Return the plan of the whole, or what has to be known or made first.

        Args:
            pauses: The pauses that are known.
            prepared: The files that were prepared so far.
            plan_piece: Plans a clip of the media that it is given.
        """
        if audio_facts(self.voice).longer:
            words = f"{self.voice.name} has more than {MAX_SECONDS / 60:.0f} minutes, the longest voice that is split."
            return Refusal.of(self.clip, [(words, "Upload it in parts, one clip for each.")])
        heard = pauses.get(self.voice.medium.sha256)
        if heard is None:
            return Unheard(self.clip, self.voice)
        shortest, longest = self.limits_ms
        cuts = split_voice(heard.total_ms, heard.pauses, shortest_ms=shortest, longest_ms=longest)
        edges = (0, *(cut.at_ms for cut in cuts), heard.total_ms)
        spans = list(pairwise(edges))
        wanted = [Wanted(self.voice, self._preparation(span)) for span in spans]
        expected = expected_after(self.voice, wanted[0].preparation)
        if check_media(self.family, [*self.others, expected], self.limits):
            return plan_piece([*self.others, expected])
        missing = tuple(each for each in wanted if _key(each) not in prepared)
        if missing:
            return Unprepared(self.clip, missing)
        plans = [plan_piece([*self.others, prepared[_key(each)]]) for each in wanted]
        refused = next((plan for plan in plans if isinstance(plan, Refusal)), None)
        if refused is not None:
            return refused
        made = [plan for plan in plans if isinstance(plan, Plan)]
        in_speech = sum(not cut.in_pause for cut in cuts)
        return self._whole(made[0], chained(self.service, made, spans), in_speech)

    def _preparation(self, span: Span) -> Preparation:
        usual = preparation_of(self.voice, self.family, self.brief, self.limits)
        max_bytes = self.limits.audios.max_bytes or 15_000_000
        reasons = ("is longer than one request takes",) if usual is None else usual.reasons
        return Preparation(kind=MediumKind.AUDIO, reasons=reasons, max_bytes=max_bytes, span_ms=span)

    def _whole(self, first: Plan, pieces: Sequence[Plan], in_speech: int) -> Plan:
        """Return the plan of all pieces together; ``first`` is the first of them as a clip of its own."""
        seconds = (pieces[-1].span_ms or (0, 0))[1] / 1000
        most = self.limits_ms[1] / 1000
        words = (
            f"{self.voice.name} has {seconds:.1f} s, and one request takes at most {most:g} s. It is split at its pauses"
            f" into {len(pieces)} pieces, which become one video with the voice over the whole."
        )
        if in_speech:
            words += f" {in_speech} of the cuts {'is' if in_speech == 1 else 'are'} within speech: no pause is near."
        inputs = first.inputs.model_copy(update={"audios": (self.voice.medium,), "duration": math.ceil(seconds)})
        advice = tuple(each for each in first.advice if each.code not in LENGTH_ADVICE)
        whole = first.model_copy(update={"inputs": inputs, "reasons": (*first.reasons, words), "advice": advice})
        whole = with_pieces(whole, pieces)
        if self.brief.voice == "split":
            return whole
        ask = Ask(code="long_voice", words=words, remedy=SPLIT_REMEDY)
        return whole.model_copy(update={"asks": (*whole.asks, ask)})


SPLIT_REMEDY = "`voice: split` in the brief makes it without asking; `voice: cut` makes one request and cuts the voice."

SPLIT_AND_DURATION = (
    "The brief says `voice: split` and also a `duration`.",
    "Remove `duration`: the video becomes as long as the voice. Or write `voice: cut`.",
)


def piece_limits(limits: Limits) -> Span:
    """Return the shortest and the longest piece of a family in milliseconds."""
    sound = limits.audios
    shortest = max(limits.min_duration, sound.min_seconds or 0)
    longest = min(limits.max_duration, sound.max_seconds or limits.max_duration)
    return round(shortest * 1000), round(longest * 1000)


def voice_to_split(limits: Limits, brief: Brief, media: Sequence[MeasuredMedium]) -> MeasuredMedium | None:
    """Return the voice of a talking clip if it is longer than the longest video, and the brief does not say how long the video is."""
    voices = of_kind(media, MediumKind.AUDIO)
    if len(voices) != 1 or brief.voice == "cut":
        return None
    if isinstance(brief.duration, int) and brief.voice != "split":
        return None
    shortest, longest = piece_limits(limits)
    if longest < 2 * shortest:
        return None  # an endpoint of one length: not every voice can be put together from it
    return voices[0] if audio_facts(voices[0]).seconds > limits.max_duration + ENCODER_PADDING else None


def _key(wanted: Wanted) -> tuple[str, str]:
    return wanted.medium.medium.sha256, wanted.preparation.result_key


def chained(service: Service, pieces: Sequence[Plan], spans: Sequence[Span]) -> tuple[Plan, ...]:
    """Return the pieces of a film with their parts of the voice, each after the first starting where the one before ended.

    A last image belongs to the last piece alone.
    """
    done: list[Plan] = []
    for piece, (start, end) in zip(pieces, spans, strict=True):
        inputs = piece.inputs
        if done and (inputs.images or inputs.first_frame):
            before_start, before_end = spans[len(done) - 1]
            frame = FirstFrame(of=done[-1].fingerprint, at=before_end - before_start)
            inputs = inputs.model_copy(update={"images": (), "first_frame": frame})
        if len(done) + 1 < len(pieces) and inputs.end_image is not None:
            inputs = inputs.model_copy(update={"end_image": None})
        named = fingerprint(service, inputs, piece.take)
        done.append(piece.model_copy(update={"inputs": inputs, "fingerprint": named, "span_ms": (start, end)}))
    return tuple(done)


def film_fingerprint(pieces: Sequence[str]) -> str:
    """Return what names a film of pieces: a hash over their fingerprints in order."""
    return hashlib.sha256(json.dumps({"pieces": list(pieces)}).encode()).hexdigest()


def with_pieces(plan: Plan, pieces: Sequence[Plan]) -> Plan:
    """Return a film of other pieces, with its fingerprint and the sum of their prices."""
    quotes = [piece.quote for piece in pieces if piece.quote is not None]
    quote = _sum_of(quotes) if len(quotes) == len(pieces) else None
    return plan.model_copy(
        update={
            "pieces": tuple(pieces),
            "fingerprint": film_fingerprint([piece.fingerprint for piece in pieces]),
            "quote": quote,
            "billed": None,
            "price_microdollars": quote.expected if quote is not None else None,
        }
    )


def _sum_of(quotes: Sequence[Quote]) -> Quote:
    words = f"the sum of {len(quotes)} requests"
    return Quote(
        base=sum(quote.base for quote in quotes),
        base_reason=words,
        expected=sum(quote.expected for quote in quotes),
        expected_reason=words,
        at_most=sum(quote.at_most for quote in quotes),
        at_most_reason=words,
        terms=quotes[0].terms,
        known=min(quote.known for quote in quotes),
    )


def from_piece(service: Service, base: Plan, take: Plan, number: int) -> Plan:
    """Return a take that keeps the pieces of another before a number, and makes that one and all later ones anew.

    Args:
        service: Part of every fingerprint.
        base: The take whose first pieces are kept.
        take: The take as it would be if all of it were made anew.
        number: The first piece that is made anew, from 1.
    """
    spans = [piece.span_ms or (0, 0) for piece in take.pieces]
    mixed = (*base.pieces[: number - 1], *take.pieces[number - 1 :])
    return with_pieces(take, chained(service, mixed, spans))


def reseeded(service: Service, plan: Plan, seed: int) -> Plan:
    """Return a film whose pieces all have another seed."""
    spans = [piece.span_ms or (0, 0) for piece in plan.pieces]
    pieces = [piece.model_copy(update={"inputs": with_other_seed(piece.inputs, seed)}) for piece in plan.pieces]
    whole = plan.model_copy(update={"inputs": with_other_seed(plan.inputs, seed)})
    return with_pieces(whole, chained(service, pieces, spans))


def with_other_seed(inputs: GenerationInputs, seed: int) -> GenerationInputs:
    """Return the same inputs with another seed."""
    body = None if inputs.body is None else live_body.with_other_seed(inputs.body, inputs.seed, seed)
    return inputs.model_copy(update={"seed": seed, "body": body})
