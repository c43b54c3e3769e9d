"""Datadog's API for scalar queries (v2), played on loopback: an agent would have sent what Prometheus has scraped.

Like the real one it answers 403 to wrong keys, 400 to what is no scalar request, and null where nothing was counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

from lab.cluster import Lab
from tests.serving import serving

API_KEY: Final = "dd-api-key-of-the-test"
APP_KEY: Final = "dd-app-key-of-the-test"

_QUERY: Final = re.compile(r"sum:http\.requests\{([^{}]*)\}\.as_count\(\)")
_LABELS: Final = {"rollouts_pod_template_hash": '{0}="{1}"', "code_class": 'code=~"{2}.."'}


@contextmanager
def datadog(lab: Lab) -> Iterator[Mapping[str, str]]:
    """The variables with which a reader tells of the account."""

    class Api(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if (self.headers["DD-API-KEY"], self.headers["DD-APPLICATION-KEY"]) != (API_KEY, APP_KEY):
                self._answer(403, {"errors": ["Forbidden"]})
            elif self.path != "/api/v2/query/scalar":
                self._answer(404, {"errors": ["Not found"]})
            else:
                try:
                    self._answer(200, _scalar(lab, json.loads(body)))
                except (KeyError, TypeError, ValueError) as error:
                    self._answer(400, {"errors": [f"Bad request: {error!r}"]})

        def _answer(self, status: int, body: object) -> None:
            payload = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the operator's own account of it is what counts."""

    with serving(Api) as port:
        yield {"DD_ADDRESS": f"http://127.0.0.1:{port}", "DD_API_KEY": API_KEY, "DD_APP_KEY": APP_KEY}


def _scalar(lab: Lab, request: Any) -> dict[str, Any]:
    """Raises KeyError, TypeError, ValueError for what the real API refuses, and for what is not played here."""
    data = request["data"]
    asked = data["attributes"]
    if data["type"] != "scalar_request":
        raise ValueError("data.type")
    seconds = (int(asked["to"]) - int(asked["from"])) // 1000
    found = {}
    for query in asked["queries"]:
        if (query["data_source"], query["aggregator"]) != ("metrics", "sum"):
            raise ValueError("data_source, aggregator")
        found[query["name"]] = _count(lab, query["query"], seconds)
    (formula,) = (each["formula"] for each in asked["formulas"])
    if formula != "default_zero(errors) / all":
        raise ValueError(formula)
    value = (found["errors"] or 0) / found["all"] if found["all"] else None
    column = {"name": formula, "type": "number", "values": [value], "meta": {"unit": None}}
    return {"data": {"type": "scalar_response", "attributes": {"columns": [column]}}}


def _count(lab: Lab, query: str, seconds: int) -> float | None:
    match = _QUERY.fullmatch(query)
    if not match:
        raise ValueError(query)
    tags = dict(tag.split(":") for tag in match[1].split(","))
    labels = ",".join(_LABELS[name].format(name, value, value[:1]) for name, value in tags.items())
    result = lab.query(f"sum(increase(http_requests_total{{{labels}}}[{seconds}s]))")
    return float(result[0]["value"][1]) if result else None
