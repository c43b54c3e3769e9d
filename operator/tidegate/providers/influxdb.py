"""InfluxDB 2: the column `_value` of what a Flux query gives, from annotated CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from tidegate.core.analysis.values import show_number
from tidegate.core.analysis.world import Reading
from tidegate.providers.base import NOBODY, Asker, OverHttp
from tidegate.providers.talk import Talk
from tidegate.providers.wording import AnswerError, shortened

_SECRET: Final = "influxdb"  # noqa: S105 - its name
_DIALECT: Final = {"annotations": ["datatype", "group", "default"], "delimiter": ",", "header": True}
_NUMBERS: Final = frozenset({"double", "long", "unsignedLong"})


class InfluxDB(OverHttp):
    """The provider `influxdb`."""

    async def measure(self, spec: Mapping[str, Any], *, seconds: float, asker: Asker = NOBODY) -> Reading:
        """Carry out a Flux query. The result is a list of the values of all its tables."""
        talk = Talk(self._http, "InfluxDB", seconds)
        name = str(spec.get("profile") or _SECRET)
        entries = await asker.secret(asker.home, name, "authToken", "address", "org")
        token = entries["authToken"].strip()
        talk.hide(token)
        url = f"{entries['address'].strip().rstrip('/')}/api/v2/query"
        answer = await talk.ask(
            f"{url}?{urlencode({'org': entries['org'].strip()})}",
            method="POST",
            headers={"Authorization": f"Token {token}", "Content-Type": "application/json", "Accept": "text/csv"},
            body=orjson.dumps({"query": spec["query"], "type": "flux", "dialect": _DIALECT}),
        )
        if not answer.fine:
            raise talk.refused(url, answer)
        try:
            values = list(_values(answer.body.decode()))
        except UnicodeDecodeError:
            raise talk.fault(url, "gave an answer that is not CSV") from None
        except AnswerError as error:
            raise talk.fault(url, talk.conceal(str(error))) from None
        if not values:
            raise talk.fault(url, "found no values")
        return Reading(value=values, text=shortened(f"[{' '.join(map(_shown, values))}]"), hidden=talk.hidden)


def _values(text: str) -> Iterator[Any]:
    """The values of `_value`, in order.

    Source: InfluxDB's specification of annotated CSV: a table begins with annotations, of which #datatype is the one
    that types its columns, and a row of their names. Empty rows part tables. A table with the columns error and
    reference tells of an error in the middle of an answer.
    """
    types: list[str] = []
    defaults: list[str] = []
    names: list[str] | None = None
    try:
        rows = list(csv.reader(io.StringIO(text)))
    except csv.Error:
        raise AnswerError("gave an answer that is not CSV") from None
    for row in rows:
        if not row or row == [""]:
            types, defaults, names = [], [], None
        elif row[0] == "#datatype":
            types, defaults, names = row, [], None
        elif row[0] == "#default":
            defaults = row
        elif row[0].startswith("#"):
            continue
        elif names is None:
            names = row
            if "error" in names:
                continue
            if not types or len(types) != len(names):
                raise AnswerError("gave an answer that is not annotated CSV")
        elif "error" in names:
            raise AnswerError(f"did not carry out the query: {shortened(row[names.index('error')])}")
        elif "_value" in names:
            yield _typed(row, names.index("_value"), types, defaults)


def _typed(row: list[str], column: int, types: list[str], defaults: list[str]) -> Any:
    try:
        text = row[column] or (defaults[column] if column < len(defaults) else "")
        if types[column] in _NUMBERS:
            return float(text) if text else None
    except (IndexError, ValueError):
        raise AnswerError("gave an answer that is not annotated CSV") from None
    return text == "true" if types[column] == "boolean" else text


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return show_number(value) if isinstance(value, float) else "<nil>" if value is None else str(value)
