"""What the pages' commands meet on the lab that is not in the pages: see `tests.docs.shell`."""

from __future__ import annotations

from typing import Final

from tests.docs.pages import blocks

START: Final = "docs/start.md"

SHORTER: Final = {
    "examples/health-checks/analysis.yaml": ("interval: 10s", "interval: 1s"),
    "examples/datadog/rollout.yaml": ("duration: 30s", "duration: 10s"),
    "examples/datadog/analysis.yaml": ("0s\n", "s\n"),
    "examples/canary-istio/rollout.yaml": ("duration: 15s", "duration: 6s"),
}
"""Of a file, the text that would only take time, and what stands there instead."""

SELF: Final = "make test   # every test, on the same real cluster"
"""The line of README.md that is at work while this is run."""

_SHOP: Final = """
cat > shop.yaml <<'END'
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: shop}
spec:
  replicas: 3
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: shop, image: "lab.local/app:v1", ports: [{containerPort: 8080}]}]}
  strategy:
    canary:
      stableService: shop-stable
      canaryService: shop-canary
      trafficRouting: {istio: {virtualService: {name: shop}}}
      scaleDownDelaySeconds: 1
      abortScaleDownDelaySeconds: 1
      analysis: {templates: [{templateName: errors}]}
      steps: [{setWeight: 20}, {pause: {}}, {setWeight: 60}, {pause: {duration: 10}}]
END
cat > around.yaml <<'END'
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: errors}
spec:
  metrics:
    - {name: errors, interval: 1s, successCondition: "result < 0.01", provider: {prometheus: {query: vector(0.005)}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.example.com]
  http: [{route: [{destination: {host: shop-stable}, weight: 100}, {destination: {host: shop-canary}, weight: 0}]}]
---
apiVersion: v1
kind: Service
metadata: {name: shop-stable}
spec: {selector: {app: shop}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: shop-canary}
spec: {selector: {app: shop}, ports: [{port: 80, targetPort: 8080}]}
END
kubectl apply -f around.yaml -f shop.yaml
tidegate status shop --timeout 2m
tidegate set image shop shop=lab.local/app:v2
tidegate status shop --timeout 2m || [ $? -eq 2 ]
run="$(kubectl get analysisruns -o name)"
kubectl wait "$run" --for=jsonpath='{.status.metricResults[0].successful}' --timeout=1m
"""
_SHOP_UNDONE: Final = """
tidegate promote shop
tidegate status shop --timeout 2m
tidegate set image shop shop=lab.local/app:v3
tidegate promote shop --full
tidegate status shop --timeout 2m
sed 's/vector(0.005)/vector(0.2)/' around.yaml | kubectl apply -f -
tidegate set image shop shop=lab.local/app:v4
tidegate status shop --timeout 2m || [ $? -eq 1 ]
kubectl wait rollout/shop --for=jsonpath='{.status.replicas}'=3 --timeout=1m
"""
_SHOP_AGAIN: Final = """
kubectl apply -f around.yaml
tidegate retry shop
tidegate status shop --timeout 2m || [ $? -eq 2 ]
"""
_SHOP_LINT: Final = """
mkdir deploy
sed 's/{setWeight: 60}, {pause: {duration: 10}}/{setWeight: 10}/' shop.yaml > deploy/shop.yaml
cp around.yaml deploy
"""
_SHOP_CHANGED: Final = """
sed -i 's/app:v1/app:v3/' shop.yaml
kubectl apply -f shop.yaml
tidegate status shop --timeout 2m
sed -i 's/app:v3/app:v5/' shop.yaml
"""
_MANIFEST: Final = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: shop, image: "lab.local/app:v1", ports: [{containerPort: 8080}]}]}
  strategy: {canary: {steps: [{setWeight: 20}, {pause: {}}]}}
"""
_ROLLOUT: Final = f"""
kubectl apply -f - <<'END'
{_MANIFEST}END
tidegate status shop --timeout 2m
"""
_WITH_WORKLOAD: Final = """
kubectl create deployment shop --image=lab.local/app:v1 --replicas=5
kubectl rollout status deployment/shop --timeout=1m
kubectl apply -f - <<'END'
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: shop}
spec:
  replicas: 5
  workloadRef: {apiVersion: apps/v1, kind: Deployment, name: shop, scaleDown: never}
  strategy: {canary: {steps: [{setWeight: 20}, {pause: {}}]}}
END
tidegate status shop --timeout 2m
kubectl scale deployment/shop --replicas=0
"""
_ARGO: Final = """
kubectl create namespace argo-rollouts
kubectl -n argo-rollouts create deployment argo-rollouts --image=lab.local/app:v1
kubectl -n argo-rollouts label deployment/argo-rollouts app.kubernetes.io/part-of=argo-rollouts
"""
_FLAGGER: Final = """
cat > podinfo.yaml <<'END'
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: podinfo}
spec:
  provider: istio
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: podinfo}
  service: {port: 80, targetPort: 8080, gateways: [istio-system/gateway], hosts: [podinfo.example.com]}
  analysis: {interval: 1m, threshold: 5, stepWeight: 10, maxWeight: 50}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: podinfo}
