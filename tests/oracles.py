"""The programs that tests compare with or build by: made once for each state of their sources, into the user's cache.

`python -m tests.oracles` makes them all. `make test` does that before it enters the lab's network, in which nothing can
be fetched.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from packaging.utils import canonicalize_name

from lab.paths import REPOSITORY, cache_dir
from lab.toolchain import find_go
from tests.image import base
from tools.image.runtime_lock import runtime

CONDITIONS = REPOSITORY / "tests" / "conditions" / "oracle"
HASHES = REPOSITORY / "tools" / "gofields"
TEMPLATES = REPOSITORY / "tests" / "observe" / "templates_oracle"
ENGINE = REPOSITORY / "tests" / "image" / "engine"
ALL = {
    "templates": (TEMPLATES, "."),
    "conditions": (CONDITIONS, "."),
    "hashes": (HASHES, "./oracle"),
    "fields": (HASHES, "."),
    "docker": (ENGINE, "."),
    "registry": (ENGINE, "./registry"),
}
_TAGS = "containers_image_openpgp"
"""Signatures of images without C; the other programs know no such tag."""

DEFINITIONS = REPOSITORY / "tests" / "definitions"
_FILES = {
    "github.com/cert-manager/cert-manager": (
        "deploy/crds/cert-manager.io_certificates.yaml",
        "deploy/crds/cert-manager.io_issuers.yaml",
    ),
    "github.com/fluxcd/flagger": ("artifacts/flagger/crd.yaml",),
    "github.com/prometheus-operator/prometheus-operator": (
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
    ),
}
"""By the module that has them."""

TOOLS = {
    "build": REPOSITORY / "tools" / "image" / "build.lock",
    "lint": REPOSITORY / "tools" / "image" / "lint.lock",
    "site": REPOSITORY / "tools" / "site.lock",
}
"""Python packages by their lock: what builds the wheel, what lints the Dockerfile, what makes a site of docs/."""


def built(name: str) -> Path:
    """The program, from the cache if its sources have not changed. Raises LabError without Go, RuntimeError."""
    module, package = ALL[name]
    sources = sorted(path for path in module.rglob("*") if path.suffix in (".go", ".mod", ".sum"))

    def build(program: Path) -> None:
        go = find_go()
        flags = ("-trimpath", f"-tags={_TAGS}", "-ldflags=-s -w")
        environment = {**go.environment(), "CGO_ENABLED": "0"}
        _run([str(go.binary), "build", *flags, "-o", str(program), package], cwd=module, env=environment)

    return _cached(name, b"".join(path.read_bytes() for path in sources), f"building the Go program {name}", build)


def definitions() -> Path:
    """A directory with the definitions of others that the chart's objects are read by. Raises as `built` does."""

    def fetch(folder: Path) -> None:
        go = find_go()
        environment = {**go.environment(), "GOFLAGS": "-mod=mod"}
        folder.mkdir()
        for module, files in _FILES.items():
            told = _run([str(go.binary), "mod", "download", "-json", module], cwd=DEFINITIONS, env=environment)
            for file in files:
                shutil.copyfile(Path(json.loads(told)["Dir"], file), folder / Path(file).name)

    of = (DEFINITIONS / "go.sum").read_bytes() + str(_FILES).encode()
    return _cached("definitions", of, "fetching definitions of others", fetch)


def python_tools(name: str) -> Path:
    """A directory to import these tools from, with their commands in `bin`. Raises RuntimeError."""
    lock = TOOLS[name]
    of = lock.read_bytes() + sys.version.encode()
    doing = f"fetching the tools of {lock.relative_to(REPOSITORY)}"
    return _cached(name, of, doing, lambda folder: _pip("install", lock, "--target", str(folder)))


def _runtime() -> dict[str, str]:
    return runtime((REPOSITORY / "requirements.lock").read_text())


def wheels() -> Path:
    """A directory with the wheels that the image is made of, compared with the locks' hashes. Raises RuntimeError."""
    lock = "".join(_runtime().values()) + TOOLS["build"].read_text()

    def fetch(folder: Path) -> None:
        folder.mkdir()
        (folder / "lock").write_text(lock)
        _pip("download", folder / "lock", "--no-deps", "--dest", str(folder))

    return _cached("wheels", (lock + sys.version).encode(), "fetching the wheels of the image", fetch)


def base_image() -> Path:
    """A directory with the files of the image's base (`tests.image.base`)."""
    packages = _runtime()
    of = "".join([*packages.values(), sys.version, sys.base_prefix, inspect.getsource(base)])
    names = {canonicalize_name(name) for name in packages}
    return _cached("base", of.encode(), "copying what the image stands on", lambda root: base.fill(root, names))


def _cached(name: str, of: bytes, doing: str, make: Callable[[Path], None]) -> Path:
    """What was made `of` this before, else now: beside its place, which it takes when it is complete."""
    place = cache_dir() / "oracles" / f"{name}-{hashlib.sha256(of).hexdigest()[:16]}"
    if place.exists():
        return place
    print(f"tests: {doing}, once", flush=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.with_suffix(f".{os.getpid()}")
    try:
        make(fresh)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    fresh.rename(place)
    return place


def _pip(verb: str, lock: Path, *more: str) -> None:
    options = ("--quiet", "--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:")
    _run([sys.executable, "-m", "pip", verb, *options, *more, "-r", str(lock)])


def _run(command: list[str], cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """What it printed. Raises RuntimeError."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        shown = " ".join(command) + (f" in {cwd}" if cwd else "")
        raise RuntimeError(f"{shown} failed (is it run inside the lab?):\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    """Make what is not yet in the cache."""
    for name, lock in TOOLS.items():
        print(f"tests: the tools of {lock.relative_to(REPOSITORY)} are at {python_tools(name)}", flush=True)
    for name in ALL:
        print(f"tests: the Go program {name} is at {built(name)}", flush=True)
    print(f"tests: the wheels of the image are at {wheels()}, its base's files at {base_image()}", flush=True)
    print(f"tests: definitions of others are at {definitions()}", flush=True)


if __name__ == "__main__":
    main()
