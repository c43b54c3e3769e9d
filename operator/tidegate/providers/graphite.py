"""Graphite: the values of the first series that its render API gives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from tidegate.core.analysis.world import Reading
from tidegate.providers.base import NOBODY, Asker, OverHttp
from tidegate.providers.talk import Talk

_SPACE: Final = re.compile(r"\s+")
_SHOWN_VALUES: Final = 50


class Graphite(OverHttp):
    """The provider `graphite`."""

    async def measure(self, spec: Mapping[str, Any], *, seconds: float, asker: Asker = NOBODY) -> Reading:
        """Ask the render API. The result is a list of numbers; times without a value are left out."""
        talk = Talk(self._http, "Graphite", seconds)
        url = f"{str(spec['address']).strip().rstrip('/')}/render"
        pairs = [pair for pair in parse_qsl(_SPACE.sub("", str(spec["query"])), True) if pair[0] != "format"]
        answer = await talk.ask_json(f"{url}?{urlencode([*pairs, ('format', 'json')])}")
        try:
            points = answer[0]["datapoints"] if answer else []
            values = tuple(float(value) for value, _ in points if value is not None)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            raise talk.fault(url, "gave an answer that is not a result of Graphite's render API") from None
        if not points:
            raise talk.fault(url, "found no values")
        text = ",".join(f"{value:f}" for value in values[:_SHOWN_VALUES])
        more = f",… {len(values) - _SHOWN_VALUES} more" if len(values) > _SHOWN_VALUES else ""
        return Reading(value=values, text=f"[{text}{more}]", hidden=talk.hidden)
