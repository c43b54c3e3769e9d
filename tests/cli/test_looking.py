"""get, list, status, history: what is shown, and the exit code that a pipeline goes by."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.cli.release import NEW, OLD, Release
from tests.fakes.status import failure
from tests.fakes.transport import Fault, refusal


def test_the_tree_has_both_revisions_with_their_weights_pods_and_runs(cli: Cli, release: Release) -> None:
    release.run("app-newhash-2", "Running", successful=3, failed=1)

    shown = cli.ok("get", "app").out

    lines = [line.split() for line in shown.splitlines()]
    assert ["Status:", "Paused", "-", "CanaryPauseStep"] in lines
    assert ["Step:", "2/4", "(pause)"] in lines
    assert ["├──#", "revision", "2", "weight", "20"] in lines
    assert ["└──#", "revision", "1", "weight", "80"] in lines
    for name, kind in ((f"app-{NEW}", "ReplicaSet"), (f"app-{NEW}-aaaaa", "Pod"), ("app-newhash-2", "AnalysisRun")):
        assert any(line.split("──")[-1].split()[:2] == [name, kind] for line in shown.splitlines()), name
    assert "✔ 3 ✖ 1" in shown
    assert shown.index("revision 2") < shown.index(f"app-{NEW}-aaaaa") < shown.index("revision 1")


def test_the_tree_as_json_says_the_same(cli: Cli, release: Release) -> None:
    view = cli.ok("get", "rollout/app", "-o", "json").data

    assert (view["phase"], view["step"], view["weight"]) == ("Paused", 1, 20)
    assert view["steps"] == ["setWeight 20", "pause", "setWeight 50", "pause 10m"]
    assert [(r["revision"], r["roles"], r["weight"]) for r in view["revisions"]] == [
        (2, ["canary"], 20),
        (1, ["stable"], 80),
    ]
    assert [pod["name"] for pod in view["revisions"][0]["pods"]] == [f"app-{NEW}-aaaaa"]


def test_blue_greens_roles_and_weights(cli: Cli, cluster: Any) -> None:
    release = Release(cluster, blueGreen={"activeService": "app", "autoPromotionEnabled": False})
    release.status(blueGreen={"activeSelector": OLD, "previewSelector": NEW}, canary=None)

    view = cli.ok("get", "app", "-o", "json").data

    assert [(r["roles"], r["weight"]) for r in view["revisions"]] == [(["preview"], 0), (["stable", "active"], 100)]
    assert view["strategy"] == "BlueGreen"


def test_who_may_not_list_pods_sees_the_rest_and_is_told(cli: Cli, release: Release) -> None:
    no = failure(403, "Forbidden", 'pods is forbidden: User "eve" cannot list resource "pods" in API group ""')
    cli.arrange = lambda transport: transport.fail(Fault(no), when=lambda request: request.kind == "Pod", times=9)

    shown = cli.ok("get", "app").out

    assert "revision 2" in shown
    assert "Pods are not shown: you may not list them" in shown


def test_a_missing_rollout_is_told_with_its_nearest_names(cli: Cli, cluster: Any, release: Release) -> None:
    Release(cluster, "shop", "store")

    wrong = cli("get", "aap")
    elsewhere = cli("get", "shop")

    assert (wrong.code, wrong.out) == (4, "")
    assert wrong.err == "tidegate: there is no Rollout aap in namespace default; did you mean app?\n"
    assert elsewhere.err == "tidegate: there is no Rollout shop in namespace default; there is one in store (-n)\n"
    assert cli.ok("get", "shop", "-n", "store", "-o", "name").out == "rollout.argoproj.io/shop\n"
    assert cli.ok("-n", "store", "get", "shop", "-o", "name").out == "rollout.argoproj.io/shop\n"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(), ["the cluster of context 'fake' can't be reached", "kubectl config get-contexts"]),
        (Fault(failure(401, "Unauthorized", "Unauthorized")), ["does not accept these credentials", "log in anew"]),
        (
            Fault(
                failure(
                    403,
                    "Forbidden",
                    'rollouts.argoproj.io "app" is forbidden: User "eve" cannot get resource "rollouts" in API group '
                    '"argoproj.io" in the namespace "default"',
                )
            ),
            ["eve may not get rollouts in namespace default", "kubectl auth can-i get rollouts.argoproj.io -n default"],
        ),
        (
            Fault(failure(404, "NotFound", "the server could not find the requested resource")),
            ["does not know Rollout: its CRD is not installed", "crds/"],
        ),
        (Fault(refusal(503)), ["is in trouble (503", "Try again"]),
    ],
)
def test_what_goes_wrong_is_told_with_what_to_do(cli: Cli, release: Release, fault: Fault, words: list[str]) -> None:
    cli.arrange = lambda transport: transport.fail(fault, times=99)

    answer = cli("get", "app")

    assert (answer.code, answer.out) == (4, "")
    for word in words:
        assert word in answer.err, answer.err
    assert "Traceback" not in answer.err


def test_the_list_of_a_namespace_and_of_all(cli: Cli, cluster: Any, release: Release) -> None:
    Release(cluster, "shop", "store")

    here, everywhere = cli.ok("list").out, cli.ok("list", "-A").out

    assert [line.split()[:5] for line in here.splitlines()] == [
        ["NAME", "STRATEGY", "STATUS", "STEP", "WEIGHT"],
        ["app", "Canary", "Paused", "1/4", "20"],
    ]
    assert [line.split()[:2] for line in everywhere.splitlines()[1:]] == [["default", "app"], ["store", "shop"]]
    assert cli.ok("list", "rollouts", "-A", "-o", "name").out.split() == [
        "rollout.argoproj.io/app",
        "rollout.argoproj.io/shop",
    ]
    assert [item["status"] for item in cli.ok("list", "-A", "-o", "json").data["items"]] == ["Paused", "Paused"]
    assert "No Rollouts found in empty namespace" in cli.ok("list", "-n", "empty").err


# -- status ------------------------------------------------------------------------------------------------------------


AT_REST = {"weights": {"canary": {"weight": 0}, "stable": {"weight": 100}}}


def _healthy(release: Release) -> None:
    release.status(
        phase="Healthy",
        message=None,
        stableRS=NEW,
        pauseConditions=None,
        controllerPause=None,
        currentStepIndex=4,
        canary=AT_REST,
    )


def test_status_waits_for_the_generation_that_was_just_applied(cli: Cli, release: Release) -> None:
    _healthy(release)
    release.spec(template={"spec": {"containers": [{"name": "app", "image": "app:v3"}]}})
    cli.later = [
        (0.2, lambda: release.status(phase="Progressing", observedGeneration="2", currentPodHash="third")),
        (0.4, lambda: release.status(phase="Healthy", stableRS="third", canary=AT_REST)),
    ]

    answer = cli("status", "app", "--timeout", "20s")

    assert answer.code == 0
    assert "waiting for rollout spec update to be observed" in answer.out
    assert "Rollout app is healthy" in answer.out.splitlines()[-1]


def test_status_ends_with_2_when_only_a_person_can_go_on(cli: Cli, release: Release) -> None:
    answer = cli("status", "app", "--timeout", "20s")

    assert answer.code == 2
    assert "step 2 of 4 pauses until somebody promotes" in answer.out
    assert "tidegate promote app" in answer.err


def test_status_does_not_call_anybody_for_a_pause_that_ends_by_itself(cli: Cli, release: Release) -> None:
    release.status(currentStepIndex=3)

    assert cli("status", "app", "--timeout", "0").code == 3


def test_status_ends_with_1_and_the_reason_of_the_undo(cli: Cli, release: Release) -> None:
    release.run("app-newhash-2", "Failed", message="m", failed=1, measurements=[{"phase": "Failed", "value": "[0.2]"}])
    release.status(
        phase="Degraded",
        message="RolloutAborted: Background analysis failed",
        abort=True,
        abortedAt="2026-01-01T00:00:00Z",
        pauseConditions=None,
        controllerPause=None,
    )

    answer = cli("status", "app")
    data = cli("status", "app", "-o", "json").data

    assert answer.code == 1
    assert "RolloutAborted: Background analysis failed" in answer.out
    assert "app-newhash-2: metric errors: Failed (last: [0.2])" in answer.out
    assert (data["verdict"], data["exitCode"], data["phase"]) == ("undone", 1, "Degraded")
    assert "metric errors" in data["reason"]


@pytest.mark.parametrize(
    "status",
    [
        {"phase": "Degraded", "message": "RolloutAborted", "abort": False, "abortedAt": "2026-01-01T00:00:00Z"},
        {"phase": "Paused", "pauseConditions": None},
        {"phase": "Paused", "promoteFull": True},
        {"phase": "Paused", "abort": True},
        {"phase": "Healthy", "stableRS": NEW, "pauseConditions": None, "controllerPause": None},
    ],
    ids=["retry", "promote", "promote --full", "abort", "stable's Service has yet to follow"],
)
def test_what_was_asked_a_moment_ago_is_no_end_yet(cli: Cli, release: Release, status: dict[str, Any]) -> None:
    release.status(**status)

    assert cli("status", "app", "--timeout", "0").code == 3


def test_another_version_in_its_place_is_not_a_success(cli: Cli, release: Release) -> None:
    release.status(currentStepIndex=3)
    cli.later = [
        (
            0.2,
            lambda: release.status(
                phase="Healthy", currentPodHash="third", stableRS="third", pauseConditions=None, controllerPause=None
            ),
        ),
    ]

    answer = cli("status", "app", "--timeout", "20s")

    assert answer.code == 1
    assert "another version (third) has taken the place" in answer.out


def test_credentials_that_end_while_it_follows_end_it(cli: Cli, release: Release) -> None:
    """A wrong program shows the last state for ever, and the pipeline waits for its own time limit."""
    release.status(currentStepIndex=3)
    no = Fault(failure(401, "Unauthorized", "Unauthorized"))
    cli.arrange = lambda transport: transport.fail(no, when=lambda request: request.method == "WATCH", times=99)

    answer = cli("status", "app", "--timeout", "20s")

    assert answer.code == 4
    assert "does not accept these credentials" in answer.err


def test_a_connection_that_breaks_while_it_follows_is_made_again(cli: Cli, release: Release) -> None:
    release.status(currentStepIndex=3)
    cli.arrange = lambda transport: transport.fail(Fault(), when=lambda request: request.method == "WATCH")
    cli.later = [(0.3, lambda: _healthy(release))]

    answer = cli("status", "app", "--timeout", "30s")

    assert answer.code == 0, answer
    assert "out of touch, trying again" in answer.err


def test_an_invalid_time_limit_and_an_unknown_option_are_no_answers(cli: Cli, release: Release) -> None:
    assert cli("status", "app", "--timeout", "soon").code == 4
    assert "'soon' is not a duration" in cli("status", "app", "--timeout", "soon").err


# -- history -----------------------------------------------------------------------------------------------------------


def test_history_tells_outcomes_from_what_is_left(cli: Cli, release: Release) -> None:
    release.event(
        "RolloutCompleted", f"Rollout completed update to revision 1 ({OLD}): Initial deploy", "2026-01-01T00:01:30Z"
    )
    release.event(
        "RolloutAborted", "Rollout aborted update to revision 2: metric errors failed", "2026-01-01T00:05:00Z"
    )
    release.status(
        phase="Degraded",
        message="RolloutAborted: metric errors failed",
        abort=True,
        abortedAt="2026-01-01T00:05:00Z",
        duration={"finishedAt": "2026-01-01T00:05:00Z", "completionStatus": "Aborted"},
    )

    items = cli.ok("history", "app", "-o", "json").data["items"]
    shown = cli.ok("history", "app").out.splitlines()

    assert [(i["revision"], i["outcome"], i["seconds"], i["stable"]) for i in items] == [
        (2, "Aborted", 300, False),
        (1, "Promoted", 90, True),
    ]
    assert "metric errors failed" in items[0]["reason"]
    assert shown[1].split()[:3] == ["2", "Aborted", "5m"]


def record(revision: int, hash_: str, outcome: str, start: int, end: int, reason: str = "") -> dict[str, Any]:
    """An entry of status.releases. start, end: minutes."""
    times = {"startedAt": f"2026-01-01T00:{start:02}:00Z", "finishedAt": f"2026-01-01T00:{end:02}:30Z"}
    return {
        "revision": revision,
        "podHash": hash_,
        "outcome": outcome,
        **times,
        **({"reason": reason} if reason else {}),
    }


def test_history_is_the_record_of_releases_with_what_is_under_way(cli: Cli, release: Release) -> None:
    """No event is left, an old ReplicaSet has gone, and a revision is tried again: the record knows of all."""
    aborted = 'RolloutAborted: Rollout aborted update to revision 2: metric "errors" failed'
    release._replica_set("older", 0, "app:v0", 0)
    release.status(
        duration={"rolloutStartedAt": "2026-01-01T00:40:00Z"},
        releases={
            "recent": [
                record(0, "gone", "Superseded", 1, 2),
                record(1, OLD, "Promoted", 3, 4, "Initial deploy"),
                record(2, NEW, "Aborted", 10, 12, aborted),
                record(2, NEW, "Aborted", 20, 21),
                {"revision": 7},
            ]
        },
    )

    items = cli.ok("history", "app", "-o", "json").data["items"]
    shown = cli.ok("history", "app").out.splitlines()

    told = [(i["revision"], i["outcome"], i["seconds"], i["reason"], i["images"], i["stable"]) for i in items]
    assert told == [
        (2, "Paused", None, "CanaryPauseStep", ["app:v2"], False),
        (2, "Aborted", 90, "", ["app:v2"], False),
        (2, "Aborted", 150, 'metric "errors" failed', ["app:v2"], False),
        (1, "Promoted", 90, "Initial deploy", ["app:v1"], True),
        (0, "Unknown", None, "its events are no longer kept", ["app:v0"], False),
        (0, "Superseded", 90, "another version came before it was done", [], False),
    ]
    assert items[0]["started"] == "2026-01-01T00:40:00Z"
    assert items[3]["finished"] == "2026-01-01T00:04:30Z"
    assert shown[4].split()[:5] == ["1", "Promoted", "1m30s", "2026-01-01", "00:03:00"]


def test_history_does_not_tell_of_a_release_twice(cli: Cli, release: Release) -> None:
    """The status tells of the end of the latest update, its events do, and so does the record."""
    completed = f"Rollout completed update to revision 2 ({NEW}): Completed all 4 canary steps"
    release.event("RolloutCompleted", completed, "2026-01-01T00:05:00Z")
    release.status(
        phase="Healthy",
        message=None,
        stableRS=NEW,
        duration={
            "rolloutStartedAt": "2026-01-01T00:03:00Z",
            "finishedAt": "2026-01-01T00:04:30Z",
            "completionStatus": "Promoted",
        },
        releases={"recent": [record(2, NEW, "Promoted", 3, 4)]},
    )

    items = cli.ok("history", "app", "-o", "json").data["items"]

    assert [(i["revision"], i["outcome"], i["seconds"], i["reason"], i["stable"]) for i in items] == [
        (2, "Promoted", 90, "Completed all 4 canary steps", True),
        (1, "Unknown", None, "its events are no longer kept", False),
    ]


def test_history_does_not_invent_what_is_forgotten(cli: Cli, release: Release) -> None:
    release._replica_set("older", 0, "app:v0", 0)

    items = cli.ok("history", "app", "-o", "json").data["items"]

    assert [(i["revision"], i["outcome"]) for i in items] == [(2, "Paused"), (1, "Promoted"), (0, "Unknown")]
    assert items[2]["reason"] == "its events are no longer kept"
