"""Analysis by a real web request with a credential from a Secret; and secrets planted everywhere, found nowhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
import yaml

from lab.cluster import Lab
from lab.operator import NAMESPACE, Operator, install, operator
from tests.scenarios.chronicle import Obj
from tests.scenarios.planted import leaks, plain, planted, sent
from tests.scenarios.seen import commanded, kept, served
from tests.scenarios.story import ARGO, Story, analysis, by_host, canary, rollout, split_by_host, weigh
from tests.scenarios.tattler import Tattler, tattler

pytestmark = pytest.mark.lab

TOKEN = "t0p-secret/token"
PAGE_PORT: Final = 8094


@pytest.fixture(scope="module")
def server() -> Iterator[Tattler]:
    with tattler() as running:
        yield running


@pytest.fixture(scope="module")
def account(lab: Lab, installed: Path, server: Tattler) -> Iterator[Path]:
    """The chart with the page, and the kubeconfig of its service account; what is kept in the operator's namespace."""
    objects = [
        {**obj, "metadata": {**obj["metadata"], "namespace": NAMESPACE}} for obj in in_the_operators_namespace(server)
    ]
    for obj in objects:
        lab.client.apply(obj)
    yield install(lab, "page.enabled=true")
    for obj in objects:
        lab.client.delete(obj["kind"], obj["metadata"]["name"], NAMESPACE)
    install(lab)


def flags(server: Tattler) -> list[str]:
    traces = server.url(f"/traces/{plain('endpoint')}", f"me:{plain('endpoint-password')}")
    return ["--log-level=debug", f"--page-port={PAGE_PORT}", "--page-address=127.0.0.1", f"--traces={traces}"]


