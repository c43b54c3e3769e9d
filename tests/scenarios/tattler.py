"""A server that repeats what it was told: path, headers and body, in the answers of every provider and of receivers.

Below /ok it answers as a server that is content, below /bad as one that is not. What it was sent stays with it, so that
a test knows of each secret that it really went out.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Final
from xml.sax.saxutils import escape

from tests.scenarios.planted import MARK, leaks
from tests.serving import serving

ACCESS_TOKEN: Final = f"{MARK}-access-token-{MARK}"
_TYPES: Final = {"{": "application/json", "<": "text/xml"}


@dataclass
class Tattler:
    """What it has been told, each request as one text; messages and traces are bodies that people will read."""

    port: int
    told: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)

    def url(self, path: str, user: str = "") -> str:
        return f"http://{user}{'@' if user else ''}127.0.0.1:{self.port}{path}"

    def answer(self, path: str, headers: dict[str, str], body: str) -> tuple[int, str]:
        """Status and body of the answer."""
        said = [text for text in (path, *headers.values(), body, *_opened(headers)) if leaks(text)]
        self.told.append("\n".join(said))
        repeated = " ".join(said)
        if path.startswith("/token"):
            return 200, json.dumps({"access_token": ACCESS_TOKEN, "scope": repeated})
        if path.startswith("/hook"):
            self.messages.append(body)
            return (403 if "bad" in path else 200), json.dumps({"ok": False, "error": repeated})
        if path.startswith("/traces"):
            self.traces.append(body)
            return 400, repeated
        if path.startswith("/ok"):
            return 200, _content(path, repeated)
        if "aws" in path:
            return 403, f"<ErrorResponse><Error><Message>{escape(repeated)}</Message></Error></ErrorResponse>"
        return 400, json.dumps({"status": "error", "errorType": "told", "error": repeated, "code": 1})


def _content(path: str, repeated: str) -> str:
    if path.startswith("/ok/text"):
        return repeated
    if "/api/v2/query?" in path:
        value = '"' + repeated.replace('"', '""') + '"'
        return f"#datatype,string,string\n#default,,\n,result,_value\n,,{value}\n"
    if path.startswith("/ok/render"):
        return json.dumps([{"datapoints": [[1.0, 1]]}])
    found = {
        "resultType": "vector",
        "result": [{"metric": {"said": repeated}, "value": [0, "1"]}],
        "actor": {"account": {"nrql": {"results": [{"said": repeated}]}}},
    }
    points: dict[str, Any] = {"series": [{"pointlist": [[1, 1.0]]}], "timeseries": [{"data": [[time.time(), 1.0]]}]}
    return json.dumps({"status": "success", "said": repeated, "data": found, "warnings": [repeated], **points})


def _opened(headers: dict[str, str]) -> Iterator[str]:
    """User and password of Basic credentials."""
    scheme, _, encoded = headers.get("Authorization", "").partition(" ")
    if scheme == "Basic":
        try:
            yield base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return


@contextmanager
def tattler() -> Iterator[Tattler]:
    """Serve on loopback until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode(errors="replace")
            status, text = server.answer(self.path, dict(self.headers), body)
            payload = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", _TYPES.get(text[:1], "text/plain"))
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the operator's own account of it is what counts."""

    with serving(Handler) as port:
        server = Tattler(port)
        yield server
