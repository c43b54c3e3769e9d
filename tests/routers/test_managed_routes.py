"""Routes that steps put before the users' own: what they look like, where they stand, and when they go."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.objects import CANARY, Json, spoilt
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
    http,
    samples,
    strategy,
    to,
    virtual_service,
    weights,
)
from tidegate.api.parsing import parse_rollout
from tidegate.api.rollout import (
    CanaryStrategy,
    HeaderMatch,
    IstioVirtualService,
    ManagedRoute,
    RouteMatch,
    SetHeaderRoute,
    SetMirrorRoute,
    StringMatch,
)
from tidegate.core.plan import Key
from tidegate.core.traffic import Observed

AT = "spec.strategy.canary.trafficRouting.managedRoutes"
STEPS = "spec.strategy.canary.steps"


def managing(asked: CanaryStrategy, *names: str) -> CanaryStrategy:
    assert asked.traffic_routing is not None
    routes = tuple(ManagedRoute(name=name) for name in names)
    return replace(asked, traffic_routing=replace(asked.traffic_routing, managed_routes=routes))


def lead(name: str = "testers", **value: str) -> SetHeaderRoute:
    match = HeaderMatch(header_name="x-tester", header_value=StringMatch(**(value or {"exact": "yes"})))
    return SetHeaderRoute(name=name, match=(match,))


def mirror(name: str = "mirror", percentage: int | None = None) -> SetMirrorRoute:
    match = RouteMatch(
        method=StringMatch(exact="GET"), path=StringMatch(prefix="/api"), headers={"x-beta": StringMatch(regex=".+")}
    )
    return SetMirrorRoute(name=name, match=(match,), percentage=percentage)


# Routes as Argo Rollouts writes them (contract 7.3).
TESTERS = http(to("web-canary", 100), name="testers", match=[{"headers": {"x-tester": {"exact": "yes"}}}])


def test_a_header_route_comes_first_and_leads_to_the_canary_alone() -> None:
    users = http({"destination": {"host": "web-stable", "port": {"number": 80}}, "weight": 100}, to("web-canary", 0))
    users["route"][1]["destination"] |= {"port": {"number": 80}}
    read = virtual_service(http(to("api", 100), name="api"), users)
    asked = managing(strategy(), "testers")
    route = SetHeaderRoute(
        name="testers",
        match=(
            HeaderMatch(header_name="x-tester", header_value=StringMatch(exact="yes")),
            HeaderMatch(header_name="agent", header_value=StringMatch(prefix="curl")),
            HeaderMatch(header_name="cookie", header_value=StringMatch(regex=".*beta.*")),
        ),
    )

    after = apply(read, *bind(asked, {VS: read}).split(0, [route]))

    assert after["spec"]["http"] == [
        {
            "name": "testers",
            "match": [
                {"headers": {"x-tester": {"exact": "yes"}}},
                {"headers": {"agent": {"prefix": "curl"}}},
                {"headers": {"cookie": {"regex": ".*beta.*"}}},
            ],
            "route": [{"destination": {"host": "web-canary", "port": {"number": 80}}, "weight": 100}],
        },
        *read["spec"]["http"],
    ]
    assert bind(asked, {VS: after}).managed() == ("testers",)
    assert bind(asked, {VS: after}).observe() == Observed(0, 100)


def test_a_header_route_goes_to_the_canarys_subset() -> None:
    read = virtual_service(http(*BY_SUBSET))
    asked = managing(strategy(subsets=True), "testers")

    after = apply(read, *bind_both(asked, read).split(0, [lead()]))

    assert after["spec"]["http"][0]["route"] == [{"destination": {"host": "web", "subset": "canary"}, "weight": 100}]


@pytest.mark.parametrize(("percentage", "value"), [(None, 100), (25, 25), (0, 0)])
def test_a_mirror_route_splits_like_the_users_route_and_copies_to_the_canary(
    percentage: int | None, value: int
) -> None:
    read = virtual_service(http(to("web-stable", 85), to("legacy", 5), to("web-canary", 10)))
    asked = managing(strategy(), "mirror")
    forms = [{form: "x"} for form in ("exact", "prefix", "regex")]
    matches = [StringMatch(**form) for form in forms]
    route = replace(
        mirror(percentage=percentage),
        match=tuple(RouteMatch(method=each, path=each, headers={"x-beta": each}) for each in matches),
    )

    after = apply(read, *bind(asked, {VS: read}).split(20, [route]))

    split = [to("web-stable", 75), to("legacy", 5), to("web-canary", 20)]
    assert after["spec"]["http"] == [
        {
            "name": "mirror",
            "match": [{"method": form, "uri": form, "headers": {"x-beta": form}} for form in forms],
            "route": split,
            "mirror": {"host": "web-canary"},
            "mirrorPercentage": {"value": value},
        },
        http(*split),
    ]


def test_a_mirror_route_moves_with_the_users_route() -> None:
    """Contract 7.2: routes that mirror are re-weighted together with the primary route; header routes are not."""
    read = virtual_service(http(*BY_HOST))
    asked = managing(strategy(), "testers", "mirror")
    dressed = apply(read, *bind(asked, {VS: read}).split(10, [lead(), mirror()]))

    (write,) = bind(asked, {VS: dressed}).split(60)

    after = apply(dressed, write)
    shown = {r.get("name", ""): [d["weight"] for d in r["route"]] for r in after["spec"]["http"]}
    assert shown == {"testers": [100], "mirror": [40, 60], "": [40, 60]}
    assert bind(asked, {VS: after}).split(60, [lead(), mirror()]) == ()


def test_a_mirror_route_that_lags_behind_is_seen() -> None:
    lagging = {"mirror": {"host": "web-canary"}, "route": [to("web-stable", 40), to("web-canary", 60)]}
    read = virtual_service({"name": "mirror"} | lagging, http(to("web-stable", 90), to("web-canary", 10)))

    assert bind(managing(strategy(), "mirror"), {VS: read}).observe() == Observed(60, 40)


routes = st.lists(
    st.sampled_from([lead("a"), lead("a", prefix="t"), lead("b"), mirror("c"), mirror("c", 5), mirror("d")]),
    unique_by=lambda route: route.name,
)


@given(samples(named=True), st.lists(st.tuples(weights, routes), min_size=1, max_size=4), st.permutations("abcd"))
def test_managed_routes_stand_first_in_their_order_and_the_users_are_untouched(
    sample: Sample, stages: list[tuple[int, list[Any]]], order: list[str]
) -> None:
    """Contract 7.3, and design, "what always holds" 4: foreign routes stay byte for byte, in their order."""
    asked = managing(sample.asked, *order)
    own = sample.obj["spec"]["http"]
    obj = sample.obj
    for canary, wanted in stages:
        obj = apply(obj, *bind_both(asked, obj).split(canary, wanted))

        shown = bind_both(asked, obj)
        assert shown.split(canary, wanted) == ()
        assert shown.split(canary) == ()
        assert shown.observe().canary == canary
        names = [name for name in order if name in {route.name for route in wanted}]
        assert [route.get("name") for route in obj["spec"]["http"][: len(names)]] == names
        rest = copy.deepcopy(obj["spec"]["http"][len(names) :])
        for position in (sample.canary, sample.stable):
            rest[sample.route]["route"][position].pop("weight", None)
        expected = copy.deepcopy(own)
        for position in (sample.canary, sample.stable):
            expected[sample.route]["route"][position].pop("weight", None)
        assert rest == expected

    cleared = apply(obj, *bind_both(asked, obj).split(0, ()))
    assert [route.get("name") for route in cleared["spec"]["http"]] == [route.get("name") for route in own]
    assert bind_both(asked, cleared).managed() == ()


def test_one_patch_takes_routes_and_weights_back() -> None:
    """Between two patches, the testers or the users would still be led to the sick version."""
    read = virtual_service(TESTERS, http(to("web-stable", 50), to("web-canary", 50)))
    asked = managing(strategy(), "testers")

    (write,) = bind(asked, {VS: read}).split(0, ())

    assert apply(read, write)["spec"]["http"] == [http(*BY_HOST)]


def test_routes_that_argo_wrote_are_taken_over_without_a_write() -> None:
    """Hosts in another spelling, and a percentage as a floating point number, are the same route."""
    mirrored: Obj = {
        "name": "mirror",
        "match": [{"method": {"exact": "GET"}, "uri": {"prefix": "/api"}, "headers": {"x-beta": {"regex": ".+"}}}],
        "route": [to("web-stable", 90), to("web-canary", 10)],
        "mirror": {"host": "web-canary"},
        "mirrorPercentage": {"value": 100.0},
    }
    users = http(to("web-stable.shop.svc.cluster.local", 90), to("web-canary.shop.svc.cluster.local", 10))
    read = virtual_service(TESTERS, mirrored, users)

    assert bind(managing(strategy(), "testers", "mirror"), {VS: read}).split(10, [lead(), mirror()]) == ()


def test_an_addition_of_others_to_a_managed_route_is_left() -> None:
    read = virtual_service(TESTERS | {"timeout": "3s"}, http(*BY_HOST))

    assert bind(managing(strategy(), "testers"), {VS: read}).split(0, [lead()]) == ()


def test_a_managed_route_that_somebody_bent_is_put_right() -> None:
    bent = TESTERS | {"match": [{"uri": {"prefix": "/"}}]}
    read = virtual_service(bent, http(*BY_HOST))
    asked = managing(strategy(), "testers")

    after = apply(read, *bind(asked, {VS: read}).split(0, [lead()]))

    assert after["spec"]["http"] == [TESTERS, http(*BY_HOST)]


def test_routes_that_moved_since_they_were_read_stop_the_patch() -> None:
    read = virtual_service(TESTERS, http(*BY_HOST, name="primary"))
    asked = managing(strategy("primary"), "testers")
    (write,) = bind(asked, {VS: read}).split(0, ())
    meanwhile = virtual_service(http(to("api", 100), name="api"), TESTERS, http(*BY_HOST, name="primary"))
    meanwhile["metadata"]["resourceVersion"] = "8"

    with pytest.raises(PatchFailed):
        json_patch(meanwhile, write.body)


@pytest.mark.parametrize(
    "route",
    [
        http(to("api", 100), name="testers"),
        http(to("web-canary", 50), to("web-stable", 50), name="testers"),
        {"name": "testers", "redirect": {"uri": "/"}},
        {"name": "testers", "mirror": {"host": "api"}, "route": [to("web-canary")]},
    ],
)
def test_argo_a_users_own_route_with_a_managed_name_is_refused_and_not_deleted(route: Obj) -> None:
    """Argo Rollouts deletes a user's route whose name is in managedRoutes at the next promotion or abort."""
    read = virtual_service(http(*BY_HOST, name="primary"), route)
    traffic = bind(managing(strategy("primary"), "other", "testers"), {VS: read})

    (problem,) = traffic.problems()

    assert problem.path == f"{AT}[1].name"
    assert "'testers' is the name of spec.http[1] of VirtualService shop/web too" in problem.message
    assert all("remove" not in str(write.body) for write in traffic.split(0, ()))


