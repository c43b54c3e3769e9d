"""Metrics that compare the versions of an Experiment: which versions they are about, and what is said where that is not
known."""

from __future__ import annotations

from typing import Any

import pytest

from tests.crash.stories import comparing
from tests.experiment.standalone import NAMESPACE, Obj, asked, begin, experiment, version
from tests.rollout.objects import TRIED, canary, trial
from tests.rollout.stage import HASH, Stage, Verdict, set_up
from tidegate.core.plan import Key

FULL = (
    'requests{ns="{{arm.namespace}}",rs="{{arm.replicaSet}}",hash="{{arm.podTemplateHash}}",service="{{arm.service}}"}'
)
BY_HASH = 'requests{hash="{{arm.podTemplateHash}}"}'
BY_SUBSET = 'envoy_cluster_upstream_rq_xx{cluster_name=~"outbound[|]80[|]{{arm.subset}}[|].*"}'


def compared(selector: str = FULL, **compare: Any) -> Obj:
    given = {"counts": {"total": selector, "bad": selector}, **compare}
    return comparing("ok", count=3, compare=given)


def arms_of(stage: Stage, name: str = "look") -> Obj:
    """The arms of the run that an analysis has got."""
    (run,) = (obj for key, obj in stage.objects.items() if key.kind == "AnalysisRun" and key.name.endswith(name))
    arms: Obj = run["spec"]["metrics"][0]["compare"]["arms"]
    return arms


def of_set(stage: Stage, name: str, service: str = "") -> Obj:
    hash_ = stage.objects[Key("ReplicaSet", NAMESPACE, name)]["metadata"]["labels"][HASH]
    known = {"namespace": NAMESPACE, "podTemplateHash": hash_, "replicaSet": name}
    return {**known, "service": service} if service else known


def test_the_arms_are_the_versions_that_the_analysis_names() -> None:
    versions = (version("old", service={"name": "old-app"}), version("new", "v2", service={}))
    named = asked(arms={"canary": "new", "stable": "old"})
    stage = begin(experiment(*versions, analyses=[named], duration="1h"))
    stage.put(compared())
    stage.play(5)

    assert arms_of(stage) == {
        "canary": of_set(stage, "trial-new", "trial-new"),
        "stable": of_set(stage, "trial-old", "old-app"),
    }


def test_a_steps_arms_are_the_canary_and_a_fresh_baseline() -> None:
    verdicts = {"Experiment": [Verdict(after=None)]}
    step = trial(5, 5, analyses=[asked(requiredForCompletion=True)])
    stage = set_up(canary(step, how="hosts"), replicas=10, ports=True, stage=Stage(verdicts=verdicts, twice=True))
    stage.put(compared())
    stage.settle()
    stage.image("v2")
    stage.play(10)

    (name,) = (key.name for key in stage.objects if key.kind == "Experiment")
    fresh, baseline = (f"{name}-{each}" for each in TRIED)
    assert arms_of(stage) == {
        "canary": of_set(stage, fresh, fresh),
        "stable": of_set(stage, baseline, baseline),
    }
    hashes = {arm["podTemplateHash"] for arm in arms_of(stage).values()}
    assert not hashes & {stage.hash("v1"), stage.hash("v2")}, "the Rollout's own pods are none of them"


def test_what_a_template_says_of_one_arm_leaves_the_other_to_the_analysis() -> None:
    own = {"arms": {"stable": {"podTemplateHash": "6f", "namespace": "elsewhere"}}}
    stage = begin(experiment(version("new"), analyses=[asked(arms={"canary": "new"})], duration="1h"))
    stage.put(compared(BY_HASH, **own))
    stage.play(5)

    assert arms_of(stage)["stable"] == own["arms"]["stable"]
    assert arms_of(stage)["canary"] == of_set(stage, "trial-new")


@pytest.mark.parametrize(
    ("arms", "selector", "told"),
    [
        (
            None,
            BY_HASH,
            "spec.analyses[0].arms.canary: is required: metric success compares two versions; name the template of "
            "this Experiment that is meant",
        ),
        ({"canary": "new"}, BY_HASH, "spec.analyses[0].arms.stable: is required: metric success compares two versions"),
        ({"canary": "new", "stable": "odd"}, BY_HASH, "arms.stable: 'odd' is no template of this Experiment: old, new"),
        ({"canary": "new", "stable": "new"}, BY_HASH, "arms.stable: 'new' is the canary too"),
        ({"canary": "new", "stable": "old"}, FULL, "{{arm.service}} is not known of canary: neither the Rollout's"),
    ],
)
def test_an_experiment_that_does_not_say_what_to_compare_is_refused(arms: Obj | None, selector: str, told: str) -> None:
    named = asked(arms=arms) if arms else asked()
    stage = begin(experiment(version("old"), version("new", "v2"), analyses=[named], duration="1h"))
    stage.put(compared(selector))
    stage.play(5)

    invalid = next(each for each in stage.ended["conditions"] if each["type"] == "InvalidSpec")
    assert told in invalid["message"]
    assert not any(key.kind == "AnalysisRun" for key in stage.objects)


