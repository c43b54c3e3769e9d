"""Setting weights in VirtualServices: only ours, all of ours, and never on a stranger's destination."""

from __future__ import annotations

import copy

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.fakes.patches import PatchFailed, json_patch
from tests.routers.samples import (
    BY_HOST,
    BY_SUBSET,
    VS,
    Obj,
    Sample,
    apply,
    bind,
    bind_both,
    foreign_routes,
    http,
    samples,
    strategy,
    to,
    virtual_service,
    weights,
    without_weights,
)
from tidegate.api.rollout import IstioVirtualService
from tidegate.core.plan import Key
from tidegate.core.traffic import Observed


@given(samples(), weights)
def test_a_split_is_shown_afterwards_and_changes_nothing_else(sample: Sample, canary: int) -> None:
    """Design, "what always holds" 4 and 5: only our own fields; the status tells what is."""
    before = bind_both(sample.asked, sample.obj)
    assert before.problems() == ()

    after = apply(sample.obj, *before.split(canary))

    shown = bind_both(sample.asked, after)
    assert shown.observe() == Observed(canary, max(0, 100 - canary - sample.others))
    assert shown.split(canary) == ()
    ours = (sample.route, sample.canary, sample.stable)
    assert without_weights(after, *ours) == without_weights(sample.obj, *ours)


@given(samples(), weights)
def test_weights_that_are_right_cause_no_write(sample: Sample, canary: int) -> None:
    settled = apply(sample.obj, *bind_both(sample.asked, sample.obj).split(canary))
    metadata = settled["metadata"] | {"labels": {"argocd.argoproj.io/instance": "web"}, "resourceVersion": "99"}

    assert bind_both(sample.asked, settled | {"metadata": metadata}).split(canary) == ()


edits = st.lists(
    st.sampled_from(
        ["insert", "remove", "rotate", "twin", "swap", "append", "drop", "weigh", "label", "rename", "port"]
    ),
    min_size=1,
    max_size=3,
)


@given(samples(), weights, edits, st.data())
def test_a_foreign_edit_between_read_and_write_never_puts_our_weight_on_a_stranger(
    sample: Sample, canary: int, edits: list[str], data: st.DataObject
) -> None:
    writes = bind_both(sample.asked, sample.obj).split(canary)
    assume(writes)
    edited = copy.deepcopy(sample.obj)
    edited["metadata"]["resourceVersion"] = "8"
    for edit in edits:
        _edit(edited, edit, data)

    try:
        after = json_patch(edited, writes[0].body)
    except PatchFailed:
        return

    # The patch went through, so our route must be known by its name, and every changed weight must be ours in it.
    assert _name(sample.obj["spec"]["http"][sample.route]) == "primary"
    ours = sample.obj["spec"]["http"][sample.route]["route"]
    hosts = [ours[i]["destination"] for i in (sample.canary, sample.stable)]
    for route, changed in zip(edited["spec"]["http"], after["spec"]["http"], strict=True):
        if route != changed:
            assert _name(route) == "primary"
        for one, other in zip(route.get("route", ()), changed.get("route", ()), strict=True):
            if one != other:
                assert one["destination"] in hosts
                assert one | {"weight": 0} == other | {"weight": 0}
    assert without_weights(edited, 0)["metadata"] == without_weights(after, 0)["metadata"]


def _name(route: Obj) -> str:
    return route.get("name", "")


def _edit(obj: Obj, edit: str, data: st.DataObject) -> None:
    """What somebody else does to the VirtualService meanwhile."""
    routes = obj["spec"]["http"]
    index = data.draw(st.integers(0, len(routes) - 1)) if routes else 0
    route = routes[index] if routes else {}
    destinations = route.get("route") or []
    match edit:
        case "insert":
            routes.insert(index, data.draw(foreign_routes()))
        case "twin":  # the same destinations for other users, before ours
            routes.insert(0, {k: copy.deepcopy(v) for k, v in route.items() if k != "name"})
        case "remove" if routes:
            routes.pop(index)
        case "rotate" if routes:
            routes.append(routes.pop(0))
        case "swap":
            destinations.reverse()
        case "append":
            destinations.insert(0, to("api", 3))
        case "drop" if destinations:
            destinations.pop(0)
        case "weigh" if destinations:
            destinations[0]["weight"] = 55
        case "label":
            obj["metadata"]["labels"] = {"team": "other"}
        case "rename" if routes:
            route["name"] = "renamed"
        case "port" if destinations:
            destinations[0]["destination"]["port"] = {"number": 81}


