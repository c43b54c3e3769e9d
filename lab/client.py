"""A synchronous client for the lab itself: kubectl costs 100 ms a call, a test makes dozens.

The operator has a client of its own; this one serves what stands around it (fixtures, the demo's story, benchmarks) and
shares no code with it, so that a bug there can't hide here.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

Object = dict[str, Any]
T = TypeVar("T")


class ApiError(Exception):
    """The API server refused a request. status: HTTP status code; reason: as in the answer, such as `Conflict`."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason


class Client:
    """Requests to the API server. Safe to use from several threads: each takes an idle connection or opens one."""

    def __init__(self, url: str, token: str, ca_file: str | None = None) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "localhost", parts.port or 443)
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        self._tls = ssl.create_default_context(cafile=ca_file)
        if ca_file is None:
            self._tls.check_hostname = False
            self._tls.verify_mode = ssl.CERT_NONE
        self._idle: list[http.client.HTTPSConnection] = []
        self._resources: dict[str, dict[str, tuple[str, bool]]] = {}

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        timeout: float = 30,
    ) -> Any:
        """Send one request and return the decoded answer.

        Raises ApiError on an HTTP error, OSError if the server can't be reached. If the kept connection turns out to
        have been closed meanwhile, the request is sent again on a fresh one; not a POST that may have been carried out.
        A GET that the server asks to send again later is; right after its definition a kind can't be read.
        """
        deadline = time.monotonic() + timeout
        data = None if body is None else json.dumps(body).encode()
        headers = self._headers if data is None else {**self._headers, "Content-Type": content_type}
        while True:
            connection = self._connection(timeout)
            fresh, sent = connection.sock is None, False
            try:
                connection.request(method, path, body=data, headers=headers)
                sent = True
                answer = connection.getresponse()
                payload = answer.read()
                self._idle.append(connection)
                if answer.status != HTTPStatus.TOO_MANY_REQUESTS or method != "GET" or time.monotonic() > deadline:
                    break
                time.sleep(0.5)
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if fresh or (sent and method == "POST") or isinstance(error, TimeoutError):
                    raise OSError(f"{method} {path}: {error!r}") from error
        decoded = _decode(payload)
        if answer.status >= 400:
            reason, message = answer.reason, str(decoded)[:500]
            if isinstance(decoded, dict):
                reason, message = decoded.get("reason") or reason, decoded.get("message") or message
            raise ApiError(answer.status, reason, message)
        return decoded

    def watch(self, path: str) -> Iterator[tuple[str, Object]]:
        """What a collection holds and how it changes: pairs of an event's type and its object, first all as `LISTED`.

        Goes on over a connection that ends, with `LISTED` again; ends only with the iterator. Raises ApiError if the
        server refuses, such as for a kind that does not exist.
        """
        while True:
            connection = http.client.HTTPSConnection(*self._address, context=self._tls)
            try:
                listed = self.request("GET", path)
                for item in listed["items"]:
                    yield "LISTED", item
                query = urlencode({"watch": "1", "resourceVersion": listed["metadata"]["resourceVersion"]})
                connection.request("GET", f"{path}?{query}", headers=self._headers)
                for line in connection.getresponse():
                    event = json.loads(line)
                    if event.get("type", "ERROR") == "ERROR":
                        break
                    yield event["type"], event["object"]
            except (OSError, http.client.HTTPException):
                time.sleep(0.1)
            finally:
                connection.close()

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def path(self, kind: str, name: str = "", namespace: str = "", *, api_version: str = "v1") -> str:
        """The path of an object, or of the collection if `name` is empty. Raises LookupError for an unknown kind."""
        plural, namespaced = self._resource(api_version, kind)
        parts = [_group_path(api_version)]
        if namespaced and namespace:
            parts += ["namespaces", namespace]
        return "/".join([*parts, plural, *filter(None, [quote(name)])])

    def path_of(self, obj: Mapping[str, Any], *, collection: bool = False) -> str:
        metadata = obj["metadata"]
        namespace = metadata.get("namespace", "default")
        name = "" if collection else metadata["name"]
        return self.path(obj["kind"], name, namespace, api_version=obj["apiVersion"])

    def get(self, kind: str, name: str, namespace: str = "", *, api_version: str = "v1") -> Object:
        found: Object = self.request("GET", self.path(kind, name, namespace, api_version=api_version))
        return found

    def list(self, kind: str, namespace: str = "", *, api_version: str = "v1", selector: str = "") -> list[Object]:
        query = f"?{urlencode({'labelSelector': selector})}" if selector else ""
        path = self.path(kind, namespace=namespace, api_version=api_version)
        items: list[Object] = self.request("GET", path + query)["items"]
        return items

    def create(self, obj: Mapping[str, Any]) -> Object:
        created: Object = self.request("POST", self.path_of(obj, collection=True), obj)
        return created

    def apply(self, obj: Mapping[str, Any], *, manager: str = "lab") -> Object:
        """Server-side apply, taking over fields that others own."""
        query = urlencode({"fieldManager": manager, "force": "true"})
        applied: Object = self.request(
            "PATCH", f"{self.path_of(obj)}?{query}", obj, content_type="application/apply-patch+yaml"
        )
        return applied

    def patch(
        self,
        kind: str,
        name: str,
        namespace: str,
        body: Mapping[str, Any] | Iterable[Mapping[str, Any]],
        *,
        api_version: str = "v1",
        subresource: str = "",
    ) -> Object:
        """A merge patch (a mapping) or a JSON patch (a list of operations)."""
        merge = isinstance(body, Mapping)
        path = self.path(kind, name, namespace, api_version=api_version)
        patched: Object = self.request(
            "PATCH",
            f"{path}/{subresource}" if subresource else path,
            body if merge else list(body),
            content_type=f"application/{'merge-patch' if merge else 'json-patch'}+json",
        )
        return patched

    def delete(self, kind: str, name: str, namespace: str = "", *, api_version: str = "v1") -> None:
        """Delete it, with what it owns in the background. Not an error if it is already gone."""
        path = self.path(kind, name, namespace, api_version=api_version)
        try:
            self.request("DELETE", path, {"propagationPolicy": "Background"})
        except ApiError as error:
            if error.status != 404:
                raise

    def _connection(self, timeout: float) -> http.client.HTTPSConnection:
        try:
            connection = self._idle.pop()
        except IndexError:
            return http.client.HTTPSConnection(*self._address, context=self._tls, timeout=timeout)
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        return connection

    def _resource(self, api_version: str, kind: str) -> tuple[str, bool]:
        known = self._resources.get(api_version, {})
        if kind not in known:
            found = self.request("GET", _group_path(api_version))["resources"]
            known = {r["kind"]: (r["name"], r["namespaced"]) for r in found if "/" not in r["name"]}
            self._resources[api_version] = known
        if kind not in known:
            raise LookupError(f"the API server knows no kind {kind} in {api_version}")
        return known[kind]


def wait_for(look: Callable[[], T], what: str, timeout: float = 30, interval: float = 0.05) -> T:
    """Call `look` until it returns something true, and return that. Raises TimeoutError that says `what` was missing.

    An error of the API server counts as "not yet".
    """
    deadline = time.monotonic() + timeout
    last: object = None
    while time.monotonic() < deadline:
        try:
            if found := look():
                return found
            last = found
        except (ApiError, OSError, LookupError) as error:
            last = error
        time.sleep(interval)
    raise TimeoutError(f"not within {timeout:.0f} s: {what} (last: {last!r})")


def _group_path(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _decode(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode(errors="replace")
