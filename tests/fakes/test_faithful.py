"""The fake API server beside the real one: the same requests, the same answers."""

from __future__ import annotations

import http.client
import os
import signal
import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

import orjson
import pytest
import yaml

from .clocks import ManualClock
from .cluster import FakeCluster
from .scripts import ABSENT, SCRIPTS, VS, Look, Script, Step
from .watching import Watch

CRDS = Path(__file__).parents[2] / "crds"
EVENTS = list[dict[str, Any]]

_BY_OTHERS = ("kube-root-ca.crt", "istio-ca-root-cert", "istio-ca-crl")
"""ConfigMaps that every namespace gets from the controller manager and from istiod, some time after its creation."""


class Server(Protocol):
    def call(self, step: Step, path: str, query: Mapping[str, str], body: Any) -> tuple[int, dict[str, Any]]: ...

    def events(self, path: str, query: Mapping[str, str]) -> EVENTS: ...


class Fake:
    """The fake behind the interface of the scripts."""

    def __init__(self, namespace: str) -> None:
        self.cluster = FakeCluster(ManualClock())
        self.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})

    def call(self, step: Step, path: str, query: Mapping[str, str], body: Any) -> tuple[int, dict[str, Any]]:
        answer = self.cluster.request(step.method, path, query, body, step.content_type)
        return answer.status, answer.body

    def events(self, path: str, query: Mapping[str, str]) -> EVENTS:
        watch = self.cluster.watch(path, query)
        assert isinstance(watch, Watch)
        return [{"type": event.type, "object": event.object} for event in watch.drain()]


