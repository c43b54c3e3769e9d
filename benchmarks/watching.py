"""Seeing what happens in the cluster at the moment it happens: a watch on one kind, in a thread.

Polling would load the API server that is being measured, and would round every time up.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

from lab.cluster import Lab

Object = dict[str, Any]


class Watch:
    """Objects of one kind, by name, as they are now."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self._changed = threading.Condition()
        self._expected: list[Expectation] = []
        self._failure: Exception | None = None

    def expect(self, names: Collection[str], wished: Callable[[Object], bool]) -> Expectation:
        """Begin to look out for these objects to be as `wished`. To be called before what should bring it about."""
        expectation = Expectation(self, set(names), wished)
        with self._changed:
            self._expected.append(expectation)
            for name, obj in self.objects.items():
                expectation._judge(name, obj, time.monotonic())
        return expectation

    def _take_in(self, line: bytes, at: float) -> str:
        """Take in one event; the resource version up to which everything is known now."""
        event = json.loads(line)
        obj = event.get("object") or event
        if event.get("type") not in ("ADDED", "MODIFIED", "DELETED"):
            raise ConnectionError(f"the watch has ended: {obj.get('message') or event}")
        name = obj["metadata"]["name"]
        gone = event["type"] == "DELETED"
        with self._changed:
            if gone:
                self.objects.pop(name, None)
            else:
                self.objects[name] = obj
            for expectation in self._expected:
                expectation._judge(name, None if gone else obj, at)
            self._changed.notify_all()
        return str(obj["metadata"]["resourceVersion"])

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self._failure = error
            self._changed.notify_all()


class Expectation:
    """Which of the named objects are as wished, and since when (`time.monotonic()` at the receipt of the event)."""

    def __init__(self, watch: Watch, names: set[str], wished: Callable[[Object], bool]) -> None:
        self.since: dict[str, float] = {}
        self._watch = watch
        self._names = names
        self._wished = wished

    def wait(self, what: str, timeout: float) -> float:
        """Wait until all are as wished; when the last of them became so. Raises TimeoutError."""
        deadline = time.monotonic() + timeout
        watch = self._watch
        with watch._changed:
            while missing := self._names - self.since.keys():
                if watch._failure:
                    raise watch._failure
                if not watch._changed.wait(max(deadline - time.monotonic(), 0)):
                    shown = ", ".join(sorted(missing)[:3])
                    raise TimeoutError(
                        f"{len(missing)} of {len(self._names)} not {what} after {timeout:.0f} s: {shown}"
                    )
            watch._expected.remove(self)
        return max(self.since.values())

    def _judge(self, name: str, obj: Object | None, at: float) -> None:
        if obj is None or name not in self._names or not self._wished(obj):
            self.since.pop(name, None)
        else:
            self.since.setdefault(name, at)


@contextmanager
def watching(lab: Lab, kind: str, namespace: str, api_version: str) -> Iterator[Watch]:
    """A Watch that follows one kind in one namespace until the end of the block."""
    watch = Watch()
    path = lab.client.path(kind, namespace=namespace, api_version=api_version)
    listed = lab.client.request("GET", path)
    watch.objects = {item["metadata"]["name"]: item for item in listed["items"]}
    address = urlsplit(lab.api_url)
    trust = ssl.create_default_context(cafile=str(lab.components.certificates / "apiserver.crt"))

    def opened(version: str) -> http.client.HTTPResponse:
        query = urlencode({"watch": "1", "resourceVersion": version})
        connection = http.client.HTTPSConnection(address.hostname or "", address.port, context=trust)
        connection.request("GET", f"{path}?{query}", headers={"Authorization": f"Bearer {lab.components.token}"})
        return connection.getresponse()

    version = listed["metadata"]["resourceVersion"]
    first = opened(version)

    def follow() -> None:
        answer, seen = first, version
        try:
            while True:
                while line := answer.readline():
                    seen = watch._take_in(line, time.monotonic())
                answer = opened(seen)  # A busy API server ends watches; nothing is missed from where this one was.
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits
            watch._fail(error)

    threading.Thread(target=follow, name=f"watch {kind}", daemon=True).start()
    yield watch
