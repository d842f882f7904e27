"""The fields of one request as its brief says them, within what the endpoint takes: sizes and switches. Pure."""

import math
from collections.abc import Sequence

from i2v_assets.briefs.brief import Brief
from i2v_assets.planning.live_inputs import LiveInputs, live_inputs, not_by_schema
from i2v_assets.planning.media import (
    ENCODER_PADDING,
    MeasuredMedium,
    audio_facts,
    check_media,
    media_advice,
    of_kind,
    video_facts,
)
from i2v_assets.planning.plan import PlanOffer
from i2v_assets.planning.prompt_advice import Advice
from resources.problem import Problem
from resources.schemas.inputs import Family, MediumKind, Route
from resources.schemas.limits import DEFAULT_DURATION, Limits
from resources.schemas.live_limits import usual_duration

NOTICEABLE = 0.5
"""Seconds of silence or of cut voice from which the plan gives advice."""


class RequestFields:
    """The brief against one endpoint: its fields, and every problem and advice on the way.

    Args:
        brief: The brief.
        media: The media that are sent.
        family: The endpoint's family.
        limits: Its limits.
        offer: What the catalogue has of it.
        default_watermark: Whether the service's watermark is asked for if the brief does not say.
    """

    def __init__(
        self,
        brief: Brief,
        media: Sequence[MeasuredMedium],
        family: Family,
        limits: Limits,
        offer: PlanOffer | None,
        default_watermark: bool,
    ) -> None:
        self.default_watermark = default_watermark
        self.live = offer.live if offer is not None else None
        self.problems: list[Problem] = list(check_media(family, media, limits))
        given = LiveInputs(brief, {})
        if self.live is not None:
            given = live_inputs(brief, self.live)
        elif brief.inputs:
            given = not_by_schema(brief, family)
        self.brief, self.inputs, self.other_seconds = given.brief, given.rest, given.seconds
        self.problems += given.problems
        self.media = media
        self.family = family
        self.limits = limits
        self.offer = offer
        self.advice = [Advice(code="recommended", words=words) for words in media_advice(media, limits)]

    def kind(self, kind: MediumKind) -> tuple[MeasuredMedium, ...]:
        """Return the media of one kind."""
        return of_kind(self.media, kind)

    def refuse(self, what: str, limit: str, remedy: str) -> None:
        """Add a problem of the brief."""
        self.problems.append(Problem(file="brief", what=what, limit=limit, remedy=remedy))

    def advise(self, code: str, words: str) -> None:
        """Add advice."""
        self.advice.append(Advice(code=code, words=words))

    def duration(self, route: Route) -> int:
        """Return how many seconds are asked for."""
        low, high = self.limits.min_duration, self.limits.max_duration
        duration = self.brief.duration
        voices = self.kind(MediumKind.AUDIO)
        if duration is None and route is Route.LIP_SYNC:
            duration = "match_audio"
        if self.live is not None and "duration" not in self.live.schema.by_word:
            return self._duration_of_media()
        if duration is None:
            return DEFAULT_DURATION if self.live is None else usual_duration(self.live)
        if duration == "match_audio":
            if not voices:
                self.refuse("`duration: match_audio` needs a voiceover, and the clip has none.", "",
                             f"Upload one, or write whole seconds from {low} to {high}.")  # fmt: skip
                return DEFAULT_DURATION
            seconds = audio_facts(voices[0]).seconds
            duration = min(max(math.ceil(seconds - ENCODER_PADDING), low), high)
            longer = [each for each in self.limits.durations if each >= duration]
            duration = longer[0] if longer else duration
        elif self.limits.durations and duration not in self.limits.durations:
            listed = ", ".join(map(str, self.limits.durations))
            self.refuse(f"`duration` is {duration} s.", f"{self.family} makes {listed} s.", "Write one of these.")
            return DEFAULT_DURATION
        elif not low <= duration <= high:
            who = f"The route {route}" if self.live is None else self.family
            self.refuse(f"`duration` is {duration} s.", f"{who} makes {low} to {high} s.",
                         f"Write a number from {low} to {high}. For a longer film, join several clips.")  # fmt: skip
            return DEFAULT_DURATION
        if route is Route.LIP_SYNC and voices:
            self._compare(duration, audio_facts(voices[0]).seconds, high)
        return duration

    def _duration_of_media(self) -> int:
        """Return how many seconds are reckoned with where the model has no such input: those of its longest file."""
        if self.brief.duration is not None and self.brief.duration != "match_audio":
            self._refuse_unread("duration", self.brief.duration)
        lengths = [audio_facts(each).seconds for each in self.kind(MediumKind.AUDIO)]
        lengths += [video_facts(each).seconds for each in self.kind(MediumKind.VIDEO)]
        seconds = max(1, math.ceil(max(lengths) - ENCODER_PADDING)) if lengths else DEFAULT_DURATION
        if self.other_seconds:
            return max(self.other_seconds, seconds if lengths else 0)
        of_what = "its longest file" if lengths else "the usual clip"
        self.advise("no_duration", f"{self.family} has no input for the duration. The price is reckoned with the"
                     f" {seconds} s of {of_what}.")  # fmt: skip
        return seconds

    def _refuse_unread(self, word: str, value: object) -> None:
        """Refuse a word that the live schema has no field for, or only one whose form the project cannot read."""
        name = self.live.schema.unread(word) if self.live is not None else None
        if name is None:
            self.refuse(f"`{word}` is {value}.", f"{self.family} has no such input.", f"Remove `{word}`.")
        else:
            limit = f"The form of `{name}` in the schema of {self.family} cannot be read."
            remedy = f"Remove `{word}`, and write `inputs.{name}` as `i2v models {self.family}` shows it."
            self.refuse(f"`{word}` is {value}.", limit, remedy)

    def _compare(self, duration: int, seconds: float, high: int) -> None:
        """Advise if the clip ends in silence or cuts the voice."""
        if duration - seconds >= NOTICEABLE:
            self.advise("voice_shorter", f"The voice has {seconds:.1f} s and the clip {duration} s. The last"
                         f" {duration - seconds:.1f} s of the clip are silent.")  # fmt: skip
        elif seconds - duration >= NOTICEABLE:
            longest = " (the route's maximum)" if duration == high else ""
            self.advise("voice_cut", f"The voice has {seconds:.1f} s and the clip {duration} s{longest}. The last"
                         f" {seconds - duration:.1f} s of the voice are cut.")  # fmt: skip

    def cut_sounds(self, route: Route, duration: int) -> tuple[str, ...]:
        """Return a sentence for each sound of a multi-modal clip that is longer than the clip."""
        if route is not Route.MULTI_MODAL:
            return ()
        return tuple(
            f"{each.name} has {seconds:.1f} s and the clip {duration} s, so only its beginning is used;"
            " `duration: match_audio` takes the length of the first sound."
            for each in self.kind(MediumKind.AUDIO)
            if (seconds := audio_facts(each).seconds) - duration >= NOTICEABLE
        )

    def resolution(self) -> str:
        """Return the resolution."""
        resolution = self.brief.resolution
        if resolution is None:
            return self.limits.default_resolution
        dialect = self.offer.dialect if self.offer else None
        allowed = self.limits.resolutions_in(dialect) if dialect else self.limits.resolutions
        if self.live is not None and not allowed and "resolution" in self.live.schema.by_word:
            return resolution
        if not allowed and self.live is not None:
            self._refuse_unread("resolution", resolution)
        elif resolution not in allowed:
            who = self.offer.model_id if self.offer and resolution in self.limits.resolutions else str(self.family)
            self.refuse(f"`resolution` is {resolution}.", f"{who} makes {', '.join(allowed)}.", "Write one of these.")
        return resolution

    def aspect_ratio(self) -> str | None:
        """Return the aspect ratio; None if the endpoint takes it from its image, or has no such input."""
        aspect_ratio, allowed = self.brief.aspect_ratio, self.limits.aspect_ratios
        if aspect_ratio is None:
            return self.limits.default_aspect_ratio
        if self.live is not None and not allowed and "aspect_ratio" in self.live.schema.by_word:
            return aspect_ratio
        if not allowed:
            self.refuse(f"`aspect_ratio` is {aspect_ratio}.", f"{self.family} takes the aspect of its image.",
                         "Remove `aspect_ratio` and crop the image instead.")  # fmt: skip
        elif aspect_ratio not in allowed:
            self.refuse(
                f"`aspect_ratio` is {aspect_ratio}.",
                f"{self.family} makes {', '.join(allowed)}.",
                "Write one of these.",
            )
        return aspect_ratio

    # Switches

    def switches(self) -> dict[str, bool | None]:
        """Return an explicit value for each switch of the endpoint; refuse what the endpoint cannot do."""
        brief, limits = self.brief, self.limits
        negative = brief.negative_prompt
        if negative and not limits.max_negative_prompt:
            self.refuse("`negative_prompt` is set.", f"{self.family} has no such input.",
                         "Describe in `prompt` what must stay instead, such as “packaging unchanged”.")  # fmt: skip
        elif negative and len(negative) > limits.max_negative_prompt:
            self.refuse(f"`negative_prompt` has {len(negative)} characters.",
                         f"At most {limits.max_negative_prompt} are allowed.", "Shorten it.")  # fmt: skip
        if brief.generate_audio is False and not limits.generate_audio:
            self.refuse("`generate_audio` is false.", f"{self.family} always has sound.", "Remove `generate_audio`.")
        if brief.prompt_expansion is True and not limits.prompt_expansion:
            self.refuse(
                "`prompt_expansion` is true.", f"{self.family} has no such switch.", "Remove `prompt_expansion`."
            )
        if brief.watermark is True and not limits.watermark:
            self.advise("no_watermark_switch", f"{self.family} has no watermark to switch on.")
        watermark = self.default_watermark if brief.watermark is None else brief.watermark
        return {
            "watermark": watermark if limits.watermark else None,
            "generate_audio": self._switch("generate_audio") if limits.generate_audio else None,
            "prompt_expansion": self._switch("prompt_expansion") if limits.prompt_expansion else None,
        }

    def _switch(self, word: str) -> bool | None:
        """Return a switch as the brief says it; else on, or the default of a live schema, which may have none."""
        said: bool | None = getattr(self.brief, word)
        if said is not None or self.live is None:
            return said is not False
        return {True: True, "on": True, False: False, "off": False}.get(self.live.schema.field(word).get("default"))

    def check_last_image(self, last: MeasuredMedium | None) -> None:
        """Refuse a last image that the endpoint has no input for, or that does not fit it."""
        if self.brief.holds_last_frame and not self.limits.end_image:
            key = "loop" if self.brief.end_image is None else "end_image"
            remedy = f"Remove `{key}`, or remove `model`."
            self.refuse(f"`{key}` is set.", f"{self.family} has no such input.", remedy)
        elif last is not None:
            found = check_media(self.family, [last], self.limits)
            self.problems += [each for each in found if each.file != "brief"]
