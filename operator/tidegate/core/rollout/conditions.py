"""The conditions of a Rollout: what `kubectl wait` and alerts look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from tidegate.api import names
from tidegate.core.times import format_time, parse_time

_ORDER: Final = (
    "Available",
    "Progressing",
    "ReplicaFailure",
    "Paused",
    "Healthy",
    "Completed",
    "InvalidSpec",
)

_PLACES: Final = {type_: place for place, type_ in enumerate(_ORDER)}

Conditions = Sequence[Mapping[str, Any]]


def find(conditions: Conditions, type_: str) -> Mapping[str, Any] | None:
    """The condition of this type, if it is there."""
    for condition in conditions:
        if condition.get("type") == type_:
            return condition
    return None


def holds(conditions: Conditions, type_: str) -> bool:
    """Whether the condition of this type is there and True."""
    found = find(conditions, type_)
    return found is not None and found.get("status") == "True"


def put(
    conditions: Conditions, type_: str, status: bool | None, reason: str, message: str, *, now: datetime
) -> list[Mapping[str, Any]]:
    """The conditions with this one set; unchanged where status, reason and message are. None means Unknown.

    lastTransitionTime moves when the status does, lastUpdateTime with any change.
    """
    word = "Unknown" if status is None else str(status)
    present = find(conditions, type_)
    if present and (present.get("status"), present.get("reason"), present.get("message")) == (
        word,
        reason,
        message,
    ):
        return list(conditions)
    moment = format_time(now)
    changed = present is None or present.get("status") != word
    entry = {
        "type": type_,
        "status": word,
        "lastUpdateTime": moment,
        "lastTransitionTime": moment if changed or present is None else present.get("lastTransitionTime", moment),
        "reason": reason,
        "message": message,
    }
    return _sorted([*(c for c in conditions if c.get("type") != type_), entry])


def touch(conditions: Conditions, type_: str, now: datetime) -> list[Mapping[str, Any]]:
    """The conditions with this one's lastUpdateTime moved to now."""
    moment = format_time(now)
    return [{**c, "lastUpdateTime": moment} if c.get("type") == type_ else c for c in conditions]


def drop(conditions: Conditions, type_: str) -> list[Mapping[str, Any]]:
    """The conditions without this one."""
    return [c for c in conditions if c.get("type") != type_]


def acting(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The conditions of a status, without the one that told of standing aside: whoever decides, acts."""
    return drop(status.get("conditions") or (), names.CONDITION_STANDING_ASIDE)


def updated_at(condition: Mapping[str, Any]) -> datetime | None:
    """When a condition last changed."""
    text = condition.get("lastUpdateTime")
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None


def _sorted(conditions: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(conditions, key=lambda c: _PLACES.get(c.get("type", ""), len(_PLACES)))
