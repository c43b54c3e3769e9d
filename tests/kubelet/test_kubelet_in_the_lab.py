"""The rules of a kubelet that progressive delivery stands on, on the real API server."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from lab import manifests as m
from lab.cluster import Lab, LabError, wait_for
from lab.toolchain import kubectl

pytestmark = pytest.mark.lab

Object = dict[str, Any]


def create_pod(lab: Lab, namespace: str, container: Object, **spec: Any) -> None:
    template = m.pod_template({"app": "web"}, container, **spec)
    lab.client.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            **template,
            "metadata": {"name": "web", "namespace": namespace, "labels": {"app": "web"}},
        }
    )


def pod(lab: Lab, namespace: str) -> Object:
    return lab.client.get("Pod", "web", namespace)


def condition(found: Mapping[str, Any], kind: str) -> str:
    conditions = found.get("status", {}).get("conditions", [])
    return next((c["status"] for c in conditions if c["type"] == kind), "")


def is_ready(lab: Lab, namespace: str) -> bool:
    return condition(pod(lab, namespace), "Ready") == "True"


def state(lab: Lab, namespace: str) -> Object:
    found: Object = pod(lab, namespace)["status"]["containerStatuses"][0]["state"]
    return found


def control(lab: Lab, namespace: str, query: str) -> None:
    address = pod(lab, namespace)["status"]["podIP"]
    request = urllib.request.Request(f"http://{address}:8080/control?{query}", method="POST")
    urllib.request.urlopen(request, timeout=5).close()


def test_a_pod_with_a_readiness_gate_is_ready_once_somebody_opens_it(lab: Lab, namespace: str) -> None:
    create_pod(lab, namespace, m.app_container("v1"), readinessGates=[{"conditionType": "example.com/lb"}])
    wait_for(lambda: condition(pod(lab, namespace), "ContainersReady") == "True", "the container being ready")
    assert not is_ready(lab, namespace)

    def set_gate(value: str) -> None:
        body = {"status": {"conditions": [{"type": "example.com/lb", "status": value}]}}
        path = lab.client.path("Pod", "web", namespace)
        lab.client.request("PATCH", f"{path}/status", body, content_type="application/strategic-merge-patch+json")

    set_gate("True")
    wait_for(lambda: is_ready(lab, namespace), "Ready after the gate opened")
    assert condition(pod(lab, namespace), "example.com/lb") == "True"  # somebody else's condition stays
    set_gate("False")
    wait_for(lambda: not is_ready(lab, namespace), "not Ready after the gate closed")


def test_an_image_that_does_not_exist_is_backed_off_from(lab: Lab, namespace: str) -> None:
    create_pod(lab, namespace, {"name": "app", "image": "lab.local/missing:v1"})
    wait_for(lambda: state(lab, namespace)["waiting"]["reason"] == "ImagePullBackOff", "the back-off")
    found = pod(lab, namespace)
    assert found["status"]["phase"] == "Pending"
    assert "lab.local/missing:v1" in state(lab, namespace)["waiting"]["message"]
    assert condition(found, "Ready") == "False"


def test_a_crashing_command_is_restarted_with_back_off(lab: Lab, namespace: str) -> None:
    create_pod(lab, namespace, {"name": "app", "image": "x", "command": ["sh", "-c", "sleep 0.1; exit 3"]})
    wait_for(lambda: pod(lab, namespace)["status"]["containerStatuses"][0]["restartCount"] >= 2, "two restarts")
    wait_for(lambda: state(lab, namespace)["waiting"]["reason"] == "CrashLoopBackOff", "the back-off")
    found = pod(lab, namespace)["status"]
    assert found["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 3
    assert found["phase"] == "Running"


@pytest.mark.parametrize(("code", "end"), [(0, "Complete"), (7, "Failed")])
def test_a_job_ends_as_its_command_does(lab: Lab, namespace: str, code: int, end: str) -> None:
    lab.client.create(m.job("once", namespace, ["sh", "-c", f"exit {code}"]))
    wait_for(
        lambda: condition(lab.client.get("Job", "once", namespace, api_version="batch/v1"), end) == "True",
        f"the Job being {end}",
    )
    ended = lab.client.list("Pod", namespace)[0]["status"]
    assert ended["phase"] == ("Failed" if code else "Succeeded")
    assert ended["containerStatuses"][0]["state"]["terminated"]["exitCode"] == code


def test_a_command_that_does_not_exist_fails_its_job(lab: Lab, namespace: str) -> None:
    lab.client.create(m.job("once", namespace, ["/no/such/command"]))
    wait_for(
        lambda: condition(lab.client.get("Job", "once", namespace, api_version="batch/v1"), "Failed") == "True",
        "the Job being Failed",
    )


def test_a_command_sees_its_environment(lab: Lab, namespace: str) -> None:
    lab.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "s", "namespace": namespace},
            "stringData": {"k": "hush"},
        }
    )
    fields = {"NAME": "metadata.name", "IP": "status.podIP", "APP": "metadata.labels['app']"}
    env = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()]
    env += [
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "BOTH", "value": "$(NAME)-$(SECRET)-$$(NAME)"},
    ]
    check = 'test "$NAME $APP $BOTH" = "web web web-hush-\\$(NAME)" && test "$IP" = "$POD_IP" -a -n "$IP"'
    create_pod(
        lab,
        namespace,
        {"name": "app", "image": "x", "env": env, "command": ["sh", "-c"], "args": [check.replace("$", "$$")]},
        restartPolicy="Never",
    )
    wait_for(lambda: pod(lab, namespace)["status"]["phase"] in ("Succeeded", "Failed"), "the end")
    assert pod(lab, namespace)["status"]["phase"] == "Succeeded"


def test_a_pod_waits_for_the_secret_that_it_mounts_and_has_its_present_content(lab: Lab, namespace: str) -> None:
    def keep(value: str) -> None:
        metadata = {"name": "s", "namespace": namespace}
        lab.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"k": value}})

    shows = "until grep -q new /etc/s/k; do cat /etc/s/k; sleep 0.1; done; cat /etc/s/k"
    mounts = [{"name": "v", "mountPath": "/etc/s", "readOnly": True}]
    container = {"name": "app", "image": "x", "command": ["sh", "-c", shows], "volumeMounts": mounts}
    volumes = [{"name": "v", "secret": {"secretName": "s"}}]
    create_pod(lab, namespace, container, restartPolicy="Never", volumes=volumes)
    told = "involvedObject.name=web,reason=FailedMount"
    wait_for(lambda: "secret s can't" in lab.kubectl("-n", namespace, "get", "events", "--field-selector", told), "it")
    assert "ContainerCreating" in lab.kubectl("-n", namespace, "get", "pod", "web")

    keep("old;")
    wait_for(lambda: is_ready(lab, namespace), "the pod running")
    wait_for(lambda: "old;" in lab.kubectl("-n", namespace, "logs", "web"), "the secret's content")
    keep("new.")
    wait_for(lambda: pod(lab, namespace)["status"]["phase"] == "Succeeded", "the new content", 10)
    assert lab.kubectl("-n", namespace, "logs", "web").endswith(";new.")
    folder = lab.workdir / "pods" / pod(lab, namespace)["metadata"]["uid"]
    assert folder.exists()
    lab.client.delete("Pod", "web", namespace)
    wait_for(lambda: not folder.exists(), "its files gone", 5)


def test_a_probe_decides_about_readiness_after_its_delay(lab: Lab, namespace: str) -> None:
    probe = {
        "httpGet": {"path": "/healthz", "port": "http"},
        "initialDelaySeconds": 1,
        "periodSeconds": 1,
        "failureThreshold": 1,
    }
    began = time.monotonic()
    create_pod(lab, namespace, m.app_container("v1", readinessProbe=probe))
    wait_for(lambda: is_ready(lab, namespace), "Ready")
    assert time.monotonic() - began >= 1
    control(lab, namespace, "ready=0")
    wait_for(lambda: not is_ready(lab, namespace), "not Ready after the probe failed")
    control(lab, namespace, "ready=1")
    wait_for(lambda: is_ready(lab, namespace), "Ready again")


def test_a_deleted_pod_leaves_the_endpoints_before_it_stops(lab: Lab, namespace: str) -> None:
    lab.client.create(m.service("web", namespace, {"app": "web"}))
    create_pod(lab, namespace, m.app_container("v1"))
    wait_for(lambda: ready_endpoints(lab, namespace) == 1, "the endpoint")
    address = pod(lab, namespace)["status"]["podIP"]
    lab.client.delete("Pod", "web", namespace)
    wait_for(lambda: ready_endpoints(lab, namespace) == 0, "the endpoint not being ready", interval=0.01)
    with urllib.request.urlopen(f"http://{address}:8080/", timeout=5) as answer:
        assert answer.status == 200
    wait_for(lambda: not lab.client.list("Pod", namespace), "the pod gone", 5)
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://{address}:8080/", timeout=5)


def ready_endpoints(lab: Lab, namespace: str) -> int:
    slices = lab.client.list("EndpointSlice", namespace, api_version="discovery.k8s.io/v1")
    return sum(endpoint["conditions"]["ready"] for found in slices for endpoint in found["endpoints"] or [])


def test_a_command_that_ignores_sigterm_is_killed_after_its_grace_period(lab: Lab, namespace: str) -> None:
    command = ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]
    create_pod(lab, namespace, {"name": "app", "image": "x", "command": command}, terminationGracePeriodSeconds=1)
    wait_for(lambda: is_ready(lab, namespace), "Ready")
    began = time.monotonic()
    lab.client.delete("Pod", "web", namespace)
    wait_for(lambda: not lab.client.list("Pod", namespace), "the pod gone", 10)
    assert 0.9 <= time.monotonic() - began < 5


def test_a_pod_that_is_deleted_by_force_ends_too(lab: Lab, namespace: str) -> None:
    create_pod(lab, namespace, m.app_container("v1"))
    wait_for(lambda: is_ready(lab, namespace), "Ready")
    address = pod(lab, namespace)["status"]["podIP"]
    lab.kubectl("-n", namespace, "delete", "pod", "web", "--force", "--grace-period=0")

    def refused() -> bool:
        try:
            urllib.request.urlopen(f"http://{address}:8080/", timeout=5).close()
        except OSError:
            return True
        return False

    wait_for(refused, "the server gone", 5)


def test_pods_look_right_to_kubectl(lab: Lab, namespace: str) -> None:
    create_pod(lab, namespace, m.app_container("v1"))
    lab.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/web", "--timeout=10s")
    ready, status, restarts = lab.kubectl("-n", namespace, "get", "pod", "web", "--no-headers").split()[1:4]
    assert (ready, status, restarts) == ("1/1", "Running", "0")


def test_a_pod_that_asks_for_resources_becomes_ready(lab: Lab, namespace: str) -> None:
    """Its class of service is then Burstable, and the API server refuses a status that says otherwise."""
    container = {**m.app_container("v1"), "resources": {"requests": {"cpu": "50m"}, "limits": {"memory": "96Mi"}}}
    create_pod(lab, namespace, container)
    wait_for(lambda: is_ready(lab, namespace), "the pod being ready")
    assert pod(lab, namespace)["status"]["qosClass"] == "Burstable"


def test_a_service_s_name_leads_to_its_ready_pods_and_to_no_others(lab: Lab, namespace: str) -> None:
    def found(name: str) -> set[str]:
        try:
            return {str(end[4][0]) for end in socket.getaddrinfo(name, 8080, socket.AF_INET, socket.SOCK_STREAM)}
        except socket.gaierror:
            return set()

    lab.client.create(m.service("web", namespace, {"app": "web"}))
    probe = {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1}
    create_pod(lab, namespace, m.app_container("v1", readinessProbe=probe))
    wait_for(lambda: is_ready(lab, namespace), "the pod being ready")
    address = pod(lab, namespace)["status"]["podIP"]
    wait_for(lambda: found(f"web.{namespace}.svc") == {address}, "the name")
    assert found(f"web.{namespace}.svc.cluster.local") == {address}
    assert not found(f"wep.{namespace}.svc")
    control(lab, namespace, "ready=0")
    wait_for(lambda: not found(f"web.{namespace}.svc"), "the pod leaving the name")


MULTIPLIER = """
import os, socketserver
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(self.rfile.read() * 32)
socketserver.ThreadingTCPServer((os.environ["POD_IP"], 8080), Handler).serve_forever()
"""


@contextmanager
def kubectl_running(lab: Lab, namespace: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [str(kubectl()), "-n", namespace, *arguments]
    environ = {**os.environ, "KUBECONFIG": str(lab.kubeconfig)}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def asked(port: int, question: bytes) -> socket.socket:
    """A connection on which everything has been said."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(question)
    connection.shutdown(socket.SHUT_WR)
    return connection


