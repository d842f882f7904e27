"""The caps on what may be spent, by the settings."""

from resources.ledger.records import Caps
from resources.settings import USD, Settings


def caps_of(settings: Settings) -> Caps:
    """Return the caps of the service in force; the sandbox has its own per day, which limit a run too."""
    if settings.service == "sandbox":
        dollars, count = round(settings.sandbox_budget_usd_per_day * USD), settings.sandbox_budget_requests_per_day
        return Caps(dollars, count, dollars, count, settings.zone)
    return Caps(
        round(settings.budget_usd_per_day * USD),
        settings.budget_requests_per_day,
        round(settings.budget_usd_per_run * USD),
        settings.budget_requests_per_run,
        settings.zone,
    )
