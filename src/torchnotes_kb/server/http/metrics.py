"""What the server counts, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from torchnotes_kb.server.gate import Gate
from torchnotes_kb.verify.model import Result

__all__ = ["Metrics"]

QUICK_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
SLOW_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Observes the service; one registry per server, so that two in a process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._searches = self._counter("kb_searches", "Searches; found=no: abstained.", "found")
        self._search_s = self._timer("kb_search_seconds", "Time of a search.", QUICK_S)
        self._explained = self._counter("kb_explanations", "Messages explained, or not.", "found")
        self._explain_s = self._timer("kb_explain_seconds", "Time of an explanation.", QUICK_S)
        self._verdicts = self._counter(
            "kb_verdicts", "Snippets judged, by how their run ended.", "verdict", "outcome"
        )
        self._run_s = self._timer("kb_run_seconds", "Time of a run, without waiting.", SLOW_S)
        self._cancelled = self._counter("kb_runs_cancelled", "Runs killed: the client gave up.")
        self._refused = self._counter("kb_runs_refused", "Runs not started.", "reason")
        self._requests = self._counter(
            "kb_http_requests", "HTTP requests answered.", "method", "route", "status"
        )
        self._request_s = self._timer("kb_http_request_seconds", "Time of a request.", SLOW_S)

    def watch(self, gate: Gate) -> None:
        """Show the queue as it is when asked."""
        self._gauge("kb_runs_running", "Runs under way.").set_function(lambda: gate.running)
        self._gauge("kb_runs_waiting", "Runs in the queue.").set_function(lambda: gate.waiting)

    def watch_restarts(self, restarts: Callable[[], int]) -> None:
        """Show how often the sandbox had to start a worker anew."""
        count = self._gauge("kb_sandbox_restarts", "Workers started anew after a failure.")
        count.set_function(restarts)

    def searched(self, *, seconds: float, found: bool) -> None:
        """A search was answered; not `found` is an abstention."""
        self._searches.labels("yes" if found else "no").inc()
        self._search_s.observe(seconds)

    def explained(self, *, seconds: float, found: bool) -> None:
        """A message was explained, or no note covers it."""
        self._explained.labels("yes" if found else "no").inc()
        self._explain_s.observe(seconds)

    def verified(self, result: Result, *, seconds: float) -> None:
        """A snippet was run and judged."""
        outcome = result.run.outcome.value if result.run else "none"
        self._verdicts.labels(result.verdict.kind.value, outcome).inc()
        self._run_s.observe(seconds)

    def cancelled(self) -> None:
        """A run was killed because its client gave up."""
        self._cancelled.inc()

    def refused(self, reason: str) -> None:
        """A run was not started: `busy`, `unavailable` or `failed`."""
        self._refused.labels(reason).inc()

    def answered(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """An HTTP request was answered; `route` is one of ours, never what a client wrote."""
        self._requests.labels(method, route, str(status)).inc()
        self._request_s.observe(seconds)

    def text(self) -> bytes:
        """All of it, for a scraper."""
        return generate_latest(self.registry)

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(name, about, labels, registry=self.registry)

    def _timer(self, name: str, about: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, about, buckets=buckets, registry=self.registry)

    def _gauge(self, name: str, about: str) -> Gauge:
        return Gauge(name, about, registry=self.registry)
