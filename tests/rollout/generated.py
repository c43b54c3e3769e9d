"""Stories that nobody would write by hand: strategies, pods and people in any order."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from tests.rollout.objects import ANALYSIS, GUESTS, SERVICES, Obj, blue_green, canary, service, trial
from tests.rollout.stage import HASH, NAMESPACE, Stage, Verdict
from tidegate.core.plan import Key
from tidegate.core.times import format_time

IMAGES = ("v1", "v2", "v3")

PHASES = st.sampled_from(("Successful", "Successful", "Failed", "Error", "Inconclusive"))
FOUND = st.sampled_from(
    ({}, {}, {"safe": True}, {"hold": "too few"}, {"undecided": "so so"}, {"undecided": "so so", "looksLeft": 3})
)
VERDICTS = st.builds(
    Verdict,
    PHASES,
    st.sampled_from((0.0, 1.0, 7.0, 40.0, None)),
    FOUND,
    st.sampled_from(("pause", "promote", "undo")),
)

STEPS = st.one_of(
    st.builds(lambda weight: {"setWeight": weight}, st.sampled_from((0, 1, 10, 20, 33, 50, 75, 99, 100))),
    st.sampled_from(({"pause": {"duration": 5}}, {"pause": {"duration": "1m"}}, {"pause": {}}, {"analysis": ANALYSIS})),
)
ROLES: tuple[Obj | None, ...] = (
    None,
    {"labels": {"role": "new"}},
    {"labels": {"role": "old"}, "annotations": {"for": "all"}},
)
METADATA = st.tuples(st.sampled_from(ROLES), st.sampled_from(ROLES))
SCALES = st.builds(
    lambda scale: {"setCanaryScale": scale},
    st.sampled_from(
        (
            {"replicas": 0},
            {"replicas": 1},
            {"replicas": 3},
            {"weight": 30},
            {"weight": 100},
            {"matchTrafficWeight": True},
        )
    ),
)
LEAST = st.sampled_from((None, None, 2, 3))
THRESHOLDS = st.sampled_from((None, None, {"type": "Percent", "value": 60}, {"type": "Pod", "value": 1}))
LEAD = {"setHeaderRoute": {"name": "lead", "match": [{"headerName": "b", "headerValue": {"exact": "y"}}]}}
COPY = {"setMirrorRoute": {"name": "copy", "match": [{"method": {"exact": "GET"}}], "percentage": 50}}
ROUTES = st.sampled_from((LEAD, COPY, {"setHeaderRoute": {"name": "lead"}}, {"setMirrorRoute": {"name": "copy"}}))
DELAYS = st.sampled_from((None, 0, 5, 30))
ASKED: tuple[tuple[Obj, ...], ...] = (
    (),
    ({"name": "up", "templateName": "ok"},),
    ({"name": "up", "templateName": "ok", "requiredForCompletion": True},),
)


@st.composite
def trials(draw: st.DrawFn) -> Obj:
    """An experiment step: with weights or without, of a time, an analysis or both."""
    weights = draw(st.lists(st.sampled_from((None, 1, 5, 20)), min_size=1, max_size=2))
    asked = draw(st.sampled_from(ASKED))
    endless = bool(asked) and "requiredForCompletion" in asked[0] and draw(st.booleans())
    return trial(
        *weights,
        replicas=draw(st.sampled_from((0, 1, 2))),
        analyses=list(asked),
        **_some(
            duration=None if endless else draw(st.sampled_from(("0s", "3s", "20s"))),
            scaleDownDelaySeconds=draw(DELAYS),
        ),
    )


def fitting(steps: list[Obj], *, routed: bool) -> list[Obj]:
    """Steps whose experiments have no more weight than there is to have."""
    weight, found = 0, []
    for step in steps:
        weight = step.get("setWeight", weight)
        templates = (step.get("experiment") or {}).get("templates", ())
        too_much = not routed or sum(each.get("weight", 0) for each in templates) > 100 - weight
        if templates and too_much:
            bare = [{field: value for field, value in each.items() if field != "weight"} for each in templates]
            found.append({"experiment": {**step["experiment"], "templates": bare}})
        else:
            found.append(step)
    return found


def _some(**fields: Any) -> Obj:
    return {name: value for name, value in fields.items() if value is not None}


@st.composite
def canaries(draw: st.DrawFn) -> Obj:
    """A canary with a router."""
    metadata = draw(METADATA)
    steps = fitting(draw(st.lists(st.one_of(STEPS, STEPS, SCALES, ROUTES, trials()), max_size=6)), routed=True)
    start = draw(st.integers(0, max(len(steps) - 1, 0)))
    dynamic = draw(st.sampled_from((None, None, True)))
    whole = draw(st.sampled_from((None, None, 1000)))
    if whole:
        steps = [_finer(step) for step in steps]
    strategy = canary(
        *steps,
        how=draw(st.sampled_from(("hosts", "subsets", "two", "turns"))),
        **_some(
            canaryMetadata=metadata[0],
            antiAffinity=draw(st.sampled_from((None, {"requiredDuringSchedulingIgnoredDuringExecution": {}}))),
            stableMetadata=metadata[1],
            scaleDownDelaySeconds=None if dynamic else draw(DELAYS),
            dynamicStableScale=dynamic,
            abortScaleDownDelaySeconds=draw(DELAYS),
            scaleDownDelayRevisionLimit=draw(st.sampled_from((None, None, 0, 1))),
            analysis=draw(st.sampled_from((None, {**ANALYSIS, "startingStep": start}))),
            minPodsPerReplicaSet=draw(LEAST),
            replicaProgressThreshold=draw(THRESHOLDS),
        ),
    )
    if whole:
        strategy["canary"]["trafficRouting"]["maxTrafficWeight"] = whole
    return strategy


def _finer(step: Obj) -> Obj:
    """The same step in thousandths, where its weight is not the least that there is."""
    weight = step.get("setWeight")
    return {"setWeight": weight * 10} if weight and weight > 1 else step


@st.composite
def ratios(draw: st.DrawFn) -> Obj:
    """A canary without a router: the ratio of pods is the weight. Without steps it is a rolling update."""
    surge, unavailable = draw(
        st.sampled_from(
            (
                *(("25%", "25%"), (1, 0), (0, 1), ("50%", 0), (2, 1), ("100%", 0), ("1%", "1%"), (0, "30%")),
                *(("0%", "9%"), ("0%", "49%"), (0, "100%"), ("150%", "0%"), ("20", "20"), (7, 7)),
            )
        )
    )
    return canary(
        *fitting(draw(st.lists(st.one_of(STEPS, STEPS, trials()), max_size=5)), routed=False),
        how="pods",
        maxSurge=surge,
        maxUnavailable=unavailable,
        **_some(replicaProgressThreshold=draw(THRESHOLDS)),
        **draw(st.sampled_from(({}, {"canaryService": "app-canary", "stableService": "app-stable"}))),
    )


@st.composite
def blue_greens(draw: st.DrawFn) -> Obj:
    """A blue-green strategy."""
    strategy = blue_green(
        **_some(
            previewMetadata=draw(st.sampled_from(ROLES)),
            activeMetadata=draw(st.sampled_from(ROLES)),
            autoPromotionEnabled=draw(st.sampled_from((None, False))),
            autoPromotionSeconds=draw(st.sampled_from((None, 10))),
            previewReplicaCount=draw(st.sampled_from((None, None, 0, 1, 4))),
            prePromotionAnalysis=draw(st.sampled_from((None, ANALYSIS))),
            postPromotionAnalysis=draw(st.sampled_from((None, ANALYSIS))),
            scaleDownDelaySeconds=draw(DELAYS),
            abortScaleDownDelaySeconds=draw(DELAYS),
            scaleDownDelayRevisionLimit=draw(st.sampled_from((None, None, 0, 1))),
        )
    )
    if draw(st.booleans()):
        del strategy["blueGreen"]["previewService"]
    return strategy


@dataclass(frozen=True)
class Move:
    """Something that happens in a story. It prints as a person would say it."""

    words: str
    do: Callable[[Stage], object]

    def __repr__(self) -> str:
        return self.words

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    def __call__(self, stage: Stage) -> None:
        self.do(stage)


def _moves(words: str, values: tuple[Any, ...], do: Callable[[Stage, Any], object]) -> st.SearchStrategy[Move]:
    return st.sampled_from([Move(words.format(value), lambda stage, value=value: do(stage, value)) for value in values])


def _settle_clock(stage: Stage, seconds: float) -> None:
    stage.now += timedelta(seconds=seconds)


def _drop_set(stage: Stage, image: str) -> None:
    if image in stage.sets():
        stage.remove(Key("ReplicaSet", NAMESPACE, stage.sets()[image]["metadata"]["name"]))


def _drop_runs(stage: Stage, _: object) -> None:
    for key in [key for key in stage.objects if key.kind == "AnalysisRun"]:
        stage.remove(key)


def _drop_experiments(stage: Stage, _: object) -> None:
    for key in [key for key in stage.objects if key.kind == "Experiment"]:
        stage.remove(key)


def _end_experiments(stage: Stage, _: object) -> None:
    for key in [key for key in stage.objects if key.kind == "Experiment"]:
        stage.edit(key, {"spec": {"terminate": True}})


def _retry_experiments(stage: Stage, _: object) -> None:
    for key in [key for key in stage.objects if key.kind == "Experiment"]:
        stage.edit(key, {"status": None})


def _weigh(stage: Stage, canary_weight: int) -> None:
    routing = (stage.rollout["spec"]["strategy"].get("canary") or {}).get("trafficRouting") or {}
    whole = routing.get("maxTrafficWeight", 100)
    for key in [key for key in stage.objects if key.kind == "VirtualService"]:
        http = stage.objects[key]["spec"]["http"]
        place = next(i for i, each in enumerate(http) if each["name"] == "primary")
        route = http[place]["route"]
        others = [each["weight"] for each in route[2:]]
        part = canary_weight * whole // 100
        rest = max(0, whole - part - sum(others))
        first = route[0]["destination"]
        ours = (part, rest) if stage.canary_end() in (first.get("subset"), first["host"]) else (rest, part)
        weights = [*ours, *others]
        edits = [
            {"op": "add", "path": f"/spec/http/{place}/route/{at}/weight", "value": w} for at, w in enumerate(weights)
        ]
        stage.edit(key, edits)


def _label(stage: Stage, value: str) -> None:
    """Labels and annotations of others on everything, as Argo CD and webhooks put there."""
    for key in [key for key in stage.objects if key.kind in ("VirtualService", "DestinationRule", "Service")]:
        stage.edit(key, {"metadata": {"labels": {"theirs": value}, "annotations": {"theirs": value}}})


def _invite(stage: Stage, _: object) -> None:
    """Somebody adds a route of their own, before all others."""
    for key in [key for key in stage.objects if key.kind == "VirtualService"]:
        if not any(http.get("name") == GUESTS for http in stage.objects[key]["spec"]["http"]):
            route = {"name": GUESTS, "route": [{"destination": {"host": "elsewhere"}}]}
            stage.edit(key, [{"op": "add", "path": "/spec/http/0", "value": route}])


def _steal(stage: Stage, wanted: str) -> None:
    """Somebody rewrites the selector of the Service that users reach, as a re-applied manifest does."""
    for name in ("app-active", "app-stable", "app-ping"):
        key = Key("Service", NAMESPACE, name)
        if key in stage.objects:
            stage.edit(key, {"spec": {"selector": {HASH: wanted or None}}})


def _recreate(stage: Stage, name: str) -> None:
    key = Key("Service", NAMESPACE, name)
    if key in stage.objects:
        stage.remove(key)
        stage.put(service(name))


def _promote(stage: Stage, _: object) -> None:
    """What the kubectl plugin does: lift the pause if there is one, else go to the next step."""
    if stage.status.get("pauseConditions"):
        stage.user(pauseConditions=None)
    elif stage.status.get("currentStepIndex") is not None:
        steps = stage.rollout["spec"]["strategy"]["canary"].get("steps") or ()
        stage.user(currentStepIndex=min(stage.status["currentStepIndex"] + 1, len(steps)))


def _skip_steps(stage: Stage, count: int) -> None:
    """What Argo CD's actions do: skip a step, or all that are left."""
    steps = (stage.rollout["spec"]["strategy"].get("canary") or {}).get("steps") or ()
    index = stage.status.get("currentStepIndex")
    if index is not None and index < len(steps):
        stage.user(pauseConditions=None, currentStepIndex=min(index + count, len(steps)))


