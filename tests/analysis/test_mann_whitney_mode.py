"""Kayenta's judgement in a run: which effect of a critical metric fails it, and what a look without a value is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.analysis.simulation import Simulation, analysis_run
from tests.analysis.traffic import answer, compared
from tidegate.core.analysis.world import Measure, Reading

GAUGE = 'x{h="{{arm.podTemplateHash}}"}'
ALIKE = "abcd"
"""Metrics beside the one in question, in which the versions don't differ."""


def gauge(name: str, count: int = 30, **fields: Any) -> dict[str, Any]:
    samples = {"gauge": GAUGE, "mode": "mannWhitney", **fields}
    return compared(name, compare={"samples": samples}, count=count)


def reading(taken: int, canary: float, stable: float = 1.0) -> Reading:
    wobble = 1 + 0.001 * (taken % 3)
    return answer([("canary", "gauge", "c", canary * wobble), ("stable", "gauge", "s", stable * wobble)])


def judged(canary: float, stable: float = 1.0, metric: dict[str, Any] | None = None, **fields: Any) -> Simulation:
    """Five metrics, of which cpu is critical; each is 20 of the score, and 80 pass. The others take longer, so cpu's
    verdict is read from the status again and again."""

    def say(measure: Measure, taken: int) -> Reading:
        return reading(taken, canary, stable) if measure.metric == "cpu" else reading(taken, 1.0)

    metrics = [metric or gauge("cpu", **fields), *(gauge(name, count=33) for name in ALIKE)]
    judge = {"score": {"pass": 80, "marginal": 50, "critical": ["cpu"]}}
    return Simulation(analysis_run(*metrics, judge=judge), say).play(until=timedelta(hours=1))


def sized(direction: str = "increase", **size: Any) -> dict[str, Any]:
    return {"direction": direction, "effectSize": size}


@pytest.mark.parametrize(
    ("fields", "canary", "score"),
    [
        pytest.param({}, 2.0, "0", id="by default every effect that counts"),
        pytest.param(sized(allowedIncrease=1.5), 2.0, "0", id="by default also beyond what is allowed"),
        pytest.param(sized(criticalIncrease=1.5), 2.0, "0", id="past it"),
        pytest.param(sized(criticalIncrease=2.0), 2.0, "0", id="just there"),
        pytest.param(sized(criticalIncrease="3"), 2.0, "80", id="not past it"),
        pytest.param(sized(allowedIncrease=5, criticalIncrease=13), 12.0, "80", id="Kayenta's, not critical"),
        pytest.param(sized(allowedIncrease=13, criticalIncrease=15), 12.0, "100", id="Kayenta's, nothing that counts"),
        pytest.param(sized("decrease", criticalDecrease=0.6), 0.5, "0", id="fallen past it"),
        pytest.param(sized("decrease", criticalDecrease=0.4), 0.5, "80", id="not fallen past it"),
        pytest.param(sized("either", criticalIncrease=3, criticalDecrease=0.6), 0.5, "0", id="each has its own: low"),
        pytest.param(sized("either", criticalIncrease=3, criticalDecrease=0.6), 2.0, "80", id="each has its own: high"),
        pytest.param(sized(measure="cles", criticalIncrease=1), 1.05, "0", id="every value is above stable's"),
        pytest.param(sized(measure="cles", criticalIncrease=0.95), 1.0015, "80", id="not so many are"),
    ],
)
def test_a_critical_metric_fails_the_run_by_a_critical_effect(
    fields: dict[str, Any], canary: float, score: str
) -> None:
    played = judged(canary, **fields)
    phase = "Failed" if score == "0" else "Successful"
    assert (played.status["phase"], played.status["judge"]["score"]) == (phase, score), played.status["judge"]
    assert bool(played.status["judge"].get("safe")) == (phase == "Successful")
    assert played.result("cpu")["phase"] == ("Successful" if score == "100" else "Failed")


def test_the_effect_and_what_would_be_critical_are_told() -> None:
    def told(canary: float, stable: float = 1.0, **fields: Any) -> str:
        return str(judged(canary, stable, **fields).result("cpu")["compare"]["message"])

    assert told(2.0, **sized(criticalIncrease=3)).endswith(": High; the ratio of means is 2, critical from 3 on")
    low = told(0.5, **sized("decrease", measure="cles", criticalDecrease=0.1))
    assert low.endswith(": Low; the chance of a higher value is 0, critical up to 0.1")
    assert told(2.0).endswith(": High"), "nobody said what is critical"
    assert told(1.0, **sized(criticalIncrease=3)) == "both have the same samples"


def test_an_effect_without_a_number_is_critical() -> None:
    played = judged(2.0, stable=0.0, **sized(criticalIncrease=3))
    assert (played.status["phase"], played.status["judge"]["score"]) == ("Failed", "0")
    message = played.result("cpu")["compare"]["message"]
    assert message.endswith("; the ratio of means is not defined, which is critical")


def test_a_static_bound_knows_no_mildness() -> None:
    metric = gauge("cpu", **sized(criticalIncrease=3))
    within = judged(2.0, metric={**metric, "failureCondition": "result.canary.mean > 1.5", "failureLimit": 30})
    assert within.status["judge"]["score"] == "80"
    over = judged(2.0, metric={**metric, "failureCondition": "result.canary.mean > 1.5", "failureLimit": 29})
    assert (over.status["phase"], over.status["judge"]["score"]) == ("Failed", "0")


def test_a_critical_metric_without_data_is_waited_for() -> None:
    """Kayenta fails the run, and by its replace passes it."""

    def say(measure: Measure, taken: int) -> Reading:
        return answer([("stable", "gauge", "s", 1.0)]) if measure.metric == "cpu" else reading(taken, 1.0)

    for fields in ({}, {"nanStrategy": "replace"}, sized(criticalIncrease=3)):
        metrics = [gauge("cpu", **fields), *(gauge(name) for name in ALIKE)]
        judge = {"score": {"pass": 80, "critical": ["cpu"]}}
        played = Simulation(analysis_run(*metrics, judge=judge), say).play(until=timedelta(minutes=20))
        assert played.status["phase"] == "Running" and "cpu" in played.status["judge"]["hold"]


@pytest.mark.parametrize(
    ("fields", "absent", "phase"),
    [
        ({"direction": "decrease"}, "canary", "Successful"),
        ({"direction": "decrease", "nanStrategy": "remove"}, "canary", "Successful"),
        ({"direction": "decrease", "nanStrategy": "replace"}, "canary", "Failed"),
        ({"direction": "increase", "nanStrategy": "replace"}, "canary", "Successful"),
        ({"direction": "increase", "nanStrategy": "remove"}, "stable", "Successful"),
        ({"direction": "increase", "nanStrategy": "replace"}, "stable", "Failed"),
    ],
)
def test_a_look_without_a_value_is_no_sample_or_a_zero(fields: dict[str, Any], absent: str, phase: str) -> None:
    """One version is scraped in every third window only."""

    def say(_: Measure, taken: int) -> Reading:
        parts = [("canary", "gauge", "c", 1.0 + 0.01 * (taken % 4)), ("stable", "gauge", "s", 1.0 + 0.01 * (taken % 4))]
        return answer([part for part in parts if part[0] != absent or taken % 3 == 0])

    played = Simulation(analysis_run(gauge("cpu", count=60, **fields)), say).play()
    assert played.status["phase"] == phase, played.status["message"]
    record = played.result("cpu")["compare"]["record"]
    replaced = fields.get("nanStrategy") == "replace"
    assert record["arms"][absent]["mean"] == pytest.approx(1.015 / 3 if replaced else 1.015, rel=0.01)
