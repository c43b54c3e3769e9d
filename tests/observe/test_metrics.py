"""/metrics of an operator that has updated a Rollout, read over HTTP as Prometheus reads it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import looptime
import pytest
from aiohttp import ClientSession
from prometheus_client.parser import text_string_to_metric_families

from tests.crash import stories
from tests.crash.theatre import Theatre
from tidegate.api import names
from tidegate.core.plan import Event, Key
from tidegate.observe.metrics import Metrics
from tidegate.observe.notify.deciding import Due
from tidegate.observe.objects import rollout_phase
from tidegate.shell.health import Pulse, make_app, serve

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Store:
    """An engine as far as metrics look at it."""

    leading = True
    standing_aside = ""

    def __init__(self, **objects: list[dict[str, Any]]) -> None:
        self._objects = objects

    def objects(self, kind: str) -> Iterator[Mapping[str, Any]]:
        yield from self._objects.get(kind, ())

    def add(self, kind: str, obj: dict[str, Any]) -> None:
        self._objects[kind] = [*self._objects.get(kind, ()), obj]

    def queues(self) -> list[tuple[str, int, list[float]]]:
        return [("rollout", 2, [0.5, 2.25]), ("analysisrun", 0, [])]


async def scrape(metrics: Metrics, store: Store) -> str:
    runner, port = await serve(make_app(store, metrics, Pulse()), "127.0.0.1", 0)  # type: ignore[arg-type]
    try:
        async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=")
            return await answer.text()
    finally:
        await runner.cleanup()


def samples(page: str) -> Samples:
    return {
        (_as_served(sample.name, page), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def _as_served(name: str, page: str) -> str:
    """The parser gives every counter an ending that some of Argo's don't have."""
    bare = name.removesuffix("_total")
    return bare if f"\n{bare}{{" in page else name


def of(found: Samples, name: str) -> dict[str, float]:
    """The samples of one name by the values of their labels, in the order of the labels' names."""
    return {
        " ".join(v for _, v in sorted(labels)): number for (given, labels), number in found.items() if given == name
    }


@pytest.fixture(scope="module")
def played() -> tuple[Metrics, Store]:
    """A canary with analyses, promoted by the whole operator over the cluster in memory, in virtual time."""
    return play(stories.canary)


@pytest.fixture(scope="module")
def tried() -> tuple[Metrics, Store]:
    """The same with an Experiment."""
    return play(stories.trial)


def play(make: Callable[[], Theatre]) -> tuple[Metrics, Store]:
    metrics = Metrics()

    async def story() -> Theatre:
        async with make() as theatre:
            theatre.deploy()
            await theatre.play(lambda: theatre.is_at("Healthy"), watching=metrics)
            theatre.set_image("app:v2")
            await theatre.play(lambda: theatre.is_at("Healthy"), watching=metrics)
        return theatre

    loop = looptime.new_event_loop(start=0, end=3600)
    try:
        theatre = loop.run_until_complete(story())
    finally:
        loop.close()
    kinds = ("Rollout", "AnalysisRun", "Experiment", "AnalysisTemplate", "ClusterAnalysisTemplate")
    return metrics, Store(**{kind: theatre.cluster.peek_all(kind) for kind in kinds})


async def test_given_an_update_when_scraped_then_the_rollout_is_told_with_argos_names_and_labels(
    played: tuple[Metrics, Store],
) -> None:
    found = samples(await scrape(*played))
    assert of(found, "rollout_info") == {"app default Completed canary Istio": 1}
    for name, number in (("available", 8), ("unavailable", 0), ("desired", 4), ("updated", 4)):
        assert of(found, f"rollout_info_replicas_{name}") == {"app default": number}, name
    phases = of(found, "rollout_phase")
    assert [name for name, number in phases.items() if number] == ["app default Completed canary"]
    assert len(phases) == 7
    events = of(found, "rollout_events_total")
    assert events["app default RolloutCompleted Normal"] == 2
    assert events["app default TrafficWeightUpdated Normal"] >= 3
    assert not [labels for labels in events if "Metric" in labels], "events about runs are not the Rollout's"
    assert of(found, "rollout_reconcile_count")["app default"] > 5
    assert (
        of(found, "rollout_reconcile_bucket")["+Inf app default"] == of(found, "rollout_reconcile_count")["app default"]
    )


