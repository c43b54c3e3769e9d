"""The kubelet's requests to the API server."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson

from lab.kubelet.status import NODE_ADDRESS, NODE_PORT

Object = dict[str, Any]
NODE = "lab-node"
_RETRIED = frozenset({429, 500, 502, 503, 504})


class RefusedError(Exception):
    """The API server said no, in a way that a repetition would not change. status: HTTP status code."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """One session to the API server. Requests that fail because it is away or busy are sent again until it answers."""

    def __init__(self, server: str, token: str, ca: str) -> None:
        self._server = server
        self._ca = ca
        self._headers = {"Authorization": f"Bearer {token}"}
        self._tls = ssl.create_default_context(cafile=ca)

    async def __aenter__(self) -> Api:
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=24, keepalive_timeout=60)
        self._session = aiohttp.ClientSession(
            self._server, connector=connector, headers=self._headers, auto_decompress=False
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def request(
        self, method: str, path: str, body: object = None, *, content_type: str = "application/json"
    ) -> Object:
        """Send one request. Raises RefusedError."""
        data = None if body is None else orjson.dumps(body)
        headers = {"Content-Type": content_type} if data else None
        delay = 0.05
        while True:
            try:
                async with self._session.request(method, path, data=data, headers=headers) as answer:
                    payload = await answer.read()
                if answer.status < 400:
                    found: Object = orjson.loads(payload)
                    return found
                if answer.status not in _RETRIED:
                    raise RefusedError(answer.status, payload.decode(errors="replace")[:300])
                said = f"HTTP {answer.status}"
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                said = repr(error)
            print(f"{method} {path}: {said}; again in {delay:.2f} s", file=sys.stderr)
            await asyncio.sleep(delay)
            delay = min(delay * 2, 2)

    async def register_node(self) -> None:
        """Create the node, without the taint that admission puts on a new one."""
        labels = {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": labels}}
        try:
            await self.request("POST", "/api/v1/nodes", node)
        except RefusedError as error:
            if error.status != 409:
                raise
        merge = "application/merge-patch+json"
        path = f"/api/v1/nodes/{NODE}"
        await self.request("PATCH", path, {"spec": {"taints": None}}, content_type=merge)
        capacity = {"cpu": "1000", "memory": "1000Gi", "pods": "100000"}
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "the lab's kubelet"}
        addresses = [{"type": "InternalIP", "address": NODE_ADDRESS}, {"type": "Hostname", "address": NODE}]
        status = {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": [ready],
            "addresses": addresses,
            "daemonEndpoints": {"kubeletEndpoint": {"Port": NODE_PORT}},
        }
        await self.request("PATCH", f"{path}/status", {"status": status}, content_type=merge)

    async def bind(self, pod: Object) -> None:
        metadata = pod["metadata"]
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": metadata["name"], "uid": metadata["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
        }
        await self.request("POST", f"{pod_path(pod)}/binding", body)

    async def patch_status(self, pod: Object, status: Object) -> None:
        body = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status}
        await self.request(
            "PATCH", f"{pod_path(pod)}/status", body, content_type="application/strategic-merge-patch+json"
        )

    async def warn(self, pod: Object, reason: str, message: str, at: str) -> None:
        """Make an event about this pod. at: as RFC 3339 text."""
        metadata = pod["metadata"]
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{metadata['name']}."},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod"}
            | {key: metadata[key] for key in ("name", "namespace", "uid")},
            "type": "Warning",
            "reason": reason,
            "message": message,
            "source": {"component": "kubelet", "host": NODE},
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
        }
        await self.request("POST", f"/api/v1/namespaces/{metadata['namespace']}/events", body)

    async def account(self, pod: Object) -> Object:
        """A kubeconfig with the rights of the pod's service account and no more."""
        namespace = pod["metadata"]["namespace"]
        account = pod["spec"].get("serviceAccountName", "default")
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 86400}}
        token = (await self.request("POST", path, body))["status"]["token"]
        cluster = {"server": self._server, "certificate-authority": self._ca}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": "lab", "user": {"token": token}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab", "namespace": namespace}}],
            "current-context": "lab",
        }

    async def remove(self, pod: Object) -> None:
        """Tell the API server that a deleted pod has ended. Nothing happens if it is another one of the same name."""
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}
        await self.request("DELETE", pod_path(pod), body)

    async def pods(self) -> AsyncIterator[tuple[str, Object]]:
        """Every change to every pod: ("ADDED" | "MODIFIED" | "DELETED", pod); ("LISTED", list) on each new start."""
        while True:
            listed = await self.request("GET", "/api/v1/pods")
            yield "LISTED", listed
            version = listed["metadata"]["resourceVersion"]
            try:
                async for kind, pod in self._watch(version):
                    if kind == "ERROR":
                        break
                    yield kind, pod
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                print(f"watch of pods: {error!r}; starting anew", file=sys.stderr)
                await asyncio.sleep(0.2)

    async def _watch(self, version: str) -> AsyncIterator[tuple[str, Object]]:
        query = {"watch": "1", "resourceVersion": version}
        timeout = aiohttp.ClientTimeout(total=None, sock_read=None)
        async with self._session.get("/api/v1/pods", params=query, timeout=timeout) as answer:
            answer.raise_for_status()  # an API server that is starting refuses with a Status, which is no event
            pending = b""
            async for chunk in answer.content.iter_any():
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    event = orjson.loads(line)
                    yield event["type"], event["object"]


def pod_path(pod: Object) -> str:
    metadata = pod["metadata"]
    return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
