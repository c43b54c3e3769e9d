"""The same patches on a real API server with Istio's validation: taken where they should be, refused where not."""

from __future__ import annotations

from typing import Any

import pytest

from lab import manifests as m
from lab.client import ApiError
from lab.cluster import Lab
from tests.routers.samples import strategy
from tidegate.api import names
from tidegate.core.plan import Key, Write
from tidegate.core.traffic import Observed, Selected, Traffic
from tidegate.routers.registry import router_for

pytestmark = pytest.mark.lab

V1 = "networking.istio.io/v1"
Obj = dict[str, Any]


def read(lab: Lab, namespace: str, *routes: str, subsets: bool = False) -> Traffic:
    """The routes of Rollout `web` as the server shows them now."""
    router = router_for(strategy(*routes, subsets=subsets), namespace=namespace, rollout="web")
    assert router is not None
    return router.bind({key: get(lab, key) for key in router.references()})


def get(lab: Lab, key: Key) -> Obj:
    return lab.client.get(key.kind, key.name, key.namespace, api_version=V1)


def send(lab: Lab, *writes: Write) -> None:
    for write in writes:
        assert write.body is not None
        lab.client.patch(write.key.kind, write.key.name, write.key.namespace, write.body, api_version=V1)


def edit(lab: Lab, namespace: str) -> None:
    """Somebody else's label."""
    labels = {"metadata": {"labels": {"team": "other"}}}
    lab.client.patch("VirtualService", "web", namespace, labels, api_version=V1)


def test_a_split_is_taken_and_leaves_the_rest_as_it_was(lab: Lab, namespace: str) -> None:
    testers = {"name": "testers", "match": [{"headers": {"x-tester": {"exact": "yes"}}}], "retries": {"attempts": 1}}
    testers["route"] = [m.destination("web-canary", 100)]
    users = {"route": [m.destination("web-stable", 95), m.destination("web-canary"), m.destination("legacy", 5)]}
    lab.client.create(m.virtual_service("web", namespace, f"{namespace}.example.com", testers, users))
    before = get(lab, Key("VirtualService", namespace, "web"))["spec"]

    send(lab, *read(lab, namespace).split(20))

    shown = read(lab, namespace)
    assert shown.observe() == Observed(20, 75)
    assert shown.split(20) == ()
    after = get(lab, Key("VirtualService", namespace, "web"))["spec"]
    before["http"][1]["route"][0]["weight"], before["http"][1]["route"][1]["weight"] = 75, 20
    assert after == before


def test_a_nameless_route_that_was_edited_refuses_the_patch_and_a_named_one_takes_it(lab: Lab, namespace: str) -> None:
    destinations = [m.destination("web-stable", 50), m.destination("web-canary", 50)]
    host = f"{namespace}.example.com"
    lab.client.create(m.virtual_service("web", namespace, host, {"name": "primary", "route": destinations}))
    named = read(lab, namespace, "primary").split(0)
    edit(lab, namespace)
    send(lab, *named)
    assert read(lab, namespace).observe() == Observed(0, 100)

    lab.client.delete("VirtualService", "web", namespace, api_version=V1)
    lab.client.create(m.virtual_service("web", namespace, host, {"route": destinations}))
    nameless = read(lab, namespace).split(0)
    edit(lab, namespace)
    with pytest.raises(ApiError) as refused:
        send(lab, *nameless)

    assert (refused.value.status, refused.value.reason) == (422, "Invalid")
    assert read(lab, namespace).observe() == Observed(50, 50)


def test_subsets_are_pointed_and_cleared(lab: Lab, namespace: str) -> None:
    rule = m.destination_rule("web", namespace, "web", {"eu": {"zone": "eu"}, "stable": {}, "canary": {"app": "web"}})
    del rule["spec"]["subsets"][1]["labels"]
    rule["spec"]["trafficPolicy"] = {"connectionPool": {"http": {"http2MaxRequests": 10}}}
    lab.client.create(rule)
    route = {"route": [m.destination("web", 100, subset="stable"), m.destination("web", 0, subset="canary")]}
    lab.client.create(m.virtual_service("web", namespace, f"{namespace}.example.com", route))

    send(lab, *read(lab, namespace, subsets=True).point(canary_hash="77fd", stable_hash="5b4c"))

    stored = get(lab, Key("DestinationRule", namespace, "web"))
    assert read(lab, namespace, subsets=True).selected() == Selected("77fd", "5b4c", Key("Service", namespace, "web"))
    assert stored["metadata"]["annotations"] == {names.MANAGED_BY: "web"}
    assert stored["spec"]["trafficPolicy"] == rule["spec"]["trafficPolicy"]
    assert [subset["labels"] for subset in stored["spec"]["subsets"]] == [
        {"zone": "eu"},
        {names.POD_TEMPLATE_HASH: "5b4c"},
        {"app": "web", names.POD_TEMPLATE_HASH: "77fd"},
    ]

    send(lab, *read(lab, namespace, subsets=True).point(canary_hash="", stable_hash="5b4c"))

    assert read(lab, namespace, subsets=True).selected() == Selected("", "5b4c", Key("Service", namespace, "web"))
