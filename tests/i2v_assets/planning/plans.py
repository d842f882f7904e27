"""Plans of plain media, with every endpoint at one price."""

from collections.abc import Callable
from typing import Any

from i2v_assets.briefs.brief import Brief
from i2v_assets.planning.media import MeasuredMedium
from i2v_assets.planning.planner import (
    Plan,
    PlanOffer,
    PlanOptions,
    Refusal,
    Waiting,
    make_plan,
)
from resources.schemas.endpoints import ids_for
from resources.schemas.families import default_families
from resources.schemas.families.happyhorse_1_0 import NAME as HAPPYHORSE_I2V
from resources.schemas.families.seedance_2_0 import NAME as SEEDANCE_PRO
from resources.schemas.families.wan_2_7_image import NAME as WAN_I2V
from resources.schemas.families.wan_2_7_text import NAME as WAN_T2V
from resources.schemas.inputs import Family

Make = Callable[..., MeasuredMedium]


HORSE, T2V, I2V, DANCE = HAPPYHORSE_I2V, WAN_T2V, WAN_I2V, SEEDANCE_PRO


OFFERS: dict[Family, PlanOffer | None] = {
    family: PlanOffer(ids_for(family)[-1], 100_000, "second") for family in default_families()
}


OPTIONS = PlanOptions(service="sandbox")


def decide(
    media: list[MeasuredMedium],
    brief: dict[str, Any] | None = None,
    *,
    offers: dict[Family, PlanOffer | None] | None = None,
    options: PlanOptions = OPTIONS,
    **more: Any,
) -> Plan | Refusal | Waiting:
    return make_plan(
        "hero", Brief.model_validate(brief or {}), media, OFFERS if offers is None else offers, options, **more
    )


def planned(media: list[MeasuredMedium], brief: dict[str, Any] | None = None, **more: Any) -> Plan:
    decided = decide(media, brief, **more)
    assert isinstance(decided, Plan), decided
    return decided


def refused(media: list[MeasuredMedium], brief: dict[str, Any] | None = None, **more: Any) -> Refusal:
    decided = decide(media, brief, **more)
    assert isinstance(decided, Refusal), decided
    return decided
