"""What happened: every state of the objects that a story is about, as the API server told of it.

Polling would miss a weight that stood for a moment, and a pod too few. So each kind is watched, and a test asks
afterwards what was there, in the order of resource versions, which is the order of the writes themselves.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from lab.client import ApiError
from lab.cluster import Lab

Obj = dict[str, Any]
T = TypeVar("T")

ISTIO: Final = "networking.istio.io/v1"
ARGO: Final = "argoproj.io/v1alpha1"
KINDS: Final = {
    "Rollout": ARGO,
    "AnalysisRun": ARGO,
    "Experiment": ARGO,
    "ReplicaSet": "apps/v1",
    "Service": "v1",
    "VirtualService": ISTIO,
    "DestinationRule": ISTIO,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One state. version: the resource version as a number. at: when it was heard of (seconds since the epoch)."""

    version: int
    at: float
    kind: str
    name: str
    deleted: bool
    obj: Obj


class Chronicle:
    """Watches from the beginning to the end of a `with` block; an API server that goes away is waited for."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._heard: dict[str, list[Entry]] = defaultdict(list)
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._sockets: dict[str, socket.socket] = {}
        self._listed = {kind: threading.Event() for kind in KINDS}
        self._threads = [threading.Thread(target=self._follow, args=(kind,), daemon=True) for kind in KINDS]

    def __enter__(self) -> Chronicle:
        for thread in self._threads:
            thread.start()
        for kind, listed in self._listed.items():
            assert listed.wait(30), f"no list of {kind}"
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for sock in self._sockets.values():
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def entries(self, namespace: str, kind: str = "", name: str = "", *, since: int = 0) -> list[Entry]:
        """The states of a namespace's objects after a resource version, in the order of their writes."""
        with self._changed:
            found = list(self._heard[namespace])
        return sorted(
            (e for e in found if e.version > since and kind in ("", e.kind) and name in ("", e.name)),
            key=lambda entry: entry.version,
        )

    def latest(self, namespace: str, kind: str, name: str) -> Obj | None:
        """The present state, as far as it has been heard; None where there is none."""
        states = self.entries(namespace, kind, name)
        return None if not states or states[-1].deleted else states[-1].obj

    def wait(self, look: Callable[[], T | None], timeout: float) -> T | None:
        """Call `look` after each piece of news until it returns something true; None when the time is over."""
        deadline = time.monotonic() + timeout
        while True:
            if found := look():
                return found
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            with self._changed:
                self._changed.wait(min(left, 0.5))

    def catch_up(self, namespace: str) -> None:
        """Read every kind once: watches of different kinds are not equally far."""
        for kind, version in KINDS.items():
            for item in self._lab.client.list(kind, namespace, api_version=version):
                self._take(kind, "ADDED", item)

    def _follow(self, kind: str) -> None:
        while not self._stop.is_set():
            try:
                path = self._lab.client.path(kind, api_version=KINDS[kind])
                listing = self._lab.client.request("GET", path)
                for item in listing["items"]:
                    self._take(kind, "ADDED", item)
                self._listed[kind].set()
                self._watch(kind, path, listing["metadata"]["resourceVersion"])
            except (ApiError, OSError, LookupError, http.client.HTTPException, ValueError):
                self._stop.wait(0.2)

    def _watch(self, kind: str, path: str, version: str) -> None:
        parts = urlsplit(self._lab.api_url)
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(str(parts.hostname), parts.port, context=tls)
        try:
            connection.connect()
            self._sockets[kind] = connection.sock
            connection.request(
                "GET",
                f"{path}?watch=true&resourceVersion={version}",
                headers={"Authorization": f"Bearer {self._token()}"},
            )
            answer = connection.getresponse()
            buffer = b""
            while not self._stop.is_set():
                chunk = answer.read1(1 << 20)
                if not chunk:
                    return
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        return
                    self._take(kind, event["type"], event["object"])
        finally:
            connection.close()

    def _token(self) -> str:
        config = json.loads(self._lab.kubeconfig.read_text())
        token: str = config["users"][0]["user"]["token"]
        return token

    def _take(self, kind: str, type_: str, obj: Obj) -> None:
        meta = obj["metadata"]
        entry = Entry(
            int(meta["resourceVersion"]), time.time(), kind, meta["name"], type_ == "DELETED", {**obj, "kind": kind}
        )
        with self._changed:
            known = self._heard[meta.get("namespace", "")]
            if not any(e.version == entry.version and e.kind == kind and e.name == entry.name for e in known):
                known.append(entry)
            self._changed.notify_all()
