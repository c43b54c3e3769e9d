"""What a Rollout leaves in a DestinationRule or a Service that it no longer names, or that outlives it: nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.crash import stories
from tests.crash.test_every_write import settled
from tests.crash.theatre import Obj, Theatre
from tidegate.api import names
from tidegate.routers.istio.destination_rule import let_go

from .samples import apply, destination_rule

HASH = names.POD_TEMPLATE_HASH
SIGNED = {names.MANAGED_BY: "app", "team": "shop"}
BY_SUBSET = {
    "virtualService": {"name": "app"},
    "destinationRule": {"name": "app", "canarySubsetName": "canary", "stableSubsetName": "stable"},
}


def rule(**more: Any) -> Obj:
    subsets = [
        {"name": "eu", "labels": {"zone": "eu"}},
        {"name": "stable", "labels": {"app": "app"}},
        {"name": "canary"},
    ]
    made = destination_rule(*subsets, host="app", annotations={"team": "shop"})
    made["metadata"] = {"name": "app", "namespace": "default", "annotations": {"team": "shop"}} | more
    return made


def by_subset() -> Theatre:
    def to(subset: str, weight: int) -> Obj:
        return {"destination": {"host": "app", "subset": subset}, "weight": weight}

    route = stories.virtual_service()
    route["spec"]["http"] = [{"route": [to("stable", 100), to("canary", 0)]}]
    strategy = {"canary": {"steps": [{"setWeight": 50}], "trafficRouting": {"istio": BY_SUBSET}}}
    return Theatre(stories.rollout(strategy), [stories.service("app"), rule(), route], services=("app",))


def shown(theatre: Theatre) -> Obj:
    obj = theatre.cluster.peek("DestinationRule", "app")
    assert obj is not None
    return obj


def is_let_go(theatre: Theatre) -> bool:
    return names.MANAGED_BY not in shown(theatre)["metadata"]["annotations"]


def check(theatre: Theatre) -> None:
    """As its owner wrote it; a subset that had no labels may have an empty set of them."""
    obj = shown(theatre)
    assert obj["metadata"]["annotations"] == {"team": "shop"}
    labels = [subset.get("labels") or {} for subset in obj["spec"]["subsets"]]
    assert labels == [{"zone": "eu"}, {"app": "app"}, {}]


@pytest.mark.looptime
async def test_argo_a_deleted_rollout_takes_its_hashes_out_of_the_rule() -> None:
    """Contract 7.4: label and annotation are stripped when the Rollout is deleted. Nothing blocks the deletion."""
    async with by_subset() as theatre:
        theatre.deploy()
        await theatre.play(settled(theatre, "Healthy"))
        assert all(HASH in subset["labels"] for subset in shown(theatre)["spec"]["subsets"][1:])

        async def leave() -> None:
            await asyncio.sleep(1)
            theatre.cluster.delete("Rollout", "app")

        leaving = asyncio.create_task(leave())
        await theatre.play(lambda: theatre.cluster.peek("Rollout", "app") is None and is_let_go(theatre))

        await leaving
        check(theatre)


@pytest.mark.looptime
async def test_a_rollout_deleted_while_the_operator_was_away_is_cleaned_up_after_too() -> None:
    async with by_subset() as theatre:
        theatre.deploy()
        await theatre.play(settled(theatre, "Healthy"))
        theatre.cluster.delete("Rollout", "app")

        await theatre.play(lambda: is_let_go(theatre))

        check(theatre)


@pytest.mark.looptime
async def test_another_rollout_keeps_its_hashes_in_a_rule_that_was_shared_and_one_elsewhere_has_no_say() -> None:
    """The same template has the same hash in every namespace."""
    async with by_subset() as theatre:
        twin = stories.rollout({"canary": {}})
        twin["metadata"]["namespace"] = "elsewhere"
        other = stories.rollout({"canary": {}})
        other["metadata"]["name"] = "other"
        other["spec"]["template"]["spec"]["containers"][0]["image"] = "other:v1"
        theatre.deploy()
        theatre.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "elsewhere"}})
        theatre.cluster.create(twin)
        theatre.cluster.create(other)
        await theatre.play(settled(theatre, "Healthy"))
        hash_ = (theatre.cluster.peek("Rollout", "other") or {})["status"]["currentPodHash"]
        shared = {"op": "add", "path": "/spec/subsets/0/labels", "value": {"zone": "eu", HASH: hash_}}
        theatre.cluster.patch("DestinationRule", "app", [shared])
        theatre.cluster.delete("Rollout", "app")

        await theatre.play(lambda: is_let_go(theatre))

        labels = [subset.get("labels") or {} for subset in shown(theatre)["spec"]["subsets"]]
        assert labels == [{"zone": "eu", HASH: hash_}, {"app": "app"}, {}]


@pytest.mark.looptime
async def test_argo_a_rule_that_the_rollout_no_longer_names_is_let_go() -> None:
    async with by_subset() as theatre:
        theatre.deploy()
        await theatre.play(settled(theatre, "Healthy"))
        for name in ("app-canary", "app-stable"):
            theatre.cluster.create(stories.service(name))
        theatre.cluster.patch(
            "VirtualService", "app", {"spec": {"http": [stories.virtual_service()["spec"]["http"][1]]}}
        )
        canary = {
            "canaryService": "app-canary",
            "stableService": "app-stable",
            "trafficRouting": {"istio": {"destinationRule": None}},
        }
        theatre.cluster.patch("Rollout", "app", {"spec": {"strategy": {"canary": canary}}})

        await theatre.play(lambda: theatre.is_at("Healthy") and is_let_go(theatre))

        check(theatre)


@pytest.mark.looptime
async def test_a_rule_that_is_named_is_left_alone() -> None:
    async with by_subset() as theatre:
        theatre.deploy()
        await theatre.play(settled(theatre, "Healthy"))
        before = shown(theatre)

        again = await theatre.play(settled(theatre, "Healthy"))

        assert again.writes == 0
        assert shown(theatre) == before


def test_hashes_of_another_rollout_stay() -> None:
    subsets = [{"name": "a", "labels": {HASH: "mine"}}, {"name": "b", "labels": {HASH: "theirs", "x": "y"}}]
    obj = destination_rule(*subsets, annotations=SIGNED)

    after = apply(obj, let_go(obj, {"theirs"}))

    assert after["spec"]["subsets"] == [{"name": "a", "labels": {}}, subsets[1]]
    assert after["metadata"]["annotations"] == {"team": "shop"}


# -- Services ----------------------------------------------------------------------------------------------------------


def by_services() -> Theatre:
    strategy = {"blueGreen": {"activeService": "app", "previewService": "preview"}}
    return Theatre(stories.rollout(strategy), [stories.service("app"), stories.service("preview")], services=())


def service(theatre: Theatre, name: str) -> Obj:
    obj = theatre.cluster.peek("Service", name)
    assert obj is not None
    return obj


def is_free(theatre: Theatre, name: str) -> bool:
    """Whether a Service is as its owner wrote it."""
    metadata = service(theatre, name)["metadata"]
    return service(theatre, name)["spec"]["selector"] == {"app": "app"} and not metadata.get("annotations")


@pytest.mark.looptime
@pytest.mark.parametrize("away", [False, True], ids=["at once", "after a restart"])
async def test_a_deleted_rollout_takes_its_hash_out_of_its_services(away: bool) -> None:
    """They would select no pod at all: neither those of another Rollout nor those of a Deployment."""
    async with by_services() as theatre:
        theatre.deploy()
        await theatre.play(settled(theatre, "Healthy"))
        assert not is_free(theatre, "app")

        async def leave() -> None:
            await asyncio.sleep(1)
            theatre.cluster.delete("Rollout", "app")

        if away:
            theatre.cluster.delete("Rollout", "app")
        leaving = None if away else asyncio.create_task(leave())
        await theatre.play(lambda: is_free(theatre, "app") and is_free(theatre, "preview"))

        if leaving is not None:
            await leaving


@pytest.mark.looptime
async def test_pods_that_are_kept_when_their_rollout_is_deleted_keep_their_services() -> None:
    async with by_services() as theatre:
        theatre.deploy()
        await theatre.play(settled(theatre, "Healthy"))
        before = service(theatre, "app")["spec"]
        for each in theatre.cluster.peek_all("ReplicaSet"):
            theatre.cluster.patch("ReplicaSet", each["metadata"]["name"], {"metadata": {"ownerReferences": None}})
        theatre.cluster.delete("Rollout", "app")

        await theatre.play(lambda: not service(theatre, "app")["metadata"].get("annotations"))

        assert service(theatre, "app")["spec"] == before


@pytest.mark.looptime
async def test_a_service_that_is_no_longer_named_is_let_go_and_the_others_stay() -> None:
    async with by_services() as theatre:
        theatre.deploy()
        await theatre.play(settled(theatre, "Healthy"))
        before = service(theatre, "app")
        theatre.cluster.patch("Rollout", "app", {"spec": {"strategy": {"blueGreen": {"previewService": None}}}})

        await theatre.play(settled(theatre, "Healthy"))

        assert is_free(theatre, "preview")
        assert service(theatre, "app") == before


@pytest.mark.looptime
async def test_services_of_another_instances_rollout_are_left_alone_and_asked_about_once() -> None:
    async with by_services() as theatre:
        theatre.deploy()
        await theatre.play(settled(theatre, "Healthy"))
        theatre.cluster.patch("Rollout", "app", {"metadata": {"labels": {names.INSTANCE_ID: "b"}}})
        before = [service(theatre, name) for name in ("app", "preview")]
        looked = 0

        def touched_often() -> bool:
            nonlocal looked
            looked += 1
            if looked % 40 == 0:
                theatre.cluster.patch("Service", "app", {"metadata": {"labels": {"n": str(looked)}}})
                theatre.cluster.patch("Service", "app", {"spec": {"selector": {HASH: f"theirs{looked}"}}})
            return looked > 400

        transport = await theatre.play(touched_often)

        assert all(names.MANAGED_BY in service(theatre, name)["metadata"]["annotations"] for name in ("app", "preview"))
        assert service(theatre, "preview") == before[1]
        assert transport.requests["GET", "Rollout", ""] == 2, "the list, and one question"
