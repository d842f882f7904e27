"""From the settings to what the planner and the engine are told."""

from importlib.metadata import version
from pathlib import Path

from i2v_assets.plans import PlanOptions
from i2v_assets.prompts import load_presets
from resources.errors import SettingsError
from resources.generation.model import EngineOptions
from resources.ledger import Caps
from resources.settings import USD, Settings


def caps(settings: Settings) -> Caps:
    """The budget in force; the sandbox has its own, since its dollars are play money."""
    sandbox = settings.service == "sandbox"
    usd = settings.sandbox_budget_usd_per_day if sandbox else settings.budget_usd_per_day
    count = settings.sandbox_budget_requests_per_day if sandbox else settings.budget_requests_per_day
    return Caps(
        usd_per_day_microdollars=round(usd * USD),
        requests_per_day=count,
        usd_per_run_microdollars=round((usd if sandbox else settings.budget_usd_per_run) * USD),
        requests_per_run=count if sandbox else settings.budget_requests_per_run,
        zone=settings.zone,
    )


def engine_options(settings: Settings) -> EngineOptions:
    """The engine's limits."""
    return EngineOptions(
        caps=caps(settings),
        max_in_flight=settings.max_in_flight,
        deadline_seconds=settings.deadline_seconds,
        presign_seconds=settings.presign_seconds,
        inline_input_bytes=settings.inline_input_bytes,
        on_unknown=settings.on_unknown,
        resubmit_cap=settings.resubmit_cap,
        allow_unknown_price=settings.allow_unknown_price,
        max_attempts=settings.max_attempts,
    )


def plan_options(settings: Settings) -> PlanOptions:
    """What the planner decides by where a brief is silent.

    Raises:
        SettingsError: the presets' file cannot be read; BriefError: it is malformed.
    """
    return PlanOptions(
        service=settings.service,
        watermark=settings.watermark,
        keep_face=settings.keep_face,
        presets=load_presets(_presets_text(settings), settings.presets_file or "presets"),
        allow_unknown_price=settings.allow_unknown_price,
        version=version("i2v-assets"),
    )


def _presets_text(settings: Settings) -> str | None:
    if not settings.presets_file:
        return None
    try:
        return Path(settings.presets_file).read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"I2V_PRESETS_FILE {settings.presets_file} cannot be read: {error.strerror}.",
            remedy="Name a YAML file of presets, or leave it empty for the shipped ones.",
        ) from None
