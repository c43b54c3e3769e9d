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
    state = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    program = cache_dir() / "oracles" / f"{name}-{state}"
    if program.exists():
        return program
    go = find_go()
    print(f"tests: building the Go program {name}, once", flush=True)
    program.parent.mkdir(parents=True, exist_ok=True)
    fresh = program.with_suffix(f".{os.getpid()}")
    command = [str(go.binary), "build", "-trimpath", f"-tags={_TAGS}", "-ldflags=-s -w", "-o", str(fresh), package]
    environment = {**go.environment(), "CGO_ENABLED": "0"}
    done = subprocess.run(command, cwd=module, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} in {module} failed (is it run inside the lab?):\n{done.stderr}")
    fresh.rename(program)
    return program


def definitions() -> Path:
    """A directory with the definitions of others that the chart's objects are read by. Raises as `built` does."""
    state = hashlib.sha256((DEFINITIONS / "go.sum").read_bytes() + str(_FILES).encode()).hexdigest()[:16]
    folder = cache_dir() / "oracles" / f"definitions-{state}"
    if folder.exists():
        return folder
    go = find_go()
    environment = {**go.environment(), "GOFLAGS": "-mod=mod"}
    fresh = folder.with_suffix(f".{os.getpid()}")
    fresh.mkdir(parents=True)
    for module, files in _FILES.items():
        command = [str(go.binary), "mod", "download", "-json", module]
        done = subprocess.run(command, cwd=DEFINITIONS, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(fresh)
            raise RuntimeError(f"{' '.join(command)} failed (is it run inside the lab?):\n{done.stdout}{done.stderr}")
        for file in files:
            shutil.copyfile(Path(json.loads(done.stdout)["Dir"], file), fresh / Path(file).name)
    fresh.rename(folder)
    return folder


def python_tools(name: str) -> Path:
    """A directory to import these tools from, with their commands in `bin`. Raises RuntimeError."""
    lock = TOOLS[name]
    state = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = cache_dir() / "oracles" / f"{name}-{state}"
    if folder.exists():
        return folder
    print(f"tests: fetching the tools of {lock.relative_to(REPOSITORY)}, once", flush=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.with_suffix(f".{os.getpid()}")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    command = [*pip, "--only-binary", ":all:", "--target", str(fresh), "-r", str(lock)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(fresh, ignore_errors=True)
        raise RuntimeError(f"{' '.join(command)} failed (is it run inside the lab?):\n{done.stderr}")
    fresh.rename(folder)
    return folder


def _runtime() -> dict[str, str]:
    return runtime((REPOSITORY / "requirements.lock").read_text())


def wheels() -> Path:
    """A directory with the wheels that the image is made of, compared with the locks' hashes. Raises RuntimeError."""
    lock = "".join(_runtime().values()) + TOOLS["build"].read_text()
    state = hashlib.sha256((lock + sys.version).encode()).hexdigest()[:16]
    folder = cache_dir() / "oracles" / f"wheels-{state}"
    if folder.exists():
        return folder
    print("tests: fetching the wheels of the image, once", flush=True)
    fresh = folder.with_suffix(f".{os.getpid()}")
    fresh.mkdir(parents=True)
    (fresh / "lock").write_text(lock)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    command = [*pip, "--only-binary", ":all:", "--no-deps", "--dest", str(fresh), "-r", str(fresh / "lock")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(fresh)
        raise RuntimeError(f"{' '.join(command)} failed (is it run inside the lab?):\n{done.stderr}")
    fresh.rename(folder)
    return folder


def base_image() -> Path:
    """A directory with the files of the image's base (`tests.image.base`)."""
    packages = _runtime()
    of = "".join([*packages.values(), sys.version, sys.base_prefix, inspect.getsource(base)])
    state = hashlib.sha256(of.encode()).hexdigest()[:16]
    folder = cache_dir() / "oracles" / f"base-{state}"
    if folder.exists():
        return folder
    fresh = folder.with_suffix(f".{os.getpid()}")
    base.fill(fresh, {canonicalize_name(name) for name in packages})
    fresh.rename(folder)
    return folder


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
