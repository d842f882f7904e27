"""The exporter's HTTP server."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server

from resources.ledger.ledger import Ledger
from resources.metrics.collector import LedgerCollector
from resources.settings import Settings


@contextmanager
def serving(settings: Settings, *, host: str, port: int) -> Iterator[int]:
    """Serve ``/metrics`` for the length of the block; yield the port (``port`` 0 picks a free one).

    Raises:
        OSError: the port is in use.
    """
    collector = LedgerCollector(settings, lambda: Ledger.open(settings.ledger_address))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    server, thread = start_http_server(port, addr=host, registry=registry)
    try:
        yield int(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        collector.close()
