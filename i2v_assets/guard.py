"""The guard before Dagster's webserver, which takes mutations by GET, from any origin and under any host name.

In one process with the webserver it is `i2v_assets.webserver`; as a proxy before a webserver that something else starts
it is `i2v_assets.guard_proxy`.
"""

from collections.abc import Iterable
from http import HTTPStatus

from graphql import DocumentNode, GraphQLError, OperationDefinitionNode, OperationType, parse
from starlette.datastructures import QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from resources.own_origin import SAFE_METHODS, OwnOriginOnly, Refusal, answer, headers_of

HEALTH_PATH = "/server_info"
"""Dagster's versions and nothing else."""

_MOST_TOKENS = 10_000
"""Dagster's own longest query has about 3,000; more would only keep the parser busy."""

_OF_GRAPHQL = frozenset({"query", "variables", "operationname", "extensions", "documentid", "queryid"})
"""Parameters that GraphQL servers read from an address. Dagster reads the first three."""

_PERSISTED = frozenset({"extensions", "documentid", "queryid"})
"""They name a document that the guard does not see."""

_HEADERS = (
    (b"x-frame-options", b"SAMEORIGIN"),  # no page draws the UI under its own buttons
    (b"content-security-policy", b"frame-ancestors 'self'"),
    (b"cross-origin-resource-policy", b"same-origin"),  # nor reads its answers as a picture or a script
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
)


class Guard:
    """ASGI middleware around Dagster's app, which passes on what the UI and programs send.

    * `Host`: the names of this machine and those given; the health path answers under any.
    * Everything but GET and HEAD: an own `Origin` or none, `Sec-Fetch-Site` of the own origin or none, JSON only.
    * GET and HEAD: no GraphQL but queries.
    * WebSockets: an own `Origin`.

    Args:
        app: Dagster's webserver, or a proxy to it.
        names: host names beside those of this machine (I2V_UI_HOSTS).
    """

    def __init__(self, app: ASGIApp, names: Iterable[str] = ()) -> None:
        self._app = app
        self._own = OwnOriginOnly(app, names, exempt=(HEALTH_PATH,))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or say why not."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            await send(_with_headers(message) if message["type"] == "http.response.start" else message)

        refused = self._own.refusal(scope) or (_refuse_http(scope) if scope["type"] == "http" else None)
        if refused is None:
            await self._app(scope, receive, with_headers)
        else:
            await answer(refused, scope, with_headers)


def _with_headers(message: Message) -> Message:
    """Return the start of an answer with the guard's headers; a second policy of contents holds beside the first."""
    given = list(message.get("headers", ()))
    names = {name.lower() for name, _ in given} - {b"content-security-policy"}
    return {**message, "headers": [*given, *(header for header in _HEADERS if header[0] not in names)]}


def _refuse_http(scope: Scope) -> Refusal | None:
    if scope["method"] in SAFE_METHODS:
        return _refuse_address(scope) if _is_graphql(scope) else None
    if not _is_json(headers_of(scope, b"content-type")):
        return Refusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send JSON: Content-Type: application/json. Nothing was done."
        )
    if _is_graphql(scope) and _parameters(scope).keys() & _OF_GRAPHQL:
        return Refusal(HTTPStatus.BAD_REQUEST, "Send the query in the body, not in the address. Nothing was done.")
    return None


def _is_graphql(scope: Scope) -> bool:
    """Return whether the path may lead to GraphQL, also under a prefix or with doubled slashes."""
    return "graphql" in scope["path"].lower()


def _parameters(scope: Scope) -> dict[str, list[str]]:
    """Return all values by name in lower case, read with the library that Dagster's app reads them with."""
    found: dict[str, list[str]] = {}
    for name, value in QueryParams(scope["query_string"]).multi_items():
        found.setdefault(name.lower(), []).append(value)
    return found


def _refuse_address(scope: Scope) -> Refusal | None:
    """Return why what stands in the address is not a mere query."""
    parameters = _parameters(scope)
    if all(map(_only_reads, parameters.get("query", ()))) and not parameters.keys() & _PERSISTED:
        return None
    return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Only queries may be sent by GET. Nothing was done.")


def _only_reads(text: str) -> bool:
    """Return whether a GraphQL document is well formed and holds queries and fragments alone.

    Which operation a request names does not count: one that changes something is refused also beside one that does not.
    """
    try:
        document: DocumentNode = parse(text, no_location=True, max_tokens=_MOST_TOKENS)
    except (GraphQLError, RecursionError):
        return False
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    return all(node.operation is OperationType.QUERY for node in operations)


def _is_json(values: list[str]) -> bool:
    """Return whether there is one `Content-Type`, which is JSON with at most a charset of UTF-8."""
    if len(values) != 1:
        return False
    kind, *parameters = (part.strip().lower() for part in values[0].split(";"))
    return kind == "application/json" and all(part in ("", "charset=utf-8", 'charset="utf-8"') for part in parameters)