@pytest.fixture(scope="module")
def tidegate(lab: Lab, account: Path, server: Tattler) -> Iterator[Operator]:
    """An operator that tells all that it can, with secrets in its environment and its flags."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_REGION", "lab-1")
        patch.setenv("AWS_ACCESS_KEY_ID", plain("aws-id"))
        patch.setenv("AWS_SECRET_ACCESS_KEY", planted("aws-key"))
        patch.setenv("AWS_SESSION_TOKEN", plain("aws-session"))
        patch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", server.url("/bad/aws"))
        patch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-key={plain('otlp')}")
        with operator(lab, account, *flags(server)) as running:
            yield running


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


def secret(name: str = "tokens", **data: str) -> Obj:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in (data or {"web": TOKEN}).items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": encoded}


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


# -- everywhere at once ------------------------------------------------------------------------------------------------

NOTIFY: Final = "argo-rollouts-notification"
ARGS: Final = {
    **{name: planted(name) for name in ("header", "bearer", "body", "query", "password", "client")},
    **{name: plain(name) for name in ("path", "userinfo")},
}
AWS: Final = {"cloudWatch": {"metricDataQueries": [{"id": "one", "expression": "1"}]}}


def in_the_operators_namespace(server: Tattler) -> Iterator[Obj]:
    """Credentials of providers whose Secrets lie there, for a server that is content and one that is not; messages."""
    for way in ("ok", "bad"):
        url = server.url(f"/{way}", f"me:{plain('address')}")
        keys = {"api-key": planted("dd-api"), "app-key": planted("dd-app")}
        yield secret(f"datadog-{way}", address=url, **keys)
        yield secret(f"influx-{way}", address=url, authToken=planted("influx"), org="people")
        keys = {"personal-api-key": planted("newrelic"), "account-id": "7", "base-url-nerdgraph": url}
        yield secret(f"newrelic-{way}", **keys)
    yield secret("wavefront-api-tokens", **{"127.0.0.1": planted("wavefront")})
    yield secret(
        f"{NOTIFY}-secret",
        path=plain("hook-path"),
        token=planted("hook-token"),
        password=planted("hook-password"),
        slack=planted("slack"),
        apprise=server.url(f"/hook/bad/{plain('apprise-path')}", f"me:{plain('apprise')}").replace("http", "json"),
    )
    login = {"username": "me", "password": "$password"}
    services = {
        "webhook.good": {"url": server.url("/hook/$path"), "headers": [{"name": "X-Token", "value": "$token"}]},
        "webhook.bad": {"url": server.url("/hook/bad/$path"), "basicAuth": login},
        "slack": {"token": "$slack", "apiURL": server.url("/hook")},
        "apprise.push": {"url": "$apprise"},
    }
    data = {f"service.{name}": yaml.safe_dump(options) for name, options in services.items()}
    yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{NOTIFY}-configmap"}, "data": data}


def providers(way: str, server: Tattler) -> dict[str, Obj]:
    """A question to every provider that takes a credential. way: ok or bad, as the server answers."""
    address, by_user = server.url(f"/{way}"), server.url(f"/{way}", "me:{{args.userinfo}}")
    web = {"url": f"{address}/{{{{args.path}}}}?q={{{{args.query}}}}", "jsonPath": "{$.said}"}
    basic = {"basicAuth": {"username": "me", "password": "{{args.password}}"}}
    oauth2 = {"oauth2": {"tokenUrl": server.url("/token"), "clientId": "me", "clientSecret": "{{args.client}}"}}
    refused = {"oauth2": {**oauth2["oauth2"], "tokenUrl": server.url(f"/{way}")}}
    bearer = [{"key": "Authorization", "value": "Bearer {{args.bearer}}"}]
    query = "{{args.query}}"
    return {
        "web": {"web": {**web, "headers": [{"key": "X-Key", "value": "{{args.header}}"}]}},
        "web-json": {"web": {**web, "method": "POST", "jsonBody": {"key": "{{args.body}}"}, "authentication": basic}},
        "web-text": {"web": {"url": f"{by_user}/text", "method": "POST", "body": "{{args.body}}"}},
        "web-oauth": {"web": {**web, "authentication": oauth2}},
        "prometheus": {"prometheus": {"address": by_user, "query": query}},
        "prometheus-bearer": {"prometheus": {"address": address, "query": query, "headers": bearer}},
        "prometheus-basic": {"prometheus": {"address": address, "query": query, "authentication": basic}},
        "prometheus-oauth": {"prometheus": {"address": address, "query": query, "authentication": oauth2}},
        "datadog": {"datadog": {"query": query, "secretRef": {"name": f"datadog-{way}"}}},
        "influxdb": {"influxdb": {"profile": f"influx-{way}", "query": query}},
        "newrelic": {"newRelic": {"profile": f"newrelic-{way}", "query": query}},
        "wavefront": {"wavefront": {"address": address, "query": query}},
        "graphite": {"graphite": {"address": by_user, "query": f"target={query}"}},
        **({"cloudwatch": AWS, "token": {"web": {**web, "authentication": refused}}} if way == "bad" else {}),
    }


def judged(name: str, metrics: Mapping[str, Obj], **rule: Any) -> Obj:
    """An analysis template that asks all of these, with one rule for each answer. A Job has its own."""
    args = [{"name": arg, "valueFrom": {"secretKeyRef": {"name": "given", "key": arg}}} for arg in ARGS]
    asked = [{"name": at, "provider": of, **({} if "job" in of else rule)} for at, of in metrics.items()]
    spec = {"args": args, "metrics": asked}
    return {"apiVersion": ARGO, "kind": "AnalysisTemplate", "metadata": {"name": name}, "spec": spec}


def job(**more: str) -> Obj:
    """A Job that fails, with a secret in its environment and among its last words."""
    env = [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "pods", "key": "token"}}}]
    env += [{"name": name, "value": value} for name, value in more.items()]
    command = ["sh", "-c", "echo failed with $TOKEN >&2; exit 1"]
    container = {"name": "main", "image": "lab.local/job:1", "command": command, "env": env}
    pod = {"restartPolicy": "Never", "imagePullSecrets": [{"name": "pull"}], "containers": [container]}
    return {"job": {"spec": {"backoffLimit": 0, "template": {"spec": pod}}}}


def release(name: str, version: str) -> Obj:
    """A Rollout whose updates are judged by the template of its name, and whose pods are given secrets."""
    subscribe = "notifications.argoproj.io/subscribe"
    triggers = ("on-rollout-aborted", "on-rollout-completed")
    annotations = {f"{subscribe}.{t}.{to}": "people" for t in triggers for to in ("good", "bad", "slack", "push")}
    made = rollout(version, canary({"analysis": analysis(name)}), name=name, replicas=1, annotations=annotations)
    pod = made["spec"]["template"]["spec"]
    pod["imagePullSecrets"] = [{"name": "pull"}]
    pod["containers"][0]["env"] = [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "pods", "key": "token"}}}]
    return made


def trial() -> Obj:
    """An Experiment whose analysis can't measure."""
    made = rollout("v1", {}, name="trial")["spec"]
    tried = {"name": "one", "replicas": 1, "selector": made["selector"], "template": made["template"]}
    spec = {"templates": [tried], "analyses": [{"name": "broken", "templateName": "broken"}], "duration": "20s"}
    return {"apiVersion": ARGO, "kind": "Experiment", "metadata": {"name": "trial"}, "spec": spec}


