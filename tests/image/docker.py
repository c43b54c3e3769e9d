"""A `docker` for the lab's network, in which nobody is root and nothing can be fetched.

Real: the Dockerfile and its context; the engine, which is buildah (`engine/`, built without C), with its layers and its
cache of them; each RUN, in a root directory of its own; the registry, and what is pushed to it over HTTP.

Stand-ins:

* `python:3.11-slim` is this machine's Python, of whatever version, with its libraries, pip and /bin/sh
  (`tests.image.base`).
* pip takes the locks' wheels from a folder (`tests.oracles.wheels`) instead of the index, and leaves out byte-code,
  which is half of the files and most of the time.
* There is one user, so what is run as the image's own is refused; `docker run --user 0` is not.
"""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from lab.processes import Process
from tests.oracles import base_image, built, wheels

REGISTRY: Final = ("127.0.0.1", 5000)
HOST: Final = "lab.local"
"""How the registry is called in an image's name."""

_BASE: Final = "docker.io/library/python:3.11-slim"
_DOCKERFILE: Final = "FROM scratch\nCOPY . /\nENV PATH=/usr/local/bin:/usr/bin:/bin\n"
_REGISTRIES: Final = f"""
unqualified-search-registries = ["docker.io"]
short-name-mode = "disabled"

[[registry]]
location = "{HOST}"
insecure = true
"""
_PIP: Final = "[global]\nno-index = true\nfind-links = /wheels\n[install]\nno-compile = no\n"
"""A `no` to an option that says no itself is how pip is told it."""


def docker(folder: Path) -> Path:
    """A program to be called as `docker`, that knows the base image. Its images are in the folder, which is new."""
    folder.mkdir()
    (folder / "registries.conf").write_text(_REGISTRIES)
    (folder / "policy.json").write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
    (folder / "pip.conf").write_text(_PIP)
    (folder / "wheels").symlink_to(wheels())
    script = folder / "docker"
    # No name is known here, so the registry is asked as if it were a proxy, which leads to wherever HOST is.
    proxy = "http_proxy=http://{}:{}".format(*REGISTRY)
    script.write_text(f'#!/bin/sh\n{proxy} TIDEGATE_DOCKER={folder} exec {built("docker")} "$@"\n')
    script.chmod(0o755)
    (folder / "Dockerfile").write_text(_DOCKERFILE)
    command = [script, "build", "-t", _BASE, "-f", folder / "Dockerfile", base_image()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return script


@contextmanager
def registry(log: Path) -> Iterator[None]:
    """A registry, empty at first, for the `with` block."""
    server = Process("registry", [str(built("registry")), "{}:{}".format(*REGISTRY)], log, _listens)
    server.start()
    try:
        server.wait_ready()
        yield
    finally:
        server.stop()


def _listens() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(REGISTRY) == 0


def pushed(repository: str, tag: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The manifest and the configuration of an image in the registry. Raises HTTPError if it is not there."""
    manifest = _ask(repository, f"manifests/{tag}")
    return manifest, _ask(repository, f"blobs/{manifest['config']['digest']}")


def _ask(repository: str, path: str) -> dict[str, Any]:
    address = "http://{}:{}/v2/".format(*REGISTRY)
    with urllib.request.urlopen(f"{address}{repository}/{path}", timeout=5) as answer:
        found: dict[str, Any] = json.load(answer)
    return found
