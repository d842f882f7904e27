"""Start and end of each shot of a film, in frames and samples; pure.

Times are added exactly and rounded once per boundary, so that a film of many shots is at most half a frame longer or
shorter than its shots minus their overlaps.
"""

from collections.abc import Sequence
from fractions import Fraction

from pydantic import BaseModel, ConfigDict

from resources.media.errors import CannotJoin


class Span(BaseModel):
    """A shot's place in the film: frames ``start`` to ``end`` (excluded), the first ``overlap`` shared with the one before."""

    model_config = ConfigDict(frozen=True)

    start: int
    end: int
    overlap: int

    @property
    def length(self) -> int:
        """Return the frames of the shot, including its overlaps."""
        return self.end - self.start


class Timeline(BaseModel):
    """All spans of a film in order."""

    model_config = ConfigDict(frozen=True)

    fps: Fraction
    spans: tuple[Span, ...]

    @property
    def frames(self) -> int:
        """Return the number of frames of the film."""
        return self.spans[-1].end

    @property
    def seconds(self) -> Fraction:
        """Return the length of the film."""
        return self.frames / self.fps

    def in_samples(self, rate: int) -> tuple[Span, ...]:
        """Return the same spans in sound samples: each boundary lies where its frame lies."""

        def at(frame: int) -> int:
            return round(frame / self.fps * rate)

        return tuple(
            Span(start=at(span.start), end=at(span.end), overlap=at(span.start + span.overlap) - at(span.start))
            for span in self.spans
        )


def plan_timeline(shots: Sequence[tuple[str, Fraction, Fraction]], fps: Fraction) -> Timeline:
    """Return the timeline of shots placed one after the other.

    Args:
        shots: name, length in seconds, and seconds of crossfade from the shot before (0: a cut; ignored for the first).
        fps: frames per second of the film.

    Raises:
        CannotJoin: no shot, a shot shorter than one frame, or crossfades longer than the shots that they join.
    """
    if not shots:
        raise CannotJoin("A film needs at least one shot.", remedy="List its clips under `shots`.")
    spans: list[Span] = []
    end = Fraction(0)
    for name, seconds, crossfade in shots:
        begin = end - crossfade if spans else Fraction(0)
        end = begin + seconds
        first, last = round(begin * fps), round(end * fps)
        before = spans[-1].end if spans else first
        if last <= first:
            raise CannotJoin(f"{name} is shorter than one frame.", remedy="Leave it out or use a longer clip.")
        spans.append(Span(start=first, end=last, overlap=before - first))
    for number, (name, seconds, _) in enumerate(shots):
        taken = spans[number].overlap + (spans[number + 1].overlap if number + 1 < len(spans) else 0)
        if taken > spans[number].length:
            raise CannotJoin(
                f"The crossfades at {name} are longer than its {float(seconds):.2f} s.",
                remedy="Shorten the crossfades so that together they fit into each shot.",
            )
    return Timeline(fps=fps, spans=tuple(spans))
