"""A story: one test's namespace on the lab, what it is made of, and words for what it waits for.

The stories of a module are played at the same time (see conftest.py), for most of their time is waiting. What always
holds is checked on every story when it is over: no version gets more traffic than its pods can carry, and no pod goes
while a route leads to it.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, TypeVar

from lab import manifests as m
from lab.client import wait_for
from lab.cluster import Lab
from lab.operator import Operator
from lab.traffic import Traffic
from tests.scenarios.chronicle import ARGO, KINDS, Chronicle, Obj

T = TypeVar("T")

HASH: Final = "rollouts-pod-template-hash"
REVISION: Final = "rollout.argoproj.io/revision"


class Story:
    """A namespace, the words to change it, and what has been seen of it."""

    def __init__(self, lab: Lab, chronicle: Chronicle, operator: Operator, namespace: str) -> None:
        self.lab = lab
        self.chronicle = chronicle
        self.operator = operator
        self.namespace = namespace
        self.host = f"{namespace}.example.com"
        self.foreign: set[int] = set()
        """Versions that this story's own changes made: the laws are the operator's."""

    # -- making things ---------------------------------------------------------------------------------------------

    def apply(self, *objects: Mapping[str, Any]) -> Obj:
        """Server-side apply in this namespace, as far as the objects name none; the last answer."""
        answer: Obj = {}
        for obj in objects:
            namespace = obj["metadata"].get("namespace", self.namespace)
            answer = self.lab.client.apply({**obj, "metadata": {**obj["metadata"], "namespace": namespace}})
            self.foreign.add(int(answer["metadata"]["resourceVersion"]))
        return answer

    def patch(self, kind: str, name: str, body: Any, *, subresource: str = "") -> Obj:
        """A merge patch (mapping) or a JSON patch (list)."""
        patched = self.lab.client.patch(
            kind, name, self.namespace, body, api_version=KINDS[kind], subresource=subresource
        )
        self.foreign.add(int(patched["metadata"]["resourceVersion"]))
        return patched

    def ask(self, name: str = "app", **status: Any) -> Obj:
        """What the kubectl plugin and Argo CD do: patch the status."""
        return self.patch("Rollout", name, {"status": status}, subresource="status")

    def kubectl(self, *arguments: str) -> str:
        """kubectl in this namespace."""
        return self.lab.kubectl("-n", self.namespace, *arguments)

    def services(self, *names: str, app: str = "app") -> None:
        """Services that select the pods of `app`."""
        self.apply(*(m.service(name, self.namespace, {"app": app}) for name in names))

    def route(self, *routes: Obj, name: str = "app", host: str = "") -> Obj:
        """Apply a VirtualService for this story's host."""
        return self.apply(m.virtual_service(name, self.namespace, host or self.host, *routes))

    def somebody(self, role: str) -> Path:
        """The kubeconfig of somebody who has this ClusterRole in the namespace."""
        self.apply(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": role}},
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": role},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                "subjects": [{"kind": "ServiceAccount", "name": role, "namespace": self.namespace}],
            },
        )
        return self.lab.kubeconfig_for(self.namespace, role)

    def users(self, rate: float = 25, headers: Mapping[str, str] | None = None) -> AbstractContextManager[Traffic]:
        """Requests to this story's host; the gateway has come to know its pods before they begin."""
        for _ in range(3):
            wait_for(lambda: self.reaches(headers), f"the gateway answering for {self.host}")
        return Traffic(self.host, rate, workers=2, headers=headers)

    def reaches(self, headers: Mapping[str, str] | None = None) -> str:
        """The version that one request gets; raises OSError for a failed one."""
        request = urllib.request.Request(self.lab.gateway_url, headers={"Host": self.host, **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                version: str = answer.headers["x-version"]
        except urllib.error.HTTPError as error:
            error.close()
            raise OSError(str(error)) from None
        return version

    # -- looking ---------------------------------------------------------------------------------------------------

    def get(self, kind: str, name: str = "app") -> Obj:
        """The object as the API server has it now."""
        return self.lab.client.get(kind, name, self.namespace, api_version=KINDS[kind])

    def rollout(self, name: str = "app") -> Obj:
        return self.chronicle.latest(self.namespace, "Rollout", name) or {"metadata": {}, "spec": {}}

    def status(self, name: str = "app") -> Obj:
        found: Obj = self.rollout(name).get("status") or {}
        return found

    def condition(self, type_: str, name: str = "app") -> Obj:
        found = (c for c in self.status(name).get("conditions") or () if c["type"] == type_)
        return next(found, {})

    def sets(self, name: str = "app") -> dict[str, Obj]:
        """The ReplicaSets of a Rollout by their hash."""
        prefix, found = f"{name}-", {}
        for entry in self.chronicle.entries(self.namespace, "ReplicaSet"):
            if entry.name.startswith(prefix) and _owner(entry.obj) == name:
                found[entry.obj["metadata"]["labels"][HASH]] = entry
        return {hash_: entry.obj for hash_, entry in found.items() if not entry.deleted}

    def replicas(self, hash_: str, name: str = "app") -> int:
        """How many pods a revision is to have."""
        replicas: int = self.sets(name)[hash_]["spec"]["replicas"]
        return replicas

    def runs(self, type_: str = "", name: str = "app") -> list[Obj]:
        """The AnalysisRuns of a Rollout, oldest first."""
        entries = {e.name: e for e in self.chronicle.entries(self.namespace, "AnalysisRun")}
        found = [e.obj for e in entries.values() if not e.deleted and _owner(e.obj) == name]
        found = [run for run in found if type_ in ("", run["metadata"]["labels"]["rollout-type"])]
        return sorted(found, key=lambda run: (run["metadata"]["creationTimestamp"], run["metadata"]["name"]))

    def selected(self, service: str) -> str:
        """The hash that a Service selects."""
        obj = self.chronicle.latest(self.namespace, "Service", service) or {}
        hash_: str = obj.get("spec", {}).get("selector", {}).get(HASH, "")
        return hash_

    def weight(self, name: str = "app", route: int | str = 0) -> int:
        """The canary's weight in a route now; the canary's destination is the last one."""
        return canary_weight(self.chronicle.latest(self.namespace, "VirtualService", name) or {}, route)

    def weights(self, name: str = "app", route: int | str = 0, *, since: int = 0) -> list[int]:
        """The canary's weights that the route has shown, one after the other."""
        shown: list[int] = []
        for entry in self.chronicle.entries(self.namespace, "VirtualService", name, since=since):
            weight = canary_weight(entry.obj, route)
            if not shown or shown[-1] != weight:
                shown.append(weight)
        return shown

    def version(self) -> int:
        """The resource version now: what comes later is `since` this moment."""
        return int(self.lab.client.request("GET", self.lab.client.path("Namespace"))["metadata"]["resourceVersion"])

    def events(self, reason: str = "") -> list[Obj]:
        found = self.lab.client.list("Event", self.namespace)
        return [event for event in found if reason in ("", event["reason"])]

    # -- waiting ---------------------------------------------------------------------------------------------------

    def until(self, look: Callable[[], T | None], what: str, timeout: float = 30) -> T:
        """Wait until `look` returns something true."""
        found = self.chronicle.wait(look, timeout)
        if not found:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        self.chronicle.catch_up(self.namespace)
        return found

    def until_phase(self, phase: str, message: str = "", name: str = "app", timeout: float = 30) -> Obj:
        """Wait until the status of the present generation has this phase, and a message that contains `message`."""
        given = self.get("Rollout", name)["metadata"]["generation"]

        def reached() -> Obj | None:
            status = self.status(name)
            fresh = int(status.get("observedGeneration") or 0) >= given
            return status if fresh and status.get("phase") == phase and message in status.get("message", "") else None

        return self.until(reached, f"{name} being {phase} {message!r}", timeout)

    def until_weight(self, weight: int, timeout: float = 30) -> None:
        self.until(lambda: self.weight() == weight, f"canary weight {weight}", timeout)

    def until_event(self, reason: str, words: str = "", type_: str = "Normal") -> Obj:
        """Wait for an event; they are written after the status, when there is time."""

        def told() -> Obj | None:
            return next((e for e in self.events(reason) if e["type"] == type_ and words in e["message"]), None)

        return self.until(told, f"an event {reason} {words!r}", 10)

    def holds(self, look: Callable[[], object], what: str, seconds: float) -> None:
        """Nothing that `look` finds to be otherwise may happen for so long."""
        broken = self.chronicle.wait(lambda: not look(), seconds)
        assert not broken, f"should have stayed for {seconds:g} s: {what}"

    # -- what always holds -----------------------------------------------------------------------------------------

    def check_always(self) -> None:
        """Walk through everything that was written, in its order, and hold it against the two laws of traffic."""
        state: dict[tuple[str, str], Obj] = {}
        for entry in self.chronicle.entries(self.namespace):
            key = (entry.kind, entry.name)
            before = state.get(key)
            if entry.deleted:
                state.pop(key, None)
                continue
            state[key] = entry.obj
            if before is None:
                continue
            if entry.version in self.foreign:
                continue
            for rollout in [obj for (kind, _), obj in state.items() if kind == "Rollout"]:
                _check_capacity(rollout, state, entry.kind, before, entry.obj)

    def check_users(self, *groups: Traffic) -> None:
        """Nobody got an error; otherwise tell what was written shortly before the first one."""
        for users in groups:
            if users.failures:
                first = users.faults[0][0]
                around = [e for e in self.chronicle.entries(self.namespace) if -3 < e.at - first < 1]
                told = [f"{e.at - first:+.3f} s {e.kind} {e.name} {_gist(e.obj)}" for e in around]
                faults = [f"{at - first:+.3f} s {kind} {answer}" for at, kind, answer in users.faults]
                shown = "\n".join([*told, *faults])
                raise AssertionError(f"{users.failed} of {users.total} requests failed\n{shown}")

    def describe(self) -> str:
        """Everything that a person wants to see of a failed story."""
        parts = []
        for (kind, name), obj in sorted(self._present().items()):
            if kind == "ReplicaSet":
                status = obj.get("status", {})
                shown = f"{obj['spec']['replicas']} wanted, {status.get('availableReplicas', 0)} available"
                parts.append(f"{kind} {name}: {shown} {obj['metadata'].get('annotations')}")
            elif kind == "Service":
                parts.append(f"{kind} {name}: {obj['spec'].get('selector')}")
            elif kind == "VirtualService":
                parts.append(f"{kind} {name}: {[_shown(route) for route in obj['spec'].get('http', ())]}")
            else:
                rest = obj["status"] if kind == "Rollout" and "status" in obj else obj.get("status", obj.get("spec"))
                parts.append(f"{kind} {name}: {json.dumps(rest, indent=1)}")
        said = sorted(self.events(), key=lambda event: event["metadata"]["resourceVersion"])
        parts += [f"event {e['involvedObject']['name']} {e['reason']}: {e['message']}" for e in said]
        log = self.operator.log.read_text(errors="replace").splitlines()
        mine = [line for line in log if self.namespace in line] or log
        return "\n".join([f"--- {self.namespace}", *parts, f"--- {self.operator.log}", *mine[-15:]])

    def _present(self) -> dict[tuple[str, str], Obj]:
        found = {(e.kind, e.name): e for e in self.chronicle.entries(self.namespace)}
        return {key: entry.obj for key, entry in found.items() if not entry.deleted}


# -- builders ----------------------------------------------------------------------------------------------------------


def rollout(version: str, strategy: Obj, *, name: str = "app", replicas: int | None = 2, **more: Any) -> Obj:
    """A Rollout of the lab's web server. strategy: `canary(...)` or `blue_green(...)`.

    more: fields of the spec; `env` (behaviour of the server), `image`, `probe` (a readinessProbe) and `annotations`
    (of the Rollout) aside.
    """
    env, image, probe = more.pop("env", None), more.pop("image", None), more.pop("probe", None)
    container = m.app_container(version, env)
    if image:
        container["image"] = image
    if probe:
        container["readinessProbe"] = probe
    spec = {
        "selector": {"matchLabels": {"app": name}},
        "template": m.pod_template({"app": name}, container),
        "strategy": strategy,
        **({} if replicas is None else {"replicas": replicas}),
    }
    annotations = more.pop("annotations", {})
    metadata = {"name": name, **({"annotations": annotations} if annotations else {})}
    return {"apiVersion": ARGO, "kind": "Rollout", "metadata": metadata, "spec": {**spec, **more}}


def canary(*steps: Obj, **more: Any) -> Obj:
    """A canary strategy by replica ratio."""
    return {"canary": {"steps": list(steps), **more}}


def by_host(*steps: Obj, name: str = "app", routes: Sequence[str] = (), **more: Any) -> Obj:
    """A canary strategy between the Services NAME-stable and NAME-canary, with short delays."""
    virtual_service = {"name": name, **({"routes": list(routes)} if routes else {})}
    return {
        "canary": {
            "steps": list(steps),
            "canaryService": f"{name}-canary",
            "stableService": f"{name}-stable",
            "scaleDownDelaySeconds": 1,
            "abortScaleDownDelaySeconds": 1,
            "trafficRouting": {"istio": {"virtualService": virtual_service}},
            **more,
        }
    }


def by_subset(*steps: Obj, routes: Sequence[str] = (), **more: Any) -> Obj:
    """A canary strategy between the subsets stable and canary of the DestinationRule `app`."""
    rule = {"name": "app", "canarySubsetName": "canary", "stableSubsetName": "stable"}
    virtual_service = {"name": "app", **({"routes": list(routes)} if routes else {})}
    istio = {"virtualService": virtual_service, "destinationRule": rule}
    delays = {"scaleDownDelaySeconds": 1, "abortScaleDownDelaySeconds": 1}
    return {"canary": {"steps": list(steps), "trafficRouting": {"istio": istio}, **delays, **more}}


def blue_green(**more: Any) -> Obj:
    """A blue-green strategy between the Services `app` and `app-preview`, with short delays."""
    services = {"activeService": "app", "previewService": "app-preview"}
    return {"blueGreen": {**services, "scaleDownDelaySeconds": 1, "abortScaleDownDelaySeconds": 1, **more}}


def weigh(weight: int) -> Obj:
    return {"setWeight": weight}


def wait(duration: int | str | None = None) -> Obj:
    """A pause step; endless without a duration."""
    return {"pause": {} if duration is None else {"duration": duration}}


def template(name: str, query: str, *, cluster: bool = False, args: Sequence[str] = (), **metric: Any) -> Obj:
    """An analysis template with one metric `m`, asked every second. metric: its other fields."""
    provider = {"prometheus": {"address": metric.pop("address", Lab.prometheus_url), "query": query}}
    spec: Obj = {"metrics": [{"name": "m", "interval": "1s", "provider": provider, **metric}]}
    if args:
        spec["args"] = [{"name": arg} for arg in args]
    kind = "ClusterAnalysisTemplate" if cluster else "AnalysisTemplate"
    return {"apiVersion": ARGO, "kind": kind, "metadata": {"name": name}, "spec": spec}


def analysis(*names: str, **more: Any) -> Obj:
    return {"templates": [{"templateName": name} for name in names], **more}


def split_by_host(name: str = "", *, app: str = "app", **more: Any) -> Obj:
    """A route between the Services of `by_host`."""
    named = {"name": name} if name else {}
    return {**named, "route": [m.destination(f"{app}-stable", 100), m.destination(f"{app}-canary", 0)], **more}


def split_by_subset(name: str = "", **more: Any) -> Obj:
    """A route between the subsets of `by_subset`."""
    ends = [m.destination("app", 100, subset="stable"), m.destination("app", 0, subset="canary")]
    return {**({"name": name} if name else {}), "route": ends, **more}


def canary_weight(virtual_service: Obj, route: int | str = 0) -> int:
    """The weight of a route's canary, its last destination; -1 without such a route."""
    http = virtual_service.get("spec", {}).get("http", [])
    if isinstance(route, int):
        found = http[route] if route < len(http) else None
    else:
        found = next((r for r in http if r.get("name") == route), None)
    return found["route"][-1].get("weight", 0) if found else -1


def _owner(obj: Obj) -> str:
    owners = obj["metadata"].get("ownerReferences") or [{}]
    name: str = owners[0].get("name", "")
    return name


def _owned(replica_set: Obj, rollout: Obj) -> bool:
    """Whether it is the Rollout's, and not a Deployment's of the same name."""
    return _owner(replica_set) == rollout["metadata"]["name"] and HASH in replica_set["metadata"].get("labels", {})


def _gist(obj: Obj) -> object:
    match obj["kind"]:
        case "ReplicaSet":
            return obj["spec"]["replicas"], obj.get("status", {}).get("availableReplicas", 0)
        case "VirtualService":
            return [_shown(route) for route in obj["spec"]["http"]]
        case "Service":
            return obj["spec"].get("selector")
        case "DestinationRule":
            return obj["spec"].get("subsets")
    status = obj.get("status", {})
    return status.get("phase"), status.get("message"), status.get("currentStepIndex")


def _shown(route: Obj) -> Obj:
    ends = {
        d["destination"]["host"] + "/" + d["destination"].get("subset", ""): d.get("weight") for d in route["route"]
    }
    return {"name": route.get("name"), **ends}


# -- the laws ----------------------------------------------------------------------------------------------------------


def _ends(rollout: Obj, state: Mapping[tuple[str, str], Obj]) -> dict[str, int]:
    """Share of user traffic in percent by pod template hash, as routes, Services and subsets stand in `state`."""
    strategy = rollout["spec"].get("strategy", {})
    if "blueGreen" in strategy:
        active = state.get(("Service", strategy["blueGreen"]["activeService"]))
        return {_selector(active): 100} if active else {}
    routing = strategy.get("canary", {}).get("trafficRouting", {}).get("istio", {})
    targets = [routing["virtualService"]] if "virtualService" in routing else routing.get("virtualServices", [])
    shares: dict[str, int] = {}
    for target in targets:
        virtual_service = state.get(("VirtualService", target["name"]))
        for route in (virtual_service or {}).get("spec", {}).get("http", []):
            if target.get("routes") and route.get("name") not in target["routes"]:
                continue
            whole = sum(end.get("weight", 0) for end in route["route"]) or 1
            for end in route["route"] if len(route["route"]) > 1 else ():
                hash_ = _stands_for(end["destination"], routing, state)
                shares[hash_] = max(shares.get(hash_, 0), -(-100 * end.get("weight", 0) // whole))
    return shares


def _stands_for(destination: Obj, routing: Obj, state: Mapping[tuple[str, str], Obj]) -> str:
    if "subset" not in destination:
        return _selector(state.get(("Service", destination["host"])))
    rule = state.get(("DestinationRule", routing.get("destinationRule", {}).get("name", ""))) or {}
    for subset in rule.get("spec", {}).get("subsets", []):
        if subset["name"] == destination["subset"]:
            hash_: str = subset.get("labels", {}).get(HASH, "")
            return hash_
    return ""


def _selector(service: Obj | None) -> str:
    hash_: str = ((service or {}).get("spec", {}).get("selector") or {}).get(HASH, "")
    return hash_


def _check_capacity(rollout: Obj, state: Mapping[tuple[str, str], Obj], kind: str, before: Obj, after: Obj) -> None:
    """After this change: does any version get more traffic than before without the pods; did any lose pods in use?"""
    key = (kind, after["metadata"]["name"])
    was, now = _ends(rollout, {**state, key: before}), _ends(rollout, state)
    size = rollout["spec"].get("replicas", 1)
    sets = {
        obj["metadata"]["labels"][HASH]: obj
        for (sort, _), obj in state.items()
        if sort == "ReplicaSet" and _owned(obj, rollout)
    }
    told = f"{kind} {key[1]} at version {after['metadata']['resourceVersion']}"
    if kind == "ReplicaSet" and _owned(after, rollout):
        hash_ = after["metadata"]["labels"][HASH]
        less = after["spec"]["replicas"] < before["spec"]["replicas"]
        need = -(-size * now.get(hash_, 0) // 100)
        assert not less or after["spec"]["replicas"] >= need, f"{told}: {hash_} is needed by {now} and was scaled down"
        return
    if kind == "Rollout":
        return
    for hash_, share in now.items():
        if share <= was.get(hash_, 0) or hash_ not in sets or "" in was:
            continue
        status = sets[hash_].get("status", {})
        available = min(status.get("availableReplicas", 0), sets[hash_]["spec"]["replicas"])
        need = -(-size * share // 100)
        assert available >= need, f"{told}: {hash_} got {share} % with {available} of {need} pods"
