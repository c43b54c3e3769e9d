"""What an autoscaler reads of a Rollout: the scale subresource's count and selector (contract 1.8)."""

from __future__ import annotations

from tests.rollout.objects import blue_green, canary, rollout, service
from tests.rollout.stage import Stage, deployed


def view(stage: Stage) -> tuple[int, str]:
    return stage.status["HPAReplicas"], stage.status["selector"]


def of(stage: Stage, image: str) -> str:
    return f"app=app,rollouts-pod-template-hash={stage.hash(image)}"


def test_given_blue_green_then_the_autoscaler_sees_the_active_version_alone() -> None:
    """Argo Rollouts #4847, #2857: a count of both versions makes an autoscaler flip-flop."""
    stage = deployed(blue_green(autoPromotionEnabled=False), replicas=3)
    stage.image("v2")
    stage.play(60)
    assert stage.sizes() == {"v1": 3, "v2": 3}
    assert view(stage) == (3, of(stage, "v1"))

    stage.user(pauseConditions=None)
    stage.play(5)

    assert stage.sizes() == {"v1": 3, "v2": 3}
    assert view(stage) == (3, of(stage, "v2"))


def test_given_a_scale_by_the_autoscaler_then_both_versions_follow_and_the_count_is_that_of_the_active_one() -> None:
    stage = deployed(blue_green(autoPromotionEnabled=False, previewReplicaCount=1), replicas=3)
    stage.image("v2")
    stage.play(60)

    stage.spec(replicas=6)
    stage.play(60)

    assert stage.sizes() == {"v1": 6, "v2": 1}
    assert view(stage) == (6, of(stage, "v1"))


def test_given_no_active_version_yet_then_the_autoscaler_sees_all_pods() -> None:
    stage = Stage(boot={"v1": 50.0})
    for name in ("app-active", "app-preview"):
        stage.put(service(name))
    stage.put(rollout(blue_green(), replicas=3))

    stage.play(10)
    assert view(stage) == (3, "app=app")

    stage.play(60)
    assert view(stage) == (3, of(stage, "v1"))


def test_given_labels_after_the_hash_in_the_alphabet_then_the_selector_is_sorted() -> None:
    """As Kubernetes writes selectors, so that nobody sees a change where there is none."""
    labels = {"app": "app", "tier": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "v1"}]}}
    stage = deployed(blue_green(), replicas=1, selector={"matchLabels": labels}, template=template)

    assert stage.status["selector"] == f"app=app,rollouts-pod-template-hash={stage.hash('v1')},tier=web"


def test_given_a_canary_then_the_autoscaler_sees_every_pod() -> None:
    stage = deployed(canary({"setWeight": 50}, {"pause": {}}), replicas=4)
    stage.image("v2")
    stage.play(60)

    assert view(stage) == (6, "app=app")
