"""Least privilege: what the session's tests made the operator ask for, against what the chart grants.

A right that is missing shows as a request that was refused, in any run. A right that is granted in vain only shows when
every story was played, so that is judged in a whole run alone. The file's name puts it behind all others of the lab.

The stories are those of an operator for all namespaces. One for a single namespace is granted the same rights there:
`tests/chart/test_chart.py` compares the two forms.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lab.cluster import Lab
from lab.paths import REPOSITORY
from tests.requests_made import Asked, asked

pytestmark = pytest.mark.lab

Right = tuple[str, str, str]

AFTER_A_CONFLICT = {
    ("argoproj.io", "rollouts", "get"),
    ("argoproj.io", "analysisruns", "get"),
    ("argoproj.io", "experiments", "get"),
    ("apps", "replicasets", "get"),
    ("apps", "deployments", "get"),
    ("batch", "jobs", "get"),
    ("", "pods", "get"),
    ("", "services", "get"),
    ("", "events", "get"),
    ("networking.istio.io", "virtualservices", "get"),
    ("networking.istio.io", "destinationrules", "get"),
}
"""Read one by one where somebody else has changed them at the same time, which no story can bring about at will."""

NO_REQUEST = {
    # Asked for by admission where owner references are enforced, when something is created that blocks its owner.
    ("argoproj.io", "rollouts/finalizers", "update"),
    ("argoproj.io", "experiments/finalizers", "update"),
    # Of another controller, which no story runs: its lease is watched, and read when it runs out.
    ("coordination.k8s.io", "leases", "get"),
}


def granted(lab: Lab) -> set[Right]:
    """Every (API group, resource, verb) of the operator's own roles."""
    text = lab.helm("template", "tidegate", str(REPOSITORY / "charts" / "tidegate"), "--set", "rbac.aggregate=false")
    return {
        (group, kind, verb)
        for role in yaml.safe_load_all(text)
        if role and role["kind"] in ("Role", "ClusterRole")
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for kind in rule["resources"]
        for verb in rule["verbs"]
    }


def whole_run(session: pytest.Session) -> bool:
    """Whether every module of the stories is being run, and none of their tests was left out."""
    folder = Path(__file__).parent
    played = {item.path for item in session.items}
    complete = all(path in played for path in folder.rglob("test_*.py")) and not session.config.getoption("keyword")
    last = [item.path for item in session.items if item.get_closest_marker("lab")][-1]
    assert not complete or last == Path(__file__), "this has to come last"
    return complete


def test_no_request_was_refused_for_want_of_a_right(lab: Lab) -> None:
    """For a moment after its start an API server refuses what it grants: it has not read its own roles yet."""
    had = used(lab)
    refused = [one for one in asked(lab) if one.denied and one.right not in had and not meant(one)]
    assert refused == []


def used(lab: Lab) -> set[Right]:
    """Every right without which some request would have been refused."""
    return {one.right for one in asked(lab) if one.code < 400 or one.code in (404, 409, 422, 429)}


def meant(request: Asked) -> bool:
    """A Secret that the chart was told not to grant is what some stories are about."""
    return request.kind == "secrets"


def test_no_right_was_granted_in_vain(lab: Lab, request: pytest.FixtureRequest) -> None:
    idle = granted(lab) - used(lab) - AFTER_A_CONFLICT - NO_REQUEST
    if not whole_run(request.session):
        pytest.skip(f"only a whole run can tell; this one left unused: {sorted(idle)}")
    assert idle == set(), "take these rights out of the chart's roles, or add the story that needs them"
