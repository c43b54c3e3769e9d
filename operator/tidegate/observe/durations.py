"""How long updates took, from what the Rollouts' statuses tell at their ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, Histogram

from tidegate.core.times import parse_time

_TOTAL: Final = (30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800)
_PROGRESSION: Final = (30, 60, 120, 300, 600, 900, 1800, 3600)
_PAUSE: Final = (0, 60, 300, 600, 1800, 3600, 7200, 14400, 28800)


class Durations:
    """The three histograms of Argo Rollouts, by how the update ended."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def make(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(name, text, ["status"], buckets=buckets, registry=registry)

        self._total = make("rollout_duration_seconds", "Seconds from an update's beginning to its end", _TOTAL)
        self._progression = make(
            "rollout_progression_duration_seconds", "The same without waiting for people", _PROGRESSION
        )
        self._pause = make("rollout_manual_pause_duration_seconds", "Seconds of waiting for people", _PAUSE)

    def changed(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Take note of an update that ended between these two states of a Rollout."""
        old, new = _duration(before), _duration(after)
        if old.get("rolloutStartedAt") and not old.get("finishedAt"):
            if new.get("rolloutStartedAt") != old["rolloutStartedAt"] and new.get("rolloutStartedAt"):
                self._observe(old, new["rolloutStartedAt"], "Superseded")
            elif new.get("finishedAt"):
                self._observe(new, new["finishedAt"], new.get("completionStatus") or "Promoted")

    def _observe(self, duration: Mapping[str, Any], end: str, status: str) -> None:
        until = parse_time(end)
        total = (until - parse_time(duration["rolloutStartedAt"])).total_seconds()
        pause = float(duration.get("totalManualPauseDurationSeconds") or 0)
        if since := duration.get("manualPauseStartedAt"):
            pause += (until - parse_time(since)).total_seconds()
        self._total.labels(status).observe(total)
        self._progression.labels(status).observe(max(0.0, total - pause))
        self._pause.labels(status).observe(pause)


def _duration(rollout: Mapping[str, Any]) -> Mapping[str, Any]:
    return (rollout.get("status") or {}).get("duration") or {}
