"""From the settings to what the planner is told."""

from importlib.metadata import version
from pathlib import Path

from i2v_assets.plans import PlanOptions
from i2v_assets.prompts import load_presets
from resources.errors import SettingsError
from resources.settings import Settings


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
        measured=settings.measure,
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
