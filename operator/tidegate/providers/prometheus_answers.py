"""What Prometheus' answers mean: an HTTP answer to a reading, or to a sentence about what is wrong with it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import orjson

from tidegate.core.analysis.values import show_number, show_vector
from tidegate.core.analysis.world import Reading
from tidegate.providers.wording import AnswerError, answered, shortened

_SHOWN_ELEMENTS: Final = 20
"""A status has to stay small: a longer vector is shown by its first elements, and judged by all of them."""


def read_answer(status: int, body: bytes, *, series: bool = False) -> Reading:
    """The reading in an answer of /api/v1/query or query_range.

    series: whether a vector's labels are wanted too; its value is a tuple of (labels, number) then.
    Raises AnswerError, whose text follows `Prometheus at …`.
    """
    answer = _json(body)
    if status != HTTPStatus.OK or answer.get("status") != "success":
        raise AnswerError(_complaint(status, answer))
    data = answer.get("data")
    try:
        kind, result = data["resultType"], data["result"]  # type: ignore[index]
        if kind == "vector" and series:
            found = tuple((element["metric"], float(element["value"][1])) for element in result)
            return Reading(value=found, metadata=_warnings(answer))
        if kind == "vector":
            return _values(result, [element.get("value") for element in result], answer)
        if kind == "matrix":
            return _values(result, [sample for element in result for sample in element.get("values") or ()], answer)
        if kind == "scalar":
            value = float(result[1])
            return Reading(value=value, text=show_number(value), metadata=_warnings(answer))
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        raise AnswerError("gave an answer that is not a result of Prometheus' query API") from None
    raise AnswerError(f"gave a {kind}; the query must give a vector, a matrix or a scalar")


def _values(result: list[Any], samples: list[Any], answer: dict[str, Any]) -> Reading:
    if any("histogram" in element or "histograms" in element for element in result):
        raise AnswerError("gave a native histogram; the query must give numbers, such as histogram_quantile(…)")
    # A tuple is how conditions know a vector from a JSON list.
    values = tuple(float(sample[1]) for sample in samples)
    text = show_vector(values[:_SHOWN_ELEMENTS])
    if len(values) > _SHOWN_ELEMENTS:
        text = f"{text[:-1]},… {len(values) - _SHOWN_ELEMENTS} more]"
    return Reading(value=values, text=text, metadata=_warnings(answer))


def _json(body: bytes) -> dict[str, Any]:
    try:
        answer = orjson.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _complaint(status: int, answer: dict[str, Any]) -> str:
    """Prometheus' own words where there are any."""
    if status == HTTPStatus.OK and not answer:
        return "gave an answer that is not JSON; is this the address of Prometheus?"
    return answered(status, ": ".join(str(answer[key]) for key in ("errorType", "error") if answer.get(key)))


def _warnings(answer: dict[str, Any]) -> dict[str, str]:
    warnings = answer.get("warnings")
    return {"warnings": shortened(", ".join(f'"{text}"' for text in warnings))} if warnings else {}
