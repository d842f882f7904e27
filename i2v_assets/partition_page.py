"""The page of a partition: where there was no materialization yet, its latest observation stands in place.

Dagster's page chooses the latest materialization in the browser and leaves observations behind a button, although the part that
draws the choice draws an observation too. No answer of the server changes that, so the one script that chooses is served
with two expressions changed. Why, and what was tried before: docs/adr/0013-a-partition-without-a-video-says-why-in-place.md.
"""

import hashlib
import logging
import re
from importlib.util import find_spec
from pathlib import Path

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from resources.own_origin import SAFE_METHODS, headers_of

log = logging.getLogger(__name__)

QUERY = "query AssetPartitionDetailQuery("
"""What the page asks the server for; only the script that holds the page has it."""

_CHOICE = re.compile(
    r"""(?P<made>[\w$]+)=(?P<all>[\w$]+)\.filter\((?P<e>[\w$]+)=>"MaterializationEvent"===(?P=e)\.__typename\)"""
    r"""(?P<between>.{1,400}?latestMaterialization:)null!=\((?P<first>[\w$]+)=(?P=made)\[0\]\)\?(?P=first):null"""
)
"""What the page is about: ``latestMaterialization: materializations[0] ?? null``, newest first."""

_MARK = re.compile(
    r"""(?P<latest>[\w$]+)\?(?P<before>\(0,[\w$.]+\)\([\w$.]+,\{intent:)"success",children:"Materialized"\}\):void 0"""
)
"""The green mark beside the partition's name."""

NOT_MADE = "Not materialized"
"""The mark of a partition that has an observation alone."""


def with_observations(script: str) -> str | None:
    """Return the page's script as it is served here; None if this release of Dagster has other expressions."""
    script, chosen = _CHOICE.subn(
        r'\g<made>=\g<all>.filter(\g<e>=>"MaterializationEvent"===\g<e>.__typename)\g<between>'
        r'\g<made>[0]||\g<all>.find(\g<e>=>"ObservationEvent"===\g<e>.__typename)||null',
        script,
    )
    script, marked = _MARK.subn(
        r'\g<latest>?"MaterializationEvent"===\g<latest>.__typename?\g<before>"success",children:"Materialized"}):'
        rf'\g<before>"none",children:"{NOT_MADE}"}}):void 0',
        script,
    )
    return script if (chosen, marked) == (1, 1) else None


def dagster_scripts() -> Path | None:
    """Return the folder of the scripts of the installed Dagster webserver, without importing it; None if it is not installed."""
    found = find_spec("dagster_webserver")
    return Path(found.origin).parent / "webapp/build/_next/static/chunks" if found and found.origin else None


def page_scripts(folder: Path | None) -> dict[str, bytes]:
    """Return the changed script by its file's name, in which Dagster's build puts a hash of the content.

    Empty, with a warning, if it is not found or has other expressions: then the page is Dagster's own.
    """
    for file in sorted(folder.glob("*.js")) if folder is not None else ():
        try:
            script = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if QUERY in script and (changed := with_observations(script)) is not None:
            return {file.name: changed.encode()}
    log.warning(
        "Dagster's page of a partition has changed. A clip without a video says why behind View all historical events."
    )
    return {}


class PartitionPage:
    """ASGI middleware that serves the changed script in the place of Dagster's, which a proxy may lead to.

    Args:
        app: Dagster's webserver, or a proxy to one. Another release there has files of other names, and keeps them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._scripts = page_scripts(dagster_scripts())
        self._tags = {name: f'"{hashlib.sha256(script).hexdigest()[:32]}"' for name, script in self._scripts.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the script, or pass the request on."""
        name = scope.get("path", "").rpartition("/")[2]
        if scope["type"] != "http" or scope["method"] not in SAFE_METHODS or name not in self._scripts:
            await self._app(scope, receive, send)
            return
        tag = self._tags[name]
        known = tag.encode() in b",".join(value.encode() for value in headers_of(scope, b"if-none-match"))
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        answer = (
            Response(status_code=304, headers=headers)
            if known
            else Response(self._scripts[name], media_type="text/javascript", headers=headers)
        )
        await answer(scope, receive, send)
