"""Further destinations beside canary and stable: an experiment's versions come, get their part, and go."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.fakes.patches import PatchFailed, json_patch
from tests.routers.samples import (
    BY_HOST,
    BY_SUBSET,
    DR,
    VS,
    Obj,
    Sample,
    apply,
    bind,
    bind_both,
    destination_rule,
    http,
    samples,
    strategy,
    to,
    virtual_service,
)
from tests.routers.test_managed_routes import managing, mirror
from tidegate.api import names
from tidegate.api.rollout import IstioVirtualService
from tidegate.core.plan import Key
from tidegate.core.traffic import Extra, Observed

HASH = names.POD_TEMPLATE_HASH


def shown(obj: Obj, route: int = 0) -> list[Obj]:
    return list(obj["spec"]["http"][route]["route"])


def test_services_of_an_experiment_are_appended_in_order_and_stable_gives_their_part() -> None:
    """Contract 7.2: missing ones are appended, sorted by name; stable gets what is left."""
    read = virtual_service(http(to("web-stable", 75), to("legacy", 5), to("web-canary", 20)))

    after = apply(read, *bind(strategy(), {VS: read}).split(20, extras=[Extra("exp-b", 10), Extra("exp-a", 7)]))

    assert shown(after) == [
        to("web-stable", 58),
        to("legacy", 5),
        to("web-canary", 20),
        to("exp-a", 7),
        to("exp-b", 10),
    ]
    traffic = bind(strategy(), {VS: after})
    assert traffic.observe() == Observed(20, 58)
    assert traffic.shares(["exp-a", "exp-b", "exp-c"]) == {"exp-a": 7, "exp-b": 10}
    assert traffic.split(20) == ()


def test_the_port_of_the_canary_is_theirs_too() -> None:
    route = http(to("web-stable", 100), {"destination": {"host": "web-canary", "port": {"number": 80}}, "weight": 0})
    read = virtual_service(route)

    after = apply(read, *bind(strategy(), {VS: read}).split(0, extras=[Extra("exp", 5)]))

    assert shown(after)[2] == {"destination": {"host": "exp", "port": {"number": 80}}, "weight": 5}


def test_in_another_namespace_the_service_is_named_in_full() -> None:
    other = Key("VirtualService", "edge", "public")
    route = http(to("web-stable.shop", 100), to("web-canary.shop", 0))
    read = {VS: virtual_service(http(*BY_HOST)), other: virtual_service(route, namespace="edge", name="public")}
    asked = strategy(also=(IstioVirtualService(name="public.edge"),))

    after = {w.key: apply(read[w.key], w) for w in bind(asked, read).split(0, extras=[Extra("exp", 5)])}

    assert [shown(after[key])[2]["destination"]["host"] for key in (VS, other)] == ["exp", "exp.shop.svc.cluster.local"]
    assert bind(asked, after).shares(["exp"]) == {"exp": 5}


extras = st.lists(
    st.builds(Extra, st.sampled_from(["exp-a", "exp-b", "exp-c"]), st.integers(0, 10)), unique_by=lambda e: e.name
)


@given(samples(), st.lists(st.tuples(st.integers(0, 60), extras), min_size=1, max_size=4))
def test_whatever_came_goes_again_and_leaves_nothing(sample: Sample, stages: list[tuple[int, list[Extra]]]) -> None:
    assume(sample.others < 70)
    obj = sample.obj
    present: dict[str, int] = {}
    for canary, wanted in stages:
        obj = apply(obj, *bind_both(sample.asked, obj).split(canary, extras=wanted))

        traffic = bind_both(sample.asked, obj)
        present |= {extra.name: extra.weight for extra in wanted}
        assert traffic.split(canary, extras=wanted) == ()
        assert traffic.shares(["exp-a", "exp-b", "exp-c"]) == {name: w for name, w in present.items() if w}
        assert traffic.observe().canary >= canary

    gone = [Extra(name, 0) for name in ("exp-a", "exp-b", "exp-c")]
    obj = apply(obj, *bind_both(sample.asked, obj).split(10, extras=gone))
    plain = apply(sample.obj, *bind_both(sample.asked, sample.obj).split(10))
    assert obj["spec"] == plain["spec"]


def test_a_destination_that_moved_is_not_removed_in_place_of_another() -> None:
    read = virtual_service(http(*BY_HOST, to("exp", 10), name="primary"))
    (write,) = bind(strategy("primary"), {VS: read}).split(0, extras=[Extra("exp", 0)])
    meanwhile = virtual_service(http(*BY_HOST, to("api", 10), to("exp", 10), name="primary"))

    with pytest.raises(PatchFailed):
        json_patch(meanwhile, write.body)


def test_a_mirror_route_gives_them_their_part_too() -> None:
    read = virtual_service(http(*BY_HOST))
    asked = managing(strategy(), "mirror")

    after = apply(read, *bind(asked, {VS: read}).split(10, [mirror()], [Extra("exp", 5)]))

    assert shown(after) == shown(after, 1) == [to("web-stable", 85), to("web-canary", 10), to("exp", 5)]
    later = apply(after, *bind(asked, {VS: after}).split(20, extras=[Extra("exp", 0)]))
    assert shown(later) == shown(later, 1) == [to("web-stable", 80), to("web-canary", 20)]


def test_with_subsets_an_experiment_gets_a_subset_of_the_same_host() -> None:
    """Contract 7.4: the subset has the Service's name and selects the version's hash."""
    rule = destination_rule({"name": "stable", "labels": {HASH: "s"}}, {"name": "eu"}, {"name": "canary"})
    read = {VS: virtual_service(http(*BY_SUBSET)), DR: rule}
    asked = strategy(subsets=True)
    wanted = [Extra("exp-b", 5, "b1"), Extra("exp-a", 5, "a1")]

    pointed = apply(rule, *bind(asked, read).point(canary_hash="c", stable_hash="s", extras=wanted))
    routed = apply(read[VS], *bind(asked, read).split(0, extras=wanted))

    assert [subset["name"] for subset in pointed["spec"]["subsets"]] == ["stable", "eu", "canary", "exp-a", "exp-b"]
    assert pointed["spec"]["subsets"][3] == {"name": "exp-a", "labels": {HASH: "a1"}}
    assert shown(routed)[2:] == [to("web", 5, "exp-a"), to("web", 5, "exp-b")]
    after = {VS: routed, DR: pointed}
    assert bind(asked, after).point(canary_hash="c", stable_hash="s", extras=wanted) == ()
    moved = [Extra("exp-a", 0), Extra("exp-b", 5, "b2")]
    later = apply(pointed, *bind(asked, after).point(canary_hash="c", stable_hash="s", extras=moved))
    assert later["spec"]["subsets"] == [
        *pointed["spec"]["subsets"][:3],
        {"name": "exp-b", "labels": {HASH: "b2"}},
    ]


def test_argo_4890_an_empty_host_is_never_written() -> None:
    """Argo Rollouts writes a destination without a host for an experiment without a Service (#4890)."""
    with pytest.raises(ValueError, match="needs the name of a Service"):
        Extra("", 5)
