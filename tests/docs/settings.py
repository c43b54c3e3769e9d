"""What the pages' commands meet on the lab that is not in the pages: see `tests.docs.shell`."""

from __future__ import annotations

from typing import Final

START: Final = "docs/start.md"

SHORTER: Final = {
    "examples/health-checks/analysis.yaml": ("interval: 10s", "interval: 1s"),
}
"""Of a file, the text that would only take time, and what stands there instead."""

_NO_DOCKER: Final = "needs a Docker engine; the lab runs the operator's image from the repository"
_INSTALLED: Final = "the environment of the tests has the packages already"

NOT_RUN: Final = {
    (START, "docker build -t registry.example.com/tidegate:0.1.0 ."): _NO_DOCKER,
    (START, "pip install ."): _INSTALLED,
    ("README.md", "docker build -t registry.example.com/tidegate:0.1.0 ."): _NO_DOCKER,
    ("README.md", "make demo   # three releases under real traffic: one promoted, one undone, one flipped back"): (
        "starts a lab, and this is one"
    ),
}
"""Blocks that can't be run here, by page and first line, with the reason."""

BEFORE: Final[dict[tuple[str, str], str]] = {}
"""Commands for what a page takes for granted, by page and first line of the block before which they are run."""

LAST: Final = ("docs/takeover.md",)
"""Pages that end with the operator gone."""
