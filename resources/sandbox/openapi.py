"""The server as an OpenAPI 3.1 document, including the models' bodies."""

from typing import Any

from resources.sandbox.faults import Fault
from resources.sandbox.prices import PriceRules
from resources.sandbox.switches import Switches
from resources.schemas.endpoints import ENDPOINTS

_REQUEST = {"name": "request_id", "in": "path", "required": True, "schema": {"type": "string"}}
_MODEL = {"name": "model_id", "in": "path", "required": True, "schema": {"enum": sorted(ENDPOINTS)}}

_OPERATIONS: tuple[tuple[str, str, str], ...] = (
    ("post", "/v1/models/{model_id}", "Submit a generation"),
    ("get", "/v1/models/{model_id}", "One catalogue entry"),
    ("get", "/v1/models", "The catalogue"),
    ("get", "/v1/models/categories", "The catalogue's categories"),
    ("get", "/v1/requests/{request_id}/status", "Where a request is"),
    ("get", "/v1/requests/{request_id}/result", "What became of a request"),
    ("post", "/v1/requests/{request_id}/cancel", "Cancel a request that waits in the queue"),
    ("get", "/v1/balance", "What is left on the account"),
    ("get", "/prod/v2/balance", "What is left on the account"),
    ("post", "/api/cli-auth/start", "Begin a device login"),
    ("post", "/api/cli-auth/poll", "Ask whether the login was approved"),
    ("get", "/api/auth/me", "Who the token belongs to"),
    ("get", "/cli-auth", "The page on which a person approves a login"),
    ("post", "/cli-auth", "The buttons of that page"),
    ("get", "/outputs/{name}", "A finished video"),
    ("get", "/_sandbox/health", "Answers once the server is up"),
    ("get", "/_sandbox/charges", "One entry per accepted submission"),
    ("get", "/_sandbox/requests", "Every request"),
    ("get", "/_sandbox/requests/{request_id}", "One request"),
    ("get", "/_sandbox/switches", "The switches"),
    ("put", "/_sandbox/switches", "Throw the named switches"),
    ("get", "/_sandbox/faults", "The faults that wait"),
    ("post", "/_sandbox/faults", "Queue a fault, or a list of them"),
    ("delete", "/_sandbox/faults", "Drop the faults that wait"),
    ("put", "/_sandbox/balance", "Set what is left on the account"),
    ("get", "/_sandbox/prices", "The hidden price rules"),
    ("put", "/_sandbox/prices", "Replace the hidden price rules"),
    ("delete", "/_sandbox/prices", "Drop the hidden price rules"),
    ("post", "/_sandbox/logins", "Approve or deny a device login"),
    ("get", "/_sandbox/catalogue", "The changes to the catalogue"),
    ("put", "/_sandbox/catalogue/{model_id}", "Change a catalogue entry by a JSON merge patch"),
    ("delete", "/_sandbox/catalogue", "Take back the changes to the catalogue"),
    ("get", "/_sandbox/openapi.json", "This document"),
)


def openapi() -> dict[str, Any]:
    """Return the document."""
    schemas: dict[str, Any] = {
        "Fault": Fault.model_json_schema(ref_template="#/components/schemas/{model}"),
        "Switches": Switches.model_json_schema(),
        "PriceRules": PriceRules.model_json_schema(),
    }
    for part in list(schemas.values()):
        schemas.update(part.pop("$defs", {}))
    bodies = {endpoint.body.__name__: endpoint.body.model_json_schema() for endpoint in ENDPOINTS.values()}
    schemas.update(bodies)
    sent = {
        ("post", "/v1/models/{model_id}"): {"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in bodies]},
        ("post", "/_sandbox/faults"): {"$ref": "#/components/schemas/Fault"},
        ("put", "/_sandbox/prices"): {"$ref": "#/components/schemas/PriceRules"},
        ("put", "/_sandbox/switches"): {"$ref": "#/components/schemas/Switches"},
    }
    paths: dict[str, Any] = {}
    for method, path, summary in _OPERATIONS:
        operation: dict[str, Any] = {"summary": summary, "responses": {"default": {"description": "JSON"}}}
        parameters = [
            parameter for name, parameter in (("{request_id}", _REQUEST), ("{model_id}", _MODEL)) if name in path
        ]
        if "{name}" in path:
            parameters.append({"name": "name", "in": "path", "required": True, "schema": {"type": "string"}})
        if parameters:
            operation["parameters"] = parameters
        if (schema := sent.get((method, path))) is not None:
            operation["requestBody"] = {"content": {"application/json": {"schema": schema}}}
        if not path.startswith(("/_sandbox", "/outputs", "/cli-auth", "/api/cli-auth")):
            operation["security"] = [{"token": []}]
        paths.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sandbox of the RunComfy Model API",
            "version": "1",
            "description": "A local stand-in. The model API is below /v1; /_sandbox is the operator's.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
