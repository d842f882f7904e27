"""One webserver of the tests, and what pages and programs send to it."""

import http.client
import json
import socket
from dataclasses import dataclass
from urllib.parse import quote

import dagster as dg

HOSTILE = (
    "x ![z](/graphql?query=mutation{launchPipelineExecution}).png",
    "![z][1] [1]: /graphql?query=x",
    "[click](javascript:alert(1)) [me](https://evil.example)",
    "<img src=x onerror=alert(1)> <script>alert(1)</script> <a href=https://evil.example>a</a>",
    "<https://evil.example> www.evil.example https://evil.example/x a@evil.example",
    "a | b `code` **bold** ~~gone~~ # no heading",
    "# no heading",
    "- no list",
    "1. no list",
    "&lt;b&gt; photo\u202egnp.exe \x1b[31mred",
)
"""Names and words as strangers write them."""

LAUNCH = (
    'mutation Launch { launchPipelineExecution(executionParams: {selector: {repositoryLocationName: "small", '
    'repositoryName: "__repository__", pipelineName: "paid"}, runConfigData: "{}"}) '
    "{ __typename ... on PythonError { message } } }"
)
"""What starts a run, as a page would write it."""

LOCATION = f"""
import dagster as dg
from i2v_assets.pipeline.metadata import thumbnail_markdown
from resources.messages import escape_markdown

HOSTILE = {HOSTILE!r}
TRAP = "![a picture](/graphql?query={quote(LAUNCH)})"

@dg.op
def step(context):
    context.log.info("a line of the log")

@dg.job
def paid():
    step()

@dg.sensor(job=paid, minimum_interval_seconds=3600)
def hourly():
    return dg.SkipReason("nothing")

@dg.asset
def made():
    rows = ["| name | why |", "|---|---|", *(f"| {{escape_markdown(text)}} | {{escape_markdown(text)}} |" for text in HOSTILE)]
    entries = [f"* {{escape_markdown(text)}}" for text in HOSTILE]
    return dg.MaterializeResult(metadata={{
        "table": dg.MetadataValue.md("\\n".join(rows)),
        "entries": dg.MetadataValue.md("\\n".join(entries)),
        "trap": dg.MetadataValue.md(TRAP),
    }})

defs = dg.Definitions(jobs=[paid], sensors=[hourly], assets=[made, dg.AssetSpec("outside")])
"""


READ = "query Read { version }"


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Site:
    """One webserver."""

    port: int
    instance: dg.DagsterInstance

    def raw(self, head: list[str], body: bytes = b"") -> Answer:
        """Send lines of a request as they are, and read the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall("\r\n".join([*head, "", ""]).encode("latin-1") + body)
            answer = http.client.HTTPResponse(connection, method=head[0].partition(" ")[0])
            answer.begin()
            headers: dict[str, str] = {}
            for name, value in answer.getheaders():
                headers[name.lower()] = ", ".join(filter(None, (headers.get(name.lower()), value)))
            return Answer(answer.status, headers, b"" if answer.status == 101 else answer.read())

    def call(self, method: str, path: str, *headers: str, host: str | None = None, body: bytes = b"") -> Answer:
        """Send a request with these header lines."""
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {host or f'127.0.0.1:{self.port}'}",
            "Connection: close",
            *headers,
        ]
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        return self.raw(lines, body)

    def runs(self) -> int:
        """How many runs were asked for so far, whoever did it."""
        return self.instance.get_runs_count()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def in_address(query: str, **more: str) -> str:
    """The address that asks a query."""
    return "/graphql?" + "&".join(f"{name}={quote(value)}" for name, value in {"query": query, **more}.items())


def document(query: str) -> bytes:
    """The body that asks a query."""
    return json.dumps({"query": query}).encode()
