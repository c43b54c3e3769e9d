"""What the operator tells Prometheus of itself and of the Rollouts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

from tidegate import __version__
from tidegate.api import names
from tidegate.core.plan import Event, Key
from tidegate.observe.durations import Durations
from tidegate.observe.exposition import Family, Tally, pieces
from tidegate.observe.objects import experiment_families, rollout_families, run_families, template_families
from tidegate.observe.releases import release_families

if TYPE_CHECKING:
    from tidegate.observe.notify.deciding import Due

_NAMED: Final = ("namespace", "name")
_EVENTS: Final = Family("rollout_events_total", "counter", "Events about Rollouts", (*_NAMED, "type", "reason"))
_RECONCILE: Final = {
    "Rollout": Family("rollout_reconcile", "histogram", "Seconds of one reconcile of a Rollout", _NAMED),
    "AnalysisRun": Family("analysis_run_reconcile", "histogram", "Seconds of one reconcile of an AnalysisRun", _NAMED),
    "Experiment": Family("experiment_reconcile", "histogram", "Seconds of one reconcile of an Experiment", _NAMED),
}
_ERRORS: Final = {
    "Rollout": Family("rollout_reconcile_error", "counter", "Reconciles of a Rollout that failed", _NAMED),
    "AnalysisRun": Family("analysis_run_reconcile_error", "counter", "Reconciles of a run that failed", _NAMED),
    "Experiment": Family("experiment_reconcile_error", "counter", "Reconciles of an Experiment that failed", _NAMED),
}
_SENDING: Final = Family("notification_send", "histogram", "Seconds that sending a message took", _NAMED)
_MESSAGES: Final = {
    worked: Family(f"notification_send_{word}", "counter", text, (*_NAMED, "type", "reason"))
    for worked, word, text in (
        (True, "success", "Messages that their receivers took"),
        (False, "error", "Tries to send a message that failed"),
    )
}
_BOUNDS: Final = (0.01, 0.15, 0.25, 0.5, 1.0)
_QUEUES: Final = {"rollout": "Rollouts", "analysisrun": "AnalysisRuns", "experiment": "Experiments"}
"""What Argo Rollouts calls the queues."""
_AGAIN: Final = frozenset({"error", "conflict", "not_leading"})
_FAILED: Final = frozenset({"error", "terminal"})

Series = TypeVar("Series", Counter, Histogram)


class Engine(Protocol):
    """What metrics read from the engine when they are asked."""

    @property
    def leading(self) -> bool: ...

    @property
    def standing_aside(self) -> str: ...

    def objects(self, kind: str) -> Iterable[Mapping[str, Any]]: ...

    def queues(self) -> Iterable[tuple[str, int, Sequence[float]]]: ...


class Metrics:
    """The operator's metrics, in a registry of its own. Names are Argo Rollouts' where it has the same metric.

    What belongs to one object is kept in a few numbers each, and for no longer than the object is there.
    """

    def __init__(self, *, team_label: str = "team") -> None:
        """team_label: the label of a Rollout that names its team."""
        self._team_label = team_label
        self.registry = CollectorRegistry()
        make: dict[str, Any] = {"registry": self.registry}
        requests = Counter(
            "controller_clientset_k8s_request",
            "Requests to the API server; status_code 0 means no answer",
            ["verb", "kind", "status_code"],
            **make,
        )
        self._requests_of = _remembered(requests)
        results = Counter("tidegate_reconciles", "Reconciles by how they ended", ["controller", "result"], **make)
        self._results_of = _remembered(results)
        queue: dict[str, Any] = {
            "labelnames": ["name"],
            "buckets": (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30),
            **make,
        }
        waits = Histogram("workqueue_queue_duration_seconds", "Seconds that a key waited for a worker", **queue)
        work = Histogram("workqueue_work_duration_seconds", "Seconds that a key was worked on", **queue)
        adds = Counter("workqueue_adds", "Keys that workers took from the queue", ["name"], **make)
        self._waits_of, self._work_of, self._adds_of = _remembered(waits), _remembered(work), _remembered(adds)
        self._retries = Counter("workqueue_retries", "Keys that were put back to be tried again", ["name"], **make)
        self._depth = Gauge("workqueue_depth", "Keys that are ready to be worked on", ["name"], **make)
        self._unfinished = Gauge(
            "workqueue_unfinished_work_seconds", "Seconds so far of all keys that are being worked on", ["name"], **make
        )
        self._longest = Gauge(
            "workqueue_longest_running_processor_seconds",
            "Seconds so far of the key that has been worked on for longest",
            ["name"],
            **make,
        )
        self._queries = Counter(
            "tidegate_provider_queries", "Questions to sources of measurements", ["provider", "outcome"], **make
        )
        self._leading = Gauge("tidegate_leading", "1 on the replica that works", **make)
        self._aside = Gauge(
            "tidegate_standing_aside", "1 while Argo Rollouts' own controller is, or may be, at work", **make
        )
        Gauge("argo_rollouts_controller_info", "The version", ["version"], **make).labels(__version__).set(1)
        self._durations = Durations(self.registry)
        self._reconciles: dict[Key, Tally] = {}
        self._errors: dict[Key, int] = {}
        self._events: dict[Key, dict[tuple[str, str], int]] = {}
        self._sendings: dict[Key, Tally] = {}
        self._messages: dict[Key, dict[tuple[bool, str, str], int]] = {}

    def request(self, verb: str, kind: str, status: int, seconds: float) -> None:
        """Count a request to the API server."""
        self._requests_of(verb, kind, status).inc()

    def reconciled(self, controller: str, key: Key, result: str, seconds: float) -> None:
        """Count a reconcile."""
        queue = _QUEUES.get(controller, controller)
        self._results_of(controller, result).inc()
        self._work_of(queue).observe(seconds)
        if result in _AGAIN:
            self._retries.labels(queue).inc()
        tally = self._reconciles.get(key)
        if tally is None:
            tally = self._reconciles[key] = Tally(_BOUNDS)
        tally.observe(seconds)
        if result in _FAILED:
            self._errors[key] = self._errors.get(key, 0) + 1

    def waited(self, controller: str, seconds: float) -> None:
        """Note how long a key has waited."""
        queue = _QUEUES.get(controller, controller)
        self._adds_of(queue).inc()
        self._waits_of(queue).observe(seconds)

    def queried(self, provider: str, outcome: str, seconds: float) -> None:
        """Count a question to a source of measurements."""
        self._queries.labels(provider, outcome).inc()

    def recorded(self, about: Mapping[str, Any], event: Event) -> None:
        """Count an event about an object."""
        if about.get("kind") == names.ROLLOUT:
            counts = self._events.setdefault(_key(names.ROLLOUT, about), {})
            counts[event.type, event.reason] = counts.get((event.type, event.reason), 0) + 1

    def notified(self, due: Due, seconds: float, worked: bool) -> None:
        """Count a try to send a message."""
        key = _key(names.ROLLOUT, due.rollout)
        self._sendings.setdefault(key, Tally(_BOUNDS)).observe(seconds)
        counts = self._messages.setdefault(key, {})
        of = (worked, due.type, due.reason)
        counts[of] = counts.get(of, 0) + 1

    def changed(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Take note of what the leader has seen become of a Rollout."""
        self._durations.changed(before, after)

    content_type: Final = choose_encoder("")[1]

    def page(self, engine: Engine) -> Iterator[bytes]:
        """The text of /metrics, piece by piece. Each piece is of the moment at which it is asked for."""
        self._leading.set(engine.leading)
        self._aside.set(bool(engine.standing_aside))
        for controller, depth, under_way in engine.queues():
            queue = _QUEUES.get(controller, controller)
            self._depth.labels(queue).set(depth)
            self._unfinished.labels(queue).set(sum(under_way))
            self._longest.labels(queue).set(max(under_way, default=0))
        self._forget_gone(engine)
        yield choose_encoder("")[0](self.registry)
        for piece in pieces(self._families(engine)):
            yield piece.encode()

    def _families(self, engine: Engine) -> Iterator[tuple[Family, Iterable[str]]]:
        yield from rollout_families(lambda: engine.objects(names.ROLLOUT))
        yield from release_families(lambda: engine.objects(names.ROLLOUT), self._team_label)
        yield from run_families(lambda: engine.objects(names.ANALYSIS_RUN))
        yield from template_families(lambda: (obj for kind in names.TEMPLATE_KINDS for obj in engine.objects(kind)))
        yield from experiment_families(lambda: engine.objects(names.EXPERIMENT))
        for kind, family in _RECONCILE.items():
            yield (
                family,
                (family.histogram(key[1:], t) for key, t in list(self._reconciles.items()) if key.kind == kind),
            )
        for kind, family in _ERRORS.items():
            yield family, (family.line(key[1:], n) for key, n in list(self._errors.items()) if key.kind == kind)
        yield (
            _EVENTS,
            (
                _EVENTS.line((*key[1:], *said), count)
                for key, counts in list(self._events.items())
                for said, count in counts.items()
            ),
        )

        yield _SENDING, (_SENDING.histogram(key[1:], tally) for key, tally in list(self._sendings.items()))
        for worked, family in _MESSAGES.items():
            yield family, self._counted(family, worked)

    def _counted(self, family: Family, worked: bool) -> Iterator[str]:
        for key, counts in list(self._messages.items()):
            for (result, type_, reason), number in list(counts.items()):
                if result == worked:
                    yield family.line((*key[1:], type_, reason), number)

    def _forget_gone(self, engine: Engine) -> None:
        there = {_key(kind, obj) for kind in _RECONCILE for obj in engine.objects(kind)}
        for kept in (self._reconciles, self._errors, self._events, self._sendings, self._messages):
            for key in kept.keys() - there:
                del kept[key]


def _remembered(metric: Series) -> Callable[..., Series]:
    """The series of a metric by their labels: to find one takes longer than to count, and these are always counted."""
    return lru_cache(512)(metric.labels)


def _key(kind: str, obj: Mapping[str, Any]) -> Key:
    return Key(kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