spec:
  selector: {matchLabels: {app: podinfo}}
  template:
    metadata: {labels: {app: podinfo}}
    spec: {containers: [{name: podinfo, image: "lab.local/app:v1", ports: [{containerPort: 8080}]}]}
END
"""
_FLAGGER_S_CHECKS: Final = (
    _FLAGGER.replace("{name: podinfo}", "{name: podinfo, namespace: test}")
    .replace("spec:\n  selector", "spec:\n  replicas: 2\n  selector")
    .replace(
        "maxWeight: 50}",
        "maxWeight: 50, metrics: [{name: request-success-rate, thresholdRange: {min: 99}, interval: 1m},"
        " {name: request-duration, thresholdRange: {max: 500}, interval: 1m}]}",
    )
)
_MISTAKEN: Final = _MANIFEST.replace("steps:", "canaryService: shop-canary, steps:").replace(
    "pause: {}", "pause: {duration: 5 minutes}"
)
_SHOP_MISTAKEN: Final = f"cat > shop.yaml <<'END'\n{_MISTAKEN}END\n"
_NOT_INSTALLED: Final = "helm uninstall tidegate --namespace tidegate-system"
_TEMPLATE: Final = next(block.text for block in blocks("docs/analysis-compare.md") if block.language == "yaml")
BEFORE: Final = {
    ("docs/analysis-compare.md", "# A known incident: would it have been seen, and when?"): (
        f"cat > template.yaml <<'END'\n{_TEMPLATE}\nEND"
    ),
    ("README.md", "kubectl get rollout shop -o wide"): _ROLLOUT,
    ("README.md", "docker build -t registry.example.com/tidegate:0.1.0 ."): _NOT_INSTALLED,
    (
        "docs/install.md",
        "docker build -t registry.example.com/tidegate:0.1.0 . && docker push registry.example.com/tidegate:0.1.0",
    ): _NOT_INSTALLED,
    ("README.md", "tidegate get shop                    # -w keeps it up to date"): (
        "mkdir deploy; kubectl get rollout shop -o yaml > deploy/shop.yaml"
    ),
    ("docs/command-line.md", "$ tidegate get shop"): _SHOP,
    ("docs/command-line.md", "$ tidegate status shop"): _SHOP_UNDONE,
    ("docs/command-line.md", "$ tidegate promote shop"): _SHOP_AGAIN,
    ("docs/command-line.md", "$ tidegate lint deploy/"): _SHOP_LINT,
    ("docs/command-line.md", "$ tidegate diff -f shop.yaml"): _SHOP_CHANGED,
    ("docs/command-line.md", "$ tidegate migrate -f podinfo.yaml"): _FLAGGER_S_CHECKS,
    ("docs/command-line.md", "source <(tidegate completion bash)                                   # or zsh"): (
        "mkdir -p ~/.config/fish/completions"
    ),
    ("docs/takeover.md", "kubectl -n argo-rollouts scale deployment argo-rollouts --replicas=0"): _ARGO,
    ("docs/takeover.md", "kubectl -n tidegate-system scale deployment tidegate --replicas=0"): (
        "kubectl -n argo-rollouts create deployment argo-rollouts --image=lab.local/app:v1"
    ),
    ("docs/dashboard.md", "kubectl -n shop create token deployer --duration 8h"): (
        "kubectl create namespace shop; kubectl -n shop create serviceaccount deployer"
    ),
    ("docs/operations.md", "tidegate get shop"): _ROLLOUT,
    (
        "docs/notifications.md",
        "kubectl annotate rollout shop notifications.argoproj.io/subscribe.on-rollout-aborted.slack=releases",
    ): _ROLLOUT,
    ("docs/flagger.md", "tidegate migrate -f podinfo.yaml"): _FLAGGER,
    ("docs/workloads.md", "kubectl scale deployment/shop --replicas=5"): _WITH_WORKLOAD,
    ("docs/webhook.md", "$ kubectl apply -f shop.yaml"): _SHOP_MISTAKEN,
}
"""Commands for what a page takes for granted, by page and first line of the block before which they are run."""

FIRST: Final = "examples/README.md"
"""Run before the others and behind the first page's installation: it makes Prometheus known."""

LAST: Final = (
    "README.md",
    "docs/dashboard.md",
    "docs/operations.md",
    "docs/security.md",
    "docs/webhook.md",
    "docs/install.md",
    "docs/takeover.md",
)
"""Run one after another when the others are over: README.md, whose demo wants a machine that is not too busy, and pages
that restart the operator; the last ends with it gone."""
