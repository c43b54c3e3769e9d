"""Least privilege: what the session's tests made the operator ask for, against what the chart grants.

A right that is missing shows as a request that was refused, in any run: the fixture `lab` looks for these at its end. A
right that is granted in vain only shows when every story was played, so that is judged in a whole run alone. The file's
name puts it behind the stories.

The stories are those of an operator for all namespaces. One for a single namespace is granted the same rights there:
`tests/chart/test_chart.py` compares the two forms.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lab.cluster import Lab
from lab.paths import REPOSITORY
from tests.requests_made import Right, asked, used

pytestmark = pytest.mark.lab

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
    ours = Path(__file__)
    stories = set((ours.parent / "scenarios").glob("test_*.py"))
    played = [item.path for item in session.items if item.path in {*stories, ours}]
    complete = stories <= set(played) and not session.config.getoption("keyword")
    assert not complete or played[-1] == ours, "this has to come last"
    return complete


def test_no_right_was_granted_in_vain(lab: Lab, request: pytest.FixtureRequest) -> None:
    idle = granted(lab) - used(asked(lab)) - AFTER_A_CONFLICT - NO_REQUEST
    if not whole_run(request.session):
        pytest.skip(f"only a whole run can tell; this one left unused: {sorted(idle)}")
    assert idle == set(), "take these rights out of the chart's roles, or add the story that needs them"
