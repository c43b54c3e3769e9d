"""What the operator tells Prometheus of itself and of the Rollouts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

from tidegate import __version__


class Engine(Protocol):
    """What metrics read from the engine when they are asked."""

    @property
    def leading(self) -> bool: ...

    @property
    def standing_aside(self) -> str: ...

    def rollouts_by_phase(self) -> Iterable[tuple[str, str, str]]: ...

    def queue_depths(self) -> Iterable[tuple[str, int]]: ...


class Metrics:
    """The operator's metrics, in a registry of its own. Names are Argo Rollouts' where it has the same metric."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        make: dict[str, Any] = {"registry": self.registry}
        self._requests = Counter(
            "controller_clientset_k8s_request",
            "Requests to the API server; status 0 means no answer",
            ["verb", "kind", "status"],
            **make,
        )
        self._reconciles = Histogram(
            "rollout_reconcile",
            "Seconds of one reconcile",
            ["controller", "result"],
            buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30),
            **make,
        )
        self._waits = Histogram(
            "workqueue_queue_duration_seconds",
            "Seconds that a key waited for a worker",
            ["controller"],
            buckets=(0.001, 0.01, 0.1, 1, 10),
            **make,
        )
        self._depth = Gauge("workqueue_depth", "Keys that are ready to be worked on", ["controller"], **make)
        self._queries = Counter(
            "tidegate_provider_queries", "Questions to sources of measurements", ["provider", "outcome"], **make
        )
        self._leading = Gauge("tidegate_leading", "1 on the replica that works", **make)
        self._aside = Gauge(
            "tidegate_standing_aside", "1 while Argo Rollouts' own controller is, or may be, at work", **make
        )
        self._phase = Gauge("rollout_info", "One for each Rollout", ["namespace", "name", "phase"], **make)
        Gauge("argo_rollouts_controller_info", "The version", ["version"], **make).labels(__version__).set(1)

    def request(self, verb: str, kind: str, status: int, seconds: float) -> None:
        """Count a request to the API server."""
        self._requests.labels(verb, kind, status).inc()

    def reconciled(self, controller: str, result: str, seconds: float) -> None:
        """Count a reconcile."""
        self._reconciles.labels(controller, result).observe(seconds)

    def waited(self, controller: str, seconds: float) -> None:
        """Note how long a key has waited."""
        self._waits.labels(controller).observe(seconds)

    def queried(self, provider: str, outcome: str, seconds: float) -> None:
        """Count a question to a source of measurements."""
        self._queries.labels(provider, outcome).inc()

    def page(self, engine: Engine) -> tuple[bytes, str]:
        """The text of /metrics and its content type."""
        self._leading.set(engine.leading)
        self._aside.set(bool(engine.standing_aside))
        for controller, depth in engine.queue_depths():
            self._depth.labels(controller).set(depth)
        self._phase.clear()
        for namespace, name, phase in engine.rollouts_by_phase():
            self._phase.labels(namespace, name, phase).set(1)
        encode, content_type = choose_encoder("")
        return encode(self.registry), content_type
