"""The lab itself: what every test of a real rollout takes for granted."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from lab import manifests as m
from lab.cluster import Lab, LabError, wait_for
from lab.paths import REPOSITORY
from lab.traffic import Traffic

pytestmark = pytest.mark.lab


def two_versions(lab: Lab, namespace: str, stable: int, canary: int) -> str:
    """An app with one pod of each version behind a VirtualService; returns its host once both answer."""
    host = f"{namespace}.example.com"
    for track in ("stable", "canary"):
        labels = {"app": "app", "track": track}
        lab.client.create(m.service(track, namespace, labels))
        lab.client.create(m.deployment(track, namespace, m.pod_template(labels, m.app_container(track))))
    route = {"name": "primary", "route": [m.destination("stable", stable), m.destination("canary", canary)]}
    lab.client.create(m.virtual_service("app", namespace, host, route))
    for track in ("stable", "canary"):
        wait_for(lambda track=track: has_endpoints(lab, namespace, track), f"endpoints of {track} in the gateway")
    wait_for(lambda: by_service(lab, host)["canary"] == canary, "the route in the gateway")
    return host


def has_endpoints(lab: Lab, namespace: str, service: str) -> bool:
    return any(lab.envoy_clusters().get(f"outbound|80||{service}.{namespace}.svc.cluster.local", {}).values())


def by_service(lab: Lab, host: str) -> Counter[str]:
    """Weights by Service. istiod does not hand on a destination of weight 0."""
    weights = {cluster.split("|")[3].split(".")[0]: weight for cluster, weight in lab.weights(host).items()}
    if not weights:
        raise LookupError(f"Envoy has no route for {host} yet")
    return Counter(weights)


def set_weights(lab: Lab, namespace: str, stable: int, canary: int) -> None:
    patch = [
        {"op": "replace", "path": f"/spec/http/0/route/{index}/weight", "value": weight}
        for index, weight in enumerate((stable, canary))
    ]
    lab.client.patch("VirtualService", "app", namespace, patch, api_version="networking.istio.io/v1")


def test_the_gateway_splits_requests_by_weight(lab: Lab, namespace: str) -> None:
    host = two_versions(lab, namespace, 80, 20)
    with Traffic(host, rate=1000) as traffic:
        wait_for(lambda: traffic.total >= 2000, "2000 requests")
    assert traffic.failed == 0
    share = traffic.by_version["canary"] / traffic.total
    assert abs(share - 0.2) < 5 * math.sqrt(0.2 * 0.8 / traffic.total)


def test_a_changed_weight_reaches_the_gateway(lab: Lab, namespace: str) -> None:
    host = two_versions(lab, namespace, 100, 0)
    for canary in (100, 0, 100, 0, 50):
        set_weights(lab, namespace, 100 - canary, canary)
        wait_for(lambda canary=canary: by_service(lab, host)["canary"] == canary, "the weight in Envoy", 5)


def test_a_weight_that_istio_refuses_is_refused_here(lab: Lab, namespace: str) -> None:
    two_versions(lab, namespace, 100, 0)
    wait_for(lambda: "Fail" in lab.kubectl("get", "validatingwebhookconfigurations", "-o", "yaml"), "the webhook")
    with pytest.raises(Exception, match=r"weight -10 < 0"):
        set_weights(lab, namespace, 110, -10)


def test_no_request_fails_during_a_rolling_restart(lab: Lab, namespace: str) -> None:
    host = two_versions(lab, namespace, 100, 0)
    with Traffic(host, rate=500) as traffic:
        for _ in range(2):
            lab.kubectl("-n", namespace, "rollout", "restart", "deployment/stable")
            lab.kubectl("-n", namespace, "rollout", "status", "deployment/stable", "--timeout=30s")
            wait_for(lambda: len(lab.client.list("Pod", namespace, selector="track=stable")) == 1, "old pods gone")
    assert traffic.total > 500
    assert traffic.failures == {}


def test_prometheus_tells_errors_by_version(lab: Lab, namespace: str) -> None:
    host = two_versions(lab, namespace, 50, 50)
    pod = lab.client.list("Pod", namespace, selector="track=canary")[0]["status"]["podIP"]
    subprocess.run(["curl", "-fsS", "-XPOST", f"http://{pod}:8080/control?error_rate=1"], check=True, timeout=10)

    def errors(service: str) -> float | None:
        cluster = f"outbound[|]80[|][|]{service}[.]{namespace}[.].*"
        every = f'sum(rate(envoy_cluster_upstream_rq{{cluster_name=~"{cluster}",response_code_class!=""}}[5s]))'
        failed = every.replace('response_code_class!=""', 'response_code_class="5xx"')
        result = lab.query(f"({failed} or vector(0)) / {every}")
        return float(result[0]["value"][1]) if result else None

    with Traffic(host, rate=200):
        wait_for(lambda: (errors("stable"), errors("canary")) == (0, 1), "0 % errors of stable, 100 % of canary", 15)


def test_prometheus_scrapes_pods_that_ask_for_it_and_targets_of_a_test(lab: Lab, namespace: str) -> None:
    template = m.pod_template({"app": "scraped"}, m.app_container("v7"))
    template["metadata"]["annotations"] = {"prometheus.io/scrape": "true"}
    lab.client.create(m.deployment("scraped", namespace, template))
    wait_for(lambda: lab.query(f'up{{namespace="{namespace}",app="scraped"}} == 1'), "the pod being scraped")
    lab.add_targets(namespace, ["127.0.0.1:9090"], {"origin": namespace})
    wait_for(lambda: lab.query(f'up{{origin="{namespace}"}} == 1'), "the added target being scraped")


def test_a_service_account_may_only_do_what_its_roles_allow(lab: Lab, namespace: str) -> None:
    wait_for(lambda: lab.client.get("ServiceAccount", "default", namespace), "the service account")
    weak = lab.kubeconfig_for(namespace, "default")
    with pytest.raises(LabError, match="Forbidden"):
        lab.kubectl("get", "pods", kubeconfig=weak)
    lab.kubectl(
        "-n", namespace, "create", "rolebinding", "see", "--clusterrole=view", f"--serviceaccount={namespace}:default"
    )
    wait_for(lambda: lab.kubectl("get", "pods", "-o", "name", kubeconfig=weak) == "", "the role being in force")


@pytest.mark.parametrize("program", ["kube-apiserver", "etcd", "kubelet", "istiod", "envoy", "prometheus"])
def test_a_program_that_was_killed_comes_back_with_its_data(lab: Lab, namespace: str, program: str) -> None:
    host = two_versions(lab, namespace, 100, 0)
    lab.kill(program)
    lab.restart(program)
    lab.kubectl("-n", namespace, "scale", "deployment/stable", "--replicas=2")
    cluster = f"outbound|80||stable.{namespace}.svc.cluster.local"
    wait_for(lambda: len(lab.envoy_clusters().get(cluster, {})) == 2, "the second pod in the gateway", 60)
    wait_for(lambda: lab.query("up{job='envoy'} == 1"), "Prometheus scraping Envoy", 15)
    with Traffic(host, rate=100) as traffic:
        wait_for(lambda: traffic.total >= 50, "50 requests")
    assert traffic.failures == {}


def test_a_paused_api_server_hangs_and_goes_on(lab: Lab) -> None:
    lab.pause("kube-apiserver")
    try:
        with pytest.raises(OSError, match="timed out"):
            lab.client.request("GET", "/readyz", timeout=0.5)
    finally:
        lab.resume("kube-apiserver")
    assert lab.client.request("GET", "/readyz") == "ok"


def test_helm_installs_a_chart(lab: Lab, namespace: str, tmp_path: Path) -> None:
    chart = tmp_path / "demo"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: demo\nversion: 0.1.0\n")
    (chart / "templates" / "map.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}'}\n"
    )
    lab.helm("install", "hello", str(chart), "--namespace", namespace)
    assert lab.client.get("ConfigMap", "hello", namespace)


NESTED = """
import sys, time
from pathlib import Path
from lab.cluster import Lab
with Lab.start(Path(sys.argv[1]), istio=False, envoy=False, prometheus=False) as lab:
    lab.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": [
        {"name": "a", "image": "lab.local/app:1"}, {"name": "b", "image": "x", "command": ["sleep", "86399"]}]}})
    while lab.client.get("Pod", "web", "default").get("status", {}).get("phase") != "Running":
        time.sleep(0.05)
    Path(sys.argv[1], "ready").touch()
    time.sleep(3600)
