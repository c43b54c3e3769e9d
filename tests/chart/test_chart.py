"""The Helm chart: what it renders, what the API server takes, and that the operator lives under its roles."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import manifests as m
from lab.client import ApiError, wait_for
from lab.cluster import Lab, LabError
from lab.paths import REPOSITORY
from tests.oracles import definitions
from tidegate import __version__
from tidegate.cluster.resources import RESOURCES, resource_of
from tidegate.engine.kinds import WATCHED_BY_INFORMERS, WATCHED_BY_SHELL
from tidegate.engine.review import KINDS
from tidegate.engine.workloads import WATCHED_ON_DEMAND
from tidegate.observe.notify.settings import CONFIG_MAP, SECRET
from tidegate.shell.settings import Settings, read_settings

pytestmark = pytest.mark.lab

CHART = str(REPOSITORY / "charts" / "tidegate")
Obj = dict[str, Any]
Right = tuple[str, str, str]


def render(lab: Lab, *values: str) -> list[Obj]:
    sets = [part for value in values for part in ("--set", value)]
    text = lab.helm("template", "tidegate", CHART, "--namespace", "ops", *sets)
    return [obj for obj in yaml.safe_load_all(text) if obj]


def one(objects: list[Obj], kind: str, name: str = "") -> Obj:
    (found,) = [obj for obj in objects if obj["kind"] == kind and name in ("", obj["metadata"]["name"])]
    return found


def rights(role: Obj) -> set[Right]:
    """Each (API group, resource, verb) of a role."""
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def arguments(objects: list[Obj]) -> list[str]:
    command, *flags = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]
    assert command == "run"
    return flags


def test_the_chart_passes_helms_strict_lint(lab: Lab) -> None:
    assert "0 chart(s) failed" in lab.helm("lint", "--strict", CHART)


def test_the_chart_is_of_the_operators_version() -> None:
    chart = yaml.safe_load(Path(CHART, "Chart.yaml").read_text())

    assert chart["version"] == chart["appVersion"] == __version__


def test_the_operator_understands_the_charts_flags(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_NAME", "tidegate-0")
    monkeypatch.setenv("POD_NAMESPACE", "ops")

    wide = read_settings(arguments(render(lab)))
    one = read_settings(arguments(render(lab, "instanceId=team-a")))
    narrow = read_settings(
        arguments(render(lab, "namespaced=true", "prometheus=http://p:9090", "log.format=console", "log.level=debug"))
    )

    told = read_settings(arguments(render(lab, "metrics.teamLabel=squad", "traces=http://otel:4318/v1/traces")))

    assert (told.team_label, told.traces) == ("squad", "http://otel:4318/v1/traces")
    assert wide == Settings(identity="tidegate-0", lease_namespace="ops")
    assert one == Settings(
        identity="tidegate-0",
        lease_namespace="ops",
        instance_id="team-a",
        lease_name="tidegate-controller-lock-team-a",
        argo_lease_name="argo-rollouts-controller-lock-team-a",
    )
    assert narrow == Settings(
        identity="tidegate-0",
        lease_namespace="ops",
        namespace="ops",
        prometheus="http://p:9090",
        log_format="console",
        log_level="debug",
    )


def test_comparisons_are_there_for_those_who_want_them(lab: Lab) -> None:
    def names(*values: str) -> list[str]:
        return [o["metadata"]["name"] for o in render(lab, *values) if o["kind"] == "ClusterAnalysisTemplate"]

    assert names() == []
    assert "compare-http-errors" in (wanted := names("analysisTemplates=true")) and len(wanted) == 8


@pytest.mark.parametrize("namespaced", [False, True])
def test_the_page_brings_a_service_and_two_rights_and_is_off_by_default(lab: Lab, namespaced: bool) -> None:
    limited = f"namespaced={json.dumps(namespaced)}"
    name = "tidegate-ops" if namespaced else "tidegate"
    off, on = render(lab, limited), render(lab, limited, "page.enabled=true")

    added = rights(one(on, "ClusterRole", name)) - rights(one(off, "ClusterRole", name))
    assert added == {
        ("authentication.k8s.io", "tokenreviews", "create"),
        ("authorization.k8s.io", "subjectaccessreviews", "create"),
    }
    assert rights(one(on, "Role")) == rights(one(off, "Role"))
    new = {(obj["kind"], obj["metadata"]["name"]) for obj in on} - {
        (obj["kind"], obj["metadata"]["name"]) for obj in off
    }
    assert new == {("Service", "tidegate-page")}
    assert read_settings(arguments(off)).page_port == 0
    assert read_settings(arguments(on)).page_port == 8081


@pytest.mark.parametrize("namespaced", [False, True])
def test_the_roles_name_every_watched_kind_and_no_other(lab: Lab, namespaced: bool) -> None:
    objects = render(lab, f"namespaced={json.dumps(namespaced)}")
    name = "tidegate-ops" if namespaced else "tidegate"
    granted = rights(one(objects, "ClusterRole", name)) | rights(one(objects, "Role"))

    watched = {*WATCHED_BY_SHELL, *WATCHED_BY_INFORMERS, *WATCHED_ON_DEMAND}
    needed = {(resource_of(kind).group, resource_of(kind).plural) for kind in (*watched, "Lease")}
    known = {(resource.group, resource.plural) for resource in RESOURCES.values()}

    assert {(group, kind) for group, kind, verb in granted if verb == "watch"} == needed
    assert {(group, kind.partition("/")[0]) for group, kind, _ in granted} <= known
    assert {verb for _, _, verb in granted} <= {"get", "list", "watch", "create", "patch", "delete", "update"}
    owners = ("rollouts/finalizers", "experiments/finalizers")
    assert {right for right in granted if right[2] == "update"} == {("argoproj.io", kind, "update") for kind in owners}


BEYOND = {
    # Templates of the cluster have no namespace.
    ("argoproj.io", "clusteranalysistemplates", "list", ""),
    ("argoproj.io", "clusteranalysistemplates", "watch", ""),
    # Argo Rollouts may be at work from any namespace.
    ("coordination.k8s.io", "leases", "get", "argo-rollouts-controller-lock"),
    ("coordination.k8s.io", "leases", "list", "argo-rollouts-controller-lock"),
    ("coordination.k8s.io", "leases", "watch", "argo-rollouts-controller-lock"),
    # Who somebody is and what they may can only be asked of the cluster.
    ("authentication.k8s.io", "tokenreviews", "create", ""),
    ("authorization.k8s.io", "subjectaccessreviews", "create", ""),
}
"""What a release has everywhere although it looks after one namespace: group, resource, verb, name of an object."""


@pytest.mark.parametrize(
    "values",
    [
        (),
        ("page.enabled=true", "webhook.enabled=true"),
        ("secrets={datadog,web-token}", "instanceId=team-a"),
        ("secrets=null", "notifications=false", "argoRollouts.heed=false"),
    ],
)
def test_a_namespaced_release_has_the_rights_of_a_wide_one_in_its_namespace(lab: Lab, values: tuple[str, ...]) -> None:
    """So a right that it does not use is one that `tests/test_zz_rights.py` finds in the wide form."""

    def granted(namespaced: bool) -> tuple[set[tuple[str, ...]], set[tuple[str, ...]]]:
        """In the whole cluster, and in the release's namespace."""
        found: dict[str, set[tuple[str, ...]]] = {"ClusterRoleBinding": set(), "RoleBinding": set()}
        objects = render(lab, f"namespaced={json.dumps(namespaced)}", "rbac.aggregate=false", *values)
        for binding in objects:
            if binding["kind"] in found:
                assert binding["metadata"].get("namespace", "ops") == "ops"
                role = one(objects, binding["roleRef"]["kind"], binding["roleRef"]["name"])
                for rule in role["rules"]:
                    named = rule.get("resourceNames", [""])
                    found[binding["kind"]] |= {(*right, name) for right in rights({"rules": [rule]}) for name in named}
        return found["ClusterRoleBinding"], found["RoleBinding"]

    wide_everywhere, wide_here = granted(namespaced=False)
    everywhere, here = granted(namespaced=True)

    beyond = {(group, kind, verb, name.removesuffix("-team-a")) for group, kind, verb, name in everywhere}
    assert beyond <= BEYOND
    assert everywhere < wide_everywhere
    assert here == wide_here | (wide_everywhere - everywhere)