def test_a_forwarded_port_brings_a_large_answer_whole_also_beside_clients_that_leave(lab: Lab, namespace: str) -> None:
    probe = {"tcpSocket": {"port": 8080}}
    container = {"name": "app", "image": "x", "command": ["python", "-c", MULTIPLIER], "readinessProbe": probe}
    create_pod(lab, namespace, container)
    wait_for(lambda: is_ready(lab, namespace), "the pod listening")
    question = os.urandom(1 << 18)
    with kubectl_running(lab, namespace, "port-forward", "pod/web", ":8080") as forwarding:
        assert forwarding.stdout is not None
        port = int(forwarding.stdout.readline().split()[2].rpartition(":")[2])  # Forwarding from 127.0.0.1:PORT -> 8080
        for _ in range(3):
            with asked(port, question) as leaving:
                assert leaving.recv(1)
            with asked(port, question) as staying, staying.makefile("rb") as answer:
                assert answer.read() == question * 32
        assert forwarding.poll() is None


def test_a_log_is_shown_from_the_line_asked_for_and_followed_to_its_end(lab: Lab, namespace: str) -> None:
    command = ["sh", "-c", "echo one; echo two; until [ -e on ]; do sleep 0.1; done; echo three"]
    create_pod(lab, namespace, {"name": "app", "image": "x", "command": command}, restartPolicy="Never")
    wait_for(lambda: is_ready(lab, namespace), "the command running")
    wait_for(lambda: "two" in lab.kubectl("-n", namespace, "logs", "web"), "the first lines")
    with kubectl_running(lab, namespace, "logs", "web", "--follow", "--tail=1") as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "two\n"
        (lab.workdir / "pods" / pod(lab, namespace)["metadata"]["uid"] / "on").touch()
        assert following.stdout.read() == "three\n"
        assert following.wait(10) == 0
    with pytest.raises(LabError, match="not sinceSeconds"):
        lab.kubectl("-n", namespace, "logs", "web", "--since=1m")