"""


@pytest.mark.parametrize("victim", ["the program that started the lab", "the process around the namespace"])
def test_nothing_is_left_after_kill_9(lab: Lab, tmp_path: Path, victim: str) -> None:
    script = tmp_path / "nested.py"
    script.write_text(NESTED)
    marked = str(tmp_path)
    shell = f"{sys.executable} {script} {tmp_path / 'lab'}; sleep 86398"
    command = [sys.executable, "-m", "lab", "enter", "--new", "--", "sh", "-c", shell]
    outer = subprocess.Popen(command, cwd=REPOSITORY, start_new_session=True)
    try:
        wait_for((tmp_path / "lab" / "ready").exists, "the nested lab", timeout=60)
        before = processes(marked)
        assert len(before) >= 5, before  # the script, etcd, the API server, the controller manager, the kubelet
        inner = next(pid for pid, line in before.items() if line.startswith(f"{sys.executable} {script}"))
        os.kill(outer.pid if "around" in victim else inner, signal.SIGKILL)
        ours = [marked, "86399"]
        wait_for(lambda: not processes(*ours), "every process of the lab gone", timeout=10)
    finally:
        outer.kill()
        outer.wait()


def test_ctrl_c_ends_a_lab_in_the_foreground_and_leaves_nothing() -> None:
    command = [sys.executable, "-m", "lab", "enter", "--new", "--", sys.executable, "-m", "lab", "up"]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stdout is not None
        said = ""
        for line in running.stdout:
            said += line
            if "Ctrl-C ends" in line:
                break
        workdir = next(line.split()[1] for line in said.splitlines() if line.startswith("KUBECONFIG"))
        workdir = str(Path(workdir).parent)
        assert len(processes(workdir)) >= 5, processes(workdir)
        assert "nsenter" in said
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait(20) == 0
    assert not processes(workdir)
    assert not Path(workdir).exists()


def processes(*words: str) -> dict[int, str]:
    """Command lines, by process id, of the lab's processes with one of `words` in theirs (not of the shells around)."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if any(word in line for word in words) and " sh -c " not in f" {line}":
            found[int(entry.name)] = line
    return found


def test_outside_its_namespace_a_lab_says_what_to_do() -> None:
    script = "from lab.cluster import Lab\nwith Lab.start(): pass"
    outside = {k: v for k, v in os.environ.items() if k != "TIDEGATE_LAB_NETNS"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, env=outside, capture_output=True, text=True, check=False
    )
    assert done.returncode
    assert "python -m lab enter -- COMMAND" in done.stderr


def test_a_program_that_dies_at_its_start_is_reported_with_its_log(lab: Lab, tmp_path: Path) -> None:
    from lab.processes import Process

    broken = Process("broken", ["sh", "-c", "echo the reason; exit 3"], tmp_path / "log", ready=lambda: False)
    broken.start()
    began = time.monotonic()
    with pytest.raises(LabError, match=r"(?s)broken ended with code 3.*the reason"):
        broken.wait_ready()
    assert time.monotonic() - began < 5
