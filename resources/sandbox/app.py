"""The Starlette application: every route, and errors in the service's format."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from resources.sandbox import wire_errors
from resources.sandbox.account_api import AccountApi
from resources.sandbox.core import Sandbox
from resources.sandbox.model_api import ModelApi
from resources.sandbox.operator_api import OperatorApi
from resources.sandbox.outputs import Outputs
from resources.sandbox.wire_errors import WireError, error_response


def create_app(sandbox: Sandbox) -> Starlette:
    """Return the application over a sandbox that it opens and closes."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await sandbox.open()
        yield
        await sandbox.close()

    async def wire_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, WireError)  # noqa: S101 - registered for this type below
        return error.response(sandbox.switches)

    async def http_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type below
        code = error.status_code * 1000
        return error_response(
            sandbox.switches, error.status_code, code, error.detail, headers=dict(error.headers or {})
        )

    async def crash(_: Request, __: Exception) -> Response:
        return error_response(sandbox.switches, 500, wire_errors.INTERNAL, "The sandbox has a fault of its own.")

    routes = [
        *ModelApi(sandbox).routes(),
        *Outputs(sandbox).routes(),
        *AccountApi(sandbox).routes(),
        *OperatorApi(sandbox).routes(),
    ]
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={WireError: wire_error, HTTPException: http_error, Exception: crash},
    )
    app.router.redirect_slashes = False  # docs/runcomfy-api.md, section 9: no redirects
    return app
