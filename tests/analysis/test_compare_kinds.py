"""What each kind of comparison asks, and what it makes of the answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.analysis.simulation import Simulation, analysis_run
from tests.analysis.traffic import ARMS, answer, compared
from tidegate.core.analysis.compare.comparison import Comparison, with_arms
from tidegate.core.analysis.compare.gauges import Samples
from tidegate.core.analysis.compare.kinds import Counts, Distribution
from tidegate.core.analysis.compare.windows import Window
from tidegate.core.analysis.metrics import read_run
from tidegate.core.analysis.world import Measure, Reading
from tidegate.core.times import parse_time

WINDOW = Window(parse_time("2026-05-01T10:00:00Z"), parse_time("2026-05-01T10:00:30Z"))
S = 'x{h="{{arm.podTemplateHash}}"}'


def comparison(**compare: Any) -> Comparison:
    (metric,), problems = read_run({"spec": {"metrics": [compared(compare=compare, count=5)]}})
    assert metric.comparison is not None, problems
    return metric.comparison


def play(reading: Any, minutes: int = 5, **compare: Any) -> dict[str, Any]:
    say = reading if callable(reading) else lambda *_: reading
    played = Simulation(analysis_run(compared(compare=compare, count=5)), say).play()
    result: dict[str, Any] = played.result("errors")
    return result


def test_parameters_reach_the_judge() -> None:
    counts = comparison(counts={"total": S, "bad": S, "tolerated": 1.5, "safe": 4, "negligible": 0, "by": "node"}).kind
    assert isinstance(counts, Counts) and counts.by == "node"
    given = counts.parameters
    assert (given.tolerated, given.safe, given.negligible, given.false_alarm) == (1.5, 4, 0, 0.01)
    slow = comparison(distribution={"buckets": S, "tolerated": 2, "safe": 3, "covers": 0.9, "unit": "ms"}).kind
    assert isinstance(slow, Distribution)
    assert (slow.parameters.tolerated, slow.parameters.safe, slow.parameters.covers) == (2, 3, 0.9)
    assert slow.parameters.unit == "ms"
    used = comparison(samples={"gauge": S, "tolerated": 2, "safe": "3", "direction": "decrease", "by": "node"}).kind
    assert isinstance(used, Samples) and used.by == "node"
    assert (used.parameters.tolerated, used.parameters.safe, used.parameters.higher_is_worse) == (2, 3, False)
    either = comparison(samples={"gauge": S, "direction": "either"}).kind
    assert isinstance(either, Samples) and either.parameters.either and not used.parameters.either


def test_everything_about_both_arms_is_one_question() -> None:
    found = comparison(counts={"total": S, "bad": S.replace('}}"', '}}",code="500"')})
    query = found.question({"prometheus": {"address": "http://p"}}, WINDOW)["prometheus"]["query"]
    for arm, hash_ in (("canary", "6f"), ("stable", "5a")):
        assert f'"tidegate_arm", "{arm}"' in query and f'x{{h="{hash_}"}}[900s] @ 1777629600' in query
    assert query.count("sum by (pod)") == 4 and query.count(" or label_replace") == 4


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        ("counts", ("total", "bad")),
        ("counts", ("total", "good")),
        ("distribution", ("buckets",)),
        ("samples", ("gauge",)),
        ("samples", ("counter", "per")),
    ],
)
def test_each_selector_is_asked_for_of_both_arms(kind: str, parts: tuple[str, ...]) -> None:
    found = comparison(**{kind: {part: S.replace("x", part) for part in parts}})
    query = found.question({"prometheus": {}}, WINDOW)["prometheus"]["query"]
    assert all(f'{part}{{h="{hash_}"}}[' in query for part in parts for hash_ in ("6f", "5a"))


def test_counts_are_told_by_pod_and_as_good_or_bad() -> None:
    two = [("canary", "total", "a", 60.0), ("canary", "total", "b", 40.0), ("canary", "bad", "b", 10.0)]
    stable = [("stable", "total", "s", 900.0)]
    bad = play(answer([*two, *stable]), counts={"total": S, "bad": S})
    assert bad["measurements"][0]["value"] == "canary 10/100, stable 0/900"

    good = [(arm, part.replace("bad", "good"), pod, value) for arm, part, pod, value in two]
    told = play(answer([*good, *stable, ("stable", "good", "s", 900.0)]), counts={"total": S, "good": S})
    assert told["measurements"][0]["value"] == "canary 90/100, stable 0/900"
    assert "pods" in str(bad["compare"]["record"]) or bad["compare"]["record"]["looks"] >= 1


def test_one_sick_pod_does_not_pass_for_a_version() -> None:
    def reading(by_pod: bool) -> Reading:
        pods = [(f"c{n}", 30.0 if n == 0 else 1.0) for n in range(4)]
        canary = [("canary", "bad", "", 33.0), ("canary", "total", "", 1000.0)]
        if by_pod:
            canary = [("canary", part, pod, v) for pod, bad in pods for part, v in (("bad", bad), ("total", 250.0))]
        stable = [("stable", p, f"s{n}", v) for n in range(4) for p, v in (("bad", 1.0), ("total", 250.0))]
        return answer([*canary, *stable])

    blind = play(reading(by_pod=False), counts={"total": S, "bad": S})
    told = play(reading(by_pod=True), counts={"total": S, "bad": S})
    assert blind["compare"]["verdict"] == "worse"
    assert told["compare"]["verdict"] != "worse", "three of the canary's four pods are as good as stable's"


def buckets(arm: str, *within: float) -> list[tuple[str, str, str, float]]:
    return [(arm, "buckets", edge, value) for edge, value in zip(("0.1", "0.5", "1", "+Inf"), within, strict=True)]


def histogram(*parts: tuple[str, str, str, float]) -> Reading:
    found = answer(parts)
    labelled = ({("le" if name == "pod" else name): text for name, text in labels.items()} for labels, _ in found.value)
    return Reading(value=tuple(zip(labelled, (value for _, value in found.value), strict=True)))


def test_a_tail_is_found_and_quantiles_are_told() -> None:
    slow = histogram(*buckets("canary", 900, 910, 930, 1000), *buckets("stable", 9000, 9900, 9990, 10000))
    found = play(slow, distribution={"buckets": S})
    assert found["compare"]["verdict"] == "worse"
    assert found["measurements"][0]["value"] == "canary 1000 p50<=0.1 p99<=inf, stable 10000 p50<=0.1 p99<=0.5"
    assert found["compare"]["record"]["arms"]["stable"]["p50"] < 0.1


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([("canary", "buckets", "0.1", 1.0)], 'none with le="+Inf"'),
        ([*buckets("canary", 1, 2, 3, 4), ("stable", "buckets", "+Inf", 4.0)], "no bucket in common"),
        ([("canary", "buckets", "much", 1.0)], "no label le"),
    ],
)
def test_what_is_no_histogram_is_an_error(parts: Any, words: str) -> None:
    found = play(histogram(*parts), distribution={"buckets": S})
    assert found["measurements"][0]["phase"] == "Error" and words in found["measurements"][0]["message"]


def test_nobody_asked_yet_is_no_error_and_no_look() -> None:
    found = play(answer([]), distribution={"buckets": S})
    assert {m["phase"] for m in found["measurements"]} == {"Inconclusive"}
    assert found["measurements"][0]["message"] == "no data of canary and stable"


def test_samples_are_means_rates_or_shares_of_each_pod() -> None:
    cpu = [("canary", "counter", "a", 60.0), ("canary", "counter", "b", 30.0), ("stable", "counter", "s", 15.0)]
    calls = [("canary", "per", "a", 600.0), ("canary", "per", "b", 0.0), ("stable", "per", "s", 300.0)]
    gauges = [(arm, "gauge", pod, value) for arm, _, pod, value in cpu]

    def first(reading: Reading, **samples: str) -> str:
        return str(play(reading, samples=samples)["measurements"][0]["value"])

    assert first(answer(gauges), gauge=S) == "canary 45 (2), stable 15 (1)"
    assert first(answer(cpu), counter=S) == "canary 1.5 (2), stable 0.5 (1)", "by the second, of a window of 30"
    assert first(answer([*cpu, *calls]), counter=S, per=S) == "canary 0.1 (1), stable 0.05 (1)"


def test_pods_that_scatter_about_one_mean_are_known_again_by_their_names() -> None:
    """Each pod is high now and low then, and over time they do not differ. Who knew only the values at one time would
    take them for pods that differ, of which three can't show anything."""

    def say(measure: Measure, taken: int) -> Reading:
        def arm(name: str, mean: float) -> list[tuple[str, str, str, float]]:
            high = (2.2, 0.5, 0.3)
            return [(name, "gauge", pod, mean * high[(i + taken) % 3]) for i, pod in enumerate("abc")]

        return answer([*arm("canary", 1.5), *arm("stable", 1.0 + 0.02 * (taken % 2))])

    metric = compared(compare={"samples": {"gauge": S}}, count=40)
    found = Simulation(analysis_run(metric), say).play(until=timedelta(minutes=18)).result("errors")["compare"]
    assert found["verdict"] == "worse", found["message"]


