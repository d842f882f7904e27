"""The ledger: every paid request, recorded before money can move."""

from resources.ledger.approvals import Approvals
from resources.ledger.corrections import Corrections
from resources.ledger.decisions import Decisions
from resources.ledger.film_room import FilmRoom
from resources.ledger.late_costs import LateCosts
from resources.ledger.lookouts import Lookouts
from resources.ledger.queries import Reading
from resources.ledger.responses import Responses
from resources.ledger.spending import Spending
from resources.ledger.witnessed import Witnessed


class Ledger(
    Corrections,
    FilmRoom,
    Responses,
    Decisions,
    Approvals,
    Witnessed,
    Lookouts,
    Reading,
    LateCosts,
    Spending,
):
    """One row per fingerprint, one event per change, one transaction per call. Safe for threads and processes.

    The guarantee: no POST for a fingerprint while an earlier POST for it may still be charged or deliver. Only `claim`
    allows a POST, and it takes a request out of `planned` once. A request returns to `planned` only if the POST never
    arrived, if the service answered for it, or by the decision of a person (or of `on_unknown=resubmit`).
    """