@pytest.mark.parametrize(
    ("value", "names"),
    [(None, [None]), ("secrets={datadog,web-token}", [["datadog", "web-token"]]), ("secrets=null", [])],
)
def test_secrets_may_only_be_got_and_only_those_that_are_named(
    lab: Lab, value: str | None, names: list[list[str] | None]
) -> None:
    for namespaced in ("true", "false"):
        objects = render(lab, f"namespaced={namespaced}", "notifications=false", *([value] if value else []))
        rules = [
            rule
            for obj in objects
            if obj["kind"] in ("ClusterRole", "Role") and obj["metadata"]["name"].startswith("tidegate")
            for rule in obj["rules"]
            if "secrets" in rule["resources"]
        ]

        assert [rule.get("resourceNames") for rule in rules] == names
        assert all(rule["verbs"] == ["get"] for rule in rules)


def test_what_notifications_are_set_up_with_may_be_got_by_its_two_names_in_the_releases_namespace(lab: Lab) -> None:
    plain, with_them = (render(lab, "secrets=null", f"notifications={told}") for told in ("false", "true"))
    added = [rule for rule in one(with_them, "Role")["rules"] if rule not in one(plain, "Role")["rules"]]

    assert [(rule["resources"], rule["resourceNames"], rule["verbs"]) for rule in added] == [
        (["configmaps"], [CONFIG_MAP], ["get"]),
        (["secrets"], [SECRET], ["get"]),
    ]
    assert one(with_them, "ClusterRole", "tidegate") == one(plain, "ClusterRole", "tidegate")


