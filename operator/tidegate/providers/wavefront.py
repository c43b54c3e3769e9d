"""Wavefront: the point of each series that is nearest to now.

Argo Rollouts reads a series without points as 0; here that is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from tidegate.core.analysis.world import Reading
from tidegate.providers.base import NOBODY, Asker, OverHttp, SecretError
from tidegate.providers.talk import Talk
from tidegate.providers.wording import shortened

_SECRET: Final = "wavefront-api-tokens"  # noqa: S105 - its name


class Wavefront(OverHttp):
    """The provider `wavefront`."""

    async def measure(self, spec: Mapping[str, Any], *, seconds: float, asker: Asker = NOBODY) -> Reading:
        """Ask for one point of each series. The result is a number for one series, a list for several."""
        talk = Talk(self._http, "Wavefront", seconds)
        address = str(spec["address"]).strip().rstrip("/")
        token = await _token(address, asker)
        talk.hide(token)
        moment = int(datetime.now(UTC).timestamp())
        url = f"{address if '://' in address else f'https://{address}'}/api/v2/chart/api"
        # A span without length gives nothing unless points outside of it count too (`i`).
        asked = {"q": spec["query"], "s": moment * 1000, "e": moment * 1000, "g": "s", "p": 1, "i": "true"}
        answer = await talk.ask_json(f"{url}?{urlencode(asked)}", headers={"Authorization": f"Bearer {token}"})
        try:
            if said := answer.get("errorMessage") or answer.get("errorType"):
                raise talk.fault(url, f"did not carry out the query: {talk.conceal(str(said))}")
            points = [_nearest(series["data"], moment) for series in answer.get("timeseries") or ()]
            warnings = answer.get("warnings")
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            raise talk.fault(url, "gave an answer that is not a result of Wavefront's chart API") from None
        if not points:
            raise talk.fault(url, "found no series")
        found = {
            "timestamps": _shown([str(int(time)) for time, _ in points]),
            "drift": _shown([str(int(time - moment)) for time, _ in points]),
            **({"warnings": shortened(str(warnings))} if warnings else {}),
        }
        values = tuple(value for _, value in points)
        text = _shown([f"{value:.2f}" for value in values])
        return Reading(value=values[0] if len(values) == 1 else values, text=text, metadata=found, hidden=talk.hidden)


async def _token(address: str, asker: Asker) -> str:
    """The token for a server. A Secret's keys can hold no port and no scheme, so it is looked for without, too."""
    entries = await asker.read_secret(asker.home, _SECRET)
    parts = urlsplit(address if "://" in address else f"//{address}")
    for key in (address, parts.netloc, parts.hostname or ""):
        if entries.get(key):
            return entries[key]
    raise SecretError(f"Secret {asker.home}/{_SECRET} has no text under the key {parts.hostname or address}")


def _nearest(points: list[Any], moment: int) -> tuple[float, float]:
    """Time and value of the point nearest to a moment. Raises IndexError where there is none."""
    if not points:
        raise IndexError
    time, value = min(points, key=lambda point: abs(float(point[0]) - moment))
    return float(time), float(value)


def _shown(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"[{','.join(texts)}]"
