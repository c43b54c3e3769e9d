"""The webhook as the API server meets it: a pod of the chart's behind its Service, with the chart's certificate.

Wrong programs that this catches: a configuration whose certificate does not fit, rules that miss a kind or ask about
the operator's own notes, a server that only the leader runs, and one that lets nothing in when it is gone.
"""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import manifests as m
from lab import toolchain
from lab.client import wait_for
from lab.cluster import Lab
from lab.operator import NAMESPACE, install
from lab.paths import LabError
from tests.scenarios.story import by_host, canary, rollout, template, weigh

pytestmark = pytest.mark.lab

Obj = dict[str, Any]
ON = ("webhook.enabled=true", "replicas=1", "image.repository=lab.local/tidegate")
LEASE = "tidegate-controller-lock"
SECRET = "tidegate-webhook-tls"


@pytest.fixture(scope="module")
def reviewed(lab: Lab) -> Iterator[None]:
    """By a replica that stands by, for the lease is somebody else's: reviews are every replica's work."""
    lab.apply(m.namespace(NAMESPACE))
    held = {"holderIdentity": "somebody", "leaseDurationSeconds": 3600, "renewTime": "2026-01-01T00:00:00.000000Z"}
    lease = {"metadata": {"name": LEASE, "namespace": NAMESPACE}, "spec": held}
    lab.client.apply({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", **lease})
    try:
        install(lab, *ON)
        wait_for(lambda: "has no kind" in refusal(lab, "default"), "the replica being asked", 60)
        yield
    finally:
        lab.helm("uninstall", "tidegate", "--namespace", NAMESPACE)
        wait_for(lambda: not staying(lab), "the replica being deleted")
        # It has nothing to finish, and by itself takes 5 s to end.
        lab.kubectl("-n", NAMESPACE, "delete", "pods", "--all", "--force", "--grace-period=0")
        lab.client.delete("Lease", LEASE, NAMESPACE, api_version="coordination.k8s.io/v1")


def staying(lab: Lab) -> list[Obj]:
    """The pods that are not being deleted."""
    return [pod for pod in lab.client.list("Pod", NAMESPACE) if "deletionTimestamp" not in pod["metadata"]]


def address(lab: Lab) -> str:
    """The replica's."""
    (pod,) = staying(lab)
    return str(pod["status"]["podIP"])


def apply(lab: Lab, namespace: str, obj: Obj, *more: str) -> str:
    """What `kubectl apply` says, warnings included; raises LabError with the refusal."""
    command = [str(toolchain.kubectl()), "apply", "-n", namespace, "-f", "-", *more]
    environment = {"KUBECONFIG": str(lab.kubeconfig), "HOME": str(lab.workdir)}
    done = subprocess.run(command, input=json.dumps(obj), capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise LabError(done.stderr)
    return done.stdout + done.stderr


def test_the_api_server_asks_and_says_what_the_operator_found(lab: Lab, namespace: str, reviewed: None) -> None:
    with urllib.request.urlopen(f"http://{address(lab)}:8080/metrics", timeout=5) as metrics:
        assert b"tidegate_leading 0.0" in metrics.read(), "reviews are not the leader's alone"
    with pytest.raises(LabError, match=r"denied the request: spec\.strategy\.canary\.steps\[0\]: has no kind"):
        apply(lab, namespace, rollout("v1", by_host({})))
    with pytest.raises(LabError, match=r"spec\.metrics\[0\]\.successCondition"):
        apply(lab, namespace, template("bad", "vector(1)", successCondition="result >", count=1))
    with pytest.raises(LabError, match=r"spec\.metrics\[0\]\.interval"):
        apply(lab, namespace, template("bad", "vector(1)", cluster=True, interval="soon", count=1))

    said = apply(lab, namespace, rollout("v1", by_host(weigh(10))))
    for path in ("canaryService", "stableService", "trafficRouting.istio.virtualService.name"):
        assert f"Warning: spec.strategy.canary.{path}: " in said
    with pytest.raises(LabError, match=rf"Service {namespace}/app-stable, which Rollout {namespace}/app claims too"):
        wait_for(lambda: not apply(lab, namespace, rival(), "--dry-run=server"), "the reviewer knowing both", 10)
    lab.client.apply({**m.service("app-stable", namespace, {"app": "app"})})
    assert "stableService" not in apply(lab, namespace, rollout("v2", by_host(weigh(10))))


def rival() -> Obj:
    return rollout("v1", canary(stableService="app-stable"), name="rival")


def refusal(lab: Lab, namespace: str) -> str:
    try:
        apply(lab, namespace, rollout("v1", by_host({}), name="wrong"), "--dry-run=server")
    except LabError as error:
        return str(error)
    return ""


def test_what_is_no_review_is_an_error_and_never_an_approval(lab: Lab, reviewed: None) -> None:
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    kind = {"group": "apps", "version": "v1", "kind": "Deployment"}
    asked = {"uid": "u", "kind": kind, "operation": "CREATE", "object": {"metadata": {"name": "a"}}}
    url = f"https://{address(lab)}:8443/validate"
    for body in (b"", b"[]", json.dumps({"request": asked}).encode()):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(url, body, method="POST"), context=tls, timeout=5)
        assert refused.value.code == 500
        refused.value.close()


def test_while_no_replica_answers_objects_are_let_in(lab: Lab, namespace: str, reviewed: None) -> None:
    assert "has no kind" in refusal(lab, namespace)
    lab.kubectl("-n", NAMESPACE, "scale", "deployment/tidegate", "--replicas=0")
    try:
        wait_for(lambda: refusal(lab, namespace) == "", "the replica being gone")
    finally:
        lab.kubectl("-n", NAMESPACE, "scale", "deployment/tidegate", "--replicas=1")
    wait_for(lambda: "has no kind" in refusal(lab, namespace), "another one being asked", 60)


def test_a_certificate_that_can_not_be_read_is_told_at_the_start(tmp_path: Path, lab: Lab) -> None:
    shutil.copy(lab.kubeconfig, tmp_path / "kubeconfig")
    done = subprocess.run(
        [sys.executable, "-m", "tidegate.shell", f"--webhook-certificates={tmp_path}/none", "--port=0"],
        env={"KUBECONFIG": str(tmp_path / "kubeconfig"), "PYTHONPATH": "operator"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("tidegate: --webhook-certificates: "), done.stderr


def test_an_upgrade_keeps_the_certificate_and_another_name_brings_a_new_one(
    lab: Lab, namespace: str, reviewed: None
) -> None:
    """The last one: the release stays as it leaves it."""
    first = lab.client.get("Secret", SECRET, NAMESPACE)["data"]
    install(lab, *ON, "webhook.timeoutSeconds=4")
    assert lab.client.get("Secret", SECRET, NAMESPACE)["data"] == first
    assert "has no kind" in refusal(lab, namespace)

    lab.pause("kubelet")
    try:
        install(lab, *ON, f"webhook.url=https://{address(lab)}:8443/validate")
        second = lab.client.get("Secret", SECRET, NAMESPACE)["data"]
        assert second["tls.crt"] != first["tls.crt"]
        # Until the replica has the new one, the API server does not trust it, and lets objects in.
        assert refusal(lab, namespace) == ""
    finally:
        lab.resume("kubelet")
    wait_for(lambda: "has no kind" in refusal(lab, namespace), "the replica serving the new certificate", 20)