class Real:
    """The lab's API server behind the interface of the scripts."""

    def __init__(self, url: str, kubeconfig: Path) -> None:
        self._address = urlsplit(url).netloc
        self._token = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"]

    def send(self, method: str, path: str, query: Mapping[str, str], body: Any, content_type: str) -> tuple[int, bytes]:
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(self._address, context=tls, timeout=30)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content_type}
        try:
            url = f"{path}?{urlencode(query, quote_via=quote)}" if query else path
            connection.request(method, url, None if body is None else orjson.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def call(self, step: Step, path: str, query: Mapping[str, str], body: Any) -> tuple[int, dict[str, Any]]:
        status, text = self.send(step.method, path, query, body, step.content_type)
        try:
            return status, orjson.loads(text)
        except orjson.JSONDecodeError:
            return status, {"message": text.decode()}

    def events(self, path: str, query: Mapping[str, str]) -> EVENTS:
        status, text = self.send("GET", path, {**query, "watch": "1", "timeoutSeconds": "1"}, None, "application/json")
        assert status == 200, text
        return [orjson.loads(line) for line in text.splitlines()]


class Player:
    """Plays a script against a server and compares each answer with what the script says."""

    def __init__(self, server: Server, namespace: str) -> None:
        self.server = server
        self.known = {"$ns": namespace}

    def play(self, script: Script) -> None:
        for number, step in enumerate(script, 1):
            where = f"step {number}: {step.path}"
            if isinstance(step, Look):
                self.look(step, where)
            else:
                self.ask(step, f"{where} {step.method} {step.body}")

    def ask(self, step: Step, where: str) -> None:
        query = self.filled(step.query)
        status, answer = self.server.call(step, self.filled(step.path), query, self.filled(step.body))
        where = f"{where}\nanswered {status} {answer}"
        assert status == step.status, where
        if step.reason:
            assert answer.get("reason") == step.reason, where
        assert step.message in answer.get("message", ""), where
        causes = (answer.get("details") or {}).get("causes") or () if status == 422 else ()
        for cause in step.causes:
            assert cause in [(each["reason"], each["field"]) for each in causes], where
        for path, value in step.shows.items():
            assert dig(answer, path.split(".")) == self.filled(value), f"{path} in {where}"
        self.remember(step, answer, where)

    def remember(self, step: Step, answer: Mapping[str, Any], where: str) -> None:
        if token := (answer.get("metadata") or {}).get("continue"):
            self.known["$continue"] = token
        version = str((answer.get("metadata") or {}).get("resourceVersion", ""))
        if "uid" not in (answer.get("metadata") or {}):
            assert not step.rv, where
            return
        if step.rv:
            assert (version == self.known.get("$rv")) == (step.rv == "same"), f"resourceVersion not {step.rv}: {where}"
        if not step.query.get("dryRun") or version:
            self.known |= {"$uid": answer["metadata"]["uid"], "$rv": version}
            self.known.setdefault("$old_rv", version)

    def look(self, look: Look, where: str) -> None:
        query = {name: self.filled(value) for name, value in look.query.items()}
        seen = [
            (event["type"], event["object"]["metadata"]["name"])
            for event in self.server.events(self.filled(look.path), query)
            if event["object"]["metadata"]["name"] not in _BY_OTHERS
        ]
        assert seen == list(look.events), where

    def filled(self, value: Any) -> Any:
        """The value with the variables replaced."""
        if isinstance(value, str):
            for name in sorted(self.known, key=len, reverse=True):
                value = value.replace(name, self.known[name])
            return value
        if isinstance(value, Mapping):
            return {key: self.filled(each) for key, each in value.items()}
        return [self.filled(each) for each in value] if isinstance(value, list) else value


def dig(value: Any, path: list[str]) -> Any:
    if not path:
        return value
    head, rest = path[0], path[1:]
    if head == "*":
        return [dig(each, rest) for each in value]
    if isinstance(value, list):
        return dig(value[int(head)], rest) if int(head) < len(value) else ABSENT
    return dig(value[head], rest) if isinstance(value, dict) and head in value else ABSENT


@pytest.mark.parametrize("name", SCRIPTS)
def test_given_requests_when_sent_to_the_fake_then_it_answers_as_the_contract_says(name: str) -> None:
    Player(Fake("script"), "script").play(SCRIPTS[name])


def assert_too_old(server: Server, namespace: str) -> None:
    """A watch from before what the server remembers is accepted, and its only event is a 410."""
    path = VS.replace("$ns", namespace)
    [event] = server.events(path, {"resourceVersion": "1"})
    told = {name: event["object"][name] for name in ("kind", "status", "reason", "code")}
    assert event["type"] == "ERROR"
    assert told == {"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410}
    assert event["object"]["message"].startswith("too old resource version: 1 (")


def test_given_a_compacted_history_when_watched_from_before_then_the_fake_says_expired() -> None:
    server = Fake("script")
    server.cluster.compact()
    assert_too_old(server, "script")


@pytest.mark.lab
def test_given_a_version_of_long_ago_when_watched_from_then_the_real_server_says_expired(
    real: Real, namespace: str
) -> None:
    assert_too_old(real, namespace)


@pytest.fixture(scope="module")
def real(lab: Any) -> Iterator[Real]:
    """The lab's API server, with our kinds, and with the controllers held still: they would write in between."""
    for path in sorted(CRDS.glob("*.yaml")):
        lab.apply(path.read_text())
    server = Real(lab.api_url, lab.kubeconfig)
    for plural in ("rollouts", "analysisruns", "analysistemplates", "experiments"):
        wait_until_served(server, plural)
    controllers = lab.processes["kube-controller-manager"].pid
    os.kill(controllers, signal.SIGSTOP)
    yield server
    os.kill(controllers, signal.SIGCONT)


def wait_until_served(server: Real, plural: str) -> None:
    deadline = time.monotonic() + 20
    while server.send("GET", f"/apis/argoproj.io/v1alpha1/{plural}", {}, None, "application/json")[0] != 200:
        assert time.monotonic() < deadline, f"{plural} are not served"
        time.sleep(0.1)


@pytest.mark.lab
@pytest.mark.parametrize("name", SCRIPTS)
def test_given_requests_when_sent_to_the_real_server_then_it_answers_as_the_contract_says(
    name: str, real: Real, namespace: str
) -> None:
    Player(real, namespace).play(SCRIPTS[name])
