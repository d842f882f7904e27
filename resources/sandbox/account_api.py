"""The service's routes outside the Model API: balance, current account, and the device login."""

import html
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from resources.sandbox.access import account_of
from resources.sandbox.core import Sandbox
from resources.sandbox.faults import Fault, Where
from resources.sandbox.logins import POLL_SECONDS, Login
from resources.sandbox.wire_errors import answer_of

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sandbox login</title>
<style>body{{font:16px system-ui;max-width:30em;margin:15vh auto;padding:0 1em}}code{{font-size:2em}}
button{{font:inherit;padding:.5em 1.2em;margin-right:1em}}</style>
<h1>Sandbox login</h1>{content}</html>"""

_ENTRY = """<form method="get" action="/cli-auth"><label>The code that the program shows:
<input name="code" autocomplete="off" required></label> <button>Continue</button></form>
<p>Waiting now (this is a sandbox, so it tells): {waiting}</p>"""

_FORM = """<p>A program asks for access with this code:</p><p><code>{code}</code></p>
<form method="post" action="/cli-auth"><input type="hidden" name="code" value="{code}">
<button name="decision" value="authorized">Authorize</button><button name="decision" value="denied">Deny</button></form>"""


class AccountApi:
    """The routes outside ``/v1``.

    Args:
        sandbox: The sandbox behind them.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/prod/v2/balance", self.balance, methods=["GET"]),
            Route("/v1/balance", self.balance, methods=["GET"]),
            Route("/api/auth/me", self.who, methods=["GET"]),
            Route("/api/cli-auth/start", self.start, methods=["POST"]),
            Route("/api/cli-auth/poll", self.poll, methods=["POST"]),
            Route("/cli-auth", self.page, methods=["GET"]),
            Route("/cli-auth", self.decide, methods=["POST"]),
        ]

    def _fault(self, where: Where, request: Request) -> Fault | None:
        return self._sandbox.take_fault(where, method=request.method)

    async def balance(self, request: Request) -> Response:
        """Handle ``GET /balance``."""
        account_of(request, self._sandbox.switches)
        if (fault := self._fault(Where.BALANCE, request)) is not None:
            return answer_of(fault, self._sandbox.switches, request)
        left = self._sandbox.balance
        return JSONResponse(
            {"balance_usd": round(left / 1_000_000, 2), "balance_microdollars": left, "currency": "USD"}
        )

    async def who(self, request: Request) -> Response:
        """Handle ``GET /api/auth/me``."""
        account = account_of(request, self._sandbox.switches)
        if (fault := self._fault(Where.LOGIN, request)) is not None:
            return answer_of(fault, self._sandbox.switches, request)
        return JSONResponse({"id": f"{account}-user", "email": f"{account}@sandbox.invalid", "token_type": "Bearer"})

    async def start(self, request: Request) -> Response:
        """Handle ``POST /api/cli-auth/start``."""
        if (fault := self._fault(Where.LOGIN, request)) is not None:
            return answer_of(fault, self._sandbox.switches, request)
        login = self._sandbox.logins.start(self._sandbox.switches.login_seconds)
        base = f"{request.url.scheme}://{request.headers.get('host', '')}"
        return JSONResponse(
            {
                "device_code": login.device_code,
                "user_code": login.user_code,
                "verify_url": f"{base}/cli-auth",
                "expires_in": round(self._sandbox.switches.login_seconds),
                "poll_interval": POLL_SECONDS,
            }
        )

    async def poll(self, request: Request) -> Response:
        """Handle ``POST /api/cli-auth/poll``."""
        if (fault := self._fault(Where.LOGIN, request)) is not None:
            return answer_of(fault, self._sandbox.switches, request)
        try:
            raw = await request.json()
        except (ValueError, RecursionError):
            raw = None
        code = raw.get("device_code") if isinstance(raw, dict) else None
        login = self._sandbox.logins.of_device(code) if isinstance(code, str) else None
        if login is not None and login.status == "pending" and self._sandbox.switches.login_auto_approve:
            login.decision = "authorized"
        return self._poll_answer(login)

    def _poll_answer(self, login: Login | None) -> Response:
        status = "expired" if login is None else login.status
        content = {"status": status}
        if login is not None and status == "authorized":
            content["access_token"] = login.token
        ended = status in ("denied", "expired")
        return JSONResponse(content, int(self._sandbox.switches.login_ended_status) if ended else 200)

    async def page(self, request: Request) -> Response:
        """Return the page on which a person approves a login."""
        if "code" not in request.query_params:
            waiting = ", ".join(html.escape(login.user_code) for login in self._sandbox.logins.pending())
            return HTMLResponse(_PAGE.format(content=_ENTRY.format(waiting=waiting or "none")))
        login = self._sandbox.logins.of_user(request.query_params.get("code", "").strip().upper())
        if login is None or login.status != "pending":
            return HTMLResponse(_PAGE.format(content="<p>This code is unknown, used or expired.</p>"), 404)
        return HTMLResponse(_PAGE.format(content=_FORM.format(code=html.escape(login.user_code))))

    async def decide(self, request: Request) -> Response:
        """Record the decision of the page's buttons."""
        fields = parse_qs((await request.body()).decode("utf-8", "replace"))
        login = self._sandbox.logins.of_user(fields.get("code", [""])[0].strip().upper())
        decision = fields.get("decision", [""])[0]
        if login is None or login.status != "pending" or decision not in ("authorized", "denied"):
            return HTMLResponse(_PAGE.format(content="<p>This code is unknown, used or expired.</p>"), 404)
        login.decision = "authorized" if decision == "authorized" else "denied"
        return HTMLResponse(_PAGE.format(content=f"<p>The login was {login.decision}. You can close this page.</p>"))
