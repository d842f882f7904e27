"""What time it is at the service: presigned addresses and budgets' days go wrong where clocks disagree."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from resources.runcomfy.transport import TRANSPORT_ERRORS, open_client, tls_context


async def service_time(api_base: str) -> datetime | None:
    """The Date header of whatever the service answers, without a token; None where it tells no time or does not answer."""
    way = httpx.AsyncHTTPTransport(verify=tls_context(), trust_env=False)
    async with open_client(way, httpx.Timeout(10.0)) as client:
        try:
            async with client.stream("GET", f"{api_base.rstrip('/')}/models?limit=1") as response:
                told = parsedate_to_datetime(response.headers["Date"])
        except (*TRANSPORT_ERRORS, KeyError, ValueError):
            return None
    return told.astimezone(UTC)
