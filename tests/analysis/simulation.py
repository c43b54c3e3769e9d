"""A run played in virtual time: `decide` in a loop, a scripted provider, and a status that is written as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.rollout.required import lacks
from tidegate.core.analysis.decide import decide
from tidegate.core.analysis.world import Measure, Reading, RunWorld, Taken
from tidegate.core.plan import Event

START = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
GOOD, BAD, UNCLEAR = (
    Reading(value=[1.0], text="[1]"),
    Reading(value=[2.0], text="[2]"),
    Reading(value=[3.0], text="[3]"),
)
BROKEN = Reading(error="Prometheus at http://prometheus gave no answer within 30 s")
LETTERS = {"S": GOOD, "F": BAD, "I": UNCLEAR, "E": BROKEN}

Answer = Callable[[Measure, int], Reading]
"""What a provider says to a measure, given how many measurements of that metric the status already counts."""


def metric(name: str = "success-rate", **fields: Any) -> dict[str, Any]:
    """A metric that takes 1 for a success, 2 for a failure and anything else for inconclusive."""
    return {
        "name": name,
        "successCondition": "result[0] == 1",
        "failureCondition": "result[0] == 2",
        "provider": {"prometheus": {"address": "http://prometheus", "query": name}},
        **fields,
    }


def analysis_run(*metrics: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    """A raw AnalysisRun."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": {"name": "guestbook-6d4f-2", "namespace": "shop", "uid": "u-1"},
        "spec": {"metrics": list(metrics), **spec},
    }


def script(text: str) -> Answer:
    """The nth measurement of every metric has the nth letter: S, F, I or E. After the last letter it repeats."""
    return lambda _, taken: LETTERS[text[min(taken, len(text) - 1)]]


def scripts(**texts: str) -> Answer:
    """A script for each metric by name."""
    return lambda measure, taken: script(texts[measure.metric])(measure, taken)


@dataclass
class Simulation:
    """Plays one run.

    crashes: numbers of the rounds (from 0) in which the operator dies between measuring and writing.
    """

    run: dict[str, Any]
    answer: Answer
    now: datetime = START
    takes: timedelta = timedelta(milliseconds=20)
    crashes: frozenset[int] = frozenset()
    writes: int = 0
    asked: list[tuple[str, datetime]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    rounds: int = 0

    @property
    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.run.get("status") or {}
        return status

    def result(self, name: str = "success-rate") -> dict[str, Any]:
        """The entry of one metric in the status."""
        return next(entry for entry in self.status["metricResults"] if entry["name"] == name)

    def asked_at(self, name: str = "success-rate") -> list[float]:
        """Seconds after the start at which a metric was measured."""
        return [(at - START).total_seconds() for asked, at in self.asked if asked == name]

    def play(self, *, until: timedelta = timedelta(hours=1)) -> Simulation:
        """Go on until the run has ended, nothing is to come, or the time is over."""
        for at in self._wake_ups():
            if at - START > until:
                break
            self.now = max(self.now, at)
            self.reconcile()
        return self

    def _wake_ups(self) -> Iterator[datetime]:
        yield self.now
        while (again := decide(RunWorld(self.run, self.now))).again_at or again.measures or again.status:
            yield again.again_at or self.now

    def reconcile(self) -> None:
        """One turn of the engine: decide, measure, decide, write; then the echo of the write."""
        plan = decide(RunWorld(self.run, self.now))
        if plan.measures:
            assert plan.status is None and not plan.events
            readings = tuple(self._take(measure) for measure in plan.measures)
            self.now += self.takes
            self.rounds += 1
            if self.rounds - 1 in self.crashes:
                self.now += timedelta(seconds=3)
                return
            plan = decide(RunWorld(self.run, self.now, readings))
            assert not plan.measures
            assert plan.status is not None, "a measurement that isn't written down was taken for nothing"
        if plan.status is None:
            assert not plan.events, "what is said to have changed must have been written"
            return
        self.run = {**self.run, "status": json.loads(json.dumps(plan.status))}
        assert not lacks("AnalysisRun", self.status), "Argo Rollouts' definition would refuse this status"
        self.writes += 1
        self.events += plan.events
        echo = decide(RunWorld(self.run, self.now))
        assert not echo.measures and echo.status is None and not echo.events, "the echo of a write causes more"

    def _take(self, measure: Measure) -> Taken:
        entries = {entry["name"]: entry for entry in self.status.get("metricResults") or ()}
        entry = entries.get(measure.metric, {})
        self.asked.append((measure.metric, self.now))
        reading = self.answer(measure, entry.get("count", 0) + entry.get("error", 0))
        return Taken(measure.metric, self.now, self.now + self.takes, reading, measure.window)
