"""Camera movement through a picture, by the prompt's motion verb."""

import math
import random
import re
from dataclasses import dataclass
from enum import StrEnum


class Move(StrEnum):
    """The moves that the sandbox can draw."""

    PUSH_IN = "push in"
    PULL_OUT = "pull out"
    PAN_LEFT = "pan left"
    PAN_RIGHT = "pan right"
    TILT_UP = "tilt up"
    TILT_DOWN = "tilt down"
    ORBIT = "orbit"
    BREATHE = "breathe"


_LEFT_RIGHT = (Move.PAN_LEFT, Move.PAN_RIGHT)
_UP_DOWN = (Move.TILT_UP, Move.TILT_DOWN)

_WORDS: tuple[tuple[str, tuple[Move, ...]], ...] = (
    (r"push(?:es|ing)?[ -]?in|doll(?:y|ies|ying)[ -]in|zoom(?:s|ing)?[ -]in|(?:move|come)s? closer", (Move.PUSH_IN,)),
    (r"pull(?:s|ing)?[ -](?:out|back|away)|doll(?:y|ies|ying)[ -]out|zoom(?:s|ing)?[ -]out|reveal", (Move.PULL_OUT,)),
    (r"(?:pan|track|slide|truck)(?:s|ning|ing)?\b(?=[^.,;]*\bleft)", (Move.PAN_LEFT,)),
    (r"(?:pan|track|slide|truck)(?:s|ning|ing)?\b(?=[^.,;]*\bright)", (Move.PAN_RIGHT,)),
    (r"\b(?:pan|track|slide|truck)(?:s|ning|ing)?\b", _LEFT_RIGHT),
    (r"(?:tilt|crane|pedestal)(?:s|ing)?\b(?=[^.,;]*\bdown)", (Move.TILT_DOWN,)),
    (r"(?:tilt|crane|pedestal)(?:s|ing)?\b(?=[^.,;]*\bup)|\bris(?:es?|ing)\b", (Move.TILT_UP,)),
    (r"\b(?:tilt|crane)(?:s|ing)?\b", _UP_DOWN),
    (r"\b(?:orbit|arc|circl|rotat|turn|drift|sway|spin)\w*", (Move.ORBIT,)),
    (r"\b(?:breath|blink|smil|speak|talk|sing)\w*", (Move.BREATHE,)),
    (r"\b(?:push|doll|zoom)\w*", (Move.PUSH_IN,)),
)
"""Prompt patterns and their moves; the seed chooses between two."""


@dataclass(frozen=True, slots=True)
class Pose:
    """A camera position.

    Attributes:
        zoom: Enlargement; below 1 the surroundings show.
        right: Shift of the view to the right, in widths of the picture.
        down: Shift of the view down, in heights of the picture.
        yaw: Rotation around the upright axis, as the relative depth from edge to edge.
    """

    zoom: float = 1.0
    right: float = 0.0
    down: float = 0.0
    yaw: float = 0.0


@dataclass(frozen=True, slots=True)
class Motion:
    """A move with the details that the seed determines; every move starts at the whole picture.

    Attributes:
        move: The move that the prompt asks for.
        amount: Strength, around 1.
        phase: Start of the small sway in radians.
        side: Direction of an orbit, 1 or -1.
    """

    move: Move
    amount: float
    phase: float
    side: int

    def at(self, share: float, seconds: float) -> Pose:
        """Return the pose at a share (0 to 1) of the video's time; ``seconds`` since its start add the sway."""
        way = 0.7 * share + 0.3 * share * share * (3 - 2 * share)  # eased, but never at rest
        # The zoom that makes room for a shift grows with the shift, so that the first frame is the whole picture.
        room = 0.22 * self.amount * way
        sway = 0.004 * (math.sin(self.phase + 1.3 * seconds) - math.sin(self.phase))
        shift = 0.45 * (1 - 1 / (1 + room))  # half of the part that the zoom hides would reach the edge
        match self.move:
            case Move.PUSH_IN:
                return Pose(1 + 0.32 * self.amount * way, sway, 0)
            case Move.PULL_OUT:
                return Pose(1 / (1 + 0.30 * self.amount * way), sway, 0)
            case Move.PAN_LEFT:
                return Pose(1 + room, -shift, sway)
            case Move.PAN_RIGHT:
                return Pose(1 + room, shift, sway)
            case Move.TILT_UP:
                return Pose(1 + room, sway, -shift)
            case Move.TILT_DOWN:
                return Pose(1 + room, sway, shift)
            case Move.ORBIT:
                turn = math.sin(math.pi * 0.5 * way) * self.side * self.amount
                return Pose(1 + 0.10 * way * self.amount, 0.05 * turn, sway, 0.16 * turn)
            case Move.BREATHE:
                breath = 0.5 - 0.5 * math.cos(2 * math.pi * seconds / 3.6)  # a calm breath takes 3 to 4 s
                return Pose(1 + (0.02 + 0.05 * way + 0.015 * breath - 0.02) * self.amount, 3 * sway, 0.006 * breath)


def motion_of(prompt: str, seed: int) -> Motion:
    """Return the move of the prompt's first motion word; without one the picture breathes."""
    dice = random.Random(f"motion/{seed}")  # noqa: S311 - no secret
    found: tuple[int, tuple[Move, ...]] | None = None
    for pattern, moves in _WORDS:
        match = re.search(pattern, prompt, re.IGNORECASE)
        if match and (found is None or match.start() < found[0]):
            found = (match.start(), moves)
    moves = found[1] if found else (Move.BREATHE,)
    return Motion(
        move=dice.choice(moves),
        amount=dice.uniform(0.85, 1.15),
        phase=dice.uniform(0, 2 * math.pi),
        side=dice.choice((-1, 1)),
    )