@pytest.mark.parametrize(
    ("values", "lease", "heeds"),
    [
        ((), "argo-rollouts-controller-lock", True),
        (("argoRollouts.leaseName=blue",), "blue", True),
        (("argoRollouts.heed=false",), "", False),
    ],
)
def test_only_the_lease_that_is_heeded_may_be_read(lab: Lab, values: tuple[str, ...], lease: str, heeds: bool) -> None:
    objects = render(lab, *values)
    settings = read_settings(arguments(objects))
    rules = [rule for rule in one(objects, "ClusterRole", "tidegate")["rules"] if rule["resources"] == ["leases"]]

    assert [rule["resourceNames"] for rule in rules] == ([[lease]] if lease else [])
    assert settings.heed_argo is heeds
    assert settings.argo_lease_name == (lease or "argo-rollouts-controller-lock")


def test_a_disruption_budget_never_holds_a_lone_replica_in_place(lab: Lab) -> None:
    assert any(obj["kind"] == "PodDisruptionBudget" for obj in render(lab))
    assert not any(obj["kind"] == "PodDisruptionBudget" for obj in render(lab, "replicas=1"))


@pytest.mark.parametrize(
    "value",
    [
        "replica=3",
        "log.format=xml",
        "prometheus=p:9090",
        "image.repository=",
        "image.digest=latest",
        "rbac.creat=true",
        "webhook.failurePolicy=Maybe",
        "webhook.url=http://plain/validate",
        "serviceMonitor.interval=often",
        "extraArgs[0]=run",
        "page.port=8080",
        "page.hosts[0]=https://page.example.com",
    ],
)
def test_a_value_that_means_nothing_is_refused(lab: Lab, value: str) -> None:
    with pytest.raises(LabError, match="schema"):
        render(lab, value)


def test_every_value_is_read_by_a_template_and_stands_in_the_schema() -> None:
    """A wrong chart has a value that does nothing, because no template reads it any more."""
    templates = [path.read_text() for path in (Path(CHART) / "templates").iterdir()]

    def is_read(path: str) -> bool:
        parts = path.split(".")
        # As it is, or as a part of what a template has taken out of the values first.
        taken = [(".".join(parts[:at]), ".".join(parts[at:])) for at in range(1, len(parts))]
        return any(
            re.search(rf"\.Values\.{path}\b", text)
            or any(re.search(rf"(with|:=) \.Values\.{whole}\b.*\.{part}\b", text, re.S) for whole, part in taken)
            for text in templates
        )

    def unread(values: Obj, schema: Obj, before: str = "") -> Iterator[str]:
        known = schema["properties"]
        assert set(values) == set(known) - {"global"}, f"{before} has other values than the schema"
        for name, value in values.items():
            if "properties" in known[name]:
                yield from unread(value, known[name], f"{before}{name}.")
            elif not is_read(f"{before}{name}"):
                yield f"{before}{name}"

    schema = json.loads(Path(CHART, "values.schema.json").read_text())
    assert list(unread(yaml.safe_load(Path(CHART, "values.yaml").read_text()), schema)) == []


