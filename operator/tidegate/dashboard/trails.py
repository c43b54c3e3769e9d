"""The weights that this process has seen of each Rollout, for a chart. Nothing is decided from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from tidegate.core.plan import Key
from tidegate.core.times import format_time
from tidegate.core.view.outcome import canary_weight
from tidegate.core.view.phase import strategy_of

Obj = Mapping[str, Any]

LONGEST: Final = 96
"""Points of one Rollout that are kept: several updates of a dozen steps."""


class Point(NamedTuple):
    """From when on (RFC 3339) the version with this pod template hash has had this part of the traffic, in percent."""

    at: str
    hash: str
    share: int


def share(rollout: Obj) -> int:
    """The present version's part of the traffic in percent: by the route, else by the pods, else by the Service."""
    status = rollout.get("status") or {}
    current = status.get("currentPodHash")
    if strategy_of(rollout)[0] == "blueGreen":
        return 100 * (bool(current) and (status.get("blueGreen") or {}).get("activeSelector") == current)
    if current == status.get("stableRS"):
        return 100
    if (weight := canary_weight(rollout)) is not None:
        return weight
    total = int(status.get("replicas") or 0)
    return round(100 * int(status.get("updatedReplicas") or 0) / total) if total else 0


class Trails:
    """What has been seen since this process began. now: the time that points are stamped with."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._seen: dict[Key, tuple[str, list[Point]]] = {}

    def note(self, key: Key, rollout: Obj | None) -> None:
        """Take note of a Rollout as it is now; None where it is gone."""
        if rollout is None:
            self._seen.pop(key, None)
            return
        uid, hash_ = rollout["metadata"].get("uid", ""), (rollout.get("status") or {}).get("currentPodHash") or ""
        if not hash_:
            return
        known, points = self._seen.get(key, ("", []))
        if known != uid:
            points = []
            self._seen[key] = (uid, points)
        part = share(rollout)
        if not points or (points[-1].hash, points[-1].share) != (hash_, part):
            points.append(Point(format_time(self._now()), hash_, part))
            del points[:-LONGEST]

    def of(self, rollout: Obj) -> list[Point]:
        """The points of a Rollout, oldest first; before them what its status tells of this update's beginning."""
        metadata, status = rollout["metadata"], rollout.get("status") or {}
        key = Key("Rollout", metadata.get("namespace", ""), metadata["name"])
        uid, points = self._seen.get(key, ("", []))
        seen = list(points) if uid == metadata.get("uid") else []
        began = (status.get("duration") or {}).get("rolloutStartedAt")
        first = next((point for point in seen if point.hash == status.get("currentPodHash")), None)
        if began and first is not None and began < first.at and first is seen[0] and first.share < 100:
            return [Point(began, first.hash, 0), *seen]
        return seen
