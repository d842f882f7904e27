"""What people look at in the UI: the metadata of each asset of a clip."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from i2v_assets.pipeline.read_media import ReadFile
from i2v_assets.planning.planner import Plan
from resources.generation.types import Delivered
from resources.media.facts import AudioFacts, ImageFacts, VideoFacts
from resources.messages import escape_markdown
from resources.money import dollars, usd
from resources.storage import keys


@dataclass(frozen=True)
class Markdown:
    """Text that the UI renders."""

    text: str


@dataclass(frozen=True)
class Link:
    """An address that a person may open; never a presigned one."""

    url: str


@dataclass(frozen=True)
class Json:
    """A document."""

    data: Mapping[str, object]


Metadata = Mapping[str, "str | int | float | bool | Markdown | Link | Json | None"]
"""What is worth a curve over the clips is a number, because Dagster plots each number; a seed, a take or a size in pixels is text.
An entry that is None is left out."""


class Events(Protocol):
    """Where events of a clip are written, the moment they happen."""

    def materialized(self, asset: str, clip: str, metadata: Metadata, data_version: str) -> None:
        """An asset of a clip is there."""

    def observed(self, asset: str, clip: str, metadata: Metadata, change: str) -> None:
        """The clip has a state without a result; written only if the latest one has another ``change``."""

    def checked(
        self, asset: str, check: str, clip: str, *, passed: bool, metadata: Metadata, warn: bool = False
    ) -> None:
        """A check of a clip's asset was made; ``warn`` makes a failure a warning."""


@runtime_checkable
class GroupedEvents(Protocol):
    """Events that can be written together, which costs less than one by one."""

    def at_once(self) -> AbstractContextManager[None]:
        """Write the events of the block together at its end; the block may not await."""


def at_once(events: Events) -> AbstractContextManager[None]:
    """Return a block whose events are written together, if ``events`` can."""
    return events.at_once() if isinstance(events, GroupedEvents) else nullcontext()


SHOWN_IN_PLACE = 999
"""Longest Markdown that Dagster's UI shows without a click."""


def inline_jpeg(base64_jpeg: str, words: str, link: str = "") -> str:
    """Markdown of a small picture that lives as long as the event; Dagster drops HTML but shows `data:` images."""
    return _shown(f"data:image/jpeg;base64,{base64_jpeg}", words, link)


def inline_webp(base64_webp: str, words: str, link: str = "") -> str:
    """Markdown of a small WebP, as `inline_jpeg` makes it."""
    return _shown(f"data:image/webp;base64,{base64_webp}", words, link)


def _shown(picture: str, words: str, link: str) -> str:
    picture = f"![{escape_markdown(words)}]({picture})"
    return f"[{picture}]({link})" if link else picture


def thumbnail_markdown(base64_webp: str | None, words: str, link: str = "") -> Markdown | None:
    """A tiny picture that the UI shows in its place; a link that makes it too long for that is left out. None without one."""
    if not base64_webp:
        return None
    linked, picture = inline_webp(base64_webp, words, link), inline_webp(base64_webp, words)
    text = linked if len(linked) <= SHOWN_IN_PLACE else picture
    return Markdown(text) if len(text) <= SHOWN_IN_PLACE else None


def files_metadata(files: Sequence[ReadFile]) -> Metadata:
    """The files of one kind: how many, how large, what they are, and a picture of each image, or one tiny one of the only image."""
    rows = ["| file | what | size | SHA-256 |", "|---|---|---|---|"]
    rows += [
        f"| {escape_markdown(found.name)} | {escape_markdown(describe_file(found))} | {found.medium.size_bytes:,} bytes | `{found.medium.sha256[:16]}` |"
        for found in files
        if found.medium
    ]
    pictures = [inline_jpeg(found.thumbnail, found.name) for found in files if found.thumbnail]
    first = next((found for found in files if found.glimpse), None)
    look = thumbnail_markdown(first.glimpse, first.name) if first else None
    if look is not None and len(files) == 1:
        pictures = []  # the same picture once more: the event log is kept for ever
    return {
        "look": look,
        "files": len(files),
        "bytes": sum(found.medium.size_bytes for found in files if found.medium),
        "pictures": Markdown(" ".join(pictures)) if pictures else None,
        "table": Markdown("\n".join(rows)) if files else None,
        "keys": ", ".join(found.key for found in files) or None,
    }


