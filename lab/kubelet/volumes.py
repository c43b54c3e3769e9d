"""Volumes of the kinds `secret` and `configMap`: files below the pod's own folder, kept as the API server has them.

Containers are processes of this machine and share its files, so nothing is mounted: where a container's command,
arguments, variables or exec probe name a mount path, they get the folder instead. Volumes of other kinds are passed
over.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from lab.kubelet.api import Object

Read = Callable[[str, str], Awaitable[Mapping[str, bytes]]]
"""Reads the data of a ("configmaps" | "secrets", name) in the pod's namespace. Raises LookupError."""

_LOOK: Final = 1.0
"""Seconds between two looks at what the volumes come from. (The real kubelet takes up to two minutes.)"""
_KINDS: Final = (("secrets", "secret", "secretName"), ("configmaps", "configMap", "name"))


class Volumes:
    """The volumes of one pod. ready: set once all are there.

    read: how to get at what they come from. failed: told once of each reason why a volume can't be filled.
    """

    def __init__(self, pod: Object, folder: Path, read: Read, failed: Callable[[str], Awaitable[None]]) -> None:
        self.ready = asyncio.Event()
        self._folder = folder
        self._read = read
        self._failed = failed
        self._wanted = {
            volume["name"]: (kind, volume[source][name], volume[source])
            for volume in pod["spec"].get("volumes", [])
            for kind, source, name in _KINDS
            if source in volume
        }
        self._written: dict[str, dict[str, bytes]] = {}
        if not self._wanted:
            self.ready.set()

    async def keep(self) -> None:
        """Fill them, wait for what is missing, and renew them until cancelled; files stay when their source goes."""
        told = ""
        while self._wanted:
            try:
                for name in self._wanted:
                    await self._renew(name)
                self.ready.set()
                told = ""
            except (LookupError, OSError) as error:
                if (why := f'MountVolume.SetUp failed for volume "{name}" : {error}') != told:
                    await self._failed(why)
                    told = why
            await asyncio.sleep(_LOOK)

    def located(self, container: Object) -> Object:
        """The container, with folders in the place of its mount paths."""
        folders = {
            str(PurePosixPath(mount["mountPath"])): str(self._folder / mount["name"] / mount.get("subPath", ""))
            for mount in container.get("volumeMounts", [])
            if mount["name"] in self._wanted
        }
        if not folders:
            return container
        longest_first = "|".join(re.escape(path) for path in sorted(folders, key=len, reverse=True))
        path = re.compile(rf"(?<![\w./-])(?:{longest_first})(?![\w.-])")

        def moved(value: Any) -> Any:
            if isinstance(value, str):
                return path.sub(lambda match: folders[match[0]], value)
            if isinstance(value, list):
                return [moved(part) for part in value]
            return {key: moved(part) for key, part in value.items()} if isinstance(value, dict) else value

        changed: Object = {part: moved(container[part]) for part in ("command", "args", "env") if part in container}
        probe = container.get("readinessProbe", {})
        if "exec" in probe:
            changed["readinessProbe"] = {**probe, "exec": moved(probe["exec"])}
        return {**container, **changed}

    async def _renew(self, name: str) -> None:
        files = await self._files(*self._wanted[name])
        if self._written.get(name) != files:
            _write(self._folder / name, files)
            self._written[name] = files

    async def _files(self, kind: str, source: str, settings: Object) -> dict[str, bytes]:
        """Contents by path. Raises LookupError for a key that is asked for and missing."""
        optional = settings.get("optional", False)
        try:
            data = await self._read(kind, source)
        except LookupError:
            if optional:
                return {}
            raise
        if "items" not in settings:
            return dict(data)
        paths = {item["key"]: item["path"] for item in settings["items"]}
        if (missing := paths.keys() - data.keys()) and not optional:
            raise LookupError(f"{kind[:-1]} {source} has no key {', '.join(sorted(missing))}")
        return {path: data[key] for key, path in paths.items() if key in data}


def _write(volume: Path, files: Mapping[str, bytes]) -> None:
    """Put these files in the place of the ones before, all at once: the volume is a link to their folder."""
    volume.parent.mkdir(parents=True, exist_ok=True)
    before = volume.resolve() if volume.is_symlink() else None
    fresh = Path(tempfile.mkdtemp(prefix=f"..{volume.name}-", dir=volume.parent))
    for path, content in files.items():
        file = fresh / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_bytes(content)
    link = Path(f"{fresh}.link")
    link.symlink_to(fresh.name)
    link.rename(volume)
    if before is not None:
        shutil.rmtree(before)
