"""What the page shows, as plain data."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from tests.cli.release import HASH, NEW, OLD, Release
from tests.fakes.cluster import FakeCluster
from tidegate.core.plan import Key
from tidegate.dashboard.measured import numbers, runs_of
from tidegate.dashboard.trails import LONGEST, Trails, share
from tidegate.dashboard.views import Scene, row, whole

NOW = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)


def everything(release: Release, kind: str) -> list[dict[str, Any]]:
    return deepcopy(release.cluster.peek_all(kind))


def scene(release: Release, **more: Any) -> Scene:
    trails = Trails(lambda: NOW)
    rollout = release.now
    trails.note(Key("Rollout", "shop", "app"), rollout)
    given = {
        "replica_sets": everything(release, "ReplicaSet"),
        "runs": everything(release, "AnalysisRun"),
        "pods": everything(release, "Pod"),
        "events": everything(release, "Event"),
    }
    return Scene(rollout=rollout, trail=trails.of(rollout), now=NOW, **{**given, **more})


def states(shown: dict[str, Any]) -> list[str]:
    return [step["state"] for step in shown["plan"]]


def possible(shown: dict[str, Any]) -> set[str]:
    return {button["name"] for button in shown["actions"] if button["possible"]}


def test_a_row_says_what_a_person_has_to_do(release: Release) -> None:
    shown = row(release.now)

    assert (shown["phase"], shown["step"], shown["steps"], shown["share"]) == ("Paused", 1, 4, 20)
    assert shown["waits"] == "step 2 of 4 pauses until somebody promotes"
    assert (shown["desired"], shown["available"], shown["updating"]) == (5, 5, True)


EXPERIMENT: dict[str, Any] = {
    "metadata": {"name": "app-newhash-2-0", "namespace": "shop", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {
        "duration": "5m",
        "templates": [{"name": "baseline"}, {"name": "candidate"}, {"name": "later"}],
        "analyses": [{"name": "errors"}, {"name": "latency"}],
    },
    "status": {
        "phase": "Running",
        "templateStatuses": [
            {"name": "candidate", "status": "Running", "replicas": 1, "availableReplicas": 1, "serviceName": "s-1"},
            {"name": "baseline", "status": "Progressing", "replicas": 2, "message": "no pod yet"},
        ],
        "analysisRuns": [{"name": "latency", "phase": "Failed", "analysisRun": "run-1", "message": "too slow"}],
    },
}


def test_the_experiment_of_the_present_step_is_shown_with_its_users(release: Release) -> None:
    other = {**EXPERIMENT, "metadata": {**EXPERIMENT["metadata"], "name": "app-oldhash-1-0"}}
    weights = {"additional": [{"serviceName": "s-1", "weight": 5}]}
    release.status(canary={"currentExperiment": "app-newhash-2-0", "weights": weights})

    shown = whole(scene(release, experiments=[other, EXPERIMENT]))["experiment"]

    assert (shown["name"], shown["phase"], shown["duration"]) == ("app-newhash-2-0", "Running", "5m")
    versions = [(v["name"], v["status"], v["available"], v["replicas"], v["weight"]) for v in shown["versions"]]
    assert versions == [
        ("baseline", "Progressing", 0, 2, None),
        ("candidate", "Running", 1, 1, 5),
        ("later", "Pending", 0, 0, None),
    ]
    analyses = [(a["name"], a["phase"], a["run"], a["message"]) for a in shown["analyses"]]
    assert analyses == [("errors", "Pending", "", ""), ("latency", "Failed", "run-1", "too slow")]


def test_an_experiment_of_an_earlier_step_or_one_that_may_not_be_seen_is_not_shown(release: Release) -> None:
    assert whole(scene(release, experiments=[EXPERIMENT]))["experiment"] is None
    release.status(canary={"currentExperiment": "app-newhash-2-0"})
    assert whole(scene(release))["experiment"] is None


def test_a_rollout_that_no_operator_has_seen_yet_can_be_shown(cluster: FakeCluster, release: Release) -> None:
    bare = {"metadata": {"name": "new", "namespace": "shop", "uid": "u", "generation": 1}, "spec": {"strategy": {}}}

    shown = whole(Scene(rollout=bare, replica_sets=(), runs=(), trail=(), now=NOW))

    assert (shown["phase"], shown["plan"], shown["revisions"]) == ("Progressing", [], [])
    assert possible(shown) == {"pause", "restart"}


WORLDS: list[tuple[str, dict[str, Any], dict[str, Any], list[str], set[str]]] = [
    (
        "an endless pause",
        {},
        {},
        ["done", "now", "next", "next"],
        {"promote", "skip", "pause", "promote-full", "abort", "undo", "restart"},
    ),
    (
        "a step that is under way",
        {"pauseConditions": None, "controllerPause": False, "currentStepIndex": 2, "phase": "Progressing"},
        {},
        ["done", "done", "now", "next"],
        {"promote", "skip", "pause", "promote-full", "abort", "undo", "restart"},
    ),
    (
        "held by a person",
        {},
        {"paused": True},
        ["done", "now", "next", "next"],
        {"promote", "skip", "resume", "promote-full", "abort", "undo", "restart"},
    ),
    (
        "aborted",
        {"abort": True, "abortedAt": "2026-01-01T00:01:00Z", "phase": "Degraded", "pauseConditions": None},
        {},
        ["next", "next", "next", "next"],
        {"retry", "pause", "undo", "restart"},
    ),
    (
        "promoted",
        {"stableRS": NEW, "currentStepIndex": 4, "phase": "Healthy", "pauseConditions": None},
        {},
        ["done", "done", "done", "done"],
        {"pause", "undo", "restart"},
    ),
    (
        "past all steps",
        {"currentStepIndex": 4, "phase": "Progressing", "pauseConditions": None, "controllerPause": False},
        {},
        ["done", "done", "done", "done"],
        {"pause", "promote-full", "abort", "undo", "restart"},
    ),
]


@pytest.mark.parametrize(("what", "status", "spec", "plan", "buttons"), WORLDS, ids=[world[0] for world in WORLDS])
def test_steps_and_buttons(
    release: Release, what: str, status: dict[str, Any], spec: dict[str, Any], plan: list[str], buttons: set[str]
) -> None:
    if spec:
        release.spec(**spec)
    release.status(**status)
    release.observe()

    shown = whole(scene(release))

    assert (states(shown), possible(shown)) == (plan, buttons)
    names = {button["name"] for button in shown["actions"]}
    assert ("resume" in names) != ("pause" in names)
    assert all(button["why"] for button in shown["actions"] if not button["possible"])
    assert not any("tidegate " in button["why"] for button in shown["actions"])  # The page has buttons, not verbs.


def test_nothing_is_promoted_of_a_status_that_tells_of_an_older_spec(release: Release) -> None:
    release.spec(replicas=6)

    assert possible(whole(scene(release))) == {"pause", "undo", "restart"}


def test_a_timed_pause_says_when_it_ends(release: Release) -> None:
    started = {"reason": "CanaryPauseStep", "startTime": "2026-01-01T00:02:00Z"}
    release.status(currentStepIndex=3, pauseConditions=[started])

    assert whole(scene(release))["plan"][3]["until"] == "2026-01-01T00:12:00Z"
    assert [step["until"] for step in whole(scene(release))["plan"][:3]] == ["", "", ""]


def test_what_belongs_to_others_is_not_shown(cluster: FakeCluster, release: Release) -> None:
    other = Release(cluster, name="other", namespace="shop")
    other.run("other-run", "Running")
    other.event("RolloutPaused", "another's", "2026-01-01T00:01:00Z")
    release.run("run", "Running")
    release.event("RolloutPaused", "ours", "2026-01-01T00:01:00Z")
    before = release.now["metadata"]["uid"]
    shown = whole(scene(release))
    text = orjson.dumps(shown).decode()

    (undo,) = (button for button in shown["actions"] if button["name"] == "undo")
    assert [one["revision"] for one in undo["revisions"]] == [1]
    assert "other" not in text and "ours" in text and before in text


def test_events_come_newest_first_whatever_their_form(release: Release) -> None:
    about = {"kind": "Rollout", "uid": release.uid}
    old = {
        "metadata": {},
        "involvedObject": about,
        "reason": "Old",
        "lastTimestamp": "2026-01-01T00:01:00Z",
        "count": 3,
    }
    series = {"count": 2, "lastObservedTime": "2026-01-01T00:03:00Z"}
    again = {"metadata": {}, "involvedObject": about, "reason": "Again", "eventTime": "2026-01-01T00:00:00Z"}
    bare = {"metadata": {"creationTimestamp": "2026-01-01T00:02:00Z"}, "involvedObject": about, "reason": "Bare"}

    shown = whole(scene(release, events=[old, {**again, "series": series}, bare]))["events"]

    assert [(event["reason"], event["count"]) for event in shown] == [("Again", 2), ("Bare", 1), ("Old", 3)]


# -- weights -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "status", "expected"),
    [
        ({"canary": {}}, {"currentPodHash": "b", "stableRS": "a", "canary": {"weights": {"canary": {"weight": 7}}}}, 7),
        ({"canary": {}}, {"currentPodHash": "b", "stableRS": "a", "replicas": 8, "updatedReplicas": 2}, 25),
        ({"canary": {}}, {"currentPodHash": "b", "stableRS": "a"}, 0),
        (
            {"canary": {}},
            {"currentPodHash": "a", "stableRS": "a", "canary": {"weights": {"canary": {"weight": 0}}}},
            100,
        ),
        ({"blueGreen": {}}, {"currentPodHash": "b", "stableRS": "a", "blueGreen": {"activeSelector": "a"}}, 0),
        ({"blueGreen": {}}, {"currentPodHash": "b", "stableRS": "a", "blueGreen": {"activeSelector": "b"}}, 100),
    ],
)
def test_the_new_versions_share(strategy: dict[str, Any], status: dict[str, Any], expected: int) -> None:
    assert share({"metadata": {}, "spec": {"strategy": strategy}, "status": status}) == expected


def seen(uid: str, hash_: str, weight: int, **status: Any) -> dict[str, Any]:
    weights = {"weights": {"canary": {"weight": weight}}}
    return {
        "metadata": {"name": "app", "namespace": "shop", "uid": uid},
        "spec": {"strategy": {"canary": {}}},
        "status": {"currentPodHash": hash_, "stableRS": "a", "canary": weights, **status},
    }


def test_a_trail_keeps_what_changed_and_begins_where_the_status_says() -> None:
    clock, key = [NOW], Key("Rollout", "shop", "app")
    trails = Trails(lambda: clock[0])
    began = {"duration": {"rolloutStartedAt": "2026-01-01T00:00:00Z"}}
    for minute, weight in enumerate((10, 10, 50, 50, 20)):
        clock[0] = NOW + timedelta(minutes=minute)
        trails.note(key, seen("1", "b", weight))

    assert [(point.at[11:16], point.share) for point in trails.of(seen("1", "b", 20, **began))] == [
        ("00:00", 0),
        ("00:05", 10),
        ("00:07", 50),
        ("00:09", 20),
    ]
    assert trails.of(seen("2", "b", 20)) == []  # Another of the same name.
    trails.note(key, None)
    assert trails.of(seen("1", "b", 20)) == []


def test_a_trail_does_not_grow_for_ever() -> None:
    trails, key = Trails(lambda: NOW), Key("Rollout", "shop", "app")
    for weight in range(3 * LONGEST):
        trails.note(key, seen("1", "b", weight % 100))

    assert len(trails.of(seen("1", "b", 0))) == LONGEST


# -- analyses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.97", [0.97]),
        ("[0.97]", [0.97]),
        ("[1,2]", [1, 2]),
        (0.5, [0.5]),
        ("[]", []),
        ("NaN", []),
        ('"text"', []),
        ('{"a": 1}', []),
        ("[1, null]", []),
        ("true", []),
        ("", []),
        (None, []),
        ("[1,2,3,4,5,6]", [1, 2, 3, 4]),
    ],
)
def test_numbers_of_a_measurement(value: object, expected: list[float]) -> None:
    assert numbers(value) == expected


def test_a_metric_with_its_limit_and_measurements(release: Release) -> None:
    measured = [
        {"phase": "Successful", "finishedAt": "2026-01-01T00:01:00Z", "value": "[0.99]"},
        {"phase": "Error", "finishedAt": "2026-01-01T00:02:00Z", "message": "no answer"},
    ]
    release.run("run", "Running", measurements=measured)
    (run,) = everything(release, "AnalysisRun")
    run["spec"]["metrics"][0] |= {"successCondition": "result[0] >= 0.95", "failureCondition": "len(result) > 3"}

    (metric,) = runs_of(release.now, [run])[0]["metrics"]

    assert metric["limits"] == [0.95]
    assert [(point["phase"], point["values"], point["said"]) for point in metric["points"]] == [
        ("Successful", [0.99], ""),
        ("Error", [], "no answer"),
    ]


def test_both_arms_and_the_evidence_of_a_comparison(release: Release) -> None:
    compare = {
        "kind": "counts",
        "verdict": "worse",
        "message": "canary fails 5 % of 100 requests",
        "record": {
            "arms": {"canary": {"bad": 5, "total": 100}, "stable": {"bad": 1, "total": 1000}},
            "ratio": {"value": 50, "lower": 10.5},
            "looks": 2,
            "trail": [[1, 0.4, -0.1], [2, 1.2, -0.4], ["broken"]],
        },
    }
    release.run("run", "Failed", compare=compare)

    (metric,) = runs_of(release.now, everything(release, "AnalysisRun"))[0]["metrics"]
    found = metric["compare"]

    assert [(rate["arm"], rate["success"]) for rate in found["rates"]] == [("canary", 0.95), ("stable", 0.999)]
    assert found["trail"] == [{"look": 1, "worse": 0.4, "safe": -0.1}, {"look": 2, "worse": 1.2, "safe": -0.4}]
    assert (found["verdict"], found["ratio"]) == ("worse", {"value": 50, "lower": 10.5})


@pytest.mark.parametrize("compare", [{"verdict": ""}, {"record": {"arms": {"canary": 3}}}, {"record": {"ratio": {}}}])
def test_a_comparison_that_has_not_looked_yet(release: Release, compare: dict[str, Any]) -> None:
    release.run("run", "Running", compare=compare)

    (metric,) = runs_of(release.now, everything(release, "AnalysisRun"))[0]["metrics"]

    assert metric["compare"]["verdict"] == "no look yet" and metric["compare"]["rates"] == []


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_what_may_hold_secrets_is_not_shown(cluster: FakeCluster, release: Release) -> None:
    """Marked secrets wherever people put them: environments, annotations, arguments, providers, labels of nothing."""
    secret = "s3cr3t"
    release.spec(
        template={
            "metadata": {"annotations": {"key": secret}},
            "spec": {
                "containers": [
                    {"name": "app", "image": "app:v2", "env": [{"name": "A", "value": secret}], "args": [secret]}
                ]
            },
        }
    )
    cluster.patch("Rollout", "app", {"metadata": {"annotations": {"last-applied": secret}}}, "shop")
    for kind, name in (("ReplicaSet", f"app-{OLD}"), ("Pod", f"app-{OLD}-bbbbb")):
        cluster.patch(kind, name, {"metadata": {"annotations": {"note": secret}}}, "shop")
    release.run("run", "Running", metadata={"ResolvedPrometheusQuery": secret})
    (run,) = everything(release, "AnalysisRun")
    run["spec"] |= {"args": [{"name": "token", "value": secret}]}
    run["spec"]["metrics"][0]["provider"] = {"web": {"headers": [{"key": "Authorization", "value": secret}]}}

    text = orjson.dumps(whole(scene(release, runs=[run]))).decode()

    assert secret not in text and HASH not in text
