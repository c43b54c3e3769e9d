"""Starting what a container stands for: the built-in web server, or its command as a process on this machine."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from lab.kubelet.api import NODE, Object
from lab.kubelet.status import NODE_ADDRESS
from lab.paths import REPOSITORY
from lab.processes import die_with_parent

_SERVERS = ("lab.local/app", "argoproj/rollouts-demo")
_OPERATOR = "lab.local/tidegate"

Lookup = Callable[[str, str], Awaitable[Mapping[str, str]]]
"""Reads the data of a ("configmaps" | "secrets", name) in the pod's namespace, decoded."""


class Running(Protocol):
    """A started container."""

    async def wait(self) -> int:
        """Its exit code; negative for a signal."""

    def signal(self, number: signal.Signals) -> None: ...


def is_server(container: Object) -> bool:
    """Whether the container is the built-in web server: its image is one, and it brings no command of its own."""
    image = container.get("image", "")
    return not container.get("command") and image.partition(":")[0] in _SERVERS


def is_operator(container: Object) -> bool:
    """Whether the container is Tidegate itself, as the Dockerfile builds it, from this repository."""
    return not container.get("command") and container.get("image", "").rpartition(":")[0] == _OPERATOR


def operator(container: Object, address: str, kubeconfig: Path) -> tuple[Object, dict[str, str]]:
    """What the image's entry point comes to here, and its variables: the pod's account is a kubeconfig."""
    arguments = [*container.get("args", ["run"]), f"--address={address}", f"--page-address={address}"]
    variables = {"KUBECONFIG": str(kubeconfig), "PYTHONPATH": str(REPOSITORY / "operator")}
    return {**container, "command": [sys.executable, "-m", "tidegate"], "args": arguments}, variables


def pull_error(container: Object) -> str:
    """Why the image can't be pulled, or nothing. Commands run on this machine, whatever image they name."""
    image = container.get("image", "")
    if "missing" in image or not (container.get("command") or is_server(container) or is_operator(container)):
        return f'failed to pull image "{image}": the lab has no such image'
    return ""


async def environment(pod: Object, container: Object, address: str, lookup: Lookup) -> dict[str, str]:
    """The container's variables, with references to fields, ConfigMaps and Secrets resolved and $(NAME) expanded.

    Raises LookupError if something that is referred to does not exist.
    """
    metadata = pod["metadata"]
    found = {
        "PATH": f"{Path(sys.prefix, 'bin')}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": "/tmp",  # noqa: S108 - a container's home, not a file of ours
        "HOSTNAME": metadata["name"],
        "POD_NAME": metadata["name"],
        "POD_NAMESPACE": metadata["namespace"],
        "POD_IP": address,
    }
    for source in container.get("envFrom", []):
        for kind, reference in (("configmaps", "configMapRef"), ("secrets", "secretRef")):
            if reference in source:
                data = await lookup(kind, source[reference]["name"])
                found |= {source.get("prefix", "") + key: value for key, value in data.items()}
    for variable in container.get("env", []):
        if "valueFrom" in variable:
            found[variable["name"]] = await _value_from(variable["valueFrom"], pod, address, lookup)
        else:
            found[variable["name"]] = expand(variable.get("value", ""), found)
    return found


async def _value_from(source: Object, pod: Object, address: str, lookup: Lookup) -> str:
    if "fieldRef" in source:
        return field(pod, source["fieldRef"]["fieldPath"], address)
    for kind, reference in (("configmaps", "configMapKeyRef"), ("secrets", "secretKeyRef")):
        if reference in source:
            wanted = source[reference]
            try:
                return (await lookup(kind, wanted["name"]))[wanted["key"]]
            except LookupError:
                if wanted.get("optional"):
                    return ""
                raise LookupError(f"{kind[:-1]} {wanted['name']} has no key {wanted['key']}") from None
    raise LookupError(f"valueFrom of a kind that the lab does not know: {', '.join(source)}")