@pytest.mark.parametrize(
    ("refs", "arms", "told"),
    [
        (
            ["canary"],
            None,
            "arms.stable: is required: metric success compares two versions; give exactly one template that specRef",
        ),
        (["canary", "stable", "stable"], None, "arms.stable: is required"),
        (["canary", "stable", "stable"], {"stable": "t1"}, ""),
        (["canary", "canary", "stable"], None, "arms.canary: is required"),
        (["canary", "canary", "stable"], {"canary": "t0"}, ""),
    ],
)
def test_a_step_is_refused_before_the_update_where_its_versions_are_not_clear(
    refs: list[str], arms: Obj | None, told: str
) -> None:
    templates = [{"name": f"t{index}", "specRef": ref} for index, ref in enumerate(refs)]
    named = asked(arms=arms) if arms else asked()
    step = {"experiment": {"templates": templates, "duration": "1h", "analyses": [named]}}
    stage = set_up(canary(step), ports=True)
    stage.put(compared(BY_HASH))
    stage.settle()

    invalid = [each["message"] for each in stage.status["conditions"] if each["type"] == "InvalidSpec"]
    if not told:
        assert not invalid
        return
    assert f"spec.strategy.canary.steps[0].experiment.analyses[0].{told}" in invalid[0]


def stepped(how: str, weight: int, selector: str) -> Stage:
    """v2 is tried in a step whose versions have this weight, and compared by the selector."""
    verdicts = {"Experiment": [Verdict(after=None)]}
    step = trial(weight, weight, analyses=[asked(requiredForCompletion=True)])
    stage = set_up(canary(step, how=how), replicas=10, ports=True, stage=Stage(verdicts=verdicts, twice=True))
    stage.put(compared(selector))
    stage.settle()
    stage.image("v2")
    return stage.play(10)


def test_versions_of_a_step_by_subset_are_known_by_the_subset_that_leads_to_them() -> None:
    stage = stepped("subsets", 5, BY_SUBSET)

    (rule,) = (obj for key, obj in stage.objects.items() if key.kind == "DestinationRule")
    arms = arms_of(stage)
    by_name = {each["name"]: each.get("labels", {}).get(HASH) for each in rule["spec"]["subsets"]}
    for arm in ("canary", "stable"):
        assert by_name[arms[arm]["subset"]] == arms[arm]["podTemplateHash"]
    assert "subset" not in str(arms_of(stepped("hosts", 5, FULL)))


def test_a_step_that_compares_nothing_makes_what_argo_rollouts_would_make() -> None:
    verdicts = {"Experiment": [Verdict(after=None)]}
    step = trial(5, 5, analyses=[asked(requiredForCompletion=True)])
    stage = set_up(canary(step, how="subsets"), replicas=10, ports=True, stage=Stage(verdicts=verdicts, twice=True))
    stage.settle()
    stage.image("v2")
    stage.play(10)

    (made,) = (obj["spec"] for key, obj in stage.objects.items() if key.kind == "Experiment")
    assert not any("bySubset" in each for each in made["templates"]) and "arms" not in made["analyses"][0]


@pytest.mark.parametrize(("how", "weight"), [("hosts", 5), ("subsets", 0)])
def test_a_step_whose_versions_have_no_subset_is_refused_if_that_is_asked_for(how: str, weight: int) -> None:
    stage = stepped(how, weight, BY_SUBSET)

    (invalid,) = [each["message"] for each in stage.status["conditions"] if each["type"] == "InvalidSpec"]
    assert "compare.counts.total: {{arm.subset}} is not known of canary: neither the strategy nor the" in invalid


def test_an_experiment_by_itself_says_which_of_its_versions_have_a_subset() -> None:
    versions = [version(name, service={"name": f"{name}-app"}, bySubset=True) for name in ("old", "new")]
    named = asked(arms={"canary": "new", "stable": "old"})
    stage = begin(experiment(*versions, analyses=[named], duration="1h"))
    stage.put(compared(BY_SUBSET))
    stage.play(5)
    assert [arms_of(stage)[arm]["subset"] for arm in ("canary", "stable")] == ["new-app", "old-app"]

    bare = begin(experiment(version("old", bySubset=True)))
    bare.play(5)
    invalid = next(each for each in bare.ended["conditions"] if each["type"] == "InvalidSpec")
    assert "spec.templates[0].bySubset: needs a service" in invalid["message"]