TERM = "requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0]"
EVERYTHING = (
    "webhook.enabled=true",
    "networkPolicy.enabled=true",
    "networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.team=watchers",
    "networkPolicy.egress[0].ports[0].port=443",
    "serviceMonitor.enabled=true",
    "serviceMonitor.labels.release=prometheus",
    "serviceMonitor.scrapeTimeout=10s",
    "dashboards.enabled=true",
    "page.enabled=true",
    "page.hosts[0]=page.example.com",
    "page.hosts[1]=rollouts.example.com",
    "page.tokenHeader=x-forwarded-access-token",
    "page.anonymous=true",
    "image.digest=sha256:" + 64 * "0",
    "imagePullSecrets[0].name=registry",
    "podLabels.team=platform",
    "podAnnotations.note=yes",
    "nodeSelector.disk=ssd",
    "tolerations[0].key=dedicated",
    f"affinity.nodeAffinity.{TERM}.key=disk",
    f"affinity.nodeAffinity.{TERM}.operator=Exists",
    "topologySpreadConstraints[0].maxSkew=1",
    "topologySpreadConstraints[0].topologyKey=zone",
    "topologySpreadConstraints[0].whenUnsatisfiable=DoNotSchedule",
    "priorityClassName=system-cluster-critical",
    "extraArgs[0]=--argo-lease-namespace=argo",
    "extraEnv[0].name=HTTPS_PROXY",
    "extraEnv[0].value=http://proxy:3128",
    "extraVolumes[0].name=authorities",
    "extraVolumes[0].configMap.name=authorities",
    "extraVolumeMounts[0].name=authorities",
    "extraVolumeMounts[0].mountPath=/etc/authorities",
)