async def test_given_an_update_when_scraped_then_its_runs_are_told(played: tuple[Metrics, Store]) -> None:
    metrics, store = played
    found = samples(await scrape(metrics, store))
    runs = sorted(run["metadata"]["name"] for run in store.objects("AnalysisRun"))
    assert len(runs) == 2
    assert sorted(of(found, "analysis_run_info")) == sorted(f"{name} default Successful" for name in runs)
    assert {labels for labels, number in of(found, "analysis_run_phase").items() if number} == {
        f"{name} default Successful" for name in runs
    }
    assert of(found, "analysis_run_metric_type") == {f"success {name} default Prometheus": 1 for name in runs}
    told = {labels for labels, number in of(found, "analysis_run_metric_phase").items() if number}
    assert told == {f"false success {name} default Successful Prometheus" for name in runs}
    assert {labels.split()[0] for labels in of(found, "analysis_run_reconcile_count")} == set(runs)


async def test_given_an_update_when_scraped_then_its_templates_are_told(played: tuple[Metrics, Store]) -> None:
    metrics, store = played
    first, *others = store.objects("AnalysisTemplate")
    name = first["metadata"]["name"]
    everywhere = {"metadata": {"name": "errors"}, "spec": first["spec"]}
    found = samples(await scrape(metrics, Store(AnalysisTemplate=[dict(first)], ClusterAnalysisTemplate=[everywhere])))
    assert of(found, "analysis_template_info") == {f"{name} default": 1, "errors ": 1}
    assert of(found, "analysis_template_metric_info") == {
        f"success {name} default Prometheus": 1,
        "success errors  Prometheus": 1,
    }
    assert len(of(samples(await scrape(metrics, store)), "analysis_template_info")) == 1 + len(others)


async def test_given_an_update_when_scraped_then_its_experiment_is_told(tried: tuple[Metrics, Store]) -> None:
    metrics, store = tried
    found = samples(await scrape(metrics, store))
    (name,) = (each["metadata"]["name"] for each in store.objects("Experiment"))
    assert of(found, "experiment_info") == {f"{name} default Successful": 1}
    phases = of(found, "experiment_phase")
    assert [labels for labels, number in phases.items() if number] == [f"{name} default Successful"]
    assert len(phases) == 6
    assert of(found, "experiment_reconcile_count")[f"{name} default"] > 3
    metrics.reconciled("experiment", Key("Experiment", "default", name), "error", 0.1)
    assert of(samples(await scrape(metrics, store)), "experiment_reconcile_error") == {f"{name} default": 1}


async def test_given_an_update_when_scraped_then_queues_and_requests_are_told(played: tuple[Metrics, Store]) -> None:
    found = samples(await scrape(*played))
    assert of(found, "workqueue_depth") == {"AnalysisRuns": 0, "Rollouts": 2}
    assert of(found, "workqueue_unfinished_work_seconds") == {"AnalysisRuns": 0, "Rollouts": 2.75}
    assert of(found, "workqueue_longest_running_processor_seconds") == {"AnalysisRuns": 0, "Rollouts": 2.25}
    taken, worked = (
        of(found, f"workqueue_{name}")["Rollouts"] for name in ("adds_total", "work_duration_seconds_count")
    )
    assert taken >= worked > 5
    assert of(found, "workqueue_queue_duration_seconds_count")["Rollouts"] == taken
    assert of(found, "controller_clientset_k8s_request_total")["ReplicaSet 201 create"] == 2
    assert len(of(found, "argo_rollouts_controller_info")) == 1


async def test_given_failures_when_scraped_then_errors_and_retries_are_told() -> None:
    metrics, key = Metrics(), Key("Rollout", "shop", "app")
    for result in ("error", "conflict", "terminal", "done"):
        metrics.reconciled("rollout", key, result, 0.2)
    store = Store(Rollout=[{"metadata": {"name": "app", "namespace": "shop"}}])
    found = samples(await scrape(metrics, store))
    assert of(found, "rollout_reconcile_error") == {"app shop": 2}
    assert of(found, "workqueue_retries_total") == {"Rollouts": 2}
    buckets = of(found, "rollout_reconcile_bucket")
    assert [buckets[f"{bound} app shop"] for bound in ("0.15", "0.25", "+Inf")] == [0, 4, 4]


