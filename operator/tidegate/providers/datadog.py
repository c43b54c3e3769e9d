"""Datadog: the last point of a series (API v1), or one number out of queries and a formula (v2).

Argo Rollouts reads a point without a value (null) of v1 as 0; here there is no value then.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from tidegate.core.analysis.values import show_json, show_number
from tidegate.core.analysis.world import Reading
from tidegate.core.times import parse_duration
from tidegate.providers.base import NOBODY, Asker, OverHttp
from tidegate.providers.talk import Talk

_ADDRESS: Final = "https://api.datadoghq.com"
_SECRET: Final = "datadog"  # noqa: S105 - its name
_VARIABLES: Final = {"address": "DD_ADDRESS", "api-key": "DD_API_KEY", "app-key": "DD_APP_KEY"}


class Datadog(OverHttp):
    """The provider `datadog`."""

    async def measure(self, spec: Mapping[str, Any], *, seconds: float, asker: Asker = NOBODY) -> Reading:
        """Ask for the time from `interval` ago until now. The result is a number, or nil where there is no data."""
        talk = Talk(self._http, "Datadog", seconds)
        access = await _access(spec.get("secretRef") or {}, asker)
        address = (access.get("address") or _ADDRESS).strip().rstrip("/")
        headers = {"DD-API-KEY": access["api-key"], "DD-APPLICATION-KEY": access["app-key"]}
        talk.hide(*headers.values())
        headers["Content-Type"] = "application/json"
        until = int(datetime.now(UTC).timestamp())
        since = until - int(parse_duration(spec.get("interval") or "5m").total_seconds())
        if spec.get("apiVersion") == "v2":
            url = f"{address}/api/v2/query/scalar"
            body = orjson.dumps(_scalar_request(spec, since, until))
            answer = await talk.ask_json(url, method="POST", headers=headers, body=body)
            read = _scalar
        else:
            url = f"{address}/api/v1/query"
            query = urlencode({"query": spec["query"], "from": since, "to": until})
            answer = await talk.ask_json(f"{url}?{query}", headers=headers)
            read = _last_point
        if complaint := _complaint(answer):
            raise talk.fault(url, f"did not carry out the query: {talk.conceal(complaint)}")
        try:
            value, empty = read(answer)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            raise talk.fault(url, "gave an answer that is not a result of Datadog's query API") from None
        text = show_json(empty) if value is None else show_number(value)
        return Reading(value=value, text=text, hidden=talk.hidden)


async def _access(ref: Mapping[str, Any], asker: Asker) -> Mapping[str, str]:
    """Address and keys: of the Secret that the metric names, or else of the environment or the default Secret."""
    name = str(ref.get("name") or "")
    if not name:
        found = {key: os.environ[variable] for key, variable in _VARIABLES.items() if variable in os.environ}
        if len(found) == len(_VARIABLES) and found["api-key"] and found["app-key"]:
            return found
    namespace = asker.namespace if ref.get("namespaced") else asker.home
    return await asker.secret(namespace, name or _SECRET, "api-key", "app-key")


def _scalar_request(spec: Mapping[str, Any], since: int, until: int) -> dict[str, Any]:
    queries = spec.get("queries") or {"query": spec["query"]}
    aggregator = spec.get("aggregator") or "last"
    return {
        "data": {
            "type": "scalar_request",
            "attributes": {
                "from": since * 1000,
                "to": until * 1000,
                "queries": [
                    {"aggregator": aggregator, "data_source": "metrics", "name": name, "query": query}
                    for name, query in queries.items()
                ],
                "formulas": [{"formula": spec["formula"]}] if spec.get("formula") else [],
            },
        }
    }


def _scalar(answer: Any) -> tuple[float | None, Any]:
    """The first number of the first column of numbers; where there is none, what there is instead."""
    columns = answer["data"]["attributes"].get("columns") or []
    numbers = [column for column in columns if column.get("type") in (None, "number")]
    values = (numbers[0].get("values") if numbers else None) or []
    return _number(values[0] if values else None), values


def _last_point(answer: Any) -> tuple[float | None, Any]:
    series = answer["series"] or []
    points = series[0]["pointlist"] if series else []
    return _number(points[-1][1] if points else None), series


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _complaint(answer: Any) -> str:
    """What Datadog says went wrong, in an answer that is otherwise fine."""
    if not isinstance(answer, dict):
        return ""
    data = answer.get("data")
    said = answer.get("error") or answer.get("errors") or (data.get("errors") if isinstance(data, dict) else None)
    return "; ".join(map(str, said)) if isinstance(said, list) else str(said or "")
