"""The part of requirements.lock that the operator itself needs, hashes and all.

    python runtime_lock.py requirements.lock > runtime.lock

The lock holds the development tools too. Which package is there for whom stands below each in the comments that uv
writes: `via tidegate (pyproject.toml)` for the operator's own, `(pyproject.toml:dev)` for a group's. Needs nothing but
Python, for it runs where the image is built.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = "tidegate (pyproject.toml)"
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def blocks(lock: str) -> dict[str, str]:
    """The lines of each package, its name before them."""
    found: dict[str, str] = {}
    name = ""
    for line in lock.splitlines(keepends=True):
        if line[:1] not in (" ", "#", "\n"):
            match = _NAME.match(line)
            if match is None or "==" not in line:
                raise ValueError(f"not a locked package: {line.strip()}")
            name = match[0]
        if name:
            found[name] = found.get(name, "") + line
    return found


def wanted_by(block: str) -> set[str]:
    """Who asks for a package."""
    _, _, comment = block.partition("# via")
    return {line.strip(" #") for line in comment.splitlines()} - {""}


def runtime(lock: str) -> dict[str, str]:
    """The blocks of what the operator needs, directly or through others."""
    all_blocks = blocks(lock)
    askers = {name: wanted_by(block) for name, block in all_blocks.items()}
    needed: set[str] = {ROOT}
    while more := {name for name, by in askers.items() if name not in needed and by & needed}:
        needed |= more
    if len(needed) == 1:
        raise ValueError(f"no package is there for {ROOT}: was the lock written by another tool?")
    return {name: block for name, block in all_blocks.items() if name in needed}


if __name__ == "__main__":
    sys.stdout.write("".join(runtime(Path(sys.argv[1]).read_text()).values()))