def test_everything_at_once_is_lint_free_and_reaches_the_pods(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    sets = [part for value in EVERYTHING for part in ("--set", value)]
    assert "0 chart(s) failed" in lab.helm("lint", "--strict", CHART, *sets)

    objects = render(lab, *EVERYTHING)
    template = one(objects, "Deployment")["spec"]["template"]
    pod, (container,) = template["spec"], template["spec"]["containers"]
    assert container["image"].endswith("@sha256:" + 64 * "0")
    assert pod["imagePullSecrets"] == [{"name": "registry"}] and pod["priorityClassName"] == "system-cluster-critical"
    assert pod["nodeSelector"] == {"disk": "ssd"} and pod["tolerations"] == [{"key": "dedicated"}]
    assert [spread["topologyKey"] for spread in pod["topologySpreadConstraints"]] == ["zone"]
    assert "nodeAffinity" in pod["affinity"]
    assert template["metadata"]["labels"]["team"] == "platform" and template["metadata"]["annotations"]["note"]
    assert {"name": "HTTPS_PROXY", "value": "http://proxy:3128"} in container["env"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {"webhook", "authorities"}
    assert {volume["name"] for volume in pod["volumes"]} == {"webhook", "authorities"}
    settings = read_settings(arguments(objects))
    assert settings.argo_lease_namespace == "argo"
    assert (settings.webhook_certificates, settings.webhook_port) == ("/etc/tidegate/webhook", 8443)

    assert (settings.page_port, settings.page_hosts) == (8081, "page.example.com,rollouts.example.com")
    assert (settings.page_token_header, settings.page_anonymous) == ("x-forwarded-access-token", True)

    policy = one(objects, "NetworkPolicy")["spec"]
    ports = {port["name"] for port in container["ports"]}
    assert {rule["ports"][0]["port"] for rule in policy["ingress"]} == ports == {"http", "webhook", "page"}
    assert policy["policyTypes"] == ["Ingress", "Egress"] and policy["egress"] == [{"ports": [{"port": 443}]}]


def test_services_and_monitors_find_what_they_are_for(lab: Lab) -> None:
    objects = render(lab, *EVERYTHING)
    pods = one(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    services = [obj for obj in objects if obj["kind"] == "Service"]
    for service in services:
        assert service["spec"]["selector"].items() <= pods.items()
    monitor = one(objects, "ServiceMonitor")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    (found,) = (service for service in services if wanted <= service["metadata"]["labels"].items())
    assert monitor["spec"]["endpoints"][0]["port"] in {port["name"] for port in found["spec"]["ports"]}
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    for hook in one(objects, "ValidatingWebhookConfiguration")["webhooks"]:
        asked = hook["clientConfig"]["service"]
        assert one(objects, "Service", asked["name"])["spec"]["ports"][0]["targetPort"] == "webhook"


def test_a_server_takes_all_of_it_also_what_is_for_the_operators_of_others(lab: Lab, namespace: str) -> None:
    """Wrong programs: a chart with a field that cert-manager or the Prometheus operator does not know."""
    theirs = sorted(map(str, definitions().glob("*_*.yaml")))
    files = [part for path in theirs for part in ("-f", path)]
    lab.kubectl("apply", "--server-side", *files)
    lab.kubectl("wait", "--for=condition=Established", "--timeout=20s", *files)
    try:
        values = (*EVERYTHING, "webhook.certificate.certManager.enabled=true")
        sets = [part for value in values for part in ("--set", value)]
        path = lab.workdir / "everything.yaml"
        path.write_text(lab.helm("template", "tidegate", CHART, "--namespace", namespace, *sets))
        said = lab.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(path), "-n", namespace)
    finally:
        lab.kubectl("delete", *files)
    taken = {line.partition("/")[0] for line in said.splitlines()}
    assert {"certificate.cert-manager.io", "issuer.cert-manager.io", "servicemonitor.monitoring.coreos.com"} <= taken
    assert "networkpolicy.networking.k8s.io" in taken


@pytest.mark.parametrize(
    ("values", "selectors"),
    [
        ((), (None, {"operator": "DoesNotExist"})),
        (("namespaced=true",), ({"values": ["ops"]}, {"operator": "DoesNotExist"})),
        (("instanceId=a",), (None, {"operator": "In", "values": ["a"]})),
    ],
)
def test_reviews_are_asked_for_what_this_release_looks_after(
    lab: Lab, values: tuple[str, ...], selectors: tuple[Obj | None, Obj]
) -> None:
    hooks = one(render(lab, "webhook.enabled=true", *values), "ValidatingWebhookConfiguration")["webhooks"]
    assert {kind for hook in hooks for kind in hook["rules"][0]["resources"]} == {f"{kind.lower()}s" for kind in KINDS}
    for hook in hooks:
        assert hook["failurePolicy"] == "Ignore" and hook["clientConfig"]["caBundle"]
        places = hook.get("namespaceSelector", {}).get("matchExpressions")
        if hook["name"].startswith("cluster") or selectors[0] is None:
            assert places is None
        else:
            assert selectors[0].items() <= places[0].items()
        if hook["name"].startswith("rollouts"):
            assert selectors[1].items() <= hook["objectSelector"]["matchExpressions"][0].items()


def test_certificates_come_from_where_the_values_say(lab: Lab) -> None:
    managed = render(lab, "webhook.enabled=true", "webhook.certificate.certManager.enabled=true")
    certificate = one(managed, "Certificate")["spec"]
    pod = one(managed, "Deployment")["spec"]["template"]["spec"]
    assert certificate["secretName"] == pod["volumes"][0]["secret"]["secretName"]
    assert certificate["dnsNames"] == ["tidegate-webhook.ops.svc"]
    assert certificate["issuerRef"] == {"kind": "Issuer", "name": one(managed, "Issuer")["metadata"]["name"]}
    configuration = one(managed, "ValidatingWebhookConfiguration")
    assert configuration["metadata"]["annotations"]["cert-manager.io/inject-ca-from"] == "ops/tidegate-webhook"
    assert not any(obj["kind"] == "Secret" for obj in managed)

    issuer = "webhook.certificate.certManager.issuerRef.name=ours"
    given = render(lab, "webhook.enabled=true", "webhook.certificate.certManager.enabled=true", issuer)
    assert not any(obj["kind"] == "Issuer" for obj in given)
    with pytest.raises(LabError, match="caBundle has to name the authority"):
        render(lab, "webhook.enabled=true", "webhook.certificate.secretName=ours")


def asked(panel: Obj) -> Iterator[Obj]:
    """Every query of a dashboard or of a row in it."""
    for inner in panel.get("panels", ()):
        yield from asked(inner)
        yield from inner.get("targets", ())


def test_dashboards_show_metrics_that_are_served() -> None:
    served = set(re.findall(r"^\| `(\w+)`", (REPOSITORY / "docs" / "metrics.md").read_text(), flags=re.M))
    dashboards = list(Path(CHART, "dashboards").glob("*.json"))
    assert dashboards
    for path in dashboards:
        queries = [target["expr"] for target in asked(json.loads(path.read_text()))]
        assert queries
        for query in queries:
            bare = re.sub(r"by \([^)]*\)|\{[^}]*\}|\[[^\]]*\]", "", query)
            named = set(re.findall(r"\b[a-z]\w*_\w+\b", bare)) - {"histogram_quantile"}
            assert {re.sub("_(bucket|count|sum)$", "", name) for name in named} <= served, query


def test_the_pods_pass_the_strictest_of_kubernetes_own_standards(lab: Lab, namespace: str) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    lab.client.patch("Namespace", namespace, "", {"metadata": {"labels": labels}})
    template = one(render(lab, *EVERYTHING), "Deployment")["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    spec = {**template["spec"], "priorityClassName": ""}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "operator", "namespace": namespace}, "spec": spec}
    lab.client.request("POST", f"{lab.client.path('Pod', namespace=namespace)}?dryRun=All", pod)
    del container["securityContext"]
    with pytest.raises(ApiError, match="violates PodSecurity"):
        lab.client.request("POST", f"{lab.client.path('Pod', namespace=namespace)}?dryRun=All", pod)


def test_definitions_and_rollouts_outlive_the_release(lab: Lab, namespace: str) -> None:
    rollout = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"replicas": 0},
    }
    with installed(lab, namespace):
        created = lab.client.create(rollout)
        lab.helm("upgrade", "tidegate", CHART, "-n", namespace, "--set", "replicas=3", "--set", "webhook.enabled=true")
        deployment = lab.client.get("Deployment", "tidegate", namespace, api_version="apps/v1")
        assert deployment["spec"]["replicas"] == 3
    left = lab.client.get("Rollout", "web", namespace, api_version="argoproj.io/v1alpha1")
    assert left["metadata"]["uid"] == created["metadata"]["uid"] and "finalizers" not in left["metadata"]
    roles = lab.client.list("ClusterRole", api_version="rbac.authorization.k8s.io/v1")
    assert not [role for role in roles if role["metadata"]["name"].startswith("tidegate")]


@contextmanager
def installed(lab: Lab, namespace: str, *values: str) -> Iterator[list[Obj]]:
    """The chart as a release `tidegate`, its objects read back from the release."""
    sets = [part for value in values for part in ("--set", value)]
    lab.helm("install", "tidegate", CHART, "--namespace", namespace, *sets)
    try:
        wait_for(lambda: lab.client.path("Rollout", api_version="argoproj.io/v1alpha1"), "Rollouts being served")
        yield [obj for obj in yaml.safe_load_all(lab.helm("get", "manifest", "tidegate", "-n", namespace)) if obj]
    finally:
        lab.helm("uninstall", "tidegate", "--namespace", namespace)


def may(lab: Lab, user: str, verb: str, resource: str, namespace: str = "", name: str = "", *groups: str) -> bool:
    """Whether the API server would let this user do that. resource: plural.group or plural/subresource.group."""
    plural, _, group = resource.partition(".")
    plural, _, subresource = plural.partition("/")
    attributes = {"verb": verb, "group": group, "resource": plural, "subresource": subresource}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "metadata": {},
        "spec": {
            "user": user,
            "groups": list(groups),
            "resourceAttributes": attributes | {"namespace": namespace, "name": name},
        },
    }
    return bool(lab.client.create(review)["status"]["allowed"])


