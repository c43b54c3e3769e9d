"""Requests and the answers that any faithful API server gives to them: the contract between the fake and the real one.

A script starts in an empty namespace. Its steps say what is asked and what an answer must show; nothing that is not
said is compared. In paths and bodies, `$uid` and `$rv` stand for those of the object last answered, `$old_rv` for the
first resourceVersion that the script has seen, `$continue` for the last list's token, `$ns` for the namespace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from .rules import JSON_PATCH, MERGE_PATCH

JSON: Final = "application/json"
ABSENT: Final = "<absent>"


@dataclass(frozen=True, slots=True)
class Step:
    """One request and what its answer must show.

    status: the HTTP code. reason: of a refusal. shows: by dotted path into the answer, the value, or ABSENT.
    rv: `new` or `same`, beside the resourceVersion last answered. message: a part of a refusal's message.
    causes: the (reason, field) pairs of a 422.
    """

    method: str
    path: str
    body: Any = None
    status: int = 200
    reason: str = ""
    content_type: str = JSON
    query: Mapping[str, str] = field(default_factory=dict)
    shows: Mapping[str, Any] = field(default_factory=dict)
    rv: str = ""
    message: str = ""
    causes: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """A watch on a collection from some version on; what it has to say, as (type, name) pairs, up to the present."""

    path: str
    events: Sequence[tuple[str, str]]
    query: Mapping[str, str] = field(default_factory=dict)


Script = Sequence[Step | Look]

RS: Final = "/apis/apps/v1/namespaces/$ns/replicasets"
SVC: Final = "/api/v1/namespaces/$ns/services"
CM: Final = "/api/v1/namespaces/$ns/configmaps"
VS: Final = "/apis/networking.istio.io/v1/namespaces/$ns/virtualservices"
RO: Final = "/apis/argoproj.io/v1alpha1/namespaces/$ns/rollouts"
AR: Final = "/apis/argoproj.io/v1alpha1/namespaces/$ns/analysisruns"
AT: Final = "/apis/argoproj.io/v1alpha1/namespaces/$ns/analysistemplates"
LEASE: Final = "/apis/coordination.k8s.io/v1/namespaces/$ns/leases"


def replicaset(name: str = "web", replicas: int = 0, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": name, **metadata},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web", "rollouts-pod-template-hash": "abc"}},
                "spec": {"containers": [{"name": "web", "image": "shop/web:1", "ports": [{"containerPort": 80}]}]},
            },
        },
    }


def service(name: str = "web", **metadata: Any) -> dict[str, Any]:
    spec = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, **metadata}, "spec": spec}


def config_map(name: str = "web", data: str = "1", **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": {"n": data}}


def virtual_service(name: str = "web", weight: int = 100) -> dict[str, Any]:
    route = [
        {"destination": {"host": "web", "subset": "stable"}, "weight": weight},
        {"destination": {"host": "web", "subset": "canary"}, "weight": 100 - weight},
    ]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name},
        "spec": {"hosts": ["web.example.com"], "http": [{"name": "primary", "route": route}]},
    }


def rollout(name: str = "web") -> dict[str, Any]:
    spec = replicaset()["spec"] | {"strategy": {"canary": {"steps": [{"setWeight": 20}]}}}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": name}, "spec": spec}


def analysis(kind: str, name: str = "check") -> dict[str, Any]:
    metric = {"name": "up", "provider": {"prometheus": {"address": "http://prometheus", "query": "up"}}}
    spec = {"metrics": [metric]}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def merge(path: str, body: Any, **expect: Any) -> Step:
    return Step("PATCH", path, body, content_type=MERGE_PATCH, **expect)


def patch(path: str, *operations: Mapping[str, Any], **expect: Any) -> Step:
    return Step("PATCH", path, list(operations), content_type=JSON_PATCH, **expect)


def create(path: str, body: Any, **expect: Any) -> Step:
    return Step("POST", path, body, **({"status": 201} | expect))


def test(path: str, value: Any) -> dict[str, Any]:
    return {"op": "test", "path": path, "value": value}


def replace(path: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": path, "value": value}


ONLY: Final = {"name": "only", "route": [{"destination": {"host": "web"}}]}
WEIGHT: Final = "/spec/http/0/route/0/weight"

SCRIPTS: Final[Mapping[str, Script]] = {
    "what is not there": [
        Step("GET", f"{RS}/web", status=404, reason="NotFound", message='replicasets.apps "web" not found'),
        merge(f"{RS}/web", {"spec": {"replicas": 1}}, status=404, reason="NotFound"),
        Step("DELETE", f"{SVC}/web", status=404, reason="NotFound", message='services "web" not found'),
        Step("GET", f"{VS}/web", status=404, reason="NotFound", shows={"details.group": "networking.istio.io"}),
        Step("GET", "/apis/apps/v1/namespaces/$ns/nonsense", status=404),
        create("/apis/apps/v1/namespaces/no-such/replicasets", replicaset(), status=404, reason="NotFound"),
    ],
    "create": [
        create(
            RS,
            replicaset(labels={"app": "web"}),
            shows={"metadata.generation": 1, "metadata.labels": {"app": "web"}, "status": {"replicas": 0}},
        ),
        create(RS, replicaset(), status=409, reason="AlreadyExists", message='replicasets.apps "web" already exists'),
        create(RS, replicaset(namespace="elsewhere"), status=400, reason="BadRequest"),
        create(RS, service(), status=400, reason="BadRequest"),
        create(CM, config_map("with-version", resourceVersion="5"), status=500),
        create(CM, config_map(""), status=422, reason="Invalid", causes=[("FieldValueRequired", "metadata.name")]),
        create(
            CM, config_map("Not_A_Name"), status=422, reason="Invalid", causes=[("FieldValueInvalid", "metadata.name")]
        ),
        create(SVC, service("9lives"), shows={"metadata.name": "9lives"}),
        create(CM, config_map(generation=7), shows={"metadata.generation": 7}),
        create(RS, replicaset("numbered", generation=7), shows={"metadata.generation": 1}),
    ],
    "names from generateName": [
        create(CM, config_map("", generateName="run-"), shows={"metadata.generateName": "run-"}),
        create(CM, config_map("", generateName="run-"), rv="new"),
    ],
    "defaults of a ReplicaSet": [
        create(
            RS,
            replicaset(),
            shows={
                "spec.template.spec.restartPolicy": "Always",
                "spec.template.spec.terminationGracePeriodSeconds": 30,
                "spec.template.spec.containers.0.imagePullPolicy": "IfNotPresent",
                "spec.template.spec.containers.0.ports.0.protocol": "TCP",
                "spec.template.spec.containers.0.resources": {},
                "spec.minReadySeconds": ABSENT,
            },
        ),
        merge(f"{RS}/web", {"spec": {"replicas": None}}, shows={"spec.replicas": 1}, rv="new"),
    ],
    "defaults of a Service": [
        create(
            SVC,
            service(),
            shows={
                "spec.type": "ClusterIP",
                "spec.sessionAffinity": "None",
                "spec.ports.0.targetPort": 80,
                "spec.ports.0.protocol": "TCP",
                "spec.internalTrafficPolicy": "Cluster",
                "status": {"loadBalancer": {}},
                "metadata.generation": ABSENT,
            },
        ),
        merge(f"{SVC}/web", {"spec": {"selector": {"hash": "abc"}}}, shows={"metadata.generation": ABSENT}, rv="new"),
        Step("GET", f"{SVC}/web", shows={"spec.selector": {"app": "web", "hash": "abc"}}, rv="same"),
    ],
    "the selector of a ReplicaSet": [
        create(
            RS,
            replicaset() | {"spec": replicaset()["spec"] | {"selector": {"matchLabels": {"app": "other"}}}},
            status=422,
            reason="Invalid",
            causes=[("FieldValueInvalid", "spec.template.metadata.labels")],
        ),
        create(RS, replicaset()),
        merge(
            f"{RS}/web",
            {"spec": {"selector": {"matchLabels": {"rollouts-pod-template-hash": "abc"}}}},
            status=422,
            reason="Invalid",
            causes=[("FieldValueInvalid", "spec.selector")],
            message='ReplicaSet.apps "web" is invalid: spec.selector: Invalid value',
        ),
        merge(f"{RS}/web", {"spec": {"replicas": -1}}, status=422, causes=[("FieldValueInvalid", "spec.replicas")]),
    ],
    "generation counts the spec": [
        create(RS, replicaset()),
        merge(f"{RS}/web", {"metadata": {"labels": {"a": "b"}}}, shows={"metadata.generation": 1}, rv="new"),
        merge(f"{RS}/web", {"metadata": {"annotations": {"a": "b"}}}, shows={"metadata.generation": 1}, rv="new"),
        merge(f"{RS}/web", {"spec": {"minReadySeconds": 5}}, shows={"metadata.generation": 2}, rv="new"),
        merge(f"{RS}/web/status", {"status": {"replicas": 3}}, shows={"metadata.generation": 2}, rv="new"),
        merge(f"{RS}/web", {"metadata": {"generation": 9}}, shows={"metadata.generation": 2}, rv="same"),
    ],
    "generation of a custom kind": [
        create(VS, virtual_service(), shows={"metadata.generation": 1}),
        patch(f"{VS}/web", replace(WEIGHT, 90), shows={"metadata.generation": 2}, rv="new"),
        merge(f"{VS}/web", {"metadata": {"labels": {"a": "b"}}}, shows={"metadata.generation": 2}, rv="new"),
        create(RO, rollout(), shows={"metadata.generation": 1}),
        merge(f"{RO}/web/status", {"status": {"phase": "Paused"}}, shows={"metadata.generation": 1}, rv="new"),
        merge(f"{RO}/web", {"spec": {"paused": True}}, shows={"metadata.generation": 2}, rv="new"),
        create(AT, analysis("AnalysisTemplate"), shows={"metadata.generation": 1}),
        create(AR, analysis("AnalysisRun"), shows={"metadata.generation": 1}),
        merge(f"{AR}/check/status", {"status": {"phase": "Running"}}, status=404, reason="NotFound"),
        merge(f"{AR}/check", {"status": {"phase": "Running"}}, shows={"metadata.generation": 2}, rv="new"),
    ],
    "a write that changes nothing": [
        create(RS, replicaset(labels={"a": "b"})),
        merge(f"{RS}/web", {"spec": {"replicas": 0}, "metadata": {"labels": {"a": "b"}}}, rv="same"),
        patch(f"{RS}/web", test("/spec/replicas", 0), replace("/spec/replicas", 0), rv="same"),
        merge(f"{RS}/web", {"metadata": {"labels": {"none": None}}}, rv="same"),
        create(VS, virtual_service()),
        patch(f"{VS}/web", replace(WEIGHT, 100), shows={"metadata.generation": 1}, rv="same"),
        create(RO, rollout()),
        merge(f"{RO}/web/status", {"status": {"phase": "Healthy"}}, rv="new"),
        merge(f"{RO}/web/status", {"status": {"phase": "Healthy"}}, rv="same"),
    ],
    "status and spec apart, built-in": [
        create(RS, replicaset() | {"status": {"replicas": 7}}, shows={"status": {"replicas": 0}}),
        merge(f"{RS}/web", {"status": {"replicas": 5}}, shows={"status": {"replicas": 0}}, rv="same"),
        merge(
            f"{RS}/web/status",
            {"status": {"replicas": 2, "readyReplicas": 1}, "spec": {"replicas": 9}},
            shows={"status.replicas": 2, "status.readyReplicas": 1, "spec.replicas": 0},
            rv="new",
        ),
        Step("GET", f"{RS}/web/status", shows={"status.replicas": 2}, rv="same"),
    ],
    "status and spec apart, custom": [
        create(RO, rollout() | {"status": {"phase": "Healthy"}}, shows={"status": ABSENT}),
        merge(f"{RO}/web", {"status": {"phase": "Healthy"}}, shows={"status": ABSENT}, rv="same"),
        merge(
            f"{RO}/web/status",
            {"status": {"phase": "Paused"}, "spec": {"paused": True}, "metadata": {"labels": {"a": "b"}}},
            shows={"status": {"phase": "Paused"}, "spec.paused": ABSENT, "metadata.labels": ABSENT},
            rv="new",
        ),
        Step("PATCH", f"{AT}/check/status", {}, status=404, content_type=MERGE_PATCH),
    ],
    "a stale resourceVersion": [
        create(RS, replicaset()),
        merge(f"{RS}/web", {"spec": {"minReadySeconds": 1}}, rv="new"),
        merge(
            f"{RS}/web",
            {"metadata": {"resourceVersion": "$old_rv"}, "spec": {"minReadySeconds": 2}},
            status=409,
            reason="Conflict",
            message='Operation cannot be fulfilled on replicasets.apps "web": the object has been modified',
        ),
        merge(f"{RS}/web", {"metadata": {"resourceVersion": "$rv"}, "spec": {"minReadySeconds": 2}}, rv="new"),
        merge(
            f"{RS}/web/status",
            {"metadata": {"resourceVersion": "$old_rv"}, "status": {"replicas": 1}},
            status=409,
            reason="Conflict",
        ),
        patch(f"{RS}/web", replace("/metadata/resourceVersion", "$old_rv"), status=409, reason="Conflict"),
        Step("PUT", f"{RS}/web", replicaset(resourceVersion="$old_rv"), status=409, reason="Conflict"),
        Step("PUT", f"{RS}/web", replicaset(), shows={"spec.minReadySeconds": ABSENT}, rv="new"),
    ],
    "a stale resourceVersion, custom": [
        create(RO, rollout()),
        merge(f"{RO}/web/status", {"status": {"phase": "Healthy"}}, rv="new"),
        merge(
            f"{RO}/web/status",
            {"metadata": {"resourceVersion": "$old_rv"}, "status": {"phase": "Paused"}},
            status=409,
            reason="Conflict",
        ),
        merge(
            f"{RO}/web/status",
            {"metadata": {"resourceVersion": "$rv"}, "status": {"phase": "Paused"}},
            shows={"status.phase": "Paused"},
            rv="new",
        ),
        Step(
            "PUT",
            f"{RO}/web",
            rollout(),
            status=422,
            reason="Invalid",
            causes=[("FieldValueInvalid", "metadata.resourceVersion")],
        ),
        patch(
            f"{RO}/web/status",
            test("/metadata/resourceVersion", "$rv"),
            {"op": "add", "path": "/status/message", "value": "hello"},
            shows={"status": {"phase": "Paused", "message": "hello"}},
            rv="new",
        ),
    ],
    "the uid as a precondition": [
        create(RS, replicaset()),
        merge(f"{RS}/web", {"metadata": {"uid": "$uid"}, "spec": {"minReadySeconds": 1}}, rv="new"),
        merge(
            f"{RS}/web",
            {"metadata": {"uid": "another"}, "spec": {"minReadySeconds": 2}},
            status=422,
            reason="Invalid",
            causes=[("FieldValueInvalid", "metadata.uid")],
        ),
        patch(f"{RS}/web", replace("/metadata/uid", "another"), status=422, reason="Invalid"),
        merge(f"{RS}/web/status", {"metadata": {"uid": "another"}, "status": {"replicas": 1}}, status=422),
        create(RO, rollout()),
        # The status of a custom kind takes all metadata from the stored object: a wrong uid goes unnoticed.
        merge(f"{RO}/web/status", {"metadata": {"uid": "another"}, "status": {"phase": "Healthy"}}, rv="new"),
        merge(f"{RO}/web", {"metadata": {"uid": "another"}}, status=422, reason="Invalid"),
        merge(f"{RO}/web/status", {"metadata": {"uid": "$uid"}, "status": {"phase": "Paused"}}, rv="new"),
        Step("PUT", f"{RS}/web", replicaset(uid="another"), status=409, reason="Conflict"),
    ],
    "a JSON patch and its tests": [
        create(VS, virtual_service(), shows={"metadata.generation": 1}),
        patch(f"{VS}/web", test(WEIGHT, 90), replace(WEIGHT, 50), status=422, reason="Invalid"),
        Step("GET", f"{VS}/web", shows={"spec.http.0.route.0.weight": 100}, rv="same"),
        patch(f"{VS}/web", test(WEIGHT, 100), replace(WEIGHT, 50), shows={"spec.http.0.route.0.weight": 50}, rv="new"),
        patch(f"{VS}/web", test("/metadata/uid", "another"), replace(WEIGHT, 10), status=422, reason="Invalid"),
        patch(f"{VS}/web", test("/spec/http/7/name", "x"), status=422, reason="Invalid"),
        patch(f"{VS}/web", test("/spec/none", None), rv="same"),
        patch(f"{VS}/web", replace("/spec/http/0/timeout", "5s"), shows={"spec.http.0.timeout": "5s"}, rv="new"),
        patch(f"{VS}/web", replace("/spec/none/timeout", "5s"), status=422, reason="Invalid"),
        patch(f"{VS}/web", replace("/spec/http/1", {}), status=422, reason="Invalid"),
        patch(f"{VS}/web", {"op": "remove", "path": "/spec/none"}, status=422, reason="Invalid"),
        patch(f"{VS}/web", {"op": "add", "path": "/spec/http/-/x/y", "value": 1}, status=422, reason="Invalid"),
        patch(
            f"{VS}/web", {"op": "add", "path": "/metadata/annotations/a", "value": "b"}, status=422, reason="Invalid"
        ),
        patch(
            f"{VS}/web",
            {"op": "add", "path": "/metadata/annotations", "value": {"x/y": "b"}},
            shows={"metadata.annotations": {"x/y": "b"}},
            rv="new",
        ),
        patch(
            f"{VS}/web", {"op": "remove", "path": "/metadata/annotations/x~1y"}, shows={"metadata.annotations": ABSENT}
        ),
        patch(
            f"{VS}/web",
            {
                "op": "add",
                "path": "/spec/http/0",
                "value": {"name": "testers", "route": [{"destination": {"host": "web"}}]},
            },
            shows={"spec.http.0.name": "testers", "spec.http.1.name": "primary"},
            rv="new",
        ),
        Step("PATCH", f"{VS}/web", {"op": "add"}, status=400, reason="BadRequest", content_type=JSON_PATCH),
    ],
    "a merge patch and its nulls": [
        create(RS, replicaset(annotations={"a": "1", "b": "2"})),
        merge(
            f"{RS}/web",
            {"metadata": {"annotations": {"a": None}}},
            shows={"metadata.annotations": {"b": "2"}},
            rv="new",
        ),
        merge(f"{RS}/web", {"metadata": {"annotations": None}}, shows={"metadata.annotations": ABSENT}, rv="new"),
        create(VS, virtual_service()),
        merge(
            f"{VS}/web",
            {"spec": {"http": [ONLY], "gateways": None}},
            shows={"spec.http": [ONLY]},
            rv="new",
        ),
        Step("PATCH", f"{RS}/web", [1], status=400, reason="BadRequest", content_type=MERGE_PATCH),
        Step("PATCH", f"{RS}/web", {}, status=415, reason="UnsupportedMediaType", content_type="application/json"),
    ],
    "what can't be changed": [
        create(CM, config_map()),
        merge(f"{CM}/web", {"metadata": {"name": "other"}}, status=400, reason="BadRequest"),
        merge(f"{CM}/web", {"metadata": {"namespace": "other"}}, status=400, reason="BadRequest"),
        merge(f"{CM}/web", {"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z"}}, rv="same"),
        merge(f"{CM}/web", {"metadata": {"deletionTimestamp": "2001-01-01T00:00:00Z"}}, status=422, reason="Invalid"),
    ],
    "delete": [
        create(RS, replicaset()),
        Step(
            "DELETE",
            f"{RS}/web",
            {"preconditions": {"uid": "another"}},
            status=409,
            reason="Conflict",
            message='Operation cannot be fulfilled on ReplicaSet.apps "web": the UID in the precondition (another)',
        ),
        Step("DELETE", f"{RS}/web", {"preconditions": {"resourceVersion": "1"}}, status=409, reason="Conflict"),
        Step(
            "DELETE",
            f"{RS}/web",
            {"preconditions": {"uid": "$uid"}, "propagationPolicy": "Background"},
            shows={"kind": "Status", "status": "Success", "details.name": "web", "details.uid": "$uid"},
        ),
        Step("DELETE", f"{RS}/web", status=404, reason="NotFound"),
        create(RS, replicaset(), rv="new", shows={"metadata.generation": 1}),
    ],
    "delete with a finalizer": [
        create(RS, replicaset(finalizers=["tidegate.dev/test"])),
        Step(
            "DELETE",
            f"{RS}/web",
            shows={"kind": "ReplicaSet", "metadata.generation": 2, "metadata.deletionGracePeriodSeconds": 0},
            rv="new",
        ),
        Step("DELETE", f"{RS}/web", rv="same"),
        create(RS, replicaset(), status=409, reason="AlreadyExists"),
        merge(f"{RS}/web", {"metadata": {"finalizers": None}}, shows={"metadata.finalizers": ABSENT}),
        Step("GET", f"{RS}/web", status=404, reason="NotFound"),
    ],
    "delete in the foreground": [
        create(RS, replicaset()),
        Step(
            "DELETE",
            f"{RS}/web",
            {"propagationPolicy": "Foreground"},
            shows={"kind": "ReplicaSet", "metadata.finalizers": ["foregroundDeletion"]},
            rv="new",
        ),
        merge(f"{RS}/web", {"metadata": {"finalizers": []}}),
        Step("GET", f"{RS}/web", status=404),
    ],
    "a dry run": [
        create(CM, config_map(), query={"dryRun": "All"}, shows={"data.n": "1"}),
        Step("GET", f"{CM}/web", status=404),
        create(CM, config_map(), rv="new"),
        merge(f"{CM}/web", {"data": {"n": "2"}}, query={"dryRun": "All"}, shows={"data.n": "2"}, rv="same"),
        Step("GET", f"{CM}/web", shows={"data.n": "1"}, rv="same"),
        Step("DELETE", f"{CM}/web", query={"dryRun": "All"}),
        Step("GET", f"{CM}/web", rv="same"),
    ],
    "lists and selectors": [
        create(CM, config_map("a", labels={"app": "web", "tier": "front"})),
        create(CM, config_map("b", labels={"app": "web"})),
        create(CM, config_map("c", labels={"app": "shop"})),
        *(
            Step("GET", CM, query={"labelSelector": selector}, shows={"items.*.metadata.name": names})
            for selector, names in (
                ("app=web", ["a", "b"]),
                ("app==web,tier", ["a"]),
                ("app=web,!tier", ["b"]),
                ("app!=web,app", ["c"]),
                ("app in (web, shop),tier notin (front)", ["b", "c"]),
            )
        ),
        Step("GET", CM, query={"labelSelector": "a b c"}, status=400, reason="BadRequest"),
        Step("GET", CM, query={"fieldSelector": "metadata.name=b"}, shows={"items.*.metadata.name": ["b"]}),
        Step("GET", CM, query={"fieldSelector": "data.n=1"}, status=400, reason="BadRequest"),
        Step("GET", CM, query={"labelSelector": "app"}, shows={"kind": "ConfigMapList", "items.0.kind": ABSENT}),
        create(VS, virtual_service()),
        Step("GET", VS, shows={"kind": "VirtualServiceList", "items.0.kind": "VirtualService"}),
    ],
    "a list in pages": [
        *(create(RS, replicaset(name, labels={"app": "web"})) for name in "abcd"),
        Step(
            "GET",
            RS,
            query={"limit": "2"},
            shows={"items.*.metadata.name": ["a", "b"], "metadata.remainingItemCount": 2},
        ),
        Step("DELETE", f"{RS}/c"),
        create(RS, replicaset("cc")),
        # All pages are of the moment of the first.
        Step(
            "GET",
            RS,
            query={"limit": "2", "continue": "$continue"},
            shows={"items.*.metadata.name": ["c", "d"], "metadata.continue": ABSENT},
        ),
        Step(
            "GET",
            RS,
            query={"limit": "1", "labelSelector": "app"},
            shows={"items.*.metadata.name": ["a"], "metadata.remainingItemCount": ABSENT},
        ),
    ],
    "a Lease wants a version": [
        create(
            LEASE,
            {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": "l"},
                "spec": {"holderIdentity": "a"},
            },
            shows={"metadata.generation": ABSENT},
        ),
        Step(
            "PUT",
            f"{LEASE}/l",
            {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {}},
            status=422,
            reason="Invalid",
        ),
    ],
    "a watch from a version": [
        create(CM, config_map("a")),
        create(CM, config_map("b", labels={"app": "web"})),
        merge(f"{CM}/a", {"data": {"n": "2"}}),
        merge(f"{CM}/a", {"data": {"n": "2"}}),
        Step("DELETE", f"{CM}/b"),
        Look(CM, [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")], {"resourceVersion": "$old_rv"}),
        Look(CM, [("ADDED", "b"), ("DELETED", "b")], {"resourceVersion": "$old_rv", "labelSelector": "app=web"}),
        Look(CM, [("ADDED", "a")], {"fieldSelector": "metadata.name=a"}),
        Look(CM, [("ADDED", "a")], {"resourceVersion": "0", "fieldSelector": "metadata.name=a"}),
    ],
    "a watch of what enters and leaves a selection": [
        create(CM, config_map("a")),
        merge(f"{CM}/a", {"metadata": {"labels": {"app": "web"}}}),
        merge(f"{CM}/a", {"data": {"n": "2"}}),
        merge(f"{CM}/a", {"metadata": {"labels": {"app": "shop"}}}),
        Look(
            CM,
            [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")],
            {"resourceVersion": "$old_rv", "labelSelector": "app=web"},
        ),
    ],
}