def test_an_edit_elsewhere_does_not_hold_up_the_undo_of_a_named_route() -> None:
    read = virtual_service(http(to("web-stable", 50), to("web-canary", 50), name="primary"))
    (write,) = bind(strategy("primary"), {VS: read}).split(0)
    meanwhile = copy.deepcopy(read)
    meanwhile["metadata"] |= {"resourceVersion": "8", "labels": {"team": "other"}}
    meanwhile["spec"]["http"].append(http(to("api", 100), name="api"))

    assert [d["weight"] for d in json_patch(meanwhile, write.body)["spec"]["http"][0]["route"]] == [100, 0]


def test_a_concurrent_change_of_our_weights_is_overwritten() -> None:
    read = virtual_service(http(to("web-stable", 50), to("web-canary", 50), name="primary"))
    (write,) = bind(strategy("primary"), {VS: read}).split(0)
    meanwhile = virtual_service(http(to("web-stable", 30), to("web-canary", 70), name="primary"))

    assert [d["weight"] for d in json_patch(meanwhile, write.body)["spec"]["http"][0]["route"]] == [100, 0]


def test_a_nameless_route_is_only_written_as_it_was_read() -> None:
    """A route for testers that goes in before it would otherwise get the users' weights."""
    read = virtual_service(http(*BY_HOST))
    (write,) = bind(strategy(), {VS: read}).split(20)
    testers = http(*BY_HOST, match=[{"headers": {"x-tester": {"exact": "yes"}}}])
    meanwhile = virtual_service(testers, http(*BY_HOST))
    meanwhile["metadata"]["resourceVersion"] = "8"

    with pytest.raises(PatchFailed):
        json_patch(meanwhile, write.body)


def test_a_named_route_is_not_mistaken_for_a_twin_that_took_its_place() -> None:
    read = virtual_service(http(*BY_HOST, name="primary"))
    (write,) = bind(strategy("primary"), {VS: read}).split(20)
    meanwhile = virtual_service(http(*BY_HOST, name="testers"), http(*BY_HOST, name="primary"))

    with pytest.raises(PatchFailed):
        json_patch(meanwhile, write.body)


def test_several_named_routes_and_virtual_services_get_the_same_split() -> None:
    other = Key("VirtualService", "edge", "public")
    read = {
        VS: virtual_service(
            http(*BY_HOST, name="a"), http(to("web-canary", 100), name="testers"), http(*BY_HOST, name="b")
        ),
        other: virtual_service(
            http(to("web-stable.shop.svc.cluster.local", 100), to("web-canary.shop", 0)),
            namespace="edge",
            name="public",
        ),
    }
    asked = strategy("a", "b", also=(IstioVirtualService(name="public.edge"),))

    writes = bind(asked, read).split(25)

    assert [write.key for write in writes] == [VS, other]
    after = {write.key: apply(read[write.key], write) for write in writes}
    shown = {key: [[d["weight"] for d in r["route"]] for r in obj["spec"]["http"]] for key, obj in after.items()}
    assert shown == {VS: [[75, 25], [100], [75, 25]], other: [[75, 25]]}


def test_only_the_virtual_service_that_differs_is_written() -> None:
    other = Key("VirtualService", "shop", "public")
    read = {
        VS: virtual_service(http(to("web-stable", 75), to("web-canary", 25))),
        other: virtual_service(http(*BY_HOST), name="public"),
    }

    assert [w.key for w in bind(strategy(also=(IstioVirtualService(name="public"),)), read).split(25)] == [other]


@pytest.mark.parametrize(
    ("stable", "canary", "others", "seen"),
    [
        (90, 10, 0, (10, 90)),
        (None, 100, 0, (100, 0)),
        (70, 40, 0, (37, 63)),  # edited: 36.4 % and 63.6 % of the traffic
        (9, 1, 0, (10, 90)),
        (2, 1, 0, (34, 66)),
        (999, 1, 0, (1, 99)),
        (None, None, 0, (0, 0)),  # Istio's admission refuses this one, but not everybody runs it
        (85, 10, 5, (10, 85)),
        (0, 80, 30, (80, 0)),  # as we set it: the others leave 70
        (10, 10, 20, (25, 25)),
    ],
)
def test_observed_weights_are_parts_of_100(
    stable: int | None, canary: int | None, others: int, seen: tuple[int, int]
) -> None:
    route = http(to("web-stable", stable), to("web-canary", canary), to("api", others))

    assert bind(strategy(), {VS: virtual_service(route)}).observe() == Observed(*seen)