def test_the_api_server_takes_the_whole_release_and_grants_what_it_should(lab: Lab, namespace: str) -> None:
    user = f"system:serviceaccount:{namespace}:tidegate"
    with installed(lab, namespace) as objects:
        for obj in objects:
            lab.client.request("GET", lab.client.path_of(obj))

        assert may(lab, user, "watch", "rollouts.argoproj.io")
        assert may(lab, user, "patch", "rollouts/status.argoproj.io", "elsewhere", "web")
        assert may(lab, user, "patch", "leases.coordination.k8s.io", namespace, "tidegate-controller-lock")
        assert not may(lab, user, "patch", "leases.coordination.k8s.io", namespace, "another")
        assert not may(lab, user, "create", "leases.coordination.k8s.io", "elsewhere")
        for denied in (
            "secrets",
            "pods/log",
            "configmaps",
            "statefulsets.apps",
            "customresourcedefinitions.apiextensions.k8s.io",
        ):
            assert not may(lab, user, "list", denied), denied
        for verb in ("create", "patch", "delete", "watch"):
            assert may(lab, user, verb, "experiments.argoproj.io", "elsewhere"), verb
            assert verb == "watch" or may(lab, user, verb, "services", "elsewhere"), verb
        assert may(lab, user, "create", "jobs.batch", "elsewhere") and may(lab, user, "watch", "pods")
        for verb in ("create", "delete"):  # patched they are, with the metadata of their role
            assert not may(lab, user, verb, "pods", "elsewhere"), verb
        for verb in ("create", "update", "delete"):
            assert not may(lab, user, verb, "rollouts.argoproj.io", namespace), verb
            assert not may(lab, user, verb, "virtualservices.networking.istio.io", namespace), verb


