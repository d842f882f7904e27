"""``/_sandbox/``: the API for operators and tests. It needs no token."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from resources.sandbox import wire_errors
from resources.sandbox.core import Sandbox
from resources.sandbox.faults import Fault
from resources.sandbox.generation import Generation
from resources.sandbox.logins import Decision
from resources.sandbox.openapi import openapi
from resources.sandbox.prices import PriceRules
from resources.sandbox.state import without_grants
from resources.sandbox.switches import Switches
from resources.sandbox.wire_errors import WireError

BASE = "/_sandbox"
Model = TypeVar("Model", bound=BaseModel)
Handler = Callable[[Request], Awaitable[Response]]


class NewBalance(BaseModel):
    """The account's new balance."""

    model_config = ConfigDict(extra="forbid")

    balance_usd: float


class LoginDecision(BaseModel):
    """The person's decision on a device login."""

    model_config = ConfigDict(extra="forbid")

    user_code: str
    decision: Decision = Field("authorized")


class OperatorApi:
    """The operator's routes.

    Args:
        sandbox: The sandbox that they show and change.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        table: tuple[tuple[str, str, Handler], ...] = (
            ("GET", "/health", self.health),
            ("GET", "/charges", self.charges),
            ("GET", "/requests", self.requests),
            ("GET", "/requests/{request_id}", self.request),
            ("GET", "/switches", self.switches),
            ("PUT", "/switches", self.set_switches),
            ("GET", "/faults", self.faults),
            ("POST", "/faults", self.add_fault),
            ("DELETE", "/faults", self.clear_faults),
            ("PUT", "/balance", self.set_balance),
            ("GET", "/prices", self.prices),
            ("PUT", "/prices", self.set_prices),
            ("DELETE", "/prices", self.clear_prices),
            ("POST", "/logins", self.decide_login),
            ("GET", "/catalogue", self.catalogue),
            ("PUT", "/catalogue/{model_id:path}", self.change_catalogue),
            ("DELETE", "/catalogue", self.restore_catalogue),
            ("GET", "/openapi.json", self.openapi),
        )
        return [Route(BASE + path, handler, methods=[method]) for method, path, handler in table]

    async def health(self, request: Request) -> Response:
        """Answer once the server is up."""
        config = self._sandbox.config
        return JSONResponse({"ok": True, "requests": len(self._sandbox.requests), "render": config.render})

    # Money and requests

    async def charges(self, request: Request) -> Response:
        """Return one entry per accepted submission; refunds are not in the total."""
        items = list(self._sandbox.requests.values())
        return JSONResponse(
            {
                "count": len(items),
                "total_microdollars": sum(item.price_microdollars for item in items) - self._sandbox.refunded,
                "charges": [
                    {
                        "request_id": item.request_id,
                        "model_id": item.model_id,
                        "input_sha256": item.input_sha256,
                        "price_microdollars": item.price_microdollars,
                        "at": item.created_at,
                        "refunded": self._sandbox.is_refunded(item),
                    }
                    for item in items
                ],
            }
        )

    async def requests(self, request: Request) -> Response:
        """Return every request with its state and times."""
        now = time.time()
        items = [self._plain(item, now) for item in self._sandbox.requests.values()]
        return JSONResponse({"count": len(items), "requests": items})

    async def request(self, request: Request) -> Response:
        """Return one request."""
        generation = self._sandbox.requests.get(request.path_params["request_id"])
        if generation is None:
            raise WireError(404, wire_errors.UNKNOWN_REQUEST, "There is no such request.")
        return JSONResponse(self._plain(generation, time.time()))

    def _plain(self, generation: Generation, now: float) -> dict[str, Any]:
        return {
            **generation.model_dump(mode="json", exclude={"hostile_url", "job"}),
            "body": without_grants(generation.body),
            "state": generation.state(now),
            "finished_at": generation.finished_at(now),
            "width": generation.job.width,
            "height": generation.job.height,
            "seconds": generation.job.seconds,
            "media": list(generation.job.media),
        }

    # Switches and faults

    async def switches(self, request: Request) -> Response:
        """Return the current switches."""
        return JSONResponse(self._sandbox.switches.model_dump(mode="json"))

    async def set_switches(self, request: Request) -> Response:
        """Set the named switches; the others stay. An empty object changes nothing."""
        changes = await _json(request)
        if not isinstance(changes, dict):
            raise _invalid_body("The body is not an object.")
        merged = {**self._sandbox.switches.model_dump(mode="json"), **changes}
        self._sandbox.set_switches(_checked(Switches, merged))
        return await self.switches(request)

    async def faults(self, request: Request) -> Response:
        """Return the queued faults."""
        waiting = self._sandbox.faults.queued
        return JSONResponse(
            {
                "count": len(waiting),
                "faults": [
                    {**entry.fault.model_dump(mode="json", exclude_none=True), "left": entry.left, "hit": entry.hit}
                    for entry in waiting
                ],
            }
        )

    async def add_fault(self, request: Request) -> Response:
        """Queue a fault, or a list of them."""
        raw = await _json(request)
        faults = [_checked(Fault, part) for part in (raw if isinstance(raw, list) else [raw])]
        for fault in faults:
            self._sandbox.faults.add(fault)
        self._sandbox.store_faults()
        return JSONResponse({"queued": len(faults)}, 201)

    async def clear_faults(self, request: Request) -> Response:
        """Remove every queued fault; requests keep the faults that they carry."""
        cleared = self._sandbox.faults.clear()
        self._sandbox.store_faults()
        return JSONResponse({"cleared": cleared})

    # Account and catalogue

    async def set_balance(self, request: Request) -> Response:
        """Set the account's balance."""
        self._sandbox.set_balance(round(_checked(NewBalance, await _json(request)).balance_usd * 1_000_000))
        return JSONResponse({"balance_microdollars": self._sandbox.balance})

    async def prices(self, request: Request) -> Response:
        """Return the hidden price rules."""
        return JSONResponse(self._sandbox.prices.model_dump(mode="json"))

    async def set_prices(self, request: Request) -> Response:
        """Replace the hidden price rules; a rule that is not named does not apply."""
        self._sandbox.set_prices(_checked(PriceRules, await _json(request)))
        return await self.prices(request)

    async def clear_prices(self, request: Request) -> Response:
        """Drop the hidden price rules: every request costs the base."""
        self._sandbox.set_prices(PriceRules())
        return await self.prices(request)

    async def decide_login(self, request: Request) -> Response:
        """Approve or deny a device login."""
        said = _checked(LoginDecision, await _json(request))
        login = self._sandbox.logins.of_user(said.user_code)
        if login is None:
            raise WireError(404, wire_errors.UNKNOWN_REQUEST, "There is no login with this code.")
        login.decision = said.decision
        return JSONResponse({"status": login.status})

    async def catalogue(self, request: Request) -> Response:
        """Return the changes to the catalogue, by model id."""
        return JSONResponse(self._sandbox.catalogue.changes)

    async def change_catalogue(self, request: Request) -> Response:
        """Change an entry by a JSON merge patch. Null removes, so a field can be renamed or a limit moved."""
        model_id = request.path_params["model_id"]
        if not self._sandbox.catalogue.known(model_id):
            raise WireError(404, wire_errors.UNKNOWN_REQUEST, f"There is no model {model_id}.")
        patch = await _json(request)
        if not isinstance(patch, dict):
            raise _invalid_body("The body is not an object.")
        self._sandbox.set_catalogue_changes({**self._sandbox.catalogue.changes, model_id: patch})
        return await self.catalogue(request)

    async def restore_catalogue(self, request: Request) -> Response:
        """Undo every change to the catalogue."""
        self._sandbox.set_catalogue_changes({})
        return await self.catalogue(request)

    async def openapi(self, request: Request) -> Response:
        """Return this server as an OpenAPI document."""
        return JSONResponse(openapi())


def _invalid_body(text: str) -> WireError:
    return WireError(
        422, wire_errors.INVALID_INPUT, text, detail=[{"type": "value_error", "loc": ["body"], "msg": text}]
    )


async def _json(request: Request) -> Any:
    try:
        return await request.json()
    except (ValueError, RecursionError):
        raise _invalid_body("The body is not JSON.") from None


def _checked(model: type[Model], raw: object) -> Model:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        detail = [
            {"type": part["type"], "loc": ["body", *part["loc"]], "msg": part["msg"]}
            for part in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        text = "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in detail)
        raise WireError(422, wire_errors.INVALID_INPUT, text, detail=detail) from None
