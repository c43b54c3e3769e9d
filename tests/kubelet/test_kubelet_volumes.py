"""Volumes of a pod: when they are there, when they change, and where a container finds them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.kubelet.volumes import Volumes

Object = dict[str, Any]
PAIR = {"name": "tls", "secret": {"secretName": "pair"}}
PAGE = {"name": "page", "configMap": {"name": "texts"}}


class Sources(dict[tuple[str, str], dict[str, bytes]]):
    """Secrets and ConfigMaps by (kind, name); told: what a pod was told of them."""

    def __init__(self, pair: Mapping[str, bytes] | None = None) -> None:
        super().__init__()
        self.told: list[str] = []
        if pair is not None:
            self["secrets", "pair"] = dict(pair)

    async def read(self, kind: str, name: str) -> Mapping[str, bytes]:
        if (kind, name) not in self:
            raise LookupError(f"{kind[:-1]} {name} is not there")
        return self[kind, name]

    async def failed(self, message: str) -> None:
        self.told.append(message)

    def of(self, folder: Path, *volumes: Object) -> Volumes:
        return Volumes({"spec": {"volumes": list(volumes)}}, folder, self.read, self.failed)


@asynccontextmanager
async def kept(volumes: Volumes) -> AsyncIterator[None]:
    task = asyncio.create_task(volumes.keep())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()


@pytest.mark.looptime
async def test_a_pod_waits_for_all_of_its_volumes_and_is_told_once_why(tmp_path: Path) -> None:
    sources = Sources({"crt": b"one"})
    volumes = sources.of(tmp_path, PAIR, PAGE)
    async with kept(volumes):
        await asyncio.sleep(30)
        assert not volumes.ready.is_set()
        assert sources.told == ['MountVolume.SetUp failed for volume "page" : configmap texts is not there']
        sources["configmaps", "texts"] = {"a": b"text"}
        await asyncio.wait_for(volumes.ready.wait(), 2)
    assert (tmp_path / "page" / "a").read_bytes() == b"text"


@pytest.mark.looptime
async def test_files_are_private_change_together_and_outlive_their_source(tmp_path: Path) -> None:
    sources = Sources({"crt": b"one", "key": b"\xff\x00"})
    async with kept(sources.of(tmp_path, PAIR)):
        await asyncio.sleep(0.1)
        first = (tmp_path / "tls").resolve()
        assert (first / "key").read_bytes() == b"\xff\x00"
        assert {path.stat().st_mode & 0o077 for path in (first, first / "crt", first / "key")} == {0}
        await asyncio.sleep(10)
        assert (tmp_path / "tls").resolve() == first  # nothing new, nothing written

        sources["secrets", "pair"] = {"crt": b"two", "key": b"2"}
        await asyncio.sleep(2)
        assert (tmp_path / "tls").resolve() != first
        assert not first.exists()
        assert {path.name: path.read_bytes() for path in (tmp_path / "tls").iterdir()} == sources["secrets", "pair"]

        del sources["secrets", "pair"]
        await asyncio.sleep(2)
        assert (tmp_path / "tls" / "crt").read_bytes() == b"two"
        assert len(sources.told) == 1


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("settings", "files"),
    [
        ({"items": [{"key": "crt", "path": "deep/tls.crt"}]}, {"deep/tls.crt"}),
        ({"items": [{"key": "none", "path": "a"}]}, None),
        ({"items": [{"key": "none", "path": "a"}, {"key": "key", "path": "b"}], "optional": True}, {"b"}),
        ({"secretName": "none", "optional": True}, set()),
        ({"secretName": "none"}, None),
    ],
)
async def test_which_files_a_volume_has(tmp_path: Path, settings: Object, files: set[str] | None) -> None:
    sources = Sources({"crt": b"one", "key": b"two"})
    volumes = sources.of(tmp_path, {"name": "tls", "secret": {"secretName": "pair", **settings}})
    async with kept(volumes):
        await asyncio.sleep(3)
    assert volumes.ready.is_set() == (files is not None)
    root = tmp_path / "tls"
    assert {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} == (files or set())


def test_a_container_finds_its_volumes_where_it_says(tmp_path: Path) -> None:
    def mount(path: str, **more: str) -> Object:
        return {"name": "tls", "mountPath": path, **more}

    here = f"{tmp_path}/tls"
    places = {
        "--a=/etc/x": f"--a={here}",
        "--b=/etc/x/tls.crt:/etc/x": f"--b={here}/tls.crt:{here}",
        "/etc/x/in/b": f"{here}/deep/b",
        **{same: same for same in ("/etc/xy", "/etc/x.d", "/my/etc/x", "/run/a")},
    }
    container = {
        "image": "/etc/x",
        "args": list(places),
        "env": [{"name": "WHERE", "value": "'/etc/x/'"}],
        "volumeMounts": [mount("/etc/x/"), mount("/etc/x/in", subPath="deep"), {"name": "data", "mountPath": "/run"}],
        "readinessProbe": {"httpGet": {"path": "/etc/x"}},
    }
    volumes = Sources().of(tmp_path, PAIR, {"name": "data", "emptyDir": {}})
    env = [{"name": "WHERE", "value": f"'{here}/'"}]
    assert volumes.located(container) == {**container, "args": list(places.values()), "env": env}
    command = {"command": ["cat", "/etc/x/a"]}
    probed = {**container, **command, "readinessProbe": {"exec": command, "periodSeconds": 1}}
    moved = {"command": ["cat", f"{here}/a"]}
    found = volumes.located(probed)
    assert (found["command"], found["readinessProbe"]) == (moved["command"], {"exec": moved, "periodSeconds": 1})
    assert volumes.located({"args": ["/etc/x"]}) == {"args": ["/etc/x"]}