def test_planted_secrets_are_told_to_servers_and_to_nobody_else(
    alone: Story, tidegate: Operator, account: Path, server: Tattler
) -> None:
    """Runs that succeed, fail and can't measure, of servers that repeat whatever they are told."""
    story, ends = alone, {"good": "Healthy", "bad": "Degraded", "broken": "Degraded"}
    pull = json.dumps({"auths": {"lab.local": {"username": "me", "password": plain("pull")}}})
    story.apply(
        secret("given", **ARGS),
        secret("pods", token=planted("pods")),
        {**secret("pull", **{".dockerconfigjson": pull}), "type": "kubernetes.io/dockerconfigjson"},
        judged("good", providers("ok", server), successCondition="true"),
        judged("bad", {**providers("ok", server), "job": job()}, failureCondition="true"),
        judged("broken", providers("bad", server), consecutiveErrorLimit=0, successCondition="true"),
        judged("refused", {"web": {"web": {"url": "http://x"}}}, successCondition="result == '{{args.header}}'"),
        *(release(name, "v1") for name in (*ends, "refused")),
        trial(),
    )
    for name in ends:
        story.until_phase("Healthy", name=name)
    story.apply(*(release(name, "v2") for name in ends))
    for name, phase in ends.items():
        story.until_phase(phase, name=name)
    story.until(lambda: len(server.messages) >= 7, "messages of the first versions and of the ends")
    story.until(lambda: all(f"release {story.namespace}/{n}" in "".join(server.traces) for n in ends), "traces")

    outputs = {"the operator's log as JSON": tidegate.log.read_text()}
    tidegate.stop()
    with operator(story.lab, account, *flags(server), "--log-format=console", name="console") as again:
        story.ask("broken", abort=False)
        story.until(lambda: len(story.runs(name="broken")) == 2, "another try")
        story.until_phase("Degraded", name="broken")
        visitor = story.somebody("view")
        outputs |= served(story, again, f"http://localhost:{PAGE_PORT}", (*ends, "refused"), visitor)
        outputs |= commanded(
            story, (*ends, "refused"), yaml.safe_dump_all([secret("given", **ARGS), release("bad", "v3")])
        )
        outputs |= kept(story)
        outputs["the operator's log for people"] = again.log.read_text()
    outputs |= {"messages": "\n".join(server.messages), "traces": "\n".join(server.traces)}
    tidegate.start()

    logins = [yaml.safe_load(path.read_text())["users"][0]["user"]["token"] for path in (account, story.lab.kubeconfig)]
    found = {where: shown for where, text in outputs.items() if (shown := leaks(text, *logins))}
    assert not found, json.dumps(found, indent=1)
    unsent = [name for name in SENT if not sent(name, "\n".join(server.told))]
    assert not unsent, "what was never sent proves nothing"
    assert outputs["the objects"].count("*****") > 50


SENT: Final = (
    *(
        "header",
        "bearer",
        "body",
        "query",
        "password",
        "client",
        "path",
        "userinfo",
        "address",
        "dd-api",
        "dd-app",
        "influx",
    ),
    *("newrelic", "wavefront", "hook-path", "hook-token", "hook-password", "slack", "apprise", "apprise-path"),
    *("endpoint", "endpoint-password", "otlp", "aws-session", "access-token"),
)
"""What the server must have heard: all but the keys that only sign, and what pods and their images are given."""
