"""`wqlib metrics`: the numbers of queues over HTTP, as Prometheus reads them.

Each scrape asks Redis anew; nothing is polled in between. While Redis is away the exporter
stays up and says so: `wqlib_up` is 0, and the other numbers of that queue are absent.

    wqlib_up                      1 if the queue could be read
    wqlib_queue_items             items that are not done, by state: pending, leased, dead
    wqlib_leases_overdue          leases that ran out and that no worker has taken back: none lives
    wqlib_items_put_total         items put through wqlib (not by RPUSH)
    wqlib_items_completed_total
    wqlib_leases_total            leases handed out
    wqlib_leases_expired_total    those that ran out
    wqlib_leases_released_total   those given back
    wqlib_leases_failed_total     those that ended in a failure
    wqlib_items_dropped_total     dead items that were removed

Each has the label `queue`. The counters begin anew when a queue is cleared. The names follow
https://prometheus.io/docs/practices/naming/ and the behaviour
https://prometheus.io/docs/instrumenting/writing_exporters/.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..commandline import HOW_REDIS_IS_FOUND, Parser
from ..errors import EXIT_OK, EXIT_USAGE, QueueError, RedisUnreachable, WqlibError
from ..queue import WorkQueue
from ..queue.address import Address
from ..queue.items import Stats
from ..shown import shown

Numbers = tuple[Stats, int]

PORT = 9121
# Prometheus gives up after 10 s by default.
_PATIENCE_SECONDS, _REPLY_SECONDS = 1.0, 2.0

_STATES = ("pending", "leased", "dead")
_COUNTERS = {
    "put": ("wqlib_items_put_total", "Items put through wqlib."),
    "done": ("wqlib_items_completed_total", "Items completed."),
    "leases": ("wqlib_leases_total", "Leases granted."),
    "expired": ("wqlib_leases_expired_total", "Leases that expired."),
    "released": ("wqlib_leases_released_total", "Leases released, with the item not done."),
    "failed": ("wqlib_leases_failed_total", "Leases that ended in a failure."),
    "dropped": ("wqlib_items_dropped_total", "Dead items removed for good."),
}


class QueueCollector(Collector):
    """Reads queues at each scrape.

    Args:
        queues: The queues, all on one Redis. They are used by one scrape at a time.
    """

    def __init__(self, queues: Sequence[WorkQueue]) -> None:
        self._queues = queues
        self._scraping = threading.Lock()
        self._told: dict[str, str] = {}

    def collect(self) -> Iterable[Metric]:
        """Return the numbers of all queues."""
        return families(self._read())

    def _read(self) -> dict[str, Numbers | None]:
        with self._scraping:
            found: dict[str, Numbers | None] = dict.fromkeys(queue.name for queue in self._queues)
            for queue in self._queues:
                try:
                    stats = queue.stats()
                    found[queue.name] = stats, queue.overdue(stats.at)
                    self._tell(queue.name, "")
                except QueueError as error:
                    self._tell(queue.name, str(error))
                    if isinstance(error, RedisUnreachable):
                        break  # the others would only wait in vain, each for as long
            return found

    def _tell(self, name: str, trouble: str) -> None:
        """Say on standard error what changed, and nothing at each scrape."""
        if trouble != self._told.get(name, ""):
            self._told[name] = trouble
            print(f"wqlib metrics: {shown(name)}: {trouble or 'is back'}", file=sys.stderr)


def families(found: dict[str, Numbers | None]) -> list[Metric]:
    """Return the numbers of queues as metric families.

    Args:
        found: Numbers and overdue leases by the queue's name; None: it could not be read.
    """
    up = GaugeMetricFamily("wqlib_up", "1 if the queue could be read.", labels=["queue"])
    items = GaugeMetricFamily(
        "wqlib_queue_items", "Items that are not done, by state.", labels=["queue", "state"]
    )
    overdue = GaugeMetricFamily(
        "wqlib_leases_overdue",
        "Leases that expired and that no worker has reclaimed yet.",
        labels=["queue"],
    )
    counters = {
        field: CounterMetricFamily(name, about, labels=["queue"])
        for field, (name, about) in _COUNTERS.items()
    }
    for name, numbers in found.items():
        up.add_metric([name], float(numbers is not None))
        if numbers is None:
            continue
        stats, late = numbers
        overdue.add_metric([name], late)
        for state in _STATES:
            items.add_metric([name, state], getattr(stats, state))
        for field, counter in counters.items():
            counter.add_metric([name], getattr(stats, field))
    return [up, items, overdue, *counters.values()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line of `wqlib metrics`. Serve until SIGTERM or Ctrl-C.

    Returns:
        0 after SIGTERM; 2 for a wrong command line.

    Raises:
        WqlibError: It cannot listen there.
    """
    options = _parser().parse_args(arguments)
    try:
        address = Address.from_environment(options.redis)
        queues = [
            WorkQueue(name, url=address, patience_seconds=_PATIENCE_SECONDS).copy(
                timeout_seconds=_REPLY_SECONDS
            )
            for name in dict.fromkeys(options.names)  # each once
        ]
    except ValueError as error:
        print(f"wqlib metrics: {error}", file=sys.stderr)
        return EXIT_USAGE
    _serve(queues, options.address, options.port)
    return EXIT_OK


def _serve(queues: Sequence[WorkQueue], address: str, port: int) -> None:
    """Answer scrapes until SIGTERM."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    registry = CollectorRegistry()
    registry.register(QueueCollector(queues))
    try:
        server, thread = start_http_server(port, address, registry)
    except (OSError, OverflowError) as error:
        raise WqlibError(
            f"Cannot listen on {address}:{port} ({error}). "
            "Choose another port or address: --port, --address."
        ) from None
    try:
        host = f"[{address}]" if ":" in address else address
        print(f"Serving http://{host}:{server.server_port}/metrics", flush=True)
        ended.wait()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="wqlib metrics",
        description="Serve the metrics of queues to Prometheus. Each scrape reads them from Redis.",
        epilog=HOW_REDIS_IS_FOUND + "In a pod, --address 0.0.0.0 lets Prometheus in.",
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="name of a queue, such as job2")
    parser.add_argument("--redis", metavar="URL", help="redis://:password@host:6379/0")
    parser.add_argument("--port", type=int, default=PORT, help=f"TCP port ({PORT}; 0: any)")
    parser.add_argument(
        "--address", default="127.0.0.1", help="where to listen (127.0.0.1: this machine only)"
    )
    return parser
