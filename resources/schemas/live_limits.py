"""The limits that a live schema states, in the project's own form. Pure."""

import re

from resources.schemas.inputs import MediumKind
from resources.schemas.limits import DEFAULT_DURATION, MEGABYTE, Limits, MediaLimits, PromptLimits
from resources.schemas.live_schema import TIER, LiveEndpoint, LiveMedia
from resources.schemas.live_seconds import durations, seconds_of

LONGEST_PROMPT = 20_000
"""Recommended characters of a prompt if a schema states no number."""

_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_.: /x*-]{1,40}\Z")


def limits_of(endpoint: LiveEndpoint, *, ends: bool = False) -> Limits:
    """Return the limits that a live schema states, in the project's own form.

    Args:
        endpoint: The id with its schema.
        ends: The image that the video ends on is given apart from the others, so that its field is not counted.
    """
    schema, source = endpoint.schema, f"live schema of {endpoint.model_id}"
    low, high, choices = durations(schema.field("duration"))
    tiers = tuple(str(value).lower() for value in schema.field("resolution").get("enum", ()) if TIER.match(str(value)))
    fixed = (endpoint.tier,) if endpoint.tier else ()
    default = str(schema.field("resolution").get("default", "")).lower()
    shapes = schema.field("aspect_ratio")
    shape, listed = str(shapes.get("default", "")), [str(value) for value in shapes.get("enum", ())]
    longest = schema.field("prompt").get("maxLength")
    return Limits(
        prompt=PromptLimits(
            int(longest or LONGEST_PROMPT), "characters", 1, source, kind="hard" if longest else "advice"
        ),
        min_duration=low,
        max_duration=high,
        durations=choices,
        resolutions=tiers or fixed,
        default_resolution=default if default in tiers else (tiers or fixed or ("",))[0],
        aspect_ratios=tuple(value for value in listed if _PLAIN_VALUE.match(value)),
        default_aspect_ratio=shape if _PLAIN_VALUE.match(shape) and (shape in listed or not listed) else None,
        max_negative_prompt=int(schema.field("negative_prompt").get("maxLength", LONGEST_PROMPT))
        if "negative_prompt" in schema.by_word
        else 0,
        end_image=any(media.last for media in schema.media),
        images=_media_limits(
            tuple(each for each in schema.of(MediumKind.IMAGE) if not (ends and each.last)),
            ("JPEG", "PNG", "WEBP"),
            50,
            source,
        ),
        audios=_media_limits(schema.of(MediumKind.AUDIO), ("WAV", "MP3"), None, source),
        videos=_media_limits(schema.of(MediumKind.VIDEO), ("MP4", "MOV"), 100, source),
        watermark="watermark" in schema.by_word,
        generate_audio="generate_audio" in schema.by_word,
        prompt_expansion="prompt_expansion" in schema.by_word,
        source=source,
    )


def usual_duration(endpoint: LiveEndpoint) -> int:
    """Return the duration if nothing names one: the schema's own default, else the project's, within the limits."""
    part = endpoint.schema.field("duration")
    low, high, choices = durations(part)
    stated = seconds_of(part.get("default")) or DEFAULT_DURATION
    wanted = min(max(stated, low), high)
    return wanted if not choices or wanted in choices else min(choices, key=lambda each: abs(each - wanted))


def _media_limits(
    fields: tuple[LiveMedia, ...], formats: tuple[str, ...], usual_megabytes: int | None, source: str
) -> MediaLimits:
    if not fields:
        return MediaLimits()
    advice = None
    if usual_megabytes is not None:
        words = f"model API pages: up to {usual_megabytes} MB are recommended"
        advice = MediaLimits(max_bytes=usual_megabytes * MEGABYTE, source=words, kind="advice")
    return MediaLimits(
        min_count=sum(field.min_count for field in fields if field.required),
        max_count=sum(field.max_count for field in fields),
        formats=formats,
        source=f"{source}; the formats are those that the service accepts elsewhere",
        advice=advice,
    )
