"""Choose the family of a clip: the first preferred one that the catalogue has and that can express the brief. Pure."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from i2v_assets.briefs.brief import Brief
from i2v_assets.planning.media import MeasuredMedium, of_kind
from i2v_assets.planning.plan import Plan, PlanOffer, PlanOptions, Refusal, Waiting
from i2v_assets.planning.preparing import Unprepared
from i2v_assets.planning.routing import Routing
from i2v_assets.planning.voice_film import Unheard
from resources.errors import SettingsError
from resources.schemas.endpoints import LIMITS
from resources.schemas.families import FAMILIES, default_families, named
from resources.schemas.inputs import Family, MediumKind, Route
from resources.schemas.limits import Limits
from resources.schemas.live_limits import limits_of


class UnknownFamily(SettingsError):
    """A name in a setting or a brief is neither a family nor a model id."""


Decision = Plan | Refusal | Waiting | Unprepared | Unheard


def expand(names: Sequence[str]) -> tuple[Family, ...]:
    """Return the families that names mean, in order; a name that the project does not know is a model id."""
    return tuple(dict.fromkeys(family for name in names for family in named(name) or (name,)))


def check_names(names: Sequence[str], where: str) -> None:
    """Check that each name is a family that the project knows, or can be a model id of the catalogue.

    Raises:
        UnknownFamily: a name is neither; names the nearest ones.
    """
    for name in names:
        if not named(name) and "/" not in name:
            known = sorted({each for record in FAMILIES.values() for each in (record.name, record.short_name)})
            near = difflib.get_close_matches(name.lower(), known, 1, 0.6)
            hint = f"Did you mean `{near[0]}`?" if near else f"Families: {', '.join(known)}."
            raise UnknownFamily(
                f"{where} names {name!r}, which is not a known family.",
                remedy=f"{hint} A model id of the catalogue has a / in it.",
            )


def wanted_families(brief: Brief, options: PlanOptions) -> tuple[Family, ...]:
    """Return every family that may be planned for a brief, so that the catalogue is asked for no other."""
    if brief.model and (named(brief.model) or "/" in brief.model):
        return expand([brief.model])
    named_by_settings = [family for families in options.routes.values() for family in families]
    return tuple(dict.fromkeys((*default_families(), *named_by_settings)))


def families_for(
    brief: Brief,
    media: Sequence[MeasuredMedium],
    routing: Routing,
    offers: Mapping[Family, PlanOffer | None],
    options: PlanOptions,
) -> tuple[Family, ...]:
    """Return the families that may make a clip, best first; at least one."""
    if brief.model:
        return expand([brief.model])
    if brief.holds_last_frame:
        return routing.family_preference  # a preference of the route may have no last image
    families = options.routes.get(routing.route) or routing.family_preference
    if routing.route is not Route.LIP_SYNC or not of_kind(media, MediumKind.IMAGE):
        return families
    faceless = tuple(each for each in families if not _takes_image(each, offers.get(each)))
    if _drops_face(brief, options):
        return faceless or families
    if options.routes.get(routing.route) is None:
        return families[:1]  # whoever is to be seen is not left out because a model is missing
    return tuple(each for each in families if each not in faceless) or families


def _takes_image(family: Family, offer: PlanOffer | None) -> bool:
    if family not in LIMITS and (offer is None or offer.live is None):
        return True
    return limits_of_offer(family, offer).images.max_count > 0


def _drops_face(brief: Brief, options: PlanOptions) -> bool:
    if brief.keep_face is None:
        return options.keep_face == "never"
    return brief.keep_face is False


def limits_of_offer(family: Family, offer: PlanOffer | None, *, ends: bool = False) -> Limits:
    """Return a family's limits: the project's own, or those that its live schema states.

    Args:
        family: The family.
        offer: What the catalogue has of it.
        ends: The brief names the image that the video ends on apart from the others.
    """
    if offer is not None and offer.live is not None:
        return limits_of(offer.live, ends=ends)
    return LIMITS[family]


def waiting_for(
    clip: str,
    routing: Routing,
    family: Family,
    offers: Mapping[Family, PlanOffer | None],
    media: Sequence[MeasuredMedium],
) -> Waiting | None:
    """Return what a family waits for at the service; None if it can be planned."""
    offer = offers.get(family)
    if offer is not None and offer.unusable:
        return None
    wait = partial(Waiting, clip=clip, route=routing.route, reasons=routing.reasons)
    if offer is not None and offer.trouble:
        return wait(
            kind="catalogue",
            words=f"The service's entry of {family} differs from the accepted one: {offer.trouble.rstrip('.')}.",
            remedy=f"Check it with `i2v models`, then accept it: i2v models --accept {family}",
            agreement=True,
        )
    if offer is not None or (family not in offers and family in LIMITS):
        return None
    shows_face = routing.route is Route.LIP_SYNC and of_kind(media, MediumKind.IMAGE) and _takes_image(family, None)
    if family in offers and shows_face:
        return wait(
            kind="keep_face",
            words=(
                "The service has no endpoint now that takes both an image and a voice. The documented one (Wan"
                " text-to-video with audio_url) takes no image, so the person in it would not appear."
            ),
            remedy="Wait until it has one, or write `keep_face: false` in the brief to make the clip without that person.",
        )
    words, remedy = _absence(family, routing.route, answered=family in offers)
    return wait(kind="catalogue", words=words, remedy=remedy)


def _absence(family: Family, route: Route, *, answered: bool) -> tuple[str, str]:
    """Return in words that the catalogue has no entry of a family now, and what to do."""
    if not answered:
        words = f"The service's catalogue does not answer now, and {family} is planned by its live entry."
        return words, "It is tried again later."
    if family not in LIMITS:
        words = f"The service's catalogue has no model {family} now."
        return words, "It is asked for again. Correct the id if it is misspelt: `i2v models` shows what there is."
    words = f"The service's catalogue has no model id of {family}, so the route {route} is not available."
    return words, "`i2v models` shows the available ids. I2V_MODEL_IDS sets another id."


def choose_family(
    families: Sequence[Family],
    attempt: Callable[..., Decision],
    was_sent: Callable[[str], bool],
) -> Decision:
    """Return the decision with the first family that can make the clip.

    A family whose request was sent before stays the clip's family, whatever is preferred now: another one would be paid
    for a second time. If none can make it, the first refusal is returned, or what the first family waits for.

    Args:
        families: The families, best first.
        attempt: Plans with a family, and with the number of a take.
        was_sent: Whether a request of this fingerprint was ever sent.
    """
    if len(families) == 1:
        return attempt(families[0])
    for family in families:
        first = attempt(family, 1)
        if isinstance(first, Unprepared | Unheard):
            return first  # what was sent with it is only known once its files are prepared
        if isinstance(first, Plan) and any(was_sent(each.fingerprint) for each in first.requests):
            return attempt(family)
    passed_over: list[tuple[Family, Refusal | Waiting]] = []
    for family in families:
        made = attempt(family)
        if isinstance(made, Refusal) or (isinstance(made, Waiting) and not _is_there(made)):
            passed_over.append((family, made))
            continue
        return _with_reasons(made, passed_over)
    refusals = [made for _, made in passed_over if isinstance(made, Refusal)]
    return refusals[0] if refusals else passed_over[0][1]


def _is_there(made: Waiting) -> bool:
    """Return True if the catalogue has the family, and only an agreement is missing."""
    return made.agreement


def _with_reasons(made: Decision, passed_over: Sequence[tuple[Family, Refusal | Waiting]]) -> Decision:
    if not isinstance(made, Plan) or not passed_over:
        return made
    words = tuple(f"{family} was preferred, but: {_why(other)}" for family, other in passed_over)
    return made.model_copy(update={"reasons": (*made.reasons, *words)})


def _why(made: Refusal | Waiting) -> str:
    return made.problems[0].text if isinstance(made, Refusal) else made.words
