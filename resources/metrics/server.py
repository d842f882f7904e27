"""The exporter's HTTP server."""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from resources.ledger.ledger import Ledger
from resources.metrics.collector import LedgerCollector
from resources.own_origin import LOOPBACK_NAMES, host_is_own, parse_hosts
from resources.settings import LOOPBACK_HOSTS, Settings

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@contextmanager
def serving(settings: Settings, *, host: str, port: int) -> Iterator[int]:
    """Serve ``/metrics`` for the length of the block; yield the port (``port`` 0 picks a free one).

    It answers under this machine's names and I2V_UI_HOSTS; where it listens for other machines under addresses too, by
    which Prometheus finds its targets.

    Raises:
        OSError: the port is in use.
    """
    collector = LedgerCollector(settings, lambda: Ledger.open(settings.ledger_address))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    names = LOOPBACK_NAMES | parse_hosts(settings.ui_hosts)
    app = _under(names, make_wsgi_app(registry), addresses=host not in LOOPBACK_HOSTS)
    server = make_server(host, port, app, _ServerV6 if ":" in host else ThreadingWSGIServer, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield int(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        collector.close()


class _ServerV6(ThreadingWSGIServer):
    address_family = socket.AF_INET6


class _Quiet(WSGIRequestHandler):
    """Keeps no log of scrapes."""

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing."""


def _under(names: frozenset[str], app: Application, *, addresses: bool) -> Application:
    """Return the app behind a check of the host name: a name that a page's owner makes point here is refused."""

    def checked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        host = str(environ.get("HTTP_HOST", ""))
        if host_is_own(host, names) or (addresses and _is_address(host)):
            return app(environ, start_response)
        start_response("400 Bad Request", [("Content-Type", "text/plain; charset=utf-8")])
        return [b"The metrics do not answer under this host name; I2V_UI_HOSTS adds names.\n"]

    return checked


def _is_address(host: str) -> bool:
    """Return whether a `Host` header is an address; no DNS server can make one point elsewhere."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
    try:
        ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