def test_argo_head_gap_one_named_primary_beside_a_managed_route_is_found_when_routes_are_omitted() -> None:
    """Argo Rollouts finds no route here and says nothing: weights never move, and a mirror route panics (HEAD gap)."""
    read = virtual_service(TESTERS, http(*BY_HOST, name="primary"))
    asked = managing(strategy(), "testers", "mirror")

    after = apply(read, *bind(asked, {VS: read}).split(30, [lead(), mirror()]))

    assert bind(asked, {VS: after}).problems() == ()
    assert bind(asked, {VS: after}).observe() == Observed(30, 70)
    assert [route["name"] for route in after["spec"]["http"]] == ["testers", "mirror", "primary"]


def test_argo_every_virtual_service_is_dressed_and_cleared() -> None:
    """Argo Rollouts returns inside its loop (istio.go 1616, 1647) and so forgets all but the first."""
    other = Key("VirtualService", "edge", "public")
    far = (to("web-stable.shop", 100), to("web-canary.shop", 0))
    read = {VS: virtual_service(http(*BY_HOST)), other: virtual_service(http(*far), namespace="edge", name="public")}
    asked = managing(strategy(also=(IstioVirtualService(name="public.edge"),)), "testers")

    dressed = {w.key: apply(read[w.key], w) for w in bind(asked, read).split(0, [lead()])}
    cleared = {w.key: apply(dressed[w.key], w) for w in bind(asked, dressed).split(0, ())}

    assert dressed[other]["spec"]["http"][0]["route"] == [to("web-canary.shop", 100)]
    assert {key: obj["spec"] for key, obj in cleared.items()} == {key: obj["spec"] for key, obj in read.items()}


