"""What always holds, over stories that nobody would write by hand.

The stage checks lines 1 to 5, 10 and 11 at every single write (`stage.Broken` quotes the line); here the stories are
made, and their ends are looked at.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.rollout import generated
from tests.rollout.generated import PEOPLE, PODS, STRANGERS, Move, stories
from tests.rollout.objects import GUESTS, Obj
from tests.rollout.stage import Stage, Verdict, deployed
from tests.rollout.test_workload import referring, size, workload
from tests.rollout.trials import experiment_of
from tidegate.core.plan import Key
from tidegate.core.rollout.world import ENDED

EXAMPLES = int(os.environ.get("STORIES", "300"))
"""Stories for each property: half a minute in all."""

FEW = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
FEWER = settings(FEW, max_examples=EXAMPLES // 5)
"""For stories that are told twice."""

VERDICTS = st.dictionaries(
    st.sampled_from(("Step", "Background", "PrePromotion", "PostPromotion", "Experiment")),
    st.lists(generated.VERDICTS, min_size=1, max_size=3),
)
REPLICAS = st.sampled_from((1, 2, 3, 4, 5, 10))


REFERENCES = st.sampled_from((None, None, "never", "onsuccess", "progressively"))
"""Whether the template is a Deployment's, and how that is scaled down."""


def tell(
    strategy: Obj,
    replicas: int,
    verdicts: dict[str, list[Verdict]],
    story: list[Move],
    reference: str | None = None,
    *,
    drops: bool = False,
) -> Stage:
    stage = Stage(verdicts=verdicts, twice=True, drops=drops)
    if reference is None:
        deployed(strategy, stage=stage, replicas=replicas, ports=True)
    else:
        referring("Deployment", strategy, stage=stage, scale_down=reference, replicas=replicas)
        stage.put(workload("Deployment", ports=True))
        stage.settle()
    stage.image("v2")
    for move in story:
        move(stage)
    return stage


def check_end(stage: Stage) -> None:
    """Once everybody has come to reason, the present image has everything and nothing is left over."""
    stage.settle()
    generated.mend(stage)
    stage.settle()
    wanted = stage.rollout["spec"]["replicas"]
    image = stage.asked()

    assert stage.phase() == ("Healthy", ""), stage.status
    assert stage.sizes() == {image: wanted}
    assert stage.status["stableRS"] == stage.hash(image)
    check_roles(stage, image)
    for key in stage.objects:
        if key.kind == "VirtualService":
            assert stage.weight(key.name) == 0
            https = [http for http in stage.objects[key]["spec"]["http"] if http["name"] != GUESTS]
            assert [http["name"] for http in https] == ["primary", "testers"]
            assert [len(http["route"]) for http in https] == [2, 1]
        if key.kind == "DestinationRule":
            assert [each["name"] for each in stage.objects[key]["spec"]["subsets"]] == ["canary", "stable", "gold"]
        if key.kind == "Experiment":
            assert stage.objects[key]["status"]["phase"] in ENDED
        assert not (key.kind in ("Service", "ReplicaSet") and is_left_over(stage, key)), key
        if key.kind == "Service" and key.name != "app":
            assert stage.selects(key.name) == image, key.name
    if ref := stage.rollout["spec"].get("workloadRef"):
        assert size(stage) == (4 if ref["scaleDown"] == "never" else 0)


def is_left_over(stage: Stage, key: Key) -> bool:
    """Whether an ended Experiment still has this, a Service or pods."""
    found = stage.objects[key]
    return bool(experiment_of(found)) and (key.kind == "Service" or found["spec"]["replicas"] > 0)


def check_roles(stage: Stage, image: str) -> None:
    """Every pod bears the stable version's metadata and nothing of another role, and no template but theirs does."""
    (strategy,) = stage.rollout["spec"]["strategy"].values()
    wanted = strategy.get("stableMetadata") or strategy.get("activeMetadata") or {}
    for shown, rs in stage.sets().items():
        role = wanted if shown == image else {}
        pods = [pod.metadata for pod in stage.pods[rs["metadata"]["uid"]]]
        for metadata in (rs["spec"]["template"]["metadata"], *pods):
            assert (metadata.get("labels") or {}).get("role") == role.get("labels", {}).get("role")
            assert (metadata.get("annotations") or {}).get("for") == role.get("annotations", {}).get("for")


@FEW
@given(generated.canaries(), REPLICAS, VERDICTS, stories(PEOPLE, PODS), REFERENCES)
def test_a_canary_with_a_router(
    strategy: Obj, replicas: int, verdicts: dict[str, list[Verdict]], story: list[Move], reference: str | None
) -> None:
    """1. Traffic only goes where there is capacity. 2. On an undo, traffic goes first. 3. Pods outlive their routes."""
    check_end(tell(strategy, replicas, verdicts, story, reference))


@FEW
@given(generated.ratios(), REPLICAS, VERDICTS, stories(PEOPLE, PODS), REFERENCES)
def test_a_canary_by_numbers_of_pods(
    strategy: Obj, replicas: int, verdicts: dict[str, list[Verdict]], story: list[Move], reference: str | None
) -> None:
    """10. Idle is silent: it settles, and to the right end."""
    check_end(tell(strategy, replicas, verdicts, story, reference))


@FEW
@given(generated.blue_greens(), REPLICAS, VERDICTS, stories(PEOPLE, PODS), REFERENCES)
def test_blue_green(
    strategy: Obj, replicas: int, verdicts: dict[str, list[Verdict]], story: list[Move], reference: str | None
) -> None:
    """1, 2 and 3, where all traffic moves at once."""
    check_end(tell(strategy, replicas, verdicts, story, reference))


@FEW
@given(
    st.one_of(generated.canaries(), generated.ratios(), generated.blue_greens()),
    REPLICAS,
    VERDICTS,
    stories(PEOPLE, PODS, STRANGERS),
    REFERENCES,
)
def test_strangers_meddle(
    strategy: Obj, replicas: int, verdicts: dict[str, list[Verdict]], story: list[Move], reference: str | None
) -> None:
    """4. Only our own fields; and whatever others did to them is put right in the end."""
    check_end(tell(strategy, replicas, verdicts, story, reference))


@FEWER
@given(
    st.one_of(generated.canaries(), generated.ratios(), generated.blue_greens()),
    REPLICAS,
    VERDICTS,
    stories(PEOPLE, PODS),
)
def test_argos_definitions_are_installed(
    strategy: Obj, replicas: int, verdicts: dict[str, list[Verdict]], story: list[Move]
) -> None:
    """10. Idle is silent, also where what is written of Tidegate's own is dropped; and the same is told, as often.

    But for skipped steps, and pauses that are lifted one after the other: which one it was is in a field of our own.
    """
    stage = tell(strategy, replicas, verdicts, story, drops=True)
    check_end(stage)
    assert not {"duration", "releases"} & stage.status.keys()
    lifted = [move.words for move in story if move.words.startswith(("skip", "promote"))]
    if len(lifted) < 2 and "skip" not in "".join(lifted):
        with_ours = tell(strategy, replicas, verdicts, story)
        check_end(with_ours)
        assert stage.told == with_ours.told
