"""Why a film cannot be made as it is. Pure."""

from dataclasses import dataclass

from resources.wait_reason import WaitReason


@dataclass(frozen=True, slots=True)
class FilmProblem:
    """Why a film cannot be made as it is, as far as that is known before it is paid.

    Attributes:
        reason: What its shots wait for.
        shot: The clip of the shot that is to blame; empty if none is.
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
