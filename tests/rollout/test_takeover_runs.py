"""An AnalysisRun that Argo Rollouts was measuring: its measurements count, and the next one comes when it was due."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from tests.analysis.simulation import BAD, GOOD, analysis_run, metric
from tests.rollout.argo import stamp
from tests.rollout.stage import START
from tidegate.core.analysis.decide import decide
from tidegate.core.analysis.world import Reading, RunPlan, RunWorld, Taken

INTERVAL: Final = 20


def begun(*, failed: int = 0, **more: Any) -> dict[str, Any]:
    """Two of three measurements are taken, 20 s apart; the last one ended 8 s ago."""
    run = analysis_run(metric(interval=f"{INTERVAL}s", count=3, failureLimit=1))
    times = ((-29, -28), (-9, -8))
    phases = ["Failed"] * failed + ["Successful"] * (2 - failed)
    measurements = [
        {"phase": phase, "startedAt": stamp(start), "finishedAt": stamp(end), "value": "[1]"}
        for phase, (start, end) in zip(phases, times, strict=True)
    ]
    counts = {"count": 2, "successful": 2 - failed, **({"failed": failed} if failed else {})}
    result = {"name": "success-rate", "phase": "Running", **counts, "measurements": measurements, **more}
    summary = {"count": 1, "successful": 0, "failed": 0}
    run["status"] = {
        "phase": "Running",
        "startedAt": stamp(-29),
        "metricResults": [result],
        "dryRunSummary": {},
        "runSummary": summary,
    }
    return run


def look(run: dict[str, Any], seconds: float, *readings: Reading) -> RunPlan:
    now: datetime = START + timedelta(seconds=seconds)
    taken = tuple(Taken("success-rate", now, now, reading) for reading in readings)
    return decide(RunWorld(run, now, taken))


def test_given_two_of_three_measurements_when_taken_over_then_the_third_comes_when_it_was_due() -> None:
    run = begun()
    plan = look(run, 0)
    assert plan.measures == (), "not yet, and never the first anew"
    assert plan.again_at is not None
    assert abs((plan.again_at - START).total_seconds() - (INTERVAL - 8)) < 1
    assert [measure.metric for measure in look(run, INTERVAL - 7).measures] == ["success-rate"]


@pytest.mark.parametrize(
    ("failed", "reading", "phase"), [(0, GOOD, "Successful"), (0, BAD, "Successful"), (1, BAD, "Failed")]
)
def test_given_argos_measurements_when_the_last_one_is_in_then_all_three_count(
    failed: int, reading: Reading, phase: str
) -> None:
    plan = look(begun(failed=failed), INTERVAL - 7, reading)
    assert plan.status is not None
    (result,) = plan.status["metricResults"]
    assert (plan.status["phase"], plan.status["startedAt"]) == (phase, stamp(-29))
    assert (result["count"], len(result["measurements"])) == (3, 3)
    assert result["measurements"][0]["startedAt"] == stamp(-29)
