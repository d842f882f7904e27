"""Compare routes, presets and advice with requests that a person labelled by hand, and print the table.

Usage: python -m benchmarks.briefs PATH [--misses] [--check]

PATH is a file of JSON lines; `tests/benchmarks/briefs.jsonl` is the open set. Each request has a `prompt` or none, its
`media` (kind, name, size or seconds, and what it shows), `fields` of a brief, and a `label`: the right `route`, the fitting
`preset_ok` of a bare picture, and the `advice` that is due; `optional` advice does no harm. Nothing is decoded: what the
detection of faces and voices would measure is taken from `content`.
"""

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from i2v_assets.briefs.brief_reader import BriefError, brief_from
from i2v_assets.briefs.yaml_reader import Document
from i2v_assets.planning.media import MeasuredMedium
from i2v_assets.planning.plan import Plan, PlanOffer, PlanOptions
from i2v_assets.planning.planner import Unheard, make_plan
from resources.media.facts import AudioFacts, ImageFacts, MediaFacts, VideoFacts
from resources.schemas.endpoints import ids_for
from resources.schemas.families import default_families
from resources.schemas.inputs import Medium, MediumKind

MICRODOLLARS_PER_SECOND = 100_000
"""The sandbox's price of every family; the table compares shares of money, so any price would do."""

LETTERS: Mapping[str, str] = {
    "no_motion_verb": "L",
    "several_motions": "M",
    "describes_still": "D",
    "conflicting_styles": "S",
    "reference_missing": "X",
    "references_not_numbered": "U",
    "talking_without_voice": "V",
    "nothing_held": "K",
    "contradiction": "C",
    "duration_in_words": "T",
    "shape_in_words": "A",
    "resolution_in_words": "A",
    "loop_in_words": "O",
    "silence_in_words": "V",
    **dict.fromkeys(("voice_cut", "voice_of_group"), "Q"),
    **dict.fromkeys(("nobody_speaks", "languages", "one_voice_several_images", "several_voices"), "Q"),
    **dict.fromkeys(("voice_alone", "long_voice"), "Q"),
    "audio_missing": "V",
    "image_missing": "X",
    "video_missing": "X",
    "last_image": "E",
    "edit_of_video": "U",
    "parts_unsaid": "U",
    "video_alone": "U",
}
"""The label's letter of each code of advice and of each code that holds."""


_UNLABELLED = {"voice_shorter", "model_in_words"}
"""Codes without a letter: the silence that whole seconds leave at the end, and a model that the words name and no field sets."""


@dataclass(frozen=True)
class Case:
    """One request with its outcome: its route, or that it is held, split or refused, and the codes of its advice.

    A voice that is longer than one request takes is split: a person approves how, whatever the label says.
    """

    id: str
    lang: str
    prompt: str | None
    label: Mapping[str, Any]
    outcome: str
    route: str | None
    microdollars: int
    preset: str | None
    codes: tuple[str, ...]
    words: str = ""

    @property
    def advised(self) -> frozenset[str]:
        """The letters of all its advice."""
        return frozenset(LETTERS.get(code, code) for code in self.codes if code not in _UNLABELLED)

    @property
    def is_right(self) -> bool:
        """True if the route is the labelled one, or nothing is paid before a person says more."""
        return self.outcome != "planned" or self.route == self.label["route"]

    @property
    def held_in_vain(self) -> bool:
        """True if it waits although its route is the labelled one."""
        return self.outcome == "held" and self.route == self.label["route"]

    @property
    def is_clean(self) -> bool:
        """True if it has a prompt for which no advice is due."""
        return self.prompt is not None and not self.label["advice"]

    @property
    def false(self) -> frozenset[str]:
        """The letters of advice that is neither due nor optional."""
        return self.advised - set(self.label["advice"]) - set(self.label["optional"])


def run(lines: Iterable[str]) -> list[Case]:
    """Return what the planner decides on each labelled request."""
    return [_case(json.loads(line)) for line in lines if line.strip()]