def gauge(canary: float, stable: float) -> Any:
    def say(measure: Measure, taken: int) -> Reading:
        wobble = 1 + 0.02 * (taken % 3)
        return answer([("canary", "gauge", "c", canary * wobble), ("stable", "gauge", "s", stable)])

    return say


@pytest.mark.parametrize(("canary", "verdict"), [(2.0, "worse"), (1.0, "safe")])
def test_mann_whitney_speaks_once_at_the_end(canary: float, verdict: str) -> None:
    metric = compared(compare={"samples": {"gauge": S, "mode": "mannWhitney"}}, count=30)
    played = Simulation(analysis_run(metric), gauge(canary, 1.02)).play()
    entry = played.result("errors")
    assert len(played.asked) == 30 and entry["compare"]["verdict"] == verdict
    assert entry["measurements"][-2]["phase"] == "Inconclusive"
    before = Simulation(analysis_run(metric), gauge(canary, 1.02)).play(until=timedelta(minutes=5))
    assert before.result("errors")["compare"]["message"].endswith(
        "of 30 looks are in; Mann and Whitney's test is made after the last one"
    )
    assert played.status["phase"] == {"worse": "Failed", "safe": "Successful"}[verdict]


@pytest.mark.parametrize(
    ("fields", "canary", "verdict"),
    [
        ({"effectSize": {"allowedIncrease": 2.5}}, 2.0, "safe"),
        ({"effectSize": {"allowedIncrease": "1.5"}}, 2.0, "worse"),
        ({"effectSize": {"allowedDecrease": 0.4}, "direction": "decrease"}, 0.5, "safe"),
        ({"effectSize": {"allowedDecrease": 0.6}, "direction": "decrease"}, 0.5, "worse"),
        ({"effectSize": {"measure": "cles", "allowedIncrease": 0.9}}, 1.05, "worse"),
        ({"effectSize": {"measure": "cles", "allowedDecrease": 0.4}, "direction": "decrease"}, 0.5, "worse"),
        ({"effectSize": {"allowedIncrease": 1.1}}, 1.05, "safe"),
        ({"effectSize": {"allowedIncrease": 1.1}}, "one spike", "worse"),
        ({"effectSize": {"allowedIncrease": 1.1}, "outliers": "remove"}, "one spike", "safe"),
    ],
)
def test_mann_whitney_counts_what_is_large_enough(fields: dict[str, Any], canary: Any, verdict: str) -> None:
    def say(measure: Measure, taken: int) -> Reading:
        usual, wobble = canary if isinstance(canary, float) else 1.05, 1 + 0.005 * (taken % 3)
        value = 1000.0 if canary == "one spike" and taken == 7 else usual * wobble
        return answer([("canary", "gauge", "c", value), ("stable", "gauge", "s", 1.0 + 0.001 * (taken % 2))])

    metric = compared(compare={"samples": {"gauge": S, "mode": "mannWhitney", **fields}}, count=150)
    assert (
        Simulation(analysis_run(metric), say).play(until=timedelta(hours=2)).result("errors")["compare"]["verdict"]
        == verdict
    )


def test_what_a_template_says_of_its_arms_goes_before_what_the_rollout_says() -> None:
    compare = {"arms": {"stable": {"podTemplateHash": "baseline"}}, "counts": {"total": S, "bad": S}}
    merged = with_arms(
        {"name": "m", "compare": compare}, {arm: {**known, "service": arm} for arm, known in ARMS.items()}
    )
    assert merged["compare"]["arms"] == {
        "canary": {"podTemplateHash": "6f", "service": "canary"},
        "stable": {"podTemplateHash": "baseline"},
    }, "another version has nothing of the one that it stands in for"
    assert with_arms({"compare": compare}, {}) == {"compare": compare}, "an Experiment's has only what it says itself"
    fields = ("namespace", "podTemplateHash", "replicaSet", "service", "subset")
    arms = {arm: {field: f"{arm}-{field}" for field in fields} for arm in ("canary", "stable")}
    text = "x{" + ",".join(f'{field}="{{{{arm.{field}}}}}"' for field in fields) + "}"
    found = comparison(arms=arms, counts={"total": text, "bad": text}).selectors["canary"]["total"]
    assert found == "x{" + ",".join(f'{field}="canary-{field}"' for field in fields) + "}"