@given(*[st.integers(0, 1000)] * 2, st.integers(0, 99))
def test_traffic_is_never_believed_safer_than_it_is(stable: int, canary: int, others: int) -> None:
    route = http(to("web-stable", stable), to("web-canary", canary), to("api", others))
    seen = bind(strategy(), {VS: virtual_service(route)}).observe()
    total = stable + canary + others

    assert 0 <= seen.canary <= 100
    assert seen.canary * total >= 100 * canary
    assert seen.stable * total <= 100 * stable


def test_routes_that_disagree_show_the_greatest_canary_and_the_least_stable() -> None:
    read = virtual_service(
        http(to("web-stable", 90), to("web-canary", 10), name="a"),
        http(to("web-stable", 40), to("web-canary", 60), name="b"),
    )

    assert bind(strategy("a", "b"), {VS: read}).observe() == Observed(60, 40)


def test_argo_3125_a_third_destination_keeps_its_weight() -> None:
    read = virtual_service(http(to("web-stable", 95), to("legacy", 5), to("web-canary", 0)))

    after = apply(read, *bind(strategy(), {VS: read}).split(10))

    assert after["spec"]["http"][0]["route"] == [to("web-stable", 85), to("legacy", 5), to("web-canary", 10)]


def test_argo_4741_one_named_route_is_found_when_routes_are_omitted() -> None:
    read = virtual_service(http(*BY_HOST, name="primary"))

    after = apply(read, *bind(strategy(), {VS: read}).split(30))

    assert bind(strategy(), {VS: after}).observe() == Observed(30, 70)


def test_the_nameless_route_beside_a_named_testers_route_is_the_one_to_split() -> None:
    testers = http(to("web-canary", 100), name="testers", match=[{"headers": {"x-tester": {"exact": "yes"}}}])
    read = virtual_service(testers, http(*BY_HOST))

    after = apply(read, *bind(strategy(), {VS: read}).split(30))

    assert after["spec"]["http"][0] == testers
    assert bind(strategy(), {VS: after}).observe() == Observed(30, 70)


def test_argo_host_by_short_name_a_service_of_another_namespace_is_a_stranger() -> None:
    read = virtual_service(http(*BY_HOST, to("web-canary.billing", 10), to("web-stable.billing.svc.cluster.local", 5)))

    after = apply(read, *bind(strategy(), {VS: read}).split(20))

    assert [d["weight"] for d in after["spec"]["http"][0]["route"]] == [65, 20, 10, 5]


def test_a_short_host_belongs_to_the_namespace_of_its_virtual_service() -> None:
    public = Key("VirtualService", "edge", "public")
    asked = strategy(also=(IstioVirtualService(name="public.edge"),))
    read = {VS: virtual_service(http(*BY_HOST)), public: virtual_service(http(*BY_HOST), namespace="edge")}

    (problem,) = bind(asked, read).problems()[:1]

    assert "web-canary.edge.svc.cluster.local" in problem.message
    assert "web-canary.shop.svc.cluster.local" in problem.message


def test_flagger_1573_a_foreign_label_does_not_reset_the_weights() -> None:
    read = virtual_service(http(to("web-stable", 60), to("web-canary", 40)))
    read["metadata"]["labels"] = {"argocd.argoproj.io/instance": "web"}
    read["metadata"]["annotations"] = {"webhook": "was here"}

    assert bind(strategy(), {VS: read}).split(40) == ()


def test_flagger_1715_the_other_routes_are_not_rewritten() -> None:
    mine = http(to("api", 100), name="api", match=[{"uri": {"prefix": "/api"}}], timeout="3s", retries={"attempts": 2})
    read = virtual_service(mine, http(*BY_HOST, name="primary"), tcp=[{"route": [to("db")]}])

    (write,) = bind(strategy("primary"), {VS: read}).split(10)

    assert isinstance(write.body, list)
    assert {op["path"] for op in write.body if op["op"] != "test"} == {
        "/spec/http/1/route/0/weight",
        "/spec/http/1/route/1/weight",
    }


def test_a_subset_of_another_host_is_a_stranger() -> None:
    read = virtual_service(http(*BY_SUBSET, to("api", 10, "canary")))

    after = apply(read, *bind_both(strategy(subsets=True), read).split(20))

    assert [d["weight"] for d in after["spec"]["http"][0]["route"]] == [70, 20, 10]
