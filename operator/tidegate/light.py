"""Libraries without the optional halves of themselves that this process has no use for.

Both ways of coping with a missing package are the libraries' own; what is hidden here stays importable for others.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(package: str) -> Iterator[None]:
    """Let imports in the `with` block find that `package` is not installed, unless it is loaded already."""
    hidden = package not in sys.modules
    if hidden:
        sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules[package]
