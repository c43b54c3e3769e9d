"""The operator as a pod has it: a service account's files, the API server's address in the environment, no kubeconfig.

Wrong programs that this catches: one that needs the cluster's DNS to find the API server, which is what may have failed
when an update has to be undone; and one that does not find its way without a kubeconfig.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lab import operator as tidegate
from lab.client import wait_for
from lab.cluster import Lab
from lab.operator import Operator

pytestmark = pytest.mark.lab

ACCOUNT = "run/secrets/kubernetes.io/serviceaccount"
# A mount namespace of its own, so that nobody else sees these files.
IN_A_POD = f'mount -t tmpfs none /run && mkdir -p /{ACCOUNT} && cp "$0"/* /{ACCOUNT} && exec "$@"'


def test_in_a_pod_the_api_server_is_found_by_its_address(lab: Lab, tmp_path: Path) -> None:
    if Path("/var/run").resolve() != Path("/run"):
        pytest.skip("/var/run is a directory of its own here")
    tidegate.install(lab)
    given = lab.kubectl("-n", tidegate.NAMESPACE, "create", "token", tidegate.SERVICE_ACCOUNT)
    (tmp_path / "token").write_text(given.strip())
    (tmp_path / "namespace").write_text(tidegate.NAMESPACE)
    shutil.copy(lab.workdir / "certificates" / "apiserver.crt", tmp_path / "ca.crt")
    address = urlsplit(lab.api_url)
    command = ["unshare", "--mount", "sh", "-c", IN_A_POD, str(tmp_path)]
    told = [f"KUBERNETES_SERVICE_HOST={address.hostname}", f"KUBERNETES_SERVICE_PORT={address.port}", "HOME=/nowhere"]
    run = [sys.executable, "-m", "tidegate", "run", "--port=8123", "--address=127.0.0.1", "--no-leader-elect"]

    pod = Operator(lab, "pod", 8123, [*command, "env", "-u", "KUBECONFIG", *told, *run], Path(os.devnull))
    try:
        pod.start()
        wait_for(lambda: "controller started" in pod.log.read_text(), "the operator at work")
    finally:
        pod.stop()
    assert "kubernetes.default.svc" not in pod.log.read_text()
