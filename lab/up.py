"""`python -m lab up`: a lab in the foreground, for a person to use from another terminal."""

from __future__ import annotations

import os
import shlex
import signal
import threading
import time
from pathlib import Path

from lab import netns, toolchain
from lab.cluster import Lab


def run(*, instant_pods: bool) -> int:
    """Start a lab, say how to use it, and keep it until Ctrl-C."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopped.set())
    print("lab: starting", flush=True)
    began = time.monotonic()
    with Lab.start(instant_pods=instant_pods) as lab:
        print(_how_to_use(lab, time.monotonic() - began), flush=True)
        stopped.wait()
        print("lab: stopping", flush=True)
    return 0


def _how_to_use(lab: Lab, seconds: float) -> str:
    inside = netns.enter_command()
    kubectl = shlex.quote(str(toolchain.kubectl()))
    shell = (
        f"{inside} env KUBECONFIG={lab.kubeconfig} PATH={Path(kubectl).parent}:$PATH {os.environ.get('SHELL', 'sh')}"
    )
    return f"""
The lab is up after {seconds:.1f} s. It has a network of its own, so use it from inside. Open a shell there:

  {shell}

There, for example:
  kubectl get pods -A
  curl -H 'Host: app.example.com' {lab.gateway_url}/       the gateway: a VirtualService names istio-system/gateway
  curl '{lab.prometheus_url}/api/v1/query?query=up'        Prometheus
  curl {lab.envoy_admin_url}/clusters                   what Envoy knows

KUBECONFIG   {lab.kubeconfig}
Logs         {lab.workdir}/*.log, {lab.workdir}/pods/

Ctrl-C ends the lab and every process in it, and removes these files.
"""
