"""A status goes out as Go would write it, and comes back the same."""

from __future__ import annotations

from tidegate.api.analysis_status import AnalysisRunStatus, Measurement, MetricResult, RunSummary
from tidegate.api.common import to_raw
from tidegate.api.parsing import parse_run_status
from tidegate.api.rollout_status import CanaryStatus, RolloutStatus, TrafficWeights, WeightDestination


def test_given_a_run_status_then_empty_fields_are_left_out_and_it_reads_back_the_same() -> None:
    status = AnalysisRunStatus(
        phase="Running",
        started_at="2026-11-01T10:00:00Z",
        run_summary=RunSummary(count=1),
        metric_results=(
            MetricResult(
                name="success-rate",
                phase="Running",
                consecutive_error=1,
                measurements=(Measurement(phase="Successful", value="[0.99]", metadata={"a": "b"}),),
            ),
        ),
    )
    raw = to_raw(status)
    assert raw == {
        "phase": "Running",
        "startedAt": "2026-11-01T10:00:00Z",
        "runSummary": {"count": 1},
        "metricResults": [
            {
                "name": "success-rate",
                "phase": "Running",
                "consecutiveError": 1,
                "measurements": [{"phase": "Successful", "value": "[0.99]", "metadata": {"a": "b"}}],
            }
        ],
    }
    assert parse_run_status({"status": raw}) == (status, ())


def test_given_a_rollout_status_then_odd_names_and_a_meaningful_zero_are_written() -> None:
    weights = TrafficWeights(canary=WeightDestination(weight=0), stable=WeightDestination(weight=100))
    status = RolloutStatus(
        stable_rs="6c5b7f7d9b", hpa_replicas=3, current_step_index=0, canary=CanaryStatus(weights=weights)
    )
    assert to_raw(status) == {
        "stableRS": "6c5b7f7d9b",
        "HPAReplicas": 3,
        "currentStepIndex": 0,
        "canary": {"weights": {"canary": {"weight": 0}, "stable": {"weight": 100}}},
    }
