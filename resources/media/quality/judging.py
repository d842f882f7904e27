"""Findings and a score from the figures; pure."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from resources.media.quality.model import Check, Defect, Expectation, Finding, Measures, Severity, Thresholds

DEFAULT_THRESHOLDS = Thresholds()


class _Seen(NamedTuple):
    name: str
    severity: Severity
    words: str


def judge(
    measures: Measures, expectation: Expectation, thresholds: Thresholds = DEFAULT_THRESHOLDS
) -> tuple[Finding, ...]:
    """Return one finding for each of the four checks, in the order technical, sound, motion, likeness.

    Args:
        measures: the figures of the video.
        expectation: what was requested; anything else is not checked.
        thresholds: where a figure becomes a problem, and the severity of each problem.
    """
    looks = {
        Check.TECHNICAL: (_technical(measures, thresholds), _technical_words(measures)),
        Check.SOUND: (_sound(measures, expectation, thresholds), _sound_words(measures, expectation, thresholds)),
        Check.MOTION: (_motion(measures, expectation, thresholds), _motion_words(measures)),
        Check.LIKENESS: (_likeness(measures, expectation, thresholds), _likeness_words(measures)),
    }
    return tuple(_finding(check, seen, well, thresholds) for check, (seen, well) in looks.items())


def _finding(check: Check, seen: Iterator[_Seen], well: str, thresholds: Thresholds) -> Finding:
    problems = []
    for problem in seen:
        weight = thresholds.severities.get(problem.name, problem.severity.value)
        if weight != "ignore":
            problems.append(Defect(name=problem.name, severity=Severity(weight), words=problem.words))
    worst = Severity.ERROR if any(problem.severity is Severity.ERROR for problem in problems) else Severity.WARN
    return Finding(
        check=check,
        passed=not problems,
        severity=worst,
        words="; ".join(problem.words for problem in problems) + "." if problems else well,
        problems=tuple(problems),
    )


def _technical(found: Measures, limits: Thresholds) -> Iterator[_Seen]:
    if not found.decodes:
        yield _Seen("damaged", Severity.ERROR, f"The file is damaged: {found.damage}")
    if not found.frames:
        return
    if found.seconds_off is not None and abs(found.seconds_off) > limits.seconds_off:
        asked = found.seconds - found.seconds_off
        yield _Seen("duration", Severity.ERROR, f"It lasts {found.seconds:.2f} s instead of {asked:.2f} s")
    if found.tier_off is not None and abs(found.tier_off) > limits.tier_off:
        yield _Seen(
            "resolution",
            Severity.ERROR,
            f"{found.width}x{found.height} is {found.tier_off:+.0%} off the requested resolution",
        )
    if found.aspect_off is not None and abs(found.aspect_off) > limits.aspect_off:
        yield _Seen(
            "aspect", Severity.ERROR, f"{found.width}x{found.height} is {found.aspect_off:+.1%} off the aspect ratio"
        )
    if found.unsteadiness > limits.unsteadiness:
        yield _Seen("frame_rate", Severity.WARN, f"{found.unsteadiness:.0%} of the frames come too early or too late")
    elif abs(found.rate_change) > limits.rate_change:
        change = f"{1 + found.rate_change:.0%} of those at the start"
        yield _Seen("frame_rate", Severity.WARN, f"The frames a second change on the way: at the end they are {change}")
    if found.sharpness_kept < limits.sharpness_kept:
        yield _Seen("blurs", Severity.WARN, f"Only {found.sharpness_kept:.0%} of the fine detail is left at the end")


def _sound(found: Measures, asked: Expectation, limits: Thresholds) -> Iterator[_Seen]:
    wanted = asked.sound or asked.voice is not None
    if not wanted:
        return
    if asked.silence_allowed and _is_silent(found, limits):
        return
    if found.sound_seconds is None or found.silent is None or found.peak_dbfs is None:
        yield _Seen("no_sound", Severity.ERROR, "There is no sound")
        return
    if found.seconds - found.sound_seconds > limits.sound_missing_seconds:
        yield _Seen("sound_ends", Severity.WARN, f"The sound ends {found.seconds - found.sound_seconds:.1f} s early")
    if _is_silent(found, limits):
        yield _Seen("silent", Severity.ERROR, "The sound is silence")
        return
    if found.loudness_lufs is not None and found.loudness_lufs < limits.quietest_lufs and not asked.silence_allowed:
        yield _Seen("too_quiet", Severity.WARN, f"At {found.loudness_lufs:.1f} LUFS it is barely audible")
    if found.loudness_lufs is not None and found.loudness_lufs > limits.loudest_lufs:
        yield _Seen("too_loud", Severity.WARN, f"{found.loudness_lufs:.1f} LUFS is too loud")
    if found.clipped is not None and found.clipped > limits.clipped:
        yield _Seen("clipped", Severity.WARN, f"{found.clipped:.1%} of the sound is clipped")
    if asked.voice is not None and found.voice_match is not None:
        if found.voice_match < limits.voice_match:
            yield _Seen(
                "voice", Severity.ERROR, f"The voice is not the one that was given (match {found.voice_match:.2f} of 1)"
            )
        elif found.voice_offset is not None and abs(found.voice_offset) > limits.voice_offset:
            late = "late" if found.voice_offset > 0 else "early"
            yield _Seen("voice_offset", Severity.WARN, f"The voice comes {abs(found.voice_offset):.2f} s {late}")


def _is_silent(found: Measures, limits: Thresholds) -> bool:
    if found.sound_seconds is None or found.silent is None or found.peak_dbfs is None:
        return True
    return found.silent > limits.silent or found.peak_dbfs < limits.silence_dbfs


def _motion(found: Measures, asked: Expectation, limits: Thresholds) -> Iterator[_Seen]:
    if not found.frames:
        yield _Seen("no_picture", Severity.ERROR, "There is no picture to check")
        return
    if found.black > limits.black:
        yield _Seen("black", Severity.ERROR, f"{found.black:.0%} of the frames are black")
    if found.still >= limits.frozen and found.wander < limits.wander:
        yield _Seen("frozen", Severity.ERROR, f"The picture is frozen for {found.still:.0%} of the time")
    elif found.still >= limits.slide_show and found.changes > 1 and found.wander >= limits.wander:
        yield _Seen(
            "slide_show",
            Severity.ERROR,
            f"It is a slide show: still for {found.still:.0%} of the time, with {found.changes} changes",
        )
    elif found.longest_still_seconds > limits.stuck_seconds:
        yield _Seen("stuck", Severity.WARN, f"The picture stands still for {found.longest_still_seconds:.1f} s")
    if not asked.cuts_allowed and len(found.jumps) > limits.jumps:
        at = ", ".join(f"{seconds:.2f} s" for seconds in found.jumps[:5])
        yield _Seen("jump", Severity.ERROR, f"The whole picture jumps at {at}")


def _likeness(found: Measures, asked: Expectation, limits: Thresholds) -> Iterator[_Seen]:
    if asked.source_image is None:
        return
    if found.first_frame_match is None:
        yield _Seen("no_first_frame", Severity.ERROR, "There is no first frame to compare with the image")
    elif found.first_frame_match < limits.first_frame_match:
        yield _Seen(
            "first_frame",
            Severity.ERROR,
            f"The first frame is not the image that was given (likeness {found.first_frame_match:.2f} of 1)",
        )


def _technical_words(found: Measures) -> str:
    return f"Decodes to its end: {found.seconds:.2f} s, {found.width}x{found.height}, {found.fps:g} frames a second."


def _sound_words(found: Measures, asked: Expectation, limits: Thresholds) -> str:
    if not asked.sound and asked.voice is None:
        return "No sound was requested."
    if asked.silence_allowed and _is_silent(found, limits):
        return "It is silent, which the brief allows."
    loud = f"{found.loudness_lufs:.1f} LUFS" if found.loudness_lufs is not None else "too short for a loudness"
    voice = ""
    if found.voice_match is not None:
        voice = f"; the voice is the one given (match {found.voice_match:.2f}, offset {found.voice_offset or 0:+.2f} s)"
    return f"Sound is there ({loud}){voice}."


def _motion_words(found: Measures) -> str:
    return f"The picture moves as one shot (median change {found.motion:.2f} grey levels a frame)."


def _likeness_words(found: Measures) -> str:
    if found.first_frame_match is None:
        return "There is no source image to compare with."
    return f"The first frame is the image that was given (likeness {found.first_frame_match:.2f})."


_WEIGHTS = {Check.TECHNICAL: 0.25, Check.SOUND: 0.2, Check.MOTION: 0.3, Check.LIKENESS: 0.25}


WITH_ERROR = 0.49
"""The best score of a video with an error: below 0.5, the lowest score of a video without one."""


def score(measures: Measures, findings: Iterable[Finding]) -> float:
    """Return one figure for a video, 0 to 1, to choose between takes: its soundness, below or above 0.5.

    A video with an error gets at most 0.49 and one without at least 0.5. So `best` never prefers the first, and a rule
    such as ``reroll: {below: 0.6}`` includes every error.

    Args:
        measures: the figures of the video.
        findings: what `judge` found in them.
    """
    sound = soundness(measures)
    if any(problem.severity is Severity.ERROR for finding in findings for problem in finding.problems):
        return round(WITH_ERROR * sound, 4)
    return round(max(sound, 0.5 + sound / 6), 4)  # the two meet at 0.6, so the order is kept without a step


def soundness(measures: Measures) -> float:
    """Return how well the figures match what they should be, 0 to 1.

    The weighted mean of four parts (technical 0.25, sound 0.2, motion 0.3, likeness 0.25), each 0 to 1. A part that
    could not be measured is left out, and its weight is shared among the others. A video that does not decode gets 0.
    Each part is a product of factors, so that one fault is not hidden by good values; the formula is in
    ``docs/quality.md``.
    """
    if not measures.decodes or not measures.frames:
        return 0.0
    there = _parts(measures)
    total = sum(_WEIGHTS[check] * part for check, part in there.items())
    return round(total / sum(_WEIGHTS[check] for check in there), 4)


LOW_SCORE = 0.8
"""Below it a score is explained: one part that fails alone leaves 0.7 to 0.8, and a sound video has more."""

_PART_WORDS = {
    Check.TECHNICAL: "length, size and steadiness",
    Check.SOUND: "sound",
    Check.MOTION: "motion",
    Check.LIKENESS: "likeness to the image",
}


def why_low(measures: Measures, findings: Iterable[Finding], total: float) -> str:
    """Return why a score is low: its weak parts, and what the checks found; empty if it is not low."""
    if total >= LOW_SCORE:
        return ""
    if not measures.decodes or not measures.frames:
        return "The video cannot be decoded."
    weak = sorted((part, check) for check, part in _parts(measures).items() if part < LOW_SCORE)
    parts = ", ".join(f"{_PART_WORDS[check]} {part:.2f}" for part, check in weak)
    found = " ".join(finding.words for finding in findings if finding.problems)
    return " ".join(words for words in (f"Weak parts, of 1 each: {parts}." if parts else "", found) if words)


def _parts(measures: Measures) -> dict[Check, float]:
    """Return the parts of the soundness that could be measured."""
    parts = {
        Check.TECHNICAL: _technical_score(measures),
        Check.SOUND: _sound_score(measures),
        Check.MOTION: _motion_score(measures),
        Check.LIKENESS: None if measures.first_frame_match is None else _ramp(measures.first_frame_match, 0.15, 0.8),
    }
    return {check: part for check, part in parts.items() if part is not None}


def _ramp(value: float, worst: float, best: float) -> float:
    """Return 0 at ``worst``, 1 at ``best``, linear between them."""
    return min(1.0, max(0.0, (value - worst) / (best - worst)))


def _technical_score(found: Measures) -> float:
    return (
        _ramp(abs(found.seconds_off or 0.0), 1.0, 0.1)
        * _ramp(abs(found.tier_off or 0.0), 0.5, 0.1)
        * _ramp(abs(found.aspect_off or 0.0), 0.25, 0.02)
        * _ramp(found.unsteadiness, 0.25, 0.0)
        * _ramp(abs(found.rate_change), 0.5, 0.02)
        * _ramp(found.sharpness_kept, 0.0, 0.8)
    )


def _sound_score(found: Measures) -> float | None:
    if found.sound_seconds is None or found.silent is None or found.clipped is None:
        return 0.0 if found.sound_asked else None
    if not found.sound_asked and _is_silent(found, DEFAULT_THRESHOLDS):
        return None  # a silent track is as good as none if no sound was requested
    audibility = _ramp(found.silent, 1.0, 0.8) * _ramp(found.clipped, 0.02, 0.0)
    if found.loudness_lufs is not None:
        audibility *= _ramp(found.loudness_lufs, -60.0, -35.0)
    if found.voice_match is not None:
        audibility *= _ramp(found.voice_match, 0.4, 0.9) * _ramp(abs(found.voice_offset or 0.0), 1.0, 0.1)
    return audibility


def _motion_score(found: Measures) -> float:
    return (
        _ramp(found.black, 0.5, 0.0)
        * _ramp(found.still, 1.0, 0.2)
        * (0.5 ** len(found.jumps))
        * _ramp(found.motion, 0.0, 0.1)
    )
