"""How many pods, how much traffic: the arithmetic below every decision."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.rollout.replicas import Bounds, carries, nearly_carries, nearly_needed, needed, ratio, roll
from tidegate.core.rollout.shifting import reachable
from tidegate.core.rollout.world import ReplicaSet

percent = st.integers(0, 100)
counts = st.integers(0, 60)


def revision(name: str, replicas: int, available: int) -> ReplicaSet:
    raw = {
        "metadata": {"name": name, "uid": name, "labels": {"rollouts-pod-template-hash": name}},
        "spec": {"replicas": replicas},
        "status": {"replicas": replicas, "availableReplicas": available},
    }
    return ReplicaSet.read(raw)


@given(replicas=counts, weight=percent)
def test_the_pods_needed_for_a_weight_carry_it_and_one_fewer_does_not(replicas: int, weight: int) -> None:
    pods = needed(replicas, weight)

    assert carries(pods, replicas) >= weight
    assert pods == 0 or carries(pods - 1, replicas) < weight


@given(st.integers(1, 300), st.integers(0, 300), st.sampled_from((100, 1000)))
def test_as_many_pods_as_all_traffic_needs_carry_it_between_two_versions_whatever_the_weights_parts(
    replicas: int, stable: int, whole: int
) -> None:
    """Or neither version could give way to the other where there is room for no more pods."""
    stable = min(stable, replicas)
    share = nearly_carries(stable, replicas, whole)
    assert nearly_needed(replicas, whole - share, whole) <= replicas - stable
    exact = whole * stable / replicas
    assert exact - 1 < share < exact + 1
    assert share <= exact if 2 * stable < replicas else share <= exact * (1 + 2 / whole)


@given(want=percent, now=percent, canary=percent, stable=percent)
def test_a_canarys_weight_never_rises_above_what_it_carries(want: int, now: int, canary: int, stable: int) -> None:
    """What always holds, 1."""
    weight = reachable(want, now, canary, stable)

    assert weight <= now or weight <= canary


@given(now=percent, canary=percent, stable=percent)
def test_on_an_undo_stable_gets_at_once_what_it_carries(now: int, canary: int, stable: int) -> None:
    """What always holds, 2: an unready stable pod costs its share of the way and no more."""
    weight = reachable(0, now, canary, stable)

    assert weight <= now
    if canary or stable:
        assert 100 - weight >= min(100, max(stable, 100 - now))
    if stable == 100 or (canary == 0 and stable):
        assert weight == 0


@given(want=percent, now=percent, stable=percent)
def test_a_canary_without_pods_keeps_no_traffic_that_stable_could_take(want: int, now: int, stable: int) -> None:
    weight = reachable(want, now, 0, stable)

    assert weight == 0 if stable else weight == min(want, now)


@pytest.mark.parametrize(
    ("replicas", "weight", "surge", "canary", "stable"),
    [
        (10, 0, 1, 0, 10),
        (10, 100, 1, 10, 0),
        (10, 10, 0, 1, 9),
        (10, 25, 0, 3, 7),
        (5, 10, 0, 1, 4),
        (4, 1, 0, 1, 3),
        (4, 99, 0, 3, 1),
        (1, 50, 0, 1, 0),
        (1, 50, 1, 1, 1),
        (1, 1, 1, 1, 1),
        (0, 50, 1, 0, 0),
    ],
)
def test_the_ratio_of_pods_comes_nearest_to_the_weight(
    replicas: int, weight: int, surge: int, canary: int, stable: int
) -> None:
    found = ratio(replicas, weight, surge)

    assert (found.canary, found.stable) == (canary, stable)


@given(replicas=st.integers(2, 60), weight=st.integers(1, 99), surge=st.integers(0, 3))
def test_neither_side_of_a_ratio_is_rounded_away(replicas: int, weight: int, surge: int) -> None:
    found = ratio(replicas, weight, surge)

    assert found.canary >= 1
    assert found.stable >= 1
    assert replicas <= found.canary + found.stable <= replicas + min(surge, 1)


SIZES = st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12)).map(
    lambda t: (t[0], min(t[0], t[1]), t[2])
)


@given(
    sets=st.lists(SIZES, min_size=1, max_size=4),
    replicas=st.integers(0, 12),
    surge=st.integers(0, 4),
    unavailable=st.integers(0, 4),
)
def test_a_roll_stays_between_surge_and_unavailable(
    sets: list[tuple[int, int, int]], replicas: int, surge: int, unavailable: int
) -> None:
    bounds = Bounds.resolve(surge, unavailable, replicas)
    wanted = [(revision(f"r{i}", size, available), want) for i, (size, available, want) in enumerate(sets)]

    sizes = roll(wanted, replicas, bounds)

    before = sum(rs.replicas for rs, _ in wanted)
    after = sum(sizes.get(rs.name, rs.replicas) for rs, _ in wanted)
    grown = sum(max(0, sizes.get(rs.name, rs.replicas) - rs.replicas) for rs, _ in wanted)
    assert not grown or before + grown <= replicas + bounds.surge
    lost = sum(max(0, rs.available - sizes.get(rs.name, rs.replicas)) for rs, _ in wanted)
    available = sum(rs.available for rs, _ in wanted)
    assert not lost or available - lost >= replicas - bounds.unavailable
    assert after >= 0
    for rs, want in wanted:
        size = sizes.get(rs.name, rs.replicas)
        assert min(rs.replicas, want) <= size <= max(rs.replicas, want)


@given(
    replicas=st.integers(1, 12),
    weight=percent,
    surge=st.integers(0, 4),
    unavailable=st.integers(0, 4),
    start=st.integers(0, 12),
)
def test_with_pods_that_become_available_every_roll_arrives(
    replicas: int, weight: int, surge: int, unavailable: int, start: int
) -> None:
    bounds = Bounds.resolve(surge, unavailable, replicas)
    goal = ratio(replicas, weight, bounds.surge)
    sizes = {"new": min(start, replicas), "stable": replicas - min(start, replicas)}

    for _ in range(6 * replicas + 6):
        wanted = [
            (revision("new", sizes["new"], sizes["new"]), goal.canary),
            (revision("stable", sizes["stable"], sizes["stable"]), goal.stable),
        ]
        step = roll(wanted, replicas, bounds)
        if not step:
            break
        sizes |= step

    assert sizes == {"new": goal.canary, "stable": goal.stable}


@pytest.mark.parametrize(
    ("surge", "unavailable", "replicas", "expected"),
    [
        ("25%", "25%", 10, (3, 2)),
        ("25%", "25%", 1, (1, 0)),
        (0, "5%", 10, (0, 1)),
        (2, 1, 10, (2, 1)),
        ("0%", 0, 3, (0, 1)),
        ("0%", "9%", 10, (0, 1)),
        ("0%", "30%", 3, (0, 1)),
        ("1%", "1%", 10, (1, 0)),
        ("25", "25", 10, (3, 2)),
        ("150%", "100%", 4, (6, 4)),
    ],
)
def test_bounds_are_rounded_as_deployments_round_them(
    surge: int | str, unavailable: int | str, replicas: int, expected: tuple[int, int]
) -> None:
    bounds = Bounds.resolve(surge, unavailable, replicas)

    assert (bounds.surge, bounds.unavailable) == expected
