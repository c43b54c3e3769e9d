"""SkyWalking: a query in GraphQL, over the last minutes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from tidegate.core.analysis.world import Reading
from tidegate.core.times import parse_duration
from tidegate.providers.base import NOBODY, Asker, OverHttp
from tidegate.providers.graphql import complaint
from tidegate.providers.talk import Talk

_LONGEST_VALUE: Final = 2000
_MINUTE: Final = "%Y-%m-%d %H%M"


class SkyWalking(OverHttp):
    """The provider `skywalking`."""

    async def measure(self, spec: Mapping[str, Any], *, seconds: float, asker: Asker = NOBODY) -> Reading:
        """Carry out a query with the variable $duration. The result is the answer's `data`."""
        talk = Talk(self._http, "SkyWalking", seconds)
        url = f"{str(spec['address']).strip().rstrip('/')}/graphql"
        now = datetime.now().astimezone()  # SkyWalking is asked in local time.
        start = now - parse_duration(spec.get("interval") or "5m")
        duration = {"start": start.strftime(_MINUTE), "end": now.strftime(_MINUTE), "step": "MINUTE"}
        body = orjson.dumps({"query": spec["query"], "variables": {"duration": duration}})
        headers = {"Content-Type": "application/json; charset=utf-8", "Accept": "application/json; charset=utf-8"}
        answer = await talk.ask_json(url, method="POST", headers=headers, body=body)
        if said := complaint(answer):
            raise talk.fault(url, f"did not carry out the query: {talk.conceal(said)}")
        value = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(value, dict):
            raise talk.fault(url, "gave an answer without data")
        text = talk.shown(value, _LONGEST_VALUE)
        return Reading(value=value, text=text, hidden=talk.hidden)
