"""Analysis by a real web request, with a credential from a Secret and a field of the Rollout."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from lab.cluster import Lab
from tests.scenarios.chronicle import Obj
from tests.scenarios.story import ARGO, Story, analysis, by_host, rollout, split_by_host, weigh

pytestmark = pytest.mark.lab

TOKEN = "t0p-secret/token"


def template(name: str, **metric: Any) -> Obj:
    """Asks Prometheus, as any web server, for what it is told: the token and the team come back in the answer."""
    query = 'label_replace(label_replace(vector(7),"t","{{args.token}}","",""),"team","{{args.team}}","","")'
    web = {
        "url": f"{Lab.prometheus_url}/api/v1/query?query={quote(query, safe='{}')}",
        "headers": [{"key": "X-Token", "value": "{{args.token}}"}],
        "jsonPath": "{$.data.result[0].metric}",
    }
    args: list[Obj] = [
        {"name": "token", "valueFrom": {"secretKeyRef": {"name": "tokens", "key": "web"}}},
        {"name": "team"},
    ]
    spec = {"args": args, "metrics": [{"name": "m", "provider": {"web": web}, **metric}]}
    return {"apiVersion": ARGO, "kind": "AnalysisTemplate", "metadata": {"name": name}, "spec": spec}


def secret() -> Obj:
    data = {"web": base64.b64encode(TOKEN.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tokens"}, "data": data}


def update(story: Story) -> None:
    """v1 to v2, with the analysis as a step."""
    team = {"name": "team", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['example.org/team']"}}}
    by = by_host(weigh(50), {"analysis": analysis("web", args=[team])}, weigh(100))
    story.services("app-stable", "app-canary")
    story.route(split_by_host())
    for version in ("v1", "v2"):
        story.apply(rollout(version, by, replicas=1, annotations={"example.org/team": "blue"}))
        if version == "v1":
            story.until_phase("Healthy")


def test_a_secret_is_sent_and_shown_nowhere(story: Story) -> None:
    story.apply(secret(), template("web", successCondition='result.team == "blue" && result.t startsWith "t0p-"'))

    update(story)

    story.until_phase("Healthy")
    (run,) = story.runs()
    assert run["spec"]["args"] == [
        {"name": "team", "value": "blue"},
        {"name": "token", "valueFrom": {"secretKeyRef": {"name": "tokens", "key": "web"}}},
    ]
    (measurement,) = run["status"]["metricResults"][0]["measurements"]
    assert json.loads(measurement["value"]) == {"t": "*****", "team": "blue"}
    told = json.dumps([story.runs(), story.rollout(), story.events()]) + story.operator.log.read_text()
    assert "t0p-secret" not in told


def test_a_secret_that_comes_late_is_waited_for(story: Story) -> None:
    """In Argo Rollouts a Secret that can't be read at once ends the run in Error, and the update with it."""
    story.apply(template("web", successCondition='result.team == "blue"'))

    update(story)

    def errors() -> Obj | None:
        found = [result for run in story.runs() for result in run.get("status", {}).get("metricResults") or ()]
        return found[0] if found and found[0].get("error") else None

    result = story.until(errors, "an Error measurement")
    assert result["measurements"][0]["message"] == f"Secret {story.namespace}/tokens not found"
    story.apply(secret())
    story.until_phase("Healthy", timeout=40)
