"""Metrics that are Jobs: what is created, what is read, and what is refused before."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.api.parsing import parse_metrics
from tidegate.core.analysis.job_objects import Job, job_body, job_name

UID = "0123abcd-0000-4000-8000-000000000007"


def job(**pod: Any) -> dict[str, Any]:
    """A metric that runs `true`."""
    containers = [{"name": "check", "image": "check:v1", "command": ["true"]}]
    return {
        "name": "smoke",
        "provider": {
            "job": {"spec": {"template": {"spec": {"containers": containers, "restartPolicy": "Never", **pod}}}}
        },
    }


SPEC = "spec.metrics[0].provider.job.spec"
WRONG: list[tuple[dict[str, Any], str, str]] = [
    (job(restartPolicy="Always"), f"{SPEC}.template.spec.restartPolicy", "is 'Always': a Job's pod needs Never"),
    (job(restartPolicy=None), f"{SPEC}.template.spec.restartPolicy", "is required"),
    (job(containers=[]), f"{SPEC}.template.spec.containers", "at least one container"),
    ({"name": "a", "provider": {"job": {"spec": {}}}}, f"{SPEC}.template.spec", "is required"),
    ({"name": "a", "provider": {"job": {"spec": {"template": []}}}}, f"{SPEC}.template.spec", "is required"),
    ({"name": "a", "provider": {"job": {}}}, SPEC, "is required"),
    ({**job(), "successCondition": "result == 1"}, "spec.metrics[0].successCondition", "has no result to look at"),
    ({**job(), "failureCondition": "result == 1"}, "spec.metrics[0].failureCondition", "has no result to look at"),
    (
        {"name": "a", "provider": {**job()["provider"], "prometheus": {"query": "up"}}},
        "spec.metrics[0].provider",
        "make a metric of each",
    ),
    (
        {"name": "a", "provider": {"job": {**job()["provider"]["job"], "metadata": {"name": "mine"}}}},
        "spec.metrics[0].provider.job.metadata.name",
        "is not a field of",
    ),
]


@pytest.mark.parametrize(("metric", "path", "message"), WRONG)
def test_a_job_that_could_not_be_created_is_refused_before(metric: dict[str, Any], path: str, message: str) -> None:
    metrics, (problem,) = parse_metrics([metric])

    assert (metrics, problem.path) == ((), path)
    assert message in problem.message


def test_a_job_may_leave_its_restart_policy_to_an_argument() -> None:
    assert parse_metrics([job(restartPolicy="{{args.policy}}")])[1] == ()


@pytest.mark.parametrize(
    ("metric", "number", "name"),
    [
        ("smoke", 1, f"{UID}.smoke.1"),
        ("smoke-test", 12, f"{UID}.smoke-test.12"),
        ("a" * 24, 1, f"{UID}.{'a' * 24}.1"),
    ],
)
def test_a_job_has_the_contracts_name(metric: str, number: int, name: str) -> None:
    assert job_name(UID, metric, number) == name


@given(a=st.text(min_size=1, max_size=80), b=st.text(min_size=1, max_size=80), n=st.integers(1, 99_999))
def test_any_metric_has_a_name_that_a_job_may_have_and_no_other_metric_has(a: str, b: str, n: int) -> None:
    """Argo Rollouts' measurements are errors where a metric's name is longer, or has capitals or underscores."""
    name = job_name(UID, a, n)

    assert len(name) <= 63
    assert name.isascii() and all(char.islower() or char.isdigit() or char in "-." for char in name)
    assert not any(pair in name for pair in ("..", ".-", "-."))
    assert (job_name(UID, b, n) == name) == (a == b)
    assert Job("", "", "", "", read_job().created).number == 0
    assert read_job(name=name).number == n


def read_job(*conditions: dict[str, str], name: str = "x.smoke.3", pods: Any = (), **meta: Any) -> Job:
    raw = {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": "j-1",
            "creationTimestamp": "2026-03-01T12:00:00Z",
            "annotations": {"analysisrun.argoproj.io/metric-name": "smoke"},
            **meta,
        },
        "status": {"conditions": list(conditions)},
    }
    return Job.read(raw, pods)


COMPLETE = {"type": "Complete", "status": "True"}
FAILED = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "Job was active too long"}


@pytest.mark.parametrize(
    ("conditions", "end", "why"),
    [
        ((), "", ""),
        ((COMPLETE,), "Complete", ""),
        ((FAILED,), "Failed", "DeadlineExceeded: Job was active too long"),
        (({**COMPLETE, "status": "False"},), "", ""),
        (({"type": "FailureTarget", "status": "True", "reason": "x"},), "", ""),
        (({"type": "SuccessCriteriaMet", "status": "True"},), "", ""),
        (({"type": "Suspended", "status": "True"},), "", ""),
    ],
)
def test_only_the_two_final_conditions_are_an_end(conditions: Any, end: str, why: str) -> None:
    found = read_job(*conditions)

    assert (found.end, found.why, found.running) == (end, why, not end)


def pod(reason: str, field: str = "containerStatuses") -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": "pull access denied"}}
    return {"status": {field: [{"name": "check", "image": "check:v1", "state": state}]}}


@pytest.mark.parametrize("field", ["containerStatuses", "initContainerStatuses"])
@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"])
def test_an_image_that_cannot_be_had_is_told(reason: str, field: str) -> None:
    told = f"container check can't be started: {reason}: pull access denied"

    assert read_job(pods=[{}, pod("ContainerCreating"), pod(reason, field)]).unpullable == told


def test_other_troubles_of_a_pod_are_left_to_the_job() -> None:
    assert read_job(pods=[pod("CrashLoopBackOff"), pod("CreateContainerConfigError")]).unpullable == ""


def test_a_job_bears_what_it_is_asked_for_and_what_it_is_found_by() -> None:
    asked = {
        "metadata": {"labels": {"team": "shop"}, "annotations": {"sidecar.istio.io/inject": "false"}},
        "spec": {
            "backoffLimit": 1,
            "template": {"metadata": {"labels": {"app": "check"}}, "spec": {"restartPolicy": "Never"}},
        },
    }
    run = {"metadata": {"name": "web-2", "namespace": "shop", "uid": UID}}

    body = job_body(f"{UID}.smoke.1", "smoke", asked, run)

    assert body["metadata"] == {
        "name": f"{UID}.smoke.1",
        "namespace": "shop",
        "labels": {"team": "shop", "analysisrun.argoproj.io/uid": UID},
        "annotations": {
            "sidecar.istio.io/inject": "false",
            "analysisrun.argoproj.io/name": "web-2",
            "analysisrun.argoproj.io/metric-name": "smoke",
        },
        "ownerReferences": [
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "AnalysisRun",
                "name": "web-2",
                "uid": UID,
                "controller": True,
            }
        ],
    }
    assert body["spec"] == {
        "backoffLimit": 1,
        "template": {
            "metadata": {"labels": {"app": "check", "analysisrun.argoproj.io/uid": UID}},
            "spec": {"restartPolicy": "Never"},
        },
    }
