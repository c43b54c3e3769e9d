"""The webhook as the API server meets it: installed by the chart, with the chart's certificate, under no other rights.

Wrong programs that this catches: a configuration whose certificate does not fit, rules that miss a kind or ask about
the operator's own notes, a server that only the leader runs, and one that lets nothing in when it is gone.
"""

from __future__ import annotations

import base64
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
from lab.operator import NAMESPACE, Operator, install, operator
from lab.paths import LabError
from tests.docs.pages import blocks
from tests.docs.sessions import MARK, compare, steps
from tests.scenarios.story import by_host, canary, rollout, template, wait, weigh

pytestmark = pytest.mark.lab

Obj = dict[str, Any]
PORT = 9443
URL = f"https://127.0.0.1:{PORT}/validate"
LEASE = "tidegate-controller-lock"
SECRET = "tidegate-webhook-tls"


def unpacked(lab: Lab, folder: Path) -> dict[str, str]:
    """The chart's Secret as files, as a pod would see it."""
    data: dict[str, str] = lab.client.get("Secret", SECRET, NAMESPACE)["data"]
    folder.mkdir(exist_ok=True)
    for name in ("tls.crt", "tls.key"):
        (folder / name).write_bytes(base64.b64decode(data[name]))
    return data


@pytest.fixture(scope="module")
def reviewed(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Operator, Path]]:
    """A replica that stands by, for the lease is somebody else's: reviews are every replica's work."""
    kubeconfig = install(lab, "webhook.enabled=true", f"webhook.url={URL}")
    folder = tmp_path_factory.mktemp("certificates")
    unpacked(lab, folder)
    held = {"holderIdentity": "somebody", "leaseDurationSeconds": 3600, "renewTime": "2026-01-01T00:00:00.000000Z"}
    lease = {"metadata": {"name": LEASE, "namespace": NAMESPACE}, "spec": held}
    lab.client.apply({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", **lease})
    flags = (f"--webhook-certificates={folder}", f"--webhook-port={PORT}")
    try:
        with operator(lab, kubeconfig, *flags, name="reviewer", port=8095) as running:
            yield running, folder
    finally:
        lab.client.delete("Lease", LEASE, NAMESPACE, api_version="coordination.k8s.io/v1")
        lab.helm("uninstall", "tidegate", "--namespace", NAMESPACE)


def apply(lab: Lab, namespace: str, obj: Obj, *more: str) -> str:
    """What `kubectl apply` says, warnings included; raises LabError with the refusal."""
    command = [str(toolchain.kubectl()), "apply", "-n", namespace, "-f", "-", *more]
    environment = {"KUBECONFIG": str(lab.kubeconfig), "HOME": str(lab.workdir)}
    done = subprocess.run(command, input=json.dumps(obj), capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise LabError(done.stderr)
    return done.stdout + done.stderr


def test_the_api_server_asks_and_says_what_the_operator_found(
    lab: Lab, namespace: str, reviewed: tuple[Operator, Path]
) -> None:
    assert "tidegate_leading 0.0" in reviewed[0].metrics(), "reviews are not the leader's alone"
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


def test_the_documentation_shows_what_kubectl_prints(
    lab: Lab, namespace: str, reviewed: tuple[Operator, Path], tmp_path: Path
) -> None:
    shown = [block.text for block in blocks("docs/webhook.md") if block.language == "console"]
    for text, duration in zip(shown, ("5 minutes", "5m"), strict=True):
        shop = rollout("v1", canary(weigh(10), wait(duration), canaryService="shop-canary"), name="shop")
        (tmp_path / "shop.yaml").write_text(json.dumps(shop))
        ((command, _),) = steps(text)
        environment = {"KUBECONFIG": str(lab.kubeconfig), "HOME": str(tmp_path)}
        words = [str(toolchain.kubectl()), *command.split()[1:], "-n", namespace]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
        assert compare(text, f"{MARK}{done.stderr}{done.stdout}") == ""


def rival() -> Obj:
    return rollout("v1", canary(stableService="app-stable"), name="rival")


def test_an_upgrade_keeps_the_certificate_and_another_name_brings_a_new_one(
    lab: Lab, namespace: str, reviewed: tuple[Operator, Path]
) -> None:
    first = lab.client.get("Secret", SECRET, NAMESPACE)["data"]
    install(lab, "webhook.enabled=true", f"webhook.url={URL}", "log.level=debug")
    assert lab.client.get("Secret", SECRET, NAMESPACE)["data"] == first
    assert "has no kind" in refusal(lab, namespace)

    install(lab, "webhook.enabled=true", "webhook.url=https://localhost:9443/validate")
    second = lab.client.get("Secret", SECRET, NAMESPACE)["data"]
    assert second["tls.crt"] != first["tls.crt"]
    # Until the replica has the new one, the API server does not trust it, and lets objects in.
    assert refusal(lab, namespace) == ""
    install(lab, "webhook.enabled=true", f"webhook.url={URL}")
    unpacked(lab, reviewed[1])
    wait_for(lambda: "has no kind" in refusal(lab, namespace), "the replica serving the new certificate", 20)


def refusal(lab: Lab, namespace: str) -> str:
    try:
        apply(lab, namespace, rollout("v1", by_host({}), name="wrong"), "--dry-run=server")
    except LabError as error:
        return str(error)
    return ""


def test_what_is_no_review_is_an_error_and_never_an_approval(reviewed: tuple[Operator, Path]) -> None:
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    kind = {"group": "apps", "version": "v1", "kind": "Deployment"}
    asked = {"uid": "u", "kind": kind, "operation": "CREATE", "object": {"metadata": {"name": "a"}}}
    for body in (b"", b"[]", json.dumps({"request": asked}).encode()):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(URL, body, method="POST"), context=tls, timeout=5)
        assert refused.value.code == 500
        refused.value.close()


def test_while_no_replica_answers_objects_are_let_in(lab: Lab, namespace: str, reviewed: tuple[Operator, Path]) -> None:
    replica, _ = reviewed
    assert "has no kind" in refusal(lab, namespace)
    replica.kill()
    try:
        assert refusal(lab, namespace) == ""
    finally:
        replica.start()
    assert "has no kind" in refusal(lab, namespace)


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