def test_people_get_rights_on_rollouts_by_the_clusters_own_roles(lab: Lab, namespace: str) -> None:
    with installed(lab, namespace):
        for role, user in (("view", "vera"), ("edit", "ed")):
            lab.client.create(
                {
                    "apiVersion": "rbac.authorization.k8s.io/v1",
                    "kind": "RoleBinding",
                    "metadata": {"name": role, "namespace": namespace},
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
                }
            )

        rollouts = "rollouts.argoproj.io"
        wait_for(lambda: may(lab, "ed", "patch", rollouts, namespace), "the role edit covering Rollouts")
        wait_for(lambda: may(lab, "vera", "list", rollouts, namespace), "the role view covering Rollouts")
        assert may(lab, "ed", "patch", "rollouts/status.argoproj.io", namespace)
        assert may(lab, "ed", "patch", "experiments.argoproj.io", namespace)
        assert may(lab, "vera", "list", "experiments.argoproj.io", namespace)
        assert not may(lab, "vera", "patch", rollouts, namespace)


@contextmanager
def running(lab: Lab, namespace: str, flags: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The operator with these flags, as the release's service account."""
    environment = os.environ | {
        "KUBECONFIG": str(lab.kubeconfig_for(namespace, "tidegate")),
        "POD_NAMESPACE": namespace,
        "POD_NAME": "tidegate-0",
    }
    command = [sys.executable, "-m", "tidegate.shell", *flags, "--address=127.0.0.1", f"--port={port}"]
    with (lab.workdir / f"{namespace}-operator.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def page(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


@pytest.mark.parametrize("namespaced", [False, True])
def test_the_operator_does_its_work_under_the_charts_roles(lab: Lab, namespace: str, namespaced: bool) -> None:
    port = 18080
    template = m.pod_template({"app": "web"}, m.app_container("v1"))
    rollout = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template,
            "strategy": {"blueGreen": {"activeService": "web"}},
        },
    }

    def status() -> Obj:
        read = lab.client.get("Rollout", "web", namespace, api_version="argoproj.io/v1alpha1")
        return dict(read.get("status") or {})

    with (
        installed(lab, namespace, f"namespaced={json.dumps(namespaced)}", "replicas=0") as objects,
        running(lab, namespace, arguments(objects), port) as operator,
    ):
        lab.client.create(m.service("web", namespace, {"app": "web"}))
        lab.client.create(rollout)
        wait_for(lambda: page(port, "readyz")[0] == 200, f"/readyz of the operator: {page(port, 'readyz')}")
        wait_for(lambda: status().get("phase") == "Healthy", "the Rollout being Healthy", timeout=60)

        wait_for(
            lambda: any(e["involvedObject"]["name"] == "web" for e in lab.client.list("Event", namespace)),
            "an event about the Rollout",
        )
        said = Path(lab.workdir, f"{namespace}-operator.log").read_text()
        assert page(port, "readyz") == (200, "leading\n")
        assert operator.poll() is None
        # Another test's namespace may be on its way out, in which nobody may create anything.
        assert not [line for line in said.splitlines() if "orbidden" in line and "being terminated" not in line]