def _edit_steps(stage: Stage, steps: list[Obj]) -> None:
    """Somebody changes the plan in the middle of it."""
    canary = stage.rollout["spec"]["strategy"].get("canary")
    if canary is not None:
        background = {"analysis": {"startingStep": 0}} if "analysis" in canary else {}
        stage.spec(strategy={"canary": {"steps": steps, **background}})


def _end_runs(stage: Stage, _: object) -> None:
    """What the plugin's `terminate analysisrun` does."""
    for key in [key for key in stage.objects if key.kind == "AnalysisRun"]:
        stage.edit(key, {"spec": {"terminate": True}})


def _die(stage: Stage, after: int) -> None:
    """The operator is killed after so many writes of its next reconcile; whoever comes next goes on."""
    stage.cluster_moves()
    stage.reconcile(crash_after=after)


def _restart(stage: Stage, after: float) -> None:
    stage.spec(restartAt=format_time(stage.now + timedelta(seconds=after)))


def _promote_in_full(stage: Stage, _: object) -> None:
    if stage.status.get("stableRS") != stage.status.get("currentPodHash"):
        stage.user(promoteFull=True)


EDITED: tuple[list[Obj], ...] = (
    [],
    [{"setWeight": 20}, {"pause": {"duration": 5}}],
    [{"setWeight": 60}, {"analysis": ANALYSIS}, {"setWeight": 10}],
)
WAITS = _moves("wait {} s", (0, 1, 3, 10, 35, 700), lambda stage, seconds: stage.play(seconds))
PEOPLE = st.one_of(
    _moves("image {}", IMAGES, Stage.image),
    _moves("scale to {}", (0, 1, 2, 3, 5, 10), lambda stage, n: stage.spec(replicas=n)),
    _moves("spec.paused {}", (True, False), lambda stage, held: stage.spec(paused=held)),
    _moves("status.abort {}", (True, False), lambda stage, gone: stage.user(abort=gone)),
    _moves("promote{}", ("",), _promote),
    _moves("promote in full{}", ("",), _promote_in_full),
    _moves("end the experiments{}", ("",), _end_experiments),
    _moves("restart the pods in {} s", (0, 20), _restart),
    _moves("rollbackWindow {}", (0, 1, 3), lambda s, n: s.spec(rollbackWindow={"revisions": n})),
    _moves("progressDeadlineAbort {}", (True, False), lambda s, on: s.spec(progressDeadlineAbort=on)),
    _moves("progressDeadlineSeconds {}", (15, 600), lambda s, n: s.spec(progressDeadlineSeconds=n)),
    _moves("minReadySeconds {}", (0, 4), lambda s, n: s.spec(minReadySeconds=n)),
    _moves("revisionHistoryLimit {}", (1, 2, 10), lambda s, n: s.spec(revisionHistoryLimit=n)),
    _moves("skip {} steps", (1, 99), _skip_steps),
    _moves("steps {}", EDITED, _edit_steps),
    _moves("a person ends the analysis runs{}", ("",), _end_runs),
    _moves("the operator is killed after {} writes", (1, 2, 3, 5), _die),
)
PODS = st.one_of(
    _moves("a pod of {} crashes", IMAGES, lambda stage, image: stage.crash_pods(image)),
    _moves("a pod of {} is gone for 20 s", IMAGES, lambda stage, image: stage.crash_pods(image, 1, 20)),
    _moves("every pod of {} crashes", IMAGES, lambda stage, image: stage.crash_pods(image, 99)),
    _moves("{} never starts any more", IMAGES, lambda stage, image: stage.boot.update({image: None})),
    _moves("{} is well again", IMAGES, Stage.heal_pods),
    _moves("{} is slow", IMAGES, lambda stage, image: stage.boot.update({image: 50.0})),
    _moves("endpoints follow after {} s", (0.0, 2.0, 40.0), lambda stage, lag: setattr(stage, "lag", lag)),
)
STRANGERS = st.one_of(
    _moves("somebody sets the canary's weight to {}", (0, 30, 100), _weigh),
    _moves("somebody makes the users' Service select {!r}", ("", "nobody"), _steal),
    _moves("somebody recreates the Service {}", SERVICES, _recreate),
    _moves("somebody labels everything {}", ("once", "again"), _label),
    _moves("somebody adds a route of their own{}", ("",), _invite),
    _moves("the ReplicaSet of {} is deleted", IMAGES, _drop_set),
    _moves("the analysis runs are deleted{}", ("",), _drop_runs),
    _moves("the experiments are deleted{}", ("",), _drop_experiments),
    _moves("the experiments are retried{}", ("",), _retry_experiments),
    _moves("the clock jumps by {} s", (30, 3600), _settle_clock),
)


@st.composite
def stories(draw: st.DrawFn, *happenings: st.SearchStrategy[Move], most: int = 14) -> list[Move]:
    """Moves with waits between most of them."""
    pairs = draw(st.lists(st.tuples(st.one_of(*happenings), st.one_of(WAITS, st.none())), min_size=1, max_size=most))
    return [move for pair in pairs for move in pair if move is not None]


def mend(stage: Stage) -> None:
    """Everybody comes to reason: pods are well, nothing is held, and the present image is asked for in full."""
    for image in IMAGES:
        stage.boot.pop(image, None)
        stage.heal_pods(image)
    for pods in stage.pods.values():
        for pod in pods:
            if pod.ready_at == math.inf:
                pod.ready_at = 0.0
    stage.verdicts, stage.lag = {}, 0.0
    spec = {"paused": False}
    if not stage.rollout["spec"].get("replicas"):
        stage.spec(**spec, replicas=2)
    else:
        stage.spec(**spec)
    stage.play(60)
    if stage.status.get("abort"):
        stage.user(abort=False)
        stage.play(60)
    stage.user(promoteFull=True)