def test_argo_clearing_what_is_not_there_is_no_write() -> None:
    """Argo Rollouts updates the VirtualService of a promoted Rollout with such steps at every reconcile."""
    assert bind(managing(strategy(), "testers"), {VS: virtual_service(http(*BY_HOST))}).split(0, ()) == ()


def test_managed_routes_need_an_http_route() -> None:
    read = virtual_service(tcp=[{"match": [{"port": 1}], "route": list(BY_HOST)}])

    (problem,) = bind(managing(strategy(), "testers"), {VS: read}).problems()

    assert problem.path == AT and "no HTTP route of VirtualService shop/web is split" in problem.message


MANAGED: Json = spoilt(
    CANARY,
    (AT, [{"name": "testers"}, {"name": "mirror"}]),
    (
        f"{STEPS}[0]",
        {
            "setHeaderRoute": {
                "name": "testers",
                "match": [{"headerName": "x", "headerValue": {"exact": "y"}}],
            }
        },
    ),
    (
        f"{STEPS}[1]",
        {
            "setMirrorRoute": {
                "name": "mirror",
                "percentage": 35,
                "match": [{"method": {"exact": "GET"}, "path": {"prefix": "/"}, "headers": {"a": {"regex": "b"}}}],
            }
        },
    ),
)


def test_the_steps_are_read() -> None:
    spec, problems = parse_rollout(MANAGED)

    assert problems == () and spec is not None and spec.strategy.canary is not None
    header, mirrored = spec.strategy.canary.steps[:2]
    assert (header.kind, mirrored.kind) == ("setHeaderRoute", "setMirrorRoute")
    assert header.set_header_route == SetHeaderRoute(
        name="testers", match=(HeaderMatch(header_name="x", header_value=StringMatch(exact="y")),)
    )
    assert mirrored.set_mirror_route == SetMirrorRoute(
        name="mirror",
        percentage=35,
        match=(
            RouteMatch(
                method=StringMatch(exact="GET"), path=StringMatch(prefix="/"), headers={"a": StringMatch(regex="b")}
            ),
        ),
    )