def _case(request: Mapping[str, Any]) -> Case:
    label = request["label"]
    fields = dict(request["fields"])
    if request["prompt"] is not None:
        fields["prompt"] = request["prompt"]

    def case(outcome: str, **found: Any) -> Case:
        values: dict[str, Any] = {"route": None, "microdollars": 0, "preset": None, "codes": ()} | found
        return Case(request["id"], request["lang"], request["prompt"], label, outcome, **values)

    try:
        brief = brief_from(Document(fields), request["id"])
    except BriefError as error:
        return case("refused", words=error.text)
    offers = {family: PlanOffer(ids_for(family)[0], MICRODOLLARS_PER_SECOND, "second") for family in default_families()}
    media = [_medium(each, request["id"]) for each in request["media"]]
    faces = _faces(request["media"])
    plan = partial(
        make_plan,
        request["id"],
        brief,
        media,
        offers,
        PlanOptions(service="sandbox"),
        face=faces == 1,
        large_faces=faces,
        name=next((each["name"] for each in request["media"]), ""),
    )
    made = plan()
    if not isinstance(made, Plan):
        words = getattr(made, "words", "") or " ".join(each.what for each in getattr(made, "problems", ()))
        return case(made.decision if hasattr(made, "decision") else "refused", words=words)
    outcome = "held" if made.asks else "split" if isinstance(plan(pauses={}), Unheard) else "planned"
    return case(
        outcome,
        route="first_last" if made.inputs.end_image is not None else made.route.value,
        microdollars=(made.price_microdollars or 0) if outcome == "planned" else 0,
        preset=made.preset,
        codes=(*(ask.code for ask in made.asks), *(advice.code for advice in made.advice)),
        words=made.inputs.prompt,
    )


def _faces(media: Sequence[Mapping[str, Any]]) -> int:
    """Return how many large faces would be found in the first image, by what the label says that it shows."""
    content = next((each.get("content", "") for each in media if each["kind"] == "image"), "")
    return {"portrait": 1, "group": 3}.get(content.partition(" ")[0], 0)


def _medium(each: Mapping[str, Any], clip: str) -> MeasuredMedium:
    kind, name = MediumKind(each["kind"]), each["name"]
    digest = hashlib.sha256(f"{clip}/{name}".encode()).hexdigest()
    medium = Medium(kind=kind, sha256=digest, key=f"uploads/{name}", size_bytes=500_000, content_type=f"{kind}/x")
    return MeasuredMedium(medium, name, _facts(kind, each))


_SPEECH = {"voice": 0.87, "music": 0.0, "": None}
"""Share of speech that is measured in a voice and in music."""


def _facts(kind: MediumKind, each: Mapping[str, Any]) -> MediaFacts:
    if kind is MediumKind.IMAGE:
        return ImageFacts(
            width=each.get("w", 1200),
            height=each.get("h", 900),
            format="JPEG",
            mode="RGB",
            animated=False,
            size_bytes=500_000,
        )
    if kind is MediumKind.AUDIO:
        return AudioFacts(
            seconds=each["seconds"],
            codec="mp3",
            container="mp3",
            sample_rate=44_100,
            channels=1,
            size_bytes=500_000,
            speech=_SPEECH.get(each.get("content", "")),
        )
    return VideoFacts(
        seconds=each["seconds"], width=1280, height=720, fps=24, frames=24, video_codec="h264", audio_codec=None,
        container="mp4", size_bytes=500_000,
    )  # fmt: skip


# The table


@dataclass(frozen=True)
class Line:
    """One line of the table: a figure, its limit, and whether it holds."""

    name: str
    figure: str
    limit: str
    holds: bool


