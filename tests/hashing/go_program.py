"""Builds the Go programs that the hashes are compared with, once for each state of their sources."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

MODULE = Path(__file__).parents[2] / "tools" / "gofields"


def go_environment() -> tuple[str, dict[str, str]]:
    """The `go` command and the environment to run it in."""
    go = shutil.which("go")
    if go is None:
        raise RuntimeError("These tests compare hashes with Argo Rollouts' own Go code: put `go` 1.26 or later in PATH")
    return go, {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}


def build(package: str) -> Path:
    """The program of a package of tools/gofields, built into the user's cache unless it is already there."""
    go, environment = go_environment()
    sources = sorted([*MODULE.rglob("*.go"), MODULE / "go.mod", MODULE / "go.sum"])
    state = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    program = _cache() / f"gofields-{package.strip('./') or 'table'}-{state}"
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        fresh = program.with_suffix(f".{os.getpid()}")
        command = [go, "build", "-trimpath", "-ldflags=-s -w", "-o", str(fresh), package]
        done = subprocess.run(command, cwd=MODULE, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} in {MODULE} failed:\n{done.stderr}")
        fresh.rename(program)
    return program


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TIDEGATE_CACHE") or Path(base) / "tidegate") / "oracles"
