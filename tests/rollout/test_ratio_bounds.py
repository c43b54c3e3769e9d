"""A canary without a router between maxSurge and maxUnavailable, watched at every moment."""

from __future__ import annotations

import pytest

from tests.rollout.objects import canary
from tests.rollout.stage import Stage, deployed

STEPS = ({"setWeight": 34}, {"pause": {"duration": 5}}, {"setWeight": 67}, {"pause": {"duration": 5}})


def extremes(stage: Stage) -> tuple[int, int]:
    """The most pods that were wanted and the fewest that were available, until the story ends."""
    most, fewest = 0, 10**9
    for _ in range(240):
        stage.play(0.5)
        sets = stage.sets().values()
        most = max(most, sum(rs["spec"]["replicas"] for rs in sets))
        fewest = min(
            fewest, sum(stage.available(rs["metadata"]["labels"]["rollouts-pod-template-hash"]) for rs in sets)
        )
    return most, fewest


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "most", "fewest"),
    [
        (10, "25%", "25%", 13, 8),
        (10, 1, 0, 11, 10),
        (10, 0, 3, 10, 7),
        (10, "0%", "9%", 10, 9),  # Both round to nothing: one pod may be missing, or nothing could ever begin.
        (3, "0%", "30%", 3, 2),
        (1, "0%", "50%", 1, 0),
        (3, "1%", "1%", 4, 3),
        (10, "20", "0", 12, 10),  # A percentage without its sign, as Argo Rollouts reads it.
        (5, "100%", 0, 10, 5),
    ],
)
@pytest.mark.parametrize("steps", [(), STEPS], ids=["rolling", "steps"])
def test_given_bounds_then_no_more_pods_are_wanted_and_no_fewer_are_available(
    replicas: int,
    surge: int | str,
    unavailable: int | str,
    most: int,
    fewest: int,
    steps: tuple[dict[str, object], ...],
) -> None:
    strategy = canary(*steps, how="pods", maxSurge=surge, maxUnavailable=unavailable)
    stage = deployed(strategy, replicas=replicas)
    stage.image("v2")

    found = extremes(stage)

    assert found[0] <= most
    assert found[1] >= fewest
    assert stage.phase() == ("Healthy", "")
    assert stage.sizes() == {"v2": replicas}


def test_given_bounds_of_a_rolling_update_then_they_are_used_to_the_full() -> None:
    """A field that was ignored would show here: the default is 25 % each."""
    stage = deployed(canary(how="pods", maxSurge=4, maxUnavailable=2), replicas=10)
    stage.image("v2")

    assert extremes(stage) == (14, 8)
