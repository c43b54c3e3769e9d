"""What analyses have measured, as numbers for charts: each metric's values, both arms, the judge's evidence."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeGuard

import orjson

from tidegate.core.view.tree import hash_of, owner_uid, revision_of, run_view

Obj = Mapping[str, Any]

_LIMIT: Final = re.compile(r"\s*(?:result|result\[0\])\s*(>=|>|<=|<)\s*(-?\d+(?:\.\d+)?)\s*")
_MOST_SERIES: Final = 4


def runs_of(rollout: Obj, runs: Iterable[Obj]) -> list[dict[str, Any]]:
    """The analysis runs of a Rollout, newest first, each with its metrics."""
    mine = [run for run in runs if owner_uid(run) == rollout["metadata"].get("uid")]
    newest = sorted(mine, key=lambda run: (run["metadata"].get("creationTimestamp", ""), run["metadata"]["name"]))
    return [_run(run) for run in reversed(newest)]


def _run(run: Obj) -> dict[str, Any]:
    seen, status = run_view(run), run.get("status") or {}
    specs = {metric.get("name"): metric for metric in (run.get("spec") or {}).get("metrics") or ()}
    return {
        "kind": seen.kind,
        "name": seen.name,
        "type": seen.type,
        "phase": seen.phase,
        "message": seen.message,
        "revision": revision_of(run),
        "hash": hash_of(run),
        "created": seen.created,
        "judge": _judge(status.get("judge") or {}),
        "metrics": [
            _metric(result, specs.get(result.get("name")) or {}) for result in status.get("metricResults") or ()
        ],
    }


def _judge(told: Obj) -> str:
    return " ".join(str(told[field]) for field in ("message", "hold") if told.get(field))


def _metric(result: Obj, spec: Obj) -> dict[str, Any]:
    measurements = result.get("measurements") or ()
    return {
        "name": str(result.get("name") or ""),
        "phase": str(result.get("phase") or ""),
        "message": str(result.get("message") or ""),
        "dryRun": bool(result.get("dryRun")),
        "success": str(spec.get("successCondition") or ""),
        "failure": str(spec.get("failureCondition") or ""),
        "limits": _limits(spec),
        "points": [
            {
                "at": str(one.get("finishedAt") or one.get("startedAt") or ""),
                "phase": str(one.get("phase") or ""),
                "values": numbers(one.get("value")),
                "said": str(one.get("message") or ""),
            }
            for one in measurements
        ],
        "compare": _comparison(result.get("compare") or {}),
    }


def numbers(value: object) -> list[float]:
    """The numbers that a measurement's value consists of: one, or a few of a vector; none where it is no number."""
    try:
        found = orjson.loads(value) if isinstance(value, str) else value
    except orjson.JSONDecodeError:
        return []
    items = found if isinstance(found, list) else [found]
    fit = [float(item) for item in items[:_MOST_SERIES] if isinstance(item, int | float) and not isinstance(item, bool)]
    return fit if len(fit) == min(len(items), _MOST_SERIES) and all(map(math.isfinite, fit)) else []


def _limits(spec: Obj) -> list[float]:
    """Where a condition compares the result with a plain number: the line to draw."""
    found = (_LIMIT.fullmatch(str(spec.get(field) or "")) for field in ("successCondition", "failureCondition"))
    return sorted({float(match[2]) for match in found if match})


def _comparison(compare: Obj) -> dict[str, Any] | None:
    """A metric that compares: verdict, both arms, and the way of its evidence as shares of what is needed."""
    if not compare:
        return None
    record = compare.get("record") or {}
    trail = [point for point in record.get("trail") or () if _is_point(point)]
    ratio = record.get("ratio") or {}
    return {
        "verdict": str(compare.get("verdict") or "no look yet"),
        "message": str(compare.get("message") or ""),
        "arms": [
            {
                "name": str(name),
                "figures": [[str(field), value] for field, value in figures.items() if _is_number(value)],
            }
            for name, figures in (record.get("arms") or {}).items()
            if isinstance(figures, Mapping)
        ],
        "rates": _success_rates(record.get("arms") or {}),
        "ratio": {field: ratio[field] for field in ("value", "lower", "upper") if _is_number(ratio.get(field))},
        "looks": record.get("looks") if _is_number(record.get("looks")) else None,
        "cautions": [str(text) for text in record.get("cautions") or ()],
        "trail": [{"look": point[0], "worse": point[1], "safe": point[2]} for point in trail],
    }


def _success_rates(arms: Obj) -> list[dict[str, Any]]:
    """The success rate of each arm, where it counts requests and those that failed."""
    found = []
    for name, figures in arms.items():
        if not isinstance(figures, Mapping):
            continue
        bad, total = figures.get("bad"), figures.get("total")
        if _is_number(bad) and _is_number(total) and 0 <= bad <= total and total:
            found.append({"arm": str(name), "success": 1 - bad / total, "requests": total})
    return found


def _is_point(point: object) -> bool:
    return isinstance(point, Sequence) and len(point) == 3 and all(map(_is_number, point))


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
