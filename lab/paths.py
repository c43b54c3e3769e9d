"""Where the lab keeps what it builds, so that nothing of it lands in the repository."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


class LabError(Exception):
    """Something the lab needs is missing or did not start. The message says what to do about it."""


def cache_dir() -> Path:
    """The cache: TIDEGATE_CACHE, else tidegate/ below XDG_CACHE_HOME, else below ~/.cache."""
    if chosen := os.environ.get("TIDEGATE_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tidegate"


def prepare_dir(path: Path) -> Path:
    """Create `path` and prove that it can be written to."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise LabError(
            f"The cache directory {path} can't be written to ({error.strerror}). "
            f"Set TIDEGATE_CACHE to a directory of yours with about 4 GB free."
        ) from error
    return path