def field(pod: Object, path: str, address: str) -> str:
    """A field of the downward API. Raises LookupError for one that the lab does not know."""
    simple = {
        "metadata.name": pod["metadata"]["name"],
        "metadata.namespace": pod["metadata"]["namespace"],
        "metadata.uid": pod["metadata"]["uid"],
        "spec.nodeName": NODE,
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", "default"),
        "status.podIP": address,
        "status.podIPs": address,
        "status.hostIP": NODE_ADDRESS,
    }
    if path in simple:
        return str(simple[path])
    if match := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
        return str(pod["metadata"].get(match[1], {}).get(match[2], ""))
    raise LookupError(f"fieldPath {path} is not known to the lab")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace $(NAME) by the variable; $$ stands for a dollar sign, an unknown name stays as it is."""

    def replace(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else variables.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([A-Za-z_][\w.-]*)\)", replace, text)


class Command:
    """A container whose command runs as a process of this machine."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, container: Object, variables: Mapping[str, str], log: Path, folder: Path) -> Command:
        """Raises OSError if there is no such command."""
        arguments = [expand(a, variables) for a in [*container["command"], *container.get("args", [])]]
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env=dict(variables),
                cwd=folder,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        return cls(process)

    async def wait(self) -> int:
        return await self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            target = os.killpg if number == signal.SIGKILL else os.kill
            target(self._process.pid, number)


class Fork:
    """A container that is the built-in web server: a child of the nursery."""

    def __init__(self, pid: int, ended: asyncio.Future[int]) -> None:
        self._pid = pid
        self._ended = ended

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)

    def signal(self, number: signal.Signals) -> None:
        if not self._ended.done():
            os.kill(self._pid, number)


class Nursery:
    """Talks to the warm parent of all web servers (`lab.podserver.nursery`)."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._ids = itertools.count()
        self._waiting: dict[int, asyncio.Future[Fork]] = {}
        self._alive: dict[int, asyncio.Future[int]] = {}

    async def __aenter__(self) -> Nursery:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "lab.podserver",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                preexec_fn=die_with_parent,
            )
        self._reader = asyncio.create_task(self._read())
        self._reader.add_done_callback(_must_live)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reader.cancel()
        self._process.kill()
        await self._process.wait()

    async def start(self, container: Object, variables: Mapping[str, str], address: str) -> Fork:
        """Start a server; it listens when this returns. Raises OSError if it can't."""
        ports = container.get("ports") or [{"containerPort": 8080}]
        tag = container["image"].rpartition(":")[2]
        request = {
            "id": next(self._ids),
            "address": address,
            "port": ports[0]["containerPort"],
            "env": {"VERSION": tag, **variables},
        }
        answered: asyncio.Future[Fork] = asyncio.get_running_loop().create_future()
        self._waiting[request["id"]] = answered
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        return await answered

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            message: dict[str, Any] = json.loads(line)
            if "exit" in message:
                ended = self._alive.pop(message["pid"])
                if not ended.done():
                    ended.set_result(message["exit"])
                continue
            answered = self._waiting.pop(message["id"])
            if "error" in message:
                if not answered.done():
                    answered.set_exception(OSError(message["error"]))
                continue
            # Made here, not by the waiter: the exit of a short life may already be the next line.
            ended = asyncio.get_running_loop().create_future()
            self._alive[message["pid"]] = ended
            born = Fork(message["pid"], ended)
            if answered.done():  # its pod was deleted while it was being started: nobody else will end it
                born.signal(signal.SIGKILL)
            else:
                answered.set_result(born)


def _must_live(reader: asyncio.Task[None]) -> None:
    """Without its reader no server starts any more. End the kubelet, so that its log tells of it."""
    if not reader.cancelled():
        traceback.print_exception(reader.exception() or EOFError("the parent of all servers has ended"))
        os._exit(1)
