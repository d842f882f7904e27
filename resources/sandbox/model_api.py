"""The Model API: submit, status, result, cancel, and the catalogue."""

import json
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from resources.sandbox import wire_errors
from resources.sandbox.access import account_of
from resources.sandbox.core import Sandbox
from resources.sandbox.faults import MARKING_KINDS, Fault, Kind, Where
from resources.sandbox.generation import ENDED, Generation, State
from resources.sandbox.wire_errors import WireError, answer_of

BASE = "/v1"
UNKNOWN_WORD = "reticulating_splines"
"""A state that no source documents."""

_IN_ANSWER = frozenset({Kind.UNKNOWN_WORD, Kind.ODD_NUMBERS})
"""Faults that change an ordinary answer instead of taking its place."""

_MODEL_ID = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+")
_LARGEST_PAGE = 500

Work = Callable[[], Awaitable[Response]]


class ModelApi:
    """The routes below ``/v1``.

    Args:
        sandbox: The sandbox behind them.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[BaseRoute]:
        """Return the routes, the polled ones first."""
        one = BASE + "/requests/{request_id}"
        return [
            Route(one + "/status", self.status, methods=["GET"]),
            Route(one + "/result", self.result, methods=["GET"]),
            Route(one + "/cancel", self.cancel, methods=["POST"]),
            Route(BASE + "/models", self.models, methods=["GET"]),
            Route(BASE + "/models/categories", self.categories, methods=["GET"]),
            Route(BASE + "/models/{model_id:path}", self.model, methods=["GET"]),
            Route(BASE + "/models/{model_id:path}", self.submit, methods=["POST"]),
        ]

    # Submit

    async def submit(self, request: Request) -> Response:
        """Handle ``POST /models/{model_id}``: validate, fetch the media, accept and charge."""
        sandbox = self._sandbox
        model_id = request.path_params["model_id"]
        body = await request.body()
        account = account_of(request, sandbox.switches)
        self._resolve(model_id)
        fault = sandbox.take_fault(Where.SUBMIT, model_id)
        if fault is None or fault.kind in MARKING_KINDS:
            return await self._accept(request, model_id, account, body, fault)
        before = next(reversed(sandbox.requests), None)
        request_id = "no-such-request" if fault.names_id else None
        if fault.accepts:
            accepted = await self._accept(request, model_id, account, body, None)
            if accepted.status_code >= 300:
                return accepted
            if fault.kind is Kind.SAME_ID:
                return accepted if before is None else self._accepted(request, sandbox.requests[before])
            request_id = next(reversed(sandbox.requests)) if fault.names_id else None
        return answer_of(fault, sandbox.switches, request, request_id)

    async def _accept(self, request: Request, model_id: str, account: str, body: bytes, mark: Fault | None) -> Response:
        sandbox = self._sandbox
        try:
            raw = json.loads(body)
        except (ValueError, RecursionError):  # RecursionError: nested too deep
            detail = [{"type": "json_invalid", "loc": ["body"], "msg": "The body is not JSON."}]
            raise WireError(422, wire_errors.INVALID_INPUT, "The body is not JSON.", detail=detail) from None
        if sandbox.balance <= 0:
            raise WireError(
                int(sandbox.switches.no_balance), wire_errors.NO_BALANCE, "The account has no balance left."
            )
        generation = await sandbox.submit(sandbox.catalogue.endpoint(model_id, sandbox.switches), raw, account, mark)
        return self._accepted(request, generation)

    def _accepted(self, request: Request, generation: Generation) -> Response:
        content = {"request_id": generation.request_id, "status": State.IN_QUEUE, **self._urls(request, generation)}
        return JSONResponse(content, int(self._sandbox.switches.submit_status))

    def _resolve(self, model_id: str) -> None:
        if not _MODEL_ID.fullmatch(model_id):
            raise WireError(400, wire_errors.BAD_MODEL_ID, "The model id is malformed.")
        if not self._sandbox.catalogue.has(model_id, self._sandbox.switches):
            raise WireError(404, wire_errors.UNKNOWN_REQUEST, f"There is no model {model_id}.")

    # Requests

    async def status(self, request: Request) -> Response:
        """Handle ``GET /requests/{id}/status``."""
        generation = self._generation(request)
        fault = self._fault(Where.STATUS, generation, request)
        if fault is not None and fault.kind not in _IN_ANSWER:
            return answer_of(fault, self._sandbox.switches, request)
        now = time.time()
        state = generation.state(now)
        content: dict[str, Any] = {
            "request_id": generation.request_id,
            "status": UNKNOWN_WORD if fault and fault.kind is Kind.UNKNOWN_WORD else self._status_word(state),
        }
        if state is State.IN_QUEUE:
            content["queue_position"] = self._sandbox.queue_position(generation, now)
        content.update(self._urls(request, generation))
        return _with_odd_numbers(content) if fault and fault.kind is Kind.ODD_NUMBERS else JSONResponse(content)

    def _status_word(self, state: State) -> str:
        switches = self._sandbox.switches
        match state:
            case State.SUCCEEDED:
                return "completed"
            case State.FAILED:
                return switches.failed_status
            case State.CANCELLED:
                return switches.cancelled_word
            case _:
                return state.value

    def _result_word(self, state: State) -> str:
        switches = self._sandbox.switches
        match state:
            case State.CANCELLED:
                return switches.cancelled_word
            case State.IN_QUEUE:
                return switches.waiting_word
            case State.IN_PROGRESS:
                return switches.working_word
            case _:
                return state.value

    async def result(self, request: Request) -> Response:
        """Handle ``GET /requests/{id}/result``."""
        sandbox, switches = self._sandbox, self._sandbox.switches
        generation = self._generation(request)
        fault = self._fault(Where.RESULT, generation, request)
        if fault is not None and fault.kind not in _IN_ANSWER:
            return answer_of(fault, switches, request)
        now = time.time()
        state = generation.state(now)
        if state not in ENDED and switches.early_result == "400":
            raise WireError(400, wire_errors.NOT_READY, "The result is not ready.")
        finished = generation.finished_at(now)
        content: dict[str, Any] = {
            "request_id": generation.request_id,
            "status": self._result_word(state),
            "model_id": switches.answering_model or generation.model_id,
            "created_at": _iso(generation.created_at),
            "finished_at": None if finished is None else _iso(finished),
        }
        if fault and fault.kind is Kind.UNKNOWN_WORD:
            content["status"] = UNKNOWN_WORD
        if switches.echo_input:
            content["input"] = generation.body
        if state is State.SUCCEEDED:
            content["output"] = self._output(request, generation)
        elif state is State.FAILED:
            text = generation.failure
            content["error"] = text if switches.failed_error == "string" else {"code": "FAILED", "message": text}
        elif state is State.IN_QUEUE:
            content["queue_position"] = sandbox.queue_position(generation, now)
        wants_cost = request.query_params.get("include_cost", "").lower() in ("true", "1")
        delay = generation.cost_delay_seconds
        known = delay is not None and finished is not None and now >= finished + switches.cost_delay_seconds + delay
        if wants_cost and switches.cost and known:
            free = sandbox.is_refunded(generation)
            content["cost"] = 0.0 if free else generation.price_microdollars / 1_000_000
            if generation.told_cost_usd is not None:
                content["cost"] = generation.told_cost_usd
        return _with_odd_numbers(content) if fault and fault.kind is Kind.ODD_NUMBERS else JSONResponse(content)

    def _output(self, request: Request, generation: Generation) -> dict[str, Any]:
        """Return the addresses of a finished request in the shape that the switch `output` asks for."""
        url = generation.hostile_url or self._output_url(request, generation)
        beside = f"{url.removesuffix('.mp4')}."
        match self._sandbox.switches.output:
            case "videos":
                return {"videos": [url]}
            case "cover_first":
                return {"video_cover": f"{beside}cover.jpg", "video": url}
            case "gone_first":
                return {"videos": [f"{beside}gone.mp4", url]}
            case "unnamed":
                return {"preview": f"{beside}cover.jpg", "file": url}
            case _:
                return {"video": url}

    async def cancel(self, request: Request) -> Response:
        """Handle ``POST /requests/{id}/cancel``, which works only in the queue."""
        sandbox = self._sandbox
        generation = self._generation(request)
        fault = sandbox.take_fault(Where.CANCEL, generation.model_id, generation.request_id)
        if fault is not None and not fault.accepts:
            return answer_of(fault, sandbox.switches, request)
        cancelled = sandbox.cancel(generation)
        if fault is not None:
            return answer_of(fault, sandbox.switches, request)
        content = {
            "request_id": generation.request_id,
            "status": self._status_word(generation.state(time.time())),
            "outcome": sandbox.switches.cancel_outcome if cancelled else "not_cancellable",
        }
        return JSONResponse(content, 202)

    def _generation(self, request: Request) -> Generation:
        account = account_of(request, self._sandbox.switches)
        generation = self._sandbox.requests.get(request.path_params["request_id"])
        if generation is None:
            raise WireError(404, wire_errors.UNKNOWN_REQUEST, "The request is unknown, deleted or expired.")
        if generation.account != account:
            raise WireError(403, wire_errors.NOT_YOURS, "The request belongs to another account.")
        return generation

    def _fault(self, where: Where, generation: Generation, request: Request) -> Fault | None:
        """Return the fault that answers this call; one that marks the request is stored with it first."""
        fault = self._sandbox.take_fault(where, generation.model_id, generation.request_id, method=request.method)
        if fault is not None and fault.kind in MARKING_KINDS:
            self._sandbox.mark(generation, fault)
            return None
        return fault

    def _urls(self, request: Request, generation: Generation) -> dict[str, str]:
        base = f"{request.url.scheme}://{request.headers.get('host', '')}{BASE}/requests/{generation.request_id}"
        return {"status_url": f"{base}/status", "result_url": f"{base}/result", "cancel_url": f"{base}/cancel"}

    def _output_url(self, request: Request, generation: Generation) -> str:
        base = self._sandbox.config.public_base.rstrip("/") or f"http://{request.headers.get('host', '')}"
        return f"{base}/outputs/{generation.request_id}.mp4"

    # Catalogue

    async def models(self, request: Request) -> Response:
        """Handle ``GET /models``."""
        self._catalogue_call(request)
        if (answer := self._models_fault(request)) is not None:
            return answer
        query = request.query_params
        limit, offset = (
            _number(query.get("limit"), "limit", 100, 1, _LARGEST_PAGE),
            _number(query.get("offset"), "offset", 0, 0, 10**9),
        )
        found = self._sandbox.catalogue.entries(self._sandbox.switches)
        search = query.get("search", "").lower()
        found = [entry for entry in found if search in f"{entry['model_id']} {entry.get('display_name', '')}".lower()]
        if category := query.get("category"):
            found = [entry for entry in found if category in entry.get("categories", [])]
        if kind := query.get("kind"):
            found = [entry for entry in found if kind == entry.get("kind")]
        page = found[offset : offset + limit]
        if query.get("include_schema", "").lower() not in ("true", "1"):
            page = [{name: value for name, value in entry.items() if name != "input_schema"} for entry in page]
        return JSONResponse({"models": page, "total": len(found), "limit": limit, "offset": offset})

    async def categories(self, request: Request) -> Response:
        """Handle ``GET /models/categories``."""
        self._catalogue_call(request)
        if (answer := self._models_fault(request)) is not None:
            return answer
        entries = self._sandbox.catalogue.entries(self._sandbox.switches)
        return JSONResponse({"categories": sorted({name for entry in entries for name in entry.get("categories", [])})})

    async def model(self, request: Request) -> Response:
        """Handle ``GET /models/{model_id}``."""
        self._catalogue_call(request)
        model_id = request.path_params["model_id"]
        if (answer := self._models_fault(request, model_id)) is not None:
            return answer
        self._resolve(model_id)
        return JSONResponse(self._sandbox.catalogue.entry(model_id, self._sandbox.switches))

    def _catalogue_call(self, request: Request) -> None:
        account_of(request, self._sandbox.switches)

    def _models_fault(self, request: Request, model_id: str | None = None) -> Response | None:
        fault = self._sandbox.take_fault(Where.MODELS, model_id, method=request.method)
        return None if fault is None else answer_of(fault, self._sandbox.switches, request)


def _number(text: str | None, name: str, default: int, least: int, most: int) -> int:
    if text is None:
        return default
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        detail = [{"type": "value_error", "loc": ["query", name], "msg": f"must be {least} to {most}"}]
        raise WireError(422, wire_errors.INVALID_INPUT, f"{name} must be {least} to {most}.", detail=detail)
    return number


def _with_odd_numbers(content: dict[str, Any]) -> Response:
    """Return an answer in which every number and time is one that cannot be."""
    odd = {"queue_position": -(10**30), "created_at": 1e300, "finished_at": -1e300, "poll_after": 1e300}
    body = json.dumps({**content, **odd, "cost": float("nan") if "cost" in content else None})
    return Response(body, media_type="application/json")


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