def table(cases: Sequence[Case]) -> list[Line]:
    """Return the figures with their limits."""
    planned = sum(case.microdollars for case in cases)
    wrong = sum(case.microdollars for case in cases if not case.is_right)
    right, vain = sum(case.is_right for case in cases), sum(case.held_in_vain for case in cases)
    bare = [case for case in cases if "preset_ok" in case.label]
    fitting = sum(
        case.preset in (*case.label["preset_ok"], "neutral", *_ALSO.get(case.label["preset"], ())) for case in bare
    )
    clean = [case for case in cases if case.is_clean]
    foreign = [case for case in cases if case.lang not in {"en", "-"}]
    least = -(-len(cases) * 115 // 118)
    lines = [
        Line("routes right or held", f"{right} of {len(cases)}", f"at least {least}", right >= least),
        Line("misrouted spend", f"{wrong / max(1, planned):.1%}", "at most 1 %", wrong * 100 <= planned),
        Line("held in vain", f"{vain}", "at most 2", vain <= 2),
        Line("presets fitting or neutral", f"{fitting} of {len(bare)}", "all but 2", fitting >= len(bare) - 2),
    ]
    for letter in sorted(
        {letter for case in cases for letter in (*case.advised, *case.label["advice"]) if len(letter) == 1}
    ):
        lines.append(_advice_line(letter, cases))
    noisy = sum(bool(case.false) for case in clean)
    false = sum(bool(case.false) for case in foreign)
    lines.append(
        Line("clean prompts with advice", f"{noisy} of {len(clean)}", "at most 3 of 45", noisy * 45 <= 3 * len(clean))
    )
    lines.append(
        Line("false outside English", f"{false} of {len(foreign)}", "at most 1 of 19", false * 19 <= len(foreign))
    )
    return lines


_ALSO = {"document": ("graphic",)}
"""Presets that the labels know by another name."""

_RECALL = {"L": 0.9, "M": 0.8, "D": 0.8}


def _advice_line(letter: str, cases: Sequence[Case]) -> Line:
    given = [case for case in cases if letter in case.advised]
    due = [case for case in cases if letter in case.label["advice"]]
    false = sum(letter in case.false for case in given)
    found = sum(letter in case.advised for case in due)
    precision = 1 - false / len(given) if given else 1.0
    recall = found / len(due) if due else 1.0
    least = _RECALL.get(letter, 0.0)
    limit = "precision 0.90" + (f", recall {least:.2f}" if least else "")
    figure = f"precision {precision:.2f} ({len(given)}), recall {recall:.2f} ({len(due)})"
    return Line(f"advice {letter}", figure, limit, precision >= 0.9 and recall >= least)


def _misses(cases: Sequence[Case]) -> Iterable[str]:
    for case in cases:
        if not case.is_right or case.held_in_vain:
            yield f"{case.id}: {case.outcome} {case.route}, labelled {case.label['route']}: {', '.join(case.codes)}"
        if "preset_ok" in case.label:
            yield f"{case.id}: preset {case.preset}, fitting {', '.join(case.label['preset_ok'])}"
        if case.false:
            yield f"{case.id}: false advice {', '.join(sorted(case.false))}: {case.prompt}"
        for letter in sorted(set(case.label["advice"]) & set(_RECALL) - case.advised):
            yield f"{case.id}: missing advice {letter}: {case.prompt}"


def main() -> None:
    """Print the table; with `--check` end with 1 if a limit is not held."""
    parser = argparse.ArgumentParser(description="Compare routes, presets and advice with labelled requests.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--misses", action="store_true", help="also list what differs from the labels")
    parser.add_argument("--check", action="store_true", help="end with 1 if a limit is not held")
    asked = parser.parse_args()
    cases = run(asked.path.read_text(encoding="utf-8").splitlines())
    lines = table(cases)
    print(
        f"{len(cases)} requests: {', '.join(f'{count} {name}' for name, count in Counter(c.outcome for c in cases).items())}"
    )
    for line in lines:
        print(f"{'ok  ' if line.holds else 'MISS'} {line.name:28} {line.figure:40} {line.limit}")
    if asked.misses:
        print(*_misses(cases), sep="\n")
    if asked.check and not all(line.holds for line in lines):
        sys.exit(1)


if __name__ == "__main__":
    main()
