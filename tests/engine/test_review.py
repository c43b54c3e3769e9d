"""Reviews before objects are stored: what is refused, what is only warned of, and what is let through.

Wrong programs that these catch: one that refuses objects because of the order in which they are applied; one that
keeps somebody from mending, or even from touching, an object that was stored before there were reviews; one that takes
a shared VirtualService for a shared route; one that compares a Rollout with itself or with a ghost.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from lab import manifests as m
from tests.api.objects import REMOVED, TEMPLATE, Json, spoilt
from tests.scenarios.story import (
    analysis,
    blue_green,
    by_host,
    by_subset,
    canary,
    rollout,
    split_by_host,
    template,
    weigh,
)
from tidegate.cluster.store import Store
from tidegate.engine.claims import Claims
from tidegate.engine.kinds import RULES, WATCHED_BY_INFORMERS, WATCHED_BY_SHELL
from tidegate.engine.review import Review, Reviewer
from tidegate.engine.signatures import Signatures

CANARY = "spec.strategy.canary"
ISTIO = f"{CANARY}.trafficRouting.istio"


class Cluster:
    """What has been stored, and the reviewer that knows it."""

    def __init__(self, *objects: Json, synced: bool = True) -> None:
        self.store = Store(RULES, freeze=True)
        self._version = 0
        for kind in (*WATCHED_BY_SHELL, *WATCHED_BY_INFORMERS):
            self.store.replace(kind, [], "1")
        signatures = Signatures(self.store, lambda _: None)
        claims = Claims(self.store, lambda _: None)
        now = datetime(2026, 1, 1, tzinfo=UTC)
        self.reviewer = Reviewer(self.store, signatures, claims, lambda: now, lambda: synced)
        self.has(*objects)

    def has(self, *objects: Json) -> None:
        for obj in objects:
            self._version += 1
            meta = {"uid": f"uid-{self._version}", "resourceVersion": str(self._version + 1), "generation": 1}
            stored = spoilt({**obj, "metadata": {"namespace": "shop", **meta, **obj["metadata"]}})
            self.store.apply(obj["kind"], "ADDED", stored)

    def review(self, obj: Json, before: Json | None = None) -> Review:
        placed = {**obj, "metadata": {"namespace": "shop", **obj["metadata"]}}
        return self.reviewer.review(placed, before and {**before, "metadata": placed["metadata"]})


def service(name: str) -> Json:
    return m.service(name, "shop", {"app": "app"})


def route(*routes: Json, name: str = "app") -> Json:
    return {**m.virtual_service(name, "shop", "app.example.com", *routes), "metadata": {"name": name}}


READY = (service("app-stable"), service("app-canary"), service("app"), service("app-preview"), route(split_by_host()))


def named(name: str, strategy: Json, **spec: Any) -> Json:
    return {**rollout("v1", strategy, **spec), "metadata": {"name": name}}


def paths(problems: tuple[Any, ...]) -> list[str]:
    return [problem.path for problem in problems]


def test_what_is_right_is_let_in_without_a_word() -> None:
    cluster = Cluster(*READY)
    for strategy in (canary(weigh(10)), by_host(weigh(10)), blue_green()):
        assert cluster.review(rollout("v1", strategy)) == Review()
    assert cluster.review(TEMPLATE) == Review()


@pytest.mark.parametrize(
    ("strategy", "path", "word"),
    [
        ({}, "spec.strategy", "no strategy"),
        (by_host(weigh(101)), f"{CANARY}.steps[0].setWeight", "101"),
        (by_host({}), f"{CANARY}.steps[0]", "no kind"),
        (by_host({"plugin": {"name": "x"}}), f"{CANARY}.steps[0].plugin", "not supported"),
    ],
)
def test_what_can_not_be_acted_on_is_refused_with_its_path(strategy: Json, path: str, word: str) -> None:
    refused = Cluster(*READY).review(rollout("v1", strategy)).refusals
    assert paths(refused) == [path] and word in refused[0].message


def test_a_template_is_judged_by_itself_and_by_the_templates_that_it_names() -> None:
    right = spoilt(TEMPLATE, ("metadata.namespace", REMOVED))
    wrong = spoilt(right, ("spec.metrics[0].successCondition", "result[0 >= 1"))
    assert paths(Cluster().review(wrong).refusals) == ["spec.metrics[0].successCondition"]
    nested = spoilt(right, ("spec.templates", [{"templateName": "other"}]))
    assert paths(Cluster().review(nested).warnings) == ["spec.templates[0].templateName"]
    assert Cluster(template("other", "vector(1)", count=1)).review(nested) == Review()


def test_an_experiment_is_judged_by_itself_and_by_the_templates_that_it_names() -> None:
    labels = {"app": "app"}
    pods = {"selector": {"matchLabels": labels}, "template": m.pod_template(labels, m.app_container("v1"))}
    spec = {"templates": [{"name": "one", **pods}], "analyses": [{"name": "a", "templateName": "judge"}]}
    experiment = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment", "metadata": {"name": "e"}, "spec": spec}
    missing = Cluster().review(experiment)
    assert missing.refusals == () and paths(missing.warnings) == ["spec.analyses[0].templateName"]
    assert Cluster(template("judge", "vector(1)", count=1)).review(experiment) == Review()
    idle = spoilt(experiment, ("spec.templates[0].service", {}), ("spec.analyses", []))
    idle["spec"]["templates"][0]["template"]["spec"]["containers"][0].pop("ports", None)
    assert paths(Cluster().review(idle).warnings) == ["spec.templates[0].service"]
    wrong = spoilt(experiment, ("spec.duration", "soon"))
    assert paths(Cluster().review(wrong).refusals) == ["spec.duration"]


@pytest.mark.parametrize(
    ("strategy", "path"),
    [
        (by_host(canaryService="absent"), f"{CANARY}.canaryService"),
        (
            by_host(name="absent", canaryService="app-canary", stableService="app-stable"),
            f"{ISTIO}.virtualService.name",
        ),
        (by_host(routes=["absent"]), f"{ISTIO}.virtualService.routes[0]"),
        (by_subset(), f"{ISTIO}.destinationRule.name"),
        (by_host(analysis=analysis("absent")), f"{CANARY}.analysis.templates[0].templateName"),
        (blue_green(activeService="absent"), "spec.strategy.blueGreen.activeService"),
    ],
)
def test_what_is_not_there_yet_is_only_warned_of(strategy: Json, path: str) -> None:
    review = Cluster(*READY).review(rollout("v1", strategy))
    assert review.refusals == () and path in paths(review.warnings)


def test_before_everything_has_been_read_nothing_counts_as_missing_or_taken() -> None:
    cluster = Cluster(named("other", by_host()), synced=False)
    assert cluster.review(rollout("v1", by_host(weigh(10)))) == Review()
    assert paths(cluster.review(rollout("v1", {})).refusals) == ["spec.strategy"]


# -- two Rollouts ------------------------------------------------------------------------------------------------------

ONE = {"canaryService": "one-canary", "stableService": "one-stable"}
TWO = {"canaryService": "two-canary", "stableService": "two-stable"}
TWO_SUBSETS = {"name": "app", "canarySubsetName": "two-canary", "stableSubsetName": "two-stable"}


def ends(prefix: str, name: str = "") -> Json:
    hosts = [m.destination(f"{prefix}-stable", weight=100), m.destination(f"{prefix}-canary", weight=0)]
    return {**({"name": name} if name else {}), "route": hosts}


@pytest.mark.parametrize(
    ("theirs", "ours", "path"),
    [
        (canary(stableService="app"), canary(stableService="app"), f"{CANARY}.stableService"),
        (canary(stableService="app"), blue_green(), "spec.strategy.blueGreen.activeService"),
        (blue_green(previewService="x"), canary(canaryService="x"), f"{CANARY}.canaryService"),
        (by_host(routes=["web"], **ONE), by_host(routes=["web"], **TWO), f"{ISTIO}.virtualService.routes[0]"),
        # The one route of the VirtualService is meant by a Rollout that names none.
        (by_host(routes=["web"], **ONE), by_host(**ONE), f"{ISTIO}.virtualService.name"),
        (by_subset(), by_subset(), f"{ISTIO}.destinationRule.canarySubsetName"),
    ],
)
def test_what_another_rollout_has_is_refused(theirs: Json, ours: Json, path: str) -> None:
    cluster = Cluster(route(ends("one", "web")), named("other", theirs))
    refused = cluster.review(named("app", ours)).refusals
    assert path in paths(refused)
    assert all("Rollout shop/other claims too" in problem.message for problem in refused)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (canary(weigh(10)), canary(weigh(10))),
        (canary(stableService="a", canaryService="b"), canary(stableService="c", canaryService="d")),
        # One VirtualService with a route for each.
        (by_host(routes=["one"], **ONE), by_host(routes=["two"], **TWO)),
        # One host with subsets for each.
        (
            by_subset(),
            spoilt(by_subset(), ("canary.trafficRouting.istio.destinationRule", TWO_SUBSETS)),
        ),
    ],
)
def test_what_is_shared_without_harm_is_let_in(theirs: Json, ours: Json) -> None:
    cluster = Cluster(route(ends("one", "one"), ends("two", "two")), named("other", theirs))
    assert cluster.review(named("app", ours)).refusals == ()


def test_a_rollout_is_no_rival_of_itself_nor_of_one_elsewhere_nor_of_one_that_goes() -> None:
    going = spoilt(named("going", by_host()), ("metadata.deletionTimestamp", "2026-01-01T00:00:00Z"))
    elsewhere = spoilt(named("app", canary(stableService="app-stable")), ("metadata.namespace", "elsewhere"))
    cluster = Cluster(*READY, named("app", by_host()), going, elsewhere)
    assert cluster.review(named("app", by_host(weigh(10))), named("app", by_host())) == Review()


def test_a_virtual_service_of_another_namespace_is_the_same_one() -> None:
    cluster = Cluster(spoilt(named("other", by_host(routes=["web"], **ONE)), ("metadata.namespace", "elsewhere")))
    theirs = {"name": "app.elsewhere", "routes": ["web"]}
    ours = spoilt(named("app", by_host(**TWO)), (f"{ISTIO}.virtualService", theirs))
    assert paths(cluster.review(ours).refusals) == [f"{ISTIO}.virtualService.routes[0]"]


def test_a_field_that_does_nothing_is_a_warning() -> None:
    review = Cluster(*READY).review(rollout("v1", by_host(weigh(10), maxSurge=1)))
    assert review.refusals == () and paths(review.warnings) == [f"{CANARY}.maxSurge"]


# -- what was there before ---------------------------------------------------------------------------------------------


def test_an_object_that_was_wrong_before_can_still_be_changed() -> None:
    cluster = Cluster(*READY)
    before = rollout("v1", by_host(weigh(101), weigh(10)))
    after = spoilt(before, ("spec.replicas", 7), (f"{CANARY}.steps", [weigh(5), weigh(101), weigh(10)]))
    review = cluster.review(after, before)
    assert review.refusals == () and paths(review.warnings) == [f"{CANARY}.steps[1].setWeight"]
    worse = spoilt(before, (f"{CANARY}.steps[1].setWeight", -1))
    assert paths(cluster.review(worse, before).refusals) == [f"{CANARY}.steps[1].setWeight"]
    assert cluster.review(rollout("v1", by_host(weigh(10))), before) == Review()


def test_two_that_were_rivals_before_can_be_told_apart_one_after_the_other() -> None:
    cluster = Cluster(*READY, named("other", by_host()))
    before = named("app", by_host())
    same = cluster.review(spoilt(before, ("spec.replicas", 7)), before)
    assert same.refusals == () and any("claims too" in problem.message for problem in same.warnings)


def test_what_leaves_the_spec_alone_is_never_reviewed() -> None:
    cluster = Cluster()
    wrong = rollout("v1", {})
    labelled = spoilt(wrong, ("metadata.labels", {"a": "b"}))
    assert cluster.review(labelled, wrong) == Review()
    going = spoilt(wrong, ("metadata.deletionTimestamp", "2026-01-01T00:00:00Z"), ("spec.replicas", 9))
    assert cluster.review(going, rollout("v1", by_host())) == Review()


# -- workloads ---------------------------------------------------------------------------------------------------------


def referring(strategy: Json, **ref: Any) -> Json:
    raw = spoilt(named("app", strategy), ("spec.template", REMOVED), ("spec.selector", REMOVED))
    raw["spec"]["workloadRef"] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", **ref}
    return raw


def deployment(**metadata: Any) -> Json:
    labels = {"app": "app"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", **metadata},
        "spec": {"selector": {"matchLabels": labels}, "template": m.pod_template(labels, m.app_container("v1"))},
    }


def test_a_rollout_of_a_workload_is_judged_without_the_workload_too() -> None:
    unread = Cluster(*READY)
    assert unread.review(referring(by_host(weigh(10)))) == Review(), "nobody watches Deployments yet"
    assert paths(unread.review(referring(by_host(weigh(101)))).refusals) == [f"{CANARY}.steps[0].setWeight"]
    assert paths(unread.review(referring(by_host(), kind="DaemonSet")).refusals) == ["spec.workloadRef.kind"]
    read = Cluster(*READY)
    read.store.replace("Deployment", [], "1")
    assert paths(read.review(referring(by_host())).warnings) == ["spec.workloadRef.name"]
    read.has(deployment())
    assert read.review(referring(by_host())) == Review()
    assert paths(read.review(referring(by_host(weigh(101)))).refusals) == [f"{CANARY}.steps[0].setWeight"]


def test_a_workload_that_belongs_to_another_is_warned_of() -> None:
    owner = {"apiVersion": "x/v1", "kind": "App", "name": "web", "uid": "u", "controller": True}
    cluster = Cluster(*READY)
    cluster.store.replace("Deployment", [], "1")
    cluster.has(deployment(ownerReferences=[owner]))
    review = cluster.review(referring(by_host()))
    assert review.refusals == () and paths(review.warnings) == ["spec.workloadRef.name"]


def test_a_review_wakes_nobody_and_leaves_nothing_behind() -> None:
    cluster = Cluster(*READY)
    readers = dict(cluster.store._readers)
    cluster.review(rollout("v1", by_host(analysis=analysis("absent"))))
    cluster.review(rollout("v1", by_subset()))
    assert cluster.store._readers == readers
    assert cluster.store.keys("Rollout") == []