async def test_given_objects_that_are_gone_when_scraped_then_nothing_is_kept_of_them() -> None:
    metrics = Metrics()
    about = {"kind": "Rollout", "metadata": {"name": "app", "namespace": "shop"}}
    metrics.recorded(about, Event("RolloutPaused", ""))
    metrics.reconciled("rollout", Key("Rollout", "shop", "app"), "error", 1)
    metrics.reconciled("analysisrun", Key("AnalysisRun", "shop", "app-1"), "done", 1)
    assert of(samples(await scrape(metrics, Store(Rollout=[about]))), "rollout_events_total")
    assert "app" not in await scrape(metrics, Store())
    assert not [part for part in vars(metrics).values() if isinstance(part, dict) and part]


async def test_given_spoilt_objects_and_names_when_scraped_then_the_page_can_still_be_read() -> None:
    spoilt: list[dict[str, Any]] = [
        {"metadata": {"name": 'a"\\\nb', "namespace": "shop"}},
        {"metadata": {"name": "c", "namespace": "shop"}, "spec": {"strategy": {"canary": None}}, "status": None},
        {"metadata": {"name": "d", "namespace": "shop"}, "spec": {"strategy": "x", "replicas": "many"}, "status": []},
    ]
    found = samples(await scrape(Metrics(), Store(Rollout=spoilt, AnalysisRun=spoilt)))
    assert len(of(found, "rollout_info")) == len(of(found, "analysis_run_info")) == 3
    assert ("name", 'a"\\\nb') in next(labels for name, labels in found if name == "rollout_info")


async def test_given_a_thousand_rollouts_when_scraped_then_work_is_not_held_up_meanwhile() -> None:
    rollouts = [{"metadata": {"name": f"app-{n}", "namespace": "shop"}} for n in range(1000)]
    pieces = list(Metrics().page(Store(Rollout=rollouts)))
    assert len(pieces) > 20, "between two pieces the operator works"
    assert max(map(len, pieces)) < 100_000


@pytest.mark.parametrize(
    ("reason", "phase"),
    [
        (names.REASON_NEW_REPLICA_SET_AVAILABLE, "Completed"),
        (names.REASON_REPLICA_SET_UPDATED, "Progressing"),
        (names.REASON_PAUSED, "Paused"),
        (names.REASON_TIMED_OUT, "Timeout"),
        (names.REASON_ABORTED, "Abort"),
        (names.REASON_NOT_CREATED, "Error"),
    ],
)
def test_given_a_reason_of_progressing_when_told_then_in_the_words_of_argos_metrics(reason: str, phase: str) -> None:
    progressing = {"type": "Progressing", "status": "True", "reason": reason}
    invalid = {"type": "InvalidSpec", "status": "True", "reason": "InvalidSpec"}
    assert rollout_phase({"status": {"conditions": [progressing]}}) == phase
    assert rollout_phase({"status": {"conditions": [progressing, invalid]}}) == "InvalidSpec"


async def test_given_the_list_of_metrics_when_read_then_it_has_what_is_served_and_nothing_else(
    tried: tuple[Metrics, Store],
) -> None:
    metrics, store = tried
    for kind in ("Rollout", "AnalysisRun", "Experiment"):
        obj = next(iter(store.objects(kind)))["metadata"]
        metrics.reconciled(kind.lower(), Key(kind, obj["namespace"], obj["name"]), "error", 0.1)
    metrics.queried("prometheus", "ok", 0.1)
    rollout = next(store.objects("Rollout"))
    totals = {"outcomes": [{"outcome": "Promoted", "count": 1, "seconds": 9}], "leadCount": 1, "recoveryCount": 1}
    store.add(
        "Rollout", {"metadata": {"name": "past", "namespace": "shop"}, "status": {"releases": {"totals": totals}}}
    )
    for worked in (True, False):
        metrics.notified(Due("k", "on-x", "X", "Normal", "hook", "", (), rollout), 0.1, worked)
    page = await scrape(metrics, store)
    served = {}
    for family in text_string_to_metric_families(page):
        labels = {name for sample in family.samples for name in sample.labels} - {"le"}
        name = f"{family.name}_total" if f"# TYPE {family.name}_total" in page else family.name
        if not name.endswith("_created"):
            served[name] = (family.type, labels)
    written = {}
    served_part = DOCUMENT.read_text()
    for name, kind, labels in re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \|", served_part, re.MULTILINE):
        written[name] = (kind, set(re.findall(r"`(\w+)`", labels)))
    assert written == served
