"""Any web server: a request, and the place in its answer where the result stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from tidegate.core.analysis.jsonpath import JsonPathError, parse_json_path
from tidegate.core.analysis.world import Reading
from tidegate.providers.base import NOBODY, Asker, OverHttp
from tidegate.providers.http import Answer
from tidegate.providers.talk import Talk, header_map
from tidegate.providers.wording import AnswerError, shortened

_LONGEST_VALUE: Final = 2000


class Web(OverHttp):
    """The provider `web`."""

    async def measure(self, spec: Mapping[str, Any], *, seconds: float, asker: Asker = NOBODY) -> Reading:
        """Send the request. The result is what stands at `jsonPath`, or without one the whole answer, JSON or text.

        Argo Rollouts takes an answer that is not JSON for a success, whatever it says; here it is an error where a
        path asks for a part of it, and otherwise a text, which the metric's conditions judge.
        """
        url, talk = str(spec["url"]), Talk(self._http, "the server", seconds, bool(spec.get("insecure")))
        headers = header_map(spec.get("headers"))
        body = str(spec["body"]).encode() if spec.get("body") else None
        if spec.get("jsonBody") is not None:
            body = orjson.dumps(spec["jsonBody"])
            headers = {name: value for name, value in headers.items() if name.lower() != "content-type"}
            headers["Content-Type"] = "application/json"
        headers |= await talk.access(spec.get("authentication") or {})
        answer = await talk.ask(url, method=spec.get("method") or "GET", headers=headers, body=body)
        if not answer.fine:
            raise talk.refused(url, answer)
        try:
            value = _value(answer, str(spec.get("jsonPath") or ""))
        except AnswerError as error:
            raise talk.fault(url, str(error)) from None
        return Reading(value=value, text=talk.shown(value, _LONGEST_VALUE), hidden=talk.hidden)


def _value(answer: Answer, path: str) -> Any:
    """The result in an answer. Raises AnswerError."""
    try:
        document = answer.json()
    except AnswerError:
        if path:
            raise
        return shortened(answer.body.decode(errors="replace"), _LONGEST_VALUE)
    try:
        return parse_json_path(path).first(document)
    except JsonPathError as error:
        raise AnswerError(f"gave an answer that {error}") from None