HEADER = f"{STEPS}[0].setHeaderRoute"
MIRROR = f"{STEPS}[1].setMirrorRoute"


@pytest.mark.parametrize(
    ("at", "value", "path", "message"),
    [
        (f"{HEADER}.name", "other", f"{HEADER}.name", "'other' is not listed in trafficRouting.managedRoutes"),
        (f"{MIRROR}.name", "", f"{MIRROR}.name", "is required"),
        (f"{AT}[1].name", "testers", f"{AT}[1].name", "is listed twice"),
        (f"{AT}[1].name", "", f"{AT}[1].name", "is required"),
        (f"{HEADER}.match[0].headerName", "", f"{HEADER}.match[0].headerName", "is required"),
        (f"{HEADER}.match[0].headerValue", {}, f"{HEADER}.match[0].headerValue", "has none of exact, prefix and regex"),
        (f"{HEADER}.match[0].headerValue.regex", "z", f"{HEADER}.match[0].headerValue", "has 2 of exact"),
        (f"{MIRROR}.percentage", 101, f"{MIRROR}.percentage", "must be from 0 to 100"),
        (f"{MIRROR}.match[0]", {}, f"{MIRROR}.match[0]", "matches everything"),
        (f"{MIRROR}.match[0].path", {}, f"{MIRROR}.match[0].path", "has none of exact"),
        (f"{MIRROR}.match[0].headers.a", {}, f"{MIRROR}.match[0].headers[a]", "has none of exact"),
        (f"{HEADER}.headers", {}, f"{HEADER}.headers", "is not a field of"),
    ],
)
def test_a_step_or_name_that_makes_no_route_is_refused(at: str, value: Any, path: str, message: str) -> None:
    spec, problems = parse_rollout(spoilt(MANAGED, (at, value)))

    assert spec is None
    assert path in [problem.path for problem in problems]
    assert message in next(problem.message for problem in problems if problem.path == path)


def test_a_managed_route_is_not_split_as_well() -> None:
    split = "spec.strategy.canary.trafficRouting.istio.virtualServices[0].routes"

    _, problems = parse_rollout(spoilt(MANAGED, (split, ["testers"])))

    assert [problem.path for problem in problems] == [f"{AT}[0].name"]
