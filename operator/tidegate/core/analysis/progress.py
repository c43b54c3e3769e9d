"""What a run's status holds, read and written field for field as the API has it.

A decision reads a `Progress`, changes it and writes it back, so the names of the status' fields stand here
and nowhere else. Times have whole seconds, as in every Kubernetes status; due times are worked out from them
alone, so that an operator that takes over looks again at the same instant as the one before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, cast

from tidegate.api.names import AnalysisPhase
from tidegate.core.analysis.compare.standing import Standing
from tidegate.core.analysis.compare.windows import Window, next_window
from tidegate.core.analysis.metrics import Metric
from tidegate.core.analysis.verdicts import ENDED, Tally, Verdict
from tidegate.core.analysis.world import Taken
from tidegate.core.times import format_time, parse_time

ERROR_RETRY: Final = timedelta(seconds=10)
JOB_NAME: Final = "job-name"
JOB_NAMESPACE: Final = "job-namespace"
"""In the metadata of a measurement that is a Job: which."""

_COUNTERS: Final = {
    "count": "count",
    "successful": "successful",
    "failed": "failed",
    "inconclusive": "inconclusive",
    "error": "error",
    "consecutiveError": "consecutive_error",
    "consecutiveSuccess": "consecutive_success",
}
_FIELDS: Final = frozenset(
    {"phase", "message", "startedAt", "completedAt", "metricResults", "runSummary", "dryRunSummary", "judge"}
)


def unknown_fields(status: Mapping[str, Any]) -> dict[str, Any]:
    """What another operator, older or newer, has written into a status beside what stands here."""
    return {name: value for name, value in status.items() if name not in _FIELDS}


@dataclass(frozen=True, slots=True)
class MetricProgress:
    """One entry of `status.metricResults`. `measurements` stay as they are in the status, oldest first."""

    name: str
    phase: AnalysisPhase = "Pending"
    tally: Tally = field(default_factory=Tally)
    measurements: tuple[Mapping[str, Any], ...] = ()
    message: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False
    standing: Standing = field(default_factory=Standing)

    @property
    def ended(self) -> bool:
        return self.phase in ENDED

    @property
    def number(self) -> int:
        """The number of the measurement that is under way, or comes next; the first one's is 1."""
        return self.tally.count + self.tally.error + 1

    @property
    def flight(self) -> Mapping[str, Any] | None:
        """The measurement that is under way, if there is one: a Job takes it, or it is asked for again later."""
        last = self.measurements[-1] if self.measurements else {}
        metadata = last.get("metadata") or {}
        known = JOB_NAME in metadata or (metadata and "resumeAt" in last)
        return last if known and "finishedAt" not in last else None

    def due_at(self, metric: Metric, started_at: datetime) -> datetime | None:
        """When the next measurement of this metric is to be taken; None once there is none to take."""
        if self.ended:
            return None
        if metric.comparison is not None:
            return self._look_due_at(metric, started_at)
        if not self.measurements:
            return started_at + metric.initial_delay
        last = self.measurements[-1]
        if metric.is_job and self.flight is not None:  # its Job will tell
            return None
        if self.flight is not None and "resumeAt" in self.flight:
            return parse_time(self.flight["resumeAt"])
        if "finishedAt" not in last:  # left unfinished by a provider of another operator: take it again
            return started_at
        finished_at = parse_time(last["finishedAt"])
        if last.get("phase") == "Error" or metric.interval is None:
            return finished_at + ERROR_RETRY
        return finished_at + metric.interval

    def _look_due_at(self, metric: Metric, started_at: datetime) -> datetime:
        """When the next window of a comparison is full, and its samples are there."""
        assert metric.comparison is not None and metric.interval is not None
        at = self.window(metric, started_at, started_at).start + metric.interval + metric.comparison.delay
        last = self.measurements[-1] if self.measurements else {}
        return max(at, parse_time(last["finishedAt"]) + ERROR_RETRY) if last.get("phase") == "Error" else at

    def window(self, metric: Metric, started_at: datetime, now: datetime) -> Window:
        """The window of a look that is taken now."""
        assert metric.comparison is not None
        begin = (started_at + metric.initial_delay).replace(microsecond=0)
        return next_window(self.standing.up_to or begin, now, metric.comparison.delay)

    def with_flight(
        self, started_at: datetime, metadata: Mapping[str, str], keep: int, resume_at: datetime | None = None
    ) -> MetricProgress:
        """This progress with a measurement that is under way."""
        flight = {
            "phase": "Running",
            "startedAt": format_time(started_at),
            "metadata": dict(metadata),
            **({"resumeAt": format_time(resume_at)} if resume_at else {}),
        }
        finished = tuple(old for old in self.measurements if "finishedAt" in old)
        return replace(self, measurements=(*finished, flight)[-keep:])

    def with_measurement(self, taken: Taken, verdict: Verdict, keep: int) -> MetricProgress:
        """This progress with one more finished measurement, of which the last `keep` are kept."""
        reading = taken.reading
        measurement = {
            "phase": verdict.phase,
            "startedAt": format_time(taken.started_at),
            "finishedAt": format_time(taken.finished_at),
            **({"message": verdict.reason} if verdict.reason else {}),
            **({"value": reading.text} if reading.text else {}),
            **({"metadata": dict(reading.metadata)} if reading.metadata else {}),
        }
        finished = tuple(old for old in self.measurements if "finishedAt" in old)
        return replace(
            self,
            tally=self.tally.with_measurement(verdict.phase),
            measurements=(*finished, measurement)[-keep:],
            metadata={**self.metadata, **reading.asked},
        )

    def with_verdict(self, verdict: Verdict) -> MetricProgress:
        """This progress with a new phase, and what the last measurement had to say. Of a metric that is only watched
        the run's message tells nothing, so its own says which limit decided."""
        if verdict.phase == self.phase:
            return self
        message = str(self.measurements[-1].get("message", "")) if self.measurements else ""
        if self.dry_run and verdict.reason:
            message = f"Metric assessed {verdict.phase} due to {verdict.reason}"
        standing = self.standing.ended() if verdict.phase in ENDED else self.standing
        return replace(self, phase=verdict.phase, message=message, standing=standing)

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> MetricProgress:
        return cls(
            name=str(raw["name"]),
            phase=cast("AnalysisPhase", raw.get("phase") or "Pending"),
            tally=Tally(**{ours: int(raw.get(theirs) or 0) for theirs, ours in _COUNTERS.items()}),
            measurements=tuple(raw.get("measurements") or ()),
            message=str(raw.get("message") or ""),
            metadata=raw.get("metadata") or {},
            dry_run=bool(raw.get("dryRun")),
            standing=Standing.read(raw["compare"]) if raw.get("compare") else Standing(),
        )

    def write(self) -> dict[str, Any]:
        counters = {theirs: getattr(self.tally, ours) for theirs, ours in _COUNTERS.items()}
        return {
            "name": self.name,
            "phase": self.phase,
            "measurements": [dict(measurement) for measurement in self.measurements],
            **({"message": self.message} if self.message else {}),
            **{name: number for name, number in counters.items() if number},
            **({"dryRun": True} if self.dry_run else {}),
            **({"metadata": dict(self.metadata)} if self.metadata else {}),
            **({"compare": self.standing.write()} if self.standing.kind else {}),
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """The status of a run. A metric that was never measured has no entry in `metrics`."""

    phase: str = ""
    message: str = ""
    started_at: datetime | None = None
    completed_at: datetime | None = None
    judge: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, MetricProgress] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.phase in ENDED

    def of(self, metric: Metric) -> MetricProgress:
        entry = self.metrics.get(metric.name)
        if entry is None:
            return MetricProgress(metric.name, dry_run=metric.dry_run)
        return entry if entry.dry_run == metric.dry_run else replace(entry, dry_run=metric.dry_run)

    @classmethod
    def read(cls, status: Mapping[str, Any]) -> Progress:
        """Read a raw status; an absent one is a run that has not begun."""
        entries = [MetricProgress.read(raw) for raw in status.get("metricResults") or ()]
        return cls(
            phase=str(status.get("phase") or ""),
            message=str(status.get("message") or ""),
            started_at=parse_time(status["startedAt"]) if status.get("startedAt") else None,
            completed_at=parse_time(status["completedAt"]) if status.get("completedAt") else None,
            judge=status.get("judge") or {},
            metrics={entry.name: entry for entry in entries},
        )

    def write(self, metrics: Sequence[Metric]) -> dict[str, Any]:
        """The raw status. `metrics` are the run's own, for the summaries."""
        watched = [metric for metric in metrics if metric.dry_run]
        deciding = [metric for metric in metrics if not metric.dry_run]
        return {
            "phase": self.phase,
            **({"message": self.message} if self.message else {}),
            **({"startedAt": format_time(self.started_at)} if self.started_at else {}),
            **({"completedAt": format_time(self.completed_at)} if self.completed_at else {}),
            **({"metricResults": [entry.write() for entry in self.metrics.values()]} if self.metrics else {}),
            **({"judge": dict(self.judge)} if self.judge else {}),
            **({"runSummary": self._summary(deciding)} if metrics else {}),
            **({"dryRunSummary": self._summary(watched)} if watched else {}),
        }

    def _summary(self, metrics: Sequence[Metric]) -> dict[str, int]:
        """How many metrics there are, and how many of them ended in which way."""
        ends = [self.of(metric).phase for metric in metrics]
        counted = {name: ends.count(cast("AnalysisPhase", name.capitalize())) for name in
                   ("successful", "failed", "inconclusive", "error")}  # fmt: skip
        return {"count": len(ends), **{name: number for name, number in counted.items() if number}}