def describe_file(found: ReadFile) -> str:
    """A file's facts in a few words."""
    match found.facts:
        case ImageFacts() as facts:
            turned = ", turned by its camera's note" if facts.rotated else ""
            return f"{facts.width} x {facts.height} {facts.format}{turned}"
        case AudioFacts() as facts:
            return f"{facts.seconds:.2f} s {facts.codec}"
        case VideoFacts() as facts:
            return f"{facts.seconds:.2f} s, {facts.width} x {facts.height}, {facts.fps:.3g} fps"
    return found.problem


def plan_metadata(plan: Plan, plan_hash: str, sandbox: bool, most: int | None = None) -> Metadata:
    """A plan: route with reasons, the exact request, the price; ``most`` is the most that all takes may cost with every reroll."""
    inputs = plan.inputs
    return {
        "decision": "planned",
        "route": plan.route.value,
        "reasons": Markdown("\n".join(f"* {escape_markdown(reason)}" for reason in plan.reasons)),
        "model": plan.model_id or inputs.family,
        "prompt": inputs.prompt,
        "preset": plan.preset,
        "needs_your_word": Markdown("\n".join(f"* {escape_markdown(f'{ask.words} {ask.remedy}')}" for ask in plan.asks))
        if plan.asks
        else None,
        "advice": Markdown("\n".join(f"* {escape_markdown(advice.words)}" for advice in plan.advice))
        if plan.advice
        else None,
        "duration_seconds": inputs.duration,
        "resolution": inputs.resolution,
        "aspect_ratio": inputs.aspect_ratio,
        "seed": str(inputs.seed),
        "price_usd": usd(plan.price_microdollars),
        "at_most_usd": usd(plan.at_most_microdollars if most is None else most),
        "price": _price_reasons(plan),
        "plan_hash": plan_hash,
        "fingerprint": plan.fingerprint,
        "request": Json(inputs.model_dump(mode="json", exclude_none=True)),
        "sandbox": "Sandbox: play money, a drawn video." if sandbox else None,
    }


def _price_reasons(plan: Plan) -> Markdown | None:
    """What the base is, what is expected and the most that is agreed to, each with its reason."""
    quote = plan.quote
    if quote is None:
        return None
    lines = (
        f"* base {dollars(quote.base)}: {escape_markdown(quote.base_reason)}",
        f"* expected {dollars(quote.expected)}: {escape_markdown(quote.expected_reason)}",
        f"* at most {dollars(quote.at_most)}: {escape_markdown(quote.at_most_reason)}",
    )
    return Markdown("\n".join(lines))


def video_metadata(
    plan: Plan, outcome: Delivered, *, clip: str, link_base: str, poster: str | None, glimpse: str | None = None, sandbox: bool,
    size: tuple[int, int, float] | None, more: Mapping[str, str | int | float | None],
) -> Metadata:  # fmt: skip
    """A video: where it is, what made it, what it cost, how long it took."""
    key = keys.clip_key(clip, keys.VIDEO)
    link = f"{link_base.rstrip('/')}/{key}" if link_base else ""
    return {
        "look": thumbnail_markdown(glimpse, f"first look at {clip}", link),
        "poster": Markdown(inline_webp(poster, f"first look at {clip}", link)) if poster else None,
        "video": Link(link) if link else None,
        "key": key,
        "route": plan.route.value,
        "reasons": "; ".join(plan.reasons),
        "model": outcome.model_id or plan.model_id or plan.inputs.family,
        "prompt": plan.inputs.prompt,
        "seed": str(plan.inputs.seed),
        "take": str(plan.take),
        "price_usd": usd(
            outcome.cost_microdollars if outcome.cost_microdollars is not None else outcome.price_microdollars
        ),
        "price_is_settled": outcome.cost_microdollars is not None,
        "paid_in_this_run": outcome.paid,
        "queue_seconds": _rounded(outcome.queue_seconds),
        "generation_seconds": _rounded(outcome.generation_seconds),
        "polls": outcome.polls or None,
        "duration_seconds": _rounded(size[2]) if size else float(plan.inputs.duration),
        "picture": f"{size[0]} x {size[1]}" if size else None,
        "size_bytes": outcome.size_bytes,
        "request_id": outcome.request_id,
        "sha256": outcome.sha256,
        "fingerprint": plan.fingerprint,
        "sandbox": "Sandbox video: drawn for testing, not generated by a model and not paid for." if sandbox else None,
        **more,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
