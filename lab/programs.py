"""What the lab builds, and from what. The versions themselves are pinned in `lab/go/*/go.mod` and `go.sum`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.paths import REPOSITORY

GO_MODULES = REPOSITORY / "lab" / "go"
KUBERNETES = "v1.37.2"
ISTIO = "1.31.0-lab"
HELM = "v4.3.1"


@dataclass(frozen=True, slots=True)
class Program:
    """One Go program.

    module: directory below `lab/go` whose go.mod and go.sum pin it. Istio, Kubernetes and helm have one each: a joint
        one would lift the versions that Istio was released with.
    seconds: what a first build takes on two cores when the programs before it in `PROGRAMS` are built. Only for the
        estimate that is shown.
    data: files copied from a module beside the program, as (module path, file in it, name).
    """

    name: str
    module: str
    package: str
    seconds: int
    ldflags: str = "-s -w"
    tags: str = ""
    data: tuple[tuple[str, str, str], ...] = ()

    @property
    def directory(self) -> Path:
        return GO_MODULES / self.module

    def flags(self) -> list[str]:
        tags = [f"-tags={self.tags}"] if self.tags else []
        return ["-trimpath", "-buildvcs=false", "-mod=readonly", *tags, f"-ldflags={self.ldflags}"]


def _kubernetes_ldflags() -> str:
    major, minor, _ = KUBERNETES.removeprefix("v").split(".")
    package = "k8s.io/component-base/version"
    return f"-s -w -X {package}.gitVersion={KUBERNETES} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"


PROGRAMS = (
    Program("etcd", "etcd", "go.etcd.io/etcd/server/v3", seconds=50),
    Program(
        "kube-apiserver",
        "controlplane",
        "k8s.io/kubernetes/cmd/kube-apiserver",
        seconds=270,
        ldflags=_kubernetes_ldflags(),
    ),
    Program(
        "kube-controller-manager",
        "controlplane",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        seconds=120,
        ldflags=_kubernetes_ldflags(),
    ),
    Program(
        "istiod",
        "istiod",
        "istio.io/istio/pilot/cmd/pilot-discovery",
        seconds=360,
        ldflags=f"-s -w -X istio.io/istio/pkg/version.buildVersion={ISTIO}",
        tags="vtprotobuf,disable_pgv",
        data=(("istio.io/istio", "manifests/charts/base/files/crd-all.gen.yaml", "istio-crds.json"),),
    ),
    # Without its service discoveries (files and HTTP stay): one of them needs a module that is not to be had.
    Program(
        "prometheus",
        "prometheus",
        "github.com/prometheus/prometheus/cmd/prometheus",
        seconds=150,
        tags="netgo,remove_all_sd",
    ),
    Program(
        "helm",
        "helm",
        "helm.sh/helm/v4/cmd/helm",
        seconds=180,
        ldflags=f"-s -w -X helm.sh/helm/v4/internal/version.version={HELM}",
    ),
)
